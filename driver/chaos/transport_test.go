package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver/chaos"
	"github.com/integrationkit/integrationkit/retry"
)

func injector(t testing.TB, rules ...chaos.Rule) *chaos.Injector {
	t.Helper()
	in, err := chaos.New(chaos.Config{Rules: rules, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// send makes a request whose answer there must be, and closes its body.
func send(t testing.TB, rt http.RoundTripper, method, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	return resp
}

// bodies is a partner that answers with a body, and counts what arrived and what was closed.
type bodies struct {
	body    string
	unknown bool // the length is not told
	header  http.Header
	err     error

	mu              sync.Mutex
	arrived, closed int
}

func (b *bodies) RoundTrip(req *http.Request) (*http.Response, error) {
	b.mu.Lock()
	b.arrived++
	b.mu.Unlock()
	if req.Body != nil {
		req.Body.Close()
	}
	if b.err != nil {
		return nil, b.err
	}
	resp := &http.Response{StatusCode: 200, Header: b.header, ContentLength: int64(len(b.body)), Request: req,
		Body: closer{strings.NewReader(b.body), b}}
	if b.unknown {
		resp.ContentLength = -1
	}
	return resp, nil
}

func (b *bodies) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	return nil
}

type closer struct {
	io.Reader
	io.Closer
}

// body is a request's, which knows whether it was closed.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

// Faults that break the connection are the errors of the net package, and their verdict is theirs.
func TestBrokenConnections(t *testing.T) {
	for _, c := range []struct {
		kind    chaos.Kind
		is      error
		sent    retry.Sent
		arrived int
	}{
		{chaos.Refused, syscall.ECONNREFUSED, retry.Never, 0},
		{chaos.Reset, syscall.ECONNRESET, retry.Unknown, 0},
		{chaos.Lost, syscall.ECONNRESET, retry.Unknown, 1},
	} {
		p := &bodies{body: "done"}
		b := &body{Reader: strings.NewReader("a boat")}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://a.example/orders", b)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := injector(t, chaos.Rule{Kind: c.kind}).Wrap(p).RoundTrip(req)
		if resp != nil || !errors.Is(err, chaos.ErrInjected) || !errors.Is(err, c.is) ||
			!strings.HasPrefix(err.Error(), "chaos: "+string(c.kind)) {
			t.Errorf("%s: %v, %v", c.kind, resp, err)
		}
		if v := retry.Judge(req, nil, err); v.Class != retry.Transient || v.Sent != c.sent {
			t.Errorf("%s: judged %v, sent %v, want transient, %v", c.kind, v.Class, v.Sent, c.sent)
		}
		if !b.closed || p.arrived != c.arrived || p.closed != c.arrived {
			t.Errorf("%s: request's body closed %t, %d arrived, %d answers closed, want %d", c.kind, b.closed,
				p.arrived, p.closed, c.arrived)
		}
	}
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := &bodies{}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = injector(t, chaos.Rule{Kind: chaos.Timeout, Delay: 30 * time.Second}).Wrap(p).RoundTrip(req)
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() || time.Since(start) != 30*time.Second {
			t.Errorf("after %v: %v, want a net.Error that is a timeout after 30 s", time.Since(start), err)
		}
		why := errors.New("given up")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, why)
		defer cancel()
		_, err = injector(t, chaos.Rule{Kind: chaos.Timeout}).Wrap(p).RoundTrip(req.WithContext(ctx))
		if !errors.Is(err, why) || time.Since(start) != time.Hour+30*time.Second {
			t.Errorf("after %v: %v, want the context's cause after its hour", time.Since(start), err)
		}
		if _, err = injector(t).Wrap(p).RoundTrip(req.WithContext(ctx)); !errors.Is(err, why) || p.arrived != 0 {
			t.Errorf("a context that has ended: %v, %d arrived", err, p.arrived)
		}
	})
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := injector(t, chaos.Rule{Kind: chaos.Latency, Delay: 100 * time.Millisecond,
			Jitter: 50 * time.Millisecond}, chaos.Rule{Kind: "503", After: 1})
		took := map[time.Duration]bool{}
		for i := range 20 {
			start := time.Now()
			want := 503
			if i == 0 {
				want = 200
			}
			if resp := send(t, in.Wrap(partner{}), "GET", "https://a.example/"); resp.StatusCode != want {
				t.Errorf("status %d, want %d: latency is added to what else happens", resp.StatusCode, want)
			}
			d := time.Since(start)
			if took[d] = true; d < 100*time.Millisecond || d >= 150*time.Millisecond {
				t.Errorf("a call took %v, want 100 to 150 ms", d)
			}
		}
		if len(took) < 10 {
			t.Errorf("twenty calls took only %d different times", len(took))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		p, b := &bodies{}, &body{Reader: strings.NewReader("x")}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://a.example/", b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Wrap(p).RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) || !b.closed ||
			p.arrived != 0 {
			t.Errorf("given up meanwhile: %v, body closed %t, %d arrived", err, b.closed, p.arrived)
		}
	})
}

func TestBodies(t *testing.T) {
	const whole = `{"boats":[{"id":"gull","metres":7}]}`
	for _, unknown := range []bool{false, true} {
		for _, c := range []struct {
			kind chaos.Kind
			want string
			err  error
			took time.Duration
		}{
			{chaos.Slow, whole, nil, 20 * time.Second},
			{chaos.Cut, whole[:len(whole)/2], io.ErrUnexpectedEOF, 0},
			{chaos.Truncated, whole[:len(whole)/2], nil, 0},
		} {
			t.Run(fmt.Sprint(c.kind, " unknown ", unknown), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := chaos.Rule{Kind: c.kind}
					if c.kind == chaos.Slow {
						r.Delay = 20 * time.Second
					}
					p := &bodies{body: whole, unknown: unknown, header: http.Header{"Content-Length": {"36"}}}
					req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example/", nil)
					if err != nil {
						t.Fatal(err)
					}
					resp, err := injector(t, r).Wrap(p).RoundTrip(req)
					if err != nil {
						t.Fatal(err)
					}
					start := time.Now()
					got, err := io.ReadAll(resp.Body)
					if string(got) != c.want || !errors.Is(err, c.err) {
						t.Errorf("read %q, %v, want %q, %v", got, err, c.want, c.err)
					}
					if d := time.Since(start); d > c.took || d < c.took/20 {
						t.Errorf("it took %v, want up to %v", d, c.took)
					}
					if c.kind == chaos.Truncated && (resp.ContentLength != -1 ||
						resp.Header.Get("Content-Length") != "" || p.header.Get("Content-Length") == "") {
						t.Errorf("a truncated body has the length %d, %q", resp.ContentLength,
							resp.Header.Get("Content-Length"))
					}
					if n, err := resp.Body.Read(nil); n != 0 || err != nil {
						t.Errorf("reading nothing: %d, %v", n, err)
					}
					if err := resp.Body.Close(); err != nil || p.closed != 1 {
						t.Errorf("closing: %v, closed %d times", err, p.closed)
					}
				})
			})
		}
	}
}

// A slow body ends with its context, and when it is closed.
func TestSlowBodyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := func(ctx context.Context) io.ReadCloser {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://a.example/", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := injector(t, chaos.Rule{Kind: chaos.Slow}).Wrap(&bodies{body: "0123456789"}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			return resp.Body
		}
		why := errors.New("given up")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		start := time.Now()
		if got, err := io.ReadAll(open(ctx)); !errors.Is(err, why) || len(got) == 0 ||
			time.Since(start) != time.Second {
			t.Errorf("after %v: %q, %v", time.Since(start), got, err)
		}
		b := open(t.Context())
		time.AfterFunc(time.Millisecond, func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
		if _, err := b.Read(make([]byte, 10)); !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("closed while Read waits: %v", err)
		}
	})
}

func TestSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).Format(http.TimeFormat)
		later := time.Date(2026, 11, 25, 12, 1, 30, 0, time.UTC).Format(http.TimeFormat)
		p := &bodies{header: http.Header{"Date": {noon}, "Expires": {noon}, "Retry-After": {noon}, "X-Other": {noon}}}
		resp := send(t, injector(t, chaos.Rule{Kind: chaos.Skew, Skew: 90 * time.Second}).Wrap(p), "GET",
			"https://a.example/")
		for name, want := range map[string]string{"Date": later, "Expires": later, "Retry-After": later,
			"X-Other": noon, "Last-Modified": ""} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if p.header.Get("Date") != noon {
			t.Error("the partner's own header was changed")
		}
		// It is added to a status, and its Retry-After.
		resp = send(t, injector(t, chaos.Rule{Kind: "503", Retry: "date:10s"},
			chaos.Rule{Kind: chaos.Skew, Skew: -time.Hour}).Wrap(p), "GET", "https://a.example/")
		if got, want := resp.Header.Get("Retry-After"), "Fri, 31 Dec 1999 23:00:10 GMT"; resp.StatusCode != 503 ||
			got != want {
			t.Errorf("status %d, Retry-After %q, want %q", resp.StatusCode, got, want)
		}
		resp = send(t, injector(t, chaos.Rule{Kind: chaos.Skew, Skew: time.Second}).Wrap(&bodies{}), "GET",
			"https://a.example/")
		if got, want := resp.Header.Get("Date"), "Sat, 01 Jan 2000 00:00:01 GMT"; got != want {
			t.Errorf("a missing Date is %q, want %q", got, want)
		}
	})
}

func TestMadeAnswers(t *testing.T) {
	for kind, want := range map[chaos.Kind]struct {
		status int
		media  string
	}{"502": {502, "text/plain; charset=utf-8"}, chaos.HTML: {200, "text/html; charset=utf-8"}} {
		p := &bodies{}
		rt := injector(t, chaos.Rule{Kind: kind}).Wrap(p)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || int64(len(b)) != resp.ContentLength || len(b) == 0 || resp.Request != req {
			t.Errorf("%s: body %q of %d bytes, %v", kind, b, resp.ContentLength, err)
		}
		if resp.StatusCode != want.status || resp.Header.Get("Content-Type") != want.media ||
			resp.Header.Get(chaos.Header) != string(kind) || p.arrived != 0 {
			t.Errorf("%s: status %d, headers %v, %d arrived", kind, resp.StatusCode, resp.Header, p.arrived)
		}
		head, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "https://a.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err = rt.RoundTrip(head); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || len(b) != 0 {
			t.Errorf("%s: the answer to HEAD has the body %q, %v", kind, b, err)
		}
	}
}

// Errors of the partner come through.
func TestOwnErrors(t *testing.T) {
	own := errors.New("no route")
	for _, kind := range []chaos.Kind{chaos.Lost, chaos.Cut, chaos.Slow, chaos.Skew} {
		r := chaos.Rule{Kind: kind}
		if kind == chaos.Skew {
			r.Skew = time.Hour
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := injector(t, r).Wrap(&bodies{err: own}).RoundTrip(req); !errors.Is(err, own) ||
			errors.Is(err, chaos.ErrInjected) {
			t.Errorf("%s: %v, want the partner's own error", kind, err)
		}
	}
	// An answer without a body has nothing to be cut.
	if resp := send(t, injector(t, chaos.Rule{Kind: chaos.Cut}).Wrap(&bodies{}), "GET",
		"https://a.example/"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}
