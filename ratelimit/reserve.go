package ratelimit

import "math"

// rest is what the calls below Interactive have spent of a key, counted by itself: it is held to the limit less the reserve. So
// the reserve is there whole whenever a person comes, however it was used before, and what it is used for takes nothing from the others.
type rest struct {
	tiers    []tierCounts
	held     int64 // as of counts
	inflight int64
	late     int64
	dated    []charge
}

// reserved is how much of a limit is kept; something is always left.
func (p *plan) reserved(limit int64) int64 {
	return max(0, min(int64(math.Floor(float64(limit)*p.reserve)), limit-1))
}

// keepReserve has a share of every tier kept for Interactive calls.
func (p *plan) keepReserve(share float64) {
	if p.reserve = share; share == 0 {
		return
	}
	p.rest = make([]spec, len(p.specs))
	for i, s := range p.specs {
		s.limit -= p.reserved(s.limit)
		s.tier.Requests -= p.reserved(s.tier.Requests)
		p.rest[i] = s
	}
}

func newRest(p *plan) *rest {
	if p.rest == nil {
		return nil
	}
	r := &rest{tiers: make([]tierCounts, len(p.rest))}
	for i := range r.tiers {
		r.tiers[i].init(&p.rest[i])
	}
	return r
}

func (r *rest) advance(p *plan, now int64) {
	for len(r.dated) > 0 && r.dated[0].at <= now {
		d := r.dated[0]
		r.dated = r.dated[1:]
		r.late -= d.cost
		r.charge(p, d.at, d.cost)
	}
}

func (r *rest) charge(p *plan, at, cost int64) {
	for i := range r.tiers {
		r.tiers[i].charge(&p.rest[i], p, at, cost)
	}
}

// need is how much room a call needs in a tier of its own: with what is ahead, or all of it if it costs more than there ever is.
func (r *rest) need(p *plan, i int, cost, n int64) int64 {
	if limit := r.tiers[i].limit(&p.rest[i]); cost > limit {
		return limit
	}
	return n
}

// room reports whether a tier has room, in what is left beside the reserve. It is not asked for what it has no room for in all.
func (r *rest) room(p *plan, i int, cost, ahead, now int64) bool {
	t, s := &r.tiers[i], &p.rest[i]
	t.expire(s, p, now)
	free := t.free(s, p, now, r.held+r.late, r.inflight)
	if s.method == byFlight {
		return free >= 1+min(ahead, 1)
	}
	return free >= r.need(p, i, cost, cost+ahead)
}

// when is when a tier will have room.
func (r *rest) when(p *plan, i int, cost, ahead, now int64) (at int64, open bool) {
	return r.tiers[i].when(&p.rest[i], p, now, r.need(p, i, cost, cost+ahead), r.held+r.late, r.inflight, r.dated)
}

// kept is how much of a tier's room a call below Interactive leaves, when others spend from it too: what is not yet used of the reserve, unless
// the call costs more than the rest.
func (c *counts) kept(i int, cost int64) int64 {
	r := c.rest()
	t, s, own := &c.tiers[i], &c.p.specs[i], &r.tiers[i]
	if t.foreign() == 0 || s.method == byFlight {
		return 0 // then the two counts leave it by themselves
	}
	others := t.spent(s, c.p, c.now) + c.pending() - own.spent(&c.p.rest[i], c.p, c.now) - r.held - r.late
	return max(0, min(c.p.reserved(t.limit(s))-max(0, others), t.limit(s)-cost))
}

// follow has the rest follow the limits in force.
func (c *counts) follow(i int) {
	r := c.rest()
	if r == nil {
		return
	}
	t, s := &c.tiers[i], &c.p.specs[i]
	limit := s.most()
	if m := t.more; m != nil {
		limit = min(m.told, m.paced, limit)
	}
	r.tiers[i].has(&c.p.rest[i]).told = limit - c.p.reserved(limit)
	r.tiers[i].limits(&c.p.rest[i], c.p, c.now)
}
