package retry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/integrationkit/integrationkit/retry"
)

// TestPromise10_NoWriteIsBlindlyRepeated: every method, with and without a key, a partner that takes keys, a word of the
// caller, for every way an attempt can end.
func TestPromise10_NoWriteIsBlindlyRepeated(t *testing.T) {
	ends := map[string]struct {
		step  any
		never bool // nothing was done
	}{
		"answer lost": {io.EOF, false}, "cut": {io.ErrUnexpectedEOF, false}, "failed": {500, false}, "overloaded": {503, false},
		"throttled": {429, true}, "too early": {425, true},
		"refused": {&retry.Error{Verdict: retry.Verdict{Class: retry.Transient, Sent: retry.Never}}, true},
		"stream":  {errors.New("stream error: stream ID 3; REFUSED_STREAM; received from peer"), true},
	}
	idempotent := map[string]bool{"": true, "GET": true, "HEAD": true, "OPTIONS": true, "TRACE": true, "PUT": true, "DELETE": true,
		"POST": false, "PATCH": false, "CONNECT": false, "PROPFIND": false, "get": false}
	synctest.Test(t, func(t *testing.T) {
		for method, byMethod := range idempotent {
			for _, key := range []string{"", "k-1"} {
				for _, header := range []string{"", "idempotency-key"} {
					for _, word := range []string{"", "yes", "no"} {
						for end, e := range ends {
							ctx := t.Context()
							if key != "" {
								ctx = retry.WithIdempotencyKey(ctx, key)
							}
							if word != "" {
								ctx = retry.WithIdempotent(ctx, word == "yes")
							}
							req := request(t, "GET", nil).WithContext(ctx)
							req.Method = method
							p := &scripted{script: []any{e.step, 200}}
							resp, err := retry.Policy{IdempotencyHeader: header}.Wrap(p).RoundTrip(req)
							if err == nil {
								resp.Body.Close()
							}
							safe := e.never || word == "yes" || word == "" && (byMethod || key != "" && header != "")
							if got := len(p.times) == 2; got != safe {
								t.Errorf("%q, key %q, header %q, word %q, %s: repeated is %v, want %v", method, key, header, word, end, got, safe)
							}
							for _, h := range p.heard {
								want := ""
								if header != "" {
									want = key
								}
								if got := h.Header.Get("Idempotency-Key"); got != want {
									t.Errorf("%q: the key sent is %q, want %q", method, got, want)
								}
							}
						}
					}
				}
			}
		}
	})
}

func TestIdempotencyKey(t *testing.T) {
	if got := retry.IdempotencyKey(t.Context()); got != "" {
		t.Errorf("a key out of nowhere: %q", got)
	}
	if got := retry.IdempotencyKey(retry.WithIdempotencyKey(t.Context(), "k")); got != "k" {
		t.Errorf("got %q, want k", got)
	}
	if d, ok := retry.MaxWait(t.Context()); ok || d != 0 {
		t.Errorf("a limit out of nowhere: %v", d)
	}
}

// opened counts the bodies that a request gave out, and those that were closed.
type opened struct{ given, closed int }

func (o *opened) body(s string) io.ReadCloser {
	o.given++
	return &given{Reader: strings.NewReader(s), o: o}
}

type given struct {
	io.Reader
	o    *opened
	done bool
}

func (c *given) Close() error {
	if !c.done {
		c.o.closed++
	}
	c.done = true
	return nil
}

func TestBodiesAreSentAgain(t *testing.T) {
	const text = "the very same body"
	failing := errors.New("the file is gone")
	for _, tt := range []struct {
		name     string
		getBody  func(o *opened) func() (io.ReadCloser, error)
		script   []any
		attempts int
		err      error
	}{
		{"once", nil, []any{200}, 1, nil},
		{"again", func(o *opened) func() (io.ReadCloser, error) {
			return func() (io.ReadCloser, error) { return o.body(text), nil }
		}, []any{503, io.EOF, 200}, 3, nil},
		{"cannot be had again", nil, []any{503, 200}, 1, nil},
		{"cannot be had again, after an error", nil, []any{io.EOF, 200}, 1, io.EOF},
		{"fails to be had again", func(*opened) func() (io.ReadCloser, error) {
			return func() (io.ReadCloser, error) { return nil, failing }
		}, []any{503, 200}, 1, failing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var o opened
				req := request(t, "PUT", o.body(text))
				if tt.getBody != nil {
					req.GetBody = tt.getBody(&o)
				}
				p := &scripted{script: tt.script}
				resp, err := retry.Policy{}.Wrap(p).RoundTrip(req)
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) || len(p.times) != tt.attempts {
					t.Fatalf("got %v after %d attempts, want %v after %d", err, len(p.times), tt.err, tt.attempts)
				}
				if err == nil {
					resp.Body.Close()
				}
				if e, ok := errors.AsType[*retry.Error](err); ok && (e.Class != retry.Client || e.Sent != retry.Answered || e.Attempts != 1) {
					t.Errorf("got %#v", e)
				}
				for i, got := range p.bodies {
					if got != text {
						t.Errorf("attempt %d sent %q", i+1, got)
					}
				}
				if o.given != o.closed || p.open() != 0 {
					t.Errorf("%d bodies given, %d closed; %d answers open", o.given, o.closed, p.open())
				}
			})
		})
	}
}

// NoBody can always be had again.
func TestNoBodyIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		req := request(t, "DELETE", nil)
		req.Body = http.NoBody
		p := &scripted{script: []any{503, 200}}
		resp, err := retry.Policy{}.Wrap(p).RoundTrip(req)
		intact(t, p, resp, err, 200, 2)
	})
}

// The contract of http.RoundTripper: the request stays as it was, its body is closed whatever happens.
func TestRequestIsNotModified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, header := range []http.Header{nil, {"X-Test": {"1"}, "Idempotency-Key": {"the caller's own"}}} {
			var o opened
			ctx := retry.WithIdempotencyKey(t.Context(), "k")
			req := request(t, "POST", o.body("x")).WithContext(ctx)
			req.GetBody = func() (io.ReadCloser, error) { return o.body("x"), nil }
			req.Header, req.RequestURI = header, "/v1"
			before, first, headers := *req, req.Body, header.Clone()
			p := &scripted{script: []any{503, 200}}
			resp, err := retry.Policy{IdempotencyHeader: "Idempotency-Key"}.Wrap(p).RoundTrip(req)
			intact(t, p, resp, err, 200, 2)
			if req.Body != first || req.RequestURI != "/v1" || req.Context() != ctx || req.URL != before.URL || req.Method != before.Method ||
				!maps.EqualFunc(req.Header, headers, func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
				t.Errorf("the request is now %+v", req)
			}
			for _, h := range p.heard {
				if got := h.Header.Get("Idempotency-Key"); got != "k" || h.RequestURI != "" || h.Header.Get("X-Test") != header.Get("X-Test") {
					t.Errorf("sent key %q, RequestURI %q, %v", got, h.RequestURI, h.Header)
				}
			}
			if o.given != 2 || o.closed != 2 {
				t.Errorf("%d bodies given, %d closed", o.given, o.closed)
			}
		}
	})
}

func TestRefusedRequest(t *testing.T) {
	for _, u := range []*url.URL{nil} {
		var o opened
		req := request(t, "POST", o.body("x"))
		req.URL = u
		p := &scripted{script: []any{200}}
		_, err := retry.Policy{}.Wrap(p).RoundTrip(req) //nolint:bodyclose // none
		e, _ := errors.AsType[*retry.Error](err)
		if e == nil || e.Class != retry.Client || e.Sent != retry.Never || len(p.times) != 0 {
			t.Errorf("got %v after %d attempts", err, len(p.times))
		}
		if _, ok := e.Err.(*url.Error); ok || o.closed != 1 { //nolint:errorlint // the field itself
			t.Errorf("the cause is %#v, %d bodies closed", e.Err, o.closed)
		}
	}
}

func TestBrokenRoundTrippers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		for name, next := range map[string]roundTripper{
			"nothing": func(*http.Request) (*http.Response, error) { return nil, nil }, //nolint:nilnil // what is tested
			"both": func(*http.Request) (*http.Response, error) {
				b := body("x")
				t.Cleanup(func() {
					if b.closed != 1 {
						t.Errorf("closed %d times", b.closed)
					}
				})
				resp := answer(200)
				resp.Body = b
				return resp, io.ErrUnexpectedEOF
			},
		} {
			counting := roundTripper(func(r *http.Request) (*http.Response, error) { calls++; return next(r) })
			resp, err := retry.Policy{MaxAttempts: 2}.Wrap(counting).RoundTrip(request(t, "GET", nil)) //nolint:bodyclose // none
			if resp != nil || err == nil {
				t.Errorf("%s: got %v, %v", name, resp, err)
			}
		}
		if calls != 4 {
			t.Errorf("%d calls, want 4", calls)
		}
		if resp, err := retry.AttemptTimeout(1e9).Wrap(roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil })). //nolint:nilnil,bodyclose // the same
																		RoundTrip(request(t, "GET", nil)); resp != nil || err == nil {
			t.Errorf("AttemptTimeout: got %v, %v", resp, err)
		}
	})
}

// A panic goes through, and the policy works on.
func TestPanicGoesThrough(t *testing.T) {
	boom := true
	p := &scripted{script: []any{200}}
	rt := retry.Policy{}.Wrap(roundTripper(func(r *http.Request) (*http.Response, error) {
		if boom {
			panic("boom")
		}
		return p.RoundTrip(r)
	}))
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v", got)
			}
		}()
		_, _ = rt.RoundTrip(request(t, "GET", nil)) //nolint:bodyclose // none
	}()
	boom = false
	resp, err := rt.RoundTrip(request(t, "GET", nil))
	intact(t, p, resp, err, 200, 1)
}

// A response whose body was looked at comes back whole, and a repeated one is closed.
func TestPeekInTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classifier := retry.Classifier{
			PeekBody: func(*http.Response) int { return 64 },
			Classify: func(x retry.Exchange) (retry.Verdict, bool) {
				return retry.Verdict{Class: retry.Transient}, !bytes.Contains(x.Body, []byte("3"))
			},
		}
		p := &scripted{script: []any{200}}
		resp, err := retry.Policy{Classifiers: []retry.Classifier{classifier}}.Wrap(p).RoundTrip(request(t, "GET", nil))
		intact(t, p, resp, err, 200, 3)
	})
}
