package ratelimit_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// Callers whose patience ends, limiters that are parked or closed: a call learns of it wherever it stands in line.
func TestSetRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, acct := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 1, Per: time.Second}), newLimiter(t, ratelimit.Options{Name: "acct"}, ratelimit.Tier{Requests: 1, Per: time.Minute})
		set := newSet(t, ratelimit.Rule{Name: "app", Limiter: app}, ratelimit.Rule{Name: "account", Limiter: acct})
		p, err := set.Acquire(t.Context(), ratelimit.Call{})
		if err != nil {
			t.Fatal(err)
		}
		p.Answered(200, nil)
		p.Release()
		start := time.Now()
		_, err = set.Acquire(retry.WithMaxWait(t.Context(), 30*time.Second), ratelimit.Call{})
		if e, ok := errors.AsType[*retry.Error](err); !ok || !e.At.Equal(start.Add(time.Minute)) || !strings.Contains(err.Error(), "account 1/1m0s") || time.Since(start) != 0 {
			t.Errorf("refused after %v: %v until %v", time.Since(start), err, retry.At(err))
		}
		done := make(chan error, 1)
		wait := func() {
			go func() {
				_, err := set.Acquire(retry.WithMaxWait(t.Context(), 2*time.Minute), ratelimit.Call{}) // stands in the account's line
				done <- err
			}()
			synctest.Wait()
		}
		wait()
		if u, err := app.Usage(t.Context(), ""); err != nil || u.Waiting != 1 {
			t.Errorf("%d wait for the application (%v), want 1", u.Waiting, err)
		}
		until := time.Now().Add(time.Hour)
		if err := app.Park(t.Context(), "", until); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !retry.At(err).Equal(until) || time.Since(start) != 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if err := app.Park(t.Context(), "", time.Time{}); err != nil {
			t.Fatal(err)
		}
		wait()
		if err := app.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, ratelimit.ErrClosed) || time.Since(start) != 0 {
			t.Errorf("after %v: %v, want that it is closed", time.Since(start), err)
		}
		if u, err := acct.Usage(t.Context(), ""); err != nil || u.Waiting != 0 || u.Tiers[0].Used != 1 {
			t.Errorf("left behind: %+v, %v", u, err)
		}
	})
}

// A 429 parks what it is about.
func TestSetParks(t *testing.T) {
	remaining, err := ratelimit.NewDialect(ratelimit.LimitHeaders{Per: time.Hour, Limit: "X-Limit", Remaining: "X-Remaining"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		scope  retry.Scope
		header http.Header
		want   string
	}{
		{"endpoint", retry.Endpoint, nil, "messages"},
		{"integration", retry.Integration, nil, "account"},
		{"not said", retry.Request, nil, "account"},
		{"partner", retry.Partner, nil, "app"},
		{"credential: no rule covers just that", retry.Credential, nil, "account"},
		{"the headers tell", retry.Partner, http.Header{"X-Limit": {"50"}, "X-Remaining": {"0"}}, "messages"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hourly := ratelimit.Tier{Requests: 50, Per: time.Hour}
				limiters := map[string]*ratelimit.Limiter{
					"app": newLimiter(t, ratelimit.Options{}, hourly), "account": newLimiter(t, ratelimit.Options{}, hourly),
					"messages": newLimiter(t, ratelimit.Options{Dialect: remaining}, hourly),
				}
				set := newSet(t,
					ratelimit.Rule{Name: "app", Limiter: limiters["app"], Scope: retry.Partner},
					ratelimit.Rule{Name: "account", Limiter: limiters["account"]},
					ratelimit.Rule{Name: "messages", Limiter: limiters["messages"], Ops: []string{"POST /messages/{id}"}},
				)
				at := time.Now().Add(10 * time.Minute)
				ctx, _ := retry.WithAttempt(t.Context(), retry.Classifier{Classify: func(retry.Exchange) (retry.Verdict, bool) {
					return retry.Verdict{Class: retry.RateLimit, Scope: c.scope}, true
				}})
				rt := set.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
					h := http.Header{"Retry-After": {"600"}}
					for k, v := range c.header {
						h[k] = v
					}
					return &http.Response{StatusCode: 429, Header: h, Body: http.NoBody, Request: req}, nil
				}))
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://acme.test/messages/7", nil)
				resp, err := rt.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				for name, l := range limiters {
					u, err := l.Usage(t.Context(), "")
					if err != nil || u.Tiers[0].Used != 1 && name != "messages" {
						t.Errorf("%s: %+v, %v", name, u, err)
					}
					if parked := u.ParkedUntil.Equal(at); parked != (name == c.want) {
						t.Errorf("%s is parked until %v", name, u.ParkedUntil)
					}
				}
			})
		})
	}
}
