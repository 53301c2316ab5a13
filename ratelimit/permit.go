package ratelimit

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// Permit is an admitted call. It is a value: copies are the same permit. Its methods are safe for concurrent use and
// each has an effect once; the zero Permit's do nothing.
type Permit struct {
	l         *Limiter
	k         *key
	slot, gen uint32
	cost      int64  // of a Quota's grant
	at        int64  // when it was admitted
	all       *party // of several limiters; the fields above are zero then
}

// Answered says that the answer's header was read just now: the partner has counted the request by then. status and
// h are what it said; h may be nil. What the [Dialect] reads from h is learnt; a 429 with a Retry-After parks the key, and of several that a
// [Set] charged the one it is about.
func (p Permit) Answered(status int, h http.Header) {
	spent := p.answered(h)
	if status == http.StatusTooManyRequests {
		now := time.Now()
		at, ok := time.Time{}, false
		if h != nil {
			at, ok = retry.ParseRetryAfter(h, now)
		}
		p.throttled(spent, retry.Request, at, now, ok)
	}
}

// answered is Answered without parking. It reports of which limiters the partner says that nothing is left, by index.
func (p Permit) answered(h http.Header) (spent uint64) {
	switch {
	case p.k != nil:
		if p.arrived(p.l.now(), 0, h) {
			return 1
		}
	case p.all != nil:
		now := time.Now()
		for i := range p.all.parts {
			if pt := &p.all.parts[i]; pt.permit.arrived(pt.l.plan.ns(now), 0, h) {
				spent |= 1 << i
			}
		}
	}
	return spent
}

// throttled says that the partner refused the call for coming too early; the zero at if it did not say for how long. It slows down, and parks if
// it shall.
func (p Permit) throttled(spent uint64, scope retry.Scope, at, now time.Time, park bool) {
	switch {
	case p.all != nil:
		p.all.throttled(spent, scope, at, now, park)
	case p.k != nil && scope != retry.Endpoint: // others of the key would be admitted
		p.l.slowDown(p.k, p.at)
		if park {
			p.l.parkFor(p.k.name, at, now)
		}
	}
}

// Lost says that the request was sent but no answer came by now. It is charged as if it arrived LostGrace later.
func (p Permit) Lost() {
	switch {
	case p.k != nil:
		p.arrived(p.l.now(), p.l.o.LostGrace, nil)
	case p.all != nil:
		for i := range p.all.parts {
			p.all.parts[i].permit.Lost()
		}
	}
}

var observations = sync.Pool{New: func() any { return new([8]Observation) }}

// arrived settles the first phase, in the limiter's time. An answer, and nothing that was lost, comes with a header. It reports whether that says
// that nothing is left.
func (p Permit) arrived(now int64, grace time.Duration, h http.Header) (spent bool) {
	l, k := p.l, p.k
	var obs []Observation
	if l.o.Dialect != nil && h != nil {
		buf := observations.Get().(*[8]Observation)
		defer observations.Put(buf)
		obs = l.plan.windows(l.o.Dialect(h, l.plan.time(now), buf[:0]))
		for _, o := range obs {
			spent = spent || o.Remaining == 0
		}
	}
	if l.quota != nil {
		ctx, t := context.Background(), l.plan.time(now)
		if len(obs) > 0 {
			if l.o.Adaptive != nil {
				l.atPace(k, obs)
			}
			l.report(k.name, l.quota.Observe(ctx, k.name, l.plan.time(p.at), t, obs))
		}
		l.report(k.name, l.quota.Settle(ctx, k.name, p.grant(), Settlement{Arrived: t.Add(grace), Now: t}))
		l.ended(k.name)
		if l.o.Adaptive != nil && grace == 0 {
			l.report(k.name, l.adaptQuota(ctx, k, p.at, false))
		}
		return spent
	}
	k.mu.Lock()
	k.drain()
	if len(obs) > 0 && k.slot(int32(p.slot), p.gen) != nil {
		k.observe(p.at, now, obs)
	}
	k.arrive(int32(p.slot), p.gen, now+int64(grace), now, grace == 0)
	if len(obs) > 0 {
		if k.keyRest != nil || k.scarce() > 0 {
			r := k.has()
			r.next = max(r.next, now)
			l.easeOff(k, now)
		}
		k.signal() // it may have given room back
	} else {
		k.signalOpen()
	}
	if l.o.Adaptive != nil && grace == 0 {
		l.speedUp(k, now)
	}
	k.mu.Unlock()
	return spent
}

// ended tells those in line for a Quota that a request in flight was settled or released.
func (l *Limiter) ended(name string) {
	if k := l.keys.get(name); k != nil {
		k.mu.Lock()
		k.signal()
		k.mu.Unlock()
	}
}

// windows leaves the observations that are of a tier, each with the tier's own window.
func (p *plan) windows(obs []Observation) []Observation {
	n := 0
	for _, o := range obs {
		for i := range p.specs {
			if s := &p.specs[i]; s.method != byFlight && s.tier.nominal() == o.Per {
				o.Per = s.tier.Per
				obs[n] = o
				n++
				break
			}
		}
	}
	return obs[:n]
}

// signalOpen has the first in line ask again if it waits for a request in flight.
func (k *key) signalOpen() {
	if k.keyRest != nil && k.first != nil && k.first.open {
		k.first.poke()
	}
}

// Release ends the permit: it frees the slot in flight, and refunds everything if neither Answered nor Lost was called.
func (p Permit) Release() {
	k := p.k
	if k == nil {
		if p.all != nil {
			for i := range p.all.parts {
				p.all.parts[i].permit.Release()
			}
		}
		return
	}
	if p.l.quota != nil {
		p.l.report(k.name, p.l.quota.Settle(context.Background(), k.name, p.grant(), Settlement{Release: true, Now: time.Now()}))
		p.l.ended(k.name)
		return
	}
	if k.released.CompareAndSwap(0, uint64(p.gen)<<32|uint64(p.slot)) {
		if k.waiting.Load() > 0 {
			k.mu.Lock()
			k.signal()
			k.mu.Unlock()
		}
		return
	}
	k.mu.Lock()
	if k.release(int32(p.slot), p.gen) {
		k.signal()
	}
	k.mu.Unlock()
}

func (p Permit) grant() Grant { return Grant{OK: true, Slot: p.slot, Gen: p.gen, Cost: p.cost} }
