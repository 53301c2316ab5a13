package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// api is a partner in memory.
type api func(*http.Request) (*http.Response, error)

func (f api) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func answers(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}")), Request: req}, nil
}

func fetch(ctx context.Context, hc *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.acme.example/things", nil)
	if err != nil {
		return err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// A handful of integrations: one limiter around the client that exists. A call that would wait for longer than its
// worker may is given back with the time to come back at.
func Example_handful() {
	lim, err := ratelimit.New(ratelimit.Tiers{{Requests: 2, Per: time.Hour}}, ratelimit.Options{Name: "acme"})
	if err != nil {
		panic(err)
	}
	hc := &http.Client{Transport: lim.Wrap(api(answers))} // lim.Wrap(http.DefaultTransport)

	ctx := retry.WithMaxWait(context.Background(), 5*time.Second)
	for range 3 {
		err := fetch(ctx, hc)
		if at := retry.At(err); !at.IsZero() {
			fmt.Println("come back in", time.Until(at).Round(time.Minute))
			continue
		}
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
	// come back in 1h0m0s
}

// Tens of accounts, each with a quota of its own: one limiter, and a key for each account. What was spent is kept, so
// that a restart does not spend it again.
func Example_tens() {
	store := &memState{} // sqlstore.Open(…) in a service
	open := func() *ratelimit.Limiter {
		lim, err := ratelimit.New(ratelimit.Tiers{{Requests: 3, Per: time.Hour}}, ratelimit.Options{
			Name: "acme", State: store, MaxWait: 5 * time.Second,
		})
		if err != nil {
			panic(err)
		}
		return lim
	}
	call := func(lim *ratelimit.Limiter, account string) error {
		ctx := ratelimit.WithCall(context.Background(), ratelimit.Call{Key: account})
		return fetch(ctx, &http.Client{Transport: lim.Wrap(api(answers))})
	}
	lim := open()
	for range 3 {
		if err := call(lim, "account-1"); err != nil {
			fmt.Println(err)
		}
	}
	if err := lim.Close(context.Background()); err != nil { // as the process ends
		fmt.Println(err)
	}
	lim = open()
	fmt.Println("account-1:", retry.ClassOf(call(lim, "account-1")))
	fmt.Println("account-2:", call(lim, "account-2"))
	// Output:
	// account-1: rate_limit
	// account-2: <nil>
}

// Hundreds of integrations on one quota: they take turns, so that one with a long backlog delays another's only call by
// one; what people wait for goes first; and the line has an end.
func Example_hundreds() {
	lim, err := ratelimit.New(ratelimit.Tiers{{Requests: 1, Per: 5 * time.Millisecond}}, ratelimit.Options{
		Name: "acme", MaxWaiting: 22,
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	first, err := lim.Acquire(ctx, ratelimit.Call{Tenant: "import"}) // until it ends, all others wait
	if err != nil {
		panic(err)
	}
	var order []string // written by one at a time: the next is admitted when this one has its answer
	var wg sync.WaitGroup
	wait := func(c ratelimit.Call) {
		u, err := lim.Usage(ctx, "")
		if err != nil {
			panic(err)
		}
		before := u.Waiting
		wg.Go(func() {
			p, err := lim.Acquire(ctx, c)
			if err != nil {
				panic(err)
			}
			order = append(order, c.Tenant)
			p.Answered(http.StatusOK, nil)
			p.Release()
		})
		for ; u.Waiting == before; u, err = lim.Usage(ctx, "") {
			if err != nil {
				panic(err)
			}
			runtime.Gosched()
		}
	}
	for range 20 {
		wait(ratelimit.Call{Tenant: "import"})
	}
	wait(ratelimit.Call{Tenant: "report"})
	wait(ratelimit.Call{Tenant: "person", Priority: ratelimit.Interactive})
	if _, err := lim.Acquire(ctx, ratelimit.Call{Tenant: "import"}); errors.Is(err, ratelimit.ErrTooManyWaiting) {
		fmt.Println("the line is full:", retry.ClassOf(err))
	}
	first.Release()
	wg.Wait()
	fmt.Println(order[:5])
	// Output:
	// the line is full: rate_limit
	// [person import report import import]
}
