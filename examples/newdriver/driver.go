// Package newdriver is a driver for Harbour, an invented partner that lets berths: small enough to be read in ten minutes, and complete.
// README.md walks through it, its simulated partner (newdrivertest) and its tests; copy the folder to begin one of your own.
package newdriver

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// What a driver declares: where the partner is, what it allows, what it can filter, which credentials it takes.
const production = "https://api.harbour.example"

var limit = driver.Limit{
	Name: "api", SharedBy: "account", Source: "harbour.example/docs/limits, 2026-11",
	Tiers: ratelimit.Tiers{{Requests: 10, Per: time.Second}, {Requests: 300, Per: time.Minute}},
}

var info = driver.Info{
	Partner: "harbour", Title: "Harbour", APIVersion: "v1", AdapterVersions: []string{"v1"}, Credentials: []string{"key"},
	Incremental: []driver.Kind{driver.KindTransaction}, Limits: []driver.Limit{limit},
}

// Register adds the driver to a registry.
func Register(r *driver.Registry) error { return r.Register(driver.Definition{Info: info, New: New}) }

// Driver is the connection of one integration. Everything that limits, repeats, authorizes and measures its calls is in the client.
type Driver struct{ api *driver.Client }

// New makes a driver in an environment: its integration, and what it shares with others of the same registry.
func New(env driver.Env) (driver.Driver, error) {
	in := env.Integration
	base, origin := in.Endpoint(production)
	key, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "X-Api-Key", Key: in.Credentials["key"], Origins: []string{origin}})
	if err != nil {
		return nil, err
	}
	limiter, err := env.Limiter(info.Partner, limit, ratelimit.Options{})
	if err != nil {
		return nil, err
	}
	api, err := env.Client(driver.ClientConfig{BaseURL: base, Credential: key, Limiter: limiter, LimitKey: in.Account})
	if err != nil {
		return nil, err
	}
	return &Driver{api}, nil
}

// Info implements driver.Driver.
func (d *Driver) Info() driver.Info { return info }

// Check implements driver.Driver: the cheapest call that needs the key.
func (d *Driver) Check(ctx context.Context) error {
	_, err := driver.Get[json.RawMessage](ctx, d.api, "me", "/v1/me", nil)
	return err
}

// Resources implements driver.ResourceLister: berths, each page from where the last one ended. Paging by offset would lose rows when others go.
func (d *Driver) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	start := pagination.Start{Stream: "harbour/berths/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	key := func(r driver.Resource) string { return r.ID }
	return pagination.Keyset(ctx, start, 50, key, func(ctx context.Context, after string, limit int) (pagination.Batch[driver.Resource], error) {
		query := url.Values{"after": {after}, "limit": {strconv.Itoa(limit)}}
		page, err := driver.Get[struct {
			Berths []json.RawMessage `json:"berths" wire:"required"` // an answer without it is no empty list
		}](ctx, d.api, "berths.list", "/v1/berths", query)
		if err != nil {
			return pagination.Batch[driver.Resource]{}, err
		}
		b := berth.Each(ctx, d.api, page.Berths)
		if n := len(page.Berths); n > 0 {
			b.Next = wire.ID(page.Berths[n-1], "id") // also when that row was rejected
		}
		return b, nil
	})
}

// Transactions implements driver.TransactionLister: bookings, by the link to the next page.
func (d *Driver) Transactions(ctx context.Context, q driver.Query) pagination.Pages[driver.Transaction] {
	start := pagination.Start{Stream: "harbour/bookings/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	query := url.Values{}
	if q.ResourceID != "" {
		query.Set("berth", q.ResourceID)
	}
	if !q.UpdatedSince.IsZero() {
		query.Set("changed_since", q.UpdatedSince.UTC().Format(time.RFC3339))
	}
	if len(query) > 0 {
		start.Stream += "?" + query.Encode() // a cursor is good for the query that it came from
	}
	return pagination.Token(ctx, start, func(ctx context.Context, link string) (pagination.Batch[driver.Transaction], error) {
		path := link
		if link == "" {
			path = "/v1/bookings?" + query.Encode()
		}
		page, err := driver.Get[struct {
			Bookings []json.RawMessage `json:"bookings" wire:"required"`
			Next     string            `json:"next"`
		}](ctx, d.api, "bookings.list", path, nil)
		if err != nil {
			return pagination.Batch[driver.Transaction]{}, err
		}
		b := booking.Each(ctx, d.api, page.Bookings)
		b.Next = page.Next
		return b, nil
	})
}

// ResourcesByID implements driver.ResourceGetter, one call for each. What is not there is left out.
func (d *Driver) ResourcesByID(ctx context.Context, ids []string) pagination.Pages[driver.Resource] {
	return pagination.Token(ctx, pagination.Start{Stream: "harbour/berth/1"}, func(ctx context.Context, _ string) (pagination.Batch[driver.Resource], error) {
		var found []json.RawMessage
		for _, id := range ids {
			raw, err := driver.Get[json.RawMessage](ctx, d.api, "berths.get", driver.Path("/v1/berths/{}", id), nil)
			if errors.Is(err, driver.ErrNotFound) {
				continue
			}
			if err != nil {
				return pagination.Batch[driver.Resource]{}, err
			}
			found = append(found, raw)
		}
		return berth.Each(ctx, d.api, found), nil
	})
}
