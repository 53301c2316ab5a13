package ratelimittest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// Ledger is the partner's side of a limit: it counts what arrives, when it arrives, and knows the worst window of each
// tier exactly, however the limiter counts. It is safe for concurrent use. Make it with [NewLedger].
type Ledger struct {
	tiers ratelimit.Tiers

	mu       sync.Mutex // guards the fields below
	arrivals []arrival
	inflight int64
	most     int64 // in flight
}

type arrival struct {
	at   time.Time
	cost int64
}

// NewLedger returns a ledger for the tiers, which must be valid.
func NewLedger(tiers ratelimit.Tiers) *Ledger {
	return &Ledger{tiers: slices.Clone(tiers)}
}

// Arrive counts a request that arrives at the partner at the time. Its answer is told by Leave.
func (l *Ledger) Arrive(at time.Time, cost int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrivals = append(l.arrivals, arrival{at, cost})
	l.inflight++
	l.most = max(l.most, l.inflight)
}

// Leave says that a request that arrived has been answered.
func (l *Ledger) Leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inflight--
}

// Count is what a Ledger found for one tier.
type Count struct {
	Tier ratelimit.Tier
	// Worst is the largest number in any window: of a Sliding tier in [t, t+Per) for every t, of a Fixed tier in each
	// of its windows, of a TokenBucket the most that was ever missing from a full bucket, of a Concurrent tier in
	// flight at once.
	Worst int64
	// Violations are the arrivals that a strict partner would have refused because the tier was full.
	Violations int
	// Share is the mean use of the limit from the first arrival to the last, 1 for all of it; 0 for a Concurrent tier.
	Share float64
}

// Report counts all that arrived.
func (l *Ledger) Report() []Count {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortStableFunc(l.arrivals, func(a, b arrival) int { return a.at.Compare(b.at) })
	out := make([]Count, len(l.tiers))
	for i, t := range l.tiers {
		c := Count{Tier: t}
		switch {
		case t.Concurrent != 0:
			c.Worst = l.most
			c.Violations = int(max(0, l.most-t.Concurrent))
		case t.Kind == ratelimit.TokenBucket:
			l.bucket(t, &c)
		default:
			l.windows(t, &c)
		}
		if n := len(l.arrivals); n > 1 && t.Concurrent == 0 {
			var sum int64
			for _, a := range l.arrivals {
				sum += a.cost
			}
			if span := l.arrivals[n-1].at.Sub(l.arrivals[0].at); span > 0 {
				c.Share = float64(sum) / (float64(t.Requests) * float64(span) / float64(t.Per))
			}
		}
		out[i] = c
	}
	return out
}

// windows counts the window that ends with each arrival: the worst of all windows is one of these.
func (l *Ledger) windows(t ratelimit.Tier, c *Count) {
	first, in := 0, int64(0)
	for i, a := range l.arrivals {
		in += a.cost
		for ; first < i && !l.together(t, l.arrivals[first].at, a.at); first++ {
			in -= l.arrivals[first].cost
		}
		c.Worst = max(c.Worst, in)
		if in > t.Requests {
			c.Violations++
		}
	}
}

// together reports whether a and the later b are in one window.
func (l *Ledger) together(t ratelimit.Tier, a, b time.Time) bool {
	if t.Kind == ratelimit.Fixed {
		return a.UnixNano()/int64(t.Per) == b.UnixNano()/int64(t.Per)
	}
	return b.Sub(a) < t.Per
}

// bucket follows the level of the bucket.
func (l *Ledger) bucket(t ratelimit.Tier, c *Count) {
	burst := t.Burst
	if burst == 0 {
		burst = t.Requests
	}
	var missing float64 // of a full bucket, in requests
	var last time.Time
	for i, a := range l.arrivals {
		if i > 0 {
			missing = max(0, missing-float64(a.at.Sub(last))*float64(t.Requests)/float64(t.Per))
		}
		last = a.at
		missing += float64(a.cost)
		const rounding = 1e-6
		c.Worst = max(c.Worst, int64(missing+1-rounding))
		if missing > float64(burst)+rounding {
			c.Violations++
		}
	}
}

// Check returns an error that names every tier in which more arrived than its limit, nil if there is none.
func (l *Ledger) Check() error {
	var over []string
	for _, c := range l.Report() {
		if c.Violations > 0 {
			over = append(over,
				fmt.Sprintf("tier %s: %d at worst, %d arrivals too many", c.Tier, c.Worst, c.Violations))
		}
	}
	if over != nil {
		return fmt.Errorf("ratelimittest: over the limit: %v", over)
	}
	return nil
}
