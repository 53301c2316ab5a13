package redisstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// batch is what one call of the script does.
type batch struct {
	parts  []*part // by quota and shard
	joints []*joint
	fresh  bool // by Begin
	ops    int
}

// part is what a batch says of one key, or of a shard alone.
type part struct {
	q     *Quota
	shard int
	seen  int64 // of the shard

	key         *key // nil: the shard alone
	number      int64
	held, count int64
	arrivals    []arrival
	ops         []*op
	listens     bool
	index       int // among the keys of the batch, from 1
}

// run sends batches until there is nothing to send.
func (l *lane) run() {
	h := l.h
	for {
		runtime.Gosched() // those who were answered may ask again: their questions travel together
		h.mu.Lock()
		b := l.gather()
		if b == nil {
			l.running = false
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		got, err := h.send(h.ctx, l.timeout, b)
		h.mu.Lock()
		told := h.deliver(b, got, err)
		h.mu.Unlock()
		for _, t := range told {
			t.q.tell(t.events)
		}
	}
}

// gather takes the operations that go next; nil if there are none. h is locked.
func (l *lane) gather() *batch {
	b := &batch{}
	n := 0
	for ; n < len(l.ready) && b.ops < maxOps; n++ {
		k := l.ready[n]
		k.queued = false
		if !k.q.dead && k.q.since.IsZero() && !k.busy && !k.idle() {
			b.add(k)
		}
	}
	l.ready = append(l.ready[:0], l.ready[n:]...)
	n = 0
	for ; n < len(l.joints) && b.ops < maxOps; n++ {
		j := l.joints[n]
		if err := j.shut(); err != nil {
			j.finish(err)
			continue
		}
		b.joints = append(b.joints, j)
		b.ops += len(j.keys)
		for i, k := range j.keys {
			if !k.busy {
				b.add(k)
			}
			if k.q.listening {
				k.listen()
				j.early[i] = k.early
			}
		}
	}
	l.joints = slices.Clone(l.joints[n:]) // the rest goes with the next
	if len(b.parts) == 0 {
		return nil
	}
	slices.SortFunc(b.parts, func(x, y *part) int {
		return cmp.Or(cmp.Compare(x.q.order, y.q.order), cmp.Compare(x.shard, y.shard))
	})
	for i, p := range b.parts {
		p.index = i + 1
		p.key.part = p
	}
	return b
}

// add adds what there is to say of a key.
func (b *batch) add(k *key) {
	h := k.q.h
	h.number++
	n := min(len(k.ops), maxOps)
	p := &part{
		q: k.q, shard: k.shard, seen: k.q.shards[k.shard].seen,
		key: k, number: h.number, held: k.held, count: k.count, arrivals: k.arrivals, ops: k.ops[:n:n], listens: k.q.listening,
	}
	k.ops, k.arrivals, k.tell, k.busy = k.ops[n:], nil, false, true
	for _, o := range p.ops {
		if o.kind == opTake && p.listens {
			k.listen()
			o.early = k.early
		}
	}
	b.parts = append(b.parts, p)
	b.ops += 1 + n
}

// sections calls f for each run of parts of one shard.
func (b *batch) sections(f func(parts []*part)) {
	for from, i := 0, 1; i <= len(b.parts); i++ {
		if i == len(b.parts) || b.parts[i].q != b.parts[from].q || b.parts[i].shard != b.parts[from].shard {
			f(b.parts[from:i])
			from = i
		}
	}
}

// send calls the script.
func (h *hub) send(ctx context.Context, timeout time.Duration, b *batch) ([]byte, error) {
	keys, args := b.encode(h, time.Now())
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	got, err := script.Run(ctx, h.client, keys, args...).Text()
	return []byte(got), err
}

// encode returns the keys and arguments of the script. Times are told by how long ago they were, as late as they can have been.
func (b *batch) encode(h *hub, now time.Time) (keys []string, args []any) {
	buf := make([]byte, 0, 512+96*len(b.parts)+32*b.ops)
	num := func(ns ...int64) {
		for _, n := range ns {
			buf = binary.LittleEndian.AppendUint64(buf, uint64(n))
		}
	}
	set := func(at int, n int64) { binary.LittleEndian.PutUint64(buf[at:], uint64(n)) }
	args = append(args, nil)
	quotas, sections, last := int64(0), int64(0), (*Quota)(nil)
	num(0)
	b.sections(func(parts []*part) {
		q := parts[0].q
		if sections++; q == last {
			return
		}
		last = q
		quotas++
		num(q.o.Lease.Microseconds(), flag(parts[0].listens), int64(len(q.tiers)))
		num(q.header...)
		args = append(args, q.print, q.nonce, q.channel(""))
	})
	set(0, quotas)
	num(sections)
	quotas, last = 0, nil
	keys = make([]string, 0, int(sections)+len(b.parts))
	b.sections(func(parts []*part) {
		q := parts[0].q
		if q != last {
			last = q
			quotas++
		}
		keys = append(keys, q.epochKey(parts[0].shard))
		n := len(parts)
		if parts[0].key == nil {
			n = 0
		}
		num(quotas, parts[0].seen, flag(b.fresh && parts[0].seen == 0), int64(n))
		for _, p := range parts[:n] {
			keys = append(keys, p.key.redis)
			at := len(buf)
			num(0, p.number, p.held, p.count, int64(len(p.arrivals)))
			for _, a := range p.arrivals {
				num(a.cost, now.Sub(a.at).Microseconds()-1)
			}
			for _, o := range p.ops {
				num(o.kind)
				switch o.kind {
				case opTake, opAsk:
					num(o.cost, o.ahead)
				case opPark:
					wait := int64(0)
					if !o.until.IsZero() {
						wait = max(1, min(o.until.Sub(now), maxDuration).Microseconds())
					}
					num(wait)
				case opObserve:
					reset := int64(-1)
					if !o.until.IsZero() {
						reset = max(0, o.until.Sub(now).Microseconds()+1)
					}
					num(int64(o.tier), o.seen.Limit, o.seen.Remaining, now.Sub(o.sent).Microseconds(), reset, o.flying)
				}
			}
			set(at, int64(len(buf)+1))
		}
	})
	num(int64(len(b.joints)))
	for _, j := range b.joints {
		num(int64(len(j.keys)))
		for i, k := range j.keys {
			num(int64(k.part.index), j.takes[i].Cost, j.takes[i].Ahead)
		}
	}
	args[0] = buf
	return keys, args
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// answers reads what the script answered.
type answers struct {
	b     []byte
	short bool
}

func (a *answers) num() int64 {
	if len(a.b) < 8 {
		a.short = true
		return 0
	}
	n := int64(binary.LittleEndian.Uint64(a.b))
	a.b = a.b[8:]
	return n
}

func (a *answers) nums(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = a.num()
	}
	return out
}

// grant reads the answer to a take or a question, of which it makes sure that it can be understood.
func (a *answers) grant(tiers int) []int64 {
	ns := a.nums(3)
	code, tier := ns[0], ns[2]
	if code < 0 || code > 4 || tier < 0 || tier > int64(tiers) || code == 4 && tier == 0 {
		a.short = true
	}
	return ns
}

// told is what a quota's host is to be told.
type told struct {
	q      *Quota
	events []Event
}

var (
	errAnswer = errors.New("the script answered what cannot be understood")
	errTwice  = errors.New("redisstore: what Redis answered was lost, twice")
)

// deliver hands the answers out. h is locked.
func (h *hub) deliver(b *batch, got []byte, err error) (tell []told) {
	now := time.Now()
	note := func(q *Quota, events []Event) {
		if len(events) > 0 {
			tell = append(tell, told{q, events})
		}
	}
	a := &answers{b: got}
	b.sections(func(parts []*part) {
		q, why := parts[0].q, err
		if why == nil && a.num() != 0 {
			if why = errAnswer; !a.short {
				why = ErrTiers
			}
		}
		if why == nil {
			note(q, q.section(parts[0].shard, a.num(), a.num(), a.num()))
		}
		for _, p := range parts {
			if p.key == nil {
				continue
			}
			if why == nil && a.short {
				why = errAnswer
			}
			p.key.busy = false
			if why == nil {
				p.deliver(a, now)
			}
			if why == nil && a.short {
				why = errAnswer
			}
			if why != nil {
				note(q, q.failed(p, why))
			}
			p.key.enqueue(true)
			p.key.drop(now)
		}
	})
	for _, j := range b.joints {
		j.deliver(a, err, now)
	}
	for _, p := range b.parts {
		p.q.drained()
	}
	return tell
}

// section takes up what was answered of a shard. h is locked.
func (q *Quota) section(n int, seen, epoch, now int64) (tell []Event) {
	s := &q.shards[n]
	first := s.seen == 0
	s.seen = max(s.seen, seen)
	if epoch == s.epoch {
		return nil
	}
	s.epoch = epoch
	// What is in flight is not known to a Redis that lost it.
	q.renew(func(k *key) bool { return k.shard == n })
	over := time.Duration(epoch-now)*time.Microsecond + q.window + q.o.Lease
	if over > 0 || !first {
		tell = append(tell, Event{Kind: Lost, Shard: n, At: time.Now(), Until: time.Now().Add(over)})
	}
	return tell
}

// deliver hands the answers of a key out. h is locked.
func (p *part) deliver(a *answers, now time.Time) {
	k := p.key
	if a.num() != 0 { // it was done before: the client sent it twice, and the first answer was lost
		k.tell = true
		var again []*op
		for _, o := range p.ops {
			switch {
			case o.kind == opPark || o.kind == opObserve:
				o.finish(nil)
			case o.again:
				o.finish(unavailable(errTwice, time.Second))
			default:
				o.again = true
				again = append(again, o)
			}
		}
		k.ops = append(again, k.ops...)
		return
	}
	for i, o := range p.ops {
		o.at = now
		switch o.kind {
		case opTake, opAsk:
			o.answer = a.grant(len(p.q.tiers))
			a.short = a.short || o.answer[0] == 0
		case opUsage:
			o.answer = a.nums(2 + 2*len(p.q.tiers))
		}
		if a.short {
			p.ops = p.ops[i:]
			return
		}
		if o.kind == opTake {
			switch o.answer[0] {
			case 1:
				if o.left {
					k.tell = true
				} else {
					p.q.begin(k, o.cost)
					o.id = p.q.last
				}
			case 2, 3:
				k.refused(time.Duration(o.answer[1])*time.Microsecond, now)
				if o.early == nil {
					o.early = k.early
				}
			}
		}
		o.finish(nil)
	}
}

// failed takes up what was said of a key again, of which nobody knows whether it was done. What is said again replaces what was
// said before; an arrival may be charged twice. h is locked.
func (q *Quota) failed(p *part, err error) (tell []Event) {
	tell = q.away(p.shard, err)
	k := p.key
	k.tell = true
	k.arrivals = append(p.arrivals, k.arrivals...)
	// Those behind would wait for a Redis that is away.
	var kept []*op
	for _, o := range append(p.ops, k.ops...) {
		switch {
		case o.done != nil:
			o.finish(q.awayError())
		case o.kind == opPark:
			kept = append(kept, o)
		}
	}
	k.ops = kept
	return tell
}

// shard asks for a shard alone.
func (q *Quota) askShard(ctx context.Context, n int, fresh bool) error {
	q.h.mu.Lock()
	b := &batch{parts: []*part{{q: q, shard: n, seen: q.shards[n].seen}}, fresh: fresh}
	q.h.mu.Unlock()
	got, err := q.h.send(ctx, q.o.Timeout, b)
	if err != nil {
		return err
	}
	a := &answers{b: got}
	switch code := a.num(); {
	case a.short:
		return errAnswer
	case code < 0:
		return ErrTiers
	case code > 0:
		return fmt.Errorf("the script answered %d", code)
	}
	return nil
}
