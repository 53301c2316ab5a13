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
		p.Answered(http.StatusOK, nil)
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
	p.Answered(http.StatusOK, http.Header{"X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"120"}})
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

// A partner that limits the application as a whole, each account, and one endpoint more than the others.
func ExampleSet() {
	limiter := func(name string, tiers ...ratelimit.Tier) *ratelimit.Limiter {
		l, err := ratelimit.New(tiers, ratelimit.Options{Name: name})
		if err != nil {
			panic(err)
		}
		return l
	}
	set, err := ratelimit.NewSet(
		ratelimit.Rule{
			Name: "application", Limiter: limiter("acme/application", ratelimit.Tier{Requests: 200, Per: 10 * time.Second}),
			Key: func(ratelimit.Call) string { return "" }, Scope: retry.Partner,
		},
		ratelimit.Rule{Name: "account", Limiter: limiter("acme/account", ratelimit.Tier{Requests: 2000, Per: time.Hour})},
		ratelimit.Rule{Name: "messages", Limiter: limiter("acme/messages", ratelimit.Tier{Requests: 50, Per: time.Minute}), Ops: []string{"POST /messages"}},
	)
	if err != nil {
		panic(err)
	}
	_ = set.Wrap(http.DefaultTransport) // charges requests by method and path; without HTTP a call says what it is:
	ctx := context.Background()
	c := ratelimit.Call{Key: "account-1", Op: "POST /messages", Cost: 3}
	p, err := set.Acquire(ctx, c) // all admit it, or none spends anything
	if err != nil {
		panic(err)
	}
	p.Answered(http.StatusOK, nil)
	p.Release()
	usage, err := set.Usage(ctx, c)
	if err != nil {
		panic(err)
	}
	for _, u := range usage {
		fmt.Printf("%s %q: %d of %d\n", u.Rule, u.Key, u.Tiers[0].Used, u.Tiers[0].Limit)
	}
	fmt.Println("GET /listings:", set.Rules(ratelimit.Call{Op: "GET /listings"}))
	// Output:
	// application "": 3 of 200
	// account "account-1": 3 of 2000
	// messages "account-1": 3 of 50
	// GET /listings: [application account]
}

// A reserve for people where a Quota counts: all others are held to a smaller limit besides.
func ExampleRule() {
	limiter := func(requests int64) *ratelimit.Limiter {
		tiers := ratelimit.Tiers{{Requests: requests, Per: time.Minute}}
		quota, err := ratelimit.NewMemory(tiers) // or redisstore.New, for several processes
		if err != nil {
			panic(err)
		}
		l, err := ratelimit.New(tiers, ratelimit.Options{Quota: quota, MaxWait: -1})
		if err != nil {
			panic(err)
		}
		return l
	}
	set, err := ratelimit.NewSet(
		ratelimit.Rule{Name: "account", Limiter: limiter(120)},
		ratelimit.Rule{
			Name: "but people", Limiter: limiter(96),
			Priorities: []ratelimit.Priority{ratelimit.FollowUp, ratelimit.Scheduled, ratelimit.Background},
		},
	)
	if err != nil {
		panic(err)
	}
	spend := func(p ratelimit.Priority) (n int) {
		for {
			permit, err := set.Acquire(context.Background(), ratelimit.Call{Priority: p})
			if err != nil {
				return n
			}
			permit.Answered(http.StatusOK, nil)
			permit.Release()
			n++
		}
	}
	fmt.Println("an import:", spend(ratelimit.Scheduled))
	fmt.Println("people:", spend(ratelimit.Interactive))
	// Output:
	// an import: 96
	// people: 24
}

// What can never be charged is an error, and not silently without a limit.
func ExampleNewSet() {
	tiers := ratelimit.Tiers{{Requests: 50, Per: time.Minute}}
	messages, err := ratelimit.New(tiers, ratelimit.Options{})
	if err != nil {
		panic(err)
	}
	rest, err := ratelimit.New(tiers, ratelimit.Options{})
	if err != nil {
		panic(err)
	}
	_, err = ratelimit.NewSet(
		ratelimit.Rule{Name: "messages", Limiter: messages, Ops: []string{"messages.*"}, Cost: 51},
		ratelimit.Rule{Name: "default", Limiter: rest, Ops: []string{"messages.list", "threads"}, Unless: []string{"messages", "treads"}},
	)
	fmt.Println(err)
	// Output:
	// ratelimit: rule 0 (messages): Cost 51 is above the limit of tier 50/1m0s
	// ratelimit: rule default: Unless names no rule: "treads"
	// ratelimit: rule default: "messages.list" is never charged here, because of messages
}
