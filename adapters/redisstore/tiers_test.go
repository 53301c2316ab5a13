package redisstore_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/internal/services"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
)

// Each kind of tier, and all of them together, as the partner's ledger of that kind sees it: two processes with
// eight callers each on two keys, latency on both ways, one request in ten never sent.
func TestPromise3_EveryKindOfTier(t *testing.T) {
	const per = 250 * time.Millisecond
	sliding := ratelimit.Tier{Requests: 25, Per: per, Name: "sliding"}
	fixed := ratelimit.Tier{Requests: 25, Per: per, Kind: ratelimit.Fixed, Name: "fixed"}
	bucket := ratelimit.Tier{Requests: 25, Per: per, Kind: ratelimit.TokenBucket, Name: "bucket"}
	burst := ratelimit.Tier{Requests: 25, Per: per, Kind: ratelimit.TokenBucket, Burst: 10, Name: "burst"}
	c := client(t, services.Redis(t).Addr)
	for name, tiers := range map[string]ratelimit.Tiers{
		"sliding": {sliding}, "fixed": {fixed}, "bucket": {bucket}, "burst": {burst},
		"all": {
			sliding, {Requests: 40, Per: 2 * per, Kind: ratelimit.Fixed, Name: "fixed"},
			{Requests: 90, Per: 4 * per, Kind: ratelimit.TokenBucket, Burst: 30, Name: "bucket"}, {Concurrent: 9},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := redisstore.Options{Name: name}
			ledgers := map[string]*ratelimittest.Ledger{}
			for _, key := range []string{"a", "b"} {
				ledgers[key] = ratelimittest.NewLedger(tiers)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(7*per, cancel).Stop()
			var wg sync.WaitGroup
			for _, q := range []*redisstore.Quota{begun(t, c, tiers, o), open(t, c, tiers, o)} {
				lim, err := ratelimit.New(tiers, ratelimit.Options{Quota: q})
				if err != nil {
					t.Fatal(err)
				}
				for i := range 8 {
					key := string("ab"[i%2])
					wg.Go(func() { callAs(ctx, t, lim, key, ledgers[key]) })
				}
			}
			wg.Wait()
			for key, ledger := range ledgers {
				if err := ledger.Check(); err != nil {
					t.Errorf("key %s: %v", key, err)
				}
				tight := false
				for _, c := range ledger.Report() {
					t.Logf("key %s, tier %s: worst %d, share %.2f", key, c.Tier, c.Worst, c.Share)
					limit := max(c.Tier.Requests, c.Tier.Concurrent)
					if c.Tier.Burst > 0 {
						limit = c.Tier.Burst
					}
					tight = tight || c.Worst >= limit*4/5
				}
				if !tight {
					t.Errorf("key %s: no limit was put to the test", key)
				}
			}
		})
	}
}

// callAs calls a partner, whose ledger it keeps, until ctx ends.
func callAs(ctx context.Context, t *testing.T, lim *ratelimit.Limiter, key string, ledger *ratelimittest.Ledger) {
	for ctx.Err() == nil {
		p, err := lim.Acquire(ctx, ratelimit.Call{Key: key})
		if err != nil {
			if ctx.Err() == nil {
				t.Error(err)
			}
			return
		}
		time.Sleep(rand.N(4 * time.Millisecond))
		if rand.IntN(10) > 0 {
			ledger.Arrive(time.Now(), 1)
			ledger.Leave()
			time.Sleep(rand.N(4 * time.Millisecond))
			p.Answered(200, nil)
		}
		p.Release()
	}
}
