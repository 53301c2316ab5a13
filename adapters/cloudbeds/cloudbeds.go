package cloudbeds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// apiLimit is what Cloudbeds keeps. Nobody is told by an answer: the penalty is a warning by e-mail and the suspension of the
// credential.
var apiLimit = driver.Limit{
	Name: "api", SharedBy: "property or group account",
	Tiers: ratelimit.Tiers{{Name: "second", Requests: 5, Per: time.Second}},
	Source: "developers.cloudbeds.com, FAQ: 5 a second for property and group accounts, 10 for technology partners; beyond it a warning by e-mail " +
		"and suspension of the credential. No 429 and no header is documented.",
}

// Driver is one integration's connection to Cloudbeds. Use [New]. It is safe for concurrent use.
type Driver struct {
	integration string
	property    string
	version     Version
	api         *driver.Client
	adapt       adapter
}

var (
	_ driver.Driver            = (*Driver)(nil)
	_ driver.ResourceLister    = (*Driver)(nil)
	_ driver.ResourceGetter    = (*Driver)(nil)
	_ driver.TransactionLister = (*Driver)(nil)
	_ driver.TransactionGetter = (*Driver)(nil)
	_ driver.MediaLister       = (*Driver)(nil)
)

// Register adds the driver to a registry.
func Register(r *driver.Registry) error {
	return r.Register(driver.Definition{
		Info: info(V13),
		New:  func(env driver.Env) (driver.Driver, error) { return New(env) },
	})
}

// New returns a driver for env.Integration, or an error that names everything that is wrong with it; see [ConfigOf]. It sends
// nothing.
func New(env driver.Env) (*Driver, error) {
	in := env.Integration
	c, err := ConfigOf(in)
	if err != nil {
		return nil, err
	}
	key, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "X-Api-Key", Key: c.APIKey, Origins: []string{origin(c.BaseURL)}})
	if err != nil {
		return nil, err
	}
	limiter, err := env.Limiter(Partner, apiLimit, ratelimit.Options{})
	if err != nil {
		return nil, err
	}
	account := c.Account
	if account == "" {
		// It is the credential that is suspended. The key of the limit is in errors and metrics, where a credential has no business.
		sum := sha256.Sum256([]byte(c.BaseURL + "\x00" + string(c.APIKey)))
		account = hex.EncodeToString(sum[:8])
	}
	api, err := env.Client(driver.ClientConfig{
		Partner:     Partner,
		Integration: in.ID,
		BaseURL:     c.BaseURL + "/api/" + string(c.Version),
		Credential:  key,
		Limiter:     limiter,
		LimitKey:    account,
		Retry:       retry.Policy{Classifiers: []retry.Classifier{dialect}},
		Header:      http.Header{"Accept": {"application/json"}},
		RequestID:   []string{"X-Request-Id"},
		Explain:     explain,
	})
	if err != nil {
		return nil, err
	}
	return &Driver{integration: in.ID, property: c.Property, version: c.Version, api: api, adapt: adapters[c.AdapterVersion]}, nil
}

// origin returns scheme and host of a URL that was found valid.
func origin(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	return u.Scheme + "://" + u.Host
}

func info(v Version) driver.Info {
	return driver.Info{
		Partner: Partner, Title: "Cloudbeds", APIVersion: string(v),
		AdapterVersions: []string{v1},
		Incremental:     []driver.Kind{driver.KindTransaction},
		Limits:          []driver.Limit{apiLimit},
		Scopes:          []string{"read:hotel", "read:reservation"},
		Credentials:     []string{credentialKey},
	}
}

// Info implements driver.Driver.
func (d *Driver) Info() driver.Info { return info(d.version) }

var errOtherProperty = errors.New("the key does not reach the integration's property")

// Check implements driver.Driver: it reads the integration's property, or without one the first property of the key. A key that does
// not reach the property is an error of class Auth.
func (d *Driver) Check(ctx context.Context) error {
	if d.property == "" {
		_, _, err := d.call(ctx, opHotels, "/getHotels", url.Values{"pageNumber": {"1"}, "pageSize": {"1"}})
		return err
	}
	raw, r, err := d.hotel(ctx, d.property)
	if err == nil && wire.ID(raw, "propertyID") != d.property {
		e := d.failed(opDetails, r, errOtherProperty)
		e.Verdict = retry.Verdict{Class: retry.Auth, Scope: retry.Integration, Sent: retry.Answered}
		return e
	}
	return err
}

// hotel reads one property.
func (d *Driver) hotel(ctx context.Context, id string) (json.RawMessage, *driver.Response, error) {
	env, r, err := d.call(ctx, opDetails, "/getHotelDetails", url.Values{"propertyID": {id}})
	if err != nil {
		return nil, r, err
	}
	if wire.TypeOf(env.data) != '{' {
		return nil, r, d.failed(opDetails, r, errNoRows)
	}
	return env.data, r, nil
}
