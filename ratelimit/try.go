package ratelimit

import (
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// outcome is what came of asking all parts.
type outcome struct {
	ok   bool
	part int    // which turned the call down, and holds it back longest
	tier string // by which tier
	at   int64  // when to ask again
	own  bool   // the part in whose line the call stands has room
	mine int64  // if not, when to ask it again
	open bool   // a request in flight must end first; at, or mine, is the earliest thinkable
	err  error  // final
}

// turnedDown notes that the part has no room before at.
func (o *outcome) turnedDown(p *party, i int, at int64, open bool, tier string) {
	if i == p.in {
		o.own, o.mine, o.open = false, at, open
	}
	if o.ok || at > o.at || at == o.at && i == p.in {
		o.part, o.at, o.tier = i, at, tier
		if o.own {
			o.open = open
		}
	}
	o.ok = false
}

// remote reports whether a part is counted by a Quota.
func (p *party) remote() bool {
	for i := range p.parts {
		if p.parts[i].l.quota != nil {
			return true
		}
	}
	return false
}

// ahead is about the cost of those who will have their turn at the part before the call; it is admitted if there is room for theirs too.
func (p *party) ahead(i int) int64 {
	pt, w := &p.parts[i], &p.w
	k, n := pt.k, int64(0)
	switch {
	case i == p.in:
		n = k.before(w)
	case k.first == nil || p.turned > 1 && w.senior(k.first): // or two callers could wait for each other
	default:
		n = k.passed(w, pt.cost, pt.place, p.call.Tenant, p.call.Weight)
	}
	if c := k.claim; c.w != nil && c.w != w && c.w.senior(w) {
		n += c.cost
	}
	return n
}

// try asks all parts, and takes from all if it may; first says that it is the call's turn. All keys are locked, but not all the time.
func (p *party) try(now int64, first bool) outcome {
	out := outcome{ok: true, own: true, part: p.in, at: now}
	for i := range p.parts {
		pt := &p.parts[i]
		k, at := pt.k, now+pt.offset
		if k.apart > 0 {
			pt.l.easeOff(k, at)
		}
		if pt.l.o.Smooth > 0 || k.apart > 0 && p.low() {
			if next := k.next + pt.l.spacing(k, p.ahead(i)); at < next {
				out.turnedDown(p, i, next-pt.offset, false, pt.tier("smooth"))
				continue
			}
		}
		if pt.l.quota != nil {
			continue
		}
		k.drain()
		if first && k.left < pt.cost {
			if k.busy {
				out.turnedDown(p, i, now, true, pt.tier("state"))
				continue
			}
			if err := p.sync(i); err != nil {
				return outcome{err: err, part: i}
			}
			if p.w.out != nil || p.gone() {
				return outcome{}
			}
			return p.try(p.now(), p.parts[p.in].k.first == &p.w)
		}
		v := k.ask(pt.cost, p.ahead(i), p.low(), at)
		if v.over {
			return outcome{err: pt.l.plan.overCost(v.tier, pt.cost), part: i}
		}
		if !v.ok {
			out.turnedDown(p, i, max(now, v.at-pt.offset), v.open, pt.tier(pt.l.plan.reason(v.tier)))
		}
	}
	switch {
	case !out.ok:
	case p.remote():
		return p.takeRemote(now)
	case first:
		p.takeLocal(now)
	default:
		out.ok, out.tier = false, p.parts[p.in].tier("queue")
	}
	return out
}

// sync gets a lease for the part, without the other locks.
func (p *party) sync(i int) error {
	for j := range p.parts {
		if j != i {
			p.parts[j].k.mu.Unlock()
		}
	}
	pt := &p.parts[i]
	err := pt.l.sync(p.ctx, pt.k, pt.cost)
	pt.k.mu.Unlock()
	p.lock()
	return err
}

// takeLocal takes from all parts that are counted here.
func (p *party) takeLocal(now int64) {
	for i := range p.parts {
		if pt := &p.parts[i]; pt.l.quota == nil {
			slot, gen := pt.k.admit(pt.cost, p.low())
			pt.permit = Permit{l: pt.l, k: pt.k, slot: uint32(slot), gen: gen, at: now + pt.offset}
		}
	}
}

// begin has the pace of keys that are counted by Quotas put into force; no key is locked.
func (p *party) begin() {
	for i := range p.parts {
		if pt := &p.parts[i]; pt.l.quota != nil && pt.l.o.Adaptive != nil {
			pt.l.report(pt.k.name, pt.l.beginPace(p.ctx, pt.k))
		}
	}
}

// takeRemote takes from all parts. The locks are not held while Quotas are asked.
func (p *party) takeRemote(now int64) outcome {
	p.takeLocal(now)
	p.w.early = nil
	takes := make([]Take, len(p.parts))
	for i := range p.parts {
		if pt := &p.parts[i]; pt.l.quota != nil {
			takes[i] = Take{Quota: pt.l.quota, Key: pt.k.name, Cost: pt.cost, Ahead: p.ahead(i)}
		}
	}
	p.unlock()
	p.begin()
	out := outcome{ok: true, own: true, part: p.in, at: now}
	// The part that refused last comes first: when one refuses, what was taken of others has to be given back.
	for n := range p.parts {
		if i := (p.in + n) % len(p.parts); takes[i].Quota != nil {
			p.takeTogether(&out, takes, i, now)
		}
		if !out.ok {
			p.release()
			break
		}
	}
	p.lock()
	return out
}

// takeTogether takes from the Quota of a part, and with it from those that can be joined, and strikes them off takes.
func (p *party) takeTogether(out *outcome, takes []Take, i int, now int64) {
	group, which := []Take{takes[i]}, []int{i}
	joiner, ok := takes[i].Quota.(Joiner)
	takes[i].Quota = nil
	for j := range takes {
		if ok && takes[j].Quota != nil && joiner.Joins(takes[j].Quota) {
			group, which = append(group, takes[j]), append(which, j)
			takes[j].Quota = nil
		}
	}
	at := p.parts[i].l.plan.time(now + p.parts[i].offset)
	var grants []Grant
	var err error
	if len(group) > 1 {
		grants, err = joiner.TakeAll(p.ctx, group, at)
	} else {
		grants = make([]Grant, 1)
		grants[0], err = group[0].Quota.Take(p.ctx, group[0].Key, group[0].Cost, group[0].Ahead, at)
	}
	if err != nil {
		*out = outcome{err: p.parts[i].l.backendError(p.ctx, err), part: i}
		return
	}
	for n, g := range grants {
		if pt := &p.parts[which[n]]; !g.OK {
			open, until := g.At.IsZero(), now
			if !open {
				until = pt.l.plan.ns(g.At) - pt.offset
			}
			out.turnedDown(p, which[n], until, open, pt.tier(g.Tier))
			if out.part == which[n] {
				p.w.early = g.Early
			}
		}
	}
	for n, g := range grants {
		if pt := &p.parts[which[n]]; out.ok {
			pt.permit = Permit{l: pt.l, k: pt.k, slot: g.Slot, gen: g.Gen, cost: g.Cost, at: now + pt.offset}
		}
	}
}

// release gives back what was taken; no key is locked.
func (p *party) release() {
	for i := range p.parts {
		p.parts[i].permit.Release()
		p.parts[i].permit = Permit{}
	}
}

// permit is the permit of all parts.
func (p *party) permit() Permit {
	if len(p.parts) == 1 {
		return p.parts[0].permit
	}
	p.ctx = nil
	return Permit{all: p}
}

// throttled slows down, and parks, what the partner's refusal is about: the parts of which it reported that nothing is left (spent, by index), or else the
// narrowest that covers the scope, or else the widest.
func (p *party) throttled(spent uint64, scope retry.Scope, at, now time.Time, park bool) {
	if scope == retry.Request { // not said
		scope = retry.Integration
	}
	chosen := p.parts[0].scope
	for i := range p.parts {
		switch s := p.parts[i].scope; {
		case chosen < scope:
			chosen = max(chosen, s)
		case s >= scope:
			chosen = min(chosen, s)
		}
	}
	for i := range p.parts {
		if pt := &p.parts[i]; spent>>i&1 != 0 || spent == 0 && pt.scope == chosen {
			pt.l.slowDown(pt.k, pt.permit.at)
			if park {
				pt.l.parkFor(pt.k.name, at, now)
			}
		}
	}
}
