package guesty

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
	"github.com/integrationkit/integrationkit/webhook"
)

// Limits that Guesty keeps.
var (
	apiLimit = driver.Limit{
		Name: "api", SharedBy: "account",
		Tiers: ratelimit.Tiers{
			{Name: "second", Requests: 15, Per: time.Second},
			{Name: "minute", Requests: 120, Per: time.Minute},
			{Name: "hour", Requests: 5000, Per: time.Hour},
			{Name: "concurrent", Concurrent: 15},
		},
		Source: "open-api-docs.guesty.com, rate limits, 2026-05. Unverified: 15 at once (seen in " +
			"karlgrey/guesty-calendar-app), and that the account shares them.",
	}
	tokenLimit = driver.Limit{
		Name: driver.TokenLimit, SharedBy: "client id",
		Tiers:  ratelimit.Tiers{{Name: "day", Requests: 5, Per: 24 * time.Hour}},
		Source: "open-api-docs.guesty.com, authentication, 2026-05.",
	}
)

// Driver is one integration's connection to Guesty. Use [New]. It is safe for concurrent use.
type Driver struct {
	family   Family
	calendar Calendar
	api      *driver.Client
	adapt    adapter
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
	_ driver.WebhookRegistrar  = (*Driver)(nil)
	_ webhook.SecretFetcher    = (*Driver)(nil)
)

// Register adds the driver to a registry.
func Register(r *driver.Registry) error {
	return r.Register(driver.Definition{
		Info: info(V3),
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
	_, origin := in.Endpoint(DefaultBaseURL)
	// The quota is the client id's, whoever uses it. The key is in events and errors, where an id has no business.
	sum := sha256.Sum256([]byte(c.BaseURL + "\x00" + string(c.ClientID)))
	source, err := env.Source(auth.SourceConfig{
		Key: Partner + "/" + hex.EncodeToString(sum[:8]),
		Exchanger: auth.ClientCredentials{
			TokenURL:     c.BaseURL + "/oauth2/token",
			ClientID:     string(c.ClientID),
			ClientSecret: c.ClientSecret,
			Scopes:       []string{"open-api"},
			Transport:    env.ForTokens(),
		},
		Store:   env.Tokens,
		Origins: []string{origin},
		Budget:  auth.Budget{Requests: 5, Per: 24 * time.Hour},
	})
	if err != nil {
		return nil, err
	}
	// What is left of the quota is in every answer's headers: after a restart of which no state was kept, one call
	// asks.
	limiter, err := env.Limiter(Partner, apiLimit, ratelimit.Options{Dialect: ratelimit.PerWindowHeaders,
		ColdStart: ratelimit.Probe})
	if err != nil {
		return nil, err
	}
	account := c.Account
	if account == "" {
		account = in.ID
	}
	api, err := env.Client(driver.ClientConfig{
		Partner:     Partner,
		Integration: in.ID,
		BaseURL:     c.BaseURL + "/v1",
		Credential:  source,
		Limiter:     limiter,
		LimitKey:    account,
		// No endpoint takes an idempotency key: a POST whose answer was lost is not repeated. The other writes set
		// states.
		Retry:     retry.Policy{Classifiers: []retry.Classifier{retry.GatewayPage, dialect}},
		Header:    http.Header{"Accept": {"application/json"}},
		RequestID: requestIDs,
		Explain:   explain,
	})
	if err != nil {
		return nil, err
	}
	return &Driver{family: c.Reservations, calendar: c.Calendar, api: api, adapt: adapters[c.AdapterVersion]}, nil
}

func info(f Family) driver.Info {
	i := driver.Info{
		Partner: Partner, Title: "Guesty", APIVersion: "Open API v1",
		AdapterVersions: []string{v1},
		Limits:          []driver.Limit{apiLimit, tokenLimit},
		Scopes:          []string{"open-api"},
		Credentials:     []string{credentialID, credentialSecret},
	}
	if f == Classic {
		// By lastUpdatedAt, as seen in client code. Listings have no documented filter, v3 has none.
		i.Incremental = []driver.Kind{driver.KindTransaction}
	}
	return i
}

// Info implements driver.Driver. What can be filtered by time of update depends on the integration's [Family].
func (d *Driver) Info() driver.Info { return info(d.family) }

// Check implements driver.Driver by reading the account.
func (d *Driver) Check(ctx context.Context) error {
	_, err := driver.Get[json.RawMessage](ctx, d.api, "accounts.me", "/accounts/me", nil)
	return err
}
