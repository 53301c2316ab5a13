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
