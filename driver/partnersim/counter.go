package partnersim

import "time"

// sliding is an exact sliding window: of every half-open window of length per, wherever it starts, no more than limit
// arrivals are taken. It keeps the time of each arrival that is still in the window.
type sliding struct {
	limit int
	per   time.Duration
	taken ring // arrivals that counted
	all   ring // arrivals, refused ones included; as many as worst needs to tell how bad it was
	worst int64

	n           int64
	first, last time.Duration
	headN       int64         // arrivals of the first window
	headSum     time.Duration // the sum of a-first over them
}

func (s *sliding) room(now time.Duration) (bool, time.Duration) {
	s.taken.drop(now - s.per)
	if s.taken.n < s.limit {
		return true, now
	}
	return false, s.taken.at(s.taken.n-s.limit) + s.per
}

func (s *sliding) seen(now time.Duration) {
	s.all.drop(now - s.per)
	if s.all.n >= 2*s.limit+64 {
		s.all.pop()
	}
	s.all.push(now)
	s.worst = max(s.worst, int64(s.all.n))
}

func (s *sliding) take(now time.Duration) {
	s.taken.push(now)
	if s.n == 0 {
		s.first = now
	}
	s.n++
	s.last = now
	if now < s.first+s.per {
		s.headN++
		s.headSum += now - s.first
	}
}

func (s *sliding) leave(time.Duration) {}

func (s *sliding) counted() int64 { return s.n }

func (s *sliding) count(now time.Duration) (int64, time.Duration) {
	s.taken.drop(now - s.per)
	if s.taken.n == 0 {
		return int64(s.limit), now
	}
	return int64(s.limit - s.taken.n), s.taken.at(s.taken.n-1) + s.per
}

// use returns as the share the mean number of arrivals in the window, divided by the limit: the mean over all windows
// that end between one window after the first arrival and the last arrival. The share of a shorter run is its worst
// window's.
//
// The sum over the windows is per for each arrival, less what lies outside: an arrival a of the first window counts
// a-first, and one of the last window only until the last arrival.
func (s *sliding) use() (int64, float64) {
	steady := s.last - s.first - s.per
	if steady <= 0 {
		return s.worst, float64(min(s.worst, int64(s.limit))) / float64(s.limit)
	}
	total := float64(s.n-s.headN)*float64(s.per) + float64(s.headSum)
	for i := range s.taken.n {
		a := s.taken.at(i)
		if a+s.per <= s.last {
			continue
		}
		if a < s.first+s.per {
			total += float64(steady) - float64(a-s.first)
		} else {
			total += float64(s.last-a) - float64(s.per)
		}
	}
	return s.worst, total / float64(steady) / float64(s.limit)
}

// fixed counts in windows aligned to multiples of per since the server's start.
type fixed struct {
	limit       int64
	per         time.Duration
	window      time.Duration // start of the current window
	taken, all  int64
	worst       int64
	n           int64
	first, last time.Duration
}

func (f *fixed) turn(now time.Duration) {
	if w := now - now%f.per; w != f.window {
		f.window, f.taken, f.all = w, 0, 0
	}
}

func (f *fixed) room(now time.Duration) (bool, time.Duration) {
	f.turn(now)
	return f.taken < f.limit, f.window + f.per
}

func (f *fixed) seen(now time.Duration) {
	f.turn(now)
	f.all++
	f.worst = max(f.worst, f.all)
}

func (f *fixed) take(now time.Duration) {
	f.taken++
	if f.n == 0 {
		f.first = f.window
	}
	f.n++
	f.last = now
}

func (f *fixed) leave(time.Duration) {}

func (f *fixed) counted() int64 { return f.n }

func (f *fixed) count(now time.Duration) (int64, time.Duration) {
	f.turn(now)
	return f.limit - f.taken, f.window + f.per
}

// use returns as the share what was counted, divided by what the windows from the first to the last arrival hold.
func (f *fixed) use() (int64, float64) {
	windows := int64((f.last-f.first)/f.per) + 1
	return f.worst, float64(f.n) / float64(windows*f.limit)
}

// inFlight counts requests from their arrival until their answer is written.
type inFlight struct {
	limit       int64
	open, worst int64
	n           int64
	first, last time.Duration
	began       bool
	sum         float64 // of open over time, until last
}

func (c *inFlight) advance(now time.Duration) {
	if !c.began {
		c.began, c.first, c.last = true, now, now
	}
	c.sum += float64(c.open) * float64(now-c.last)
	c.last = now
}

func (c *inFlight) room(now time.Duration) (bool, time.Duration) { return c.open < c.limit, now }

func (c *inFlight) seen(now time.Duration) {
	c.advance(now)
	c.worst = max(c.worst, c.open+1)
}

func (c *inFlight) take(time.Duration) {
	c.open++
	c.n++
}

func (c *inFlight) counted() int64 { return c.n }

func (c *inFlight) leave(now time.Duration) {
	c.advance(now)
	c.open--
}

func (c *inFlight) count(now time.Duration) (int64, time.Duration) { return c.limit - c.open, now }

// use returns as the share the mean number in flight from the first arrival on, divided by the limit.
func (c *inFlight) use() (int64, float64) {
	if c.last == c.first {
		return c.worst, float64(min(c.worst, c.limit)) / float64(c.limit)
	}
	return c.worst, c.sum / float64(c.last-c.first) / float64(c.limit)
}

// ring is a queue of times that reuses its memory.
type ring struct {
	buf     []time.Duration
	head, n int
}

func (r *ring) push(t time.Duration) {
	if r.n == len(r.buf) {
		grown := make([]time.Duration, max(16, 2*len(r.buf)))
		for i := range r.n {
			grown[i] = r.at(i)
		}
		r.buf, r.head = grown, 0
	}
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = t
	r.n++
}

func (r *ring) pop() {
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
}

// at returns the i-th oldest.
func (r *ring) at(i int) time.Duration { return r.buf[(r.head+i)&(len(r.buf)-1)] }

// drop removes the times up to and including until.
func (r *ring) drop(until time.Duration) {
	for r.n > 0 && r.buf[r.head] <= until {
		r.pop()
	}
}
