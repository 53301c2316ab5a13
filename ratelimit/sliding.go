package ratelimit

import "slices"

// Times in this package's engine are nanoseconds since the plan's epoch, on the monotonic clock.

// charge is cost counted by the partner at a time.
type charge struct {
	at, cost int64
}

// slidingLog is the exact record of a window: every charge, oldest first. Its buffer grows with what is spent.
type slidingLog struct {
	buf  []charge // a ring; its length is a power of two
	head int
	n    int
}

// exactLimit is the largest limit counted by a log; a larger one is counted by a ring.
const exactLimit = 256

func (l *slidingLog) entry(i int) *charge { return &l.buf[(l.head+i)&(len(l.buf)-1)] }

// expire drops what has left the window and returns its cost.
func (l *slidingLog) expire(now, per int64) (freed int64) {
	for l.n > 0 && l.buf[l.head].at+per <= now {
		freed += l.buf[l.head].cost
		l.head = (l.head + 1) & (len(l.buf) - 1)
		l.n--
	}
	return freed
}

// add puts a charge in its place. Charges come nearly in order.
func (l *slidingLog) add(at, cost int64) {
	if l.n == len(l.buf) {
		if l.n >= 2*exactLimit {
			l.merge()
		} else {
			l.grow()
		}
	}
	i := l.n
	for ; i > 0 && l.entry(i-1).at > at; i-- {
		*l.entry(i) = *l.entry(i - 1)
	}
	*l.entry(i) = charge{at, cost}
	l.n++
}

func (l *slidingLog) grow() {
	buf := make([]charge, max(8, 2*len(l.buf)))
	for i := range l.n {
		buf[i] = *l.entry(i)
	}
	l.buf, l.head = buf, 0
}

// merge counts the oldest charge as if it were as late as the second oldest. It keeps a log bounded whose limit was
// exceeded by what the partner reported.
func (l *slidingLog) merge() {
	l.entry(1).cost += l.entry(0).cost
	l.head = (l.head + 1) & (len(l.buf) - 1)
	l.n--
}

// freed returns when need of the cost has left the window. It reports how much is missing if all of it is not enough.
func (l *slidingLog) freed(need, per int64) (at, missing int64) {
	for i := 0; i < l.n && need > 0; i++ {
		e := l.entry(i)
		need -= e.cost
		at = e.at + per
	}
	return at, max(need, 0)
}

// ringSize is the number of sub-windows that a window is cut into, and the one that is being filled; coarseSize while little is spent.
const (
	ringSize   = 64 + 1
	coarseSize = 2 + 1
)

// littleShare: of a tier of which less than one in so many is spent it is enough to know in which half of a window that was.
const littleShare = 16

// slidingRing counts a window in sub-windows, each charged until its end has left the window: never too little, and
// too much by at most one sub-window. It begins with halves of a window, which take little memory, and is refined when that matters.
type slidingRing struct {
	start int64             // when the sub-window began that is being filled
	few   [coarseSize]int64 // the last sub-windows
	all   *[ringSize]int64  // instead, once it is refined
	cur   uint8             // the sub-window that is being filled
}

// counts are the sub-windows.
func (r *slidingRing) counts() []int64 {
	if r.all != nil {
		return r.all[:]
	}
	return r.few[:]
}

// sub is the length of a sub-window.
func (r *slidingRing) sub(s *spec) int64 {
	if r.all != nil {
		return s.fine
	}
	return s.half
}

// expire moves on to the sub-window of now and returns the cost of those that have left.
func (r *slidingRing) expire(s *spec, now int64) (freed int64) {
	sub := r.sub(s)
	if now-r.start < sub {
		return 0
	}
	steps := (now - r.start) / sub
	r.start += steps * sub
	counts := r.counts()
	next := int(r.cur)
	for range min(steps, int64(len(counts))) {
		if next++; next == len(counts) {
			next = 0
		}
		freed += counts[next]
		counts[next] = 0
	}
	r.cur = uint8(next)
	return freed
}

// refine cuts the window into more sub-windows. What is counted already is taken as counted at the end of its half: the one that is being
// filled goes on until then.
func (r *slidingRing) refine(s *spec) {
	coarse := *r
	*r = slidingRing{start: coarse.start + s.half - s.fine, all: new([ringSize]int64)}
	coarse.each(s, func(last, cost int64) bool {
		r.add(s, last, cost)
		return true
	})
}

// add counts a charge. at is not later than the sub-window being filled; what is older than all of them is put with the oldest.
func (r *slidingRing) add(s *spec, at, cost int64) {
	counts, age := r.counts(), int64(0)
	if at < r.start {
		sub := r.sub(s)
		age = min((r.start-at+sub-1)/sub, int64(len(counts)-1))
	}
	i := int(r.cur) - int(age)
	if i < 0 {
		i += len(counts)
	}
	counts[i] += cost
}

// each calls f for every sub-window that holds something, oldest first, with the time at which its charges are counted at the
// latest, until f returns false.
func (r *slidingRing) each(s *spec, f func(last, cost int64) bool) {
	counts, sub := r.counts(), r.sub(s)
	for age := len(counts) - 1; age >= 0; age-- {
		i := int(r.cur) - age
		if i < 0 {
			i += len(counts)
		}
		if n := counts[i]; n != 0 && !f(r.start-int64(age-1)*sub-1, n) {
			return
		}
	}
}

// freed is slidingLog's.
func (r *slidingRing) freed(s *spec, need int64) (at, missing int64) {
	stay := r.sub(s) * int64(len(r.counts())-1)
	r.each(s, func(last, cost int64) bool {
		need -= cost
		at = last + 1 + stay
		return need > 0
	})
	return at, max(need, 0)
}

// insert keeps charges ordered by time.
func insert(cs []charge, c charge) []charge {
	i := len(cs)
	for i > 0 && cs[i-1].at > c.at {
		i--
	}
	return slices.Insert(cs, i, c)
}
