package ratelimit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// slow is a Quota behind a network: what is asked arrives after half of a round trip, and the answer after the other half.
type slow struct {
	*ratelimit.Memory
	trip time.Duration
}

func (s *slow) Take(ctx context.Context, key string, cost, ahead int64, _ time.Time) (ratelimit.Grant, error) {
	time.Sleep(s.trip / 2)
	defer time.Sleep(s.trip / 2)
	return s.Memory.Take(ctx, key, cost, ahead, time.Now())
}

// Tenants with one caller each get their share of a Quota beside tenants with fifty. A newcomer whose call fits beside those of all who
// wait is admitted before its turn: that takes nothing from it, or from whoever comes after it.
func TestOneCallerBesideManyOnASlowQuota(t *testing.T) {
	const window, windows = time.Second, 40
	for _, test := range []struct {
		limit        int64
		busy, single int
		trip         time.Duration
	}{
		{20, 1, 1, 5 * time.Millisecond},
		{20, 9, 1, 5 * time.Millisecond},
		{20, 3, 2, 20 * time.Millisecond},
		{60, 5, 5, time.Millisecond},
	} {
		t.Run(fmt.Sprintf("%d beside %d at %v", test.single, test.busy, test.trip), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tier := ratelimit.Tier{Requests: test.limit, Per: window}
				m, err := ratelimit.NewMemory(ratelimit.Tiers{tier})
				if err != nil {
					t.Fatal(err)
				}
				l := newLimiter(t, ratelimit.Options{Quota: &slow{m, test.trip}}, tier)
				ctx, cancel := context.WithTimeout(context.Background(), windows*window)
				defer cancel()
				var wg sync.WaitGroup
				var mu sync.Mutex
				spent, total := make([]float64, test.single+test.busy), 0.0
				for i := range spent {
					callers := 1
					if i < test.busy {
						callers = 50
					}
					for range callers {
						wg.Go(func() {
							for {
								p, err := l.Acquire(ctx, ratelimit.Call{Tenant: fmt.Sprint(i)})
								if err != nil {
									return
								}
								p.Answered(200, nil)
								p.Release()
								mu.Lock()
								spent[i]++
								total++
								mu.Unlock()
							}
						})
					}
				}
				wg.Wait()
				if most := float64(test.limit * windows); total < 0.95*most {
					t.Errorf("%v calls, want 95 %% of %v", total, most)
				}
				for i, n := range spent {
					if got := n * float64(len(spent)) / total; got < 0.9 || got > 1.1 {
						t.Errorf("tenant %d got %.2f of its share: %v", i, got, spent)
					}
				}
			})
		})
	}
}
