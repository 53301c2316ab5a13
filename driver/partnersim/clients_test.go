package partnersim_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// Hundreds of clients that give up at random: every request that was sent is counted once, whoever waited for it.
func TestManyClientsThatGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, partnersim.Config{
			Tiers:   ratelimit.Tiers{{Requests: 50, Per: time.Second}, {Concurrent: 20}},
			Latency: 100 * time.Millisecond, Jitter: 200 * time.Millisecond,
			Faults: []partnersim.Rule{{Kind: "reset", Rate: 0.05}, {Kind: "timeout", Rate: 0.02},
				{Kind: "lost", Rate: 0.05}, {Kind: "429", Rate: 0.05}},
		})
		const clients, calls = 200, 20
		var mu sync.Mutex
		answered, limited, gaveUp := 0, 0, 0
		var wg sync.WaitGroup
		for n := range clients {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(n), 4))
				for range calls {
					time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(1000))*time.Millisecond)
					status, _, _, err := get(ctx, s, "/")
					cancel()
					mu.Lock()
					switch {
					case errors.Is(err, context.DeadlineExceeded):
						gaveUp++
					case err == nil && status == http.StatusTooManyRequests:
						limited++
					case err == nil && status == http.StatusOK:
						answered++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second) // what is still on its way arrives
		r := s.Report()
		// A reset, and a call whose deadline had passed before it was sent, never arrive.
		if most, least := clients*calls-r.Faults["reset"], clients*calls-r.Faults["reset"]-clients*calls/100; r.Requests > most || r.Requests < least {
			t.Errorf("%d requests arrived, want %d to %d", r.Requests, least, most)
		}
		if r.Throttled != r.Violations || r.Throttled == 0 || limited > r.Throttled+r.Faults["429"] {
			t.Errorf("%d answers 429; report %+v", limited, r)
		}
		if tr := r.Tiers[0]; tr.Counted != int64(r.Requests-r.Throttled) || tr.Share <= 0 || tr.Share > 1 {
			t.Errorf("tier: %+v, %d requests, %d refused", tr, r.Requests, r.Throttled)
		}
		if answered == 0 || gaveUp == 0 || r.Abandoned < gaveUp-clients*calls/100 {
			t.Errorf("%d answered, %d gave up, %d abandoned", answered, gaveUp, r.Abandoned)
		}
		// Nothing is left in flight: as many as the tier allows find room again.
		for range 20 {
			wg.Go(func() {
				if status, _, _, err := get(t.Context(), s, "/"); err == nil && status != http.StatusOK &&
					status != http.StatusTooManyRequests {
					t.Errorf("status %d", status)
				}
			})
		}
		wg.Wait()
		if got := s.Report(); got.Violations != r.Violations {
			t.Errorf("%d violations more", got.Violations-r.Violations)
		}
	})
}
