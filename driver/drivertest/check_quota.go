package drivertest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// quotaCalls and quotaWorkers are how hard the quota is pressed.
const (
	quotaCalls   = 300
	quotaWorkers = 24
)

// checkQuota lists with many goroutines until the tightest window has passed more than once, or enough calls were made.
func checkQuota(r *runner) {
	g := r.open(Conditions{Latency: 80 * time.Millisecond, Jitter: 60 * time.Millisecond, Seed: 7})
	defer g.close()
	lists := slices.DeleteFunc(streams(r.h), func(s stream) bool {
		return !s.has(g.driver) || s.kind == driver.KindDay && r.h.CalendarFrom == (driver.Date{})
	})
	if len(lists) == 0 {
		r.Skip("the driver lists nothing")
	}
	if !lists[len(lists)-1].resumable {
		if _, err := g.resource(); err != nil {
			r.Fatalf("quota: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(g.ctx)
	defer cancel()
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for i := range quotaWorkers {
		wg.Go(func() {
			for ctx.Err() == nil {
				for _, err := range lists[i%len(lists)].open(ctx, &rig{r: g.r, driver: g.driver}, driver.Query{}) {
					if err != nil && ctx.Err() == nil {
						failed.CompareAndSwap(nil, &err)
						cancel()
					}
					if len(g.wire.seen()) >= quotaCalls {
						cancel()
					}
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		r.Errorf("quota: %v", g.saw(*err))
	}
	if rep := g.partner.Server.Report(); rep.Throttled > 0 && rep.Violations == 0 {
		r.Errorf("quota: %d requests were throttled", rep.Throttled)
	}
}
