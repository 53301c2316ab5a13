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
	cost      int64 // of a Quota's grant
	at        int64 // when it was admitted
}

// Answered says that the answer's header was read at now: the partner has counted the request by then. status and
// h are what it said; h may be nil. What the [Dialect] reads from h is learnt; a 429 with a Retry-After parks the key.
func (p Permit) Answered(now time.Time, status int, h http.Header) {
	if p.k == nil {
		return
	}
	p.arrived(now, 0, h)
	if status == http.StatusTooManyRequests && h != nil {
		if at, ok := retry.ParseRetryAfter(h, now); ok {
			p.l.report(p.k.name, p.l.Park(context.Background(), p.k.name, at))
		}
	}
}

// Lost says that the request was sent but no answer came by now. It is charged as if it arrived LostGrace later.
func (p Permit) Lost(now time.Time) {
	if p.k != nil {
		p.arrived(now, p.l.o.LostGrace, nil)
	}
}

var observations = sync.Pool{New: func() any { return new([8]Observation) }}

// arrived settles the first phase. An answer, and nothing that was lost, comes with a header.
func (p Permit) arrived(t time.Time, grace time.Duration, h http.Header) {
	l, k := p.l, p.k
	now := l.plan.ns(t)
	if now < p.at {
		now = l.now() // no answer comes before the call
		t = l.plan.time(now)
	}
	var obs []Observation
	if l.o.Dialect != nil && h != nil {
		buf := observations.Get().(*[8]Observation)
		defer observations.Put(buf)
		obs = l.plan.windows(l.o.Dialect(h, t, buf[:0]))
	}
	if l.quota != nil {
		ctx := context.Background()
		if len(obs) > 0 {
			l.report(k.name, l.quota.Observe(ctx, k.name, l.plan.time(p.at), t, obs))
		}
		l.report(k.name, l.quota.Settle(ctx, k.name, p.grant(), Settlement{Arrived: t.Add(grace), Now: t}))
		l.ended(k.name)
		return
	}
	k.mu.Lock()
	k.drain()
	if len(obs) > 0 && k.counts.slot(int32(p.slot), p.gen) != nil {
		k.observe(p.at, now, obs)
	}
	k.arrive(int32(p.slot), p.gen, now+int64(grace), now, grace == 0)
	k.signalOpen()
	k.mu.Unlock()
}

// ended tells those in line for a Quota that a request in flight was settled or released.
func (l *Limiter) ended(name string) {
	if k := l.lookup(name); k != nil {
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
	if k.first != nil && k.first.open {
		k.first.poke()
	}
}

// Release ends the permit: it frees the slot in flight, and refunds everything if neither Answered nor Lost was called.
func (p Permit) Release() {
	k := p.k
	if k == nil {
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
