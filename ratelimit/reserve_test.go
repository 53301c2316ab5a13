package ratelimit_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
	"github.com/integrationkit/integrationkit/retry"
)

// The reserve is exact: others never take it, and what persons take of it costs the others nothing.
func TestReserveIsExact(t *testing.T) {
	for _, tier := range []ratelimit.Tier{
		{Requests: 10, Per: time.Minute},
		{Requests: 1000, Per: time.Minute},
		{Requests: 10, Per: time.Minute, Kind: ratelimit.Fixed},
		{Requests: 10, Per: time.Minute, Kind: ratelimit.TokenBucket},
		{Concurrent: 10},
	} {
		t.Run(tier.Kind.String()+" "+tier.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, ratelimit.Options{Reserve: 0.3, MaxWait: -1}, tier)
				limit := int(max(tier.Requests, tier.Concurrent))
				take := func(p ratelimit.Priority) int {
					n := 0
					for ; n < 2*limit; n++ {
						permit, err := l.Acquire(t.Context(), ratelimit.Call{Priority: p})
						if err != nil {
							if retry.ClassOf(err) != retry.RateLimit {
								t.Fatal(err)
							}
							if at := l.Ready(t.Context(), ratelimit.Call{Priority: p}); !at.After(time.Now()) {
								t.Errorf("refused, and ready at %v", at)
							}
							break
						}
						if tier.Concurrent == 0 {
							permit.Answered(200, nil)
							permit.Release()
						}
					}
					return n
				}
				used := 0
				for range limit / 10 { // persons first
					permit, err := l.Acquire(t.Context(), ratelimit.Call{Priority: ratelimit.Interactive})
					if err != nil {
						t.Fatal(err)
					}
					if tier.Concurrent == 0 {
						permit.Answered(200, nil)
						permit.Release()
					}
					used++
				}
				if got, want := take(ratelimit.FollowUp), limit*7/10; got != want {
					t.Errorf("others took %d, want %d", got, want)
				}
				if got, want := take(ratelimit.Interactive), limit*3/10-used; got != want {
					t.Errorf("persons took %d more, want %d", got, want)
				}
			})
		})
	}
}

// A reserve leaves something of the smallest tier, and lets a call go that costs more than the rest.
func TestReserveStarvesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{Reserve: 0.9}, ratelimit.Tier{Requests: 1, Per: time.Second}, ratelimit.Tier{Concurrent: 1})
		send(t, l, ratelimit.Call{}, 0)
		l = newLimiter(t, ratelimit.Options{Reserve: 0.5}, ratelimit.Tier{Requests: 10, Per: time.Minute})
		start := time.Now()
		send(t, l, ratelimit.Call{Cost: 2}, 0)
		send(t, l, ratelimit.Call{Cost: 8}, 0)
		if got := time.Since(start); got != time.Minute {
			t.Errorf("went after %v, want when nothing else is spent, a minute", got)
		}
		_, err := ratelimit.New(ratelimit.Tiers{{Requests: 1, Per: time.Second}}, ratelimit.Options{Reserve: 1})
		checkNames(t, err, "Reserve is 1")
	})
}

// A person waits for no more than the partner's own time while others press, and another client of the account spends too; no window is exceeded.
func TestPromise3_Reserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tiers := ratelimit.Tiers{{Requests: 20, Per: time.Second}, {Requests: 300, Per: time.Minute}, {Concurrent: 10}}
		l := newLimiter(t, ratelimit.Options{Reserve: 0.2}, tiers...)
		ledger := ratelimittest.NewLedger(tiers)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		call := func(c ratelimit.Call, latency time.Duration) {
			p, err := l.Acquire(context.WithoutCancel(ctx), c)
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(latency / 2)
			ledger.Arrive(time.Now(), 1)
			time.Sleep(latency / 2)
			ledger.Leave()
			p.Answered(http.StatusOK, nil)
			p.Release()
		}
		for i := range 60 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(5, uint64(i)))
				for ctx.Err() == nil {
					call(ratelimit.Call{Priority: ratelimit.Priority(r.IntN(3) - 1)}, time.Duration(r.Int64N(int64(300*time.Millisecond))))
				}
			})
		}
		for ctx.Err() == nil {
			time.Sleep(1100 * time.Millisecond) // 54 in a minute of the 60 that are reserved
			start := time.Now()
			call(ratelimit.Call{Priority: ratelimit.Interactive}, 10*time.Millisecond)
			if waited := time.Since(start); waited > 10*time.Millisecond {
				t.Errorf("a person waited for %v", waited-10*time.Millisecond)
			}
		}
		wg.Wait()
		if err := ledger.Check(); err != nil {
			t.Error(err)
		}
		if share := ledger.Report()[1].Share; share < 0.93 {
			t.Errorf("%.3f of the limit was used, want 0.93: persons use 54 of their 60", share)
		}
	})
}

// What others spend is taken from the rest first.
func TestReserveBesideAnotherClient(t *testing.T) {
	remaining, err := ratelimit.NewDialect(ratelimit.LimitHeaders{Per: time.Minute, Limit: "X-Limit", Remaining: "X-Remaining"})
	if err != nil {
		t.Fatal(err)
	}
	l := newLimiter(t, ratelimit.Options{Reserve: 0.2, Dialect: remaining, MaxWait: -1}, ratelimit.Tier{Requests: 100, Per: time.Minute})
	p, err := l.Acquire(t.Context(), ratelimit.Call{})
	if err != nil {
		t.Fatal(err)
	}
	p.Answered(200, http.Header{"X-Limit": {"100"}, "X-Remaining": {"25"}})
	p.Release()
	n := 0
	for ; n < 100; n++ {
		if _, err := l.Acquire(t.Context(), ratelimit.Call{}); err != nil {
			break
		}
	}
	if n != 5 {
		t.Errorf("others took %d of the 25 that are left, want 5: 20 are reserved", n)
	}
	for n = 0; n < 100; n++ {
		if _, err := l.Acquire(t.Context(), ratelimit.Call{Priority: ratelimit.Interactive}); err != nil {
			break
		}
	}
	if n != 20 {
		t.Errorf("persons took %d, want 20", n)
	}
}
