package ratelimittest_test

import (
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
)

// A test of one's own limits: is what the driver declares safe for what the partner counts, and how much of it is used?
func Example() {
	_ = testAcmesLimits // func TestAcmesLimits(t *testing.T), in your test file
}

func testAcmesLimits(t *testing.T) {
	acme := ratelimit.Tiers{{Requests: 15, Per: time.Second}, {Requests: 120, Per: time.Minute}, {Concurrent: 15}}
	m := ratelimittest.Model{
		Tiers:   acme,
		Latency: ratelimittest.LogNormal(200*time.Millisecond, 2*time.Second),
		Lost:    0.01,
		Loads: []ratelimittest.Load{
			{Call: ratelimit.Call{Tenant: "import"}, Callers: 20},
			{Call: ratelimit.Call{Tenant: "report"}, Callers: 5},
			{Call: ratelimit.Call{Tenant: "web", Priority: ratelimit.Interactive}, Callers: 3, Pause: 30 * time.Second},
		},
		For:  time.Hour,
		Seed: 1,
	}
	rep := m.Run(t, func(t *testing.T) ratelimittest.Do {
		lim, err := ratelimit.New(acme, ratelimit.Options{Name: "acme", Reserve: 0.2})
		if err != nil {
			t.Fatal(err)
		}
		return ratelimittest.Of(lim)
	})
	if err := rep.Err(); err != nil {
		t.Error(err) // the seed, and the shortest window that can hold too many
	}
	if web := rep.Waits[0]; web.P99 > 2*time.Second {
		t.Errorf("people waited %v", web.P99)
	}
	if minute := rep.Tiers[1]; minute.Share < 0.80 {
		t.Errorf("only %.0f %% of what can be had of %v was used", 100*minute.Share, minute.Tier)
	}
	if rep.Jain < 0.95 {
		t.Errorf("not fair:\n%v", rep)
	}
	t.Log(rep) // and how long who waited
}
