package breaker

import (
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/integrationkit/integrationkit/retry"
)

const (
	// buckets is how many steps the window moves in.
	buckets = 10
	// probeDelay is when to come back while all probes are out: most calls take less.
	probeDelay = time.Second
	// minOpen keeps our open time longer than the one gobreaker is given.
	minOpen = time.Millisecond
)

// circuit is the circuit of one key. gobreaker counts and decides; state follows it by its callback.
//
// gobreaker is told of a call when it has ended, not when it starts: it forgets a call that started before its window, so
// that calls which hang for longer would never open it.
type circuit struct {
	key string

	mu      sync.Mutex // guards the fields below
	cb      *gobreaker.CircuitBreaker[struct{}]
	state   State
	epoch   uint64    // changes with the state; results of calls from another one are ignored
	until   time.Time // of Open
	asked   time.Time // when the circuit shall end to be open, should the result being counted open it
	calls   int       // for the next Change
	faults  int
	probes  []probe // that are out, oldest first
	probeID uint64  // of the last one
	out     int     // calls that are out
	used    time.Time
	gone    bool // no longer in the Breaker's map

	changes []Change // not yet told
	telling bool     // a goroutine is telling them
}

type probe struct {
	id       uint64
	deadline time.Time
}

// What gobreaker is told. Ready-made, so that counting allocates nothing.
var (
	errFault = errors.New("fault")
	fault    = func() (struct{}, error) { return struct{}{}, errFault }
	success  = func() (struct{}, error) { return struct{}{}, nil }
)

func newCircuit(b *Breaker, key string) *circuit {
	c := &circuit{key: key, used: time.Now()}
	c.fresh(b)
	return c
}

// fresh gives c a new gobreaker: it has no reset.
func (c *circuit) fresh(b *Breaker) {
	c.cb = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  uint32(b.c.Probes),
		Interval:     b.c.Window,
		BucketPeriod: (b.c.Window + buckets - 1) / buckets,
		// Its open time is the same for ever. Ours is kept in until, and gobreaker is not asked before that.
		Timeout: 1,
		ReadyToTrip: func(n gobreaker.Counts) bool {
			calls := n.TotalSuccesses + n.TotalFailures
			c.calls, c.faults = int(calls), int(n.TotalFailures)
			return c.calls >= b.c.MinCalls && float64(n.TotalFailures)/float64(calls) >= b.c.FailureRatio
		},
		// Called with its lock and c.mu held, as the one above.
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateClosed:
				c.change(b, Closed)
			case gobreaker.StateHalfOpen:
				c.change(b, HalfOpen)
			case gobreaker.StateOpen:
				c.until = c.asked
				c.change(b, Open)
			}
		},
	})
}

// change notes a change of state, to be told by unlock.
func (c *circuit) change(b *Breaker, to State) {
	if b.c.OnChange != nil && to != c.state {
		ch := Change{Name: b.c.Name, Key: c.key, From: c.state, To: to, Calls: c.calls, Faults: c.faults}
		if to == Open {
			ch.Until = c.until
		}
		c.changes = append(c.changes, ch)
	}
	c.state = to
	c.epoch++
	c.probes = nil
	c.calls, c.faults = 0, 0
}

// reset is what an operator asks for. Asking for the forced state that is, changes nothing.
func (c *circuit) reset(b *Breaker, to State) {
	if to == c.state && to != Closed {
		return
	}
	c.cb.State() // lets its window move to now
	n := c.cb.Counts()
	c.calls, c.faults = int(n.TotalSuccesses+n.TotalFailures), int(n.TotalFailures)
	c.fresh(b)
	c.change(b, to)
}

// ready returns the zero time and no error if a call may be made now, else when to come back and why not now.
func (c *circuit) ready(b *Breaker, now time.Time) (time.Time, error) {
	switch c.state {
	case ForcedOpen:
		return now.Add(b.c.OpenFor), b.errForced
	case Open:
		if now.Before(c.until) {
			return c.until, b.errOpen
		}
	case HalfOpen:
		if c.free(b) || !now.Before(c.probes[0].deadline) {
			break
		}
		at := now.Add(probeDelay)
		if d := c.probes[0].deadline; d.Before(at) {
			at = d
		}
		return at, b.errProbing
	}
	return time.Time{}, nil
}

// free reports whether a half-open circuit has room for another probe.
func (c *circuit) free(b *Breaker) bool {
	return len(c.probes) == 0 || len(c.probes)+int(c.cb.Counts().TotalSuccesses) < b.c.Probes
}

// takePlace sends out a probe, in the place of the oldest if none is free.
func (c *circuit) takePlace(b *Breaker, now time.Time) (id uint64) {
	if !c.free(b) {
		c.probes = c.probes[1:]
	}
	c.probeID++
	c.probes = append(c.probes, probe{c.probeID, now.Add(b.c.ProbeTimeout)})
	return c.probeID
}

// count counts how a call of this epoch ended.
func (c *circuit) count(b *Breaker, now time.Time, probeID uint64, v retry.Verdict) {
	failed := v.Fault && v.Class == retry.Transient
	switch c.state {
	case Closed:
		if !failed && v.Class != retry.OK {
			return
		}
	case HalfOpen:
		if !c.takeBack(probeID) {
			return // another took its place
		}
		if !failed && v.Class != retry.OK && v.Sent != retry.Answered {
			return // nobody knows whether the partner is back
		}
		c.calls = int(c.cb.Counts().TotalSuccesses) + 1
		c.faults = 0
	default:
		return
	}
	if !failed {
		_, _ = c.cb.Execute(success) // its error is what it was told
		return
	}
	if c.state == HalfOpen {
		c.faults = 1
	}
	c.asked = b.openUntil(now, v.At)
	_, _ = c.cb.Execute(fault)
}

func (c *circuit) takeBack(id uint64) bool {
	for i, p := range c.probes {
		if p.id == id {
			c.probes = append(c.probes[:i], c.probes[i+1:]...)
			return true
		}
	}
	return false
}

// openUntil returns when a circuit that opens now ends to be open; at is what the partner asked for, zero for nothing.
func (b *Breaker) openUntil(now, at time.Time) time.Time {
	d := b.c.OpenFor
	if at.After(now) {
		d = min(max(at.Sub(now), minOpen), b.c.MaxOpen)
	}
	return now.Add(d)
}

// unlock unlocks c and tells what has changed. The goroutine that is telling already, if any, tells it after the rest;
// that may be this one, in a callback.
func (b *Breaker) unlock(c *circuit) {
	if len(c.changes) == 0 || c.telling {
		c.mu.Unlock()
		return
	}
	c.telling = true
	defer func() {
		c.telling = false
		c.mu.Unlock()
	}()
	for len(c.changes) > 0 {
		ch := c.changes[0]
		c.changes = c.changes[1:]
		b.tell(c, ch)
	}
}

// tell calls OnChange without the lock, which is held again afterwards even if OnChange panics.
func (b *Breaker) tell(c *circuit, ch Change) {
	c.mu.Unlock()
	defer c.mu.Lock()
	b.c.OnChange(ch)
}
