package retry_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/integrationkit/integrationkit/retry"
)

// counted is a body that counts how often it is closed.
type counted struct {
	io.Reader
	closed atomic.Int32
}

func (b *counted) Close() error { b.closed.Add(1); return nil }

// reply makes a response with the status and headers, given as name, value, …; an empty name gives the body.
func reply(status int, kv ...string) *http.Response {
	h, text := http.Header{}, "body of "+http.StatusText(status)
	for i := 0; i < len(kv); i += 2 {
		if kv[i] == "" {
			text = kv[i+1]
			continue
		}
		h.Add(kv[i], kv[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, ContentLength: -1, Body: &counted{Reader: strings.NewReader(text)}}
}

// move is what the partner does with one attempt.
type move func(*http.Request) (*http.Response, error)

func replies(status int, kv ...string) move {
	return func(*http.Request) (*http.Response, error) { return reply(status, kv...), nil }
}

func breaks(err error) move { return func(*http.Request) (*http.Response, error) { return nil, err } }

// partner does its steps one after the other, the last one again and again, and keeps what it was sent.
type partner struct {
	steps   []move
	methods []string
	bodies  []string
	keys    []string
	answers []*http.Response
}

func (p *partner) RoundTrip(r *http.Request) (*http.Response, error) {
	text := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		text = string(b)
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
	}
	n := min(len(p.methods), len(p.steps)-1)
	p.methods, p.bodies, p.keys = append(p.methods, r.Method), append(p.bodies, text), append(p.keys, r.Header.Get("Idempotency-Key"))
	resp, err := p.steps[n](r)
	p.answers = append(p.answers, resp)
	return resp, err
}

func newRequest(t testing.TB, ctx context.Context, method, text string) *http.Request {
	t.Helper()
	var r io.Reader
	if text != "" {
		r = strings.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://api.acme.example/v1/things?key=s3cret", r)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// through makes one call through p to the partner and returns what came of it and the attempt's record.
func through(t testing.TB, p retry.Policy, pa http.RoundTripper, req *http.Request) (*http.Response, *retry.Attempt, error) {
	t.Helper()
	ctx, a := retry.WithAttempt(req.Context())
	resp, err := p.Wrap(pa).RoundTrip(req.WithContext(ctx))
	return resp, a, err
}
