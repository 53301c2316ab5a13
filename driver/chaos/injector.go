package chaos

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config describes an injector. The zero Config injects nothing.
type Config struct {
	Rules []Rule
	// Seed decides, with the requests, which are struck.
	Seed uint64
	// Identity says which requests are the same, for calls and deliveries alike; nil: see the package comment. It
	// must not read the body, and be safe for concurrent use.
	Identity func(*http.Request) string
	// OnFault, if set, is told of each fault, before it happens and in the goroutine of the request. It must not
	// change or keep the request, and be safe for concurrent use.
	OnFault func(*http.Request, Fault)
}

// Fault is one thing that goes wrong.
type Fault struct {
	Kind Kind
	// Rule is the index of the rule in [Config.Rules].
	Rule int
	// Nth counts the requests of the same identity, from 1.
	Nth int
}

// Report says what an injector did.
type Report struct {
	// Calls and Deliveries are how many came.
	Calls, Deliveries int
	// Struck is how many of them met a fault, or several.
	Struck int
	// Faults counts them by kind.
	Faults map[Kind]int
	// ByRule counts them by the index of the rule.
	ByRule []int
}

// String is one line: "1200 calls, 40 deliveries, 31 struck: 429 12, lost 19".
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d calls, %d deliveries, %d struck", r.Calls, r.Deliveries, r.Struck)
	sep := ": "
	for _, k := range slices.Sorted(maps.Keys(r.Faults)) {
		fmt.Fprintf(&b, "%s%s %d", sep, k, r.Faults[k])
		sep = ", "
	}
	return b.String()
}

// maxIdentities bounds the counts that are kept.
const maxIdentities = 1 << 16

// Injector injects faults. It is safe for concurrent use; everything that it wraps shares its counts. Make it with
// [New].
type Injector struct {
	c     Config
	at    []endpoint
	start time.Time

	mu     sync.Mutex
	epoch  uint64          // how often counting began anew
	counts map[uint64]int  // by identity
	turns  map[uint64]turn // by identity and rule
	report Report
	held   chan struct{} // closed when the delivery that is held back may go on; nil: none is
}

// turn is how many requests of an identity a rule concerned, and how many it struck.
type turn struct{ seen, hits int }

// New returns an injector, or an error that names everything that is wrong with c. It keeps a copy of the rules.
func New(c Config) (*Injector, error) {
	var errs []error
	c.Rules = slices.Clone(c.Rules)
	in := &Injector{c: c, start: time.Now(), counts: map[uint64]int{}, turns: map[uint64]turn{}}
	for i, r := range c.Rules {
		if err := r.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("chaos: Rules[%d]: %w", i, err))
		}
		e := endpoint{}
		if r.Endpoint != "" {
			e = parseEndpoint(r.Endpoint)
		}
		in.at = append(in.at, e)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	in.report = Report{Faults: map[Kind]int{}, ByRule: make([]int, len(c.Rules))}
	return in, nil
}

// Report returns what was done so far.
func (in *Injector) Report() Report {
	in.mu.Lock()
	defer in.mu.Unlock()
	r := in.report
	r.Faults, r.ByRule = maps.Clone(r.Faults), slices.Clone(r.ByRule)
	return r
}

// fate is what happens to one request.
type fate struct {
	rule    *Rule         // what goes wrong, nil nothing
	latency time.Duration // before it
	skew    time.Duration
	dice    dice
}

// decide draws the fate of a request: body is of a delivery, nil for a call.
func (in *Injector) decide(req *http.Request, body []byte, delivery bool) fate {
	host := req.URL.Host
	if delivery || host == "" {
		host = req.Host
	}
	id := in.identity(req, host, body, delivery)
	elapsed := time.Since(in.start)
	in.mu.Lock()
	n := in.count(id)
	f := fate{dice: dice(mix(mix(mix(in.c.Seed)+id+in.epoch) + uint64(n)))}
	var faults []Fault
	for i := range in.c.Rules {
		r := &in.c.Rules[i]
		if r.Kind.webhook() != delivery || f.rule != nil && !r.Kind.adds() || !r.inForce(elapsed) ||
			!in.at[i].matches(req.Method, host, req.URL.Path) {
			continue
		}
		if !in.turn(i, id, r.Rate == 0 || f.dice.float(2*i) < r.Rate) {
			continue
		}
		switch r.Kind {
		case Latency:
			f.latency += r.Delay + time.Duration(f.dice.float(2*i+1)*float64(r.Jitter))
		case Skew:
			f.skew += r.Skew
		default:
			f.rule = r
		}
		faults = append(faults, Fault{Kind: r.Kind, Rule: i, Nth: n + 1})
		in.report.Faults[r.Kind]++
		in.report.ByRule[i]++
	}
	if delivery {
		in.report.Deliveries++
	} else {
		in.report.Calls++
	}
	if len(faults) > 0 {
		in.report.Struck++
	}
	in.mu.Unlock()
	if in.c.OnFault != nil {
		for _, fault := range faults {
			in.c.OnFault(req, fault)
		}
	}
	return f
}

// count returns how many requests of the identity came before in this epoch; mu is held.
func (in *Injector) count(id uint64) int {
	n, known := in.counts[id]
	if !known && len(in.counts) >= maxIdentities {
		clear(in.counts)
		clear(in.turns)
		in.epoch++
	}
	in.counts[id] = n + 1
	return n
}

// turn counts the request for a rule with After or Count, and says whether it is struck if the dice say so; mu is held.
func (in *Injector) turn(rule int, id uint64, drawn bool) bool {
	r := &in.c.Rules[rule]
	if r.After == 0 && r.Count == 0 {
		return drawn
	}
	key := mix(id + uint64(rule) + 1)
	t := in.turns[key]
	t.seen++
	strike := drawn && t.seen > r.After && (r.Count == 0 || t.hits < r.Count)
	if strike {
		t.hits++
	}
	in.turns[key] = t
	return strike
}

// identity is a request's, as a number.
func (in *Injector) identity(req *http.Request, host string, body []byte, delivery bool) uint64 {
	h := fnv.New64a()
	write := func(s string) { h.Write([]byte(s + "\x00")) } // a hash takes everything
	switch {
	case in.c.Identity != nil:
		write(in.c.Identity(req))
	case delivery:
		write("delivery")
		write(req.URL.Path)
		h.Write(body)
	default:
		write(req.Method)
		write(req.URL.Scheme)
		write(strings.ToLower(host))
		write(req.URL.EscapedPath())
		write(sorted(req.URL.RawQuery))
	}
	return h.Sum64()
}

// sorted is a query in the order of its names; one that cannot be read stays as it is.
func sorted(query string) string {
	if !strings.Contains(query, "&") {
		return query
	}
	if v, err := url.ParseQuery(query); err == nil {
		return v.Encode()
	}
	return query
}

// dice are a request's: the same value for the same throw.
type dice uint64

// float returns a value from 0 to less than 1.
func (d dice) float(throw int) float64 {
	return float64(mix(uint64(d)+uint64(throw)*0xd1342543de82ef95)>>11) / (1 << 53)
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}
