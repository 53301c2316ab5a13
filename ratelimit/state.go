package ratelimit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// StateStore keeps what a limiter spent across restarts. Values are small. Implementations are safe for concurrent use.
type StateStore interface {
	// LoadLimit returns what was saved last under key, nil if nothing.
	LoadLimit(ctx context.Context, key string) ([]byte, error)
	// SaveLimit keeps state durably before it returns.
	SaveLimit(ctx context.Context, key string, state []byte) error
}

// A process can be killed at any moment, and what it sent was counted by the partner all the same. So a record in the
// store says, before anything is sent on it, how much may be spent until the next one: the lease. Whoever finds the
// record of a limiter that was not closed takes all of the lease as spent just now in the long tiers, and sits out one window of the
// short ones, of which nothing is written down while calls are made.

// longTier is the window, unscaled, up to which a tier is sat out rather than written down.
const longTier = time.Minute

// leases is how many saves there are at most for one limit's worth of requests, and half as many at least.
const leases = 64

// retrySave is how long a save that failed is not repeated while there is room on the last one.
const retrySave = time.Second

const noLease = math.MaxInt64 / 4 // nothing is written down: the first save lasts

func (s *spec) long() bool { return s.method != byFlight && s.tier.nominal() > longTier }

// lease is how much may be spent on one save.
func (p *plan) lease() int64 {
	n := int64(noLease)
	for i := range p.specs {
		if s := &p.specs[i]; s.long() {
			n = min(n, max(1, s.limit/leases))
		}
	}
	return n
}

func newRun() uint64 { return rand.Uint64() }

func (l *Limiter) stateKey(k *key) string { return l.o.Name + "/" + k.name }

// spend takes cost off the lease and reports whether the caller has to save; k is locked.
func (k *key) spend(cost, lease, now int64) bool {
	k.left -= cost
	if k.busy {
		k.since += cost
		return false
	}
	if k.left >= lease/2 || now < k.retryAt {
		return false
	}
	k.busy, k.since = true, 0
	return true
}

// save renews the lease. The caller has set busy; others go on with what is left of the old lease.
func (l *Limiter) save(ctx context.Context, k *key, cost int64) {
	k.mu.Lock()
	err := l.saveLocked(ctx, k, cost)
	k.mu.Unlock()
	l.report(k.name, err)
}

// saveLocked writes the record that allows a lease to be spent; k is locked, but not during the write.
func (l *Limiter) saveLocked(ctx context.Context, k *key, cost int64) error {
	grant := max(l.lease, cost)
	data := k.snapshot(l, grant, false)
	k.mu.Unlock()
	err := l.o.State.SaveLimit(ctx, l.stateKey(k), data)
	k.mu.Lock()
	k.busy = false
	if err != nil {
		k.retryAt = l.now() + int64(retrySave)
	} else if !k.gone {
		k.left = grant - k.since
	}
	k.signal()
	if err != nil {
		return fmt.Errorf("ratelimit %s: saving what was spent: %w", l.o.Name, err)
	}
	return nil
}

// sync restores what the store knows of the key, if that was not done, and gets a lease for at least cost; k is locked,
// but not during the reads and writes, and its caller is the first in line.
func (l *Limiter) sync(ctx context.Context, k *key, cost int64) error {
	k.busy, k.since = true, 0
	if !k.loaded {
		k.mu.Unlock()
		data, err := l.o.State.LoadLimit(ctx, l.stateKey(k))
		k.mu.Lock()
		if err != nil {
			k.busy = false
			k.signal()
			return l.stateError(ctx, fmt.Errorf("reading what was spent: %w", err))
		}
		if k.loaded = true; data == nil {
			l.coldStart(k, l.now())
		} else if err := l.restore(k, data); err != nil {
			k.mu.Unlock()
			l.report(k.name, err)
			k.mu.Lock()
		}
	}
	if err := l.saveLocked(ctx, k, cost); err != nil {
		return l.stateError(ctx, err)
	}
	return nil
}

func (l *Limiter) stateError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return l.backendError(ctx, ctx.Err())
	}
	return l.unavailable(err)
}

// The record: version, flags, run, when it was saved, parked until (0: not), owed, if it was learnt the pace and that of the last refusal (0: none) in
// billionths, and of each tier that is written
// down its kind, window and charges, each with its age. Times are Unix nanoseconds.
const (
	stateVersion = 1
	stateClean   = 1 // flag: the limiter was closed, and every tier is written down
	statePace    = 2 // flag: the pace is written down
	billion      = 1e9
)

var errState = errors.New("ratelimit: the saved state cannot be read; every tier is sat out")

// snapshot is the record of what was spent; k is locked.
func (k *key) snapshot(l *Limiter, grant int64, clean bool) []byte {
	k.drain()
	k.advance(l.now())
	now, wall := k.now, time.Now().UnixNano()
	b := make([]byte, 2, 128)
	b[0] = stateVersion
	if clean {
		b[1] = stateClean
	}
	b = binary.LittleEndian.AppendUint64(b, l.run)
	b = binary.AppendVarint(b, wall)
	parked := int64(0)
	if until := k.parked(); until > now {
		parked = wall + until - now
	}
	b = binary.AppendVarint(b, parked)
	owed := k.pending()
	if !clean && l.lease < noLease {
		owed += grant
	}
	b = binary.AppendUvarint(b, uint64(owed))
	if k.keyRest != nil && k.pace != nil {
		b[1] |= statePace
		b = binary.AppendUvarint(b, uint64(k.pace.share*billion))
		b = binary.AppendUvarint(b, uint64(k.pace.at*billion))
	}
	for i := range k.tiers {
		t, s := &k.tiers[i], &l.plan.specs[i]
		if s.method == byFlight || !clean && !s.long() {
			continue
		}
		t.expire(s, l.plan, now)
		b = append(b, byte(s.tier.Kind))
		b = binary.AppendUvarint(b, uint64(s.per))
		n := 0
		t.charges(s, l.plan, now, func(int64, int64) { n++ })
		shut := int64(0)
		if t.shut() > now {
			shut = t.shut() - now
		}
		b = binary.AppendUvarint(b, uint64(shut))
		b = binary.AppendUvarint(b, uint64(n))
		t.charges(s, l.plan, now, func(at, cost int64) {
			b = binary.AppendUvarint(b, uint64(max(0, now-at)))
			b = binary.AppendUvarint(b, uint64(cost))
		})
	}
	return b
}

// saved is a record that was read.
type saved struct {
	clean      bool
	run        uint64
	at, parked int64
	owed       int64
	pace, last float64 // 0: not written down
	tiers      []savedTier
}

type savedTier struct {
	kind    Kind
	per     int64
	shut    int64 // from at on
	charges []charge
}

func decodeState(b []byte) (saved, error) {
	r := reader{b: b}
	var s saved
	if v := r.byte(); v != stateVersion {
		return saved{}, fmt.Errorf("%w: version %d", errState, v)
	}
	flags := r.byte()
	s.clean = flags&stateClean != 0
	s.run = r.uint64()
	s.at = r.varint()
	s.parked = r.varint()
	s.owed = r.count()
	if flags&statePace != 0 {
		s.pace, s.last = float64(r.count())/billion, float64(r.count())/billion
	}
	for !r.failed && len(r.b) > 0 {
		t := savedTier{kind: Kind(r.byte()), per: r.count(), shut: r.count()}
		n := r.count()
		if n > int64(len(r.b)) {
			r.failed = true
			break
		}
		t.charges = make([]charge, 0, n)
		for range n {
			age := r.count()
			t.charges = append(t.charges, charge{s.at - age, r.count()})
		}
		s.tiers = append(s.tiers, t)
	}
	if r.failed {
		return saved{}, errState
	}
	return s, nil
}

// reader reads a record, and remembers if it could not.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if n <= 0 || n > len(r.b) {
		r.failed, r.b = true, nil
		return make([]byte, 8)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte     { return r.take(1)[0] }
func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.take(n)
	return v
}

// count reads a number that is neither negative nor too large to be added up.
func (r *reader) count() int64 {
	v, n := binary.Uvarint(r.b)
	r.take(n)
	if v > noLease*2 {
		r.failed = true
		return 0
	}
	return int64(v)
}

// restore puts a record into force; k is locked. A record that cannot be read counts as if everything were spent.
func (l *Limiter) restore(k *key, data []byte) error {
	wall := time.Now().UnixNano()
	now := l.now() // after wall: what was spent is not taken for older than it is
	s, err := decodeState(data)
	if err != nil {
		for i := range k.tiers {
			k.tiers[i].sitOut(&l.plan.specs[i], now+int64(l.o.LostGrace))
		}
		return err
	}
	if s.run == l.run {
		return nil // this limiter wrote it, and forgot the key when it was idle
	}
	grace := now + int64(l.o.LostGrace)
	elapsed := min(max(0, wall-s.at), 4*int64(maxPer))
	if s.parked > wall {
		k.park(now + min(s.parked-wall, int64(maxPer)))
	}
	for i := range k.tiers {
		t, spec := &k.tiers[i], &l.plan.specs[i]
		if spec.method == byFlight {
			continue
		}
		known := false
		for _, st := range s.tiers {
			if st.kind != spec.tier.Kind || st.per != spec.per {
				continue
			}
			known = true
			if until := now + min(st.shut, 2*int64(maxPer)) - elapsed; until > now {
				m := t.has(spec)
				m.shut = max(m.shut, until)
			}
			for _, c := range st.charges {
				if age := elapsed + s.at - c.at; age < spec.per || spec.method == byBucket {
					t.charge(spec, l.plan, now-age, min(c.cost, maxRequests))
					if r := k.rest(); r != nil { // whoever spent it
						r.tiers[i].charge(&l.plan.rest[i], l.plan, now-age, min(c.cost, maxRequests))
					}
				}
			}
		}
		switch {
		case known:
		case !s.clean && !spec.long():
			t.sitOut(spec, grace)
		case l.o.ColdStart == SitOut:
			t.sitOut(spec, 0)
		}
	}
	if l.o.Adaptive != nil && s.pace > 0 {
		k.pace.share = min(1, max(l.o.Adaptive.Floor, s.pace))
		if k.pace.at = 0; s.last > 0 {
			k.pace.at = min(1, max(l.o.Adaptive.Floor, s.last))
		}
		k.keep(k.pace.share)
	}
	if s.owed > 0 {
		k.postpone(grace, s.owed, true)
	}
	return nil
}

// Close saves what was spent, exactly, to the State store. Callers that wait are refused, and so are calls after it, with an error
// that wraps [ErrClosed]. What is in flight counts as lost.
func (l *Limiter) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.closed.Swap(true) {
		l.mu.Unlock()
		return nil
	}
	keys := l.keys.all()
	l.mu.Unlock()
	var errs []error
	for _, k := range keys {
		k.mu.Lock()
		k.gone = true
		if k.keyRest != nil {
			k.each(func(w *waiter) { k.expel(w, errGone, 0) })
			for w := range k.guests {
				w.poke()
			}
		}
		var data []byte
		if l.o.State != nil && k.loaded {
			data = k.snapshot(l, 0, true)
		}
		k.mu.Unlock()
		if data != nil {
			if err := l.o.State.SaveLimit(ctx, l.stateKey(k), data); err != nil {
				errs = append(errs, fmt.Errorf("ratelimit %s: saving what was spent: %w", l.o.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}
