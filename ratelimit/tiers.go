package ratelimit

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// method is how a tier is counted.
type method uint8

const (
	byLog method = iota
	byRing
	byFixed
	byBucket
	byFlight
)

// spec is a tier as the engine uses it.
type spec struct {
	tier   Tier
	name   string
	method method
	limit  int64 // requests; of a bucket: its burst; of byFlight: requests in flight
	per    int64 // nanoseconds
}

// most is the limit as stated, of requests per window.
func (s *spec) most() int64 {
	if s.method == byFlight {
		return s.limit
	}
	return s.tier.Requests
}

// plan is what the counts of all keys have in common.
type plan struct {
	tiers    Tiers
	specs    []spec
	epoch    time.Time // time 0 of the engine
	wall     int64     // the same in Unix nanoseconds
	maxCost  int64     // of one call
	maxTier  string    // which tier says so
	shortest time.Duration
	longest  int64 // window, in nanoseconds; 0 without any
	reserve  float64
	rest     []spec // the tiers less the reserve; nil without one
}

// newPlan compiles valid tiers.
func newPlan(tiers Tiers, epoch time.Time) *plan {
	p := &plan{
		tiers: tiers, specs: make([]spec, len(tiers)), epoch: epoch, wall: epoch.UnixNano(), maxCost: maxRequests, shortest: maxPer,
	}
	for i, t := range tiers {
		s := spec{tier: t, name: t.String(), limit: t.Requests, per: int64(t.Per)}
		switch {
		case t.Concurrent != 0:
			s.method, s.limit = byFlight, t.Concurrent
		case t.Kind == Fixed:
			s.method = byFixed
		case t.Kind == TokenBucket:
			s.method, s.limit = byBucket, t.ceiling()
		case t.Requests <= exactLimit:
			s.method = byLog
		default:
			s.method = byRing
		}
		if most := t.ceiling(); most < p.maxCost || p.maxTier == "" {
			p.maxCost, p.maxTier = most, s.name
		}
		if t.Concurrent == 0 {
			p.shortest = min(p.shortest, t.Per)
			p.longest = max(p.longest, s.per)
		}
		p.specs[i] = s
	}
	return p
}

// ns is t in the engine's time.
func (p *plan) ns(t time.Time) int64 { return int64(t.Sub(p.epoch)) }

// time is the opposite of ns.
func (p *plan) time(ns int64) time.Time { return p.epoch.Add(time.Duration(ns)) }

// nanos are nanoseconds since the Unix epoch on this machine's clock.
func (p *plan) nanos(ns int64) int64 { return p.wall + ns }

// tierCounts is the state of one tier of one key: what the partner has counted, and the limit in force. Requests in
// flight are counted for all tiers together, by counts.
type tierCounts struct {
	limit   int64 // in force: the tier's own, or less
	used    int64 // charged now; not kept by byBucket
	shut    int64 // nothing is admitted before: a window that is sat out
	foreign int64 // what others must have spent, going by what the partner reported last; until foreignEnd
	ring    slidingRing
	log     slidingLog
	window  int64 // byFixed: when the window began; byBucket: when it was last charged; math.MinInt64 at first
	bucket  *rate.Limiter

	foreignEnd int64
	others     int64 // until when others are taken to spend from the quota
	seen       int64 // when the request was sent whose answer was observed last
	told       int64 // the limit by the partner
	paced      int64 // the limit by what was learnt
}

func (t *tierCounts) init(s *spec, p *plan) {
	t.limit, t.told, t.paced = s.limit, math.MaxInt64, math.MaxInt64
	t.shut, t.seen, t.window, t.others = math.MinInt64, math.MinInt64, math.MinInt64, math.MinInt64
	switch s.method {
	case byRing:
		t.ring.sub = (s.per + ringSize - 2) / (ringSize - 1)
	case byBucket:
		t.bucket = rate.NewLimiter(rate.Limit(float64(s.tier.Requests)/s.tier.Per.Seconds()), int(s.limit))
	}
}

// expire forgets what has left the window by now.
func (t *tierCounts) expire(s *spec, p *plan, now int64) {
	if t.foreign > 0 && now >= t.foreignEnd {
		t.foreign = 0
	}
	switch s.method {
	case byLog:
		if t.log.n > 0 {
			t.used -= t.log.expire(now, s.per)
		}
	case byRing:
		t.used -= t.ring.expire(now)
	case byFixed:
		if now-s.per >= t.window {
			if w := now - mod(p.nanos(now), s.per); w != t.window {
				t.window, t.used = w, 0
			}
		}
	}
}

// mod is the remainder that is never negative.
func mod(a, b int64) int64 {
	m := a % b
	if m < 0 {
		m += b
	}
	return m
}

// free is how much more may be spent, with busy in flight. expire has been called.
func (t *tierCounts) free(s *spec, p *plan, now, busy, inflight int64) int64 {
	switch {
	case now < t.shut:
		return -1
	case s.method == byFlight:
		return t.limit - inflight
	case s.method == byBucket:
		return int64(math.Floor(t.bucket.TokensAt(p.time(now)))) - busy - t.foreign
	}
	return t.limit - t.used - busy - t.foreign
}

// charge counts cost at a time that is not after the engine's now, or not by more than the calls to it are apart.
func (t *tierCounts) charge(s *spec, p *plan, at, cost int64) {
	switch s.method {
	case byLog:
		t.log.add(at, cost)
		t.used += cost
	case byRing:
		t.used -= t.ring.expire(at)
		if t.ring.add(at, cost) {
			t.used += cost
		}
	case byFixed:
		t.expire(s, p, at)
		if at >= t.window {
			t.used += cost
		}
	case byBucket:
		// Room that is held stays in the bucket until now, where it is not refilled beyond the burst: no more than the
		// partner's own bucket does. That one is never below empty.
		at = max(at, t.window) // or time that has passed is credited again
		t.window = at
		tokens := int64(math.Ceil(t.bucket.TokensAt(p.time(at))))
		if n := min(cost, tokens, int64(t.bucket.Burst())); n > 0 {
			t.bucket.ReserveN(p.time(at), int(n))
		}
	}
}

// when returns the earliest time at which n more may be spent, with busy in flight of which dated (in order) will be charged at
// their time and the rest when somebody says so. open reports that this takes such a word, which may come at any
// time: then the time is the earliest thinkable. expire has been called, and n is more than free.
func (t *tierCounts) when(s *spec, p *plan, now, n, busy, inflight int64, dated []charge) (at int64, open bool) {
	switch s.method {
	case byFlight:
		return now, true
	case byBucket:
		return t.refilled(s, p, now, n, busy, dated)
	}
	// Those before in line will be charged too: each limit's worth of them takes a window.
	rounds := (n - 1) / t.limit
	n -= rounds * t.limit
	later := min(rounds, int64(maxPer)/s.per) * s.per
	need := n - (t.limit - t.used - busy - t.foreign)
	if need <= 0 {
		at = now
		if s.method == byFixed && later > 0 {
			at = t.window
		}
		return max(at+later, t.shut), false
	}
	at, missing := t.freed(s, p, need, dated)
	if t.foreign > 0 && (missing > 0 || at > t.foreignEnd) {
		with, still := t.freed(s, p, need-t.foreign, dated)
		if with = max(with, t.foreignEnd); missing > 0 || with < at {
			at, missing = with, still
		}
	}
	if missing > 0 {
		return max(now, t.shut), true
	}
	return max(at+later, t.shut), false
}

// refilled is when for a bucket.
func (t *tierCounts) refilled(s *spec, p *plan, now, n, busy int64, dated []charge) (at int64, open bool) {
	after := func(from int64, tokens float64) int64 {
		wait := math.Ceil(tokens/float64(t.bucket.Limit())*float64(time.Second)) + 1
		return from + int64(max(0, min(wait, float64(maxPer))))
	}
	at = max(t.shut, after(now, float64(n+busy+t.foreign)-t.bucket.TokensAt(p.time(now))))
	// What arrives later is taken out then, and before that the bucket is no fuller than full.
	late, held := int64(0), busy
	for _, c := range dated {
		held -= c.cost
	}
	for i := len(dated) - 1; i >= 0; i-- {
		late += dated[i].cost
		if short := min(n, t.limit) + held + late - t.limit; short > 0 {
			at = max(at, after(dated[i].at, float64(short)))
		}
	}
	return at, min(n, t.limit)+held > t.limit
}

// freed returns when need of what is charged, or will be at a known time, is free again, and how much is missing.
func (t *tierCounts) freed(s *spec, p *plan, need int64, dated []charge) (at, missing int64) {
	if need <= 0 {
		return math.MinInt64, 0
	}
	switch s.method {
	case byLog:
		at, missing = t.log.freed(need, s.per)
	case byRing:
		at, missing = t.ring.freed(need)
	case byFixed:
		if t.used > 0 {
			at = t.window + s.per
		}
		missing = max(need-t.used, 0)
	}
	for _, c := range dated {
		if missing <= 0 {
			break
		}
		missing -= c.cost
		left := c.at
		if s.method == byFixed {
			left -= mod(p.nanos(c.at), s.per)
		}
		at = max(at, left+s.per)
	}
	return at, max(missing, 0)
}

// cut puts the limit that the partner reports into force, but never more than the tier's own.
func (t *tierCounts) cut(s *spec, p *plan, now, limit int64) {
	t.told = limit
	t.limits(s, p, now)
}

// limits puts the least of what is known of the limit into force.
func (t *tierCounts) limits(s *spec, p *plan, now int64) {
	limit := min(t.told, t.paced)
	t.limit = min(limit, s.limit)
	if s.method != byBucket {
		return
	}
	t.window = max(t.window, now)
	if per := rate.Limit(float64(min(limit, s.tier.Requests)) / s.tier.Per.Seconds()); per != t.bucket.Limit() {
		t.bucket.SetLimitAt(p.time(now), per)
	}
	if int(t.limit) != t.bucket.Burst() {
		t.bucket.SetBurstAt(p.time(now), int(t.limit))
	}
}

// report takes in what the partner says is left. What is left by our own count and not by its own, others have spent. Whether it has counted
// what is in flight already, nobody knows, but for the request whose answer this is. While nobody else is seen to spend, it is taken as counted: our
// own count is exact, and is not to be charged twice. Once others spend more than that can explain, and for a window after, it is taken as
// still to come.
func (t *tierCounts) report(s *spec, p *plan, now, busy, remaining int64, reset time.Time) {
	t.foreign = 0
	least := t.free(s, p, now, busy, 0) - remaining
	if least > 0 {
		t.others = now + s.per
	}
	if now < t.others {
		least += max(0, busy-1)
	}
	t.foreign = max(0, least)
	t.foreignEnd = now + s.per
	if s.method == byBucket { // it is spent until as much has been refilled
		refill := math.Ceil(float64(t.foreign) / float64(t.bucket.Limit()) * float64(time.Second))
		t.foreignEnd = max(t.foreignEnd, now+int64(min(refill, float64(maxPer))))
	}
	if !reset.IsZero() {
		t.foreignEnd = min(t.foreignEnd, max(now, p.ns(reset)))
	}
}

// scarce is how far apart calls are to be while others spend and little is left, so that each answer tells before the next call goes; 0 when
// there is no need.
func (t *tierCounts) scarce(s *spec, p *plan, now, busy int64) int64 {
	if s.method == byFlight || s.method == byBucket || t.foreign == 0 || now >= t.others || now >= t.foreignEnd {
		return 0
	}
	left := max(0, t.free(s, p, now, busy, 0))
	if left > t.limit/scarceShare {
		return 0
	}
	return min((t.foreignEnd-now)/(left+1), s.per/scarceShare)
}

// scarceShare: a tier with less than one in so many left is scarce.
const scarceShare = 8

// spent is what the tier has counted now.
func (t *tierCounts) spent(s *spec, p *plan, now int64) int64 {
	switch s.method {
	case byFlight:
		return 0
	case byBucket:
		return max(0, t.limit-int64(math.Floor(t.bucket.TokensAt(p.time(now)))))
	}
	return t.used
}

// charges calls f for all that is charged, oldest first, each at the latest time at which it can have been counted.
func (t *tierCounts) charges(s *spec, p *plan, now int64, f func(at, cost int64)) {
	switch s.method {
	case byLog:
		for i := range t.log.n {
			f(t.log.entry(i).at, t.log.entry(i).cost)
		}
	case byRing:
		t.ring.each(func(last, cost int64) bool {
			f(min(last, now), cost)
			return true
		})
	case byFixed:
		if t.used > 0 {
			f(now, t.used)
		}
	case byBucket:
		if n := t.spent(s, p, now); n > 0 {
			f(now, n)
		}
	}
}
