package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Limiter admits calls so that the partner never sees more of them than its tiers allow. It is safe for concurrent
// use. Make it with [New].
type Limiter struct {
	o     Options
	id    uint64 // keys of several limiters are locked in the order of their ids
	plan  *plan
	quota Quota // nil: counted in this process
	run   uint64
	lease int64 // how much may be spent on one save; 0 without State
	even  int   // the tier that Smooth spreads
	// timeless: nobody needs to know when a call was admitted, if there is room whatever time it is.
	timeless bool

	closed  atomic.Bool
	keys    *index
	mu      sync.Mutex // guards changes of keys, and the field below; held before a key's mu, never after
	scanned int64      // when all keys were last looked at for idle ones
}

var limiters atomic.Uint64

// Options configures a [Limiter]; the zero Options count in memory, start as if nothing was spent, and wait as
// long as the caller's context allows.
type Options struct {
	// Name identifies the limiter in errors, metrics and the State store, for example "guesty".
	Name string
	// Quota counts, with the same tiers; nil: in memory.
	Quota Quota
	// Dialect reads the partner's counts from an answer's headers; nil: none are read. See [NewDialect], [IETFHeaders], [PerWindowHeaders].
	Dialect Dialect
	// State keeps what was spent across restarts of an in-memory limiter; nil: nothing is kept. It needs a Name. See the
	// package comment for what it costs. Limiters of one Name must not be open on one store at the same time.
	State StateStore
	// ColdStart says how a key of an in-memory limiter starts about which State knows nothing.
	ColdStart ColdStart
	// Adaptive learns the pace that the partner takes when it does not tell; nil: the tiers' limits are taken as stated.
	Adaptive *Adaptive
	// Smooth spreads the calls of each key over the window of this length, that of one of the tiers: with 120 per minute, one each half second,
	// rather than 120 and then silence. Each process spreads its own calls. 0: a window's calls go as they come.
	Smooth time.Duration
	// Reserve is the share of every tier that only Interactive calls may take, rounded down: with 0.2, others spend at most 96 of 120 per minute,
	// and 12 of 15 in flight, whether or not the reserve is used. A call that costs more than there is beside the reserve goes when nothing
	// but Interactive calls is spent. Below 1, and for a limiter in memory only; over a Quota, see [Rule.Priorities].
	Reserve float64
	// MaxWait is the longest wait a call is held for; a longer one is refused at once. 0: bounded by the context
	// alone; negative: never wait. retry.WithMaxWait takes precedence.
	MaxWait time.Duration
	// MaxWaiting bounds how many callers wait for one key; 0: no bound. When so many wait, a newcomer is refused at once with
	// an error that wraps [ErrTooManyWaiting], unless callers of a lower priority wait: then the one of them that came last is.
	// Those who are asking a Quota count as waiting.
	MaxWaiting int
	// LostGrace is how long after it was given up a request without an answer may still arrive. 0 means 1 s.
	LostGrace time.Duration
	// MaxKeys bounds the number of keys held; 0 means 100,000. Idle keys are reclaimed; when none is, a call for a
	// new key is refused.
	MaxKeys int
	// OnWait, if set, is told of every wait and refusal. It is called without locks held.
	OnWait func(ctx context.Context, w Wait)
	// OnError, if set, is told what went wrong where no caller could be: a backend that could not settle, a State store that
	// could not save while there is still room on the last save. It is called without locks held.
	OnError func(key string, err error)
}

// Wait is what [Options.OnWait] is told: a call was held back, or refused.
type Wait struct {
	Key, Tier string        // the tier that held it back longest
	Waited    time.Duration // also before a refusal
	Refused   bool          // because the wait did not fit; false also when the caller's context ended
	At        time.Time     // of a refusal: when to come back
}

// ColdStart says how a key starts about which nothing is known.
type ColdStart uint8

// The policies for a cold start.
const (
	// Fresh starts as if nothing had been spent. Right for a first start, and when State knows better.
	Fresh ColdStart = iota
	// SitOut waits one window of every tier, as if all had been spent the moment before the limiter was made.
	SitOut
	// Probe lets one call through and learns from its headers what is left; tiers on which the answer is
	// silent are taken as Fresh. The probe itself may be one too many. It needs a Dialect. A limiter older
	// than its longest window probes no more.
	Probe
)

// Dialect reads a partner's own counts from an answer and appends them to obs. It is nil-safe, fast when the headers are absent, and never
// panics on garbage. It keeps neither h nor obs.
type Dialect func(h http.Header, now time.Time, obs []Observation) []Observation

// New returns a Limiter, or an error that names everything that is wrong with tiers and options.
func New(tiers Tiers, o Options) (*Limiter, error) {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("ratelimit: "+format, args...))
		}
	}
	if err := tiers.Validate(); err != nil {
		errs = append(errs, err)
	}
	tiers = slices.Clone(tiers)
	bad(o.ColdStart <= Probe, "ColdStart is %d, want Fresh, SitOut or Probe", o.ColdStart)
	bad(o.ColdStart != Probe || o.Dialect != nil, "ColdStart is Probe, but without a Dialect nothing can be learnt")
	bad(o.LostGrace >= 0 && o.LostGrace <= maxPer, "LostGrace is %v, want 0 to %v", o.LostGrace, maxPer)
	bad(o.MaxWaiting >= 0, "MaxWaiting is %d, want 0 or more", o.MaxWaiting)
	bad(o.MaxKeys >= 0, "MaxKeys is %d, want 0 or more", o.MaxKeys)
	bad(o.Reserve >= 0 && o.Reserve < 1, "Reserve is %v, want 0 or more and less than 1", o.Reserve)
	bad(o.State == nil || o.Name != "", "State needs a Name to keep what was spent under")
	if o.Quota != nil {
		bad(o.Reserve == 0, "Reserve is for a limiter in memory; over a Quota, use a Set and Rule.Priorities")
		bad(o.State == nil, "State is for a limiter in memory; the Quota keeps its own")
		bad(o.ColdStart == Fresh, "ColdStart is for a limiter in memory; the Quota has its own")
		bad(slices.Equal(o.Quota.Tiers(), tiers), "the Quota counts other tiers: %v, not %v", o.Quota.Tiers(), tiers)
	}
	if o.LostGrace == 0 {
		o.LostGrace = time.Second
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = 100_000
	}
	l := &Limiter{o: o, id: limiters.Add(1), plan: newPlan(tiers, time.Now()), quota: o.Quota, keys: newIndex(), scanned: math.MinInt64}
	l.plan.keepReserve(o.Reserve)
	l.adaptive(bad)
	l.smooth(bad)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	l.timeless = l.quota == nil && o.Dialect == nil && o.Adaptive == nil
	if o.State != nil {
		l.run, l.lease = newRun(), l.plan.lease()
	}
	return l, nil
}

// now is the engine's time; cheaper than time.Now.
func (l *Limiter) now() int64 { return int64(time.Since(l.plan.epoch)) }

func (l *Limiter) report(key string, err error) {
	if err != nil && l.o.OnError != nil {
		l.o.OnError(key, err)
	}
}

// Priority orders callers that wait for the same key. The zero value is Scheduled.
type Priority int8

// The priorities, most urgent first.
const (
	Interactive Priority = 2  // a person waits
	FollowUp    Priority = 1  // a webhook's follow-up
	Scheduled   Priority = 0  // an import
	Background  Priority = -1 // whatever is left
)

// Call describes one call to the limiter.
type Call struct {
	// Key names whose quota is used: an account, a property. "" is a key like any other.
	Key string
	// Cost is how many requests it counts for; 0 means 1.
	Cost     int64
	Priority Priority
	// Tenant names who of those that share the key's quota makes the call: an integration, a customer. While calls of
	// one priority wait, tenants are admitted in turn, each by its weight and the cost of its calls: whoever has a thousand calls waiting
	// delays another's only call by one. "" is a tenant like any other.
	Tenant string
	// Weight is the tenant's share in proportion to others'; 0 means 1, the most is 1,000,000. The one given last holds.
	Weight int
	// Op names what is called, for the rules of a [Set]: an operation ("messages.send"), or method and path ("POST /messages/7"),
	// which is what [Set.Wrap] takes from the request when Op is empty.
	Op string
}

const maxWeight = 1_000_000

type callKey struct{}

// WithCall says for which key, at which cost and priority the requests made with ctx are charged by [Limiter.Wrap].
func WithCall(ctx context.Context, c Call) context.Context {
	return context.WithValue(ctx, callKey{}, &c)
}

// CallFrom returns what [WithCall] said, the zero Call if nothing.
func CallFrom(ctx context.Context) Call {
	if c, ok := ctx.Value(callKey{}).(*Call); ok {
		return *c
	}
	return Call{}
}

// Tiers returns the tiers the limiter was made with.
func (l *Limiter) Tiers() Tiers { return slices.Clone(l.plan.tiers) }

// Ready returns the zero time if a call would be admitted now, else the earliest time worth asking again. It takes nothing. When
// nobody can date that, because a request in flight must end first, it is a moment from now. Of a key that was not used
// yet it knows nothing, and says to go ahead.
func (l *Limiter) Ready(ctx context.Context, c Call) time.Time {
	cost := c.Cost
	if cost == 0 {
		cost = 1
	}
	if cost < 0 || cost > l.plan.maxCost {
		return time.Time{} // Acquire says what is wrong with it
	}
	k := l.keys.get(c.Key)
	if l.quota != nil {
		ahead := int64(0)
		if k != nil {
			k.mu.Lock()
			ahead = k.ahead(c, cost)
			k.mu.Unlock()
		}
		now := time.Now()
		g, err := l.quota.Ask(ctx, c.Key, cost, ahead, now)
		switch {
		case err != nil || g.OK:
			return time.Time{} // Acquire says what is wrong with it
		case g.At.IsZero():
			return now.Add(soon)
		}
		return g.At
	}
	if k == nil {
		return time.Time{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.loaded {
		return time.Time{}
	}
	k.drain()
	now := l.now()
	v := k.ask(cost, k.ahead(c, cost), c.Priority < Interactive, now)
	switch {
	case v.ok || v.over:
		return time.Time{}
	case v.open:
		return l.plan.time(max(v.at, now+int64(soon)))
	}
	return l.plan.time(v.at)
}

// Park admits nothing for key before until, for everyone who shares the quota; an earlier until than the one in force has no effect.
// Callers that wait and cannot wait that long are refused at once. The zero time lifts it.
func (l *Limiter) Park(ctx context.Context, key string, until time.Time) error {
	if !until.IsZero() {
		now := time.Now()
		until = now.Add(until.Sub(now)) // on the monotonic clock from here on
	}
	if l.quota != nil {
		if err := l.quota.Park(ctx, key, until); err != nil {
			return err
		}
		if k := l.keys.get(key); k != nil {
			k.mu.Lock()
			if until.IsZero() {
				k.signal()
			} else {
				k.evict(l.plan.ns(until))
			}
			k.mu.Unlock()
		}
		return nil
	}
	if until.IsZero() {
		if k := l.keys.get(key); k != nil {
			k.mu.Lock()
			k.unpark()
			k.signal()
			k.mu.Unlock()
		}
		return nil
	}
	for {
		k, err := l.key(key)
		if err != nil {
			return err
		}
		k.mu.Lock()
		if gone := k.gone; !gone {
			k.park(l.plan.ns(until))
			k.evict(k.parked())
			k.mu.Unlock()
			return nil
		}
		k.mu.Unlock()
	}
}

// Usage returns the state of key.
func (l *Limiter) Usage(ctx context.Context, key string) (Usage, error) {
	k := l.keys.get(key)
	var u Usage
	if l.quota != nil {
		var err error
		if u, err = l.quota.Usage(ctx, key, time.Now()); err != nil {
			return Usage{}, err
		}
	}
	if k == nil {
		if l.quota == nil {
			fresh := newCounts(l.plan, nil)
			u = fresh.usage(l.now())
		}
		if l.o.Adaptive != nil {
			u.Pace = l.o.Adaptive.Start
		}
		return u, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.quota == nil {
		k.drain()
		u = k.usage(l.now())
	}
	u.Waiting = int(k.waiting.Load())
	if k.keyRest != nil && k.pace != nil {
		u.Pace = k.pace.share
	}
	return u, nil
}
