package ratelimittest

import (
	"cmp"
	"math"
	"slices"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// span is a request that arrived at some moment from sent to end, which nobody but the partner knows. It had been
// answered, or given up, at left. Times are in nanoseconds since the run began.
type span struct {
	sent, end, left int64
	cost            int64
}

// stretch is a stretch of time, and what can have arrived in it: the cost of all requests of which some moment from
// sent to end is in it.
type stretch struct {
	from, to int64
	cost     int64
}

// spans are the requests of one key, in both orders.
type spans struct {
	sent, end []span
}

func sorted(all []span) spans {
	s := spans{sent: all, end: slices.Clone(all)}
	slices.SortFunc(s.sent, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.sent, b.sent), cmp.Compare(a.end, b.end))
	})
	slices.SortFunc(s.end, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.sent, b.sent))
	})
	return s
}

// found is what the search for bad windows found of one tier.
type found struct {
	worst int64   // that can have arrived in any window; of a TokenBucket, that can have been missing from a full one
	over  int     // windows in which it is more than the limit, of those that begin as a request is answered
	least stretch // of those, the shortest part in which it is too much already; cost 0 if there is none
}

// check finds the bad windows of a tier. epoch is when the run began, in Unix time.
func (s spans) check(t ratelimit.Tier, epoch int64) found {
	switch {
	case t.Concurrent != 0:
		return s.flight(t.Concurrent)
	case t.Kind == ratelimit.Fixed:
		return s.fixed(t, epoch)
	case t.Kind == ratelimit.TokenBucket:
		return s.bucket(t)
	}
	return s.sliding(t)
}

// sliding looks at each window that begins as a request is answered: whatever can be in any window can be in one of
// these. All of those sent before its end can have arrived in it, but for those that were answered before it began.
func (s spans) sliding(t ratelimit.Tier) (f found) {
	// The cost of those answered before it; sent before its end; sent up to the first that is too much.
	var gone, upto, some int64
	next, first := 0, 0
	for i := 0; i < len(s.end); {
		from := s.end[i].end
		for ; next < len(s.sent) && s.sent[next].sent < from+int64(t.Per); next++ {
			upto += s.sent[next].cost
		}
		if n := upto - gone; n > t.Requests {
			f.over++
			for ; some-gone <= t.Requests; first++ {
				some += s.sent[first].cost
			}
			f.shortest(stretch{from, max(from, s.sent[first-1].sent), some - gone})
		}
		f.worst = max(f.worst, upto-gone)
		for ; i < len(s.end) && s.end[i].end == from; i++ {
			gone += s.end[i].cost
		}
	}
	return f
}

func (f *found) shortest(w stretch) {
	if f.least.cost == 0 || w.to-w.from < f.least.to-f.least.from {
		f.least = w
	}
}

// fixed counts for each window of the clock all that can have arrived in it.
func (s spans) fixed(t ratelimit.Tier, epoch int64) (f found) {
	counts := make(map[int64]int64)
	for _, r := range s.sent {
		for n := (epoch + r.sent) / int64(t.Per); n <= (epoch+r.end)/int64(t.Per); n++ {
			counts[n] += r.cost
		}
	}
	for n, cost := range counts {
		f.worst = max(f.worst, cost)
		if cost > t.Requests {
			f.over++
			from := n*int64(t.Per) - epoch
			if f.least.cost == 0 || from < f.least.from {
				f.least = stretch{from, from + int64(t.Per) - 1, cost}
			}
		}
	}
	return f
}

// bucket compares, for every two moments, what can have arrived between them with what was refilled.
func (s spans) bucket(t ratelimit.Tier) (f found) {
	rate := float64(t.Requests) / float64(t.Per)
	var upto, gone int64
	// The moment since which most can be missing: refilled until then, less answered before it.
	best, from := math.Inf(-1), int64(0)
	j := 0
	for i := 0; i < len(s.sent); {
		at := s.sent[i].sent
		for ; i < len(s.sent) && s.sent[i].sent == at; i++ {
			upto += s.sent[i].cost
		}
		since := func(when int64) {
			if v := rate*float64(when) - float64(gone); v > best {
				best, from = v, when
			}
		}
		for ; j < len(s.end) && s.end[j].end < at; j++ {
			since(s.end[j].end)
			gone += s.end[j].cost
		}
		since(at)
		missing := float64(upto) - rate*float64(at) + best
		f.worst = max(f.worst, int64(missing+1-rounding))
		if missing > float64(burst(t))+rounding {
			f.over++
			f.shortest(stretch{from, at, int64(missing + 1 - rounding)})
		}
	}
	return f
}

// flight counts the requests that were sent and not yet answered.
func (s spans) flight(limit int64) (f found) {
	left := make([]int64, len(s.sent))
	for i, r := range s.sent {
		left[i] = r.left
	}
	slices.Sort(left)
	j := 0
	for i, r := range s.sent {
		for ; j < len(left) && left[j] <= r.sent; j++ {
		}
		n := int64(i + 1 - j)
		f.worst = max(f.worst, n)
		if n > limit {
			f.over++
			f.shortest(stretch{r.sent, r.sent, n})
		}
	}
	return f
}

// in lists the requests that can have arrived in w, in the order in which they were sent.
func (s spans) in(w stretch) (all []span) {
	for _, r := range s.sent {
		if r.sent <= w.to && r.end >= w.from {
			all = append(all, r)
		}
	}
	return all
}
