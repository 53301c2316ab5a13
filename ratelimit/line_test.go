package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// inBoth runs the test with the counts in the limiter and in a Quota.
func inBoth(t *testing.T, test func(t *testing.T, open func(o ratelimit.Options, tiers ...ratelimit.Tier) *ratelimit.Limiter)) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			test(t, func(o ratelimit.Options, tiers ...ratelimit.Tier) *ratelimit.Limiter {
				return newLimiter(t, o, tiers...)
			})
		})
	})
	t.Run("quota", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			test(t, func(o ratelimit.Options, tiers ...ratelimit.Tier) *ratelimit.Limiter {
				q, err := ratelimit.NewMemory(tiers)
				if err != nil {
					t.Fatal(err)
				}
				o.Quota = q
				return newLimiter(t, o, tiers...)
			})
		})
	})
}

type opener = func(o ratelimit.Options, tiers ...ratelimit.Tier) *ratelimit.Limiter

func TestLineIsOrdered(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		l := open(ratelimit.Options{}, ratelimit.Tier{Requests: 1, Per: time.Second})
		send(t, l, ratelimit.Call{}, 0)
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		for i, p := range []ratelimit.Priority{ratelimit.Background, ratelimit.Scheduled, ratelimit.Scheduled, ratelimit.Interactive, ratelimit.FollowUp, ratelimit.Interactive} {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				send(t, l, ratelimit.Call{Priority: p}, 0)
				mu.Lock()
				order = append(order, fmt.Sprintf("%d@%d", i, p))
				mu.Unlock()
			})
		}
		wg.Wait()
		if want := []string{"3@2", "5@2", "4@1", "1@0", "2@0", "0@-1"}; !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
	})
}

// A big call at the head of the line is not starved by small ones that would fit.
func TestLineIsNotOvertaken(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		l := open(ratelimit.Options{}, ratelimit.Tier{Requests: 4, Per: time.Second})
		for range 2 {
			send(t, l, ratelimit.Call{}, 0)
		}
		start := time.Now()
		var big, small time.Duration
		var wg sync.WaitGroup
		wg.Go(func() { send(t, l, ratelimit.Call{Cost: 4}, 0); big = time.Since(start) })
		wg.Go(func() {
			time.Sleep(time.Millisecond)
			send(t, l, ratelimit.Call{}, 0)
			small = time.Since(start)
		})
		wg.Wait()
		if big != time.Second || small != 2*time.Second {
			t.Errorf("big after %v, small after %v; want 1s, 2s", big, small)
		}
	})
}

func TestParkHoldsEveryoneBack(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		l := open(ratelimit.Options{}, ratelimit.Tier{Requests: 100, Per: time.Second})
		start := time.Now()
		for _, d := range []time.Duration{time.Minute, time.Second} { // the earlier one has no effect
			if err := l.Park(t.Context(), "a", start.Add(d)); err != nil {
				t.Fatal(err)
			}
		}
		if at := l.Ready(t.Context(), ratelimit.Call{Key: "a"}); !at.Equal(start.Add(time.Minute)) {
			t.Errorf("Ready says %v, want in a minute", at.Sub(start))
		}
		if at := l.Ready(t.Context(), ratelimit.Call{Key: "b"}); !at.IsZero() {
			t.Errorf("another key is ready at %v", at)
		}
		_, err := l.Acquire(retry.WithMaxWait(t.Context(), 59*time.Second), ratelimit.Call{Key: "a"})
		if retry.ClassOf(err) != retry.RateLimit || !retry.At(err).Equal(start.Add(time.Minute)) {
			t.Errorf("got %v", err)
		}
		send(t, l, ratelimit.Call{Key: "b"}, 0)
		time.AfterFunc(10*time.Second, func() { _ = l.Park(context.Background(), "a", time.Time{}) })
		ctx, a := retry.WithAttempt(t.Context())
		p, err := l.Acquire(ctx, ratelimit.Call{Key: "a"})
		if err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("after lifting: %v, %v", time.Since(start), err)
		}
		p.Release()
		if want := []retry.TierWait{{Tier: "parked", Wait: 10 * time.Second}}; !slices.Equal(a.Waits.Tiers, want) || a.Waits.Limiter != 10*time.Second {
			t.Errorf("waits are %+v, want %v", a.Waits, want)
		}
	})
}

// Promise 7: a worker is never parked. When a 429 moves the time beyond a caller's patience, it is told at once.
func TestPromise7_WhoWaitsIsToldWhenTheWaitGrows(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		l := open(ratelimit.Options{}, ratelimit.Tier{Requests: 1, Per: 10 * time.Second})
		send(t, l, ratelimit.Call{}, 0)
		start := time.Now()
		time.AfterFunc(time.Second, func() { _ = l.Park(context.Background(), "", start.Add(time.Hour)) })
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, err := l.Acquire(retry.WithMaxWait(t.Context(), 10*time.Minute), ratelimit.Call{})
				if time.Since(start) != time.Second || retry.ClassOf(err) != retry.RateLimit || !retry.At(err).Equal(start.Add(time.Hour)) {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		}
		wg.Wait()
	})
}

// Those in line before a caller count: it is told at once that its turn would come too late.
func TestPromise7_TheLineAheadCounts(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		l := open(ratelimit.Options{}, ratelimit.Tier{Requests: 2, Per: time.Minute})
		send(t, l, ratelimit.Call{Cost: 2}, 0)
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { _, _ = l.Acquire(ctx, ratelimit.Call{}) })
		}
		synctest.Wait()
		_, err := l.Acquire(retry.WithMaxWait(t.Context(), 2*time.Minute), ratelimit.Call{})
		if got := retry.At(err).Sub(start); time.Since(start) != 0 || retry.ClassOf(err) != retry.RateLimit || got != 3*time.Minute {
			t.Errorf("after %v told to come back in %v (%v), want at once and 3m", time.Since(start), got, err)
		}
		if at := l.Ready(t.Context(), ratelimit.Call{Priority: ratelimit.Interactive}); at.Sub(start) != time.Minute {
			t.Errorf("a person is ready after %v, want a minute", at.Sub(start))
		}
		cancel()
		wg.Wait()
	})
}

// Promise 9: one key's storm delays no other key.
func TestPromise9_OneKeysStormDelaysNoOther(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		l := open(ratelimit.Options{}, ratelimit.Tier{Requests: 5, Per: time.Second}, ratelimit.Tier{Concurrent: 5})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() {
				for ctx.Err() == nil {
					p, err := l.Acquire(ctx, ratelimit.Call{Key: "storm", Priority: ratelimit.Interactive})
					if err == nil {
						p.Answered(429, nil)
						_ = l.Park(ctx, "storm", time.Now().Add(300*time.Millisecond))
						p.Release()
					}
				}
			})
		}
		for range 60 {
			start := time.Now()
			send(t, l, ratelimit.Call{Key: "calm", Priority: ratelimit.Background}, 0)
			if d := time.Since(start); d != 0 {
				t.Errorf("held back for %v", d)
			}
			time.Sleep(time.Second)
		}
		cancel()
		wg.Wait()
	})
}

func TestCloseRefusesWhoWaits(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		l := open(ratelimit.Options{}, ratelimit.Tier{Requests: 1, Per: time.Hour})
		send(t, l, ratelimit.Call{}, 0)
		time.AfterFunc(time.Second, func() { _ = l.Close(context.Background()) })
		_, err := l.Acquire(t.Context(), ratelimit.Call{})
		if !errors.Is(err, ratelimit.ErrClosed) || retry.ClassOf(err) != retry.Unavailable {
			t.Errorf("got %v", err)
		}
		if _, err = l.Acquire(t.Context(), ratelimit.Call{}); !errors.Is(err, ratelimit.ErrClosed) {
			t.Errorf("got %v", err)
		}
		if err := l.Park(t.Context(), "new", time.Now().Add(time.Hour)); err != nil && !errors.Is(err, ratelimit.ErrClosed) {
			t.Errorf("Park: %v", err)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Errorf("again: %v", err)
		}
	})
}

func TestKeysAreBoundedAndReclaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{MaxKeys: 100}, ratelimit.Tier{Requests: 1, Per: time.Minute})
		call := func(i int) error {
			p, err := l.Acquire(retry.WithMaxWait(t.Context(), 0), ratelimit.Call{Key: fmt.Sprint(i)})
			if err == nil {
				p.Answered(200, nil)
				p.Release()
			}
			return err
		}
		for i := range 100 {
			if err := call(i); err != nil {
				t.Fatal(err)
			}
		}
		// All hold a charge: none may be forgotten.
		if err := call(100); retry.ClassOf(err) != retry.RateLimit || retry.At(err).IsZero() {
			t.Errorf("a key too many: %v", err)
		}
		for i := range 100 {
			if err := call(i); retry.ClassOf(err) != retry.RateLimit {
				t.Errorf("key %d was forgotten", i)
			}
		}
		time.Sleep(time.Minute)
		for i := range 100 {
			if err := call(1000 + i); err != nil {
				t.Errorf("after a window: %v", err)
			}
		}
	})
}

func TestColdStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tiers := []ratelimit.Tier{{Requests: 5, Per: time.Minute}, {Kind: ratelimit.TokenBucket, Requests: 60, Per: time.Minute, Burst: 30}}
		l := newLimiter(t, ratelimit.Options{ColdStart: ratelimit.SitOut}, tiers...)
		start := time.Now()
		send(t, l, ratelimit.Call{}, 0)
		if got := time.Since(start); got != time.Minute {
			t.Errorf("sat out %v, want a minute", got)
		}

		// Only what was spent before the limiter was made is unknown: a key that comes later has nothing to sit out.
		start = time.Now()
		send(t, l, ratelimit.Call{Key: "later"}, 0)
		if got := time.Since(start); got != 0 {
			t.Errorf("a later key sat out %v", got)
		}

		l = newLimiter(t, ratelimit.Options{ColdStart: ratelimit.Probe, Dialect: ratelimit.PerWindowHeaders}, ratelimit.Tier{Requests: 5, Per: time.Minute})
		lost, err := l.Acquire(t.Context(), ratelimit.Call{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Acquire(retry.WithMaxWait(t.Context(), 0), ratelimit.Call{}); retry.ClassOf(err) != retry.RateLimit {
			t.Errorf("a second call beside the probe: %v", err)
		}
		lost.Release() // never sent: another has to find out
		probe, err := l.Acquire(t.Context(), ratelimit.Call{})
		if err != nil {
			t.Fatal(err)
		}
		probe.Answered(200, map[string][]string{"X-Ratelimit-Remaining-Minute": {"1"}})
		probe.Release()
		send(t, l, ratelimit.Call{}, 0)
		if _, err := l.Acquire(retry.WithMaxWait(t.Context(), 0), ratelimit.Call{}); retry.ClassOf(err) != retry.RateLimit {
			t.Errorf("beyond what the probe learnt: %v", err)
		}
	})
}

func TestNewNamesEverythingThatIsWrong(t *testing.T) {
	q, err := ratelimit.NewMemory(ratelimit.Tiers{{Requests: 1, Per: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ratelimit.New(ratelimit.Tiers{
		{Requests: 0, Per: -1}, {Requests: 1, Per: math.MaxInt64, Burst: 3, Kind: 9}, {Concurrent: -1, Requests: 2}, {Name: "x", Concurrent: 1}, {Name: "x", Concurrent: 1},
		{Requests: 1, Per: time.Second, Kind: ratelimit.TokenBucket, Burst: -1},
	}, ratelimit.Options{Quota: q, State: &memState{}, ColdStart: 7, LostGrace: -1, MaxKeys: -1})
	if err == nil {
		t.Fatal("accepted")
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got %T", err)
	}
	inner, _ := joined.Unwrap()[0].(interface{ Unwrap() []error })
	if got, want := len(joined.Unwrap()), 8; got != want {
		t.Errorf("%d problems, want %d:\n%v", got, want, err)
	}
	if got, want := len(inner.Unwrap()), 9; got != want {
		t.Errorf("%d problems of tiers, want %d:\n%v", got, want, err)
	}
	if _, err := ratelimit.NewMemory(nil); err == nil {
		t.Error("no tiers were accepted")
	}
}
