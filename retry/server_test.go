package retry_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// Failures do not cost connections: answers that are repeated are drained, and nobody closes the pool.
func TestFailuresKeepTheConnection(t *testing.T) {
	var conns, calls atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if calls.Add(1)%4 == 3 {
			w.WriteHeader(http.StatusNotFound)
		} else {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 2000))
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	hc := &http.Client{Transport: retry.Policy{BaseDelay: time.Nanosecond}.Wrap(s.Client().Transport)}
	for range 10 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL, strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := hc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); n != 2000 || err != nil {
			t.Fatal(n, err)
		}
		resp.Body.Close()
	}
	if got := conns.Load(); got != 1 {
		t.Errorf("%d connections for %d attempts, want 1", got, calls.Load())
	}
}

// One Policy serves many calls at once; each gets its own answer.
func TestConcurrentCalls(t *testing.T) {
	var seen sync.Map
	next := roundTripper(func(r *http.Request) (*http.Response, error) {
		sent, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		n, _ := seen.LoadOrStore(string(sent), new(atomic.Int64))
		switch n.(*atomic.Int64).Add(1) {
		case 1:
			return nil, io.ErrUnexpectedEOF
		case 2:
			return answer(http.StatusServiceUnavailable), nil
		}
		resp := answer(http.StatusOK)
		resp.Body = body(string(sent) + "/" + r.Header.Get("Idempotency-Key"))
		return resp, nil
	})
	var retries atomic.Int64
	budget := newBudget(t, retry.BudgetConfig{Capacity: 1e6})
	hc := &http.Client{Transport: retry.Policy{BaseDelay: time.Nanosecond, IdempotencyHeader: "Idempotency-Key", Budget: budget,
		Classifiers: []retry.Classifier{{
			PeekBody: func(*http.Response) int { return 3 },
			Classify: func(retry.Exchange) (retry.Verdict, bool) { return retry.Verdict{}, false },
		}},
		OnRetry: func(context.Context, retry.Retrying) { retries.Add(1) }}.Wrap(next)}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			id := fmt.Sprint(i)
			ctx := retry.WithIdempotencyKey(t.Context(), "key-"+id)
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://partner.example", strings.NewReader("write-"+id))
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := hc.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); string(b) != "write-"+id+"/key-"+id || err != nil {
				t.Errorf("call %d got %q, %v", i, b, err)
			}
		})
	}
	wg.Wait()
	if retries.Load() != 400 || budget.Tokens() != 1e6 {
		t.Errorf("%d repetitions, %d tokens left", retries.Load(), budget.Tokens())
	}
}
