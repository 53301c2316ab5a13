package ratelimit

import (
	"context"
	"errors"
	"math"
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
	if cost < 1 || cost > l.plan.maxCost {
		return Permit{}, l.plan.checkCost(cost)
	}
	if c.Weight < 0 || c.Weight > maxWeight {
		return Permit{}, clientError("weight is %d, want 0 to %d", c.Weight, maxWeight)
	}
	if ctx.Err() != nil {
		return Permit{}, l.canceled(ctx, "", retry.Waits{})
	}
	now := l.now()
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
		if l.quota != nil || k.first != nil || k.left < cost {
			return l.wait(ctx, k, c, cost)
		}
		k.drain()
		v, slot, gen := k.take(cost, 0, now)
		if !v.ok {
			return l.wait(ctx, k, c, cost)
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

// wait takes a place in line and waits. It is entered with k locked and unlocks it.
func (l *Limiter) wait(ctx context.Context, k *key, c Call, cost int64) (Permit, error) {
	now := l.now()
	w := &waiter{cost: cost, limit: math.MaxInt64, wake: make(chan struct{}, 1)}
	if l.o.MaxWaiting > 0 && k.count >= l.o.MaxWaiting {
		at := l.room(k, c, cost, now)
		last := k.newest(c.Priority)
		if last == nil {
			k.mu.Unlock()
			w.out, w.at = errFull, at
			return l.refused(ctx, k, w, &waited{since: now})
		}
		k.expel(last, errFull, at)
	}
	patience, ok := retry.MaxWait(ctx)
	if !ok && l.o.MaxWait != 0 {
		patience, ok = max(0, l.o.MaxWait), true
	}
	timed := int64(math.MaxInt64) // when patience ends; the end of ctx tells itself
	if ok {
		timed = now + int64(min(max(0, patience), maxPer))
		w.limit = timed
	}
	if d, ok := ctx.Deadline(); ok {
		w.limit = min(w.limit, l.plan.ns(d)-1) // admitted at the deadline is too late
	}
	k.push(w, c)
	track := waited{since: now}
	var timer *time.Timer
	for {
		var (
			v      verdict
			tier   string
			permit Permit
			err    error
		)
		switch {
		case w.out != nil:
		case k.first != w && l.quota != nil && track.tier != "":
			v.at = now // asked before; its turn will come
			tier = track.tier
		default:
			v, tier, permit, err = l.try(ctx, k, w, now)
		}
		if w.out != nil { // perhaps while the lock was not held
			k.mu.Unlock()
			permit.Release()
			track.until(l.now(), "")
			return l.refused(ctx, k, w, &track)
		}
		now = l.now()
		if err != nil || v.ok {
			k.remove(w, v.ok)
			save := v.ok && l.lease > 0 && k.spend(cost, l.lease, now)
			k.mu.Unlock()
			if save {
				l.save(ctx, k, cost)
			}
			track.until(now, "")
			l.done(ctx, k, &track, err)
			return permit, err
		}
		track.until(now, tier)
		if at := max(v.at, now); at > w.limit || now >= timed {
			k.remove(w, false)
			k.mu.Unlock()
			if v.open {
				at = max(at, now+int64(soon))
			}
			w.at = at
			return l.refused(ctx, k, w, &track)
		}
		w.open = v.open
		sleep := timed
		if k.first == w && !v.open {
			sleep = min(sleep, max(v.at, now+1))
		}
		k.mu.Unlock()
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
		case <-ctx.Done():
			k.mu.Lock()
			if w.out == nil {
				k.remove(w, false)
			}
			k.mu.Unlock()
			now = l.now()
			track.until(now, "")
			err := l.canceled(ctx, track.longest(), track.sum)
			l.done(ctx, k, &track, err)
			return Permit{}, err
		}
		k.mu.Lock()
		now = l.now()
	}
}

// room is about when a call would be admitted that comes last; k is locked.
func (l *Limiter) room(k *key, c Call, cost, now int64) int64 {
	at := now + int64(soon)
	if l.quota == nil && k.loaded {
		k.drain()
		at = max(at, k.ask(cost, k.position(c.Priority, c.Tenant, c.Weight, cost), now).at)
	}
	return at
}

// try asks for what w wants; k is locked, but not all the time. An error is final.
func (l *Limiter) try(ctx context.Context, k *key, w *waiter, now int64) (verdict, string, Permit, error) {
	if l.quota != nil {
		ahead := k.before(w)
		k.mu.Unlock()
		at := l.plan.time(now)
		g, err := l.quota.Take(ctx, k.name, w.cost, ahead, at)
		k.mu.Lock()
		if err != nil {
			return verdict{}, "", Permit{}, l.backendError(ctx, err)
		}
		if g.OK {
			return verdict{ok: true}, "", Permit{l: l, k: k, slot: g.Slot, gen: g.Gen, cost: g.Cost, at: now}, nil
		}
		w.early = g.Early
		v := verdict{open: g.At.IsZero(), at: now}
		if !v.open {
			v.at = l.plan.ns(g.At)
		}
		return v, g.Tier, Permit{}, nil
	}
	k.drain()
	if k.first == w && k.left < w.cost {
		if k.busy {
			return verdict{open: true, at: now}, "state", Permit{}, nil
		}
		err := l.sync(ctx, k, w.cost) // unlocks meanwhile
		if err != nil {
			return verdict{}, "", Permit{}, err
		}
		k.drain()
		now = l.now()
	}
	if k.first != w {
		v := k.ask(w.cost, k.before(w), now)
		if v.over {
			return v, "", Permit{}, l.plan.overCost(v.tier, w.cost)
		}
		tier := "queue"
		if !v.ok {
			tier = l.plan.reason(v.tier)
		}
		v.ok, v.at = false, max(v.at, now)
		return v, tier, Permit{}, nil
	}
	v, slot, gen := k.take(w.cost, 0, now)
	switch {
	case v.over:
		return v, "", Permit{}, l.plan.overCost(v.tier, w.cost)
	case v.ok:
		return v, "", Permit{l: l, k: k, slot: uint32(slot), gen: gen, at: now}, nil
	}
	return v, l.plan.reason(v.tier), Permit{}, nil
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

// refused is the end of a wait that does not fit.
func (l *Limiter) refused(ctx context.Context, k *key, w *waiter, track *waited) (Permit, error) {
	if errors.Is(w.out, errGone) {
		err := l.unavailable(ErrClosed)
		l.done(ctx, k, track, err)
		return Permit{}, err
	}
	cause := &limited{name: l.o.Name, tier: track.tier, why: "has no room in time"}
	switch {
	case errors.Is(w.out, errFull):
		cause.tier, cause.why, cause.err = "queue", "is full: "+errFull.Error(), errFull
	case w.out != nil:
		cause.tier = "parked"
	}
	track.tier = cause.tier
	err := &retry.Error{
		Verdict: retry.Verdict{Class: retry.RateLimit, Scope: retry.Integration, At: l.plan.time(w.at), Sent: retry.Never},
		Waits:   track.sum,
		Err:     cause,
	}
	l.done(ctx, k, track, err)
	return Permit{}, err
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
