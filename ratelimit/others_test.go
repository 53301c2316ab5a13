package ratelimit_test

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// counting is a partner that counts strictly, reports what is left, and has another client on the same quota.
type counting struct {
	mu       sync.Mutex
	limit    int
	per      time.Duration
	arrivals []time.Time
	ours, no int
	mute     bool
	r        *rand.Rand
}

// wait is what a request spends on its way.
func (c *counting) wait() {
	c.mu.Lock()
	d := time.Duration(c.r.IntN(100)) * time.Millisecond
	c.mu.Unlock()
	time.Sleep(d)
}

// arrive counts a request, and returns whether it is admitted and what is left.
// The other client's are counted even when they are refused, so that ours cannot crowd it out.
func (c *counting) arrive(other bool) (ok bool, left, limit int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for len(c.arrivals) > 0 && now.Sub(c.arrivals[0]) >= c.per {
		c.arrivals = c.arrivals[1:]
	}
	if ok = len(c.arrivals) < c.limit; ok || other {
		c.arrivals = append(c.arrivals, now)
	}
	return ok, max(0, c.limit-len(c.arrivals)), c.limit
}

func (c *counting) RoundTrip(req *http.Request) (*http.Response, error) {
	c.wait()
	ok, left, limit := c.arrive(false)
	c.wait()
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}
	if !c.mute {
		resp.Header = http.Header{"X-Limit": {strconv.Itoa(limit)}, "X-Remaining": {strconv.Itoa(left)}}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ours++; !ok {
		c.ours--
		c.no++
		resp.StatusCode = http.StatusTooManyRequests
	}
	return resp, nil
}

func (c *counting) take() (ours, no int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ours, no = c.ours, c.no
	c.ours, c.no = 0, 0
	return ours, no
}

// Another client spends from the same quota, steadily or in bursts: what is left to us is used, with few refusals, and nothing is lost to
// caution when we are alone.
func TestBesideAnotherClient(t *testing.T) {
	dialect, err := ratelimit.NewDialect(ratelimit.LimitHeaders{Per: time.Minute, Limit: "X-Limit", Remaining: "X-Remaining"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		other   func(p *counting, until time.Time) // what the other client does
		share   float64                            // that is left to us
		refused float64                            // the most of what we send
		least   float64                            // of our share that we get
		mute    bool
	}{
		{"alone", nil, 1, 0, 0.97, false},
		{"alone, and no headers", nil, 1, 0, 0.97, true},
		{"steady", func(p *counting, until time.Time) {
			for time.Now().Before(until) {
				p.arrive(true)
				time.Sleep(time.Second)
			}
		}, 0.5, 0.02, 0.75, false},
		{"bursts", func(p *counting, until time.Time) {
			for time.Now().Before(until) {
				for range 30 {
					p.arrive(true)
				}
				time.Sleep(time.Minute)
			}
		}, 0.75, 0.02, 0.8, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, ratelimit.Options{Dialect: dialect}, ratelimit.Tier{Requests: 120, Per: time.Minute})
				p := &counting{limit: 120, per: time.Minute, mute: c.mute, r: rand.New(rand.NewPCG(1, 1))}
				const minutes = 30
				var wg sync.WaitGroup
				if c.other != nil {
					wg.Go(func() { c.other(p, time.Now().Add((minutes+5)*time.Minute)) })
				}
				press(12, 2*time.Minute, l.Wrap(p))
				p.take()
				press(12, minutes*time.Minute, l.Wrap(p))
				ours, no := p.take()
				wg.Wait()
				t.Logf("%d admitted, %d refused", ours, no)
				if want := c.least * c.share * 120 * minutes; float64(ours) < want {
					t.Errorf("%d of our calls went through, want %.0f", ours, want)
				}
				if float64(no) > c.refused*float64(ours) {
					t.Errorf("%d were refused beside %d", no, ours)
				}
			})
		})
	}
}

// A report while calls are in flight: once others are seen to spend, those are taken as not yet counted.
func TestReportsWhileCallsAreInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialect, err := ratelimit.NewDialect(ratelimit.LimitHeaders{Per: time.Minute, Limit: "X-Limit", Remaining: "X-Remaining"})
		if err != nil {
			t.Fatal(err)
		}
		l := newLimiter(t, ratelimit.Options{Dialect: dialect}, ratelimit.Tier{Requests: 100, Per: time.Minute})
		var ps []ratelimit.Permit
		acquire := func(n int) {
			for range n {
				p, err := l.Acquire(t.Context(), ratelimit.Call{Priority: ratelimit.Interactive})
				if err != nil {
					t.Fatal(err)
				}
				ps = append(ps, p)
			}
		}
		answer := func(limit, remaining int) {
			t.Helper()
			ps[0].Answered(200, http.Header{"X-Limit": {strconv.Itoa(limit)}, "X-Remaining": {strconv.Itoa(remaining)}})
			ps[0].Release()
			ps = ps[1:]
		}
		left := func(want int64) {
			t.Helper()
			u, err := l.Usage(t.Context(), "")
			if err != nil || u.Tiers[0].Limit-u.Tiers[0].Used != want {
				t.Errorf("%d left of %d (%v), want %d", u.Tiers[0].Limit-u.Tiers[0].Used, u.Tiers[0].Limit, err, want)
			}
		}
		acquire(7)
		answer(100, 95) // 5 gone: ours. Nobody else.
		left(93)
		acquire(1)
		answer(100, 10) // others spent
		left(4)         // 10, and 6 of ours may still arrive
		acquire(1)
		answer(40, 8)
		left(2)
		time.Sleep(time.Minute + time.Second)
		acquire(1)
		answer(100, 97) // the quota is raised again, and all that is left in flight may have been counted
		left(93)
	})
}
