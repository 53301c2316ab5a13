package ratelimit

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// looked is how many other keys are looked at when one is added.
const looked = 16

// soon is when to ask again if nobody can say.
const soon = 100 * time.Millisecond

// key is what a limiter holds of one key: the counts, unless a Quota has them, and the callers that wait. What each call touches
// is together.
type key struct {
	mu sync.Mutex // guards what follows but released, waiting and name

	gone   bool // reclaimed, or the limiter is closed
	loaded bool // what State knew has been restored
	// With a State store: busy is set while somebody reads or writes the store, without mu.
	busy bool

	waiting atomic.Int32 // in line
	// released holds a permit that was released and is not yet taken off the counts, 0 for none: most releases need no
	// lock. Whoever reads the counts calls drain first; whoever fills it looks at waiting after.
	released atomic.Uint64

	name     string
	*keyRest // nil: nobody has waited, and there is nothing to it but counts
	counts
}

// keyRest is what there is to a key when calls wait for it, when its pace is learnt or smoothed, or a State store keeps what is spent.
type keyRest struct {
	line
	claim claim
	// guests wait in another key's line for room here too; with when each must have been admitted.
	guests map[*waiter]int64

	next  int64 // when the next call may go, with Smooth and while room is scarce
	apart int64 // how far apart calls are while room is scarce
	pace  *pace // nil unless it is learnt

	// With a State store: left is what may still be spent on the last save, since what was spent after the
	// one that is being made was begun.
	left, since int64
	retryAt     int64 // after a save that failed
}

// newKey returns a key that has spent nothing. What holds the counts of few tiers is one piece with it.
func (l *Limiter) newKey(name string) (k *key) {
	var tiers []tierCounts
	switch n := len(l.plan.specs); {
	case l.quota != nil || n > 4:
		k = new(key)
	case n == 1:
		all := new(struct {
			key
			tiers [1]tierCounts
		})
		k, tiers = &all.key, all.tiers[:]
	case n <= 3:
		all := new(struct {
			key
			tiers [3]tierCounts
		})
		k, tiers = &all.key, all.tiers[:n:n]
	default:
		all := new(struct {
			key
			tiers [4]tierCounts
		})
		k, tiers = &all.key, all.tiers[:]
	}
	k.name, k.loaded = name, l.o.State == nil
	if l.quota == nil {
		k.counts = newCounts(l.plan, tiers)
	}
	return k
}

// claim is room that is left to a caller which waits in another key's line, and is about to have its turn there. The zero
// claim is none.
type claim struct {
	w    *waiter
	cost int64
}

// has returns what there is to the key beside its counts; k is locked.
func (k *key) has() *keyRest {
	if k.keyRest == nil {
		k.keyRest = &keyRest{left: math.MaxInt64}
	}
	return k.keyRest
}

// behind reports that a call has to stand in line, or that something other than the counts holds it back; k is locked.
func (k *key) behind(cost, now int64) bool {
	r := k.keyRest
	return r != nil && (r.first != nil || r.left < cost || r.claim.w != nil || now < r.next)
}

// early reports that the next call is spread out.
func (k *key) early(now int64) bool { return k.keyRest != nil && now < k.next }

// ahead is about the cost of those who would have their turn before a newcomer.
func (k *key) ahead(c Call, cost int64) int64 {
	if k.keyRest == nil {
		return 0
	}
	return k.position(c.Priority, c.Tenant, c.Weight, cost)
}

// drain takes the permit that was released off the counts; k is locked.
func (k *key) drain() {
	if id := k.released.Load(); id != 0 {
		k.released.Store(0)
		k.release(int32(uint32(id)), uint32(id>>32))
	}
}

// key returns the key, and makes it if there is none. It may be gone by the time it is locked.
func (l *Limiter) key(name string) (*key, error) {
	if l.closed.Load() {
		return nil, l.unavailable(ErrClosed)
	}
	if k := l.keys.get(name); k != nil {
		return k, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return nil, l.unavailable(ErrClosed)
	}
	if k := l.keys.get(name); k != nil {
		return k, nil
	}
	now := l.now()
	if l.keys.n >= l.o.MaxKeys || l.o.State == nil {
		l.reclaim(now, looked)
	}
	if l.keys.n >= l.o.MaxKeys && now-l.scanned >= int64(time.Second) {
		l.scanned = now
		l.reclaim(now, l.keys.n)
	}
	if l.keys.n >= l.o.MaxKeys {
		return nil, &retry.Error{
			Verdict: retry.Verdict{Class: retry.RateLimit, Scope: retry.Partner, Sent: retry.Never, At: l.plan.time(now).Add(time.Second)},
			Err:     &limited{name: l.o.Name, why: "more keys are in use than MaxKeys"},
		}
	}
	k := l.newKey(name)
	if l.quota == nil && k.loaded {
		l.coldStart(k, now)
	}
	if l.o.Adaptive != nil || l.o.State != nil || l.o.Smooth > 0 {
		k.has()
	}
	if l.o.Adaptive != nil {
		if k.pace = l.newPace(); l.quota == nil && k.pace.share < 1 {
			k.keep(k.pace.share)
		}
	}
	if l.o.State != nil {
		k.left = 0
	}
	l.keys.add(k)
	return k, nil
}

// coldStart puts a key into the state in which one begins of which nothing is known. All that others can have spent, they spent before
// the limiter was made, at the engine's time 0: a key that was forgotten because it was idle does not start cold again.
func (l *Limiter) coldStart(k *key, now int64) {
	longest := int64(0)
	for i := range k.tiers {
		s := &l.plan.specs[i]
		longest = max(longest, s.per)
		if l.o.ColdStart == SitOut {
			k.tiers[i].sitOut(s, 0)
		}
	}
	if l.o.ColdStart == Probe && now < longest {
		k.probe = probeNeeded
	}
}

// reclaim looks at some keys, going round, and forgets the idle ones.
func (l *Limiter) reclaim(now int64, most int) {
	l.keys.some(most, func(k *key) bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.drain()
		k.gone = k.waiting.Load() == 0 && !k.busy && (l.quota != nil && !k.early(now) || l.quota == nil && k.idle(now)) && k.forgettable(l.o.Adaptive, now)
		return k.gone
	})
}

// remove takes w out of line; admitted says that it had its turn.
func (k *key) remove(w *waiter, admitted bool) {
	if k.line.remove(w, admitted) {
		k.signal()
	}
}

// unclaim gives up what w claims.
func (k *key) unclaim(w *waiter) {
	if k.keyRest != nil && k.claim.w == w {
		k.claim = claim{}
		k.signal()
	}
}

// signal has the first in line ask again.
func (k *key) signal() {
	if k.keyRest != nil && k.first != nil {
		k.first.poke()
	}
}

// evict refuses those in line that cannot wait until then.
func (k *key) evict(until int64) {
	if k.keyRest == nil {
		return
	}
	k.each(func(w *waiter) {
		if w.limit < until {
			k.expel(w, errParked, until)
		}
	})
	for w, limit := range k.guests {
		if limit < until {
			w.poke() // sees for itself
		}
	}
}

// expel takes w out of line, and has it refused.
func (k *key) expel(w *waiter, why error, at int64) {
	w.out, w.at = why, at
	k.remove(w, false)
	w.poke()
}
