package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	uber "go.uber.org/ratelimit"
	"golang.org/x/time/rate"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// runAll runs all limiters, each through the same demand.
func runAll() ([]run, error) {
	kit, err := newKit()
	if err != nil {
		return nil, err
	}
	var runs []run
	for _, l := range []struct {
		name, note string
		lim        limiter
	}{
		{"integrationkit", "sliding window from the answer on", kit},
		{"exact log", "sliding window from the send on", &sendLog{}},
		{"golang.org/x/time/rate", fmt.Sprintf("burst %d, the limit", limit), newBucket(limit)},
		{"golang.org/x/time/rate", "burst 1", newBucket(1)},
		{"go.uber.org/ratelimit", "as it comes: slack of 10", newUber()},
		{"GCRA, as in redis_rate", "the burst is the limit", &gcra{}},
		{"sliding counter", "two windows, weighted", &slidingCounter{}},
		{"fixed window", "aligned to the minute", &fixedWindow{}},
	} {
		arrivals := simulate(l.lim)
		runs = append(runs, run{l.name, l.note, arrivals, worst(arrivals)})
	}
	return runs, kit.err
}

// kit is the kit's Quota in memory, which takes the time as an argument.
type kit struct {
	q      *ratelimit.Memory
	grants []ratelimit.Grant // of the requests, by number
	err    error
}

func newKit() (*kit, error) {
	q, err := ratelimit.NewMemory(ratelimit.Tiers{{Requests: limit, Per: window}})
	return &kit{q: q}, err
}

func (k *kit) ask(now time.Time) (time.Time, bool) {
	g, err := k.q.Take(context.Background(), "", 1, 0, now)
	k.err = errors.Join(k.err, err)
	if g.OK {
		k.grants = append(k.grants, g)
		return now, true
	}
	return g.At, false
}

func (k *kit) answered(id int, now time.Time) {
	s := ratelimit.Settlement{Arrived: now, Release: true, Now: now}
	err := k.q.Settle(context.Background(), "", k.grants[id], s)
	k.err = errors.Join(k.err, err)
}

// unaware is of limiters that do not know of answers.
type unaware struct{}

func (unaware) answered(int, time.Time) {}

// sendLog is an exact sliding window of what was sent.
type sendLog struct {
	unaware
	sent []time.Time
}

func (l *sendLog) ask(now time.Time) (time.Time, bool) {
	for len(l.sent) > 0 && now.Sub(l.sent[0]) >= window {
		l.sent = l.sent[1:]
	}
	if len(l.sent) == limit {
		return l.sent[0].Add(window), false
	}
	l.sent = append(l.sent, now)
	return now, true
}

// bucket is x/time/rate.
type bucket struct {
	unaware
	l *rate.Limiter
}

func newBucket(burst int) *bucket {
	return &bucket{l: rate.NewLimiter(rate.Every(window/limit), burst)}
}

func (b *bucket) ask(now time.Time) (time.Time, bool) {
	r := b.l.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait == 0 {
		return now, true
	}
	r.CancelAt(now)
	return now.Add(wait), false
}

// leaky is uber's limiter, on a clock that does not sleep but tells.
type leaky struct {
	unaware
	l     uber.Limiter
	clock *clock
}

type clock struct {
	now  time.Time
	wait time.Duration
}

// Now implements the limiter's clock.
func (c *clock) Now() time.Time { return c.now }

// Sleep implements the limiter's clock.
func (c *clock) Sleep(d time.Duration) { c.wait = d }

func newUber() *leaky {
	c := &clock{}
	return &leaky{l: uber.New(limit, uber.Per(window), uber.WithClock(c)), clock: c}
}

func (l *leaky) ask(now time.Time) (time.Time, bool) {
	l.clock.now, l.clock.wait = now, 0
	l.l.Take()
	return now.Add(l.clock.wait), true
}

// gcra is redis_rate's algorithm (allowN in its lua.go), whose PerMinute(n) has a burst of n.
type gcra struct {
	unaware
	tat time.Time
}

func (g *gcra) ask(now time.Time) (time.Time, bool) {
	const emission, burst = window / limit, window
	tat := now
	if g.tat.After(now) {
		tat = g.tat
	}
	tat = tat.Add(emission)
	if at := tat.Add(-burst); at.After(now) {
		return at, false
	}
	g.tat = tat
	return now, true
}

// slidingCounter weighs the count of the last window of the clock by what of it is in the last minute, as
// go-chi/httprate does.
type slidingCounter struct {
	unaware
	window      int64
	last, count int
}

func (s *slidingCounter) ask(now time.Time) (time.Time, bool) {
	switch i := now.UnixNano() / int64(window); i - s.window {
	case 0:
	case 1:
		s.window, s.last, s.count = i, s.count, 0
	default:
		s.window, s.last, s.count = i, 0, 0
	}
	in := time.Duration(now.UnixNano() % int64(window))
	if float64(s.last)*(1-in.Seconds()/window.Seconds())+float64(s.count) >= limit {
		return now.Add(window / limit / 4), false
	}
	s.count++
	return now, true
}

// fixedWindow starts anew with each minute of the clock.
type fixedWindow struct {
	unaware
	window int64
	count  int
}

func (f *fixedWindow) ask(now time.Time) (time.Time, bool) {
	i := now.UnixNano() / int64(window)
	if i != f.window {
		f.window, f.count = i, 0
	}
	if f.count == limit {
		return time.Unix(0, (i+1)*int64(window)), false
	}
	f.count++
	return now, true
}
