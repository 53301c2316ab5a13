package breaker

import (
	"net/http"

	"github.com/integrationkit/integrationkit/retry"
)

// Wrap returns a RoundTripper that refuses while the circuit is open and learns from every answer. Only a verdict
// with Fault set and class Transient counts against the partner. next is [http.DefaultTransport] if nil. Put it
// innermost, so that it sees time spent at the partner only. A refusal is that of [Breaker.Allow]; the request's body is
// closed. A body that breaks off after the header counts as the answer it seemed to be.
func (b *Breaker) Wrap(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{b: b, next: next}
}

type transport struct {
	b    *Breaker
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	key := ""
	if t.b.c.Key != nil {
		key = t.b.c.Key(req)
	}
	call, err := t.b.Allow(key)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // the refusal is what the caller must know
		}
		return nil, err
	}
	// After a panic in next nothing is known of the partner; after the Done below this does nothing.
	defer call.Done(retry.Verdict{Class: retry.Canceled})
	resp, err := t.next.RoundTrip(req)
	call.Done(retry.Judge(req, resp, err))
	return resp, err
}
