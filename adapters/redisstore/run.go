package redisstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// op is one operation on a key. Those on one key are done in order, all that have gathered in one call of the script.
type op struct {
	kind        string
	id          uint64
	cost, ahead int64
	at, until   time.Time
	ended       bool // of opArrive: released too; of opRenew: arrived
	seen        ratelimit.Observation
	tier        int // of opObserve, from 1

	done   chan struct{} // nil: nobody waits
	answer []int64
	err    error
	left   bool // nobody waits any more; guarded by Quota.mu
}

// The operations, as the script calls them.
const (
	opTake, opAsk, opArrive, opEnd = "T", "Q", "A", "R"
	opRenew, opPark, opObserve     = "N", "P", "O"
	opUsage                        = "U"
)

const (
	maxBatch   = 128  // operations in one call
	maxPending = 4096 // operations of a key that wait for Redis
)

// key is a key with operations to do.
type key struct {
	name    string
	ops     []*op
	running bool
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// append appends the operation as the script reads it. Times are told by how long ago they were, as late as they can have been.
func (o *op) append(args []any, nonce string, now time.Time) []any {
	id := func() string { return nonce + "." + strconv.FormatUint(o.id, 36) }
	ago := func() int64 { return now.Sub(o.at).Microseconds() }
	args = append(args, o.kind)
	switch o.kind {
	case opTake:
		return append(args, id(), o.cost, o.ahead)
	case opAsk:
		return append(args, o.cost, o.ahead)
	case opArrive:
		return append(args, id(), o.cost, ago()-1, flag(o.ended))
	case opEnd:
		return append(args, id(), o.cost)
	case opRenew:
		return append(args, id(), o.cost, flag(o.ended))
	case opPark:
		wait := int64(0)
		if !o.until.IsZero() {
			wait = max(1, min(o.until.Sub(now), maxDuration).Microseconds())
		}
		return append(args, wait)
	case opObserve:
		reset := int64(-1)
		if !o.until.IsZero() {
			reset = max(0, o.until.Sub(now).Microseconds()+1)
		}
		return append(args, o.tier, o.seen.Limit, o.seen.Remaining, ago(), reset)
	}
	return args
}

// answers is how many numbers the script answers.
func (o *op) answers(tiers int) int {
	switch o.kind {
	case opTake, opAsk:
		return 3
	case opUsage:
		return 2 + 2*tiers
	}
	return 0
}

// do does an operation and waits for its answer.
func (q *Quota) do(ctx context.Context, key string, o *op) error {
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return unavailable(ErrClosed, 0)
	case !q.since.IsZero():
		err := q.awayError()
		q.mu.Unlock()
		return err
	}
	if o.kind == opTake {
		q.last++
		o.id = q.last
	}
	o.done = make(chan struct{})
	q.push(key, o)
	q.mu.Unlock()
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-o.done: // just now
		if o.err == nil && o.kind == opTake && o.answer[0] == 1 {
			delete(q.flights, o.id)
			q.push(key, &op{kind: opEnd, id: o.id, cost: o.cost})
		}
	default:
		o.left = true
	}
	return context.Cause(ctx)
}

// push appends an operation to those of its key and sees to it that they are done. q is locked.
func (q *Quota) push(name string, o *op) {
	k := q.keys[name]
	if k == nil {
		if q.closed {
			return // its lease ends
		}
		k = &key{name: name}
		q.keys[name] = k
	}
	if len(k.ops) >= maxPending && o.done == nil {
		// Redis is away. Nothing is forgotten that was spent: what is left out is charged at the end of its lease.
		if last := k.ops[len(k.ops)-1]; o.kind == opArrive && last.kind == opArrive {
			last.cost += o.cost
			if o.at.After(last.at) {
				last.at = o.at
			}
			return
		}
		if o.kind != opArrive && o.kind != opPark {
			return
		}
	}
	k.ops = append(k.ops, o)
	q.start(k)
}

// start does the operations of a key unless that is being done, or cannot be. q is locked.
func (q *Quota) start(k *key) {
	if !k.running && len(k.ops) > 0 && q.since.IsZero() && !q.closed {
		k.running = true
		q.wg.Go(func() { q.run(k) })
	}
}

// run does the operations of a key until there are none.
func (q *Quota) run(k *key) {
	n := shardOf(k.name)
	names := q.names(n, k.name)
	for {
		q.mu.Lock()
		if len(k.ops) == 0 || !q.since.IsZero() {
			k.running = false
			if len(k.ops) == 0 {
				delete(q.keys, k.name)
			}
			q.mu.Unlock()
			return
		}
		batch := k.ops[:min(len(k.ops), maxBatch):min(len(k.ops), maxBatch)]
		k.ops = k.ops[len(batch):]
		args := q.args(n, false)
		q.mu.Unlock()

		now, want := time.Now(), 3
		for _, o := range batch {
			args = o.append(args, q.nonce, now)
			want += o.answers(len(q.tiers))
		}
		ctx, cancel := context.WithTimeout(q.ctx, q.o.Timeout)
		got, err := script.Run(ctx, q.client, names, args...).Int64Slice()
		cancel()
		switch {
		case err != nil:
		case len(got) == 1:
			err = ErrTiers
		case len(got) != want:
			err = fmt.Errorf("the script answered %d numbers, want %d", len(got), want)
		}
		var tell []Event
		q.mu.Lock()
		if err != nil {
			tell = q.failed(k, n, batch, err)
		} else {
			tell = q.deliver(k, n, batch, got)
		}
		q.mu.Unlock()
		q.tell(tell)
	}
}

// deliver hands out the answers. q is locked.
func (q *Quota) deliver(k *key, n int, batch []*op, got []int64) (tell []Event) {
	s := &q.shards[n]
	first := s.seen == 0
	epoch, now := got[1], got[2]
	s.seen = max(s.seen, got[0])
	if epoch != s.epoch {
		s.epoch = epoch
		// What is in flight is not known to a Redis that lost it.
		q.renew(func(key string) bool { return shardOf(key) == n })
		over := time.Duration(epoch-now)*time.Microsecond + q.window + q.o.Lease
		if over > 0 || !first {
			tell = append(tell, Event{Kind: Lost, Shard: n, At: time.Now(), Until: time.Now().Add(over)})
		}
	}
	got = got[3:]
	for _, o := range batch {
		m := o.answers(len(q.tiers))
		o.answer, got = got[:m:m], got[m:]
		if o.kind == opTake && o.answer[0] == 1 {
			if o.left {
				q.push(k.name, &op{kind: opEnd, id: o.id, cost: o.cost})
			} else {
				q.flights[o.id] = &flight{key: k.name, cost: o.cost, since: time.Now()}
			}
		}
		if o.done != nil {
			close(o.done)
		}
	}
	return tell
}

// failed takes up a batch again of which nobody knows whether it was done. Everything that is done again is harmless, or charges
// once more. q is locked.
func (q *Quota) failed(k *key, n int, batch []*op, err error) (tell []Event) {
	tell = q.leave(n, err)
	var again []*op
	for _, o := range batch {
		switch o.kind {
		case opTake:
			again = append(again, &op{kind: opEnd, id: o.id, cost: o.cost})
		case opArrive, opEnd:
			again = append(again, o)
		}
		if o.done != nil {
			o.err = q.awayError()
			close(o.done)
		}
	}
	k.ops = append(again, k.ops...)
	// Those behind would wait for a Redis that is away.
	kept := k.ops[:0]
	for _, o := range k.ops {
		if o.done != nil {
			o.err = q.awayError()
			close(o.done)
			continue
		}
		kept = append(kept, o)
	}
	k.ops = kept
	return tell
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
			q.mu.Lock()
			q.renew(func(string) bool { return true })
			q.mu.Unlock()
		}
	}
}

// renew renews the leases of what is in flight for the keys. q is locked.
func (q *Quota) renew(which func(key string) bool) {
	if !q.since.IsZero() {
		return
	}
	for id, f := range q.flights {
		if (!f.arrived || q.flying) && which(f.key) {
			q.push(f.key, &op{kind: opRenew, id: id, cost: f.cost, ended: f.arrived})
		}
	}
}

// poll is when to ask again for room that a request in flight gives back: a quarter of how long they usually take, and a bit, so that
// processes do not ask in step.
func (q *Quota) poll() time.Duration {
	q.mu.Lock()
	d := q.hold / 4
	q.mu.Unlock()
	d = min(max(d, 5*time.Millisecond), 250*time.Millisecond)
	return d + rand.N(d/4)
}

// Close tells Redis what is still to be told, for twice the Timeout at most, and ends all goroutines. Release all permits before:
// what is in flight is charged when its lease ends. The client stays open.
func (q *Quota) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	close(q.stop)
	q.mu.Unlock()
	give := time.AfterFunc(2*q.o.Timeout, q.cancel)
	q.wg.Wait()
	give.Stop()
	q.cancel()
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.keys); n > 0 {
		return fmt.Errorf("%w: what was spent on %d keys is charged when its leases end", ErrAway, n)
	}
	return nil
}
