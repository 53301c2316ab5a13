package retry_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// slow gives a byte after each delay, until its context ends.
type slow struct {
	ctx    context.Context
	delay  time.Duration
	left   int
	closed bool
}

func (s *slow) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(s.delay):
		s.left--
		return copy(p, "x"), nil
	case <-s.ctx.Done():
		return 0, s.ctx.Err() // as HTTP/2 says it, without the cause
	}
}

func (s *slow) Close() error { s.closed = true; return nil }

func TestAttemptTimeout(t *testing.T) {
	hang := func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }
	trickle := func(n int) move {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: &slow{ctx: r.Context(), delay: time.Second, left: n}}, nil
		}
	}
	for _, tt := range []struct {
		name   string
		next   move
		caller time.Duration // its own deadline
		class  retry.Class
		took   time.Duration
	}{
		{"no header", hang, time.Hour, retry.Transient, 30 * time.Second},
		{"slow body", trickle(60), time.Hour, retry.Transient, 30 * time.Second},
		{"in time", trickle(20), time.Hour, retry.OK, 20 * time.Second},
		{"caller gave up before the header", hang, 10 * time.Second, retry.Canceled, 10 * time.Second},
		{"caller gave up in the body", trickle(60), 9500 * time.Millisecond, retry.Canceled, 9500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.caller)
				defer cancel()
				begin := time.Now()
				req := newRequest(t, ctx, "GET", "")
				resp, err := retry.AttemptTimeout(30 * time.Second).Wrap(roundTripper(tt.next)).RoundTrip(req)
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if took := time.Since(begin); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if tt.class == retry.OK {
					if err != nil {
						t.Error(err)
					}
					return
				}
				v := retry.Judge(req, nil, err)
				if v.Class != tt.class || v.Fault != (tt.class == retry.Transient) || v.Sent != retry.Unknown || retry.ClassOf(err) != tt.class {
					t.Errorf("%v is judged %+v, ClassOf %v", err, v, retry.ClassOf(err))
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v is no deadline", err)
				}
			})
		})
	}
}

func TestAttemptTimeoutEndsWithTheBody(t *testing.T) {
	var ctx context.Context
	next := roundTripper(func(r *http.Request) (*http.Response, error) { ctx = r.Context(); return reply(200), nil })
	resp, err := retry.AttemptTimeout(time.Hour).Wrap(next).RoundTrip(newRequest(t, t.Context(), "GET", ""))
	if err != nil || ctx.Err() != nil {
		t.Fatal(err, ctx.Err())
	}
	if resp.Body.Close(); ctx.Err() == nil {
		t.Error("the attempt's context outlives its body")
	}
	// The breaker may stand inside: it sees the attempt's own context.
	synctest.Test(t, func(t *testing.T) {
		next := roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			if v := retry.Judge(r, nil, r.Context().Err()); v.Class != retry.Transient || !v.Fault {
				t.Errorf("inside, judged %+v", v)
			}
			return nil, r.Context().Err()
		})
		_, err := retry.AttemptTimeout(time.Second).Wrap(next).RoundTrip(newRequest(t, t.Context(), "GET", ""))
		if v := retry.Judge(newRequest(t, t.Context(), "GET", ""), nil, err); v.Class != retry.Transient {
			t.Errorf("outside, judged %+v", v)
		}
	})
	if rt := retry.AttemptTimeout(0).Wrap(next); rt == nil {
		t.Error("no transport")
	} else if _, ok := rt.(roundTripper); !ok {
		t.Error("0 sets a limit")
	}
}

// A read that takes what it reads must not be sent again by http.Transport, which does that by itself when a
// kept connection breaks.
func TestPromise10_NoSilentResend(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		var requests atomic.Int32
		done := make(chan struct{}, 16)
		serve := func(c net.Conn, first bool) {
			defer func() { c.Close(); done <- struct{}{} }()
			r := bufio.NewReader(c)
			for n := 0; ; n++ {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				if req.ContentLength != 0 || len(req.TransferEncoding) > 0 {
					t.Errorf("a body on the wire: %v %v", req.ContentLength, req.TransferEncoding)
				}
				requests.Add(1)
				if first && n == 1 {
					return // the second request on the first connection is taken, and not answered
				}
				if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
					return
				}
			}
		}
		dials := 0
		base := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			dials++
			go serve(server, dials == 1)
			return client, nil
		}}
		rt := retry.AttemptTimeout(time.Minute).Wrap(base)
		var errs []error
		for range 2 {
			req := newRequest(t, retry.WithIdempotent(t.Context(), idempotent), "GET", "")
			req.URL.Scheme = "http"
			resp, err := rt.RoundTrip(req)
			if errs = append(errs, err); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}
		base.CloseIdleConnections()
		for range dials {
			<-done
		}
		want := int32(2)
		if idempotent {
			want = 3
		}
		if got := requests.Load(); got != want || (errs[1] == nil) != idempotent {
			t.Errorf("idempotent %v: %d requests, want %d; %v", idempotent, got, want, errs)
		}
	}
}
