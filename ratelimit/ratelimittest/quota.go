package ratelimittest

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// Quota checks that a backend keeps the contract of [ratelimit.Quota]. open returns a backend that counts the tiers and
// has counted nothing yet; it may be called often and cleans up after itself by t.Cleanup.
//
// The suite works on real time with windows of some 100 ms, so that backends with a clock of their own can take part;
// it passes in the current time and never looks closer than 20 ms.
func Quota(t *testing.T, open func(t *testing.T, tiers ratelimit.Tiers) ratelimit.Quota) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s *suite)
	}{
		{"Tiers", testTiers},
		{"AllOrNothing", testAllOrNothing},
		{"HeldRoomStays", testHeldRoomStays},
		{"WindowStartsAtArrival", testWindowStartsAtArrival},
		{"RefundIsExact", testRefundIsExact},
		{"SettleIsIdempotent", testSettleIsIdempotent},
		{"Concurrency", testConcurrency},
		{"AskTakesNothing", testAskTakesNothing},
		{"AheadIsLeftRoom", testAheadIsLeftRoom},
		{"CostAboveALimit", testCostAboveALimit},
		{"KeysAreApart", testKeysAreApart},
		{"Park", testPark},
		{"Observe", testObserve},
		{"ObserveWhileInFlight", testObserveWhileInFlight},
		{"Ledger", testLedger},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(t, &suite{T: t, open: open})
		})
	}
}

type suite struct {
	*testing.T
	open func(t *testing.T, tiers ratelimit.Tiers) ratelimit.Quota
	q    ratelimit.Quota
}

func (s *suite) use(tiers ...ratelimit.Tier) {
	s.Helper()
	s.q = s.open(s.T, tiers)
}

func (s *suite) take(key string, cost, ahead int64) ratelimit.Grant {
	s.Helper()
	g, err := s.q.Take(s.Context(), key, cost, ahead, time.Now())
	if err != nil {
		s.Fatal(err)
	}
	return g
}

// must takes n requests of cost 1 that are to be admitted.
func (s *suite) must(key string, n int) (gs []ratelimit.Grant) {
	s.Helper()
	for range n {
		g := s.take(key, 1, 0)
		if !g.OK {
			s.Fatalf("refused until %v by %q, want admitted", g.At, g.Tier)
		}
		gs = append(gs, g)
	}
	return gs
}

func (s *suite) settle(key string, g ratelimit.Grant, how ratelimit.Settlement) {
	s.Helper()
	how.Now = time.Now()
	if err := s.q.Settle(s.Context(), key, g, how); err != nil {
		s.Fatal(err)
	}
}

func (s *suite) usage(key string) ratelimit.Usage {
	s.Helper()
	u, err := s.q.Usage(s.Context(), key, time.Now())
	if err != nil {
		s.Fatal(err)
	}
	return u
}

const window = 300 * time.Millisecond

func testTiers(t *testing.T, s *suite) {
	want := ratelimit.Tiers{{Requests: 3, Per: time.Minute}, {Concurrent: 2}}
	s.use(want...)
	got := s.q.Tiers()
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("Tiers are %v, want %v", got, want)
	}
}

func testAllOrNothing(t *testing.T, s *suite) {
	s.use(ratelimit.Tier{Requests: 2, Per: time.Minute, Name: "narrow"}, ratelimit.Tier{Requests: 100, Per: time.Hour})
	s.must("k", 2)
	for range 50 {
		if g := s.take("k", 1, 0); g.OK || g.Tier != "narrow" {
			t.Fatalf("got %+v, want a refusal by the narrow tier", g)
		}
	}
	if got := s.usage("k").Tiers[1].Used; got != 2 {
		t.Errorf("the wide tier has spent %d, want 2: refusals cost nothing", got)
	}
}

func testHeldRoomStays(t *testing.T, s *suite) {
	s.use(ratelimit.Tier{Requests: 2, Per: window})
	gs := s.must("k", 2)
	time.Sleep(window * 3 / 2)
	g := s.take("k", 1, 0)
	if g.OK {
		t.Fatal("admitted although two requests may still arrive")
	}
	s.settle("k", gs[0], ratelimit.Settlement{Release: true})
	s.must("k", 1)
}

func testWindowStartsAtArrival(t *testing.T, s *suite) {
	s.use(ratelimit.Tier{Requests: 1, Per: window})
	g := s.must("k", 1)[0]
	time.Sleep(window / 2)
	arrived := time.Now()
	s.settle("k", g, ratelimit.Settlement{Arrived: arrived, Release: true})
	r := s.take("k", 1, 0)
	if r.OK || r.At.Before(arrived.Add(window-20*time.Millisecond)) || r.At.After(arrived.Add(window+window/64+20*time.Millisecond)) {
		t.Fatalf("refused until %v after the arrival, want %v", r.At.Sub(arrived), window)
	}
	time.Sleep(time.Until(r.At) + time.Millisecond)
	s.must("k", 1)
}

func testRefundIsExact(t *testing.T, s *suite) {
	s.use(
		ratelimit.Tier{Requests: 3, Per: time.Hour},
		ratelimit.Tier{Requests: 3, Per: time.Hour, Kind: ratelimit.TokenBucket, Name: "bucket"},
		ratelimit.Tier{Requests: 3, Per: time.Hour, Kind: ratelimit.Fixed, Name: "fixed"},
		ratelimit.Tier{Concurrent: 3},
	)
	for range 20 {
		for _, g := range s.must("k", 3) {
			s.settle("k", g, ratelimit.Settlement{Release: true})
		}
	}
	u := s.usage("k")
	for _, tier := range u.Tiers {
		if tier.Used != 0 {
			t.Errorf("tier %v: %d used after refunds", tier.Tier, tier.Used)
		}
	}
	if u.InFlight != 0 {
		t.Errorf("%d in flight after refunds", u.InFlight)
	}
}

func testSettleIsIdempotent(t *testing.T, s *suite) {
	s.use(ratelimit.Tier{Requests: 4, Per: time.Hour}, ratelimit.Tier{Concurrent: 2})
	g := s.must("k", 1)[0]
	for range 3 {
		s.settle("k", g, ratelimit.Settlement{Arrived: time.Now()})
	}
	for range 3 {
		s.settle("k", g, ratelimit.Settlement{Release: true})
	}
	second := s.must("k", 1)[0]
	s.settle("k", g, ratelimit.Settlement{Arrived: time.Now(), Release: true}) // long over, its slot taken by another
	if u := s.usage("k"); u.Tiers[0].Used != 2 || u.InFlight != 1 {
		t.Errorf("%d used and %d in flight, want 2 and 1", u.Tiers[0].Used, u.InFlight)
	}
	s.settle("k", second, ratelimit.Settlement{Release: true})
	if u := s.usage("k"); u.Tiers[0].Used != 1 || u.InFlight != 0 {
		t.Errorf("%d used and %d in flight, want 1 and 0", u.Tiers[0].Used, u.InFlight)
	}
}

func testConcurrency(t *testing.T, s *suite) {
	s.use(ratelimit.Tier{Concurrent: 2, Name: "flight"}, ratelimit.Tier{Requests: 100, Per: time.Hour})
	gs := s.must("k", 2)
	s.settle("k", gs[0], ratelimit.Settlement{Arrived: time.Now()})
	if g := s.take("k", 1, 0); g.OK || g.Tier != "flight" {
		t.Fatalf("got %+v: the arrival alone frees no slot", g)
	}
	s.settle("k", gs[0], ratelimit.Settlement{Release: true})
	s.must("k", 1)
}

func testAskTakesNothing(t *testing.T, s *suite) {
	s.use(ratelimit.Tier{Requests: 2, Per: time.Hour}, ratelimit.Tier{Concurrent: 2})
	ask := func(cost int64) ratelimit.Grant {
		t.Helper()
		g, err := s.q.Ask(t.Context(), "k", cost, 0, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for range 5 {
		if g := ask(2); !g.OK {
			t.Fatalf("got %+v, want room for 2", g)
		}
	}
	s.must("k", 1)
	if g := ask(2); g.OK {
		t.Error("room for more than the limit")
	}
	s.must("k", 1)
	if u := s.usage("k"); u.Tiers[0].Used != 2 || u.InFlight != 2 {
		t.Errorf("questions were charged: %+v", u)
	}
}

func testAheadIsLeftRoom(t *testing.T, s *suite) {
	s.use(ratelimit.Tier{Requests: 3, Per: time.Hour})
	if g := s.take("k", 1, 3); g.OK {
		t.Error("took the room of those ahead")
	}
	if g := s.take("k", 1, 2); !g.OK {
		t.Error("refused although there is room for all")
	}
}

func testCostAboveALimit(t *testing.T, s *suite) {
	s.use(ratelimit.Tier{Requests: 3, Per: time.Hour})
	if _, err := s.q.Take(t.Context(), "k", 4, 0, time.Now()); retry.ClassOf(err) != retry.Client {
		t.Errorf("got %v, want class client", err)
	}
}

func testKeysAreApart(t *testing.T, s *suite) {
	s.use(ratelimit.Tier{Requests: 1, Per: time.Hour})
	s.must("a", 1)
	s.must("b", 1)
	if s.take("a", 1, 0).OK {
		t.Error("a has twice its limit")
	}
}

func testPark(t *testing.T, s *suite) {
	s.use(ratelimit.Tier{Requests: 10, Per: time.Hour})
	ctx, until := t.Context(), time.Now().Add(time.Hour)
	for _, at := range []time.Time{until, until.Add(-time.Minute)} {
		if err := s.q.Park(ctx, "k", at); err != nil {
			t.Fatal(err)
		}
	}
	g := s.take("k", 1, 0)
	if g.OK || g.Tier != "parked" || g.At.Sub(until).Abs() > 20*time.Millisecond {
		t.Errorf("got %+v, want parked until %v", g, until)
	}
	if got := s.usage("k").ParkedUntil; got.Sub(until).Abs() > 20*time.Millisecond {
		t.Errorf("usage says parked until %v, want %v", got, until)
	}
	s.must("other", 1)
	if err := s.q.Park(ctx, "k", time.Time{}); err != nil {
		t.Fatal(err)
	}
	s.must("k", 1)
	if got := s.usage("k").ParkedUntil; !got.IsZero() {
		t.Errorf("usage says parked until %v after it was lifted", got)
	}
}

func testObserve(t *testing.T, s *suite) {
	s.use(ratelimit.Tier{Requests: 10, Per: time.Hour}, ratelimit.Tier{Requests: 100, Per: 2 * time.Hour})
	observe := func(sentAt time.Time, limit, remaining int64, per time.Duration) {
		t.Helper()
		obs := []ratelimit.Observation{{Per: per, Limit: limit, Remaining: remaining}}
		if err := s.q.Observe(t.Context(), "k", sentAt, time.Now(), obs); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	observe(now, 10, 4, time.Hour) // others spent 6
	if u := s.usage("k"); u.Tiers[0].Used != 6 || u.Tiers[1].Used != 0 {
		t.Errorf("used %d and %d, want 6 and 0", u.Tiers[0].Used, u.Tiers[1].Used)
	}
	observe(now.Add(-time.Second), 10, 0, time.Hour) // stale
	observe(now.Add(time.Second), 10, 0, time.Minute)
	s.must("k", 4)
	if s.take("k", 1, 0).OK {
		t.Error("admitted what others spent")
	}
	observe(now.Add(2*time.Second), 1000, 1000, time.Hour)
	if u := s.usage("k"); u.Tiers[0].Limit != 10 {
		t.Errorf("the limit is %d after the partner spoke of 1000, want the tier's own 10", u.Tiers[0].Limit)
	}
	s.must("k", 6)
	if s.take("k", 1, 0).OK {
		t.Error("a report made room beyond the tier's own limit")
	}
	observe(now.Add(3*time.Second), 5, -1, time.Hour)
	if u := s.usage("k"); u.Tiers[0].Limit != 5 {
		t.Errorf("the limit is %d, want the 5 that the partner cut it to", u.Tiers[0].Limit)
	}
}

// testObserveWhileInFlight has reports come while calls are in flight: once others are seen to spend, those are taken as not yet counted.
func testObserveWhileInFlight(t *testing.T, s *suite) {
	s.use(ratelimit.Tier{Requests: 100, Per: time.Hour})
	start := time.Now()
	gs := s.must("k", 7)
	answer := func(limit, remaining, want int64) {
		t.Helper()
		start = start.Add(time.Millisecond)
		obs := []ratelimit.Observation{{Per: time.Hour, Limit: limit, Remaining: remaining}}
		if err := s.q.Observe(t.Context(), "k", start, time.Now(), obs); err != nil {
			t.Fatal(err)
		}
		s.settle("k", gs[0], ratelimit.Settlement{Arrived: time.Now(), Release: true})
		gs = gs[1:]
		if u := s.usage("k").Tiers[0]; u.Limit-u.Used != want {
			t.Errorf("%d left of %d, want %d", u.Limit-u.Used, u.Limit, want)
		}
	}
	answer(100, 95, 93) // 5 gone: ours. Nobody else.
	gs = append(gs, s.must("k", 1)...)
	answer(100, 40, 34) // others spent: 40, and 6 of ours may still arrive
	gs = append(gs, s.must("k", 1)...)
	answer(60, 20, 14)
}

// testLedger has many callers, and a strict partner.
func testLedger(t *testing.T, s *suite) {
	tiers := ratelimit.Tiers{{Requests: 20, Per: window / 3}, {Requests: 40, Per: window}, {Concurrent: 30}}
	s.use(tiers...)
	ledger := NewLedger(tiers)
	ctx, cancel := context.WithTimeout(t.Context(), 4*window)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for ctx.Err() == nil {
				g, err := s.q.Take(ctx, "k", 1, 0, time.Now())
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				if err != nil || !g.OK {
					time.Sleep(time.Duration(1+r.IntN(5)) * time.Millisecond)
					continue
				}
				time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
				how := ratelimit.Settlement{Release: true}
				if r.IntN(10) > 0 {
					ledger.Arrive(time.Now(), 1)
					ledger.Leave()
					time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
					how.Arrived = time.Now()
				}
				how.Now = time.Now()
				if err := s.q.Settle(context.WithoutCancel(ctx), "k", g, how); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := ledger.Check(); err != nil {
		t.Error(err)
	}
	if got := ledger.Report()[1].Worst; got < 20 {
		t.Errorf("only %d arrived in the busiest window: the test shows nothing", got)
	}
}
