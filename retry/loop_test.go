package retry_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

var (
	refused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	reset   = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
)

func TestWrapRepeats(t *testing.T) {
	keyed := func(ctx context.Context) context.Context { return retry.WithIdempotencyKey(ctx, "k1") }
	idem := func(v bool) func(context.Context) context.Context {
		return func(ctx context.Context) context.Context { return retry.WithIdempotent(ctx, v) }
	}
	refusal := &retry.Error{Verdict: retry.Verdict{Class: retry.RateLimit, Sent: retry.Never}}
	for _, tt := range []struct {
		name   string
		method string
		body   string
		ctx    func(context.Context) context.Context
		first  move
		want   int // attempts
	}{
		{"get ok", "GET", "", nil, replies(200), 1},
		{"get 500", "GET", "", nil, replies(500), 2},
		{"get 503", "GET", "", nil, replies(503), 2},
		{"get 429", "GET", "", nil, replies(429), 2},
		{"get 425", "GET", "", nil, replies(425), 2},
		{"get 501", "GET", "", nil, replies(501), 1},
		{"get 404", "GET", "", nil, replies(404), 1},
		{"get 401", "GET", "", nil, replies(401), 1},
		{"get 302", "GET", "", nil, replies(302, "Location", "::not a url"), 1},
		{"get reset", "GET", "", nil, breaks(reset), 2},
		{"get refused by the limiter", "GET", "", nil, breaks(refusal), 1},
		{"get canceled inside", "GET", "", nil, breaks(context.Canceled), 1},
		{"get once only", "GET", "", idem(false), replies(503), 1},
		{"get once only, never sent", "GET", "", idem(false), breaks(refused), 2},
		{"put 500", "PUT", "x", nil, replies(500), 2},
		{"delete reset", "DELETE", "", nil, breaks(reset), 2},
		{"post 500", "POST", "x", nil, replies(500), 1},
		{"post 429, which was not processed", "POST", "x", nil, replies(429), 2},
		{"post 425, which was not processed", "POST", "x", nil, replies(425), 2},
		{"post reset", "POST", "x", nil, breaks(reset), 1},
		{"post refused", "POST", "x", nil, breaks(refused), 2},
		{"post that only reads", "POST", "x", idem(true), replies(500), 2},
		{"post with a key", "POST", "x", keyed, replies(500), 2},
		{"patch reset", "PATCH", "x", nil, breaks(reset), 1},
		{"patch with a key", "PATCH", "x", keyed, breaks(reset), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.ctx != nil {
					ctx = tt.ctx(ctx)
				}
				pa := &partner{steps: []move{tt.first, replies(200)}}
				resp, _, err := through(t, retry.Policy{IdempotencyHeader: "Idempotency-Key"}, pa, newRequest(t, ctx, tt.method, tt.body))
				if got := len(pa.methods); got != tt.want {
					t.Errorf("%d attempts, want %d; %v, %v", got, tt.want, resp, err)
				}
				for i, b := range pa.bodies {
					if b != tt.body {
						t.Errorf("attempt %d was sent %q", i+1, b)
					}
				}
				if tt.want == 2 && (err != nil || resp.StatusCode != http.StatusOK) {
					t.Errorf("got %v, %v", resp, err)
				}
				if last := pa.answers[len(pa.answers)-1]; resp != last {
					t.Errorf("got %v, want the last answer", resp)
				} else if resp != nil && resp.Body.(*counted).closed.Load() != 0 {
					t.Error("the last answer is closed")
				}
				if first := pa.answers[0]; tt.want == 2 && first != nil && first.Body.(*counted).closed.Load() != 1 {
					t.Error("the first answer is not closed once")
				}
			})
		})
	}
}

// A write whose outcome is unknown is never blindly repeated; one that is, carries one key in every attempt.
func TestPromise10_WriteNotDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unknown := []move{breaks(reset), breaks(io.ErrUnexpectedEOF), replies(500), replies(502), replies(503, "Retry-After", "1"), replies(504), replies(408)}
		for _, s := range unknown {
			for _, method := range []string{"POST", "PATCH"} {
				// A key that the partner does not take protects nothing.
				pa := &partner{steps: []move{s, replies(201)}}
				_, _, _ = through(t, retry.Policy{}, pa, newRequest(t, retry.WithIdempotencyKey(t.Context(), "k1"), method, "write"))
				if len(pa.methods) != 1 || pa.keys[0] != "" {
					t.Errorf("%s without a key was sent %d times with keys %q", method, len(pa.methods), pa.keys)
				}
				pa = &partner{steps: []move{s, s, s, replies(201)}}
				req := newRequest(t, retry.WithIdempotencyKey(t.Context(), "k1"), method, "write")
				resp, _, err := through(t, retry.Policy{IdempotencyHeader: "idempotency-key"}, pa, req)
				if err != nil || resp.StatusCode != http.StatusCreated || strings.Join(pa.keys, ",") != "k1,k1,k1,k1" || strings.Join(pa.bodies, ",") != "write,write,write,write" {
					t.Errorf("%s with a key: %v, %v; keys %q, bodies %q", method, resp, err, pa.keys, pa.bodies)
				}
				if len(req.Header) != 0 {
					t.Errorf("the request was modified: %v", req.Header)
				}
			}
		}
		// What an earlier attempt left unknown is not forgotten because the last one did not get out.
		for _, last := range []error{refused, &retry.Error{Verdict: retry.Verdict{Class: retry.Unavailable, Sent: retry.Never}, Err: io.EOF}} {
			pa := &partner{steps: []move{breaks(reset), breaks(last)}}
			req := newRequest(t, retry.WithIdempotencyKey(t.Context(), "k1"), "POST", "write")
			ctx, _ := retry.WithAttempt(req.Context())
			req = req.WithContext(ctx)
			_, err := retry.Policy{IdempotencyHeader: "Idempotency-Key"}.Wrap(pa).RoundTrip(req)
			if v := retry.Judge(req, nil, err); v.Sent != retry.Unknown {
				t.Errorf("sent is %v after a reset and then %v", v.Sent, last)
			}
			if e, ok := errors.AsType[*retry.Error](err); ok && (e.Sent != retry.Unknown || !errors.Is(err, refused) && !errors.Is(err, io.EOF)) {
				t.Errorf("the error says %v: %v", e.Sent, err)
			}
		}
	})
}

// A wait longer than the caller's limit is not begun: the call returns at once with the time to come back.
func TestPromise7_NoLongWait(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy retry.Policy
		ctx    func(context.Context) (context.Context, context.CancelFunc)
		after  string
		want   time.Duration // waited
	}{
		{"fits", retry.Policy{}, nil, "7", 7 * time.Second},
		{"fraction", retry.Policy{BaseDelay: 1}, nil, "0.25", 250 * time.Millisecond},
		{"longer than MaxWait", retry.Policy{}, nil, "61", 0},
		{"MaxWait", retry.Policy{MaxWait: 2 * time.Minute}, nil, "61", 61 * time.Second},
		{"no wait is too long", retry.Policy{MaxWait: -1}, nil, "86400", 24 * time.Hour},
		{"deadline", retry.Policy{}, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 6*time.Second)
		}, "7", 0},
		{"patience", retry.Policy{MaxWait: -1}, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return retry.WithMaxWait(ctx, 6*time.Second), func() {}
		}, "7", 0},
		{"more patience than the policy", retry.Policy{}, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return retry.WithMaxWait(ctx, time.Hour), func() {}
		}, "600", 10 * time.Minute},
		{"no patience", retry.Policy{}, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return retry.WithMaxWait(ctx, 0), func() {}
		}, "0", 0},
		{"for ever", retry.Policy{}, nil, "99999999999999999999", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if tt.ctx != nil {
					ctx, cancel = tt.ctx(ctx)
				}
				defer cancel()
				pa := &partner{steps: []move{replies(429, "Retry-After", tt.after), replies(200)}}
				begin := time.Now()
				req := newRequest(t, ctx, "GET", "")
				ctx, a := retry.WithAttempt(ctx)
				req = req.WithContext(ctx)
				resp, err := tt.policy.Wrap(pa).RoundTrip(req)
				if took := time.Since(begin); err != nil || took != tt.want {
					t.Fatalf("took %v, want %v; %v", took, tt.want, err)
				}
				if a.Waits.Backoff != tt.want {
					t.Errorf("%v counted, want %v", a.Waits.Backoff, tt.want)
				}
				if tt.want != 0 {
					return
				}
				if v := retry.Judge(req, resp, err); resp.StatusCode != http.StatusTooManyRequests || v.Class != retry.RateLimit || v.At.IsZero() || len(pa.methods) != 1 {
					t.Errorf("got %v, %+v after %d attempts", resp.StatusCode, v, len(pa.methods))
				}
			})
		})
	}
}

func TestCanceledWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shutdown := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(shutdown) })
		pa := &partner{steps: []move{replies(503, "Retry-After", "30")}}
		begin := time.Now()
		req := newRequest(t, ctx, "GET", "")
		resp, a, err := through(t, retry.Policy{}, pa, req)
		if resp != nil || !errors.Is(err, shutdown) || time.Since(begin) != 3*time.Second || a.Waits.Backoff != 3*time.Second {
			t.Errorf("got %v, %v after %v", resp, err, time.Since(begin))
		}
		if v := retry.Judge(req, nil, err); v.Class != retry.Canceled || v.Fault {
			t.Errorf("judged %+v", v)
		}
		if pa.answers[0].Body.(*counted).closed.Load() != 1 {
			t.Error("the answer is not closed")
		}
	})
}

func TestBackoffIsJitteredAndCapped(t *testing.T) {
	p := retry.Policy{BaseDelay: time.Second, MaxDelay: 5 * time.Second}
	for n, want := range []string{"1s", "1s", "2s", "4s", "5s", "5s"} {
		if got := p.Delay(n).String(); got != want {
			t.Errorf("Delay(%d) is %s, want %s", n, got, want)
		}
	}
	if got := (retry.Policy{BaseDelay: 1 << 62, MaxDelay: math.MaxInt64}).Delay(9); got != math.MaxInt64 {
		t.Errorf("overflow: %v", got)
	}
	if got := (retry.Policy{BaseDelay: time.Hour}).Delay(1); got != time.Hour {
		t.Errorf("MaxDelay does not follow BaseDelay: %v", got)
	}
	if got := (retry.Policy{MaxDelay: time.Millisecond}).Delay(1); got != time.Millisecond {
		t.Errorf("BaseDelay does not follow MaxDelay: %v", got)
	}
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		p := retry.Policy{BaseDelay: time.Second, MaxAttempts: 5, MaxDelay: 3 * time.Second}
		p.OnRetry = func(_ context.Context, r retry.Retrying) {
			if r.Wait < 0 || r.Wait > p.Delay(r.Attempt) || r.Verdict.Class != retry.Transient {
				t.Errorf("%+v", r)
			}
			seen[r.Wait] = true
		}
		pa := &partner{steps: []move{replies(500)}}
		for range 20 {
			if resp, _, err := through(t, p, pa, newRequest(t, t.Context(), "GET", "")); err != nil || resp.StatusCode != http.StatusInternalServerError {
				t.Fatal(resp, err)
			}
		}
		if len(pa.methods) != 100 || len(seen) < 70 {
			t.Errorf("%d attempts, %d different waits", len(pa.methods), len(seen))
		}
	})
}

func TestBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		req := newRequest(t, t.Context(), "PUT", "x")
		req.GetBody = nil
		pa := &partner{steps: []move{breaks(refused), replies(200)}}
		if _, _, err := through(t, retry.Policy{}, pa, req); !errors.Is(err, refused) || len(pa.methods) != 1 {
			t.Errorf("a body that is gone was sent again: %d attempts, %v", len(pa.methods), err)
		}
		gone := errors.New("disk is gone")
		req = newRequest(t, t.Context(), "PUT", "x")
		req.GetBody = func() (io.ReadCloser, error) { return nil, gone }
		pa = &partner{steps: []move{breaks(reset), replies(200)}}
		if resp, _, err := through(t, retry.Policy{}, pa, req); resp != nil || !errors.Is(err, gone) || len(pa.methods) != 1 {
			t.Errorf("got %v, %v", resp, err)
		}
	})
}

func TestValidateNamesEveryProblem(t *testing.T) {
	err := retry.Policy{MaxAttempts: -1, BaseDelay: -1, MaxDelay: -1, IdempotencyHeader: "a b", Classifiers: []retry.Classifier{{}}, Budget: &retry.Budget{}}.Validate()
	for _, field := range []string{"MaxAttempts", "BaseDelay", "MaxDelay", "IdempotencyHeader", "Classifiers[0]", "Budget"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
	if err := (retry.Policy{BaseDelay: 2, MaxDelay: 1}).Validate(); err == nil {
		t.Error("MaxDelay below BaseDelay is accepted")
	}
	if err := (retry.Policy{MaxWait: -1}).Validate(); err != nil {
		t.Error(err)
	}
	// What Validate refuses, Wrap survives.
	p := retry.Policy{MaxAttempts: -1, BaseDelay: -1, MaxDelay: -1, IdempotencyHeader: "a b", Classifiers: []retry.Classifier{{}}}
	if resp, err := p.Wrap(&partner{steps: []move{replies(200)}}).RoundTrip(newRequest(t, t.Context(), "POST", "x")); err != nil || resp.StatusCode != http.StatusOK {
		t.Error(resp, err)
	}
}
