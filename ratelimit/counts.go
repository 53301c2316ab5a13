package ratelimit

import "math"

// counts is what is known of one key: the engine under every limiter in memory. It is not safe for concurrent use; times are the
// engine's. What each call touches is together, and small: there may be as many keys as a partner has customers.
type counts struct {
	held     int64 // cost of requests in flight whose arrival is not known: charged in every tier, without end
	inflight int32 // requests admitted and not released
	free     int32 // the first free slot, -1 for none
	now      int64 // the latest time seen
	p        *plan
	tiers    []tierCounts
	rare     *rareCounts // nil: none of it
	one      slot        // the first slot; others are in rare
	probe    uint8
}

// rareCounts are what a key does without until it needs it.
type rareCounts struct {
	parked int64 // nothing is admitted before
	// dated are charges for arrivals that are still to come at the latest (see Permit.Lost), by time; late is their cost.
	dated []charge
	late  int64
	rest  *rest  // nil without a reserve
	slots []slot // but the first
}

// The states of counts.probe.
const (
	noProbe uint8 = iota
	probeNeeded
	probeOut
)

// What holds a call back, when it is no tier.
const (
	byPark  = -1
	byProbe = -2
)

// verdict says whether a call was admitted, and if not when to ask again.
type verdict struct {
	ok   bool
	open bool  // a request in flight must be settled or released first; at is the earliest thinkable
	over bool  // the cost alone is above the limit in force
	tier int   // index of the tier that holds the call back, byPark or byProbe
	at   int64 // when to ask again
}

// newCounts are the counts of a key that has spent nothing, in memory that holds its tiers, zeroed; nil allocates.
func newCounts(p *plan, tiers []tierCounts) counts {
	if tiers == nil {
		tiers = make([]tierCounts, len(p.specs))
	}
	c := counts{p: p, tiers: tiers, one: slot{gen: 1, next: -1}}
	for i := range c.tiers {
		c.tiers[i].init(&p.specs[i])
	}
	if p.rest != nil {
		c.more().rest = newRest(p)
	}
	return c
}

// more returns what is to be changed of rare.
func (c *counts) more() *rareCounts {
	if c.rare == nil {
		c.rare = &rareCounts{parked: math.MinInt64}
	}
	return c.rare
}

// rest is what calls below Interactive have spent; nil without a reserve.
func (c *counts) rest() *rest {
	if c.rare == nil {
		return nil
	}
	return c.rare.rest
}

// parked is before when nothing is admitted.
func (c *counts) parked() int64 {
	if c.rare == nil {
		return math.MinInt64
	}
	return c.rare.parked
}

// late is the cost of what will be charged at a known time; dated is what.
func (c *counts) late() int64 {
	if c.rare == nil {
		return 0
	}
	return c.rare.late
}

func (c *counts) dated() []charge {
	if c.rare == nil {
		return nil
	}
	return c.rare.dated
}

// pending is what is charged in every tier for requests that are not yet counted.
func (c *counts) pending() int64 { return c.held + c.late() }

// advance moves the clock on; it never goes back.
func (c *counts) advance(now int64) {
	c.now = max(c.now, now)
	r := c.rare
	if r == nil {
		return
	}
	for len(r.dated) > 0 && r.dated[0].at <= c.now {
		d := r.dated[0]
		r.dated = r.dated[1:]
		r.late -= d.cost
		c.charge(d.at, d.cost)
	}
	if len(r.dated) == 0 {
		r.dated = nil
	}
	if r.rest != nil {
		r.rest.advance(c.p, c.now)
	}
}

func (c *counts) charge(at, cost int64) {
	for i := range c.tiers {
		c.tiers[i].charge(&c.p.specs[i], c.p, at, cost)
	}
}

// ask says whether a call would be admitted that waits behind calls of the cost ahead; low says that it must leave the reserve.
func (c *counts) ask(cost, ahead int64, low bool, now int64) verdict {
	if c.fits(cost, ahead, low, now) {
		return verdict{ok: true}
	}
	return c.refuse(cost, ahead, low)
}

// fits is ask without the reason.
func (c *counts) fits(cost, ahead int64, low bool, now int64) bool {
	fits, busy, rest := c.probe != probeOut, c.held, (*rest)(nil)
	if r := c.rare; r != nil {
		c.advance(now)
		fits, busy, rest = fits && c.now >= r.parked, c.held+r.late, r.rest
	}
	now = max(now, c.now)
	c.now = now
	n := cost + ahead
	for i := range c.tiers {
		t, s := &c.tiers[i], &c.p.specs[i]
		if s.method == byRing && t.more == nil {
			if now-t.ring.start >= t.ring.sub(s) {
				t.used -= t.ring.expire(s, now)
			}
			fits = fits && s.limit-t.used-busy >= n
			continue
		}
		t.expire(s, c.p, now)
		room := t.free(s, c.p, now, busy, int64(c.inflight))
		if s.method == byFlight {
			fits = fits && room >= 1+min(ahead, 1)
		} else {
			fits = fits && room >= n
		}
	}
	low = low && rest != nil
	for i := 0; low && fits && i < len(c.tiers); i++ {
		t, s := &c.tiers[i], &c.p.specs[i]
		fits = rest.room(c.p, i, cost, ahead, now) &&
			(t.foreign() == 0 || s.method == byFlight || t.free(s, c.p, now, busy, int64(c.inflight)) >= n+c.kept(i, cost))
	}
	return fits
}

// roomy reports that a call would be admitted whatever time it is: what was spent leaves room, also if none of it has left its window.
func (c *counts) roomy(cost int64) bool {
	if r := c.rare; c.probe != noProbe || r != nil && (r.parked != math.MinInt64 || r.late > 0 || r.rest != nil) {
		return false
	}
	for i := range c.tiers {
		t, s := &c.tiers[i], &c.p.specs[i]
		switch {
		case s.method == byRing && t.more == nil:
			if s.limit-t.used-c.held < cost {
				return false
			}
		case s.method == byLog:
			if m := t.more; m.shut != math.MinInt64 || m.limit-t.used-c.held-m.foreign < cost {
				return false
			}
		case s.method == byFlight && t.more == nil:
			if s.limit <= int64(c.inflight) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// refuse is the reason; low is without meaning if there is no reserve.
func (c *counts) refuse(cost, ahead int64, low bool) verdict {
	low = low && c.rest() != nil
	busy := c.pending()
	v := verdict{at: c.now, tier: byPark}
	if c.probe == probeOut {
		v.open, v.tier = true, byProbe
	}
	for i := range c.tiers {
		t, s := &c.tiers[i], &c.p.specs[i]
		n := cost + ahead
		room := t.free(s, c.p, c.now, busy, int64(c.inflight))
		if low {
			n += c.kept(i, cost)
			if r := c.rest(); !r.room(c.p, i, cost, ahead, c.now) {
				at, open := r.when(c.p, i, cost, ahead, c.now)
				v.later(i, at, open)
			}
		}
		if s.method == byFlight && room >= 1+min(ahead, 1) || s.method != byFlight && room >= n {
			continue
		}
		if s.method != byFlight && cost > t.limit(s) {
			if m := t.more; m != nil && cost <= min(m.told, s.limit) { // the pace alone is below it
				m.paced = cost
				t.limits(s, c.p, c.now)
				c.follow(i)
				return c.ask(cost, ahead, low, c.now)
			}
			return verdict{over: true, tier: i, at: c.now + s.per}
		}
		at, open := t.when(s, c.p, c.now, n, busy, int64(c.inflight), c.dated())
		v.later(i, at, open)
	}
	if parked := c.parked(); parked > v.at || v.tier == byPark {
		v.tier, v.at = byPark, max(v.at, parked)
	}
	v.at = max(v.at, c.now+1)
	return v
}

// later notes that a tier has no room before at.
func (v *verdict) later(tier int, at int64, open bool) {
	if v.tier == byPark || open && !v.open || open == v.open && at > v.at {
		v.tier = tier
	}
	v.open = v.open || open
	v.at = max(v.at, at)
}

// take admits a call in all tiers or in none.
func (c *counts) take(cost, ahead int64, low bool, now int64) (verdict, int32, uint32) {
	v := c.ask(cost, ahead, low, now)
	if !v.ok {
		return v, 0, 0
	}
	i, gen := c.admit(cost, low)
	return v, i, gen
}

// observe corrects the counts by what the partner reported with the answer to a request sent at sentAt. It never admits
// more than the tiers' own limits: a limit is cut, or restored up to the tier's own, and what others spend is taken off. An answer to
// a request that was sent before the one observed last says nothing new.
func (c *counts) observe(sentAt, now int64, obs []Observation) {
	c.advance(now)
	for i := range c.tiers {
		t, s := &c.tiers[i], &c.p.specs[i]
		if s.method == byFlight {
			continue
		}
		for _, o := range obs {
			if int64(o.Per) != s.per {
				continue
			}
			m := t.has(s)
			if sentAt < m.seen {
				continue
			}
			m.seen = sentAt
			t.expire(s, c.p, c.now)
			if o.Limit > 0 {
				t.cut(s, c.p, c.now, o.Limit)
				c.follow(i)
			}
			if o.Remaining >= 0 {
				t.report(s, c.p, c.now, c.pending(), o.Remaining, o.Reset)
			}
		}
	}
}

// scarce is how far apart calls are to be now, by the tier that wants it most; see tierCounts.
func (c *counts) scarce() (apart int64) {
	for i := range c.tiers {
		apart = max(apart, c.tiers[i].scarce(&c.p.specs[i], c.p, c.now, c.pending()))
	}
	return apart
}

// park admits nothing before until; an earlier until than the one in force has no effect.
func (c *counts) park(until int64) {
	if until > c.parked() {
		c.more().parked = until
	}
}

// unpark ends that.
func (c *counts) unpark() {
	if c.rare != nil {
		c.rare.parked = math.MinInt64
	}
}

// sitOut admits nothing for a window of the tier, as if all had been spent at the time.
func (t *tierCounts) sitOut(s *spec, at int64) {
	wait := s.per
	switch s.method {
	case byFlight:
		return
	case byBucket:
		full := float64(s.limit) / float64(s.tier.Requests) * float64(s.per)
		wait = int64(min(math.Ceil(full), float64(maxPer)))
	}
	m := t.has(s)
	m.shut = max(m.shut, at+wait)
}

// idle reports that nothing is lost when the key is forgotten.
func (c *counts) idle(now int64) bool {
	c.advance(now)
	if c.inflight > 0 || c.held > 0 || c.late() > 0 || c.parked() > c.now || c.probe == probeOut {
		return false
	}
	for i := range c.tiers {
		t, s := &c.tiers[i], &c.p.specs[i]
		t.expire(s, c.p, c.now)
		if t.spent(s, c.p, c.now) > 0 || t.foreign() > 0 || t.shut() > c.now {
			return false
		}
	}
	return true
}

func (c *counts) usage(now int64) Usage {
	c.advance(now)
	u := Usage{Tiers: make([]TierUsage, len(c.tiers)), InFlight: int64(c.inflight)}
	for i := range c.tiers {
		t, s := &c.tiers[i], &c.p.specs[i]
		t.expire(s, c.p, c.now)
		used := int64(c.inflight)
		if s.method != byFlight {
			used = t.spent(s, c.p, c.now) + t.foreign() + c.pending()
			if t.shut() > c.now {
				used = max(used, t.limit(s))
			}
		}
		u.Tiers[i] = TierUsage{Tier: s.tier, Limit: t.limit(s), Used: used}
	}
	if parked := c.parked(); parked > c.now {
		u.ParkedUntil = c.p.time(parked)
	}
	return u
}
