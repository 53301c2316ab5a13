package airbnb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

const limitSource = "a table in a public client (alexsoft037/django-api, rental_integrations/airbnb/service.py), " +
	"of about 2019; whether it still holds is unverified"

// The limits. Whether an endpoint's is kept for all hosts together or for each, the table does not say, and
// "endpoint" is a path there: the stricter reading is kept, for all hosts and for all paths of an operation.
var (
	addressLimit = driver.Limit{
		Name: "address", SharedBy: "address that calls come from", Scope: retry.Partner, Source: limitSource,
		Tiers: ratelimit.Tiers{
			{Name: "address-10s", Requests: 200, Per: 10 * time.Second}, {Name: "address-5m", Requests: 2500,
				Per: 5 * time.Minute},
			{Name: "address-hour", Requests: 20_000, Per: time.Hour}, {Name: "address-day", Requests: 200_000,
				Per: 24 * time.Hour},
		},
	}
	endpointLimit = driver.Limit{
		Name: "endpoint", SharedBy: "operation", Scope: retry.Endpoint, Source: limitSource,
		Unless: []string{"photos", "calendar"},
		Tiers: ratelimit.Tiers{
			{Name: "endpoint-10s", Requests: 100, Per: 10 * time.Second}, {Name: "endpoint-5m", Requests: 1250,
				Per: 5 * time.Minute},
			{Name: "endpoint-hour", Requests: 7500, Per: time.Hour}, {Name: "endpoint-day", Requests: 90_000,
				Per: 24 * time.Hour},
		},
	}
	userLimit = driver.Limit{
		Name: "user", SharedBy: "host account", Source: limitSource,
		Tiers: ratelimit.Tiers{{Name: "user-hour", Requests: 2000, Per: time.Hour}},
	}
	photosLimit = driver.Limit{
		Name: "photos", SharedBy: "operation", Source: limitSource, Ops: []string{photos},
		Tiers: ratelimit.Tiers{{Name: "photos-hour", Requests: 50_000, Per: time.Hour}},
	}
	calendarLimit = driver.Limit{
		Name: "calendar", SharedBy: "operation", Source: limitSource, Ops: []string{calendarOp},
		Tiers: ratelimit.Tiers{{Name: "calendar-minute", Requests: 160, Per: time.Minute}},
	}
	limits = []driver.Limit{addressLimit, endpointLimit, userLimit, photosLimit, calendarLimit}
)

// Driver is one host's connection to Airbnb. Use [New]. It is safe for concurrent use.
type Driver struct {
	host    string
	history int
	api     *driver.Client
	adapt   adapter
}

var (
	_ driver.Driver            = (*Driver)(nil)
	_ driver.ResourceLister    = (*Driver)(nil)
	_ driver.ResourceGetter    = (*Driver)(nil)
	_ driver.TransactionLister = (*Driver)(nil)
	_ driver.TransactionGetter = (*Driver)(nil)
	_ driver.MediaLister       = (*Driver)(nil)
	_ driver.CalendarLister    = (*Driver)(nil)
	_ driver.CalendarPusher    = (*Driver)(nil)
	_ driver.StatusPusher      = (*Driver)(nil)
	_ driver.WebhookSource     = (*Driver)(nil)
)

// Register adds the driver to a registry.
func Register(r *driver.Registry) error {
	return r.Register(driver.Definition{
		Info: info(),
		New:  func(env driver.Env) (driver.Driver, error) { return New(env) },
	})
}

// New returns a driver for env.Integration, or an error that names everything that is wrong with it; see [ConfigOf].
// It sends nothing.
func New(env driver.Env) (*Driver, error) {
	in := env.Integration
	c, err := ConfigOf(in)
	if err != nil {
		return nil, err
	}
	session, err := c.session(env.ForTokens())
	if err != nil {
		return nil, err
	}
	// A token is the host's, whoever uses it. The key is in events and errors, where an id has no business.
	sum := sha256.Sum256([]byte(c.BaseURL + "\x00" + string(c.ClientID) + "\x00" + c.Host))
	source, err := env.Source(auth.SourceConfig{
		Key: Partner + "/" + hex.EncodeToString(sum[:8]), Exchanger: session, Store: env.Tokens,
		Origins: []string{c.origin()}, Header: "X-Airbnb-OAuth-Token",
		// Of the 1,000 an hour that /authorizations takes from all hosts of the software, one host needs no more than
		// this.
		Budget: auth.Budget{Requests: 20, Per: time.Hour},
	})
	if err != nil {
		return nil, err
	}
	set, err := env.Limits(Partner,
		driver.Charge{Limit: addressLimit},
		driver.Charge{Limit: endpointLimit, KeyOf: func(c ratelimit.Call) string { return c.Op }},
		driver.Charge{Limit: userLimit, Key: c.Host},
		driver.Charge{Limit: photosLimit}, driver.Charge{Limit: calendarLimit})
	if err != nil {
		return nil, err
	}
	api, err := env.Client(driver.ClientConfig{
		Partner:     Partner,
		Integration: in.ID,
		BaseURL:     c.BaseURL + "/v2",
		Credential:  source,
		Limiter:     set,
		// No idempotency key was seen in any client, so no write is repeated whose answer was lost.
		Retry:   retry.Policy{Classifiers: []retry.Classifier{retry.GatewayPage, dialect}},
		Header:  http.Header{"Accept": {"application/json"}, "X-Airbnb-Api-Key": {string(c.APIKey)}},
		Explain: explain,
	})
	if err != nil {
		return nil, err
	}
	return &Driver{host: c.Host, history: c.History, api: api, adapt: adapters[c.AdapterVersion]}, nil
}

func info() driver.Info {
	return driver.Info{
		Partner: Partner, Title: "Airbnb", APIVersion: "v2",
		AdapterVersions: []string{v1},
		Windowed:        []driver.Kind{driver.KindTransaction},
		Limits:          limits,
		Scopes:          []string{"vr", "messages_read", "messages_write"}, // as one client asks for, in 2019
		Credentials:     []string{credentialID, credentialSecret, credentialRefresh},
	}
}

// Info implements driver.Driver.
func (d *Driver) Info() driver.Info { return info() }

var errOtherHost = errors.New("the token is of another host than the integration's Account")

// Check implements driver.Driver: it reads the host's own user. A token of another host is an error of class Auth.
func (d *Driver) Check(ctx context.Context) error {
	const op = "users.me"
	me, err := driver.Get[user](ctx, d.api, op, "/users/me", nil)
	if err == nil && me.id() != d.host {
		return &retry.Error{
			Verdict: retry.Verdict{Class: retry.Auth, Scope: retry.Integration, Sent: retry.Answered},
			Partner: Partner, Op: op, Err: errOtherHost,
		}
	}
	return err
}
