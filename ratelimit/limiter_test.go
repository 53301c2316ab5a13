package ratelimit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

func newLimiter(t testing.TB, o ratelimit.Options, tiers ...ratelimit.Tier) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(tiers, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// send makes a call that is answered after latency.
func send(t testing.TB, l *ratelimit.Limiter, c ratelimit.Call, latency time.Duration) {
	t.Helper()
	p, err := l.Acquire(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(latency)
	p.Answered(200, nil)
	p.Release()
}

func TestAcquireWaitsForTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 3, Per: time.Second}, ratelimit.Tier{Requests: 5, Per: time.Minute})
		start := time.Now()
		for i, want := range []time.Duration{0, 0, 0, time.Second, time.Second, time.Minute} {
			p, err := l.Acquire(t.Context(), ratelimit.Call{})
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != want {
				t.Errorf("call %d was admitted after %v, want %v", i, got, want)
			}
			p.Answered(200, nil)
			p.Release()
		}
	})
}

// The window starts when the answer was read, not when the call was admitted: the partner may have counted it that late.
func TestWindowStartsAtTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 1, Per: time.Second})
		start := time.Now()
		send(t, l, ratelimit.Call{}, 300*time.Millisecond)
		send(t, l, ratelimit.Call{}, 0)
		if got, want := time.Since(start), 1300*time.Millisecond; got != want {
			t.Errorf("second call after %v, want %v", got, want)
		}
	})
}

func TestReleaseWithoutAnswerRefunds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, kind := range []ratelimit.Kind{ratelimit.Sliding, ratelimit.Fixed, ratelimit.TokenBucket} {
			l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Kind: kind, Requests: 2, Per: time.Hour}, ratelimit.Tier{Concurrent: 2})
			for range 1000 {
				p, err := l.Acquire(t.Context(), ratelimit.Call{Cost: 2})
				if err != nil {
					t.Fatalf("%v: %v", kind, err)
				}
				p.Release()
				p.Release()
				p.Answered(200, nil)
			}
			u, err := l.Usage(t.Context(), "")
			if err != nil || u.Tiers[0].Used != 0 || u.InFlight != 0 {
				t.Errorf("%v: after refunds: %+v, %v", kind, u, err)
			}
		}
	})
}

func TestLostIsChargedAsIfItArrivedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, kind := range []ratelimit.Kind{ratelimit.Sliding, ratelimit.TokenBucket} {
			l := newLimiter(t, ratelimit.Options{LostGrace: 5 * time.Second}, ratelimit.Tier{Kind: kind, Requests: 1, Per: time.Minute})
			start := time.Now()
			p, err := l.Acquire(t.Context(), ratelimit.Call{})
			if err != nil {
				t.Fatal(err)
			}
			p.Lost()
			p.Answered(200, nil) // too late: it has an effect once
			p.Release()
			send(t, l, ratelimit.Call{}, 0)
			if got, want := time.Since(start), 65*time.Second; got < want || got > want+time.Nanosecond {
				t.Errorf("%v: next call after %v, want %v", kind, got, want)
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deadline, cancel := context.WithTimeout(t.Context(), 59*time.Second)
		defer cancel()
		for _, c := range []struct {
			name string
			ctx  context.Context
			o    ratelimit.Options
		}{
			{"deadline", deadline, ratelimit.Options{}},
			{"retry.WithMaxWait", retry.WithMaxWait(t.Context(), 59*time.Second), ratelimit.Options{MaxWait: time.Hour}},
			{"Options.MaxWait", t.Context(), ratelimit.Options{MaxWait: 59 * time.Second}},
			{"never wait", t.Context(), ratelimit.Options{MaxWait: -1}},
		} {
			var told []ratelimit.Wait
			c.o.OnWait = func(_ context.Context, w ratelimit.Wait) { told = append(told, w) }
			l := newLimiter(t, c.o, ratelimit.Tier{Requests: 1, Per: time.Minute}, ratelimit.Tier{Requests: 10, Per: time.Hour, Name: "hourly"})
			send(t, l, ratelimit.Call{Key: "k"}, 0)
			start := time.Now()
			_, err := l.Acquire(c.ctx, ratelimit.Call{Key: "k"})
			e, ok := errors.AsType[*retry.Error](err)
			if !ok || e.Class != retry.RateLimit || e.Sent != retry.Never || e.Fault || !e.At.Equal(start.Add(time.Minute)) {
				t.Errorf("%s: %+v", c.name, err)
			}
			if got, want := err.Error(), "ratelimit: tier 1/1m0s has no room in time"; !ok || e.Err.Error() != want {
				t.Errorf("%s: %q, want %q in it", c.name, got, want)
			}
			if time.Since(start) != 0 {
				t.Errorf("%s: refused after %v", c.name, time.Since(start))
			}
			if want := (ratelimit.Wait{Key: "k", Tier: "1/1m0s", Refused: true, At: start.Add(time.Minute)}); len(told) != 1 || told[0].Key != want.Key ||
				told[0].Tier != want.Tier || !told[0].Refused || !told[0].At.Equal(want.At) {
				t.Errorf("%s: OnWait was told %+v, want %+v", c.name, told, want)
			}
		}
	})
}

func TestCanceledWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 1, Per: time.Minute})
		send(t, l, ratelimit.Call{}, 0)
		cause := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Second, func() { cancel(cause) })
		_, err := l.Acquire(ctx, ratelimit.Call{})
		e, ok := errors.AsType[*retry.Error](err)
		if !ok || e.Class != retry.Canceled || e.Sent != retry.Never || !errors.Is(err, cause) || e.Waits.Limiter != 10*time.Second {
			t.Errorf("%+v", err)
		}
		if u, _ := l.Usage(t.Context(), ""); u.Waiting != 0 || u.Tiers[0].Used != 1 {
			t.Errorf("a phantom is left: %+v", u)
		}
		if _, err := l.Acquire(ctx, ratelimit.Call{}); retry.ClassOf(err) != retry.Canceled {
			t.Errorf("with an ended context: %v", err)
		}
	})
}

func TestCostAboveALimit(t *testing.T) {
	l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 10, Per: time.Minute}, ratelimit.Tier{Kind: ratelimit.TokenBucket, Requests: 20, Per: time.Minute, Burst: 4})
	for _, cost := range []int64{5, 11, -1} {
		if _, err := l.Acquire(t.Context(), ratelimit.Call{Cost: cost}); retry.ClassOf(err) != retry.Client {
			t.Errorf("cost %d: %v, want class client", cost, err)
		}
	}
}

func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Concurrent: 2}, ratelimit.Tier{Requests: 100, Per: time.Second})
		a, _ := l.Acquire(t.Context(), ratelimit.Call{})
		b, _ := l.Acquire(t.Context(), ratelimit.Call{Cost: 7})
		time.AfterFunc(3*time.Second, b.Release)
		start := time.Now()
		if at := l.Ready(t.Context(), ratelimit.Call{}); !at.After(start) {
			t.Errorf("Ready says %v", at)
		}
		_, err := l.Acquire(retry.WithMaxWait(t.Context(), 0), ratelimit.Call{})
		if retry.ClassOf(err) != retry.RateLimit || !retry.At(err).After(start) {
			t.Errorf("no patience: %v", err)
		}
		c, err := l.Acquire(t.Context(), ratelimit.Call{})
		if err != nil || time.Since(start) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		a.Release()
		c.Release()
	})
}
