package ratelimittest

import (
	"sync"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// tally is the partner while it runs: it counts what arrives for one key, in order, and refuses what is over a limit.
// What it refuses does not count.
type tally struct {
	tiers    []tierTally
	log      []arrival // what may still be in a window, oldest first
	inflight int64
}

type tierTally struct {
	ratelimit.Tier
	first int   // in the log: the oldest in the window
	sum   int64 // of the window
	since int64 // Fixed: which window sum is of
	last  time.Time
	level float64 // TokenBucket: what is missing from a full one
}

func newTally(tiers ratelimit.Tiers) *tally {
	k := &tally{tiers: make([]tierTally, len(tiers))}
	for i, t := range tiers {
		k.tiers[i].Tier = t
	}
	return k
}

// tallies are all that count a request, each of which has room or none counts it.
type tallies struct {
	mu  *sync.Mutex // guards the tallies, and is the same for all of a run
	all []*tally
}

// enter and leave count the requests in flight.
func (ks tallies) enter() { ks.fly(1) }
func (ks tallies) leave() { ks.fly(-1) }

func (ks tallies) fly(n int64) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	for _, k := range ks.all {
		k.inflight += n
	}
}

// arrive counts a request, and returns 0; or how long it will be until one has room.
func (ks tallies) arrive(at time.Time, cost int64) (over time.Duration) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	for _, k := range ks.all {
		for i := range k.tiers {
			over = max(over, k.tiers[i].room(k, at, cost))
		}
	}
	if over == 0 {
		for _, k := range ks.all {
			k.count(at, cost)
		}
	}
	return over
}

func (k *tally) count(at time.Time, cost int64) {
	logged := false
	for i := range k.tiers {
		t := &k.tiers[i]
		t.sum += cost
		t.level += float64(cost)
		logged = logged || t.slides()
	}
	if logged {
		k.log = append(k.log, arrival{at, cost})
		k.trim()
	}
}

func (t *tierTally) slides() bool { return t.Concurrent == 0 && t.Kind == ratelimit.Sliding }

// room is how long it will be until the tier has room for cost; 0 if it has.
func (t *tierTally) room(k *tally, at time.Time, cost int64) time.Duration {
	switch {
	case t.Concurrent != 0:
		if k.inflight > t.Concurrent {
			return time.Millisecond
		}
	case t.Kind == ratelimit.Fixed:
		if n := at.UnixNano() / int64(t.Per); n != t.since {
			t.since, t.sum = n, 0
		}
		if t.sum+cost > t.Requests {
			return t.Per - time.Duration(at.UnixNano()%int64(t.Per))
		}
	case t.Kind == ratelimit.TokenBucket:
		rate := float64(t.Requests) / float64(t.Per)
		if !t.last.IsZero() {
			t.level = max(0, t.level-float64(at.Sub(t.last))*rate)
		}
		t.last = at
		if missing := t.level + float64(cost) - float64(burst(t.Tier)); missing > rounding {
			return 1 + time.Duration(missing/rate)
		}
	default:
		for ; t.first < len(k.log) && at.Sub(k.log[t.first].at) >= t.Per; t.first++ {
			t.sum -= k.log[t.first].cost
		}
		if t.sum+cost > t.Requests {
			return t.Per - at.Sub(k.log[t.first].at)
		}
	}
	return 0
}

// trim drops what has left every window, once that is half of the log.
func (k *tally) trim() {
	gone := len(k.log)
	for i := range k.tiers {
		if k.tiers[i].slides() {
			gone = min(gone, k.tiers[i].first)
		}
	}
	if gone < 32 || gone < len(k.log)/2 {
		return
	}
	k.log = k.log[:copy(k.log, k.log[gone:])]
	for i := range k.tiers {
		k.tiers[i].first -= gone
	}
}

// burst is the size of a bucket.
func burst(t ratelimit.Tier) int64 {
	if t.Burst != 0 {
		return t.Burst
	}
	return t.Requests
}

// rounding is what sums of fractions may be off by.
const rounding = 1e-6
