package driver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
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
	// ErrNotFound: there is no such integration, partner or record.
	ErrNotFound = errors.New("driver: not found")
	// ErrTooLarge: an answer's body is larger than the client accepts.
	ErrTooLarge = errors.New("driver: body too large")
	// ErrUndecodable: an answer's body is not what was expected.
	ErrUndecodable = errors.New("driver: body cannot be decoded")
)

// ClientConfig configures a [Client]. Partner and BaseURL are required; every other part may be left out.
type ClientConfig struct {
	Partner     string // in errors, logs and metrics
	Integration string // likewise
	// BaseURL is put before every path; https, or http on loopback.
	BaseURL    string
	Credential auth.Credential
	// Limiter admits calls under LimitKey.
	Limiter  *ratelimit.Limiter
	LimitKey string
	// Breaker is asked under BreakerKey; "" means Integration.
	Breaker    *breaker.Breaker
	BreakerKey string
	// Gate, if set, is asked before anything else whether the partner as a whole is worth calling; it returns a *retry.Error when not.
	Gate func() error
	// Retry is the policy; its Classifiers are the partner's dialect for every layer.
	Retry retry.Policy
	// Transport is the base; nil: a clone of http.DefaultTransport's settings, shared by the process.
	Transport http.RoundTripper
	// AttemptTimeout bounds one attempt from when it is sent; 0 means 60 s.
	AttemptTimeout time.Duration
	// MaxBody bounds an answer's body in bytes, decompressed; 0 means 32 MiB.
	MaxBody int64
	// Header is put on every request.
	Header http.Header
	// RequestID names the response headers that carry the partner's request id.
	RequestID []string
	// Explain takes the partner's own code and message from an error's body, of which it sees at most 4 KiB. It must return nothing
	// that can hold personal data. Nil: nothing is taken.
	Explain   func(status int, body []byte) (code, message string)
	Telemetry Telemetry
}

// Telemetry is where a client reports to. Zero fields report nowhere.
type Telemetry struct {
	Logger *slog.Logger
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
}

// Client is the way of one call; see the package comment for its layers. It is safe for concurrent use.
type Client struct{}

// NewClient returns an error that names everything that is wrong with c.
func NewClient(c ClientConfig) (*Client, error) { panic("spike") }

// Call is one call.
type Call struct {
	// Op names the operation in errors, logs, metrics and spans: "listings.list". It holds no id. Required.
	Op string
	// Method: "" means GET.
	Method string
	// Path is put after the base URL; make it with [Path] when it holds ids. An absolute URL is accepted when it is within the base
	// URL's origin (a next link).
	Path   string
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
	// Sent is when the last attempt was sent.
	Sent time.Time
	// Attempts and Waits tell why it took so long.
	Attempts int
	Waits    retry.Waits
}

// Do makes a call and reads the answer. Every error is a *retry.Error with partner, operation and integration filled in. Anything but a 2xx
// (or what the partner's classifiers take as success) is an error. Redirects are followed for GET within the origin only.
func (c *Client) Do(ctx context.Context, call Call) (*Response, error) { panic("spike") }

// Ready returns nil if a call of op could go out now, else a *retry.Error with At: asked before work starts, so that no
// worker waits inside it. It takes nothing.
func (c *Client) Ready(ctx context.Context, op string) error { panic("spike") }

// Send makes a call and decodes the answer into T: XML when the answer's media type says so, else JSON. T may be
// json.RawMessage, []byte or *Response. An empty body is an error unless T is one of these.
func Send[T any](ctx context.Context, c *Client, call Call) (T, error) { panic("spike") }

// Get is Send with method GET.
func Get[T any](ctx context.Context, c *Client, op, path string, query url.Values) (T, error) {
	return Send[T](ctx, c, Call{Op: op, Path: path, Query: query})
}

// Post is Send with method POST. Whether it may be repeated is said by retry.WithIdempotencyKey.
func Post[T any](ctx context.Context, c *Client, op, path string, body any) (T, error) {
	return Send[T](ctx, c, Call{Op: op, Method: http.MethodPost, Path: path, Body: body})
}

// XML is a body to be sent as XML.
type XML struct{ Value any }
