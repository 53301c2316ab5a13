package ratelimittest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
	"github.com/integrationkit/integrationkit/retry"
)

// The model catches each limiter that is wrong, whatever the seed, and none that is right.
func TestModelCatchesWrongLimiters(t *testing.T) {
	const n, w = 60, time.Minute
	fast := ratelimittest.Uniform(time.Millisecond, 5*time.Millisecond)
	slow := ratelimittest.LogNormal(300*time.Millisecond, 3*time.Second)
	for _, c := range []struct {
		name    string
		open    func(t *testing.T) ratelimittest.Do
		latency func(*rand.Rand) time.Duration
		least   int64 // the worst window holds so many or more, for one of the seeds; 0: never more than the limit
	}{
		{"bucket, burst is the limit", func(*testing.T) ratelimittest.Do { return xtime(n, w, n) }, fast, 118},
		{"bucket, no burst", func(*testing.T) ratelimittest.Do { return xtime(n, w, 1) }, slow, 61},
		{"fixed window", func(*testing.T) ratelimittest.Do { return fixedWindow(n, w) }, fast, 120},
		{"sliding counter", func(*testing.T) ratelimittest.Do { return slidingCounter(n, w) }, fast, 90},
		{"charged at send", func(*testing.T) ratelimittest.Do { return chargedAtSend(n, w) }, fast, 61},
		{"charged at send, slow", func(*testing.T) ratelimittest.Do { return chargedAtSend(n, w) }, slow, 63},
		{"one by one", func(*testing.T) ratelimittest.Do { return oneByOne(n, w) }, slow, 0},
		{"kit", func(t *testing.T) ratelimittest.Do {
			return kit(t, ratelimit.Options{}, ratelimit.Tier{Requests: n, Per: w})
		}, slow, 0},
		{"kit, fast", func(t *testing.T) ratelimittest.Do {
			return kit(t, ratelimit.Options{}, ratelimit.Tier{Requests: n, Per: w})
		}, fast, 0},
		{"kit that was told twice the limit", func(t *testing.T) ratelimittest.Do {
			return kit(t, ratelimit.Options{}, ratelimit.Tier{Requests: 2 * n, Per: w})
		}, slow, 120},
	} {
		t.Run(c.name, func(t *testing.T) {
			worst := int64(0)
			for seed := range uint64(8) {
				m := ratelimittest.Model{
					Tiers: ratelimit.Tiers{{Requests: n, Per: w}}, Latency: c.latency, Seed: seed,
					Loads: []ratelimittest.Load{{Callers: 150}}, For: 10 * time.Minute,
				}
				rep := m.Run(t, c.open)
				got, err := rep.Tiers[0].Worst, rep.Err()
				if worst = max(worst, got); (got > n) != (err != nil) || (err != nil) != (rep.Tiers[0].Violations > 0) {
					t.Errorf("seed %d: %d in the worst window, but %v", seed, got, err)
				}
				if (err != nil) != (c.least > 0) {
					t.Errorf("seed %d: got %v\n%v", seed, err, rep)
				}
				if rep.Requests < 300 {
					t.Errorf("seed %d: only %d requests", seed, rep.Requests)
				}
			}
			if worst < c.least || c.least == 0 && worst > n {
				t.Errorf("%d in the worst window, want %d", worst, c.least)
			}
		})
	}
}

// Each kind of tier, alone and together, with everything that can go wrong on the way.
func TestModelOfTheKit(t *testing.T) {
	kinds := map[string]ratelimit.Tiers{
		"sliding": {
			{Requests: 15, Per: time.Second}, {Requests: 120, Per: time.Minute},
			{Requests: 2000, Per: time.Hour}, {Concurrent: 10},
		},
		"fixed": {
			{Kind: ratelimit.Fixed, Requests: 15, Per: time.Second},
			{Kind: ratelimit.Fixed, Requests: 120, Per: time.Minute},
		},
		"bucket": {{Kind: ratelimit.TokenBucket, Requests: 120, Per: time.Minute, Burst: 20}},
		"mixed": {
			{Requests: 300, Per: time.Minute}, {Kind: ratelimit.TokenBucket, Requests: 10, Per: time.Second, Burst: 30},
			{Kind: ratelimit.Fixed, Requests: 5000, Per: time.Hour}, {Concurrent: 7},
		},
	}
	seeds := uint64(4)
	if testing.Short() {
		seeds = 2
	}
	for name, tiers := range kinds {
		for _, latency := range []func(*rand.Rand) time.Duration{
			nil, ratelimittest.Uniform(0, 100*time.Millisecond),
			ratelimittest.LogNormal(400*time.Millisecond, 8*time.Second),
		} {
			for seed := range seeds {
				m := ratelimittest.Model{
					Tiers: tiers, Latency: latency, Seed: seed, Lost: 0.05, Unsent: 0.05, For: time.Hour,
					Loads: []ratelimittest.Load{
						{Call: ratelimit.Call{Tenant: "a", Cost: 3}, Callers: 10},
						{Call: ratelimit.Call{Priority: ratelimit.Interactive}, Callers: 5, Pause: time.Minute},
						{Call: ratelimit.Call{Tenant: "c", Weight: 3}, Callers: 30, MaxWait: 5 * time.Second},
						{Call: ratelimit.Call{Key: "other"}, Callers: 50, Pause: time.Minute},
					},
				}
				rep := m.Run(t, func(t *testing.T) ratelimittest.Do { return kit(t, ratelimit.Options{}, tiers...) })
				if err := rep.Err(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if rep.Throttled > 0 || rep.Requests < 1000 || rep.Lost == 0 || rep.Unsent == 0 {
					t.Errorf("%s: %v", name, rep)
				}
			}
		}
	}
}

func TestModelIsReproducible(t *testing.T) {
	tiers := ratelimit.Tiers{{Requests: 30, Per: time.Second}, {Requests: 1000, Per: time.Minute}}
	run := func(seed uint64) string {
		m := ratelimittest.Model{
			Tiers: tiers, Latency: ratelimittest.LogNormal(100*time.Millisecond, time.Second),
			Lost: 0.01, Unsent: 0.01, Seed: seed, For: 10 * time.Minute,
		}
		for i := range 300 {
			c := ratelimit.Call{Tenant: fmt.Sprint(i), Weight: 1 + i%3, Priority: ratelimit.Priority(i % 2)}
			m.Loads = append(m.Loads, ratelimittest.Load{Call: c})
		}
		rep := m.Run(t, func(t *testing.T) ratelimittest.Do { return kit(t, ratelimit.Options{}, tiers...) })
		return fmt.Sprintf("%+v", *rep)
	}
	first := run(1)
	for range 3 {
		if again := run(1); again != first {
			t.Fatalf("one seed, two runs:\n%s\n%s", first, again)
		}
	}
	if run(2) == first {
		t.Error("another seed, the same run")
	}
}

// What a report says of a run in which everything is known.
func TestReport(t *testing.T) {
	tiers := ratelimit.Tiers{{Requests: 10, Per: time.Second}, {Concurrent: 100}}
	m := ratelimittest.Model{
		Tiers: tiers, For: 100 * time.Second,
		Latency: ratelimittest.Uniform(250*time.Millisecond, 250*time.Millisecond),
		Loads: []ratelimittest.Load{
			{Call: ratelimit.Call{Tenant: "one"}, Callers: 5},
			{Call: ratelimit.Call{Tenant: "three", Weight: 3}, Callers: 50},
			{Call: ratelimit.Call{Tenant: "urgent", Priority: ratelimit.Interactive}, Pause: 10 * time.Second},
		},
	}
	open := func(t *testing.T) ratelimittest.Do { return kit(t, ratelimit.Options{}, tiers...) }
	rep := m.Run(t, open)
	if err := rep.Err(); err != nil {
		t.Error(err)
	}
	got := rep.Tiers[0]
	if math.Abs(got.Share-1) > 0.02 || math.Abs(got.Used-0.8) > 0.02 || got.Worst != 10 {
		t.Errorf("tier %+v, want all of the 80 %% that can be had", got)
	}
	if one, three := float64(rep.Loads[0].Spent), float64(rep.Loads[1].Spent); math.Abs(three/one-3) > 0.2 {
		t.Errorf("spent %v and %v, want 1 to 3", one, three)
	}
	urgent, w := rep.Loads[2], rep.Waits[0]
	if urgent.Requests != w.Requests || urgent.Mean != w.Mean || urgent.Max != w.Max {
		t.Errorf("the urgent load %+v, the urgent calls %+v", urgent, w)
	}
	if rep.Jain < 0.99 || rep.Least < 0.95 {
		t.Errorf("Jain's index is %v, the least share %v", rep.Jain, rep.Least)
	}
	if w := rep.Waits; len(w) != 2 || w[0].Priority != ratelimit.Interactive ||
		w[0].P99 > 2*time.Second || w[1].Mean < w[0].Max {
		t.Errorf("waits %+v, want the urgent ones' short", rep.Waits)
	}
	if s := rep.String(); !strings.Contains(s, "tier 10/1s: 10 in the worst window") {
		t.Errorf("in words: %s", s)
	}
	// One that serves whoever comes is not fair.
	greedy := m.Run(t, func(*testing.T) ratelimittest.Do { return oneByOne(10, time.Second) })
	if greedy.Jain > 0.95 {
		t.Errorf("Jain's index is %v for a limiter without turns", greedy.Jain)
	}
	// One that starves a tenant is worse.
	starving := m.Run(t, func(t *testing.T) ratelimittest.Do {
		do := open(t)
		return func(ctx context.Context, c ratelimit.Call, send func() (ratelimittest.Answer, error)) error {
			if c.Tenant == "one" {
				return errors.New("not you")
			}
			return do(ctx, c, send)
		}
	})
	if starving.Least != 0 || starving.Loads[0].Refusals == 0 || starving.Jain > 0.6 {
		t.Errorf("a tenant was starved: %v", starving)
	}
}

// A failure says the seed, and the shortest window that is too full.
func TestFailureSaysWhere(t *testing.T) {
	m := ratelimittest.Model{
		Tiers: ratelimit.Tiers{{Requests: 2, Per: time.Minute}, {Concurrent: 1}}, Seed: 42, For: 10 * time.Minute,
		Latency: ratelimittest.Uniform(time.Second, time.Second),
		Loads:   []ratelimittest.Load{{Callers: 3, Call: ratelimit.Call{Key: "account-7"}}},
	}
	rep := m.Run(t, func(*testing.T) ratelimittest.Do { return chargedAtSend(2, time.Minute) })
	err := rep.Err()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"seed 42", "tier 2/1m0s", `key "account-7"`, "3 of 2", "sent at", "tier 1 in flight", "2 of 1",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
	if rep.Throttled == 0 {
		t.Error("the partner refused nothing")
	}
	if n := strings.Count(err.Error(), "sent at"); n < 5 || n > 8 {
		t.Errorf("%d requests are told, want those of two small windows: %v", n, err)
	}
}

// A whole stack: retries around the limiter, and all of its requests count.
func TestModelOfTransports(t *testing.T) {
	tiers := ratelimit.Tiers{{Requests: 20, Per: time.Second}, {Requests: 300, Per: time.Minute}, {Concurrent: 5}}
	m := ratelimittest.Model{
		Tiers: tiers, Latency: ratelimittest.Uniform(20*time.Millisecond, 300*time.Millisecond),
		Lost: 0.05, Unsent: 0.05, For: 10 * time.Minute, Seed: 3,
		Loads: []ratelimittest.Load{{Callers: 40, MaxWait: 20 * time.Second}},
	}
	rep := m.Run(t, func(t *testing.T) ratelimittest.Do {
		l, err := ratelimit.New(tiers, ratelimit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return ratelimittest.Transport(func(partner http.RoundTripper) http.RoundTripper {
			return retry.Policy{}.Wrap(l.Wrap(partner))
		})
	})
	if err := rep.Err(); err != nil {
		t.Error(err)
	}
	if rep.Lost == 0 || rep.Unsent == 0 || rep.Throttled > 0 || rep.Tiers[1].Share < 0.9 {
		t.Errorf("%v", rep)
	}
	// What repeats within the limiter is not seen by it.
	rep = m.Run(t, func(t *testing.T) ratelimittest.Do {
		l, err := ratelimit.New(tiers, ratelimit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return ratelimittest.Transport(func(partner http.RoundTripper) http.RoundTripper {
			return l.Wrap(twice{partner})
		})
	})
	if rep.Err() == nil {
		t.Errorf("retries within the limiter went unnoticed: %v", rep)
	}
}

func TestModelValidate(t *testing.T) {
	err := ratelimittest.Model{
		Lost: 2, Unsent: 1, Late: -1, Loads: []ratelimittest.Load{{Callers: -1}, {Callers: 2_000_000}},
	}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"no tiers", "For is 0s", "Lost is 2", "Unsent is 1", "Late is -1ns", "load 0", "2000001 callers",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	err = ratelimittest.Model{Tiers: ratelimit.Tiers{{Concurrent: 1}}, For: 1}.Validate()
	if err == nil || !strings.Contains(err.Error(), "no Loads") {
		t.Errorf("got %v", err)
	}
}

func TestExample(t *testing.T) { testAcmesLimits(t) }

// twice repeats what failed.
type twice struct{ next http.RoundTripper }

func (rt twice) RoundTrip(req *http.Request) (*http.Response, error) {
	if resp, err := rt.next.RoundTrip(req); err == nil {
		return resp, nil
	}
	return rt.next.RoundTrip(req)
}
