package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// Policy says what is admitted while Redis cannot be asked. The zero value is [FailClosed].
type Policy struct {
	open  bool
	share int
}

// The policies without parameters.
var (
	// FailClosed admits nothing: no promise is broken, and calls fail with class Unavailable.
	FailClosed = Policy{}
	// FailOpen admits everything: the partner's own limiter is all there is.
	FailOpen = Policy{open: true}
)

// LocalShare has each of n processes admit an n-th of each limit, by a count of its own that starts empty. While Redis is away
// no more than the limits is admitted by all together; around the beginning and the end of the outage it can be twice as much
// in one window, once each. n is the largest number of processes that run at once, 2 or more.
func LocalShare(n int) Policy {
	if n < 1 {
		n = 1 // refused by New
	}
	return Policy{share: n}
}

// EventKind says what an [Event] is about.
type EventKind uint8

// The kinds of event.
const (
	// Away: Redis cannot be asked; the policy is in force.
	Away EventKind = iota + 1
	// Overdue: the outage has lasted for Options.AwayFor; from now on nothing is admitted.
	Overdue
	// Back: Redis answers again.
	Back
	// Lost: Redis lost what was counted, or never knew. Each tier sits out one window and a lease.
	Lost
)

// String returns the kind's name in lower case.
func (k EventKind) String() string {
	return [...]string{"unknown", "away", "overdue", "back", "lost"}[min(k, Lost+1)%(Lost+1)]
}

// Event is what [Options.OnEvent] is told.
type Event struct {
	Kind  EventKind
	Shard int       // of Away and Lost: the part of the keys where it was found, 0 to 15
	At    time.Time // of the event
	Since time.Time // of Overdue and Back: when the outage began
	Until time.Time // of Lost: when the longest tier admits again
	Err   error     // of Away: why
}

// outage is the state while Redis is away.
type outage struct {
	since   time.Time // zero: it is not
	why     error
	overdue bool
	memory  *ratelimit.Memory // the local share
}

// divide returns an n-th of the tiers.
func divide(tiers ratelimit.Tiers, n int64) (ratelimit.Tiers, error) {
	var errs []error
	out := make(ratelimit.Tiers, len(tiers))
	for i, t := range tiers {
		t.Name = t.String()
		for _, f := range []*int64{&t.Requests, &t.Burst, &t.Concurrent} {
			if *f > 0 {
				if *f /= n; *f == 0 {
					errs = append(errs, fmt.Errorf("LocalShare(%d): tier %s is too small to be shared", n, t))
				}
			}
		}
		out[i] = t
	}
	return out, errors.Join(errs...)
}

func (q *Quota) awayError() error {
	if errors.Is(q.why, ErrTiers) {
		return unavailable(ErrTiers, time.Minute)
	}
	return unavailable(fmt.Errorf("%w: %w", ErrAway, q.why), time.Second)
}

// away begins an outage. The hub is locked.
func (q *Quota) away(n int, err error) []Event {
	if !q.since.IsZero() {
		return nil
	}
	q.outage = outage{since: time.Now(), why: err}
	if !q.closed {
		q.wg.Go(func() { q.probe(n) })
	}
	return []Event{{Kind: Away, Shard: n, At: q.since, Err: err}}
}

// probe asks Redis until it writes again, or the Quota is closed.
func (q *Quota) probe(n int) {
	mu := &q.h.mu
	mu.Lock()
	since, policy := q.since, q.o.Away
	mu.Unlock()
	for wait := 25 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		left := q.o.AwayFor - time.Since(since)
		if policy != FailClosed && left > 0 {
			wait = min(wait, left)
		}
		select {
		case <-q.stop:
			return
		case <-time.After(wait):
		}
		ctx, cancel := context.WithTimeout(q.ctx, q.o.Timeout)
		err := q.alive(ctx, n)
		cancel()
		var tell []Event
		mu.Lock()
		if err == nil {
			tell = append(tell, Event{Kind: Back, At: time.Now(), Since: since})
			q.outage = outage{}
			q.renew(func(*key) bool { return true })
		} else {
			if !q.overdue && policy != FailClosed && time.Since(since) >= q.o.AwayFor {
				q.overdue = true
				tell = append(tell, Event{Kind: Overdue, At: time.Now(), Since: since})
			}
			if !errors.Is(q.why, ErrTiers) {
				q.why = err
			}
		}
		mu.Unlock()
		q.tell(tell)
		if err == nil {
			return
		}
	}
}

// alive reports whether the shard can be written and counts the same tiers.
func (q *Quota) alive(ctx context.Context, n int) error {
	if err := q.h.client.Set(ctx, q.epochKey(n)+":probe", 1, time.Second).Err(); err != nil {
		return err
	}
	return q.askShard(ctx, n, false)
}

// local returns the local share, nil if the policy has none or its time is over. The hub is locked.
func (q *Quota) local() *ratelimit.Memory {
	if q.share == nil || q.since.IsZero() || time.Since(q.since) >= q.o.AwayFor {
		return nil
	}
	if q.memory == nil {
		m, err := ratelimit.NewMemory(q.share)
		if err != nil {
			return nil // not reached: New has checked
		}
		q.memory = m
	}
	return q.memory
}

// alone answers an operation without Redis. away is the error if the policy does not.
func (q *Quota) alone(ctx context.Context, o *op, key string, now time.Time, away error) (ratelimit.Grant, error) {
	q.h.mu.Lock()
	memory := q.local()
	open := q.o.Away.open && time.Since(q.since) < q.o.AwayFor && !q.since.IsZero()
	q.h.mu.Unlock()
	g := ratelimit.Grant{OK: true, Cost: o.cost}
	switch {
	case memory != nil:
		var err error
		if o.kind == opAsk {
			g, err = memory.Ask(ctx, key, o.cost, o.ahead, now)
		} else {
			g, err = memory.Take(ctx, key, o.cost, o.ahead, now)
		}
		if err != nil || !g.OK {
			return g, err
		}
	case !open:
		return ratelimit.Grant{}, away
	}
	if o.kind == opAsk {
		return g, nil
	}
	q.h.mu.Lock()
	defer q.h.mu.Unlock()
	k := q.key(key)
	f := q.begin(k, o.cost)
	f.memory, f.grant, k.tell = memory, g, true
	k.enqueue(true)
	return ratelimit.Grant{OK: true, Slot: uint32(q.last), Gen: uint32(q.last >> 32), Cost: o.cost}, nil
}

// tell tells of events, in order. The goroutine that is telling already, if any, tells them after the rest; that may be
// this one, in a callback.
func (q *Quota) tell(events []Event) {
	if len(events) == 0 || q.o.OnEvent == nil {
		return
	}
	q.told.Lock()
	q.pending = append(q.pending, events...)
	if q.telling {
		q.told.Unlock()
		return
	}
	q.telling = true
	defer func() {
		q.telling = false
		q.told.Unlock()
	}()
	for len(q.pending) > 0 {
		e := q.pending[0]
		q.pending = q.pending[1:]
		q.call(e)
	}
}

// call calls OnEvent without the lock, which is held again afterwards even if OnEvent panics.
func (q *Quota) call(e Event) {
	q.told.Unlock()
	defer q.told.Lock()
	q.o.OnEvent(e)
}
