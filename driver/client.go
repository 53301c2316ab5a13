package driver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// Errors of this package, to be tested with errors.Is.
var (
	// ErrNotFound: there is no such integration, partner or record. An answer of 404 or 410 wraps it.
	ErrNotFound = errors.New("driver: not found")
	// ErrTooLarge: an answer's body is larger than the client accepts.
	ErrTooLarge = errors.New("driver: body too large")
	// ErrUndecodable: an answer's body is not what was expected.
	ErrUndecodable = errors.New("driver: body cannot be decoded")
	// ErrEmpty: an answer has no body where one was expected. It comes with ErrUndecodable.
	ErrEmpty = errors.New("driver: empty body")
)

// ClientConfig configures a [Client]. Partner and BaseURL are required; every other part may be left out.
type ClientConfig struct {
	Partner     string // in errors, logs and metrics
	Integration string // in errors, logs and spans
	// BaseURL is put before every path; https, or http on loopback. It has no query and no user information.
	BaseURL    string
	Credential auth.Credential
	// Limiter admits calls, under LimitKey: a *ratelimit.Limiter, or a *ratelimit.Set, whose rules go by [Call.Op] and whose keys
	// are those of its rules. Calls take turns by integration, unless ratelimit.WithCall names a Tenant.
	Limiter  Limiter
	LimitKey string
	// Breaker is asked under BreakerKey; "" means Integration. Its own Key function is not used.
	Breaker    *breaker.Breaker
	BreakerKey string
	// Gate, if set, is asked before anything else whether the partner as a whole is worth calling; it returns a *retry.Error when
	// not. It must be cheap and safe for concurrent use.
	Gate func() error
	// Retry is the policy; its Classifiers are the partner's dialect for every layer.
	Retry retry.Policy
	// Transport is the base; nil: a clone of http.DefaultTransport's settings, shared by the process.
	Transport http.RoundTripper
	// AttemptTimeout bounds one attempt from when it is sent until its body is read; 0 means 60 s.
	AttemptTimeout time.Duration
	// MaxBody bounds an answer's body in bytes, decompressed; 0 means 32 MiB.
	MaxBody int64
	// Header is put on every request, unless the call has the same one. User-Agent and Accept have defaults.
	Header http.Header
	// RequestID names the response headers that carry the partner's request id; nil means X-Request-Id.
	RequestID []string
	// RequestIDOf finds the partner's request id in an answer's body, for partners that put it there; it is asked when no header has it,
	// of failures and successes. Nil: it is in headers only.
	RequestIDOf func(body []byte) string
	// Explain takes the partner's own code and message from an error's body, of which it sees at most 4 KiB, in UTF-8. It must
	// return nothing that can hold personal data. Nil: nothing is taken.
	Explain   func(status int, body []byte) (code, message string)
	Telemetry Telemetry

	gate *gate // of the partner as a whole, from a registry
}

// Limiter is what a [Client] asks before it sends; *ratelimit.Limiter and *ratelimit.Set are.
type Limiter interface {
	Wrap(next http.RoundTripper) http.RoundTripper
	Ready(ctx context.Context, c ratelimit.Call) time.Time
}

// limits is l, or nil if there is nothing in it.
func limits(l Limiter) Limiter {
	switch l := l.(type) {
	case *ratelimit.Limiter:
		if l == nil {
			return nil
		}
	case *ratelimit.Set:
		if l == nil {
			return nil
		}
	}
	return l
}

// Telemetry is where a client reports to; docs/telemetry.md has the names. Zero fields report nowhere, and cost nothing.
type Telemetry struct {
	Logger *slog.Logger
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	// Drift counts the fields of answers that are not as drivers know them. Nil: a registry has one of its own, which its drivers share, and
	// so has a client without a registry.
	Drift *Drift
}

// Client is the way of one call; see the package comment for its layers. It is safe for concurrent use. Make it with
// [NewClient].
type Client struct {
	c         ClientConfig
	base      *url.URL
	basePath  string // escaped, without a slash at its end
	header    http.Header
	chain     http.RoundTripper
	telemetry *telemetry // nil: nothing is reported
	drift     *Drift
}

const (
	defaultAttempt = time.Minute
	defaultMaxBody = 32 << 20
)

// NewClient returns an error that names everything that is wrong with c.
func NewClient(c ClientConfig) (*Client, error) {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("driver: ClientConfig."+format, args...))
		}
	}
	bad(validName(c.Partner), "Partner is %q, want letters, digits, '.', '_' and '-'", c.Partner)
	base, err := parseBase(c.BaseURL)
	bad(err == nil, "BaseURL %w", err)
	bad(c.AttemptTimeout >= 0, "AttemptTimeout is negative")
	bad(c.MaxBody >= 0, "MaxBody is negative")
	c.Limiter = limits(c.Limiter)
	bad(c.Limiter != nil || c.LimitKey == "", "LimitKey is set without a Limiter")
	bad(c.Breaker != nil || c.BreakerKey == "", "BreakerKey is set without a Breaker")
	bad(c.Breaker == nil || c.BreakerKey != "" || c.Integration != "", "Breaker has no key: neither BreakerKey nor Integration is set")
	err = c.Retry.Validate()
	bad(err == nil, "Retry: %w", err)
	for name, values := range c.Header {
		bad(validHeader(name, values), "Header has a name or value that HTTP does not allow at %q", name)
	}
	t, err := newTelemetry(c.Telemetry)
	bad(err == nil, "Telemetry: %w", err)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if c.AttemptTimeout == 0 {
		c.AttemptTimeout = defaultAttempt
	}
	if c.MaxBody == 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.BreakerKey == "" {
		c.BreakerKey = c.Integration
	}
	if c.RequestID == nil {
		c.RequestID = []string{"X-Request-Id"}
	}
	if c.Transport == nil {
		c.Transport = sharedTransport()
	}
	if c.Telemetry.Drift == nil {
		c.Telemetry.Drift = new(Drift)
	}
	cl := &Client{c: c, base: base, basePath: strings.TrimRight(base.EscapedPath(), "/"), telemetry: t, drift: c.Telemetry.Drift}
	cl.header = http.Header{"Accept": {"application/json"}, "User-Agent": {"integrationkit"}}
	for name, values := range c.Header {
		cl.header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	// Outermost last.
	chain := retry.AttemptTimeout(c.AttemptTimeout).Wrap(c.Transport)
	chain = &wire{cl, chain}
	if c.Limiter != nil {
		chain = c.Limiter.Wrap(chain)
	}
	if c.Credential != nil {
		chain = c.Credential.Wrap(chain)
	}
	chain = &attempt{cl, chain}
	cl.chain = c.Retry.Wrap(chain)
	return cl, nil
}

// sharedTransport has no default transport's connections: what other code does to those must not reach ours.
var sharedTransport = sync.OnceValue(func() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second}
	} else {
		t = t.Clone()
	}
	t.MaxIdleConnsPerHost = 16
	return t
})

// validName reports whether s can be a metric's attribute: short, and of few characters.
func validName(s string) bool {
	return s != "" && len(s) <= 100 && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-')
	}) < 0
}

// Call is one call.
type Call struct {
	// Op names the operation in errors, logs, metrics and spans: "listings.list". Letters, digits, '.', '_' and '-'; it holds no
	// id. Required.
	Op string
	// Method: "" means GET.
	Method string
	// Path is put after the base URL; make it with [Path] when it holds ids. An absolute URL is accepted when it is within the base
	// URL's origin (a next link).
	Path string
	// Query is added to what Path has after a "?".
	Query  url.Values
	Header http.Header
	// Body: nil; url.Values (sent as a form); []byte with a Content-Type in Header; anything else is sent as JSON.
	// [XML] wraps a value to be sent as XML.
	Body any
	// Cost is what the call counts for in the limiter; 0 means 1.
	Cost int64
}

// Response is an answer, read whole.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// RequestID is the partner's.
	RequestID string
	// Sent is when the last request was sent.
	Sent time.Time
	// Attempts is how many requests it took, and Waits tells where the time went.
	Attempts int
	Waits    retry.Waits
}

// XML is a body to be sent as XML.
type XML struct{ Value any }
