package bookingcom

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

const sharedBy = "machine account"

// Limits that Booking.com keeps.
var (
	apiLimit = driver.Limit{
		Name: "api", SharedBy: sharedBy, Unless: []string{"reservations"},
		Tiers: ratelimit.Tiers{{Name: "minute", Requests: 75, Per: time.Minute}},
		Source: "Unverified: no table of limits is published. The lowest of the numbers in public code (75 to " +
			"700 a minute for an endpoint).",
	}
	reservationsLimit = driver.Limit{
		Name: "reservations", SharedBy: sharedBy, Ops: []string{"queue.*"},
		Tiers: ratelimit.Tiers{{Name: "concurrent", Concurrent: 1}},
		Source: "developers.booking.com, reservations API: no concurrent calls, a poll every 20 s, 5 s between " +
			"an acknowledgement and the next GET.",
	}
	tokenLimit = driver.Limit{
		Name: driver.TokenLimit, SharedBy: sharedBy,
		Tiers:  ratelimit.Tiers{{Name: "hour", Requests: 30, Per: time.Hour}},
		Source: "developers.booking.com, authentication best practices.",
	}
)

// Driver is one integration's connection to Booking.com. Use [New]. It is safe for concurrent use.
type Driver struct {
	config      Config
	integration string
	account     string // of the machine, in names of what is shared: no secret
	api         *driver.Client
	secure      *driver.Client

	mu    sync.Mutex
	acked time.Time // when an acknowledgement was answered last
}

var (
	_ driver.Driver         = (*Driver)(nil)
	_ driver.ResourceLister = (*Driver)(nil)
	_ driver.ResourceGetter = (*Driver)(nil)
	_ driver.MediaLister    = (*Driver)(nil)
	_ driver.QueueSource    = (*Driver)(nil)
	_ driver.QueueRecoverer = (*Driver)(nil)
	_ driver.CalendarPusher = (*Driver)(nil)
	_ driver.WebhookSource  = (*Driver)(nil)
)

// Register adds the driver to a registry.
func Register(r *driver.Registry) error {
	return r.Register(driver.Definition{
		Info: info(),
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
	supply, origin := in.Endpoint(SupplyURL)
	secure, secureOrigin := in.Endpoint(SecureURL)
	exchange, _ := in.Endpoint(AuthURL)
	// What is shared is shared by all with the same machine account. Its name is in events and errors, where the
	// credential has no business.
	sum := sha256.Sum256([]byte(c.BaseURL + "\x00" + string(c.ClientID) + "\x00" + string(c.Username)))
	d := &Driver{config: c, integration: in.ID, account: hex.EncodeToString(sum[:8])}
	credential, err := d.credential(env, exchange, slices.Compact([]string{origin, secureOrigin}))
	if err != nil {
		return nil, err
	}
	limits, err := env.Limits(Partner, driver.Charge{Limit: apiLimit, Key: d.account},
		driver.Charge{Limit: reservationsLimit, Key: d.account})
	if err != nil {
		return nil, err
	}
	client := func(base, accept string) (*driver.Client, error) {
		return env.Client(driver.ClientConfig{
			Partner: Partner, Integration: in.ID, BaseURL: base, Credential: credential, Limiter: limits,
			Retry:  retry.Policy{Classifiers: []retry.Classifier{dialect}, BaseDelay: 2 * time.Second},
			Header: http.Header{"Accept": {accept}}, RequestID: []string{"Ruid"}, RequestIDOf: ruid, Explain: explain,
		})
	}
	if d.api, err = client(supply, "application/json, text/xml, application/xml"); err != nil {
		return nil, err
	}
	if d.secure, err = client(secure, "text/xml, application/xml"); err != nil {
		return nil, err
	}
	return d, nil
}

// credential returns the machine account's: a token source, or legacy Basic.
func (d *Driver) credential(env driver.Env, exchange string, origins []string) (auth.Credential, error) {
	c := d.config
	if c.Username != "" {
		return auth.NewBasic(auth.BasicConfig{Username: string(c.Username), Password: c.Password, Origins: origins})
	}
	return env.Source(auth.SourceConfig{
		Key: Partner + "/" + d.account,
		Exchanger: auth.Session{
			URL:  exchange + "/token-based-authentication/exchange",
			Body: map[string]auth.Secret{credentialID: c.ClientID, credentialSecret: c.ClientSecret},
			// No lifetime is in the answer: the claims of the JWT say it (documented: an hour).
			Token: "jwt", RequestID: "ruid", Lifetime: time.Hour,
			RefusedBy: []int{http.StatusBadRequest}, // seen in a client: 400, 401 and 403 are final
			Transport: env.ForTokens(),
		},
		Store:   env.Tokens,
		Origins: origins,
		Budget:  auth.Budget{Requests: 30, Per: time.Hour},
	})
}

func info() driver.Info {
	return driver.Info{
		Partner: Partner, Title: "Booking.com",
		APIVersion:      "OTA 2003B reservations, B.XML availability 1.1, Property, Rooms and Photo APIs",
		AdapterVersions: []string{v1},
		Limits:          []driver.Limit{apiLimit, reservationsLimit, tokenLimit},
		Credentials:     slices.Clone(credentials),
	}
}

// Info implements driver.Driver. Nothing can be filtered by time of update: reservations come by a queue, the rest is
// read whole.
func (d *Driver) Info() driver.Info { return info() }

// Check implements driver.Driver by reading the values that the Property API allows.
func (d *Driver) Check(ctx context.Context) error {
	_, err := driver.Get[json.RawMessage](ctx, d.api, "property.meta", "/property-api/meta", nil)
	return err
}
