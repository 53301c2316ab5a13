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

// failing is a Quota whose store can be away.
type failing struct {
	*ratelimit.Memory
	err error
}

func (f *failing) Take(ctx context.Context, key string, cost, ahead int64, now time.Time) (ratelimit.Grant, error) {
	if f.err != nil {
		return ratelimit.Grant{}, f.err
	}
	return f.Memory.Take(ctx, key, cost, ahead, now)
}

func (f *failing) Settle(ctx context.Context, key string, g ratelimit.Grant, s ratelimit.Settlement) error {
	return errors.Join(f.err, f.Memory.Settle(ctx, key, g, s))
}

func (f *failing) Park(ctx context.Context, key string, until time.Time) error {
	return errors.Join(f.err, f.Memory.Park(ctx, key, until))
}

func (f *failing) Usage(ctx context.Context, key string, now time.Time) (ratelimit.Usage, error) {
	u, err := f.Memory.Usage(ctx, key, now)
	return u, errors.Join(f.err, err)
}

func TestQuotaThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tiers := ratelimit.Tiers{{Requests: 2, Per: time.Minute}}
		m, err := ratelimit.NewMemory(tiers)
		if err != nil {
			t.Fatal(err)
		}
		q := &failing{Memory: m}
		var told []error
		l := newLimiter(t, ratelimit.Options{Name: "acme", Quota: q, OnError: func(_ string, err error) { told = append(told, err) }}, tiers...)
		p, err := l.Acquire(t.Context(), ratelimit.Call{})
		if err != nil {
			t.Fatal(err)
		}
		q.err = errors.New("connection refused")
		p.Answered(200, nil)
		p.Release()
		if len(told) != 2 || !errors.Is(told[0], q.err) {
			t.Errorf("OnError was told %v, want both", told)
		}
		if _, err := l.Acquire(t.Context(), ratelimit.Call{}); retry.ClassOf(err) != retry.Unavailable || !errors.Is(err, q.err) {
			t.Errorf("got %v, want class unavailable", err)
		}
		if _, err := l.Usage(t.Context(), ""); !errors.Is(err, q.err) {
			t.Errorf("Usage: %v", err)
		}
		if err := l.Park(t.Context(), "", time.Now().Add(time.Hour)); !errors.Is(err, q.err) {
			t.Errorf("Park: %v", err)
		}
		at := time.Now().Add(30 * time.Second)
		q.err = &retry.Error{Verdict: retry.Verdict{Class: retry.Unavailable, At: at, Sent: retry.Never}, Err: errors.New("quarantined")}
		if _, err := l.Acquire(t.Context(), ratelimit.Call{}); !retry.At(err).Equal(at) {
			t.Errorf("got %v, want the backend's own time", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		q.err = context.Canceled
		cancel(errors.New("shutting down"))
		if _, err := l.Acquire(ctx, ratelimit.Call{}); retry.ClassOf(err) != retry.Canceled {
			t.Errorf("got %v, want class canceled", err)
		}
		q.err = nil
		if err := l.Park(t.Context(), "", time.Time{}); err != nil {
			t.Error(err)
		}
		if u, err := l.Usage(t.Context(), ""); err != nil || u.Tiers[0].Used != 1 || u.InFlight != 0 {
			t.Errorf("%+v, %v", u, err)
		}
		if got := l.Tiers(); len(got) != 1 || got[0] != tiers[0] {
			t.Errorf("tiers are %v", got)
		}
	})
}

// A limit that the partner cut below a call's cost would hold it back for ever.
func TestCostAboveALimitThatWasCut(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		l := open(ratelimit.Options{Dialect: ratelimit.PerWindowHeaders}, ratelimit.Tier{Requests: 10, Per: time.Minute})
		observe := func(limit string) {
			t.Helper()
			p, err := l.Acquire(t.Context(), ratelimit.Call{})
			if err != nil {
				t.Fatal(err)
			}
			p.Answered(200, map[string][]string{"X-Ratelimit-Limit-Minute": {limit}})
			p.Release()
			time.Sleep(time.Minute)
		}
		observe("3")
		if _, err := l.Acquire(t.Context(), ratelimit.Call{Cost: 5}); retry.ClassOf(err) != retry.Client {
			t.Errorf("got %v, want class client", err)
		}
		if at := l.Ready(t.Context(), ratelimit.Call{Cost: 5}); !at.IsZero() {
			t.Errorf("Ready says %v; Acquire says what is wrong", at)
		}
		observe("50")
		send(t, l, ratelimit.Call{Cost: 5}, 0)
	})
}

func TestReadyAndUsage(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		l := open(ratelimit.Options{}, ratelimit.Tier{Requests: 2, Per: time.Minute}, ratelimit.Tier{Concurrent: 1})
		start := time.Now()
		if at := l.Ready(t.Context(), ratelimit.Call{Cost: 2}); !at.IsZero() {
			t.Errorf("unused: %v", at)
		}
		if u, err := l.Usage(t.Context(), ""); err != nil || len(u.Tiers) != 2 || u.Tiers[0].Used != 0 {
			t.Errorf("unused: %+v, %v", u, err)
		}
		p, err := l.Acquire(t.Context(), ratelimit.Call{})
		if err != nil {
			t.Fatal(err)
		}
		if at := l.Ready(t.Context(), ratelimit.Call{}); !at.After(start) {
			t.Errorf("with one in flight: %v", at)
		}
		p.Answered(200, nil)
		p.Release()
		if at := l.Ready(t.Context(), ratelimit.Call{}); !at.IsZero() {
			t.Errorf("room for one: %v", at)
		}
		if at := l.Ready(t.Context(), ratelimit.Call{Cost: 2}); !at.Equal(start.Add(time.Minute)) {
			t.Errorf("no room for two: %v", at.Sub(start))
		}
		if at := l.Ready(t.Context(), ratelimit.Call{Cost: 3}); !at.IsZero() {
			t.Errorf("more than the limit: %v", at)
		}
		var zero ratelimit.Permit
		zero.Answered(200, nil)
		zero.Lost()
		zero.Release()
	})
}

// Every kind counts a limit of the server's, and a restart of a limiter whose tiers were changed.
func TestStateOfOtherTiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memState{}
		o := ratelimit.Options{Name: "acme", State: store}
		old := newLimiter(t, o, ratelimit.Tier{Requests: 400, Per: time.Hour}, ratelimit.Tier{Requests: 10, Per: time.Minute})
		for range 8 {
			send(t, old, ratelimit.Call{}, 0)
		}
		if err := old.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		o.ColdStart = ratelimit.SitOut
		l := newLimiter(t, o, ratelimit.Tier{Requests: 4, Per: time.Hour}, ratelimit.Tier{Requests: 100, Per: 10 * time.Minute})
		ctx := retry.WithMaxWait(t.Context(), 0)
		_, err := l.Acquire(ctx, ratelimit.Call{})
		if retry.ClassOf(err) != retry.RateLimit {
			t.Fatal(err)
		}
		u, err := l.Usage(t.Context(), "")
		if err != nil || u.Tiers[0].Used != 8 || u.Tiers[1].Used != 100 {
			t.Errorf("%+v, %v; want 8 used of the hour, and the new tier sat out", u.Tiers, err)
		}
		if err := l.Park(t.Context(), "", time.Now().Add(2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		l = newLimiter(t, o, ratelimit.Tier{Requests: 4, Per: time.Hour}, ratelimit.Tier{Requests: 100, Per: 10 * time.Minute})
		send(t, l, ratelimit.Call{}, 0)
		if got := time.Since(start); got < 2*time.Hour-time.Second || got > 2*time.Hour {
			t.Errorf("a restart forgot that the key was parked: waited %v", got)
		}
	})
}

func TestAnsweredParksOn429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 100, Per: time.Minute})
		p, err := l.Acquire(t.Context(), ratelimit.Call{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		p.Answered(429, map[string][]string{"Retry-After": {"30"}})
		p.Release()
		if at := l.Ready(t.Context(), ratelimit.Call{}); !at.Equal(start.Add(30 * time.Second)) {
			t.Errorf("ready at %v, want in 30s", at.Sub(start))
		}
	})
}

// early is a Quota that refuses all until somebody gives room back.
type early struct {
	*ratelimit.Memory
	told  chan struct{}
	taken int
}

func (e *early) Take(ctx context.Context, key string, cost, ahead int64, now time.Time) (ratelimit.Grant, error) {
	e.taken++
	select {
	case <-e.told:
		return e.Memory.Take(ctx, key, cost, ahead, now)
	default:
		return ratelimit.Grant{At: now.Add(time.Hour), Tier: "shared", Early: e.told}, nil
	}
}

// A Quota can say that room came back before the time it gave.
func TestQuotaThatTellsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tiers := ratelimit.Tiers{{Requests: 2, Per: time.Minute}}
		m, err := ratelimit.NewMemory(tiers)
		if err != nil {
			t.Fatal(err)
		}
		q := &early{Memory: m, told: make(chan struct{})}
		l := newLimiter(t, ratelimit.Options{Name: "acme", Quota: q}, tiers...)
		start := time.Now()
		time.AfterFunc(time.Minute, func() { close(q.told) })
		p, err := l.Acquire(t.Context(), ratelimit.Call{})
		if err != nil {
			t.Fatal(err)
		}
		p.Release()
		if got := time.Since(start); got != time.Minute || q.taken != 2 {
			t.Errorf("admitted after %v and %d questions, want when it was told, and 2", got, q.taken)
		}
	})
}

// Two quotas admit a call together, or neither spends anything.
func TestTakeAll(t *testing.T) {
	open := func(tier ratelimit.Tier) *ratelimit.Memory {
		m, err := ratelimit.NewMemory(ratelimit.Tiers{tier})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	wide, narrow := open(ratelimit.Tier{Requests: 10, Per: time.Hour}), open(ratelimit.Tier{Requests: 3, Per: time.Hour})
	ctx, now := t.Context(), time.Now()
	takes := []ratelimit.Take{{Quota: wide, Key: "app", Cost: 2}, {Quota: narrow, Key: "a", Cost: 1}, {Quota: narrow, Key: "b", Cost: 2}}
	used := func(q ratelimit.Quota, key string) int64 {
		t.Helper()
		u, err := q.Usage(ctx, key, now)
		if err != nil {
			t.Fatal(err)
		}
		return u.Tiers[0].Used
	}
	check := func(app, a, b int64) {
		t.Helper()
		if used(wide, "app") != app || used(narrow, "a") != a || used(narrow, "b") != b {
			t.Errorf("used %d, %d, %d; want %d, %d, %d", used(wide, "app"), used(narrow, "a"), used(narrow, "b"), app, a, b)
		}
	}
	first, err := wide.TakeAll(ctx, takes, now)
	if err != nil || len(first) != 3 || !first[0].OK || !first[1].OK || !first[2].OK {
		t.Fatalf("got %+v, %v; want all admitted", first, err)
	}
	check(2, 1, 2)
	got, err := wide.TakeAll(ctx, takes, now) // b has room for one more
	if err != nil || len(got) != 3 || !got[0].OK || !got[1].OK || got[2].OK || got[2].Tier != "3/1h0m0s" {
		t.Fatalf("got %+v, %v; want a refusal by the third", got, err)
	}
	check(2, 1, 2)
	for i, g := range first {
		if err := takes[i].Quota.Settle(ctx, takes[i].Key, g, ratelimit.Settlement{Release: true, Now: now}); err != nil {
			t.Fatal(err)
		}
	}
	check(0, 0, 0)
	takes[2].Cost = 4
	if _, err := wide.TakeAll(ctx, takes, now); retry.ClassOf(err) != retry.Client {
		t.Errorf("a cost above the limit: %v", err)
	}
	check(0, 0, 0)
	if !wide.Joins(narrow) || wide.Joins(&failing{Memory: narrow}) {
		t.Error("memory joins memory, and nothing else")
	}
}
