package ratelimit_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// Around a client that exists: each request waits for its turn.
func Example() {
	hc := &http.Client{Transport: http.DefaultTransport}
	lim, err := ratelimit.New(ratelimit.Tiers{
		{Requests: 15, Per: time.Second}, {Requests: 120, Per: time.Minute}, {Requests: 5000, Per: time.Hour}, {Concurrent: 15},
	}, ratelimit.Options{Name: "guesty", Dialect: ratelimit.PerWindowHeaders})
	if err != nil {
		panic(err)
	}
	hc.Transport = lim.Wrap(hc.Transport)

	ctx := ratelimit.WithCall(context.Background(), ratelimit.Call{Key: "account-1", Priority: ratelimit.Interactive})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://open-api.guesty.com/v1/listings", nil)
	if err != nil {
		panic(err)
	}
	_ = req // hc.Do(req)
	fmt.Println(lim.Tiers())
	// Output: [15/1s 120/1m0s 5000/1h0m0s 15 in flight]
}

// Without HTTP: the permit is told what became of the call.
func ExampleLimiter_Acquire() {
	lim, err := ratelimit.New(ratelimit.Tiers{{Requests: 1, Per: time.Hour}}, ratelimit.Options{})
	if err != nil {
		panic(err)
	}
	call := func(ctx context.Context) error {
		p, err := lim.Acquire(ctx, ratelimit.Call{Key: "account-1"})
		if err != nil {
			return err
		}
		defer p.Release()
		// … send, and read the answer's header …
		p.Answered(time.Now(), http.StatusOK, nil)
		return nil
	}
	ctx := retry.WithMaxWait(context.Background(), 5*time.Second) // give the worker back rather than wait for an hour
	fmt.Println(call(ctx))
	err = call(ctx)
	fmt.Println(retry.ClassOf(err), time.Until(retry.At(err)).Round(time.Minute))
	// Output:
	// <nil>
	// rate_limit 1h0m0s
}

func ExampleTiers_Validate() {
	fmt.Println(ratelimit.Tiers{{Requests: 10}, {Concurrent: 2, Per: time.Second}}.Validate())
	// Output:
	// ratelimit: tier 0 (10/0s): Per is 0s, want more than 0 and at most 87600h0m0s
	// ratelimit: tier 1 (2 in flight): Concurrent goes with no other limit; make it a tier of its own
}

func ExampleTiers_Scale() {
	fast := ratelimit.Tiers{{Requests: 120, Per: time.Minute}}.Scale(60)
	fmt.Println(fast[0], "every", fast[0].Per)
	// Output: 120/1m0s every 1s
}

// GitHub reports one window, with its end in seconds since the Unix epoch.
func ExampleNewDialect() {
	github, err := ratelimit.NewDialect(ratelimit.LimitHeaders{
		Per: time.Hour, Limit: "X-RateLimit-Limit", Remaining: "X-RateLimit-Remaining",
		Reset: "X-RateLimit-Reset", ResetAs: ratelimit.ResetUnix,
	})
	if err != nil {
		panic(err)
	}
	lim, err := ratelimit.New(ratelimit.Tiers{{Requests: 5000, Per: time.Hour}}, ratelimit.Options{Name: "github", Dialect: github})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	p, err := lim.Acquire(ctx, ratelimit.Call{})
	if err != nil {
		panic(err)
	}
	p.Answered(time.Now(), http.StatusOK, http.Header{"X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"120"}})
	p.Release()
	u, err := lim.Usage(ctx, "") // others spend from the same quota
	fmt.Println(u.Tiers[0].Limit-u.Tiers[0].Used, "left", err)
	// Output: 120 left <nil>
}

// Two integrations share an account's quota: while calls wait, "sync" gets three turns for each of "report".
func ExampleWithCall() {
	sync := ratelimit.WithCall(context.Background(), ratelimit.Call{Key: "account-1", Tenant: "sync", Weight: 3})
	report := ratelimit.WithCall(context.Background(), ratelimit.Call{Key: "account-1", Tenant: "report"})
	for _, ctx := range []context.Context{sync, report} {
		c := ratelimit.CallFrom(ctx)
		fmt.Println(c.Key, c.Tenant, c.Weight)
	}
	// Output:
	// account-1 sync 3
	// account-1 report 0
}
