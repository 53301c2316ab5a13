package ratelimittest_test

import (
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
)

// A partner that refuses what is too much, and whose limit nobody knows: the pace finds it, and most of it is used.
func TestAPaceThatIsLearnt(t *testing.T) {
	for name, start := range map[string]float64{"from above": 1, "from below": 0.01} {
		for seed := range uint64(3) {
			m := ratelimittest.Model{
				Tiers:   ratelimit.Tiers{{Requests: 120, Per: time.Minute}},
				Latency: ratelimittest.Uniform(50*time.Millisecond, 400*time.Millisecond),
				Loads:   []ratelimittest.Load{{Callers: 50}}, For: 2 * time.Hour, Seed: seed,
			}
			stated := ratelimit.Tier{Requests: 1000, Per: time.Minute}
			blind := m.Run(t, func(t *testing.T) ratelimittest.Do { return kit(t, ratelimit.Options{}, stated) })
			rep := m.Run(t, func(t *testing.T) ratelimittest.Do {
				return kit(t, ratelimit.Options{Adaptive: &ratelimit.Adaptive{Start: start}}, stated)
			})
			answered := func(r *ratelimittest.Report) float64 { return float64(r.Requests-r.Throttled) / (120 * 120) }
			refused := func(r *ratelimittest.Report) float64 { return float64(r.Throttled) / float64(r.Requests) }
			t.Logf("%s: %.1f %% of the limit used, %.2f %% refused; without, %.1f %% and %.2f %%",
				name, 100*answered(rep), 100*refused(rep), 100*answered(blind), 100*refused(blind))
			if answered(rep) < 0.8 || refused(rep) > refused(blind)/2 {
				t.Errorf("seed %d, %s: %v\nwithout: %v", seed, name, rep, blind)
			}
		}
	}
}

// Calls that are spread keep to the limits too, and to one that nobody declared: of what comes within ten seconds.
func TestSpreadCalls(t *testing.T) {
	minute := ratelimit.Tier{Requests: 120, Per: time.Minute}
	tiers := ratelimit.Tiers{{Requests: 15, Per: time.Second}, minute, {Requests: 5000, Per: time.Hour}}
	within := ratelimit.Tiers{{Requests: 25, Per: 10 * time.Second}}
	for seed := range uint64(4) {
		m := ratelimittest.Model{
			Tiers:   tiers,
			Scopes:  []ratelimittest.Scope{{Name: "within", Tiers: within}},
			Latency: ratelimittest.LogNormal(200*time.Millisecond, 2*time.Second), Lost: 0.01, Unsent: 0.01,
			Loads: []ratelimittest.Load{
				{Callers: 30}, {Call: ratelimit.Call{Priority: ratelimit.Interactive}, Callers: 3, Pause: time.Minute},
			},
			For: 30 * time.Minute, Seed: seed,
		}
		rep := m.Run(t, func(t *testing.T) ratelimittest.Do {
			return kit(t, ratelimit.Options{Smooth: time.Minute}, tiers...)
		})
		if err := rep.Err(); err != nil {
			t.Error(err)
		}
		if rep.Tiers[1].Share < 0.9 {
			t.Errorf("seed %d: %v", seed, rep)
		}
		// Nobody waits for the end of the minute.
		if people := rep.Waits[0]; people.Priority != ratelimit.Interactive || people.Max > 10*time.Second {
			t.Errorf("seed %d: people waited %v", seed, rep)
		}
		bursts := m.Run(t, func(t *testing.T) ratelimittest.Do { return kit(t, ratelimit.Options{}, tiers...) })
		if bursts.Err() == nil {
			t.Errorf("seed %d: without, the same limit held: %v", seed, bursts)
		}
		m.Scopes = nil
		bursts = m.Run(t, func(t *testing.T) ratelimittest.Do { return kit(t, ratelimit.Options{}, tiers...) })
		if bursts.Waits[0].Mean < 2*rep.Waits[0].Mean {
			t.Errorf("seed %d: people waited no longer without: %v\n%v", seed, bursts, rep)
		}
	}
}

// What is kept for people is there when they come, and nobody else takes it.
func TestPromise3_TheReserveIsKept(t *testing.T) {
	for _, kind := range []ratelimit.Kind{ratelimit.Sliding, ratelimit.Fixed, ratelimit.TokenBucket} {
		tiers := ratelimit.Tiers{
			{Kind: kind, Requests: 15, Per: time.Second}, {Kind: kind, Requests: 120, Per: time.Minute},
			{Concurrent: 10},
		}
		for seed := range uint64(3) {
			m := ratelimittest.Model{
				Tiers: tiers, Latency: ratelimittest.LogNormal(200*time.Millisecond, 2*time.Second),
				Lost: 0.01, Unsent: 0.01, For: 30 * time.Minute, Seed: seed,
				Scopes: []ratelimittest.Scope{{
					Name: "rest", Tiers: ratelimit.Tiers{{Kind: kind, Requests: 96, Per: time.Minute}, {Concurrent: 8}},
					Key: func(c ratelimit.Call) (string, bool) { return "", c.Priority != ratelimit.Interactive },
				}},
				Loads: []ratelimittest.Load{
					{Callers: 30},
					{Call: ratelimit.Call{Priority: ratelimit.Interactive}, Callers: 2, Pause: 20 * time.Second},
				},
			}
			if kind == ratelimit.TokenBucket { // refilled at the partner's rate, whoever spends
				m.Scopes[0].Tiers = m.Scopes[0].Tiers[1:]
			}
			rep := m.Run(t, func(t *testing.T) ratelimittest.Do {
				return kit(t, ratelimit.Options{Reserve: 0.2}, tiers...)
			})
			if err := rep.Err(); err != nil {
				t.Errorf("%v: %v", kind, err)
			}
			if people := rep.Waits[0]; people.Requests < 50 || people.P99 > time.Second || rep.Tiers[1].Used < 0.78 {
				t.Errorf("%v: %v", kind, rep)
			}
		}
	}
}
