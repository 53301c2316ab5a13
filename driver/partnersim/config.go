package partnersim

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// MaxScale is the largest time scale: beyond it, timers are too coarse for what is measured.
const MaxScale = 60

// Config describes a simulated partner. Handler is required. All durations and tiers are the partner's own, as
// documented: the server divides them by Scale.
type Config struct {
	// Name appears in errors: "guesty".
	Name string
	// Handler answers the requests that the limits and the faults let through. It gets requests that are counted
	// already, and must return when their context ends. It should not wait: Latency does that.
	Handler http.Handler
	// Tiers is the quota that every request counts in, but those to the token endpoint and the Free ones. Sliding,
	// fixed and concurrent tiers are counted; token buckets are refused.
	Tiers ratelimit.Tiers
	// Key says whose quota a request spends; nil: there is one for all. It must be safe for concurrent use.
	Key func(*http.Request) string
	// Free says which requests do not count; nil: none.
	Free func(*http.Request) bool
	// Quotas are further ones, for partners that limit some operations on their own. A request counts in each
	// quota it belongs to; one that a full tier refuses spends nothing in any.
	Quotas []Quota
	// Tokens is the token endpoint; nil: the Handler does without, or brings its own.
	Tokens *Tokens
	// Scale is how much faster than real the partner's time runs: from 1 (also 0) to [MaxScale].
	Scale float64
	// Latency is the time from sending a request to reading its answer: a quarter of it until the request arrives and
	// is counted, half of it at the partner, where the request is in flight, and a quarter on the way back. The
	// handler runs at the arrival.
	Latency time.Duration
	// Jitter is added to Latency: each way takes a random time of up to half of it longer.
	Jitter time.Duration
	// Seed makes jitter and faults repeatable.
	Seed uint64
	// Faults are what goes wrong. The first rule that hits a request decides.
	Faults []Rule
	// Answers are the partner's own kinds of fault, for rules of the kind "x-" plus the name here: a 200 that says
	// success is false, a 405 that means slow down.
	Answers map[string]http.Handler
	// Refuse writes the partner's error body for a status that the server answers by itself: 429 (Retry-After is set
	// already) and the status kinds of fault. nil: the status' text, as plain text.
	Refuse func(w http.ResponseWriter, r *http.Request, status int)
	// Header sets the headers that every answer bears, before it is made; counts is what the quotas say, empty
	// where none applies. nil: none.
	Header func(h http.Header, r *http.Request, counts []Count)
	// Gzip compresses answers for clients that say they accept it.
	Gzip bool
}

// Quota is one set of tiers and who spends it.
type Quota struct {
	// Name tells it from the others in the report.
	Name string
	// Tiers are the partner's own, unscaled.
	Tiers ratelimit.Tiers
	// Match says which requests count; nil: all, but those to the token endpoint. Key says whose quota; nil: one for
	// all.
	Match func(*http.Request) bool
	Key   func(*http.Request) string
}

// Count is what the partner has counted in one tier for the request's key, the request itself included.
type Count struct {
	Quota string
	// Tier is the tier as the clock on the wall sees it: scaled.
	Tier             ratelimit.Tier
	Limit, Remaining int64
	// Reset is when the tier has room for Limit requests again.
	Reset time.Time
}

// Server is a simulated partner. It is an http.Handler; see [Server.Transport] and [Server.Start] for the ways to reach
// it. It is safe for concurrent use.
type Server struct {
	cfg    Config
	scale  float64
	start  time.Time
	rules  []*ruleState
	done   chan struct{}  // closed by Close
	ending sync.WaitGroup // what Close waits for

	mu       sync.Mutex
	closed   bool
	baseURL  string
	http     *http.Server
	stop     func() bool
	late     map[*time.Timer]struct{}
	quotas   []*quota
	rng      uint64
	sum      sums
	notes    map[string]bool
	noteList []string
	ledger   []Violation
}

// New returns a simulated partner, or an error that names everything that is wrong with c.
func New(c Config) (*Server, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Handler == nil {
		bad("Handler is missing")
	}
	if c.Scale == 0 {
		c.Scale = 1
	}
	if !(c.Scale >= 1 && c.Scale <= MaxScale) {
		bad("Scale is %v, want 1 to %d", c.Scale, MaxScale)
	}
	if c.Latency < 0 {
		bad("Latency is %v, want 0 or more", c.Latency)
	}
	if c.Jitter < 0 {
		bad("Jitter is %v, want 0 or more", c.Jitter)
	}
	s := &Server{
		cfg: c, scale: c.Scale, start: time.Now(), done: make(chan struct{}), rng: c.Seed ^ 0x9e3779b97f4a7c15,
		late: map[*time.Timer]struct{}{}, notes: map[string]bool{},
	}
	s.sum.faults = map[string]int{}
	quotas := []Quota{{Name: "api", Tiers: c.Tiers, Key: c.Key, Match: func(r *http.Request) bool {
		return !s.isToken(r) && (c.Free == nil || !c.Free(r))
	}}}
	if len(c.Tiers) == 0 {
		quotas = nil
	}
	if c.Tokens != nil {
		errs = append(errs, c.Tokens.bind(c.Scale)...)
		if len(c.Tokens.Budget) > 0 {
			quotas = append(quotas, Quota{Name: "token", Tiers: c.Tokens.Budget, Key: c.Tokens.budgetKey,
				Match: s.isToken})
		}
	}
	names := map[string]bool{"": true, "api": true, "token": true}
	for i, q := range c.Quotas {
		if names[q.Name] {
			bad("Quotas[%d]: the name %q is missing or taken", i, q.Name)
		}
		names[q.Name] = true
		if len(q.Tiers) == 0 {
			bad("Quotas[%d] %q has no tiers", i, q.Name)
		}
		if q.Match == nil {
			q.Match = func(r *http.Request) bool { return !s.isToken(r) }
		}
		quotas = append(quotas, q)
	}
	for _, q := range quotas {
		built, err := newQuota(q, c.Scale)
		errs = append(errs, err...)
		s.quotas = append(s.quotas, built)
	}
	for i, r := range c.Faults {
		if err := r.Validate(); err != nil {
			bad("Faults[%d]: %w", i, err)
		} else if name, ok := strings.CutPrefix(string(r.Kind), "x-"); ok && c.Answers[name] == nil {
			bad("Faults[%d]: %s has no answer named %q", i, r.Kind, name)
		} else if r.Kind == Revoke && c.Tokens == nil {
			bad("Faults[%d]: there are no tokens to revoke", i)
		}
		s.rules = append(s.rules, &ruleState{Rule: r, seed: Roll(c.Seed, uint64(i)+1, 0)})
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("partnersim: simulated partner %q: %w", c.Name, errors.Join(errs...))
	}
	return s, nil
}

// Limits returns the quota's tiers as the clock on the wall sees them: every window divided by the scale. It is what
// the driver under test must be given in place of the partner's documented limits. The name is a [Quota]'s, "api" for
// [Config.Tiers] and "token" for the token endpoint's budget; an unknown one has no tiers.
func (s *Server) Limits(name string) ratelimit.Tiers {
	for _, q := range s.quotas {
		if q.Name == name {
			return append(ratelimit.Tiers(nil), q.scaled...)
		}
	}
	return nil
}

// scaled returns d in the server's time.
func (s *Server) scaled(d time.Duration) time.Duration { return time.Duration(float64(d) / s.scale) }

func (s *Server) isToken(r *http.Request) bool {
	return s.cfg.Tokens != nil && r.URL.Path == s.cfg.Tokens.Path
}

// now is the server's clock: monotonic, from its start.
func (s *Server) now() time.Duration { return time.Since(s.start) }
