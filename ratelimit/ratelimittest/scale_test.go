package ratelimittest_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
)

// Forty partners with ten thousand integrations each, all of which always want more than there is. The limits are
// per application, per account, and per account with accounts of very different sizes; of each kind and together;
// the latencies are short, long, and long-tailed. No window at any partner holds too much, everyone gets the part that
// is due, by weight where there are weights, and people who come by now and then do not wait behind the imports.
//
// With -short it is every seventh partner with a twentieth of the integrations.
func TestPromise3_FortyPartnersOfTenThousandIntegrations(t *testing.T) {
	partners, integrations, step := 40, 10_000, 1
	if testing.Short() {
		integrations, step = 500, 7
	}
	var mu sync.Mutex
	var requests, partnersRun int
	jain, least := 1.0, 1.0
	t.Run("partners", func(t *testing.T) {
		for p := 0; p < partners; p += step {
			m := crowd(p, integrations)
			t.Run(fmt.Sprintf("%d %v", p, m.Tiers), func(t *testing.T) {
				t.Parallel()
				rep := m.Run(t, func(t *testing.T) ratelimittest.Do { return kit(t, ratelimit.Options{}, m.Tiers...) })
				if err := rep.Err(); err != nil {
					t.Error(err)
				}
				most := 0.0
				for _, tier := range rep.Tiers {
					most = max(most, tier.Share)
				}
				if rep.Jain < 0.95 || rep.Least < 0.5 || most < 0.9 || rep.Throttled > 0 {
					t.Errorf("the fullest tier was used by %.1f %%\n%v", 100*most, rep)
				}
				mu.Lock()
				defer mu.Unlock()
				requests += rep.Requests
				partnersRun++
				jain, least = min(jain, rep.Jain), min(least, rep.Least)
			})
		}
	})
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	t.Logf("%d partners, %d integrations each, %d requests; Jain's index %.3f or more, least share %.2f; %d MB from the system",
		partnersRun, integrations, requests, jain, least, mem.Sys>>20)
	if requests < 5*integrations*partnersRun {
		t.Errorf("%d requests are too few to tell", requests)
	}
}

// crowd is the p-th partner, with n integrations.
func crowd(p, n int) ratelimittest.Model {
	r := rand.New(rand.NewPCG(40, uint64(p)))
	m := ratelimittest.Model{
		Seed: uint64(p), For: 10 * time.Minute, Lost: 0.002 * float64(p%2), Unsent: 0.002 * float64(p%3),
	}
	m.Latency = []func(*rand.Rand) time.Duration{
		ratelimittest.Uniform(20*time.Millisecond, 80*time.Millisecond),
		ratelimittest.LogNormal(150*time.Millisecond, 1500*time.Millisecond),
		ratelimittest.Uniform(400*time.Millisecond, 2*time.Second),
	}[p%3]
	// Who shares a quota: everyone, four, or from one to eight.
	size := func(int) int { return n }
	switch p / 10 {
	case 1, 2:
		size = func(int) int { return 4 }
	case 3:
		size = func(i int) int { return min(n-i, 1<<r.IntN(4)) }
	}
	account, left := -1, 0
	members := 0.0 // of an account
	for i := range n {
		if left == 0 {
			account, left = account+1, size(i)
			members = max(members, float64(left))
		}
		left--
		c := ratelimit.Call{Key: fmt.Sprint("account-", account), Tenant: fmt.Sprint("integration-", i)}
		l := ratelimittest.Load{}
		if p%4 == 1 { // its share is of use only to who calls so often
			c.Weight, l.Callers = 1+i%3, 1+i%3
		}
		if p%4 == 2 {
			c.Cost = int64(1 + i%2)
		}
		l.Call = c
		m.Loads = append(m.Loads, l)
		if i%100 == 0 { // a person
			c.Priority, c.Tenant, c.Weight, c.Cost = ratelimit.Interactive, "person", 0, 0
			m.Loads = append(m.Loads, ratelimittest.Load{Call: c, Pause: 5 * time.Minute})
		}
	}
	// About one call a minute for each integration of a full account, one way or another.
	per := max(4, int64(members))
	second, minute := ratelimit.Tier{Requests: max(2, per/30), Per: time.Second}, ratelimit.Tier{Requests: per, Per: time.Minute}
	bucket := ratelimit.Tier{Kind: ratelimit.TokenBucket, Requests: per, Per: time.Minute, Burst: max(2, per/10), Name: "bucket"}
	m.Tiers = [][]ratelimit.Tier{
		{second, minute, {Requests: 70 * per, Per: time.Hour}},
		{{Requests: per / 2, Per: 20 * time.Second}, {Concurrent: max(2, per/10)}},
		{bucket, {Requests: per * 2, Per: time.Minute}},
		{{Kind: ratelimit.Fixed, Requests: per, Per: time.Minute}, {Requests: max(2, per/20), Per: time.Second}},
		{{Requests: per * 5, Per: 5 * time.Minute}, {Requests: per, Per: 30 * time.Second}, {Concurrent: max(4, per/4)}},
	}[p%5]
	return m
}
