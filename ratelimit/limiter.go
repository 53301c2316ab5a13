package ratelimit

import (
	"context"
	"net/http"
	"time"
)

// Limiter admits calls so that the partner never sees more of them than its tiers allow. It is safe for concurrent use.
type Limiter struct{}

// Options configures a [Limiter]; the zero Options count in memory, start as if nothing was spent, and wait as
// long as the caller's context allows.
type Options struct {
	// Name identifies the limiter in errors, metrics and the State store, for example "guesty".
	Name string
	// Quota counts; nil: in memory.
	Quota Quota
	// Dialect reads the partner's counts from an answer's headers; nil: none are read. See [PerWindowHeaders].
	Dialect Dialect
	// State keeps what was spent across restarts of an in-memory limiter; nil: nothing is kept.
	State StateStore
	// ColdStart says how a key starts about which State knows nothing.
	ColdStart ColdStart
	// MaxWait is the longest wait a call is held for; a longer one is refused at once. 0: bounded by the context
	// alone; negative: never wait. retry.WithMaxWait takes precedence.
	MaxWait time.Duration
	// LostGrace is how long after it was given up a request without an answer may still arrive. 0 means 1 s.
	LostGrace time.Duration
	// MaxKeys bounds the number of keys held; 0 means 100,000. Idle keys are reclaimed.
	MaxKeys int
	// OnWait, if set, is told of every wait and refusal. It is called without locks held.
	OnWait func(ctx context.Context, w Wait)
}

// Wait is what [Options.OnWait] is told: a call was held back, or refused.
type Wait struct {
	Key, Tier string
	Waited    time.Duration
	Refused   bool
	At        time.Time // of a refusal: when to come back
}

// ColdStart says how a key starts about which nothing is known.
type ColdStart uint8

// The policies for a cold start.
const (
	// Fresh starts as if nothing had been spent. Right for a first start, and when State knows better.
	Fresh ColdStart = iota
	// SitOut waits one window of every tier, as if all had been spent the moment before.
	SitOut
	// Probe lets one call through and learns from its headers what is left; tiers on which the answer is
	// silent are taken as Fresh. The probe itself may be one too many.
	Probe
)

// StateStore keeps what a limiter spent across restarts. Values are small. Implementations are safe for concurrent use.
type StateStore interface {
	// LoadLimit returns what was saved last under key, nil if nothing.
	LoadLimit(ctx context.Context, key string) ([]byte, error)
	// SaveLimit keeps state durably before it returns.
	SaveLimit(ctx context.Context, key string, state []byte) error
}

// Dialect reads a partner's own counts from an answer. It is nil-safe, fast when the headers are absent, and never
// panics on garbage.
type Dialect func(h http.Header, now time.Time, obs []Observation) []Observation

// PerWindowHeaders reads X-RateLimit-Limit-{Second,Minute,Hour,Day} and X-RateLimit-Remaining-….
func PerWindowHeaders(h http.Header, now time.Time, obs []Observation) []Observation { panic("spike") }

// New returns a Limiter, or an error that names everything that is wrong with tiers and options.
func New(tiers Tiers, o Options) (*Limiter, error) { panic("spike") }

// Priority orders callers that wait for the same key. The zero value is Scheduled.
type Priority int8

// The priorities, most urgent first.
const (
	Interactive Priority = 2  // a person waits
	FollowUp    Priority = 1  // a webhook's follow-up
	Scheduled   Priority = 0  // an import
	Background  Priority = -1 // whatever is left
)

// Call describes one call to the limiter.
type Call struct {
	// Key names whose quota is used: an account, a property. "" is a key like any other.
	Key string
	// Cost is how many requests it counts for; 0 means 1.
	Cost     int64
	Priority Priority
}

// WithCall says for which key, at which cost and priority the requests made with ctx are charged by [Limiter.Wrap].
func WithCall(ctx context.Context, c Call) context.Context { panic("spike") }

// CallFrom returns what [WithCall] said, the zero Call if nothing.
func CallFrom(ctx context.Context) Call { panic("spike") }

// Acquire waits until the call is admitted by every tier. It returns an error, a *retry.Error of class RateLimit that was
// never sent and says in At when to come back, as soon as it is known that the wait would be longer than ctx's deadline, retry.WithMaxWait or
// [Options.MaxWait] allow. When ctx ends while it waits, the error is of class Canceled and wraps context.Cause(ctx).
// A cost above a tier's limit is refused with class Client.
//
// The caller must end the permit with Release, and say what it learned with Answered or Lost before.
func (l *Limiter) Acquire(ctx context.Context, c Call) (Permit, error) { panic("spike") }

// Ready returns the zero time if a call would be admitted now, else the earliest time worth asking again. It takes nothing.
func (l *Limiter) Ready(ctx context.Context, c Call) time.Time { panic("spike") }

// Park admits nothing for key before until, for everyone who shares the quota. The zero time lifts it.
func (l *Limiter) Park(ctx context.Context, key string, until time.Time) error { panic("spike") }

// Usage returns the state of key.
func (l *Limiter) Usage(ctx context.Context, key string) (Usage, error) { panic("spike") }

// Tiers returns the tiers the limiter was made with.
func (l *Limiter) Tiers() Tiers { panic("spike") }

// Close saves what was spent, exactly, to the State store. Calls after it are refused.
func (l *Limiter) Close(ctx context.Context) error { panic("spike") }

// Wrap returns a RoundTripper that acquires a permit for each request (as [WithCall] says) before it goes
// through next (nil: http.DefaultTransport), learns from the answer, and releases the permit when the body is closed. It parks the key
// on a RateLimit verdict. Silent resends by http.Transport are prevented, for they would arrive uncounted.
func (l *Limiter) Wrap(next http.RoundTripper) http.RoundTripper { panic("spike") }

// Permit is an admitted call. It is a value: copies are the same permit. Its methods are safe for concurrent use and
// each has an effect once; the zero Permit's do nothing.
type Permit struct{}

// Answered says that the answer's header was read at now: the partner has counted the request by then. status and
// h are what it said; h may be nil.
func (p Permit) Answered(now time.Time, status int, h http.Header) {}

// Lost says that the request was sent but no answer came by now. It is charged as if it arrived LostGrace later.
func (p Permit) Lost(now time.Time) {}

// Release ends the permit: it frees the slot in flight, and refunds everything if neither Answered nor Lost was called.
func (p Permit) Release() {}
