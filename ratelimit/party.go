package ratelimit

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// A call that waits, for room in one limiter or in several at once.
//
// It stands in one line at a time: that of the limiter that holds it back longest. When its turn comes there, all are asked; it
// takes from all, or it moves on to the line of the one that refuses, to the place that it would have had if it had waited there from the start.
// So nobody behind it loses a turn to a call that cannot go, and a limiter's room is never kept for one that waits elsewhere, but for
// one case: limiters that open in turns could turn a call down for ever. Who was turned down twice claims room where it has
// its turn, one caller for each key, if what it waits for comes within a window of the limiter that it claims from. Claims hold
// for those who came later or are less urgent, so that no two callers can wait for each other's.

// births orders all that wait.
var births atomic.Uint64

// part is what a call takes of one limiter.
type part struct {
	l     *Limiter
	k     *key
	cost  int64
	rule  string // of a Set
	scope retry.Scope

	offset int64 // of the limiter's time to that of the party
	limit  int64 // when it must have been admitted, in the limiter's time
	place  place // in line
	permit Permit
}

// tier names a tier of the part.
func (pt *part) tier(name string) string {
	if pt.rule == "" {
		return name
	}
	return pt.rule + " " + name
}

// party is a call and its parts, in the order in which their keys are locked. Its times are those of the first part's limiter.
type party struct {
	ctx    context.Context
	call   Call
	parts  []part
	w      waiter
	few    [3]part
	in     int // the part in whose line it stands
	turned int // how often it was turned down when it was its turn
	timed  int64
	track  waited
}

func (p *party) lock() {
	for i := range p.parts {
		p.parts[i].k.mu.Lock()
	}
}

func (p *party) unlock() {
	for i := range p.parts {
		p.parts[i].k.mu.Unlock()
	}
}

// low reports whether the call must leave the reserve.
func (p *party) low() bool { return p.call.Priority < Interactive }

func (p *party) now() int64 { return p.parts[0].l.now() }

// wait takes a place in line and waits. It is entered with all keys locked and unlocks them.
func (p *party) wait() (Permit, error) {
	now := p.now()
	for i := range p.parts {
		p.parts[i].k.has()
	}
	w := &p.w
	w.wake, w.born, w.priority = make(chan struct{}, 1), births.Add(1), p.call.Priority
	p.patience(now)
	p.track.since = now
	if full := p.enter(now); full {
		return p.refused(p.in)
	}
	asked := false
	var timer *time.Timer
	for {
		var v outcome
		switch first := p.parts[p.in].k.first == w; {
		case w.out != nil || p.gone():
		case !first && asked && p.remote():
			v = outcome{at: now, tier: p.track.tier, part: p.in} // asked before; its turn will come
		default:
			v = p.try(now, first)
			asked = true
		}
		if p.gone() && w.out == nil {
			w.out = errGone
		}
		if w.out != nil { // perhaps while the locks were not held
			p.leave(false)
			p.unlock()
			p.release()
			p.track.until(p.now(), "")
			return p.refused(p.in)
		}
		now = p.now()
		if v.err != nil || v.ok {
			return p.finish(now, v)
		}
		p.track.until(now, v.tier)
		if at := max(v.at, now); at > p.parts[0].limit || now >= p.timed {
			p.leave(false)
			p.unlock()
			if v.open {
				at = max(at, now+int64(soon))
			}
			w.at = at + p.parts[v.part].offset
			return p.refused(v.part)
		}
		if v.own && v.part != p.in && p.parts[p.in].k.first == w {
			p.move(v, now)
			v.mine = v.at
			if p.remote() {
				// Room may have come back after the Quota was asked, and before the call was in this line to be told: ask again.
				v.open, v.mine = false, now
			}
		}
		w.open = v.open
		sleep := p.timed
		if p.parts[p.in].k.first == w && !v.open {
			sleep = min(sleep, max(v.mine, now+1))
		}
		p.unlock()
		var alarm <-chan time.Time
		if sleep < math.MaxInt64 {
			if timer == nil {
				timer = time.NewTimer(time.Duration(sleep - now))
				defer timer.Stop()
			} else {
				timer.Reset(time.Duration(sleep - now))
			}
			alarm = timer.C
		}
		select {
		case <-w.wake:
		case <-w.early:
			w.early = nil
		case <-alarm:
		case <-p.ctx.Done():
			p.lock()
			p.leave(false)
			p.unlock()
			now = p.now()
			p.track.until(now, "")
			l := p.parts[p.in].l
			err := l.canceled(p.ctx, p.track.longest(), p.track.sum)
			l.done(p.ctx, p.parts[p.in].k, &p.track, err)
			return Permit{}, err
		}
		p.lock()
		now = p.now()
	}
}

// patience settles how long the call may wait.
func (p *party) patience(now int64) {
	patience, ok := retry.MaxWait(p.ctx)
	for i := range p.parts {
		pt := &p.parts[i]
		pt.offset = int64(p.parts[0].l.plan.epoch.Sub(pt.l.plan.epoch))
		if _, own := retry.MaxWait(p.ctx); !own && pt.l.o.MaxWait != 0 {
			if d := max(0, pt.l.o.MaxWait); !ok || d < patience {
				patience, ok = d, true
			}
		}
	}
	limit := int64(math.MaxInt64)
	p.timed = limit // when patience ends; the end of ctx tells itself
	if ok {
		p.timed = now + int64(min(max(0, patience), maxPer))
		limit = p.timed
	}
	if d, ok := p.ctx.Deadline(); ok {
		limit = min(limit, p.parts[0].l.plan.ns(d)-1) // admitted at the deadline is too late
	}
	for i := range p.parts {
		if p.parts[i].limit = limit; limit < math.MaxInt64 {
			p.parts[i].limit += p.parts[i].offset
		}
	}
}

// enter takes a place in line, and reports whether the line is full.
func (p *party) enter(now int64) (full bool) {
	for i := range p.parts {
		if k := p.parts[i].k; k.first != nil && k.count > p.parts[p.in].k.count {
			p.in = i
		}
	}
	w, pt := &p.w, &p.parts[p.in]
	if most := pt.l.o.MaxWaiting; most > 0 && pt.k.count >= most {
		at := pt.l.room(pt.k, p.call, pt.cost, now+pt.offset)
		last := pt.k.newest(w.priority)
		if last == nil {
			p.unlock()
			w.out, w.at = errFull, at
			return true
		}
		pt.k.expel(last, errFull, at)
	}
	for i := range p.parts {
		pt := &p.parts[i]
		pt.k.waiting.Add(1)
		if len(p.parts) > 1 {
			if pt.k.guests == nil {
				pt.k.guests = make(map[*waiter]int64)
			}
			pt.k.guests[w] = pt.limit
		}
	}
	p.push()
	return false
}

func (p *party) push() {
	w, pt := &p.w, &p.parts[p.in]
	w.cost, w.limit = pt.cost, pt.limit
	pt.k.push(w, pt.place, p.call.Tenant, p.call.Weight)
}

// move goes on, from its turn in one line, to the line of the part that turned the call down.
func (p *party) move(v outcome, now int64) {
	w, from, to := &p.w, &p.parts[p.in], &p.parts[v.part]
	if c := &from.k.claim; p.turned > 0 && v.at-now <= from.l.plan.longest && (c.w == nil || w.senior(c.w)) {
		*c = claim{w, from.cost}
	}
	p.turned++
	from.place = place{w.class, w.flow.start}
	from.k.remove(w, false)
	w.moved = true
	p.in = v.part
	to.k.unclaim(w)
	p.push()
}

// leave takes the call out of everything; admitted says that it had its turn.
func (p *party) leave(admitted bool) {
	w := &p.w
	if w.class != nil {
		p.parts[p.in].k.remove(w, admitted)
	}
	for i := range p.parts {
		k := p.parts[i].k
		k.waiting.Add(-1)
		delete(k.guests, w)
		k.unclaim(w)
		if admitted && i != p.in && k.first != nil { // its tenant had a turn in this line too
			w.cost = p.parts[i].cost
			k.push(w, p.parts[i].place, p.call.Tenant, p.call.Weight)
			k.remove(w, true)
		}
	}
}

func (p *party) gone() bool {
	for i := range p.parts {
		if p.parts[i].k.gone {
			return true
		}
	}
	return false
}

// finish is the end of a wait, admitted or with an error. It unlocks the keys.
func (p *party) finish(now int64, v outcome) (Permit, error) {
	p.leave(v.ok)
	if v.ok {
		p.saveAndUnlock()
	} else {
		p.unlock()
	}
	p.track.until(now, "")
	p.parts[v.part].l.done(p.ctx, p.parts[v.part].k, &p.track, v.err)
	if v.err != nil {
		return Permit{}, v.err
	}
	return p.permit(), nil
}

// saveAndUnlock takes the cost off the leases, and renews those that are nearly spent.
func (p *party) saveAndUnlock() {
	var saves uint64
	for i := range p.parts {
		pt := &p.parts[i]
		pt.l.spread(pt.k, pt.cost, pt.permit.at)
		if pt.l.lease > 0 && pt.k.spend(pt.cost, pt.l.lease, pt.permit.at) {
			saves |= 1 << i
		}
	}
	p.unlock()
	for i := range p.parts {
		if pt := &p.parts[i]; saves>>i&1 != 0 {
			pt.l.save(p.ctx, pt.k, pt.cost)
		}
	}
}

// refused is the end of a wait that does not fit, because of a part. No key is locked.
func (p *party) refused(because int) (Permit, error) {
	w, pt := &p.w, &p.parts[because]
	if errors.Is(w.out, errGone) {
		err := pt.l.unavailable(ErrClosed)
		pt.l.done(p.ctx, pt.k, &p.track, err)
		return Permit{}, err
	}
	cause := &limited{name: pt.l.o.Name, tier: p.track.tier, why: "has no room in time"}
	switch {
	case errors.Is(w.out, errFull):
		cause.tier, cause.why, cause.err = pt.tier("queue"), "is full: "+errFull.Error(), errFull
	case w.out != nil:
		cause.tier = pt.tier("parked")
	}
	p.track.tier = cause.tier
	err := &retry.Error{
		Verdict: retry.Verdict{Class: retry.RateLimit, Scope: pt.scope, At: pt.l.plan.time(w.at), Sent: retry.Never},
		Waits:   p.track.sum,
		Err:     cause,
	}
	pt.l.done(p.ctx, pt.k, &p.track, err)
	return Permit{}, err
}
