package redisstore

import (
	"context"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// op is one operation on a key. Those on one key are done in order.
type op struct {
	kind        int64
	cost, ahead int64
	until       time.Time
	sent        time.Time // of opObserve
	seen        ratelimit.Observation
	tier        int   // of opObserve, from 1
	flying      int64 // of opObserve: the cost of what was in flight before the answer

	id     uint64        // of the flight, of a take that was admitted
	early  chan struct{} // of a take: closed when room is given back; nil: it is not told
	done   chan struct{} // nil: nobody waits
	answer []int64
	at     time.Time // of the answer
	err    error
	left   bool // nobody waits any more
	again  bool // asked before, and the answer was lost
}

// The operations, as the script calls them.
const (
	opTake = iota + 1
	opAsk
	opPark
	opObserve
	opUsage
)

const (
	maxOps      = 512  // operations in one batch
	maxPending  = 4096 // operations of a key that wait for Redis
	maxArrivals = 256  // arrivals of a key that wait for Redis
)

// finish hands the answer out. h is locked.
func (o *op) finish(err error) {
	o.err = err
	if o.done != nil {
		close(o.done)
	}
}

// arrival is what the partner has counted and Redis does not know.
type arrival struct {
	cost int64
	at   time.Time
}

// key is what this process knows of a key: what it has in flight, and what Redis is to be told.
type key struct {
	q     *Quota
	name  string
	shard int
	redis string // its name there
	lane  *lane

	held     int64 // cost of what is in flight and may not have arrived
	count    int64 // requests in flight: where no tier limits these, those that may not have arrived
	arrivals []arrival
	ops      []*op
	tell     bool  // held or count are not as told, or are to be told again
	queued   bool  // in lane.ready
	busy     bool  // in the batch that is under way
	part     *part // of that
	joints   int   // that wait or are under way

	early chan struct{} // closed when room is given back
	waits time.Time     // until when somebody may wait for that
}

// key returns what is known of a key. h is locked.
func (q *Quota) key(name string) *key {
	k := q.keys[name]
	if k == nil {
		n := q.shardOf(name)
		k = &key{q: q, name: name, shard: n, redis: q.redisKey(n, name), lane: q.h.lane(q, n)}
		q.keys[name] = k
	}
	return k
}

// idle reports whether there is nothing to tell Redis.
func (k *key) idle() bool { return len(k.ops) == 0 && len(k.arrivals) == 0 && !k.tell }

// drop forgets a key of which there is nothing to know. h is locked.
func (k *key) drop(now time.Time) {
	if k.idle() && !k.busy && !k.queued && k.joints == 0 && k.held == 0 && k.count == 0 && !k.waits.After(now) {
		delete(k.q.keys, k.name)
	}
}

// enqueue sees to it that Redis is told: at once if somebody waits for it, here or elsewhere. h is locked.
func (k *key) enqueue(urgent bool) {
	if k.q.dead || !k.q.since.IsZero() || k.busy || k.idle() {
		return // the end of the outage, or of the batch, enqueues it
	}
	if !k.queued {
		k.queued = true
		k.lane.ready = append(k.lane.ready, k)
	}
	if urgent {
		k.lane.start()
	} else {
		k.lane.soon()
	}
}

// arrive notes an arrival. h is locked.
func (k *key) arrive(cost int64, at time.Time) {
	if n := len(k.arrivals); n >= maxArrivals { // Redis is away: what is charged later is charged for longer
		last := &k.arrivals[n-1]
		last.cost += cost
		if at.After(last.at) {
			last.at = at
		}
		return
	}
	k.arrivals = append(k.arrivals, arrival{cost, at})
}

// push appends an operation to those of its key. h is locked.
func (k *key) push(o *op) {
	if len(k.ops) >= maxPending && o.done == nil && o.kind != opPark {
		return // Redis is away; a report is forgotten
	}
	k.ops = append(k.ops, o)
	k.enqueue(o.done != nil || o.kind == opPark)
}

// do does an operation and waits for its answer.
func (q *Quota) do(ctx context.Context, name string, o *op) error {
	h := q.h
	h.mu.Lock()
	if err := q.shut(); err != nil {
		h.mu.Unlock()
		return err
	}
	o.done = make(chan struct{})
	q.key(name).push(o)
	h.mu.Unlock()
	return q.h.await(ctx, o, func() {
		if o.kind == opTake && o.answer[0] == 1 {
			q.end(o.id)
		}
	})
}

// shut is why nothing can be asked now. h is locked.
func (q *Quota) shut() error {
	switch {
	case q.closed:
		return unavailable(ErrClosed, 0)
	case !q.since.IsZero():
		return q.awayError()
	}
	return nil
}

// await waits for an operation. undo undoes it, h locked, if it was done but ctx ended.
func (h *hub) await(ctx context.Context, o *op, undo func()) error {
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-o.done: // just now
		if o.err == nil {
			undo()
		}
	default:
		o.left = true
	}
	return context.Cause(ctx)
}

// flight is a request that was admitted and is not yet released.
type flight struct {
	key     *key
	cost    int64
	since   time.Time
	arrived bool
	// Of a request that was admitted by a local share:
	memory *ratelimit.Memory
	grant  ratelimit.Grant
}

// begin notes a request in flight. h is locked.
func (q *Quota) begin(k *key, cost int64) *flight {
	q.last++
	f := &flight{key: k, cost: cost, since: time.Now()}
	q.flights[q.last] = f
	k.held += cost
	k.count++
	return f
}

// arrive notes that a request has arrived. h is locked.
func (q *Quota) arrive(f *flight, at time.Time) {
	k := f.key
	f.arrived = true
	k.held -= f.cost
	if !q.flying {
		k.count--
	}
	k.arrive(f.cost, at)
	k.enqueue(false)
}

// end forgets a request. h is locked.
func (q *Quota) end(id uint64) {
	f := q.flights[id]
	if f == nil {
		return
	}
	delete(q.flights, id)
	k := f.key
	if !f.arrived {
		k.held -= f.cost
	}
	if !f.arrived || q.flying {
		k.count--
		k.tell = true
		k.enqueue(true)
	}
}

// renew tells again what is in flight. h is locked.
func (q *Quota) renew(which func(k *key) bool) {
	now := time.Now()
	for _, k := range q.keys {
		if k.held+k.count > 0 && which(k) {
			k.tell = true
		}
		k.enqueue(true)
		k.drop(now)
	}
}

// renewals renews the leases of what is in flight, until Close.
func (q *Quota) renewals() {
	tick := time.NewTicker(q.o.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-q.stop:
			return
		case <-tick.C:
			q.h.mu.Lock()
			q.renew(func(*key) bool { return true })
			q.h.mu.Unlock()
		}
	}
}
