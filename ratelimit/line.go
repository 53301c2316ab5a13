package ratelimit

import (
	"container/heap"
	"math"
)

// line is who waits for a key: by priority; within a priority by turns of the tenants, start-time fair queueing by cost and
// weight; and within a tenant in the order of coming. Coming, leaving and asking who is next take time that
// grows with the logarithm of the tenants that wait, and not with the callers.
type line struct {
	first   *waiter  // whose turn it is
	classes []*class // of those priorities that somebody waits with, most urgent first
	cost    int64    // of all
	count   int
}

// class is who waits with one priority.
type class struct {
	priority Priority
	cost     int64
	oldest   *waiter
	newest   *waiter

	flows  map[string]*flow // by tenant
	turns  flowHeap         // those that wait, whose turn it is first
	weight float64          // of those that wait
	// clock is the virtual time: what a tenant of weight 1 would have got by now, had it waited all along.
	clock   float64
	arrived uint64
}

// flow is who waits for one tenant. It outlives the last waiter until its share is used up, or who comes back at once would
// have a turn again.
type flow struct {
	tenant      string
	weight      float64
	start       float64 // when its next turn is, on the class's clock
	seq         uint64  // orders equal starts
	at          int     // index in turns; -1 when nobody waits
	cost        int64
	first, last *waiter
}

// waiter is a caller in line.
type waiter struct {
	next, prev   *waiter // in its class, by coming
	after, ahead *waiter // in its flow
	class        *class  // nil: not in line
	flow         *flow
	born         uint64 // orders all that wait, by coming
	priority     Priority
	moved        bool // has been in another line
	cost         int64
	limit        int64           // when it must have been admitted; math.MaxInt64 for no limit
	wake         chan struct{}   // holds one
	open         bool            // waits for a request in flight
	early        <-chan struct{} // of the Quota's last refusal; nil: none
	out          error           // set when it was taken out of line: refused
	at           int64           // of such a refusal
}

// place is a turn that a caller had in line when it was turned down elsewhere; the zero place is none.
type place struct {
	class *class
	start float64
}

// senior reports that w goes before other where the two want the same of several lines.
func (w *waiter) senior(other *waiter) bool {
	return w.priority > other.priority || w.priority == other.priority && w.born < other.born
}

func (w *waiter) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// class returns the waiters of a priority, nil if there are none, and the index where they are or would be.
func (q *line) class(p Priority) (*class, int) {
	for i, c := range q.classes {
		if c.priority <= p {
			if c.priority == p {
				return c, i
			}
			return nil, i
		}
	}
	return nil, len(q.classes)
}

// push puts w at the end of its tenant's part of the line, or where it belongs if it comes from another line; p is its place there.
func (q *line) push(w *waiter, p place, tenant string, weight int) {
	c, i := q.class(w.priority)
	if c == nil {
		c = &class{priority: w.priority, flows: make(map[string]*flow)}
		q.classes = append(q.classes, nil)
		copy(q.classes[i+1:], q.classes[i:])
		q.classes[i] = c
	}
	f := c.flows[tenant]
	if f == nil {
		f = &flow{tenant: tenant, at: -1}
		c.flows[tenant] = f
	}
	if f.at >= 0 {
		c.weight -= f.weight
	}
	f.weight = float64(max(1, weight))
	c.weight += f.weight
	w.class, w.flow = c, f
	before, own := c.newest, f.last
	if w.moved { // it is among the oldest
		before, own = nil, nil
		for o := c.oldest; o != nil && o.born < w.born; o = o.next {
			before = o
		}
		for o := f.first; o != nil && o.born < w.born; o = o.after {
			own = o
		}
	}
	if w.prev, w.next = before, c.oldest; before != nil {
		w.next = before.next
	}
	*link(w.prev, &c.oldest, func(o *waiter) **waiter { return &o.next }) = w
	*link(w.next, &c.newest, func(o *waiter) **waiter { return &o.prev }) = w
	if w.ahead, w.after = own, f.first; own != nil {
		w.after = own.after
	}
	*link(w.ahead, &f.first, func(o *waiter) **waiter { return &o.after }) = w
	*link(w.after, &f.last, func(o *waiter) **waiter { return &o.ahead }) = w
	for _, sum := range []*int64{&q.cost, &c.cost, &f.cost} {
		*sum += w.cost
	}
	q.count++
	if f.at < 0 {
		f.start = max(f.start, c.since(f, p))
		c.arrived++
		f.seq = c.arrived
		heap.Push(&c.turns, f)
	}
	q.head()
}

// since is the start of the next turn of a tenant for whom nobody else waits: now, or if its caller was here before its turn then, but
// no more than one turn ago, or time that a tenant waits for something else would give it several at once.
func (c *class) since(f *flow, p place) float64 {
	if p.class == c {
		return max(p.start, c.clock-1/f.weight)
	}
	return c.clock
}

// remove takes w out of line, admitted or not, and reports whether it is somebody else's turn now.
func (q *line) remove(w *waiter, admitted bool) bool {
	c, f := w.class, w.flow
	if admitted {
		c.tick(w)
		f.start += float64(w.cost) / f.weight
		c.arrived++
		f.seq = c.arrived
	}
	*link(w.prev, &c.oldest, func(o *waiter) **waiter { return &o.next }) = w.next
	*link(w.next, &c.newest, func(o *waiter) **waiter { return &o.prev }) = w.prev
	*link(w.ahead, &f.first, func(o *waiter) **waiter { return &o.after }) = w.after
	*link(w.after, &f.last, func(o *waiter) **waiter { return &o.ahead }) = w.ahead
	w.next, w.prev, w.after, w.ahead, w.class, w.flow = nil, nil, nil, nil, nil, nil
	for _, sum := range []*int64{&q.cost, &c.cost, &f.cost} {
		*sum -= w.cost
	}
	q.count--
	switch {
	case f.first != nil:
		heap.Fix(&c.turns, f.at)
	default:
		heap.Remove(&c.turns, f.at)
		c.weight -= f.weight
		c.forget(f)
	}
	if len(c.turns) == 0 {
		_, i := q.class(c.priority)
		q.classes = append(q.classes[:i], q.classes[i+1:]...)
	}
	before := q.first
	q.head()
	return q.first != before
}

// tick moves the clock on for a call that is admitted. With a Quota it may be one whose turn it is not: then the clock stays with those whose
// turn it is, or whoever comes back would find it ahead of them, and lose what they have before it.
func (c *class) tick(w *waiter) {
	next := c.turns[0]
	turn := next.first.cost
	if next == w.flow {
		turn = w.cost
	}
	now := min(c.clock+float64(w.cost)/c.weight, next.start+float64(turn)/next.weight)
	c.clock = max(c.clock, next.start, now)
}

// link is where a neighbour holds its link, or the end of the list does.
func link(neighbour *waiter, end **waiter, of func(*waiter) **waiter) **waiter {
	if neighbour == nil {
		return end
	}
	return of(neighbour)
}

// forget drops a tenant for whom nobody waits, if it makes no difference, and one or two others that were kept.
func (c *class) forget(f *flow) {
	if c.even(f) {
		delete(c.flows, f.tenant)
	}
	looks := 2
	for name, other := range c.flows {
		if other.at < 0 && c.even(other) {
			delete(c.flows, name)
		}
		if looks--; looks == 0 {
			return
		}
	}
}

// even reports that a tenant for whom nobody waits has used up its share, and may be forgotten.
func (c *class) even(f *flow) bool { return f.start <= c.clock-1/f.weight }

// head settles whose turn it is.
func (q *line) head() {
	q.first = nil
	if len(q.classes) > 0 {
		q.first = q.classes[0].turns[0].first
	}
}

// before is about the cost of those who will have their turn before w.
func (q *line) before(w *waiter) int64 {
	if w == q.first {
		return 0
	}
	return q.urgent(w.class.priority) + w.class.upto(w.flow, w.cost, w.class.cost-w.cost, w.flow.cost-w.cost)
}

// position is about the cost of those who would have their turn before a newcomer.
func (q *line) position(p Priority, tenant string, weight int, cost int64) int64 {
	sum := q.urgent(p)
	c, _ := q.class(p)
	if c == nil {
		return sum
	}
	f := c.flows[tenant]
	if f == nil {
		f = &flow{weight: float64(max(1, weight)), at: -1}
	}
	return sum + c.upto(f, cost, c.cost, f.cost)
}

// passed is about the cost of those who would have their turn before w, which waits elsewhere and may have been here before.
func (q *line) passed(w *waiter, cost int64, at place, tenant string, weight int) int64 {
	sum := q.urgent(w.priority)
	c, _ := q.class(w.priority)
	if c == nil {
		return sum
	}
	f := c.flows[tenant]
	if f == nil {
		f = &flow{weight: float64(max(1, weight)), at: -1}
	}
	own := f.cost
	switch next := c.turns[0]; {
	case f.at >= 0 && w.born < f.first.born:
		if f == next {
			return sum
		}
		own = 0
	case f.at < 0 && max(f.start, c.since(f, at)) < next.start:
		return sum
	}
	return sum + c.upto(f, cost, c.cost, own)
}

// urgent is the cost of those with a higher priority.
func (q *line) urgent(p Priority) (sum int64) {
	for _, c := range q.classes {
		if c.priority <= p {
			break
		}
		sum += c.cost
	}
	return sum
}

// upto is about how much of what waits in the class comes before a call of the flow that has own before it in its flow: while
// the flow gets that and the call, each other gets as much by its weight, if it waits for so much, and first what the flow is ahead of its share.
func (c *class) upto(f *flow, cost, waits, own int64) int64 {
	others := c.weight
	if f.at >= 0 {
		others -= f.weight
	}
	turns := math.Ceil((float64(own)/f.weight + max(float64(cost)/f.weight, f.start-c.clock)) * others)
	return min(waits, own+int64(min(turns, maxRequests)))
}

// each calls f for everyone in line, who may be removed by it.
func (q *line) each(f func(w *waiter)) {
	var all []*waiter
	for _, c := range q.classes {
		for w := c.oldest; w != nil; w = w.next {
			all = append(all, w)
		}
	}
	for _, w := range all {
		f(w)
	}
}

// newest is the caller that came last of those with the lowest priority, if that is below p.
func (q *line) newest(p Priority) *waiter {
	if n := len(q.classes); n > 0 && q.classes[n-1].priority < p {
		return q.classes[n-1].newest
	}
	return nil
}

// flowHeap is a heap of flows, whose turn it is first.
type flowHeap []*flow

func (h flowHeap) Len() int { return len(h) }
func (h flowHeap) Less(i, j int) bool {
	if h[i].start != h[j].start {
		return h[i].start < h[j].start
	}
	return h[i].seq < h[j].seq
}
func (h flowHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements heap.Interface.
func (h *flowHeap) Push(x any) {
	f, ok := x.(*flow)
	if !ok {
		return
	}
	f.at = len(*h)
	*h = append(*h, f)
}

// Pop implements heap.Interface.
func (h *flowHeap) Pop() any {
	n := len(*h) - 1
	f := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	f.at = -1
	return f
}
