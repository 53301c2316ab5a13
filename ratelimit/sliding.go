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

// ringSize is the number of sub-windows that a window is cut into, and the one that is being filled.
const ringSize = 64 + 1

// slidingRing counts a window in sub-windows, each charged until its end has left the window: never too little, and
// too much by at most one sub-window. Its methods are told how long a sub-window is.
type slidingRing struct {
	start int64            // when the sub-window began that is being filled
	few   [fewSubs]int64   // the last sub-windows, while they are all that is needed
	all   *[ringSize]int64 // else
	cur   uint8            // the sub-window that is being filled
}

// fewSubs is how many sub-windows a ring begins with: enough for a key that is used seldom, or in bursts.
const fewSubs = 3

// counts are the sub-windows.
func (r *slidingRing) counts() []int64 {
	if r.all != nil {
		return r.all[:]
	}
	return r.few[:]
}

// expire moves on to the sub-window of now and returns the cost of those that have left.
func (r *slidingRing) expire(now, sub int64) (freed int64) {
	if now-r.start < sub {
		return 0
	}
	return r.move((now-r.start)/sub, sub)
}

// move moves on by sub-windows.
func (r *slidingRing) move(steps, sub int64) (freed int64) {
	r.start += steps * sub
	counts := r.counts()
	if steps >= ringSize {
		for i, n := range counts {
			freed += n
			counts[i] = 0
		}
		return freed
	}
	for range steps {
		next := int(r.cur) + 1
		if next == len(counts) {
			next = 0
		}
		if counts[next] != 0 && r.all == nil { // it is still in the window
			r.grow()
			counts, next = r.all[:], 0
		}
		r.cur = uint8(next)
		freed += counts[next]
		counts[next] = 0
	}
	return freed
}

// grow makes room for all sub-windows; the one that is being filled becomes the last.
func (r *slidingRing) grow() {
	all := new([ringSize]int64)
	n := copy(all[ringSize-fewSubs:], r.few[r.cur+1:])
	copy(all[ringSize-fewSubs+n:], r.few[:r.cur+1])
	r.all, r.cur = all, ringSize-1
}

// add counts a charge and reports whether it is still in the window. at is not later than the sub-window being filled.
func (r *slidingRing) add(at, cost, sub int64) bool {
	age := int64(0)
	if at < r.start {
		if age = (r.start - at + sub - 1) / sub; age >= ringSize {
			return false
		}
		if age >= fewSubs && r.all == nil {
			r.grow()
		}
	}
	counts := r.counts()
	i := int(r.cur) - int(age)
	if i < 0 {
		i += len(counts)
	}
	counts[i] += cost
	return true
}

// each calls f for every sub-window that holds something, oldest first, with the time at which its charges are counted at the
// latest, until f returns false.
func (r *slidingRing) each(sub int64, f func(last, cost int64) bool) {
	counts := r.counts()
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
func (r *slidingRing) freed(need, sub int64) (at, missing int64) {
	r.each(sub, func(last, cost int64) bool {
		need -= cost
		at = last + 1 + (ringSize-1)*sub
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
