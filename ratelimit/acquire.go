package ratelimit

import (
	"context"
	"errors"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// Why a caller was taken out of line by somebody else.
var (
	errParked = errors.New("parked")
	errGone   = ErrClosed
	errFull   = ErrTooManyWaiting
)

// Acquire waits until the call is admitted by every tier. It returns an error, a *retry.Error of class RateLimit that was
// never sent and says in At when to come back, as soon as it is known that the wait would be longer than ctx's deadline, retry.WithMaxWait or
// [Options.MaxWait] allow. When ctx ends while it waits, the error is of class Canceled and wraps context.Cause(ctx).
// A cost above a tier's limit is refused with class Client. Callers are admitted in the order of their priority, then in turn by
// tenant, and then of their coming; what a wait was for is added to the [retry.Attempt] in ctx, if there is one.
//
// The caller must end the permit with Release, and say what it learned with Answered or Lost before.
func (l *Limiter) Acquire(ctx context.Context, c Call) (Permit, error) {
	cost := c.Cost
	if cost == 0 {
		cost = 1
	}
	if cost < 1 || cost > l.plan.maxCost || c.Weight < 0 || c.Weight > maxWeight {
		return Permit{}, l.check(cost, c.Weight)
	}
	if ctx.Err() != nil {
		return Permit{}, l.canceled(ctx, "", retry.Waits{})
	}
	for {
		k, err := l.key(c.Key)
		if err != nil {
			return Permit{}, err
		}
		k.mu.Lock()
		if k.gone {
			k.mu.Unlock()
			continue
		}
		k.drain()
		if l.timeless && k.keyRest == nil && k.roomy(cost) {
			slot, gen := k.admit(cost, false)
			k.mu.Unlock()
			return Permit{l: l, k: k, slot: uint32(slot), gen: gen}, nil
		}
		now := l.now()
		if l.quota != nil || k.behind(cost, now) || !k.fits(cost, 0, c.Priority < Interactive, now) {
			return l.wait(ctx, k, c, cost)
		}
		slot, gen := k.admit(cost, c.Priority < Interactive)
		if k.keyRest != nil {
			l.spread(k, cost, now)
		}
		if l.lease > 0 && k.spend(cost, l.lease, now) {
			k.mu.Unlock()
			l.save(ctx, k, cost)
		} else {
			k.mu.Unlock()
		}
		return Permit{l: l, k: k, slot: uint32(slot), gen: gen, at: now}, nil
	}
}

// check refuses a call that can never be admitted.
func (l *Limiter) check(cost int64, weight int) error {
	if weight < 0 || weight > maxWeight {
		return clientError("weight is %d, want 0 to %d", weight, maxWeight)
	}
	return l.plan.checkCost(cost)
}

// wait takes a place in line and waits. It is entered with k locked and unlocks it.
func (l *Limiter) wait(ctx context.Context, k *key, c Call, cost int64) (Permit, error) {
	p := &party{ctx: ctx, call: c}
	p.parts = append(p.few[:0], part{l: l, k: k, cost: cost, scope: retry.Integration})
	return p.wait()
}

// waited is what a wait was for.
type waited struct {
	since int64
	tier  string
	sum   retry.Waits
}

// until counts the time since the last call for the tier that was waited for, and goes on with another.
func (w *waited) until(now int64, tier string) {
	if w.tier != "" && now > w.since {
		w.sum.AddTier(w.tier, time.Duration(now-w.since))
	}
	w.since, w.tier = now, tier
}

// longest is the tier that was waited for longest; the last one if none was waited for.
func (w *waited) longest() string {
	tier, most := w.tier, time.Duration(0)
	for _, t := range w.sum.Tiers {
		if t.Wait > most {
			tier, most = t.Tier, t.Wait
		}
	}
	return tier
}

// backendError is what a Quota's error is to the caller.
func (l *Limiter) backendError(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*retry.Error](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return l.canceled(ctx, "quota", retry.Waits{})
	}
	return l.unavailable(err)
}

// room is about when a call would be admitted that comes last; k is locked.
func (l *Limiter) room(k *key, c Call, cost, now int64) int64 {
	at := now + int64(soon)
	if l.quota == nil && k.loaded {
		k.drain()
		at = max(at, k.ask(cost, k.ahead(c, cost), c.Priority < Interactive, now).at)
	}
	return at
}

// done tells of a wait, or of a refusal.
func (l *Limiter) done(ctx context.Context, k *key, track *waited, err error) {
	if track.sum.Limiter > 0 {
		if a := retry.AttemptFrom(ctx); a != nil {
			for _, t := range track.sum.Tiers {
				a.Waits.AddTier(t.Tier, t.Wait)
			}
		}
	}
	if l.o.OnWait == nil || err == nil && track.sum.Limiter == 0 {
		return
	}
	wait := Wait{Key: k.name, Tier: track.longest(), Waited: track.sum.Limiter}
	if err != nil && retry.ClassOf(err) != retry.Canceled {
		wait.Refused, wait.At, wait.Tier = true, retry.At(err), track.tier
	}
	l.o.OnWait(ctx, wait)
}
