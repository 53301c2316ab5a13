package redisstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// hub is what the quotas of one client share: the calls of the script in which their operations travel together, and the connection on
// which room that came back is told. It lives as long as one of them is open.
type hub struct {
	client redis.UniversalClient
	split  bool // a script reaches the keys of one hash slot only

	ctx    context.Context // of calls to Redis; ends with the last quota
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex // guards the fields below, and those of quotas, keys and lanes; not held during I/O
	quotas []*Quota
	lanes  map[laneID]*lane
	number int64 // of the newest batch
	listener
}

var (
	hubsMu sync.Mutex // guards hubs; taken before a hub's mu
	hubs   = make(map[redis.UniversalClient][]*hub)
)

// join adds a quota to a hub of its client that has none of its name: those count as if they were of different processes.
func join(client redis.UniversalClient, q *Quota) {
	hubsMu.Lock()
	defer hubsMu.Unlock()
	for _, h := range hubs[client] {
		h.mu.Lock()
		if !slices.ContainsFunc(h.quotas, func(other *Quota) bool { return other.base == q.base }) {
			h.quotas = append(h.quotas, q)
			q.h = h
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
	}
	_, one := client.(*redis.Client)
	h := &hub{client: client, split: !one, lanes: make(map[laneID]*lane), quotas: []*Quota{q}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	hubs[client] = append(hubs[client], h)
	q.h = h
}

// leave takes a quota out. The last one ends the hub, and everything that it runs.
func (h *hub) leave(q *Quota) {
	hubsMu.Lock()
	h.mu.Lock()
	h.quotas = slices.DeleteFunc(h.quotas, func(other *Quota) bool { return other == q })
	last := len(h.quotas) == 0
	h.mu.Unlock()
	if last {
		all := slices.DeleteFunc(hubs[h.client], func(other *hub) bool { return other == h })
		if hubs[h.client] = all; len(all) == 0 {
			delete(hubs, h.client)
		}
	}
	hubsMu.Unlock()
	h.forget(q)
	if last {
		h.cancel()
		h.deafen()
		h.wg.Wait()
	}
}

// laneID names a lane.
type laneID struct {
	tag     string        // the hash tag of its keys; "" where a script reaches all keys
	timeout time.Duration // of calls to Redis
}

// lane is the way to Redis of keys that can travel together. One batch is under way at a time: what comes up meanwhile gathers for the
// next. So each key is in one batch at most, and what a process says of it arrives in order.
type lane struct {
	h       *hub
	timeout time.Duration
	ready   []*key // with something to tell or to ask
	joints  []*joint
	running bool
	later   *time.Timer // starts it; nil: not due
}

// lane returns the lane of a quota's keys in a shard. h is locked.
func (h *hub) lane(q *Quota, shard int) *lane {
	id := laneID{timeout: q.o.Timeout}
	if h.split {
		id.tag = q.tag(shard)
	}
	l := h.lanes[id]
	if l == nil {
		l = &lane{h: h, timeout: id.timeout}
		h.lanes[id] = l
	}
	return l
}

// start has the lane send what is ready. h is locked.
func (l *lane) start() {
	if l.later != nil {
		l.later.Stop()
		l.later = nil
	}
	if !l.running && len(l.ready)+len(l.joints) > 0 {
		l.running = true
		l.h.wg.Go(l.run)
	}
}

// patience is how long an arrival may wait for an operation that it can travel with. The room that its request holds is held all the while.
const patience = 2 * time.Millisecond

// soon has the lane send what is ready, unless something urgent does before. h is locked.
func (l *lane) soon() {
	if l.running || l.later != nil {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(patience, func() {
		l.h.mu.Lock()
		defer l.h.mu.Unlock()
		if l.later == t {
			l.start()
		}
	})
	l.later = t
}

// Close tells Redis what is still to be told, for twice the Timeout at most, and ends all goroutines. Release all permits before:
// what is in flight is charged when its lease ends. The client stays open.
func (q *Quota) Close() error {
	h := q.h
	h.mu.Lock()
	if q.closed {
		h.mu.Unlock()
		return nil
	}
	q.closed = true
	close(q.stop)
	q.quiet = make(chan struct{})
	for _, k := range q.keys {
		k.enqueue(true)
	}
	q.drained()
	h.mu.Unlock()
	give := time.AfterFunc(2*q.o.Timeout, q.cancel)
	select {
	case <-q.quiet:
	case <-q.ctx.Done():
	}
	give.Stop()
	q.cancel()
	h.mu.Lock()
	q.dead = true
	n := 0
	for _, k := range q.keys {
		for _, o := range k.ops {
			if o.done != nil {
				o.finish(unavailable(ErrClosed, 0))
			}
		}
		if !k.idle() || k.busy {
			n++
		}
		k.ops = nil
	}
	h.mu.Unlock()
	q.wg.Wait()
	h.leave(q)
	if n > 0 {
		return fmt.Errorf("%w: what was spent on %d keys is charged when its leases end", ErrAway, n)
	}
	return nil
}

// drained tells Close when there is nothing more to tell. The hub is locked.
func (q *Quota) drained() {
	if q.quiet == nil {
		return
	}
	for _, k := range q.keys {
		if k.busy || q.since.IsZero() && !k.idle() {
			return
		}
	}
	select {
	case <-q.quiet:
	default:
		close(q.quiet)
	}
}
