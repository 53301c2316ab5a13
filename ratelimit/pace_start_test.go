package ratelimit_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// A pace that begins far below what the partner takes doubles until the first refusal, and then goes up step by step; so does one that several
// processes share.
func TestAPaceFromFarBelow(t *testing.T) {
	stated := ratelimit.Tier{Requests: 1000, Per: time.Minute}
	o := ratelimit.Options{Adaptive: &ratelimit.Adaptive{Start: 0.01}}
	check := func(t *testing.T, ls ...*ratelimit.Limiter) {
		partner := &silent{limit: 120, per: time.Minute}
		var rts []http.RoundTripper
		for _, l := range ls {
			rts = append(rts, l.Wrap(partner))
		}
		before := 0.01
		for minute := range 4 { // 10, 20, 40, 80 a minute
			pressNoLonger(20, time.Minute, rts...)
			u, err := ls[0].Usage(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			pace := float64(u.Tiers[0].Limit) / float64(stated.Requests) // a process may not know yet what another has learnt
			if pace > 2.01*before {
				t.Errorf("minute %d: the pace went from %v to %v, want twice at most", minute, before, pace)
			}
			before = pace
		}
		if _, no := partner.counts(); before < 0.08 || no != 0 {
			t.Errorf("after 4 minutes the pace is %v with %d refused, want 0.08 and none", before, no)
		}
		press(20, 4*time.Minute, ls[0].Wrap(partner))
		_, no := partner.counts()
		if no == 0 || no > 60 {
			t.Errorf("%d were refused, want the first of one burst", no)
		}
		press(20, time.Minute, ls[0].Wrap(partner))
		u, err := ls[0].Usage(t.Context(), "")
		if err != nil || u.Pace < 0.05 || u.Pace > 0.13 {
			t.Errorf("the pace is %v (%v), want about 0.1: it goes up step by step", u.Pace, err)
		}
	}
	inBoth(t, func(t *testing.T, open opener) { check(t, open(o, stated)) })
	t.Run("two processes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m, err := ratelimit.NewMemory(ratelimit.Tiers{stated})
			if err != nil {
				t.Fatal(err)
			}
			o := o
			o.Quota = shared{m}
			check(t, newLimiter(t, o, stated), newLimiter(t, o, stated))
		})
	})
}

// pressNoLonger is press whose callers are gone in the end: none waits on.
func pressNoLonger(callers int, d time.Duration, rts ...http.RoundTripper) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://acme.test/", nil)
				resp, err := rts[i%len(rts)].RoundTrip(req)
				if err != nil {
					time.Sleep(time.Second) // there is no room in time
					continue
				}
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
}

// A restart goes on doubling where nobody was refused before it, and step by step where somebody was.
func TestAPaceThatDoublesAcrossARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stated := ratelimit.Tier{Requests: 1000, Per: time.Minute}
		o := ratelimit.Options{Name: "acme", State: &memState{}, Adaptive: &ratelimit.Adaptive{Start: 0.01}}
		partner := &silent{limit: 120, per: time.Minute}
		// run presses for some minutes as a new process, and returns the pace before and after.
		run := func(minutes int) (before, after float64) {
			l := newLimiter(t, o, stated)
			press(20, time.Second, l.Wrap(partner))
			u, err := l.Usage(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			before = u.Pace
			press(20, time.Duration(minutes)*time.Minute, l.Wrap(partner))
			if u, err = l.Usage(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			return before, u.Pace
		}
		_, first := run(1)
		before, after := run(1)
		if _, no := partner.counts(); no != 0 || first < 0.02 || before < first || after < 2*before {
			t.Errorf("went from %v to %v after a restart at %v, with %d refused; want doubled from where it was", before, after, first, no)
		}
		run(6)
		if _, no := partner.counts(); no == 0 {
			t.Fatal("nobody was refused")
		}
		if before, after = run(3); after > 1.5*before {
			t.Errorf("went from %v to %v after a refusal and a restart, want step by step", before, after)
		}
	})
}
