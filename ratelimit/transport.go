package ratelimit

import (
	"context"
	"io"
	"maps"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// Wrap returns a RoundTripper that acquires a permit for each request (as [WithCall] says) before it goes
// through next (nil: http.DefaultTransport), learns from the answer, and releases the permit when the body is read to its end or
// closed. It parks the key on a RateLimit verdict, until the time that the partner named or else for the shortest
// window, one second at most; not on one of Scope Endpoint, for which only a [Set] has a limiter. A request that was never sent is refunded.
//
// Silent resends by http.Transport on a broken HTTP/1 connection are prevented, for they would arrive uncounted: next sees the
// request without GetBody, and a request without a body with an empty one where that is the same on the wire. The error goes to the
// caller (a retry layer outside sends it again, with a permit of its own). What HTTP/2 sends again is only
// what the partner said it had not processed.
func (l *Limiter) Wrap(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{acquire: func(req *http.Request) (Permit, error) { return l.Acquire(req.Context(), CallFrom(req.Context())) }, next: next}
}

type transport struct {
	acquire func(req *http.Request) (Permit, error)
	next    http.RoundTripper
	// http2 and http1 say what the partners have answered with.
	protocols atomic.Pointer[map[string]int]
}

// exchange is one request under way. It holds the request as it is sent, and is the body of its answer.
type exchange struct {
	req    http.Request
	permit Permit
	body   io.ReadCloser
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	permit, err := t.acquire(req)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // the refusal is what the caller must know
		}
		return nil, err
	}
	x := &exchange{req: *req, permit: permit}
	t.sendOnce(&x.req)
	returned := false
	defer func() {
		if !returned { // next panicked: nothing is known of the request
			permit.Lost()
			permit.Release()
		}
	}()
	resp, err := t.next.RoundTrip(&x.req)
	returned = true
	if err != nil {
		if retry.Judge(req, nil, err).Sent != retry.Never {
			permit.Lost()
		}
		permit.Release()
		return nil, err
	}
	spent := permit.answered(resp.Header)
	if resp.Request == &x.req {
		resp.Request = req
	}
	t.learn(req, resp)
	if v := retry.Judge(req, resp, nil); v.Class == retry.RateLimit {
		permit.throttled(spent, v.Scope, v.At, time.Now(), true)
	}
	if resp.Body == nil || resp.Body == http.NoBody {
		permit.Release()
		return resp, nil
	}
	x.body = resp.Body
	if w, ok := resp.Body.(io.Writer); ok {
		resp.Body = &duplex{x, w}
	} else {
		resp.Body = x
	}
	return resp, nil
}

// unsaid is how long a key is parked at most when the partner does not say for how long.
const unsaid = time.Second

func (l *Limiter) parkFor(key string, at, now time.Time) {
	if at.IsZero() {
		at = now.Add(min(unsaid, l.plan.shortest))
	}
	l.report(key, l.Park(context.Background(), key, at))
}

// Read implements io.Reader; the end of the body ends the permit.
func (x *exchange) Read(p []byte) (int, error) {
	n, err := x.body.Read(p)
	if err != nil {
		x.permit.Release()
	}
	return n, err
}

// Close implements io.Closer.
func (x *exchange) Close() error {
	err := x.body.Close()
	x.permit.Release()
	return err
}

// duplex is the body of an answer that changed the protocol.
type duplex struct {
	*exchange
	io.Writer
}

// sendOnce takes from a request what http.Transport goes by when it sends one again by itself. Of a request whose connection
// broke it repeats what it takes for safe: methods without effect and requests with an Idempotency-Key, if there is no
// body, or one that GetBody makes again (net/http, Request.isReplayable).
func (t *transport) sendOnce(req *http.Request) {
	if req.Body != nil && req.Body != http.NoBody {
		req.GetBody = nil
		return
	}
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		// HTTP/1 does not show an empty body of these methods. HTTP/2 would.
		if proto := t.protocol(req); proto == 1 || proto == 0 && req.URL.Scheme == "http" {
			req.Body = empty{}
		}
	default:
		for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
			if v, ok := req.Header[name]; ok {
				// The same header, but not where isReplayable looks for it: names have no case on the wire.
				req.Header = maps.Clone(req.Header)
				delete(req.Header, name)
				req.Header[lower(name)] = v
			}
		}
	}
}

func lower(name string) string {
	if name == "Idempotency-Key" {
		return "idempotency-key"
	}
	return "x-idempotency-key"
}

// empty is a body without content that net/http does not know to be one.
type empty struct{}

func (empty) Read([]byte) (int, error) { return 0, io.EOF }
func (empty) Close() error             { return nil }

// maxHosts bounds how many hosts' protocols are remembered.
const maxHosts = 64

// protocol is the major version of HTTP that the host spoke last, 0 if unknown.
func (t *transport) protocol(req *http.Request) int {
	if m := t.protocols.Load(); m != nil {
		return (*m)[req.URL.Host]
	}
	return 0
}

func (t *transport) learn(req *http.Request, resp *http.Response) {
	m := t.protocols.Load()
	if m != nil {
		if p, ok := (*m)[req.URL.Host]; ok && p == resp.ProtoMajor || !ok && len(*m) >= maxHosts {
			return
		}
	}
	next := make(map[string]int)
	if m != nil {
		maps.Copy(next, *m)
	}
	next[req.URL.Host] = resp.ProtoMajor
	t.protocols.CompareAndSwap(m, &next) // somebody else's answer tells the same next time
}
