package integrationkit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// The five leaves around one client. Each can be used alone.
func Example() {
	store := auth.NewMemoryStore()
	id, secret := "our-id", auth.Secret("our-secret")

	// Around a client you have: outermost retry, then credentials, limiter, breaker.
	lim, err := ratelimit.New(ratelimit.Tiers{ // all tiers admit a call, or none is spent
		{Requests: 15, Per: time.Second},
		{Requests: 120, Per: time.Minute},
		{Requests: 5000, Per: time.Hour},
		{Concurrent: 15},
	}, ratelimit.Options{Dialect: ratelimit.PerWindowHeaders})
	if err != nil {
		panic(err)
	}
	src, err := auth.NewSource(auth.SourceConfig{ // refreshed early, once, and stored before it is used
		Key: "acme/account-7", Store: store, Origins: []string{"https://api.acme.example"},
		Exchanger: auth.ClientCredentials{TokenURL: "https://api.acme.example/oauth2/token", ClientID: id, ClientSecret: secret},
		Budget:    auth.Budget{Requests: 5, Per: 24 * time.Hour},
	})
	if err != nil {
		panic(err)
	}
	cb, err := breaker.New(breaker.Config{})
	if err != nil {
		panic(err)
	}
	hc := &http.Client{Transport: retry.Policy{}.Wrap(src.Wrap(lim.Wrap(cb.Wrap(nil))))}

	_, err = hc.Get("https://api.elsewhere.example/") // credentials go to the declared origins only
	fmt.Println(errors.Is(err, auth.ErrOrigin), lim.Tiers()[1])
	_ = src.Close()
	// Output: true 120/1m0s
}

// What a worker of a host's queue does with one integration: a whole account into the host's store, each record once,
// from where the last run stopped.
func Example_worker() {
	worker := func(ctx context.Context, reg *driver.Registry, in driver.Integration, store importer.Store) (next time.Time, err error) {
		ctx = retry.WithMaxWait(ctx, 5*time.Second) // no worker waits inside for longer
		d, err := reg.OpenIntegration(ctx, in)
		if err != nil {
			return time.Time{}, err
		}
		res, err := importer.Run(ctx, importer.Config{Driver: d, Integration: in, Store: store})
		if at := retry.At(err); !at.IsZero() {
			return at, nil // the time to come back at: the limit, an open circuit, the partner's own Retry-After
		}
		_ = res.Counts().Added
		return time.Time{}, err
	}

	reg := driver.NewRegistry(driver.Options{})
	if err := guesty.Register(reg); err != nil {
		panic(err)
	}
	_, err := worker(context.Background(), reg, driver.Integration{ID: "integration-17", Partner: "guesty"}, importer.NewMemory())
	fmt.Println(err != nil)
	// Output: true
}
