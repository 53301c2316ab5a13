package ratelimit_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
	"github.com/integrationkit/integrationkit/retry"
)

// silent is a partner that keeps a limit of its own and tells nothing of it: what is too much is answered by 429.
type silent struct {
	mu       sync.Mutex
	limit    int
	per      time.Duration
	arrivals []time.Time
	ok, no   int
}

func (s *silent) RoundTrip(req *http.Request) (*http.Response, error) {
	time.Sleep(20 * time.Millisecond)
	s.mu.Lock()
	now := time.Now()
	for len(s.arrivals) > 0 && now.Sub(s.arrivals[0]) >= s.per {
		s.arrivals = s.arrivals[1:]
	}
	status := http.StatusOK
	if len(s.arrivals) >= s.limit {
		status = http.StatusTooManyRequests
		s.no++
	} else {
		s.arrivals = append(s.arrivals, now)
		s.ok++
	}
	s.mu.Unlock()
	time.Sleep(20 * time.Millisecond)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

func (s *silent) counts() (ok, no int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok, no = s.ok, s.no
	s.ok, s.no = 0, 0
	return ok, no
}

// press has callers call for d through all the transports.
func press(callers int, d time.Duration, rts ...http.RoundTripper) {
	end := time.Now().Add(d)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for time.Now().Before(end) {
				req, _ := http.NewRequest(http.MethodGet, "http://acme.test/", nil)
				if resp, err := rts[i%len(rts)].RoundTrip(req); err == nil {
					_ = resp.Body.Close()
				}
			}
		})
	}
	wg.Wait()
}

// shared is a Quota for several processes: whose request in flight must end first, a process does not know.
type shared struct{ ratelimit.Quota }

func (s shared) Take(ctx context.Context, key string, cost, ahead int64, now time.Time) (ratelimit.Grant, error) {
	g, err := s.Quota.Take(ctx, key, cost, ahead, now)
	if !g.OK && g.At.IsZero() {
		g.At = now.Add(10 * time.Millisecond)
	}
	return g, err
}

func paceOf(t *testing.T, l *ratelimit.Limiter) float64 {
	t.Helper()
	u, err := l.Usage(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return u.Pace
}

// A partner that tells nothing, and a tier that was guessed: its pace is found within seconds, kept with few refusals, and followed when it changes.
func TestAdaptiveFindsThePace(t *testing.T) {
	for _, c := range []struct {
		name  string
		tiers ratelimit.Tiers
		quota bool
	}{
		{"one generous tier", ratelimit.Tiers{{Requests: 1000, Per: time.Second}}, false},
		{"declared tiers", ratelimit.Tiers{{Requests: 200, Per: time.Second}, {Requests: 200_000, Per: time.Hour}}, false},
		{"bucket", ratelimit.Tiers{{Requests: 300, Per: time.Second, Kind: ratelimit.TokenBucket}}, false},
		{"quota", ratelimit.Tiers{{Requests: 1000, Per: time.Second}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				open := func() *ratelimit.Limiter {
					return newLimiter(t, ratelimit.Options{Adaptive: &ratelimit.Adaptive{}}, c.tiers...)
				}
				var lims []*ratelimit.Limiter
				if c.quota { // two processes
					m, err := ratelimit.NewMemory(c.tiers)
					if err != nil {
						t.Fatal(err)
					}
					for range 2 {
						lims = append(lims, newLimiter(t, ratelimit.Options{Adaptive: &ratelimit.Adaptive{}, Quota: shared{m}}, c.tiers...))
					}
				} else {
					lims = append(lims, open())
				}
				p := &silent{limit: 40, per: time.Second}
				var rts []http.RoundTripper
				for _, l := range lims {
					rts = append(rts, l.Wrap(p))
				}
				press(40, 20*time.Second, rts...)
				p.counts()
				press(40, 2*time.Minute, rts...)
				ok, no := p.counts()
				t.Logf("at 40/s: %d admitted, %d refused, pace %.3f", ok, no, paceOf(t, lims[0]))
				if ok < 40*120*65/100 || no > ok/50 {
					t.Errorf("%d admitted of %d, %d refused", ok, 40*120, no)
				}
				p.mu.Lock()
				p.limit = 10 // the partner has a bad day
				p.mu.Unlock()
				press(40, time.Minute, rts...)
				p.counts()
				press(40, 3*time.Minute, rts...)
				ok, no = p.counts()
				t.Logf("at 10/s: %d admitted, %d refused, pace %.3f", ok, no, paceOf(t, lims[0]))
				if ok < 10*180*60/100 || no > ok/20 {
					t.Errorf("%d admitted of %d, %d refused", ok, 10*180, no)
				}
				p.mu.Lock()
				p.limit = 1 << 30
				p.mu.Unlock()
				press(40, 3*time.Minute, rts...)
				if got := paceOf(t, lims[0]); got < 0.1 {
					t.Errorf("pace is %.3f three minutes after the last refusal", got)
				}
			})
		})
	}
}

// All that one burst is refused is one signal, however many refusals it brings.
func TestAdaptiveCutsOncePerBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{Adaptive: &ratelimit.Adaptive{}}, ratelimit.Tier{Requests: 100, Per: time.Second})
		var ps []ratelimit.Permit
		for range 80 {
			p, err := l.Acquire(t.Context(), ratelimit.Call{})
			if err != nil {
				t.Fatal(err)
			}
			ps = append(ps, p)
		}
		time.Sleep(100 * time.Millisecond)
		for _, p := range ps {
			p.Answered(http.StatusTooManyRequests, nil)
			p.Release()
		}
		if got, want := paceOf(t, l), 0.7*0.8; got < want-1e-9 || got > want+1e-9 {
			t.Errorf("pace is %v, want %v", got, want)
		}
		u, err := l.Usage(t.Context(), "")
		if err != nil || u.Tiers[0].Limit != 56 {
			t.Errorf("%+v, %v; want a limit of 56", u, err)
		}
		time.Sleep(time.Second)
		// A call that costs more than the pace allows in a window waits for all of one, and is not refused for good.
		p, err := l.Acquire(t.Context(), ratelimit.Call{Cost: 90})
		if err != nil {
			t.Fatal(err)
		}
		p.Release()
	})
}

// The learnt pace survives a restart, in memory by the store, and with a Quota there.
func TestAdaptiveIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier := ratelimit.Tier{Requests: 100, Per: time.Second}
		m, err := ratelimit.NewMemory(ratelimit.Tiers{tier})
		if err != nil {
			t.Fatal(err)
		}
		store := &memState{}
		for name, o := range map[string]ratelimit.Options{
			"state": {Name: "acme", State: store, Adaptive: &ratelimit.Adaptive{}}, "quota": {Quota: m, Adaptive: &ratelimit.Adaptive{}},
		} {
			l := newLimiter(t, o, tier)
			for range 40 {
				p, err := l.Acquire(t.Context(), ratelimit.Call{})
				if err != nil {
					t.Fatal(err)
				}
				p.Answered(http.StatusOK, nil)
				p.Release()
			}
			p, err := l.Acquire(t.Context(), ratelimit.Call{})
			if err != nil {
				t.Fatal(err)
			}
			p.Answered(http.StatusTooManyRequests, nil)
			p.Release()
			want := paceOf(t, l)
			if want > 0.29 || want < 0.28 {
				t.Errorf("%s: pace is %v, want 0.7 of 41 %%", name, want)
			}
			send(t, l, ratelimit.Call{}, time.Second) // has the store written, then it is killed
			l = newLimiter(t, o, tier)
			send(t, l, ratelimit.Call{}, 0)
			if got := paceOf(t, l); got < want-0.01 || got > want+0.03 {
				t.Errorf("%s: pace is %v after a restart, want %v", name, got, want)
			}
		}
	})
}

func TestStartAndSmooth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier := ratelimit.Tier{Requests: 120, Per: time.Minute}
		m, err := ratelimit.NewMemory(ratelimit.Tiers{tier})
		if err != nil {
			t.Fatal(err)
		}
		for name, o := range map[string]ratelimit.Options{
			"memory": {Smooth: time.Minute, Adaptive: &ratelimit.Adaptive{Start: 0.5}},
			"quota":  {Smooth: time.Minute, Adaptive: &ratelimit.Adaptive{Start: 0.5}, Quota: m},
		} {
			l := newLimiter(t, o, tier)
			start := time.Now()
			for range 31 { // half of 120 per minute is one each second
				send(t, l, ratelimit.Call{}, 0)
			}
			if got := time.Since(start); got < 30*time.Second || got > 30*time.Second+time.Millisecond {
				t.Errorf("%s: 31 calls took %v, want 30 s", name, got)
			}
			u, err := l.Usage(t.Context(), "")
			if err != nil || u.Tiers[0].Limit != 60 || u.Pace != 0.5 {
				t.Errorf("%s: %+v, %v; want half of the limit", name, u, err)
			}
			if _, err := l.Acquire(retry.WithMaxWait(t.Context(), 0), ratelimit.Call{}); retry.ClassOf(err) != retry.RateLimit {
				t.Errorf("%s: %v, want a refusal", name, err)
			}
		}
	})
}

func TestAdaptiveOptions(t *testing.T) {
	tier := ratelimit.Tiers{{Requests: 1, Per: time.Second}}
	_, err := ratelimit.New(tier, ratelimit.Options{Smooth: time.Minute, Adaptive: &ratelimit.Adaptive{Start: 2, Floor: -1, Cut: 1, Step: 3, Every: -1}})
	checkNames(t, err, "Start is 2", "Floor is -1", "Cut is 1", "Step is 3", "Every is -1ns", "window of no tier")
	_, err = ratelimit.New(ratelimit.Tiers{{Concurrent: 1}}, ratelimit.Options{Adaptive: &ratelimit.Adaptive{Start: 0.1, Floor: 0.2}})
	checkNames(t, err, "below its Floor", "no tier with a window")
}

// However the pace wanders, no window is exceeded.
func TestPromise3_Adaptive(t *testing.T) {
	for _, kind := range []ratelimit.Kind{ratelimit.Sliding, ratelimit.TokenBucket} {
		synctest.Test(t, func(t *testing.T) {
			tiers := ratelimit.Tiers{{Kind: kind, Requests: 30, Per: time.Second}, {Kind: kind, Requests: 600, Per: time.Minute, Name: fmt.Sprint(kind)}}
			l := newLimiter(t, ratelimit.Options{Adaptive: &ratelimit.Adaptive{Step: 0.5}}, tiers...)
			ledger := ratelimittest.NewLedger(tiers)
			end := time.Now().Add(10 * time.Minute)
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() {
					for n := i; time.Now().Before(end); n++ {
						p, err := l.Acquire(t.Context(), ratelimit.Call{})
						if err != nil {
							t.Error(err)
							return
						}
						time.Sleep(time.Duration(n%7) * 13 * time.Millisecond)
						ledger.Arrive(time.Now(), 1)
						ledger.Leave()
						time.Sleep(time.Duration(n%5) * 17 * time.Millisecond)
						status := http.StatusOK
						if n%300 == 0 {
							status = http.StatusTooManyRequests
						}
						p.Answered(status, nil)
						p.Release()
					}
				})
			}
			wg.Wait()
			if err := ledger.Check(); err != nil {
				t.Errorf("%v: %v", kind, err)
			}
		})
	}
}
