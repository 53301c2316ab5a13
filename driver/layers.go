package driver

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// state is what the layers know of one call. It is the context of the call's requests, and belongs to the goroutine that
// makes the call.
type state struct {
	context.Context
	client *Client
	op     string
	began  time.Time

	sends   int            // requests that were sent
	sent    time.Time      // the last of them
	last    *retry.Attempt // the last attempt
	verdict retry.Verdict  // on it, with err
	err     error
	unsure  bool   // an attempt was sent, and nobody knows what became of it
	body    []byte // of the last answer, read whole
	reader  memory // gives body to whoever looks at the answer after it was read

	status    int
	requestID string
	span      trace.Span // nil without a tracer
}

type stateKey struct{}

// Value implements context.Context.
func (s *state) Value(key any) any {
	if key == (stateKey{}) {
		return s
	}
	return s.Context.Value(key)
}

func stateOf(ctx context.Context) *state {
	s, _ := ctx.Value(stateKey{}).(*state)
	return s
}

func (s *state) waits() retry.Waits {
	if s.last == nil {
		return retry.Waits{}
	}
	return s.last.Waits
}

// memory is a body that is in memory.
type memory struct{ bytes.Reader }

func (*memory) Close() error { return nil }

// attempt is the outermost layer inside the retry loop. It reports the attempt, refuses at once what cannot go out, and reads the answer's body, so that
// an answer that breaks off is judged, and repeated, like one that did not come.
type attempt struct {
	c    *Client
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (l *attempt) RoundTrip(req *http.Request) (*http.Response, error) {
	s := stateOf(req.Context())
	s.last = retry.AttemptFrom(req.Context())
	s.body, s.status, s.requestID = nil, 0, ""
	req, span := l.c.telemetry.startAttempt(req, s)
	resp, err := l.roundTrip(req, s)
	s.err = err
	s.verdict = retry.Judge(req, resp, err)
	s.unsure = s.unsure || s.verdict.Failed() && s.verdict.Sent == retry.Unknown && s.sends > 0
	l.c.telemetry.endAttempt(span, s)
	return resp, err
}

func (l *attempt) roundTrip(req *http.Request, s *state) (*http.Response, error) {
	err := l.c.peek()
	if until, ok := patience(req.Context()); ok && err == nil {
		err = l.c.peekLimit(req.Context(), s.op, until)
	}
	if err != nil {
		return nil, refuse(req, err)
	}
	resp, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	s.status = resp.StatusCode
	s.requestID = l.c.requestID(resp.Header, nil)
	v := retry.Judge(req, resp, nil)
	body, err := l.c.read(resp, v)
	_ = resp.Body.Close() // what was needed of it is read
	if err != nil {
		if ctx := req.Context(); ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	s.body = body
	s.requestID = l.c.requestID(resp.Header, body)
	s.reader.Reset(body)
	resp.Body = &s.reader
	return resp, nil
}

// refuse keeps the contract of http.RoundTripper for a request that is not sent.
func refuse(req *http.Request, err error) error {
	if req.Body != nil {
		_ = req.Body.Close() // the refusal is what the caller must know
	}
	return err
}

// patience returns when the caller wants its goroutine back at the latest, and whether it does.
func patience(ctx context.Context) (time.Time, bool) {
	until, ok := ctx.Deadline()
	if d, limited := retry.MaxWait(ctx); limited {
		if t := time.Now().Add(d); !ok || t.Before(until) {
			return t, true
		}
	}
	return until, ok
}

var (
	errCircuit = fmt.Errorf("driver: %w", breaker.ErrOpen)
	errQuota   = errors.New("driver: the rate limit leaves no room before then")
)

// peek refuses what would be refused further in, before anything is spent on it: the partner is down, or the circuit is open.
func (c *Client) peek() error {
	if c.c.Gate != nil {
		if err := c.c.Gate(); err != nil {
			return err
		}
	}
	if err := c.c.gate.ready(); err != nil {
		return err
	}
	if c.c.Breaker != nil {
		if at := c.c.Breaker.Ready(c.c.BreakerKey); !at.IsZero() {
			return &retry.Error{
				Verdict: retry.Verdict{Class: retry.Unavailable, Scope: retry.Integration, At: at, Sent: retry.Never}, Err: errCircuit,
			}
		}
	}
	return nil
}

// peekLimit refuses what the limiter would not admit until then.
func (c *Client) peekLimit(ctx context.Context, op string, until time.Time) error {
	if c.c.Limiter == nil {
		return nil
	}
	call := ratelimit.CallFrom(ctx)
	call.Key, call.Op = c.c.LimitKey, op
	call.Tenant = cmp.Or(call.Tenant, c.c.Integration)
	at := c.c.Limiter.Ready(ctx, call)
	if at.IsZero() || !at.After(until) {
		return nil
	}
	return &retry.Error{Verdict: retry.Verdict{Class: retry.RateLimit, Scope: retry.Integration, At: at, Sent: retry.Never}, Err: errQuota}
}

const (
	maxErrorBody = 64 << 10 // of an answer that is no success
	minRead      = 512
)

// read reads the answer's body whole: of a success all of it or an error, of anything else as much as is looked at.
func (c *Client) read(resp *http.Response, v retry.Verdict) ([]byte, error) {
	limit := c.c.MaxBody
	if v.Failed() || resp.StatusCode/100 != 2 {
		limit = min(limit, maxErrorBody)
	}
	var from io.Reader = resp.Body
	size := resp.ContentLength
	switch enc := strings.ToLower(resp.Header.Get("Content-Encoding")); {
	case enc == "" || enc == "identity" || resp.Uncompressed:
	case enc == "gzip" || enc == "x-gzip":
		zr, err := gzip.NewReader(resp.Body)
		if errors.Is(err, io.EOF) { // no body at all
			return nil, nil
		}
		if err != nil {
			return nil, c.unreadable(err)
		}
		from, size = zr, -1
	default:
		return nil, c.unreadable(errors.New("unknown content encoding"))
	}
	b, more, err := readAll(from, size, limit)
	switch {
	case errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader):
		return nil, c.unreadable(err)
	case err != nil && (v.Failed() || resp.StatusCode/100 != 2):
		return b, nil // what an error says is not worth another
	case err != nil:
		return nil, err
	case more && limit == c.c.MaxBody && resp.StatusCode/100 == 2:
		return nil, &retry.Error{
			Verdict: retry.Verdict{Class: retry.Data, Sent: retry.Answered}, Status: resp.StatusCode,
			Err: fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit),
		}
	}
	return b, nil
}

func (c *Client) unreadable(err error) error {
	return &retry.Error{Verdict: retry.Verdict{Class: retry.Data, Sent: retry.Answered}, Err: fmt.Errorf("%w: %w", ErrUndecodable, err)}
}

// readAll reads up to limit bytes, and reports whether there are more. size is how many are expected, below 0 when nobody knows.
func readAll(r io.Reader, size, limit int64) (b []byte, more bool, err error) {
	if size < 0 {
		size = minRead
	}
	b = make([]byte, 0, min(size, limit, 1<<20)+1) // one more, to see the end without growing
	for {
		n, err := r.Read(b[len(b):min(cap(b), int(limit)+1)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > limit:
			return b[:limit], true, nil
		case errors.Is(err, io.EOF):
			return b, false, nil
		case err != nil:
			return b, false, err
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
	}
}

// wire is the layer inside credentials and limiter: circuit, and the time at the partner.
type wire struct {
	c    *Client
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (l *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	s := stateOf(req.Context())
	whole, err := l.c.c.gate.allow()
	if err != nil {
		return nil, refuse(req, l.c.c.gate.refusal(retry.At(err)))
	}
	// After a panic below nothing is known of the partner; after the Done at the end this does nothing.
	defer whole.Done(retry.Verdict{Class: retry.Canceled})
	var call breaker.Call
	if b := l.c.c.Breaker; b != nil {
		if call, err = b.Allow(l.c.c.BreakerKey); err != nil {
			return nil, refuse(req, err)
		}
		defer call.Done(retry.Verdict{Class: retry.Canceled})
	}
	a := retry.AttemptFrom(req.Context())
	at := a.Waits.Partner
	s.sends++
	s.sent = time.Now()
	resp, err := l.next.RoundTrip(req)
	took := time.Since(s.sent)
	a.Waits.Partner = at + took
	v := retry.Judge(req, resp, err)
	call.Done(v)
	l.c.c.gate.done(&whole, l.c.c.BreakerKey, v)
	l.c.telemetry.request(s, req, resp, took, v)
	return resp, err
}
