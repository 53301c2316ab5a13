package redisstore_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/internal/services"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// counting is a partner that counts in a sliding window, reports what is left, and has another client on the same quota.
type counting struct {
	limit int
	per   time.Duration

	mu       sync.Mutex
	arrivals []time.Time
	ours, no int
}

// arrive counts a request. The other client's are counted even when they are refused, so that ours cannot crowd it out.
func (c *counting) arrive(other bool) (ok bool, left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for len(c.arrivals) > 0 && now.Sub(c.arrivals[0]) >= c.per {
		c.arrivals = c.arrivals[1:]
	}
	if ok = len(c.arrivals) < c.limit; ok || other {
		c.arrivals = append(c.arrivals, now)
	}
	switch {
	case other:
	case ok:
		c.ours++
	default:
		c.no++
	}
	return ok, max(0, c.limit-len(c.arrivals))
}

// RoundTrip implements http.RoundTripper: a request takes up to 5 ms on its way, and so does its answer.
func (c *counting) RoundTrip(req *http.Request) (*http.Response, error) {
	time.Sleep(rand.N(5 * time.Millisecond))
	ok, left := c.arrive(false)
	time.Sleep(rand.N(5 * time.Millisecond))
	resp := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}
	resp.Header = http.Header{"X-Limit": {strconv.Itoa(c.limit)}, "X-Remaining": {strconv.Itoa(left)}}
	if !ok {
		resp.StatusCode = http.StatusTooManyRequests
		resp.Header.Set("Retry-After", "0")
	}
	return resp, nil
}

// Two processes share a quota with a client that is not ours: what is left to us is used, with few refusals.
func TestBesideAnotherClient(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds of Redis' time")
	}
	t.Parallel()
	const limit, per, windows = 100, time.Second, 10
	tier := ratelimit.Tier{Requests: limit, Per: per}
	dialect, err := ratelimit.NewDialect(ratelimit.LimitHeaders{Per: per, Limit: "X-Limit", Remaining: "X-Remaining"})
	if err != nil {
		t.Fatal(err)
	}
	server := services.Redis(t)
	partner := &counting{limit: limit, per: per}
	ctx, cancel := context.WithTimeout(t.Context(), windows*per)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { // takes half, evenly
		tick := time.NewTicker(2 * per / limit)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				partner.arrive(true)
			case <-ctx.Done():
				return
			}
		}
	})
	for range 2 {
		q := begun(t, client(t, server.Addr), ratelimit.Tiers{tier}, redisstore.Options{})
		l, err := ratelimit.New(ratelimit.Tiers{tier}, ratelimit.Options{Quota: q, Dialect: dialect})
		if err != nil {
			t.Fatal(err)
		}
		rt := l.Wrap(partner)
		for range 8 {
			wg.Go(func() {
				for ctx.Err() == nil {
					req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://partner.test/", nil)
					if err != nil {
						t.Error(err)
						return
					}
					if resp, err := rt.RoundTrip(req); err == nil {
						_ = resp.Body.Close()
					}
				}
			})
		}
	}
	wg.Wait()
	t.Logf("%d admitted, %d refused", partner.ours, partner.no)
	if want := 0.6 * limit / 2 * (windows - 1); float64(partner.ours) < want {
		t.Errorf("%d of our calls went through, want %.0f", partner.ours, want)
	}
	if partner.no > partner.ours/10 {
		t.Errorf("%d were refused beside %d", partner.no, partner.ours)
	}
}
