package e2e

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/retry"
)

func faults(t *testing.T, spec string) []partnersim.Rule {
	t.Helper()
	rules, err := partnersim.ParseFaults(spec)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// One integration's dead credentials, another's storm of 429s and the poisoned records of a third leave the import of a fourth as it
// is alone: the same records in the same time, from the same partner, in the same registry and store.
func TestPromise9_ThreeFailingHurtNoFourth(t *testing.T) {
	size := guestytest.Config{Listings: 30, ReservationsPerListing: 2, PhotosPerListing: 2, Latency: 100 * time.Millisecond}
	run := func(t *testing.T, others bool) (took time.Duration, counts importer.Counts) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			network := partnersim.Network{}
			sims := map[string]*guestytest.Server{}
			for name, spec := range map[string]string{
				"healthy": "", "revoked": "403;at=/v1/*", "storm": "429:0.7;retry=5s", "poison": "malformed:0.3,500:0.3",
			} {
				c := size
				c.Faults = faults(t, spec)
				sim, err := guestytest.NewServer(c)
				if err != nil {
					t.Fatal(err)
				}
				sims[name] = sim
				network[name+".example"] = sim.Server
			}
			reg := driver.NewRegistry(driver.Options{Transport: network})
			if err := guesty.Register(reg); err != nil {
				t.Fatal(err)
			}
			store := importer.NewMemory()
			open := func(name string) (driver.Driver, driver.Integration) {
				in := sims[name].Integration(name)
				in.BaseURL, in.Account = "https://"+name+".example", name
				d, err := reg.OpenIntegration(ctx, in)
				if err != nil {
					t.Fatal(err)
				}
				return d, in
			}
			var wg sync.WaitGroup
			if others {
				for _, name := range []string{"revoked", "storm", "poison"} {
					d, in := open(name)
					wg.Go(func() {
						for ctx.Err() == nil {
							_, err := importer.Run(ctx, importer.Config{Driver: d, Integration: in, Store: store})
							if err == nil && name == "revoked" {
								t.Error("the import without credentials ended well")
							}
							wait := time.Second
							if at := retry.At(err); !at.IsZero() {
								wait = max(time.Until(at), wait)
							}
							select {
							case <-time.After(wait):
							case <-ctx.Done():
							}
						}
					})
				}
				time.Sleep(time.Minute) // all of them fail by now
			}
			d, in := open("healthy")
			began := time.Now()
			result, err := importer.Run(ctx, importer.Config{Driver: d, Integration: in, Store: store})
			if complete, why := result.Complete(); err != nil || !complete {
				t.Errorf("the healthy import: %v, %s", err, why)
			}
			took, counts = time.Since(began), result.Counts()
			cancel()
			wg.Wait()
			if err := reg.Close(t.Context()); err != nil {
				t.Error(err)
			}
			for name, sim := range sims {
				if r := sim.Report(); r.Violations > 0 {
					t.Errorf("%s: %d violations", name, r.Violations)
				}
				if err := sim.Close(); err != nil {
					t.Error(err)
				}
			}
		})
		return took, counts
	}
	alone, want := run(t, false)
	beside, got := run(t, true)
	if got != want || want.Added == 0 {
		t.Errorf("beside failing ones %+v, alone %+v", got, want)
	}
	if beside > alone+alone/20 {
		t.Errorf("beside failing ones it took %v, alone %v", beside, alone)
	}
}

// Hundreds of callers of one account, with answers that take anything from a moment to seconds, and callers that give up: the
// partner's own count never passes a limit, and the account's quota is used.
func TestPromise3_HundredsOfCallers(t *testing.T) {
	callers, each := 300, 8
	if testing.Short() {
		callers = 100
	}
	synctest.Test(t, func(t *testing.T) {
		sim, err := guestytest.NewServer(guestytest.Config{Listings: 10, Latency: 50 * time.Millisecond, Jitter: 2 * time.Second, Seed: 11})
		if err != nil {
			t.Fatal(err)
		}
		reg := driver.NewRegistry(driver.Options{Transport: sim.Transport()})
		if err := guesty.Register(reg); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 5))
				d, err := reg.OpenIntegration(t.Context(), sim.Integration("one"))
				if err != nil {
					t.Error(err)
					return
				}
				for range each {
					ctx, cancel := t.Context(), context.CancelFunc(func() {})
					if r.IntN(4) == 0 {
						ctx, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(3000))*time.Millisecond)
					}
					err := d.Check(ctx)
					cancel()
					if c := retry.ClassOf(err); err != nil && c != retry.Canceled && c != retry.RateLimit && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("caller %d: %v", i, err)
					}
				}
			})
		}
		wg.Wait()
		if err := reg.Close(t.Context()); err != nil {
			t.Error(err)
		}
		report := sim.Report()
		within(t, report)
		if minute, ok := report.Tier("api", 120); !ok || minute.Worst != 120 {
			t.Errorf("the minute's worst window held %d, want all 120", minute.Worst)
		}
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
}
