package breaker

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// State is what a circuit does with calls.
type State uint8

// The states of a circuit.
const (
	Closed       State = iota // calls pass
	HalfOpen                  // a few calls pass to see whether the partner is back
	Open                      // calls are refused until a time
	ForcedOpen                // an operator refuses calls
	ForcedClosed              // an operator lets calls pass whatever happens
)

// String returns the state's name in lower case, as used in metrics and logs.
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half_open"
	case Open:
		return "open"
	case ForcedOpen:
		return "forced_open"
	case ForcedClosed:
		return "forced_closed"
	}
	return "unknown"
}

// ErrOpen is wrapped by every refusal.
var ErrOpen = errors.New("circuit is open")

// Config configures a [Breaker]. Zero fields take the defaults.
type Config struct {
	// Name appears in errors and changes.
	Name string
	// Key tells which circuit a request belongs to; nil: all share one.
	Key func(*http.Request) string
	// FailureRatio of the calls in Window that opens the circuit, at most 1; 0 means 0.5.
	FailureRatio float64
	// MinCalls in Window before the ratio counts; 0 means 10.
	MinCalls int
	// Window is how far back calls count while closed, at least 1 ms; 0 means 60 s. It moves in steps of a tenth.
	Window time.Duration
	// OpenFor is how long an open circuit refuses, at least 1 ms; 0 means 30 s. A Retry-After on the fault that opened
	// it takes precedence, up to MaxOpen (0 means 15 min, or OpenFor if that is longer).
	OpenFor, MaxOpen time.Duration
	// Probes is how many calls in a row must succeed half-open to close the circuit, and how many may be out at
	// once; 0 means 1.
	Probes int
	// ProbeTimeout is how long a half-open probe may be out before another takes its place; 0 means 60 s. What the
	// one that was replaced brings is ignored.
	ProbeTimeout time.Duration
	// MaxKeys bounds the circuits held; 0 means 100,000. Circuits that were idle for longer than anything counts are
	// forgotten. When that is not enough, ones that were idle for long go first, closed before open; those that an operator
	// forced stay, beyond the bound if need be.
	MaxKeys int
	// OnChange, if set, is told of every change of state, in order for each key, without locks held. It is called on a
	// goroutine that makes a call and should return soon. It may use the Breaker.
	OnChange func(Change)
}

// Change is what [Config.OnChange] is told.
type Change struct {
	Name, Key string
	From, To  State
	Until     time.Time // of Open: when it ends
	Calls     int       // that counted in the window, or as probes, before the change
	Faults    int
}

// Breaker is a set of circuits, one for each key. It is safe for concurrent use. Make it with [New].
type Breaker struct {
	c Config
	// The causes of refusals, made once: an open circuit must be cheap.
	errOpen, errProbing, errForced error

	mu       sync.RWMutex // guards circuits; held before a circuit's mu, never after
	circuits map[string]*circuit
}

// New returns a Breaker, or an error that names everything that is wrong with c.
func New(c Config) (*Breaker, error) {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("breaker: "+format, args...))
		}
	}
	count := func(name string, n *int, def int) {
		bad(*n >= 0 && uint64(*n) <= math.MaxUint32, "%s is %d, want 0 to %d", name, *n, uint32(math.MaxUint32))
		if *n == 0 {
			*n = def
		}
	}
	span := func(name string, d *time.Duration, def time.Duration) {
		bad(*d == 0 || *d >= time.Millisecond, "%s is %v, want 0 or at least 1ms", name, *d)
		if *d == 0 {
			*d = def
		}
	}
	bad(c.FailureRatio >= 0 && c.FailureRatio <= 1, "FailureRatio is %v, want 0 to 1", c.FailureRatio) // NaN is neither
	if c.FailureRatio == 0 {
		c.FailureRatio = 0.5
	}
	count("MinCalls", &c.MinCalls, 10)
	count("Probes", &c.Probes, 1)
	count("MaxKeys", &c.MaxKeys, 100_000)
	span("Window", &c.Window, time.Minute)
	span("OpenFor", &c.OpenFor, 30*time.Second)
	span("MaxOpen", &c.MaxOpen, max(15*time.Minute, c.OpenFor))
	span("ProbeTimeout", &c.ProbeTimeout, time.Minute)
	bad(c.MaxOpen >= c.OpenFor, "MaxOpen is %v, want at least OpenFor, %v", c.MaxOpen, c.OpenFor)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	name := "breaker"
	if c.Name != "" {
		name += " " + c.Name
	}
	return &Breaker{
		c:          c,
		errOpen:    fmt.Errorf("%s: %w", name, ErrOpen),
		errProbing: fmt.Errorf("%s: %w but for probes, which are out", name, ErrOpen),
		errForced:  fmt.Errorf("%s: %w, held by an operator", name, ErrOpen),
		circuits:   make(map[string]*circuit),
	}, nil
}

// Call is one call that was allowed. The zero Call was not, and its Done does nothing. It must not be copied.
type Call struct {
	b     *Breaker
	c     *circuit
	epoch uint64
	probe uint64 // 0 for none
	ended atomic.Bool
}

// Allow asks to make one call. The caller must call [Call.Done] once with the verdict on it, whatever happens: a Call
// that is forgotten keeps its circuit in memory, and a probe's place until that times out. A refusal is a [*retry.Error] of
// class Unavailable and scope Integration (all calls with the key share the fate) that was never sent and says in At
// when to come back.
func (b *Breaker) Allow(key string) (Call, error) {
	c := b.lock(key)
	if c.state == Closed || c.state == ForcedClosed {
		c.out++
		epoch := c.epoch
		c.mu.Unlock()
		return Call{b: b, c: c, epoch: epoch}, nil
	}
	now := time.Now()
	at, err := c.ready(b, now)
	if err == nil && c.state == Open {
		c.cb.State() // its own open time is over long ago: it becomes half-open, and tells c
	}
	if err == nil && c.state != HalfOpen {
		at, err = now.Add(probeDelay), b.errOpen // the clock was set back between two looks at it
	}
	if err != nil {
		b.unlock(c)
		return Call{}, &retry.Error{
			Verdict: retry.Verdict{Class: retry.Unavailable, Scope: retry.Integration, At: at, Sent: retry.Never},
			Err:     err,
		}
	}
	probe := c.takePlace(b, now)
	c.out++
	epoch := c.epoch
	b.unlock(c)
	return Call{b: b, c: c, epoch: epoch, probe: probe}, nil
}

// Done tells how the call ended. Only the first Done of a Call counts, and none whose circuit has changed its state
// since the call was allowed.
func (call *Call) Done(v retry.Verdict) {
	if call.c == nil || call.ended.Swap(true) {
		return
	}
	c := call.c
	c.mu.Lock()
	now := time.Now()
	c.out--
	c.used = now
	if call.epoch == c.epoch && !c.gone {
		c.count(call.b, now, call.probe, v)
	}
	call.b.unlock(c)
}

// Ready returns the zero time if a call would be allowed now, else the time to come back at. It takes no probe's place.
func (b *Breaker) Ready(key string) time.Time {
	c := b.lookup(key)
	if c == nil {
		return time.Time{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at, _ := c.ready(b, time.Now())
	return at
}

// State returns the circuit's state, and for an open one when that ends. An open circuit whose time is over is
// half-open; OnChange is told when the first probe is let through.
func (b *Breaker) State(key string) (State, time.Time) {
	c := b.lookup(key)
	if c == nil {
		return Closed, time.Time{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != Open {
		return c.state, time.Time{}
	}
	if !time.Now().Before(c.until) {
		return HalfOpen, time.Time{}
	}
	return Open, c.until
}

// Force holds the circuit open or closed (ForcedOpen, ForcedClosed) until it is forced to Closed, which starts it
// afresh. Meanwhile nothing is counted. A refusal by ForcedOpen says to come back after OpenFor, because nobody knows better.
// Any other state is an error.
func (b *Breaker) Force(key string, s State) error {
	if s != Closed && s != ForcedOpen && s != ForcedClosed {
		return fmt.Errorf("breaker: a circuit cannot be forced to be %v", s)
	}
	if s == Closed && b.lookup(key) == nil {
		return nil
	}
	c := b.lock(key)
	c.reset(b, s)
	b.unlock(c)
	return nil
}
