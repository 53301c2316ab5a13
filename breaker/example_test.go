package breaker_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/retry"
)

// The breaker alone, around an http.Client that is there already.
func Example() {
	partner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer partner.Close()

	cb, err := breaker.New(breaker.Config{
		Name:     "acme",
		Key:      func(r *http.Request) string { return r.URL.Host },
		MinCalls: 3,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: cb.Wrap(partner.Client().Transport)}
	for range 4 {
		resp, err := client.Get(partner.URL)
		if errors.Is(err, breaker.ErrOpen) {
			wait := time.Until(retry.At(err))
			fmt.Println(retry.ClassOf(err), "for about", wait.Round(time.Minute))
			continue
		}
		if err != nil {
			fmt.Println(err)
			continue
		}
		_ = resp.Body.Close()
		fmt.Println(resp.Status)
	}
	// Output:
	// 503 Service Unavailable
	// 503 Service Unavailable
	// 503 Service Unavailable
	// unavailable for about 2m0s
}

// A call that is no HTTP request: ask, make it, and say how it ended.
func ExampleBreaker_Allow() {
	cb, err := breaker.New(breaker.Config{Name: "acme"})
	if err != nil {
		fmt.Println(err)
		return
	}
	call, err := cb.Allow("account-7")
	if err != nil {
		fmt.Println("come back at", retry.At(err))
		return
	}
	verdict := retry.Verdict{Class: retry.Transient, Fault: true} // until it is known better
	defer func() { call.Done(verdict) }()
	// ... make the call ...
	verdict = retry.Verdict{Class: retry.OK, Sent: retry.Answered}
	fmt.Println("made")
	// Output: made
}

// OnChange feeds metrics and alerts. It may ask the Breaker.
func ExampleConfig_onChange() {
	var cb *breaker.Breaker
	cb, err := breaker.New(breaker.Config{
		Name:     "acme",
		MinCalls: 2,
		OnChange: func(ch breaker.Change) {
			now, _ := cb.State(ch.Key)
			fmt.Printf("%s %s: %v to %v after %d faults in %d calls; now %v\n", ch.Name, ch.Key, ch.From, ch.To, ch.Faults, ch.Calls, now)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		call, err := cb.Allow("account-7")
		if err != nil {
			fmt.Println(err)
			return
		}
		call.Done(retry.Verdict{Class: retry.Transient, Fault: true})
	}
	// Output: acme account-7: closed to open after 2 faults in 2 calls; now open
}

// An operator closes the door by hand, while the partner moves its data centre, and opens it again.
func ExampleBreaker_Force() {
	cb, err := breaker.New(breaker.Config{Name: "acme"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range []breaker.State{breaker.ForcedOpen, breaker.Closed} {
		if err := cb.Force("account-7", s); err != nil {
			fmt.Println(err)
			return
		}
		_, err := cb.Allow("account-7")
		fmt.Println(s, "refuses:", errors.Is(err, breaker.ErrOpen))
	}
	// Output:
	// forced_open refuses: true
	// closed refuses: false
}
