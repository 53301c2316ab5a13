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

// What Cloudbeds allows. Nobody is told by an answer: the penalty is a warning by e-mail and the suspension of the
// credential.
const limitSource = "developers.cloudbeds.com, FAQ: 5 a second for property and group accounts, 10 for " +
	"technology partners; beyond it a warning by e-mail and suspension of the credential. No 429 and no header " +
	"is documented."

var (
	apiLimit = driver.Limit{
		Name: "api", SharedBy: "property or group account", Source: limitSource,
		Tiers: ratelimit.Tiers{{Name: "second", Requests: 5, Per: time.Second}},
	}
	partnerLimit = driver.Limit{
		Name: "partner", SharedBy: "property or group account, for technology partners", Source: limitSource,
		Tiers: ratelimit.Tiers{{Name: "second", Requests: 10, Per: time.Second}},
	}
)

// Driver is one integration's connection to Cloudbeds. Use [New]. It is safe for concurrent use.
type Driver struct {
	integration string
	property    string
	version     Version
	oauth       bool
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
	_ driver.StatusPusher      = (*Driver)(nil)
	_ driver.CalendarLister    = (*Driver)(nil)
	_ driver.CalendarPusher    = (*Driver)(nil)
	_ driver.WebhookSource     = (*Driver)(nil)
	_ driver.WebhookRegistrar  = (*Driver)(nil)
)

// Register adds the driver to a registry.
func Register(r *driver.Registry) error {
	return r.Register(driver.Definition{
		Info: info(V13, []string{credentialKey, credentialClient, credentialSecret, credentialRefresh}),
		New:  func(env driver.Env) (driver.Driver, error) { return New(env) },
	})
}

// New returns a driver for env.Integration, or an error that names everything that is wrong with it; see [ConfigOf]. It
// sends nothing.
func New(env driver.Env) (*Driver, error) {
	in := env.Integration
	c, err := ConfigOf(in)
	if err != nil {
		return nil, err
	}
	limit := apiLimit
	if c.TechnologyPartner {
		limit = partnerLimit
	}
	limiter, err := env.Limiter(Partner, limit, ratelimit.Options{})
	if err != nil {
		return nil, err
	}
	account, credential, err := c.credential(env)
	if err != nil {
		return nil, err
	}
	api, err := env.Client(driver.ClientConfig{
		Partner:     Partner,
		Integration: in.ID,
		BaseURL:     c.BaseURL + "/api/" + string(c.Version),
		Credential:  credential,
		Limiter:     limiter,
		LimitKey:    account,
		Retry:       retry.Policy{Classifiers: []retry.Classifier{retry.GatewayPage, dialect}},
		Header:      http.Header{"Accept": {"application/json"}},
		RequestID:   []string{"X-Request-Id"},
		Explain:     explain,
	})
	if err != nil {
		return nil, err
	}
	return &Driver{
		integration: in.ID, property: c.Property, version: c.Version, oauth: c.APIKey == "",
		api: api, adapt: adapters[c.AdapterVersion],
	}, nil
}

// credential returns what puts itself on requests, and the key of the limit.
func (c Config) credential(env driver.Env) (account string, _ auth.Credential, err error) {
	_, origin := env.Integration.Endpoint(DefaultBaseURL)
	origins := []string{origin}
	if c.APIKey == "" {
		account = c.Account
		if account == "" {
			account = "integration " + env.Integration.ID
		}
		src, err := env.Source(auth.SourceConfig{
			Key: Partner + "/" + account, Exchanger: grant{c.Client(env.ForTokens()), c.RefreshToken},
			Origins: origins, RefreshLifetime: refreshLifetime,
		})
		return account, src, err
	}
	account = c.Account
	if account == "" {
		// It is the credential that is suspended. The key of the limit is in errors and metrics, where a credential
		// has no business.
		sum := sha256.Sum256([]byte(c.BaseURL + "\x00" + string(c.APIKey)))
		account = hex.EncodeToString(sum[:8])
	}
	key, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "X-Api-Key", Key: c.APIKey, Origins: origins})
	return account, key, err
}

func info(v Version, credentials []string) driver.Info {
	return driver.Info{
		Partner: Partner, Title: "Cloudbeds", APIVersion: string(v),
		AdapterVersions: []string{v1},
		Incremental:     []driver.Kind{driver.KindTransaction},
		Limits:          []driver.Limit{apiLimit, partnerLimit},
		Scopes: []string{
			"read:hotel", "read:reservation", "write:reservation", "read:room", "read:rate", "write:rate",
		},
		Credentials: credentials,
	}
}

// Info implements driver.Driver.
func (d *Driver) Info() driver.Info {
	if d.oauth {
		return info(d.version, []string{credentialClient, credentialSecret, credentialRefresh})
	}
	return info(d.version, []string{credentialKey})
}

var errOtherProperty = errors.New("the key does not reach the integration's property")

// Check implements driver.Driver: it reads the integration's property, or without one the first property of the key. A
// key that does not reach the property is an error of class Auth.
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
