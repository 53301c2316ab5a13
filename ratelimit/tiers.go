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
	half   int64 // byRing: the length of a sub-window at first
	fine   int64 // and once it is refined
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
			s.half, s.fine = (s.per+coarseSize-2)/(coarseSize-1), (s.per+ringSize-2)/(ringSize-1)
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
// flight are counted for all tiers together, by counts. It is small: there is one for each tier of every key.
type tierCounts struct {
	used int64 // charged now; not kept by byBucket
	ring slidingRing
	more *tierMore // nil: its zero is what newMore returns
}

// tierMore is what is known of a tier beyond a ring: what another way of counting needs, what the partner said, what was learnt.
type tierMore struct {
	limit   int64 // in force: the tier's own, or less
	shut    int64 // nothing is admitted before: a window that is sat out
	foreign int64 // what others must have spent, going by what the partner reported last; until foreignEnd
	log     slidingLog
	window  int64 // byFixed: when the window began; byBucket: when it was last charged; math.MinInt64 at first
	bucket  *rate.Limiter

	foreignEnd int64
	others     int64 // until when others are taken to spend from the quota
	seen       int64 // when the request was sent whose answer was observed last
	told       int64 // the limit by the partner
	paced      int64 // the limit by what was learnt
}

// newMore is what a tier begins with.
func newMore(s *spec) *tierMore {
	return &tierMore{
		limit: s.limit, told: math.MaxInt64, paced: math.MaxInt64,
		shut: math.MinInt64, seen: math.MinInt64, window: math.MinInt64, others: math.MinInt64,
	}
}

func (t *tierCounts) init(s *spec) {
	switch s.method {
	case byRing, byFlight:
	case byBucket:
		t.has(s).bucket = rate.NewLimiter(rate.Limit(float64(s.tier.Requests)/s.tier.Per.Seconds()), int(s.limit))
	default:
		t.has(s)
	}
}

// has returns what is to be changed of more.
func (t *tierCounts) has(s *spec) *tierMore {
	if t.more == nil {
		t.more = newMore(s)
	}
	return t.more
}

// limit is the limit in force.
func (t *tierCounts) limit(s *spec) int64 {
	if t.more == nil {
		return s.limit
	}
	return t.more.limit
}

// shut is before when nothing is admitted.
func (t *tierCounts) shut() int64 {
	if t.more == nil {
		return math.MinInt64
	}
	return t.more.shut
}

// foreign is what others must have spent.
func (t *tierCounts) foreign() int64 {
	if t.more == nil {
		return 0
	}
	return t.more.foreign
}

// expire forgets what has left the window by now.
func (t *tierCounts) expire(s *spec, p *plan, now int64) {
	m := t.more
	if m != nil && m.foreign > 0 && now >= m.foreignEnd {
		m.foreign = 0
	}
	switch s.method {
	case byLog:
		if m.log.n > 0 {
			t.used -= m.log.expire(now, s.per)
		}
	case byRing:
		t.used -= t.ring.expire(s, now)
	case byFixed:
		if now-s.per >= m.window {
			if w := now - mod(p.nanos(now), s.per); w != m.window {
				m.window, t.used = w, 0
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
	limit, foreign := s.limit, int64(0)
	if m := t.more; m != nil {
		if now < m.shut {
			return -1
		}
		limit, foreign = m.limit, m.foreign
	}
	switch s.method {
	case byFlight:
		return limit - inflight
	case byBucket:
		return int64(math.Floor(t.more.bucket.TokensAt(p.time(now)))) - busy - foreign
	}
	return limit - t.used - busy - foreign
}

// charge counts cost at a time that is not after the engine's now, or not by more than the calls to it are apart.
func (t *tierCounts) charge(s *spec, p *plan, at, cost int64) {
	switch s.method {
	case byLog:
		t.more.log.add(at, cost)
		t.used += cost
	case byRing:
		t.used -= t.ring.expire(s, at)
		if t.ring.all == nil && t.used+cost > t.limit(s)/littleShare {
			t.ring.refine(s)
		}
		t.ring.add(s, at, cost)
		t.used += cost
	case byFixed:
		t.expire(s, p, at)
		if at >= t.more.window {
			t.used += cost
		}
	case byBucket:
		// Room that is held stays in the bucket until now, where it is not refilled beyond the burst: no more than the
		// partner's own bucket does. That one is never below empty.
		m := t.more
		at = max(at, m.window) // or time that has passed is credited again
		m.window = at
		tokens := int64(math.Ceil(m.bucket.TokensAt(p.time(at))))
		if n := min(cost, tokens, int64(m.bucket.Burst())); n > 0 {
			m.bucket.ReserveN(p.time(at), int(n))
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
	limit, foreign, shut := t.limit(s), t.foreign(), t.shut()
	rounds := (n - 1) / limit
	n -= rounds * limit
	later := min(rounds, int64(maxPer)/s.per) * s.per
	need := n - (limit - t.used - busy - foreign)
	if need <= 0 {
		at = now
		if s.method == byFixed && later > 0 {
			at = t.more.window
		}
		return max(at+later, shut), false
	}
	at, missing := t.freed(s, p, need, dated)
	if foreign > 0 && (missing > 0 || at > t.more.foreignEnd) {
		with, still := t.freed(s, p, need-foreign, dated)
		if with = max(with, t.more.foreignEnd); missing > 0 || with < at {
			at, missing = with, still
		}
	}
	if missing > 0 {
		return max(now, shut), true
	}
	return max(at+later, shut), false
}

// refilled is when for a bucket.
func (t *tierCounts) refilled(s *spec, p *plan, now, n, busy int64, dated []charge) (at int64, open bool) {
	m := t.more
	after := func(from int64, tokens float64) int64 {
		wait := math.Ceil(tokens/float64(m.bucket.Limit())*float64(time.Second)) + 1
		return from + int64(max(0, min(wait, float64(maxPer))))
	}
	at = max(m.shut, after(now, float64(n+busy+m.foreign)-m.bucket.TokensAt(p.time(now))))
	// What arrives later is taken out then, and before that the bucket is no fuller than full.
	late, held := int64(0), busy
	for _, c := range dated {
		held -= c.cost
	}
	for i := len(dated) - 1; i >= 0; i-- {
		late += dated[i].cost
		if short := min(n, m.limit) + held + late - m.limit; short > 0 {
			at = max(at, after(dated[i].at, float64(short)))
		}
	}
	return at, min(n, m.limit)+held > m.limit
}

// freed returns when need of what is charged, or will be at a known time, is free again, and how much is missing.
func (t *tierCounts) freed(s *spec, p *plan, need int64, dated []charge) (at, missing int64) {
	if need <= 0 {
		return math.MinInt64, 0
	}
	switch s.method {
	case byLog:
		at, missing = t.more.log.freed(need, s.per)
	case byRing:
		at, missing = t.ring.freed(s, need)
	case byFixed:
		if t.used > 0 {
			at = t.more.window + s.per
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
	t.has(s).told = limit
	t.limits(s, p, now)
}

// limits puts the least of what is known of the limit into force.
func (t *tierCounts) limits(s *spec, p *plan, now int64) {
	m := t.has(s)
	limit := min(m.told, m.paced)
	m.limit = min(limit, s.limit)
	if s.method != byBucket {
		return
	}
	m.window = max(m.window, now)
	if per := rate.Limit(float64(min(limit, s.tier.Requests)) / s.tier.Per.Seconds()); per != m.bucket.Limit() {
		m.bucket.SetLimitAt(p.time(now), per)
	}
	if int(m.limit) != m.bucket.Burst() {
		m.bucket.SetBurstAt(p.time(now), int(m.limit))
	}
}

// report takes in what the partner says is left. What is left by our own count and not by its own, others have spent. Whether it has counted
// what is in flight already, nobody knows, but for the request whose answer this is. While nobody else is seen to spend, it is taken as counted: our
// own count is exact, and is not to be charged twice. Once others spend more than that can explain, and for a window after, it is taken as
// still to come.
func (t *tierCounts) report(s *spec, p *plan, now, busy, remaining int64, reset time.Time) {
	m := t.has(s)
	m.foreign = 0
	least := t.free(s, p, now, busy, 0) - remaining
	if least > 0 {
		m.others = now + s.per
	}
	if now < m.others {
		least += max(0, busy-1)
	}
	m.foreign = max(0, least)
	m.foreignEnd = now + s.per
	if s.method == byBucket { // it is spent until as much has been refilled
		refill := math.Ceil(float64(m.foreign) / float64(m.bucket.Limit()) * float64(time.Second))
		m.foreignEnd = max(m.foreignEnd, now+int64(min(refill, float64(maxPer))))
	}
	if !reset.IsZero() {
		m.foreignEnd = min(m.foreignEnd, max(now, p.ns(reset)))
	}
}

// scarce is how far apart calls are to be while others spend and little is left, so that each answer tells before the next call goes; 0 when
// there is no need.
func (t *tierCounts) scarce(s *spec, p *plan, now, busy int64) int64 {
	m := t.more
	if m == nil || s.method == byFlight || s.method == byBucket || m.foreign == 0 || now >= m.others || now >= m.foreignEnd {
		return 0
	}
	left := max(0, t.free(s, p, now, busy, 0))
	if left > m.limit/scarceShare {
		return 0
	}
	return min((m.foreignEnd-now)/(left+1), s.per/scarceShare)
}

// scarceShare: a tier with less than one in so many left is scarce.
const scarceShare = 8

// spent is what the tier has counted now.
func (t *tierCounts) spent(s *spec, p *plan, now int64) int64 {
	switch s.method {
	case byFlight:
		return 0
	case byBucket:
		return max(0, t.more.limit-int64(math.Floor(t.more.bucket.TokensAt(p.time(now)))))
	}
	return t.used
}

// charges calls f for all that is charged, oldest first, each at the latest time at which it can have been counted.
func (t *tierCounts) charges(s *spec, p *plan, now int64, f func(at, cost int64)) {
	switch s.method {
	case byLog:
		for i := range t.more.log.n {
			e := t.more.log.entry(i)
			f(e.at, e.cost)
		}
	case byRing:
		t.ring.each(s, func(last, cost int64) bool {
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
