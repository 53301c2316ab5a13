package retry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// The timer ends when the body does, closed or not, and at once when there is none.
func TestAttemptTimeoutOfBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent context.Context
		inner := body("abc")
		resp, err := retry.AttemptTimeout(time.Minute).Wrap(roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = r.Context()
			return &http.Response{StatusCode: http.StatusOK, Body: inner}, nil
		})).RoundTrip(request(t, "GET", nil))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "abc" || err != nil || sent.Err() == nil {
			t.Errorf("read %q, %v; the timer ended %v", b, err, sent.Err() != nil)
		}
		if resp.Body.Close(); inner.closed != 1 {
			t.Errorf("closed %d times", inner.closed)
		}
		for name, b := range map[string]io.ReadCloser{"NoBody": http.NoBody, "nil": nil} {
			resp, err := retry.AttemptTimeout(time.Minute).Wrap(roundTripper(func(r *http.Request) (*http.Response, error) {
				sent = r.Context()
				return &http.Response{StatusCode: http.StatusNoContent, Body: b}, nil
			})).RoundTrip(request(t, "GET", nil))
			if err != nil || sent.Err() == nil || resp.Body != b {
				t.Errorf("%s: %v, timer ended %v, body %v", name, err, sent.Err() != nil, resp.Body)
			}
		}
		// and with a failure
		_, err = retry.AttemptTimeout(time.Minute).Wrap(roundTripper(func(r *http.Request) (*http.Response, error) { //nolint:bodyclose // none
			sent = r.Context()
			return nil, io.ErrUnexpectedEOF
		})).RoundTrip(request(t, "GET", nil))
		if err != io.ErrUnexpectedEOF || sent.Err() == nil { //nolint:errorlint // the very same
			t.Errorf("got %v, timer ended %v", err, sent.Err() != nil)
		}
		// a failure that is not ours stays what it is
		cut := errors.New("cut")
		resp, err = retry.AttemptTimeout(time.Minute).Wrap(roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = r.Context()
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(readerFunc(func([]byte) (int, error) { return 0, cut }))}, nil
		})).RoundTrip(request(t, "GET", nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = resp.Body.Read(make([]byte, 1)); err != cut || sent.Err() == nil { //nolint:errorlint // the very same
			t.Errorf("got %v, timer ended %v", err, sent.Err() != nil)
		}
		resp.Body.Close()
	})
}

// Each attempt has its own time, a timed out one is repeated, and costs the budget what a timeout costs.
func TestAttemptTimeoutInTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		next := roundTripper(func(r *http.Request) (*http.Response, error) {
			header := time.Minute
			if n++; n == 3 {
				header = 4 * time.Second
			}
			select {
			case <-time.After(header):
				return answer(204), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		budget := newBudget(t, retry.BudgetConfig{Capacity: 25})
		var verdicts []retry.Retrying
		policy := retry.Policy{Budget: budget, OnRetry: func(_ context.Context, r retry.Retrying) { verdicts = append(verdicts, r) }}
		began := time.Now()
		resp, err := policy.Wrap(retry.AttemptTimeout(5 * time.Second).Wrap(next)).RoundTrip(request(t, "GET", nil))
		if err != nil || n != 3 || len(verdicts) != 2 {
			t.Fatalf("%v after %d attempts", err, n)
		}
		resp.Body.Close()
		if got, want := time.Since(began), 14*time.Second+verdicts[0].Wait+verdicts[1].Wait; got != want {
			t.Errorf("took %v, want %v", got, want)
		}
		if budget.Tokens() != 25 || verdicts[0].Verdict.Class != retry.Transient || !verdicts[0].Verdict.Fault {
			t.Errorf("%d tokens, %+v", budget.Tokens(), verdicts)
		}
	})
}
