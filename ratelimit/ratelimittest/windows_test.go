package ratelimittest

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// The search agrees with what is found by trying every window.
func TestSearchFindsTheWorstWindow(t *testing.T) {
	const per, limit = 10, 5
	over := 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 0))
		all := make([]span, 1+r.IntN(12))
		for i := range all {
			sent := r.Int64N(40)
			end := sent + r.Int64N(8)
			all[i] = span{sent: sent, left: end, end: end, cost: 1 + r.Int64N(2)}
		}
		count := func(from, to int64) (n int64) { // what can have arrived in [from, to)
			for _, s := range all {
				if s.sent < to && s.end >= from {
					n += s.cost
				}
			}
			return n
		}
		var sliding, fixed, flight int64
		bucket := 0.0
		shortest := int64(-1)
		for from := int64(-10); from < 60; from++ {
			sliding = max(sliding, count(from, from+per))
			if (from+60)%per == 3 {
				fixed = max(fixed, count(from, from+per))
			}
			for to := from; to < 60; to++ {
				bucket = max(bucket, float64(count(from, to+1))-float64(to-from)*limit/per)
				if n := to - from; n < per && count(from, to+1) > limit && (shortest < 0 || n < shortest) {
					shortest = n
				}
			}
			n := int64(0)
			for _, s := range all {
				if s.sent <= from && from < s.left {
					n++
				}
			}
			flight = max(flight, n)
		}
		s := sorted(all)
		for _, c := range []struct {
			tier ratelimit.Tier
			want int64
		}{
			{ratelimit.Tier{Requests: limit, Per: per}, sliding},
			{ratelimit.Tier{Requests: limit, Per: per, Kind: ratelimit.Fixed}, fixed},
			{ratelimit.Tier{Requests: limit, Per: per, Kind: ratelimit.TokenBucket}, int64(bucket + 1 - rounding)},
			{ratelimit.Tier{Concurrent: limit}, flight},
		} {
			got := s.check(c.tier, 7) // the clock's windows begin at 3, 13, …
			if c.tier.Concurrent != 0 {
				got.worst = max(got.worst, 0)
				if c.want == 0 { // answered at once: never in flight
					got.worst = 0
				}
			}
			if got.worst != c.want {
				t.Fatalf("seed %d, %v %v: %d at worst, want %d, of %v",
					seed, c.tier, c.tier.Kind, got.worst, c.want, all)
			}
			if (got.over > 0) != (got.worst > limit) || (got.least.cost > limit) != (got.over > 0) {
				t.Fatalf("seed %d, %v %v: %+v", seed, c.tier, c.tier.Kind, got)
			}
			if got.over == 0 {
				continue
			}
			over++
			in := s.in(got.least)
			var n int64
			for _, s := range in {
				n += s.cost
			}
			if c.tier.Concurrent == 0 && n < got.least.cost && c.tier.Kind != ratelimit.TokenBucket {
				t.Fatalf("seed %d, %v: %v holds %d, told %v", seed, c.tier.Kind, got.least, n, in)
			}
			long := got.least.to - got.least.from
			if c.tier.Kind == ratelimit.Sliding && c.tier.Concurrent == 0 && long != shortest {
				t.Fatalf("seed %d: the shortest window is %d long, want %d, of %v", seed, long, shortest, all)
			}
		}
	}
	if over < 1000 {
		t.Errorf("only %d were over: the test shows little", over)
	}
}

// The partner refuses exactly what is over a limit.
func TestTallyRefusesWhatIsOver(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	for _, tier := range []ratelimit.Tier{
		{Requests: 5, Per: time.Second},
		{Requests: 5, Per: time.Second, Kind: ratelimit.Fixed},
		{Requests: 5, Per: time.Second, Kind: ratelimit.TokenBucket, Burst: 3},
	} {
		r := rand.New(rand.NewPCG(1, uint64(tier.Kind)))
		one := newTally(ratelimit.Tiers{tier})
		k := tallies{mu: new(sync.Mutex), all: []*tally{one}}
		ledger := NewLedger(ratelimit.Tiers{tier})
		at, accepted, refused := start, 0, 0
		for range 5000 {
			at = at.Add(time.Duration(r.Int64N(int64(300 * time.Millisecond))))
			k.enter()
			over := k.arrive(at, 1)
			k.leave()
			if over == 0 {
				ledger.Arrive(at, 1)
				ledger.Leave()
				accepted++
				continue
			}
			refused++
			for _, step := range []time.Duration{over - time.Microsecond, time.Microsecond} {
				at = at.Add(step)
				if got := k.arrive(at, 1) == 0; got != (step == time.Microsecond) {
					t.Fatalf("%v: at the end of the %v that it said, room is %v", tier.Kind, over, got)
				}
			}
			ledger.Arrive(at, 1)
			ledger.Leave()
		}
		if err := ledger.Check(); err != nil || refused < 500 || accepted < 500 {
			t.Errorf("%v: %d accepted, %d refused: %v", tier.Kind, accepted, refused, err)
		}
		if len(one.log) > 100 {
			t.Errorf("%v: %d kept", tier.Kind, len(one.log))
		}
	}
	k := tallies{mu: new(sync.Mutex), all: []*tally{newTally(ratelimit.Tiers{{Concurrent: 1}})}}
	k.enter()
	first := k.arrive(start, 1)
	k.enter()
	if second := k.arrive(start, 1); first != 0 || second == 0 {
		t.Errorf("in flight: %v, then %v", first, second)
	}
}
