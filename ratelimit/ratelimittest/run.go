package ratelimittest

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// Run runs the model with the limiter that start makes, in a synctest bubble of its own (so t is not in one), and
// reports what the partner saw; what it saw is no failure of the test by itself, see [Report.Err]. start runs in the
// bubble: it may use t.Cleanup, and starts no goroutine that outlives it. A model that does not validate, and a call
// that the limiter says can never be admitted, end the test.
func (m Model) Run(t *testing.T, start func(t *testing.T) Do) *Report {
	t.Helper()
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	r := &runner{m: m, scopes: m.scopes()}
	counts := make(map[place]*tally)
	for i, l := range m.Loads {
		for range max(1, l.Callers) {
			r.callers = append(r.callers, &caller{run: r, load: i, index: int64(len(r.callers))})
		}
		by := counted{tallies: tallies{mu: &r.partner}}
		for j, s := range r.scopes {
			key, ok := s.Key(l.Call)
			if !ok {
				continue
			}
			p := place{j, key}
			if counts[p] == nil {
				counts[p] = newTally(s.Tiers)
			}
			by.places, by.all = append(by.places, p), append(by.all, counts[p])
		}
		r.loads = append(r.loads, by)
	}
	r.grid()
	synctest.Test(t, func(t *testing.T) { r.run(t, start) })
	if r.err != nil {
		t.Fatalf("ratelimittest: seed %d: %v", m.Seed, r.err)
	}
	return r.report()
}

// runner is one run of a model.
type runner struct {
	m       Model
	callers []*caller
	scopes  []Scope
	loads   []counted // as in the Model
	partner sync.Mutex
	modulus int64
	origin  time.Time // multiples of modulus are counted from here
	begin   time.Time // of the calls
	early   func(at time.Time) bool

	mu  sync.Mutex // guards err
	err error
}

// place is where a call is counted: a key of a scope.
type place struct {
	scope int
	key   string
}

// counted is where the calls of a load are counted.
type counted struct {
	places []place
	tallies
}

// tiers are all tiers of all scopes.
func (r *runner) tiers() (all ratelimit.Tiers) {
	for _, s := range r.scopes {
		all = append(all, s.Tiers...)
	}
	return all
}

// caller makes one call after another.
type caller struct {
	run   *runner
	load  int
	index int64
	rng   *rand.Rand
	asked time.Time

	spans []span
	waits []time.Duration
	spent int64

	refused, throttled, lost, unsent int
}

// grid chooses the moments at which each caller acts, so that no two ever act at once, nor one when a window ends that
// another's request began: what happens at one moment happens in an order that nobody decides.
func (r *runner) grid() {
	n := int64(len(r.callers)) + 1
	r.modulus = 2*n + 1
	for again := true; again; {
		again = false
		for _, t := range r.tiers() {
			if t.Concurrent != 0 || r.modulus > int64(t.Per) {
				continue
			}
			if rest := int64(t.Per) % r.modulus; rest < n || rest > r.modulus-n {
				r.modulus++
				again = true
			}
		}
	}
}

// sleep waits for d, and then for the next moment that is the caller's own.
func (c *caller) sleep(d time.Duration) {
	now := time.Now()
	at := int64(now.Add(d).Sub(c.run.origin))
	if rest := (c.index - at) % c.run.modulus; rest > 0 {
		at += rest
	} else {
		at += rest + c.run.modulus
	}
	time.Sleep(time.Duration(at) - now.Sub(c.run.origin))
}

func (r *runner) run(t *testing.T, start func(t *testing.T) Do) {
	rng := rand.New(rand.NewPCG(r.m.Seed, 0))
	r.origin = time.Now()
	var longest, shortest time.Duration
	for _, tier := range r.tiers() {
		if tier.Concurrent == 0 {
			longest = max(longest, tier.Per)
			if shortest == 0 || tier.Per < shortest {
				shortest = tier.Per
			}
		}
	}
	// Windows that are aligned to the clock meet the calls anywhere.
	time.Sleep(time.Duration(rng.Int64N(int64(longest) + 1)))
	r.begin = time.Now()
	// The partner counts late for about a window, then early for one: that is what brings most together.
	flip := max(1, int64(shortest)/2+rng.Int64N(int64(shortest)+1))
	r.early = func(at time.Time) bool { return int64(at.Sub(r.begin))/flip%2 == 1 }

	do := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range r.callers {
		c.rng = rand.New(rand.NewPCG(r.m.Seed, uint64(c.index)+1))
		wg.Go(func() { c.loop(ctx, do) })
	}
	time.Sleep(r.m.For)
	cancel()
	wg.Wait()
}

func (r *runner) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

// loop makes calls until ctx ends.
func (c *caller) loop(ctx context.Context, do Do) {
	l := c.run.m.Loads[c.load]
	if l.MaxWait > 0 {
		ctx = retry.WithMaxWait(ctx, l.MaxWait)
	}
	send := c.send
	c.sleep(0)
	for ctx.Err() == nil {
		if l.Pause > 0 {
			c.sleep(time.Duration(c.rng.ExpFloat64() * float64(l.Pause)))
		}
		c.asked = time.Now()
		sent := c.sent()
		switch err := do(ctx, l.Call, send); {
		case c.sent() > sent || err == nil:
		case ctx.Err() != nil:
			return
		case retry.ClassOf(err) == retry.Client:
			c.run.fail(err)
			return
		default:
			c.refused++
			wait := 10 * time.Millisecond
			if at := retry.At(err); !at.IsZero() {
				wait = max(time.Microsecond, time.Until(at))
			}
			c.pause(ctx, wait)
		}
	}
}

// sent counts the sends that were tried.
func (c *caller) sent() int { return len(c.spans) + c.unsent }

// pause sleeps until ctx ends at most.
func (c *caller) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		c.sleep(0)
	case <-ctx.Done():
	}
}

// send is the partner: the request arrives when it is sent, or when it is answered.
func (c *caller) send() (Answer, error) {
	m := &c.run.m
	sent := time.Now()
	c.waits = append(c.waits, sent.Sub(c.asked))
	if m.Unsent > 0 && c.rng.Float64() < m.Unsent {
		c.unsent++
		c.sleep(time.Millisecond)
		return Answer{}, ErrUnsent
	}
	call := &m.Loads[c.load].Call
	cost := max(1, call.Cost)
	c.spent += cost
	k := c.run.loads[c.load].tallies
	var latency time.Duration
	if m.Latency != nil {
		latency = max(0, m.Latency(c.rng))
	}
	lost := m.Lost > 0 && c.rng.Float64() < m.Lost
	early := c.run.early(sent)
	k.enter()
	var over time.Duration
	if early {
		over = k.arrive(sent, cost)
	}
	c.sleep(latency)
	answered := time.Now()
	if !early {
		over = k.arrive(answered, cost)
	}
	k.leave()
	c.asked = answered // of the next request of the same call, if there is one
	s := span{sent: int64(sent.Sub(c.run.begin)), left: int64(answered.Sub(c.run.begin)), cost: cost}
	s.end = s.left
	switch {
	case lost:
		c.lost++
		s.end += int64(m.late())
	case over > 0:
		c.throttled++
	}
	c.spans = append(c.spans, s)
	switch {
	case lost:
		return Answer{}, errLost
	case over > 0:
		seconds := (over + time.Second - 1) / time.Second
		h := http.Header{"Retry-After": {strconv.Itoa(int(seconds))}}
		return Answer{Status: http.StatusTooManyRequests, Header: h}, nil
	}
	return Answer{Status: http.StatusOK, Header: http.Header{}}, nil
}
