package ratelimittest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// Model is a partner, and who calls it. [Model.Run] puts a limiter between them.
type Model struct {
	// Tiers are what the partner counts for each [ratelimit.Call.Key], strictly: what is over one is answered 429 with
	// a Retry-After.
	Tiers ratelimit.Tiers
	// Scopes are limits that it counts beside these.
	Scopes []Scope
	// Loads are who calls.
	Loads []Load
	// For is how long calls are made, in virtual time.
	For time.Duration
	// Latency is how long after it was sent a request is answered; nil: at once. See [Uniform] and [LogNormal].
	Latency func(r *rand.Rand) time.Duration
	// Lost is the share of requests, 0 to 1, that arrive but are not answered: the caller gives up after what would
	// have been the latency. They may arrive until Late after that; 0 means 1 s, which is what a limiter allows for by
	// default.
	Lost float64
	Late time.Duration
	// Unsent is the share of admitted calls, 0 to 1, whose connection fails, so that nothing is sent.
	Unsent float64
	// Seed decides the run.
	Seed uint64
}

// Scope is limits that a partner counts for other calls together than those of one [ratelimit.Call.Key]: those of an
// application, of an endpoint.
type Scope struct {
	// Name appears in reports: "application".
	Name  string
	Tiers ratelimit.Tiers
	// Key says under which key a call is counted, and false of one that is not counted; nil: all calls, under one key.
	Key func(ratelimit.Call) (key string, counted bool)
}

// Load is callers of one kind.
type Load struct {
	// Call is what they ask the limiter for; its Tenant names them in the [Report].
	Call ratelimit.Call
	// Callers is how many call at once, each again when it has its answer; 0 means 1.
	Callers int
	// Pause is the mean time, exponentially distributed, that a caller waits between its calls; 0: none, there is
	// always another call.
	Pause time.Duration
	// MaxWait is the longest wait for the limiter that a caller accepts (retry.WithMaxWait); 0: any. After a refusal
	// the caller comes back when it was told to.
	MaxWait time.Duration
}

// Do is a limiter as a [Model] sees it. It makes one call: it waits until the call may be sent, calls send, which
// returns when the partner has answered, and returns nil; or it returns why the call is refused, and has not called
// send. A send that failed returns an error that wraps [ErrUnsent] if nothing went out, and another one when it is not
// known; Do may return it or nil.
type Do func(ctx context.Context, c ratelimit.Call, send func() (Answer, error)) error

// Answer is what a partner answers.
type Answer struct {
	Status int // 200 or 429
	Header http.Header
}

// ErrUnsent is a send's error when the connection failed before anything was sent. A [retry.Judge] takes it for that
// too.
var ErrUnsent error = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}

// errLost is a send's error when no answer came.
var errLost error = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}

// Of is l, a [*ratelimit.Limiter] or a [*ratelimit.Set], as a [Model] sees it.
func Of(l interface {
	Acquire(ctx context.Context, c ratelimit.Call) (ratelimit.Permit, error)
}) Do {
	return func(ctx context.Context, c ratelimit.Call, send func() (Answer, error)) error {
		p, err := l.Acquire(ctx, c)
		if err != nil {
			return err
		}
		defer p.Release()
		switch a, err := send(); {
		case err == nil:
			p.Answered(a.Status, a.Header)
		case !errors.Is(err, ErrUnsent):
			p.Lost()
		}
		return nil
	}
}

type sendKey struct{}

// Transport is a stack of http.RoundTrippers as a [Model] sees it: wrap puts it around the one that it is given, which
// is the partner. The request's context holds the call ([ratelimit.CallFrom]). A stack that repeats what failed makes
// several requests of a call, and all count.
func Transport(wrap func(partner http.RoundTripper) http.RoundTripper) Do {
	rt := wrap(partner{})
	return func(ctx context.Context, c ratelimit.Call, send func() (Answer, error)) error {
		ctx = context.WithValue(ratelimit.WithCall(ctx, c), sendKey{}, send)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://partner.example/", nil)
		if err != nil {
			return err
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
}

// partner is the end of a stack.
type partner struct{}

func (partner) RoundTrip(req *http.Request) (*http.Response, error) {
	send, ok := req.Context().Value(sendKey{}).(func() (Answer, error))
	if !ok {
		return nil, errors.New("ratelimittest: a request that is no call of the model's")
	}
	a, err := send()
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: a.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.Header, Body: http.NoBody, Request: req,
	}, nil
}

// Uniform is a latency between lo and hi.
func Uniform(lo, hi time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return lo + time.Duration(r.Int64N(int64(max(1, hi-lo+1)))) }
}

// LogNormal is a latency of which half are below the median, and one in a hundred is above p99.
func LogNormal(median, p99 time.Duration) func(*rand.Rand) time.Duration {
	sigma := math.Log(float64(p99)/float64(median)) / 2.326
	return func(r *rand.Rand) time.Duration {
		return time.Duration(float64(median) * math.Exp(sigma*r.NormFloat64()))
	}
}

// late is how long after it was given up a request may arrive.
func (m *Model) late() time.Duration {
	if m.Late == 0 {
		return time.Second
	}
	return m.Late
}

// scopes are all that is counted: what is counted for each key comes first, and has no name.
func (m *Model) scopes() []Scope {
	var all []Scope
	if len(m.Tiers) > 0 {
		all = append(all, Scope{Tiers: m.Tiers, Key: func(c ratelimit.Call) (string, bool) { return c.Key, true }})
	}
	for _, s := range m.Scopes {
		if s.Key == nil {
			s.Key = func(ratelimit.Call) (string, bool) { return "", true }
		}
		all = append(all, s)
	}
	return all
}

// maxCallers bounds the goroutines of a run.
const maxCallers = 1_000_000

// Validate returns an error that names everything that is wrong with the model, nil if nothing is.
func (m Model) Validate() error {
	var errs []error
	if len(m.Tiers) > 0 || len(m.Scopes) == 0 {
		errs = append(errs, m.Tiers.Validate())
	}
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("ratelimittest: "+format, args...))
		}
	}
	for i, s := range m.Scopes {
		bad(s.Name != "", "scope %d has no Name", i)
		if err := s.Tiers.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("ratelimittest: scope %d (%s): %w", i, s.Name, err))
		}
	}
	bad(len(m.Loads) > 0, "no Loads")
	bad(m.For > 0, "For is %v, want more than 0", m.For)
	bad(m.Lost >= 0 && m.Lost <= 1, "Lost is %v, want 0 to 1", m.Lost)
	bad(m.Unsent >= 0 && m.Unsent < 1, "Unsent is %v, want 0 to less than 1", m.Unsent)
	bad(m.Late >= 0, "Late is %v, want 0 or more", m.Late)
	callers := 0
	for i, l := range m.Loads {
		bad(l.Callers >= 0 && l.Pause >= 0 && l.MaxWait >= 0 && l.Call.Cost >= 0 && l.Call.Weight >= 0,
			"load %d (%q): a number is negative", i, l.Call.Tenant)
		callers += max(1, l.Callers)
	}
	bad(callers <= maxCallers, "%d callers, want %d at most", callers, maxCallers)
	return errors.Join(errs...)
}
