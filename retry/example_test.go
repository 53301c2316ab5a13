package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// A policy around a client that is there already. The timeout of an attempt belongs innermost.
func ExamplePolicy_Wrap() {
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer srv.Close()

	hc := &http.Client{}
	hc.Transport = retry.Policy{BaseDelay: time.Millisecond}.Wrap(retry.AttemptTimeout(30 * time.Second).Wrap(hc.Transport))
	resp, err := hc.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, "after", calls, "calls")
	// Output: 200 OK after 3 calls
}

// A partner that answers 200 whatever happens. Only the first bytes of an answer are looked at, and only when it is JSON.
func ExampleClassifier() {
	dialect := retry.Classifier{
		PeekBody: func(resp *http.Response) int {
			if resp.StatusCode == http.StatusOK && resp.Header.Get("Content-Type") == "application/json" {
				return 64
			}
			return 0
		},
		Classify: func(x retry.Exchange) (retry.Verdict, bool) {
			if !bytes.Contains(x.Body, []byte(`"success":false`)) {
				return retry.Verdict{}, false // the rules of HTTP decide
			}
			if bytes.Contains(x.Body, []byte("slow down")) {
				return retry.Verdict{Class: retry.RateLimit, Scope: retry.Integration}, true
			}
			return retry.Verdict{Class: retry.Client}, true
		},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"success":false,"message":"unknown property"}`)
	}))
	defer srv.Close()

	ctx, _ := retry.WithAttempt(context.Background(), dialect)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	fmt.Println(retry.Judge(req, resp, err).Class)
	resp.Body.Close()
	// Output: client
}

// What a queue's worker makes of the error of any call through the kit.
func ExampleClassOf() {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	work := func(err error) string {
		switch at := retry.At(err); {
		case err == nil:
			return "done"
		case !at.IsZero():
			return "again in " + at.Sub(now).String() // the partner asked for it: no attempt is used up
		case retry.ClassOf(err) == retry.Client:
			return "give up"
		default:
			return "the queue's own retry"
		}
	}
	limited := &retry.Error{Verdict: retry.Verdict{Class: retry.RateLimit, At: now.Add(90 * time.Second)}}
	fmt.Println(work(fmt.Errorf("page 7: %w", limited)))
	fmt.Println(work(&retry.Error{Verdict: retry.Verdict{Class: retry.Client}, Status: 422}))
	fmt.Println(work(errors.New("connection reset by peer")))
	// Output:
	// again in 1m30s
	// give up
	// the queue's own retry
}

// A worker of a queue does not wait: it gives the job back until the time the partner named.
func ExampleAt() {
	// call stands for driver.Client, which turns the end of a call into an *Error.
	call := func(ctx context.Context, hc *http.Client, url string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := hc.Do(req)
		if err == nil {
			defer resp.Body.Close()
		}
		if v := retry.Judge(req, resp, err); v.Failed() {
			return &retry.Error{Verdict: v, Partner: "acme", Op: "listings.list", Err: err}
		}
		return nil
	}
	partner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer partner.Close()
	hc := &http.Client{Transport: retry.Policy{}.Wrap(partner.Client().Transport)}

	ctx := retry.WithMaxWait(context.Background(), 5*time.Second) // a longer wait is the queue's business
	err := call(ctx, hc, partner.URL)
	switch retry.ClassOf(err) {
	case retry.OK:
		fmt.Println("done")
	case retry.Transient, retry.RateLimit, retry.Unavailable:
		fmt.Println("again in", time.Until(retry.At(err)).Round(time.Minute))
	case retry.Auth:
		fmt.Println("ask the customer for new credentials")
	case retry.Client, retry.Data, retry.Canceled:
		fmt.Println("give up:", err)
	}
	// Output:
	// again in 10m0s
}

// Innermost, so that each attempt has its own time and waiting between them does not count.
func ExampleAttemptTimeout() {
	stuck := make(chan struct{})
	partner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	defer partner.Close()
	defer close(stuck)

	rt := retry.AttemptTimeout(20 * time.Millisecond).Wrap(partner.Client().Transport)
	hc := &http.Client{Transport: retry.Policy{MaxAttempts: 2, BaseDelay: time.Millisecond}.Wrap(rt)}
	resp, err := hc.Get(partner.URL)
	if err == nil {
		_ = resp.Body.Close()
		return
	}
	fmt.Println(errors.Unwrap(err)) // http.Client's error has the URL
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// retry: the attempt took longer than 20ms
	// true
}

// One budget for all calls to a partner: while it is down, repetitions soon stop.
func ExampleBudget() {
	budget, err := retry.NewBudget(retry.BudgetConfig{Capacity: 20, Cost: 5})
	if err != nil {
		fmt.Println(err)
		return
	}
	attempts := 0
	partner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		attempts++
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer partner.Close()

	policy := retry.Policy{BaseDelay: time.Millisecond, Budget: budget}
	hc := &http.Client{Transport: policy.Wrap(partner.Client().Transport)}
	for range 10 {
		resp, err := hc.Get(partner.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
	}
	fmt.Println(attempts, "attempts for 10 calls,", budget.Tokens(), "tokens left")
	// Output:
	// 14 attempts for 10 calls, 0 tokens left
}
