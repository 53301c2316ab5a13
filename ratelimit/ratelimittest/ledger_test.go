package ratelimittest_test

import (
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
)

// The windows that other limiters leave open, in numbers: the ledger must see them.
func TestLedgerSeesTheWorstWindow(t *testing.T) {
	epoch := time.Unix(1_800_000_000, 0).Truncate(time.Minute)
	at := func(s float64) time.Time { return epoch.Add(time.Duration(s * float64(time.Second))) }
	for _, c := range []struct {
		name       string
		tier       ratelimit.Tier
		arrivals   []float64
		worst      int64
		violations int
	}{
		{"apart", ratelimit.Tier{Requests: 2, Per: time.Minute}, []float64{0, 1, 60, 61}, 2, 0},
		{"around a boundary", ratelimit.Tier{Requests: 2, Per: time.Minute}, []float64{58, 59, 60, 61}, 4, 2},
		{"around a boundary, fixed", ratelimit.Tier{Kind: ratelimit.Fixed, Requests: 2, Per: time.Minute}, []float64{58, 59, 60, 61}, 2, 0},
		{"fixed, too many", ratelimit.Tier{Kind: ratelimit.Fixed, Requests: 2, Per: time.Minute}, []float64{0, 1, 59.9}, 3, 1},
		{"a hair early", ratelimit.Tier{Requests: 1, Per: time.Minute}, []float64{0, 59.999999}, 2, 1},
		{"bucket refills", ratelimit.Tier{Kind: ratelimit.TokenBucket, Requests: 60, Per: time.Minute, Burst: 2}, []float64{0, 0, 1, 2}, 2, 0},
		{"bucket runs dry", ratelimit.Tier{Kind: ratelimit.TokenBucket, Requests: 60, Per: time.Minute, Burst: 2}, []float64{0, 0, 0.5}, 3, 1},
	} {
		l := ratelimittest.NewLedger(ratelimit.Tiers{c.tier})
		for i := len(c.arrivals) - 1; i >= 0; i-- { // in whatever order they are told
			l.Arrive(at(c.arrivals[i]), 1)
			l.Leave()
		}
		got := l.Report()[0]
		if got.Worst != c.worst || got.Violations != c.violations {
			t.Errorf("%s: worst %d, %d violations; want %d, %d", c.name, got.Worst, got.Violations, c.worst, c.violations)
		}
		if err := l.Check(); (err != nil) != (c.violations > 0) {
			t.Errorf("%s: Check says %v", c.name, err)
		}
	}
	l := ratelimittest.NewLedger(ratelimit.Tiers{{Concurrent: 1}})
	l.Arrive(at(0), 1)
	l.Arrive(at(1), 1)
	if got := l.Report()[0]; got.Worst != 2 || got.Violations != 1 {
		t.Errorf("in flight: %+v", got)
	}
}
