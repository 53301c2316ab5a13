package breaker_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/retry"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: http.NoBody}
}

type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

func request(t testing.TB, host string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+host+"/orders?key=s3cret", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestPromise7_OpenCircuitAnswersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, breaker.Config{Name: "acme"})
		sent := 0
		rt := b.Wrap(roundTripper(func(*http.Request) (*http.Response, error) {
			sent++
			time.Sleep(time.Minute / 20)
			return answer(503, "Retry-After", "600"), nil
		}))
		for range 10 {
			if resp, err := rt.RoundTrip(request(t, "acme.example")); err != nil || resp.StatusCode != 503 {
				t.Fatal(resp, err)
			}
		}
		begin := time.Now()
		for range 100 {
			req := request(t, "acme.example")
			bd := &body{Reader: strings.NewReader("x")}
			req.Body = bd
			resp, err := rt.RoundTrip(req)
			if resp != nil || !errors.Is(err, breaker.ErrOpen) || retry.ClassOf(err) != retry.Unavailable || !retry.At(err).Equal(begin.Add(10*time.Minute)) {
				t.Fatalf("got %v, %v, at %v", resp, err, retry.At(err))
			}
			if !bd.closed {
				t.Fatal("the body is not closed")
			}
			if !strings.Contains(err.Error(), "acme") || strings.Contains(err.Error(), "s3cret") {
				t.Fatalf("error says %q", err)
			}
		}
		if took := time.Since(begin); took != 0 || sent != 10 {
			t.Errorf("refusals took %v and %d requests were sent, want none after the 10", took, sent)
		}
	})
}

func TestWrapCounts(t *testing.T) {
	reset := errors.New("connection reset by peer")
	for _, tt := range []struct {
		name string
		resp *http.Response
		err  error
		want breaker.State
	}{
		{"200", answer(200), nil, breaker.Closed},
		{"404", answer(404), nil, breaker.Closed},
		{"401", answer(401), nil, breaker.Closed},
		{"429", answer(429, "Retry-After", "1"), nil, breaker.Closed},
		{"500", answer(500), nil, breaker.Open},
		{"503", answer(503), nil, breaker.Open},
		{"network error", nil, reset, breaker.Open},
		{"refused further in", nil, &retry.Error{Verdict: retry.Verdict{Class: retry.Unavailable, Sent: retry.Never}}, breaker.Closed},
	} {
		b := mustNew(t, breaker.Config{})
		rt := b.Wrap(roundTripper(func(*http.Request) (*http.Response, error) { return tt.resp, tt.err }))
		for range 10 {
			if resp, err := rt.RoundTrip(request(t, "acme.example")); resp != tt.resp || err != tt.err {
				t.Fatalf("%s: got %v, %v", tt.name, resp, err)
			}
		}
		if got, _ := b.State(""); got != tt.want {
			t.Errorf("%s: state is %v, want %v", tt.name, got, tt.want)
		}
	}
	// A caller that gives up says nothing about the partner.
	b := mustNew(t, breaker.Config{})
	rt := b.Wrap(roundTripper(func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() }))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		if _, err := rt.RoundTrip(request(t, "acme.example").WithContext(ctx)); err != context.Canceled {
			t.Fatal(err)
		}
	}
	state(t, b, "", breaker.Closed)
}

func TestWrapKeys(t *testing.T) {
	b := mustNew(t, breaker.Config{Key: func(r *http.Request) string { return r.URL.Host }})
	rt := b.Wrap(roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "a.example" {
			return answer(500), nil
		}
		return answer(200), nil
	}))
	for range 10 {
		for _, host := range []string{"a.example", "b.example"} {
			if _, err := rt.RoundTrip(request(t, host)); err != nil {
				t.Fatal(err)
			}
		}
	}
	state(t, b, "a.example", breaker.Open)
	state(t, b, "b.example", breaker.Closed)
}

func TestPanicLeaksNoProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, breaker.Config{})
		do(t, b, "", 10, down)
		time.Sleep(30 * time.Second)
		rt := b.Wrap(roundTripper(func(*http.Request) (*http.Response, error) { panic("bug") }))
		func() {
			defer func() {
				if r := recover(); r != "bug" {
					t.Errorf("recovered %v", r)
				}
			}()
			_, _ = rt.RoundTrip(request(t, "acme.example"))
		}()
		state(t, b, "", breaker.HalfOpen)
		do(t, b, "", 1, ok)
		state(t, b, "", breaker.Closed)
	})
}
