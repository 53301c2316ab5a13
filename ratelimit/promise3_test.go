package ratelimit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
	"github.com/integrationkit/integrationkit/retry"
)

// memState is a store that survives the limiters that use it. Its writes take time.
type memState struct {
	mu    sync.Mutex
	m     map[string][]byte
	saves int
	fail  error
}

func (s *memState) LoadLimit(_ context.Context, key string) ([]byte, error) {
	time.Sleep(time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[key], s.fail
}

func (s *memState) SaveLimit(ctx context.Context, key string, state []byte) error {
	time.Sleep(time.Millisecond)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if s.m == nil {
		s.m = make(map[string][]byte)
	}
	s.m[key] = append([]byte(nil), state...)
	s.saves++
	return nil
}

// world is a limiter, callers of all sorts, and the partner's ledger.
type world struct {
	lim    atomic.Pointer[ratelimit.Limiter]
	ledger *ratelimittest.Ledger
	// out and back are the longest times a request and its answer are under way.
	out, back time.Duration
	calm      bool // nothing is cancelled or lost
	sent      atomic.Int64
}

// call makes one call of random fate.
func (w *world) call(ctx context.Context, r *rand.Rand) {
	lim := w.lim.Load()
	if !w.calm && r.IntN(10) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.Int64N(int64(2*time.Second))))
		defer cancel()
	}
	p, err := lim.Acquire(ctx, ratelimit.Call{Key: "account", Priority: ratelimit.Priority(r.IntN(4) - 1)})
	if err != nil {
		if at := retry.At(err); !at.IsZero() {
			time.Sleep(min(time.Until(at), time.Second))
		} else {
			time.Sleep(time.Duration(1 + r.Int64N(int64(10*time.Millisecond))))
		}
		return
	}
	defer p.Release()
	fate := r.IntN(20)
	if fate == 0 && !w.calm {
		return // never sent
	}
	w.sent.Add(1)
	time.Sleep(time.Duration(r.Int64N(int64(w.out) + 1)))
	if fate == 1 && !w.calm { // given up before it arrives
		p.Lost()
		p.Release()
		time.Sleep(time.Duration(r.Int64N(int64(900 * time.Millisecond))))
		w.ledger.Arrive(time.Now(), 1)
		w.ledger.Leave()
		return
	}
	w.ledger.Arrive(time.Now(), 1)
	w.ledger.Leave()
	time.Sleep(time.Duration(r.Int64N(int64(w.back) + 1)))
	if fate == 2 && !w.calm {
		p.Lost()
		return
	}
	p.Answered(200, nil)
}

// run keeps n callers busy for d.
func (w *world) run(ctx context.Context, n int, d time.Duration, seed uint64) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for ctx.Err() == nil {
				w.call(ctx, r)
			}
		})
	}
	wg.Wait()
}

func tiersOf(kind ratelimit.Kind) ratelimit.Tiers {
	return ratelimit.Tiers{
		{Kind: kind, Requests: 15, Per: time.Second},
		{Kind: kind, Requests: 120, Per: time.Minute},
		{Kind: kind, Requests: 2000, Per: time.Hour},
	}
}

func TestPromise3_NoWindowAtThePartnerIsExceeded(t *testing.T) {
	for _, kind := range []ratelimit.Kind{ratelimit.Sliding, ratelimit.Fixed, ratelimit.TokenBucket} {
		for _, latency := range []time.Duration{0, 50 * time.Millisecond, 3 * time.Second} {
			t.Run(kind.String()+"/"+latency.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tiers := tiersOf(kind)
					w := &world{ledger: ratelimittest.NewLedger(tiers), out: latency, back: latency}
					w.lim.Store(newLimiter(t, ratelimit.Options{}, tiers...))
					w.run(t.Context(), 200, 90*time.Minute, uint64(latency)+uint64(kind))
					if err := w.ledger.Check(); err != nil {
						t.Error(err)
					}
					if r := w.ledger.Report()[2]; r.Share < 0.8 {
						t.Errorf("tier %v: %.3f of the limit used", r.Tier, r.Share)
					}
				})
			})
		}
	}
}

// A tier yields N·W/(W+L) when calls take L, and all but little of that must be used while callers want more.
func TestPromise3_TheLimitIsUsed(t *testing.T) {
	for _, c := range []struct {
		tier    ratelimit.Tier
		latency time.Duration
	}{
		{ratelimit.Tier{Requests: 15, Per: time.Second}, 100 * time.Millisecond},
		{ratelimit.Tier{Requests: 120, Per: time.Minute}, 400 * time.Millisecond},
		{ratelimit.Tier{Requests: 5000, Per: time.Hour}, 2 * time.Second},
		{ratelimit.Tier{Requests: 1000, Per: time.Second}, 10 * time.Millisecond},
		{ratelimit.Tier{Requests: 120, Per: time.Minute, Kind: ratelimit.TokenBucket, Burst: 20}, 400 * time.Millisecond},
		{ratelimit.Tier{Requests: 120, Per: time.Minute, Kind: ratelimit.Fixed}, 400 * time.Millisecond},
	} {
		t.Run(c.tier.String()+" "+c.tier.Kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tiers := ratelimit.Tiers{c.tier}
				w := &world{ledger: ratelimittest.NewLedger(tiers), out: c.latency / 2, back: c.latency / 2, calm: true}
				w.lim.Store(newLimiter(t, ratelimit.Options{}, tiers...))
				const windows = 30
				w.run(t.Context(), int(min(c.tier.Requests, 300)), windows*c.tier.Per, 1)
				if err := w.ledger.Check(); err != nil {
					t.Error(err)
				}
				// The mean latency is half of the longest.
				want := float64(c.tier.Requests) * windows * float64(c.tier.Per) / float64(c.tier.Per+c.latency/2)
				if share := float64(w.sent.Load()) / want; share < 0.97 {
					t.Errorf("%.4f of what can be had was used", share)
				}
			})
		})
	}
}

func TestPromise3_AcrossRestarts(t *testing.T) {
	for _, kind := range []ratelimit.Kind{ratelimit.Sliding, ratelimit.Fixed, ratelimit.TokenBucket} {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tiers := tiersOf(kind)
				if kind == ratelimit.Fixed {
					tiers = tiers[1:]
				}
				store := &memState{}
				w := &world{ledger: ratelimittest.NewLedger(tiers), out: 200 * time.Millisecond, back: 200 * time.Millisecond}
				r := rand.New(rand.NewPCG(7, uint64(kind)))
				for i := range 40 {
					lim := newLimiter(t, ratelimit.Options{Name: "acme", State: store}, tiers...)
					w.lim.Store(lim)
					w.run(t.Context(), 100, time.Duration(r.Int64N(int64(4*time.Minute))), uint64(i))
					if i%2 == 0 {
						if err := lim.Close(t.Context()); err != nil {
							t.Fatal(err)
						}
					} else if r.IntN(2) == 0 { // else it is as if it had been killed
						time.Sleep(time.Duration(r.Int64N(int64(10 * time.Second))))
					}
				}
				if err := w.ledger.Check(); err != nil {
					t.Error(err)
				}
				for _, c := range w.ledger.Report() {
					t.Logf("tier %v: worst %d, share %.3f; %d saves for %d calls", c.Tier, c.Worst, c.Share, store.saves, w.sent.Load())
				}
			})
		})
	}
}

// What a kill costs is at most two leases and a window of the short tiers, not the hour.
func TestPromise3_AKillCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memState{}
		tiers := ratelimit.Tiers{{Requests: 100, Per: time.Minute}, {Requests: 6400, Per: time.Hour}}
		o := ratelimit.Options{Name: "acme", State: store}
		lim := newLimiter(t, o, tiers...)
		for range 50 {
			send(t, lim, ratelimit.Call{}, 0)
		}
		start := time.Now()
		lim = newLimiter(t, o, tiers...) // the first was killed
		send(t, lim, ratelimit.Call{}, 0)
		if got := time.Since(start); got < time.Minute || got > time.Minute+2*time.Second {
			t.Errorf("first call after %v, want a minute and LostGrace", got)
		}
		u, err := lim.Usage(t.Context(), "")
		if err != nil || u.Tiers[1].Used < 51 || u.Tiers[1].Used > 51+200 {
			t.Errorf("after a kill %+v, %v", u.Tiers[1], err)
		}
		before := u.Tiers[1].Used
		if err := lim.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := lim.Acquire(t.Context(), ratelimit.Call{}); !errors.Is(err, ratelimit.ErrClosed) || retry.ClassOf(err) != retry.Unavailable {
			t.Errorf("after Close: %v", err)
		}
		start = time.Now()
		lim = newLimiter(t, o, tiers...)
		send(t, lim, ratelimit.Call{}, 0)
		if got := time.Since(start); got > 10*time.Millisecond {
			t.Errorf("first call after a clean restart after %v", got)
		}
		if u, err = lim.Usage(t.Context(), ""); err != nil || u.Tiers[1].Used != before+1 {
			t.Errorf("after a clean restart %d used, want %d; %v", u.Tiers[1].Used, before+1, err)
		}
	})
}

// A store that is down holds calls back when there is no lease left, with an error that says why, and never before.
func TestPromise3_NothingIsSentOnALeaseThatIsNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memState{}
		var reported atomic.Int64
		lim := newLimiter(t, ratelimit.Options{Name: "acme", State: store, OnError: func(string, error) { reported.Add(1) }},
			ratelimit.Tier{Requests: 640, Per: time.Hour}) // a lease is 10
		send(t, lim, ratelimit.Call{}, 0)
		store.fail = errors.New("disk full")
		n := 1
		for ; n < 100; n++ {
			p, err := lim.Acquire(t.Context(), ratelimit.Call{})
			if err != nil {
				if retry.ClassOf(err) != retry.Unavailable || !errors.Is(err, store.fail) {
					t.Error(err)
				}
				break
			}
			p.Answered(200, nil)
			p.Release()
		}
		if n != 10 || reported.Load() == 0 {
			t.Errorf("%d calls on a lease of 10; %d errors told", n, reported.Load())
		}
		store.fail = nil
		send(t, lim, ratelimit.Call{}, 0)
	})
}
