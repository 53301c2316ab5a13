package ratelimittest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// Report is what came of a [Model]'s run.
type Report struct {
	Seed uint64
	// Requests were sent; Refusals are calls that the limiter gave back. Of the requests the partner refused Throttled
	// with a 429, and Lost were not answered. Unsent connections failed.
	Requests, Refusals, Throttled, Lost, Unsent int
	// Latency is the mean from send to answer.
	Latency time.Duration
	Tiers   []TierReport // as in the Model, its own and then those of its Scopes
	Waits   []WaitReport // by priority, most urgent first
	Loads   []LoadReport // as in the Model
	// Jain is Jain's fairness index of the loads that always had a call waiting (Pause 0), by Fair: 1 when each got its
	// part, 1/n when one of n got everything. 1 when no two shared a quota and a priority.
	Jain float64
	// Least is the smallest Fair of these: 0 when one got nothing. 1 when there are none.
	Least float64

	over []error
}

// TierReport is one tier, over all keys.
type TierReport struct {
	Scope string // its Name; "" for the Model's own
	Tier  ratelimit.Tier
	// Worst is the most that can have arrived in one window at the partner, whichever moment between send and answer
	// each request arrived at; of a TokenBucket, the most that can have been missing from a full one.
	Worst int64
	// Violations are the windows in which that is more than the limit.
	Violations int
	// Used is the mean use of the limit, 1 for all of it, after the first window.
	Used float64
	// Share is Used as a share of what can be had at this latency without ever going over, W/(W+L). Both are 0 for a
	// Concurrent tier.
	Share float64
}

// name is the tier's, and its scope's.
func (t TierReport) name() string {
	if t.Scope == "" {
		return t.Tier.String()
	}
	return t.Tier.String() + " of " + t.Scope
}

// WaitReport is how long calls waited for the limiter.
type WaitReport struct {
	Priority               ratelimit.Priority
	Requests               int
	Mean, Median, P99, Max time.Duration
}

// LoadReport is one load.
type LoadReport struct {
	Requests, Refusals, Throttled int
	Spent                         int64         // the cost of its requests
	Mean, Max                     time.Duration // how long its calls waited for the limiter
	// Fair is what it spent as a share of its part, by weight, of what all loads of its priority spent whose calls are
	// held back by the same quota: the fullest of those that they are counted by.
	Fair float64
}

// Err returns an error that names the seed, every tier of which a window can have held more than its limit, and the
// shortest such window with its requests; nil if there is none.
func (r *Report) Err() error {
	if len(r.over) == 0 {
		return nil
	}
	return fmt.Errorf("ratelimittest: seed %d: %w", r.Seed, errors.Join(r.over...))
}

// String is the report in a few lines.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d requests, %d refusals, %d throttled, %d lost, %d unsent, "+
		"latency %v, Jain's index %.3f, least share %.2f\n",
		r.Seed, r.Requests, r.Refusals, r.Throttled, r.Lost, r.Unsent, r.Latency, r.Jain, r.Least)
	for _, t := range r.Tiers {
		fmt.Fprintf(&b, "tier %s: %d in the worst window, used %.1f %% of the limit, %.1f %% of what can be had\n",
			t.name(), t.Worst, 100*t.Used, 100*t.Share)
	}
	for _, w := range r.Waits {
		fmt.Fprintf(&b, "priority %d: %d requests waited %v, half %v at most, 99 %% %v, longest %v\n",
			w.Priority, w.Requests, w.Mean, w.Median, w.P99, w.Max)
	}
	return b.String()
}

func (r *runner) report() *Report {
	rep := &Report{Seed: r.m.Seed, Loads: make([]LoadReport, len(r.m.Loads))}
	perPlace := make(map[place][]span)
	waits := make(map[ratelimit.Priority][]time.Duration)
	sums, calls := make([]time.Duration, len(r.m.Loads)), make([]int, len(r.m.Loads))
	var latency int64
	for _, c := range r.callers {
		call, l := &r.m.Loads[c.load].Call, &rep.Loads[c.load]
		for _, p := range r.loads[c.load].places {
			perPlace[p] = append(perPlace[p], c.spans...)
		}
		waits[call.Priority] = append(waits[call.Priority], c.waits...)
		rep.Lost, rep.Unsent = rep.Lost+c.lost, rep.Unsent+c.unsent
		l.Requests, l.Spent = l.Requests+len(c.spans), l.Spent+c.spent
		l.Refusals, l.Throttled = l.Refusals+c.refused, l.Throttled+c.throttled
		for _, w := range c.waits {
			sums[c.load] += w
			l.Max = max(l.Max, w)
		}
		for _, s := range c.spans {
			latency += s.left - s.sent
		}
		if calls[c.load] += len(c.waits); calls[c.load] > 0 {
			l.Mean = sums[c.load] / time.Duration(calls[c.load])
		}
	}
	for _, l := range rep.Loads {
		rep.Requests, rep.Refusals = rep.Requests+l.Requests, rep.Refusals+l.Refusals
		rep.Throttled += l.Throttled
	}
	if rep.Requests > 0 {
		rep.Latency = time.Duration(latency / int64(rep.Requests))
	}
	full := r.windows(rep, perPlace)
	for _, p := range slices.Backward(slices.Sorted(maps.Keys(waits))) {
		rep.Waits = append(rep.Waits, waited(p, waits[p]))
	}
	r.fairness(rep, full)
	return rep
}

// windows looks for bad windows, place by place, and returns how full the fullest tier of each is.
func (r *runner) windows(rep *Report, perPlace map[place][]span) map[place]float64 {
	full := make(map[place]float64)
	for i, scope := range r.scopes {
		var keys []string
		for p := range perPlace {
			if p.scope == i {
				keys = append(keys, p.key)
			}
		}
		slices.Sort(keys)
		reports := make([]TierReport, len(scope.Tiers))
		least, where := make([]stretch, len(scope.Tiers)), make([]string, len(scope.Tiers))
		for _, key := range keys {
			s := sorted(perPlace[place{i, key}])
			for j, t := range scope.Tiers {
				rt := &reports[j]
				f := s.check(t, r.begin.UnixNano())
				rt.Worst, rt.Violations = max(rt.Worst, f.worst), rt.Violations+f.over
				if f.over > 0 && (least[j].cost == 0 || f.least.to-f.least.from < least[j].to-least[j].from) {
					least[j], where[j] = f.least, key
				}
				if t.Concurrent == 0 {
					u := used(s.sent, t, r.m.For)
					rt.Used += u / float64(len(keys))
					full[place{i, key}] = max(full[place{i, key}], u*float64(t.Per+rep.Latency)/float64(t.Per))
				}
			}
		}
		for j, t := range scope.Tiers {
			rt := &reports[j]
			rt.Scope, rt.Tier = scope.Name, t
			if t.Concurrent == 0 {
				rt.Share = rt.Used * float64(t.Per+rep.Latency) / float64(t.Per)
			}
			if least[j].cost > 0 {
				in := sorted(perPlace[place{i, where[j]}]).in(least[j])
				rep.over = append(rep.over, describe(*rt, where[j], least[j], in))
			}
		}
		rep.Tiers = append(rep.Tiers, reports...)
	}
	return full
}

// used is the mean use of a limit in whole windows after the first one, if there are any.
func used(sent []span, t ratelimit.Tier, total time.Duration) float64 {
	windows := max(0, int64(total/t.Per)-1)
	from, whole := int64(total)-windows*int64(t.Per), float64(windows)
	if windows == 0 {
		from, whole = 0, max(1, float64(total)/float64(t.Per))
	}
	var sum int64
	for _, s := range sent {
		if s.sent >= from && s.sent < int64(total) {
			sum += s.cost
		}
	}
	return float64(sum) / (float64(t.Requests) * whole)
}

// described is how many requests of a bad window are told.
const described = 20

// describe tells of a window that is too full.
func describe(t TierReport, key string, w stretch, in []span) error {
	limit := t.Tier.Requests
	switch {
	case t.Tier.Concurrent != 0:
		limit = t.Tier.Concurrent
	case t.Tier.Kind == ratelimit.TokenBucket:
		limit = burst(t.Tier)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "tier %s can have had %d at worst, in %d windows too many; key %q, from %v, within %v: %d of %d",
		t.name(), t.Worst, t.Violations, key, time.Duration(w.from), time.Duration(w.to-w.from), w.cost, limit)
	for i, s := range in {
		if i == described {
			fmt.Fprintf(&b, "\n\tand %d more", len(in)-described)
			break
		}
		fmt.Fprintf(&b, "\n\tsent at %v, arrived until %v", time.Duration(s.sent), time.Duration(s.end))
		if s.cost != 1 {
			fmt.Fprintf(&b, ", cost %d", s.cost)
		}
	}
	return errors.New(b.String())
}

func waited(p ratelimit.Priority, all []time.Duration) WaitReport {
	w := WaitReport{Priority: p, Requests: len(all)}
	if len(all) == 0 {
		return w
	}
	slices.Sort(all)
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	n := len(all)
	w.Mean, w.Median, w.P99, w.Max = sum/time.Duration(n), all[(n-1)/2], all[(n-1)*99/100], all[n-1]
	return w
}

// fairness compares the loads that share a quota and a priority and always have a call. Of the quotas that a load's
// calls are counted by, it is the fullest that holds them back.
func (r *runner) fairness(rep *Report, full map[place]float64) {
	type group struct {
		place
		priority ratelimit.Priority
	}
	weight := func(l *Load) float64 { return float64(max(1, l.Call.Weight)) }
	spent, weights, members := make(map[group]float64), make(map[group]float64), make(map[group]int)
	each := func(f func(i int, g group, l *Load)) {
		for i := range r.m.Loads {
			l, places := &r.m.Loads[i], r.loads[i].places
			if l.Pause == 0 && len(places) > 0 {
				at := slices.MaxFunc(places, func(a, b place) int { return cmp.Compare(full[a], full[b]) })
				f(i, group{at, l.Call.Priority}, l)
			}
		}
	}
	each(func(i int, g group, l *Load) {
		spent[g] += float64(rep.Loads[i].Spent)
		weights[g] += weight(l)
		members[g]++
	})
	var sum, squares float64
	n := 0
	rep.Jain, rep.Least = 1, 1
	each(func(i int, g group, l *Load) {
		var x float64
		if spent[g] > 0 {
			x = float64(rep.Loads[i].Spent) / weight(l) * weights[g] / spent[g]
		}
		rep.Loads[i].Fair = x
		if members[g] > 1 {
			n++
			sum, squares, rep.Least = sum+x, squares+x*x, min(rep.Least, x)
		}
	})
	if n > 0 && squares > 0 {
		rep.Jain = sum * sum / (float64(n) * squares)
	} else if n > 0 {
		rep.Jain = 0
	}
}
