package main

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"time"
)

// What every limiter is set to, and what it meets.
const (
	limit   = 60
	window  = time.Minute
	callers = 90
	length  = 8 * time.Minute
)

// demand reports whether callers want to call: from shortly before a full minute on, with a pause after which it is the
// same again.
func demand(at time.Duration) (now bool, next time.Duration) {
	for _, d := range [][2]time.Duration{
		{55 * time.Second, 3 * time.Minute}, {4*time.Minute + 50*time.Second, 7 * time.Minute},
	} {
		if at < d[0] {
			return false, d[0]
		}
		if at < d[1] {
			return true, 0
		}
	}
	return false, length
}

// epoch is a full minute.
var epoch = time.Unix(1_800_000_000, 0)

// limiter is asked by the caller whose turn it is. It says when the request may be sent: now, or at a later time that
// is promised (firm), or that it is to be asked again then; the zero time: when the next answer is there.
type limiter interface {
	ask(now time.Time) (at time.Time, firm bool)
	// answered says that the id-th request was answered at now.
	answered(id int, now time.Time)
}

// run is what one limiter did.
type run struct {
	name, note string
	arrivals   []time.Duration // in order
	worst      int             // in any minute
}

// event is something that happens at a time; of those at one time, what was planned first.
type event struct {
	at  time.Duration
	seq int
	do  func()
}

type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push implements heap.Interface.
func (a *agenda) Push(x any) {
	if e, ok := x.(event); ok {
		*a = append(*a, e)
	}
}

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	e := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return e
}

// world is the callers, who wait in one line, and the partner.
type world struct {
	lim     limiter
	now     time.Duration
	agenda  agenda
	seq     int
	waiting int
	asking  time.Duration // when the first in line asks again; 0: it does not
	rng     *rand.Rand
	ids     int
	seen    []time.Duration
}

func (w *world) plan(at time.Duration, do func()) {
	w.seq++
	heap.Push(&w.agenda, event{max(at, w.now), w.seq, do})
}

// simulate runs the demand through a limiter and returns when requests arrived.
func simulate(lim limiter) []time.Duration {
	w := &world{lim: lim, rng: rand.New(rand.NewPCG(60, 60))}
	for range callers {
		w.call()
	}
	for len(w.agenda) > 0 {
		e, ok := heap.Pop(&w.agenda).(event)
		if !ok {
			break
		}
		w.now = e.at
		e.do()
	}
	slices.Sort(w.seen)
	return w.seen
}

// call has a caller join the line as soon as there is something to do.
func (w *world) call() {
	if wants, next := demand(w.now); wants {
		w.waiting++
		w.serve()
	} else if next < length {
		w.plan(next, w.call)
	}
}

// serve asks for those in line until one has to wait.
func (w *world) serve() {
	for w.waiting > 0 {
		if wants, _ := demand(w.now); !wants {
			for ; w.waiting > 0; w.waiting-- { // they come back when there is more
				w.plan(w.now, w.call)
			}
			return
		}
		at, firm := w.lim.ask(epoch.Add(w.now))
		when := at.Sub(epoch)
		switch {
		case firm:
			w.waiting--
			id := w.ids
			w.ids++
			w.plan(when, func() { w.send(id) })
			continue
		case !at.IsZero() && (w.asking <= w.now || when < w.asking):
			w.asking = when
			w.plan(when, func() {
				w.asking = 0
				w.serve()
			})
		}
		return
	}
}

// send sends a request: it arrives anywhere on the way to its answer.
func (w *world) send(id int) {
	latency := 80*time.Millisecond + time.Duration(w.rng.Int64N(int64(400*time.Millisecond)))
	w.seen = append(w.seen, w.now+time.Duration(w.rng.Int64N(int64(latency))))
	w.plan(w.now+latency, func() {
		w.lim.answered(id, epoch.Add(w.now))
		w.call()
		w.serve()
	})
}

// worst is the most that arrived in any window, wherever it starts.
func worst(arrivals []time.Duration) (most int) {
	first := 0
	for i, at := range arrivals {
		for at-arrivals[first] >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
