package ratelimit_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func answer(req *http.Request, status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: req, ProtoMajor: 1, ProtoMinor: 1,
	}
}

func get(ctx context.Context, key string) *http.Request {
	ctx = ratelimit.WithCall(ctx, ratelimit.Call{Key: key})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/v1/listings", nil)
	if err != nil {
		panic(err)
	}
	return req
}

func use(t *testing.T, l *ratelimit.Limiter, key string) (used, inFlight int64) {
	t.Helper()
	u, err := l.Usage(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return u.Tiers[0].Used, u.InFlight
}

func TestWrapHoldsThePermitUntilTheBodyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 10, Per: time.Minute})
		rt := l.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) { return answer(req, 200, "page"), nil }))
		req := get(t.Context(), "k")
		for i, end := range []func(io.ReadCloser) error{
			func(b io.ReadCloser) error { _, err := io.Copy(io.Discard, b); return err },
			io.ReadCloser.Close,
		} {
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Request != req {
				t.Error("the answer does not name the caller's request")
			}
			if used, inFlight := use(t, l, "k"); used != int64(i+1) || inFlight != 1 {
				t.Errorf("%d used, %d in flight; want %d and 1", used, inFlight, i+1)
			}
			if err := end(resp.Body); err != nil {
				t.Error(err)
			}
			if used, inFlight := use(t, l, "k"); used != int64(i+1) || inFlight != 0 {
				t.Errorf("after the body: %d used, %d in flight", used, inFlight)
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWrapSettlesWhatFailed(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		used int64
	}{
		{"refused below, never sent", &retry.Error{Verdict: retry.Verdict{Class: retry.Unavailable, Sent: retry.Never}, Err: errors.New("circuit is open")}, 0},
		{"dial failed", &net.OpError{Op: "dial", Err: errors.New("connection refused")}, 0},
		{"connection broke", io.ErrUnexpectedEOF, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 10, Per: time.Minute})
			rt := l.Wrap(roundTripper(func(*http.Request) (*http.Response, error) { return nil, c.err }))
			if _, err := rt.RoundTrip(get(t.Context(), "k")); !errors.Is(err, c.err) {
				t.Errorf("%s: got %v", c.name, err)
			}
			if used, inFlight := use(t, l, "k"); used != c.used || inFlight != 0 {
				t.Errorf("%s: %d used, %d in flight; want %d, 0", c.name, used, inFlight, c.used)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 10, Per: time.Minute})
		rt := l.Wrap(roundTripper(func(*http.Request) (*http.Response, error) { panic("below") }))
		func() {
			defer func() { _ = recover() }()
			_, _ = rt.RoundTrip(get(t.Context(), "k"))
		}()
		if used, inFlight := use(t, l, "k"); used != 1 || inFlight != 0 {
			t.Errorf("after a panic: %d used, %d in flight; want 1, 0", used, inFlight)
		}
	})
}

type closeTold struct {
	io.Reader
	closed atomic.Bool
}

func (c *closeTold) Close() error { c.closed.Store(true); return nil }

func TestWrapClosesTheBodyOfWhatItRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{MaxWait: -1}, ratelimit.Tier{Requests: 1, Per: time.Minute})
		rt := l.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) { return answer(req, 200, ""), nil }))
		if _, err := rt.RoundTrip(get(t.Context(), "k")); err != nil {
			t.Fatal(err)
		}
		req := get(t.Context(), "k")
		body := &closeTold{Reader: strings.NewReader("x")}
		req.Body = body
		if _, err := rt.RoundTrip(req); retry.ClassOf(err) != retry.RateLimit || !body.closed.Load() {
			t.Errorf("got %v; closed: %v", err, body.closed.Load())
		}
	})
}

// One 429 holds every caller of the key back until the partner's time, and no other key.
func TestPromise9_A429ParksItsKeyOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 100, Per: time.Minute})
		status, header := 429, []string{"Retry-After", "7.5"}
		rt := l.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) { return answer(req, status, "", header...), nil }))
		do := func(key string) time.Duration {
			start := time.Now()
			resp, err := rt.RoundTrip(get(t.Context(), key))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return time.Since(start)
		}
		do("a")
		status = 200
		if d := do("b"); d != 0 {
			t.Errorf("another key waited for %v", d)
		}
		if d := do("a"); d != 7500*time.Millisecond {
			t.Errorf("the key waited for %v, want 7.5s", d)
		}
		status, header = 429, nil // and when it does not say for how long
		do("a")
		status = 200
		if d := do("a"); d != time.Second {
			t.Errorf("the key waited for %v, want 1s", d)
		}
	})
}

// A partner's dialect of throttling parks like a 429, because the verdict is read.
func TestWrapReadsTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 100, Per: time.Minute})
		rt := l.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) { return answer(req, 405, ""), nil }))
		ctx, attempt := retry.WithAttempt(t.Context(), retry.Classifier{Classify: func(x retry.Exchange) (retry.Verdict, bool) {
			return retry.Verdict{Class: retry.RateLimit, Sent: retry.Answered, At: x.Now.Add(time.Minute)}, true
		}})
		for range 2 {
			resp, err := rt.RoundTrip(get(ctx, "k"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if got := attempt.Waits.Limiter; got != time.Minute {
			t.Errorf("the attempt was held back for %v, want 1m", got)
		}
	})
}

func TestWrapLearnsFromHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{Dialect: ratelimit.PerWindowHeaders}, ratelimit.Tiers{{Requests: 120, Per: time.Minute}}.Scale(60)...)
		rt := l.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
			return answer(req, 200, "", "X-RateLimit-Limit-Minute", "100", "X-RateLimit-Remaining-Minute", "30", "X-RateLimit-Limit-Second", "1"), nil
		}))
		resp, err := rt.RoundTrip(get(t.Context(), "k"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		u, err := l.Usage(t.Context(), "k")
		if err != nil || u.Tiers[0].Limit != 100 || u.Tiers[0].Used != 70 {
			t.Errorf("%+v, %v; want 70 of 100 used", u.Tiers, err)
		}
	})
}

// A server that reads a request, counts it, and breaks the connection when it is a reused one: net/http sends such a
// request again by itself.
func TestPromise3_NoSilentResends(t *testing.T) {
	for _, c := range []struct {
		name string
		req  func() *http.Request
	}{
		{"GET", func() *http.Request { return httptest.NewRequest(http.MethodGet, "/", nil) }},
		{"HEAD", func() *http.Request { return httptest.NewRequest(http.MethodHead, "/", nil) }},
		{"POST with key", func() *http.Request {
			req := httptest.NewRequest(http.MethodPost, "/", nil)
			req.Header.Set("Idempotency-Key", "1")
			return req
		}},
		{"POST with key and body", func() *http.Request {
			req := httptest.NewRequest(http.MethodPost, "/", nil)
			req.Body, req.ContentLength = io.NopCloser(strings.NewReader("x")), 1
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }
			req.Header.Set("X-Idempotency-Key", "1")
			return req
		}},
	} {
		for _, wrapped := range []bool{false, true} {
			arrivals, keys := breaking(t, c.req, wrapped)
			if want := map[bool]int64{false: 3, true: 2}[wrapped]; arrivals != want {
				t.Errorf("%s, wrapped %v: %d requests arrived, want %d", c.name, wrapped, arrivals, want)
			}
			if strings.Contains(c.name, "key") && keys != arrivals {
				t.Errorf("%s, wrapped %v: %d of %d requests carried their key", c.name, wrapped, keys, arrivals)
			}
		}
	}
}

// breaking makes two requests to a server that breaks the connection on the second one it serves, and returns how many arrived.
func breaking(t *testing.T, newReq func() *http.Request, wrapped bool) (arrivals, keys int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var n, withKey atomic.Int64
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(conn)
			for {
				req, err := http.ReadRequest(r)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, req.Body)
				if req.Header.Get("Idempotency-Key")+req.Header.Get("X-Idempotency-Key") != "" {
					withKey.Add(1)
				}
				if n.Add(1) == 2 {
					break
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
			conn.Close()
		}
	}()
	tr := &http.Transport{}
	var rt http.RoundTripper = tr
	if wrapped {
		rt = newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 100, Per: time.Minute}).Wrap(tr)
	}
	for i := range 2 {
		req := newReq()
		req.RequestURI, req.URL.Scheme, req.URL.Host = "", "http", ln.Addr().String()
		resp, err := rt.RoundTrip(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if wantErr := wrapped && i == 1; (err != nil) != wantErr {
			t.Errorf("request %d, wrapped %v: %v", i, wrapped, err)
		}
	}
	tr.CloseIdleConnections()
	ln.Close()
	<-served
	return n.Load(), withKey.Load()
}
