package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// scripted is a RoundTripper that gives scripted answers, the last one again and again, and keeps what it was asked.
// Like a real one it reads and closes the request's body.
type scripted struct {
	script []any // *http.Response, error, int (a status)
	times  []time.Time
	bodies []string
	gave   []*tracked
	heard  []*http.Request
}

func (p *scripted) RoundTrip(req *http.Request) (*http.Response, error) {
	p.times = append(p.times, time.Now())
	p.heard = append(p.heard, req)
	var sent []byte
	if req.Body != nil {
		sent, _ = io.ReadAll(req.Body)
		req.Body.Close()
	}
	p.bodies = append(p.bodies, string(sent))
	step := p.script[min(len(p.times), len(p.script))-1]
	if err, ok := step.(error); ok {
		return nil, err
	}
	resp, ok := step.(*http.Response)
	if ok {
		c := *resp
		resp = &c
	} else {
		resp = answer(step.(int))
	}
	b := body(fmt.Sprintf("answer %d", len(p.times)))
	p.gave = append(p.gave, b)
	resp.Body, resp.Request = b, req
	return resp, nil
}

// open returns how many of the answers' bodies are not closed.
func (p *scripted) open() (n int) {
	for _, b := range p.gave {
		if b.closed == 0 {
			n++
		}
	}
	return n
}

// waits returns the times between the attempts.
func (p *scripted) waits() (ds []time.Duration) {
	for i := range p.times[1:] {
		ds = append(ds, p.times[i+1].Sub(p.times[i]))
	}
	return ds
}

// intact checks that resp is the last answer of p, unread, and the only one that is still open.
func intact(t *testing.T, p *scripted, resp *http.Response, err error, status, attempts int) {
	t.Helper()
	if err != nil || resp.StatusCode != status || len(p.times) != attempts {
		t.Fatalf("got %v, %v after %d attempts, want status %d after %d", resp, err, len(p.times), status, attempts)
	}
	b, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf("answer %d", attempts); string(b) != want || err != nil {
		t.Errorf("the body is %q, %v, want %q", b, err, want)
	}
	if n := p.open(); n != 1 {
		t.Errorf("%d bodies are open, want the last one", n)
	}
	if resp.Body.Close(); p.open() != 0 {
		t.Error("closing the answer does not reach the partner's body")
	}
}

func TestWrapRepeatsUntilItSucceeds(t *testing.T) {
	for name, script := range map[string][]any{
		"at once":        {200},
		"status":         {503, 200},
		"throttled":      {429, 429, 204},
		"network":        {io.EOF, errors.New("reset"), 502, 200},
		"client's fault": {500, 404},
		"all":            {500, 500, 500, 500},
		"auth":           {401},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &scripted{script: script}
			resp, err := retry.Policy{}.Wrap(p).RoundTrip(request(t, "GET", nil))
			intact(t, p, resp, err, script[len(script)-1].(int), len(script))
			if t.Failed() {
				t.Log(name)
			}
		})
	}
}

func TestWrapReturnsTheLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := errors.New("last")
		p := &scripted{script: []any{503, io.EOF, 500, last}}
		resp, err := retry.Policy{}.Wrap(p).RoundTrip(request(t, "GET", nil)) //nolint:bodyclose // there is none
		if resp != nil || err != last || p.open() != 0 {                      //nolint:errorlint // the very same
			t.Errorf("got %v, %v, %d bodies open", resp, err, p.open())
		}
	})
}

func TestRetryAfterIsHonouredExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := time.Now().Add(40 * time.Second).UTC().Format(http.TimeFormat) // the bubble's clock starts on a full second
		p := &scripted{script: []any{
			answer(503, "Retry-After", "7"), answer(429, "Retry-After", "1.5"), answer(503, "Retry-After", date), 200,
		}}
		resp, err := retry.Policy{}.Wrap(p).RoundTrip(request(t, "GET", nil))
		intact(t, p, resp, err, 200, 4)
		want := []time.Duration{7 * time.Second, 1500 * time.Millisecond, 31500 * time.Millisecond}
		if got := p.waits(); !slices.Equal(got, want) {
			t.Errorf("waited %v, want %v", got, want)
		}
	})
}

// A classifier's time comes before the backoff; one that is over says nothing.
func TestClassifiersTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &scripted{script: []any{200, 200}}
		at := time.Now().Add(9 * time.Second)
		policy := retry.Policy{MaxAttempts: 3, BaseDelay: time.Second, MaxDelay: time.Second,
			Classifiers: []retry.Classifier{says(retry.Verdict{Class: retry.Transient, At: at})}}
		resp, err := policy.Wrap(p).RoundTrip(request(t, "GET", nil))
		intact(t, p, resp, err, 200, 3)
		if got := p.waits(); got[0] != 9*time.Second || got[1] >= time.Second {
			t.Errorf("waited %v, want 9s and a backoff of less than 1s", got)
		}
	})
}

func TestFullJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := retry.Policy{MaxAttempts: 6, BaseDelay: 100 * time.Millisecond, MaxDelay: time.Second}
		var low, high [5]bool
		for range 200 {
			p := &scripted{script: []any{500}}
			resp, err := policy.Wrap(p).RoundTrip(request(t, "GET", nil))
			intact(t, p, resp, err, 500, 6)
			for i, d := range p.waits() {
				limit := policy.Delay(i + 1)
				if d < 0 || d > limit {
					t.Fatalf("wait %d was %v, want at most %v", i+1, d, limit)
				}
				low[i] = low[i] || d < limit/4
				high[i] = high[i] || d > 3*limit/4
			}
		}
		if all := [5]bool{true, true, true, true, true}; low != all || high != all {
			t.Errorf("the waits do not fill their range: low %v, high %v", low, high)
		}
	})
}

// TestPromise7_NoWorkerIsHeldLongerThanItWants: a wait that is too long for anybody concerned is not begun.
func TestPromise7_NoWorkerIsHeldLongerThanItWants(t *testing.T) {
	type limit func(context.Context) (context.Context, context.CancelFunc)
	none := func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} }
	patience := func(d time.Duration) limit {
		return func(ctx context.Context) (context.Context, context.CancelFunc) {
			return retry.WithMaxWait(ctx, d), func() {}
		}
	}
	deadline := func(d time.Duration) limit {
		return func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, d) }
	}
	for _, tt := range []struct {
		name   string
		policy time.Duration
		limit  limit
		after  string
		want   time.Duration // 0: returns at once
	}{
		{"default", 0, none, "60", time.Minute},
		{"default, too long", 0, none, "61", 0},
		{"policy", time.Second, none, "1", time.Second},
		{"policy, too long", time.Second, none, "1.001", 0},
		{"no limit", -1, none, "86400", 24 * time.Hour},
		{"caller", 0, patience(2 * time.Hour), "7200", 2 * time.Hour},
		{"caller, too long", -1, patience(time.Second), "2", 0},
		{"caller, no wait", -1, patience(0), "1", 0},
		{"caller, negative", -1, patience(-time.Hour), "1", 0},
		{"deadline", 0, deadline(10 * time.Second), "9", 9 * time.Second},
		{"deadline, just not", 0, deadline(10 * time.Second), "10", 0},
		{"deadline, caller would wait", 0, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(retry.WithMaxWait(ctx, time.Hour), 10*time.Second)
		}, "11", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &scripted{script: []any{answer(429, "Retry-After", tt.after), 200}}
				ctx, cancel := tt.limit(t.Context())
				defer cancel()
				began := time.Now()
				req := request(t, "GET", nil).WithContext(ctx)
				resp, err := retry.Policy{MaxWait: tt.policy}.Wrap(p).RoundTrip(req)
				if got := time.Since(began); got != tt.want {
					t.Errorf("took %v, want %v", got, tt.want)
				}
				if tt.want > 0 {
					intact(t, p, resp, err, 200, 2)
					return
				}
				intact(t, p, resp, err, 429, 1)
				after, _ := time.ParseDuration(tt.after + "s")
				v := retry.Judge(req, resp, nil)
				if v.Class != retry.RateLimit || !v.At.Equal(began.Add(after)) {
					t.Errorf("the verdict is %+v, want to come back after %v", v, after)
				}
			})
		})
	}
}

// A repetition that the caller did not wait for costs the budget nothing.
func TestCanceledRepetitionCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		budget := newBudget(t, retry.BudgetConfig{Capacity: 100})
		time.AfterFunc(3*time.Second, func() { cancel(why) })
		p := &scripted{script: []any{answer(503, "Retry-After", "30")}}
		began := time.Now()
		resp, err := retry.Policy{Budget: budget}.Wrap(p).RoundTrip(request(t, "GET", nil).WithContext(ctx)) //nolint:bodyclose // none
		e, _ := errors.AsType[*retry.Error](err)
		if resp != nil || e == nil || e.Class != retry.Canceled || e.Sent != retry.Answered || !errors.Is(err, why) || e.Attempts != 1 ||
			e.Waits.Backoff != 3*time.Second {
			t.Errorf("got %v, %#v", resp, err)
		}
		if got := time.Since(began); got != 3*time.Second || p.open() != 0 || len(p.times) != 1 {
			t.Errorf("took %v, %d bodies open, %d attempts", got, p.open(), len(p.times))
		}
		if got := budget.Tokens(); got != 100 {
			t.Errorf("%d tokens left, want 100: nothing was repeated", got)
		}
	})
}

// The context ends while an attempt is made: nothing is repeated nor announced.
func TestCanceledDuringAnAttempt(t *testing.T) {
	for name, script := range map[string]any{"answered": 503, "failed": io.EOF} {
		synctest.Test(t, func(t *testing.T) {
			why := errors.New("shutting down")
			ctx, cancel := context.WithCancelCause(t.Context())
			p := &scripted{script: []any{script}}
			next := roundTripper(func(r *http.Request) (*http.Response, error) { cancel(why); return p.RoundTrip(r) })
			policy := retry.Policy{OnRetry: func(context.Context, retry.Retrying) { t.Error("announced") }}
			_, err := policy.Wrap(next).RoundTrip(request(t, "GET", nil).WithContext(ctx)) //nolint:bodyclose // none
			if len(p.times) != 1 || p.open() != 0 || err == nil {
				t.Errorf("%s: %v after %d attempts, %d bodies open", name, err, len(p.times), p.open())
			}
			if got := retry.Judge(request(t, "GET", nil).WithContext(ctx), nil, err).Class; got != retry.Canceled {
				t.Errorf("%s: %v is judged %v, want canceled", name, err, got)
			}
		})
	}
}

func TestOnRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []retry.Retrying
		var began []time.Time
		p := &scripted{script: []any{answer(503, "Retry-After", "2"), io.EOF, 404}}
		policy := retry.Policy{OnRetry: func(ctx context.Context, r retry.Retrying) {
			if a := retry.AttemptFrom(ctx); a != nil && a.Number != r.Attempt {
				t.Errorf("attempt %d is announced as %d", a.Number, r.Attempt)
			}
			got, began = append(got, r), append(began, time.Now())
		}}
		resp, err := policy.Wrap(p).RoundTrip(request(t, "GET", nil))
		intact(t, p, resp, err, 404, 3)
		if len(got) != 2 || got[0].Attempt != 1 || got[0].Verdict.Class != retry.Transient || got[0].Wait != 2*time.Second ||
			got[1].Attempt != 2 || got[1].Wait != p.waits()[1] || !began[0].Equal(p.times[0]) || !began[1].Equal(p.times[1]) {
			t.Errorf("got %+v at %v", got, began)
		}
	})
}

// A redirect belongs to the http.Client around: wherever it leads, and even if that cannot be read.
func TestRedirectsAreLeftAlone(t *testing.T) {
	for _, status := range []int{300, 301, 302, 303, 304, 307, 308, 399} {
		for _, to := range []string{"", "https://elsewhere.example/", "http://[::1", "%zz", ":"} {
			resp := answer(status)
			if to != "" {
				resp.Header.Set("Location", to)
			}
			p := &scripted{script: []any{resp}}
			got, err := retry.Policy{}.Wrap(p).RoundTrip(request(t, "POST", strings.NewReader("x")))
			intact(t, p, got, err, status, 1)
			if l := got.Header.Get("Location"); l != to {
				t.Errorf("%d: the location is %q, want %q", status, l, to)
			}
		}
	}
	synctest.Test(t, func(t *testing.T) { // a dialect can call one a failure
		classifier := retry.Classifier{Classify: func(x retry.Exchange) (retry.Verdict, bool) {
			return retry.Verdict{Class: retry.Transient}, x.Response.StatusCode == http.StatusFound
		}}
		p := &scripted{script: []any{302, 200}}
		resp, err := retry.Policy{Classifiers: []retry.Classifier{classifier}}.Wrap(p).RoundTrip(request(t, "GET", nil))
		intact(t, p, resp, err, 200, 2)
	})
}

func TestRefusalsOfTheKitAreNotRepeated(t *testing.T) {
	for _, class := range []retry.Class{retry.RateLimit, retry.Unavailable, retry.Auth, retry.Client, retry.Data, retry.Canceled} {
		refusal := &retry.Error{Verdict: retry.Verdict{Class: class, Sent: retry.Never, At: time.Now()}}
		p := &scripted{script: []any{refusal}}
		_, err := retry.Policy{}.Wrap(p).RoundTrip(request(t, "GET", nil)) //nolint:bodyclose // none
		if len(p.times) != 1 || err != error(refusal) {                    //nolint:errorlint // the very same
			t.Errorf("%v: got %v after %d attempts", class, err, len(p.times))
		}
	}
}

func TestNestedWrapReportsItsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &scripted{script: []any{answer(503, "Retry-After", "3"), answer(503, "Retry-After", "4"), 200}}
		next := roundTripper(func(r *http.Request) (*http.Response, error) {
			a := retry.AttemptFrom(r.Context())
			if a.Number != len(p.times)+1 {
				t.Errorf("attempt %d has number %d", len(p.times)+1, a.Number)
			}
			a.Waits.AddTier("minute", time.Second)
			a.Waits.Auth += time.Millisecond
			a.Waits.Partner += time.Microsecond
			return p.RoundTrip(r)
		})
		ctx, outer := retry.WithAttempt(t.Context())
		outer.Waits.AddTier("minute", time.Minute)
		resp, err := retry.Policy{}.Wrap(next).RoundTrip(request(t, "GET", nil).WithContext(ctx))
		intact(t, p, resp, err, 200, 3)
		w := outer.Waits
		if w.Backoff != 7*time.Second || w.Limiter != 63*time.Second || w.Auth != 3*time.Millisecond || w.Partner != 3*time.Microsecond ||
			len(w.Tiers) != 1 || outer.Number != 1 {
			t.Errorf("the outer attempt is number %d with %+v", outer.Number, w)
		}
	})
}

// Each attempt is judged, also when it ends as the one before.
func TestEachAttemptIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		judged := 0
		p := &scripted{script: []any{io.EOF}}
		policy := retry.Policy{Classifiers: []retry.Classifier{passes(&judged)}}
		if _, err := policy.Wrap(p).RoundTrip(request(t, "GET", nil)); !errors.Is(err, io.EOF) || judged != 4 { //nolint:bodyclose // none
			t.Errorf("%d of 4 attempts judged; %v", judged, err)
		}
	})
}

// The outer attempt's classifiers judge for a Policy that has none.
func TestClassifiersOfTheOuterAttempt(t *testing.T) {
	ctx, _ := retry.WithAttempt(t.Context(), says(retry.Verdict{Class: retry.Client}))
	p := &scripted{script: []any{503}}
	resp, err := retry.Policy{}.Wrap(p).RoundTrip(request(t, "GET", nil).WithContext(ctx))
	intact(t, p, resp, err, 503, 1)
}
