package importer_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

// history is two imports of an account that changed between them, the second of which is disturbed. It returns how
// many transactions and calls the second took.
func history(t *testing.T, mode importer.Mode, getter bool, disturb func(cfg importer.Config, d *importertest.Driver) error) (*importer.Memory, int, int64) {
	t.Helper()
	a := account(40, 30, 2)
	d := &importertest.Driver{Account: a, PageSize: 9}
	s := importer.NewMemory()
	cfg := config(d, s)
	if getter {
		cfg.Driver = importertest.Getter{Driver: d}
	}
	a.Poison(errors.New("cannot be understood"), false, "r0000011", "t0000003")
	run(t, cfg)
	changed := time.Date(2000, 1, 1, 0, 30, 0, 0, time.UTC) // in every bubble's past
	a.Change(0.2, 1, changed)
	a.Poison(nil, false, "r0000011")
	a.Poison(errors.New("cannot be understood"), false, "r0000012")
	a.Delete("r0000001-m00", "r0000005-m01")
	a.Touch(changed, "r0000002-m00")
	if getter {
		a.Hide(true, "r0000030", "t0000020")
	}
	time.Sleep(time.Hour)
	cfg.Mode = mode
	calls := d.Calls()
	counting := &importertest.Kill{Store: s}
	cfg.Store = counting
	if disturb == nil {
		run(t, cfg)
		return s, counting.Transactions(), d.Calls() - calls
	}
	cfg.Store = s
	if err := disturb(cfg, d); err != nil {
		t.Fatal(err)
	}
	d.Before = nil
	return s, 0, 0
}

// TestPromise1_KilledAtEveryTransaction: whatever transaction the process dies in, before or after the commit, the
// next run ends as an undisturbed one.
func TestPromise1_KilledAtEveryTransaction(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mode   importer.Mode
		getter bool
	}{{"full", importer.Full, false}, {"full with reading back", importer.Full, true}, {"incremental", importer.Incremental, true}} {
		bubble(t, tt.name, func(t *testing.T) {
			undisturbed, n, _ := history(t, tt.mode, tt.getter, nil)
			want := dump(t, undisturbed)
			if n < 15 {
				t.Fatalf("%d transactions", n)
			}
			for at := 1; at <= n; at++ {
				for _, after := range []bool{false, true} {
					s, _, _ := history(t, tt.mode, tt.getter, func(cfg importer.Config, _ *importertest.Driver) error {
						s := cfg.Store
						cfg.Store = &importertest.Kill{Store: s, At: at, After: after}
						if _, err := importer.Run(t.Context(), cfg); !errors.Is(err, importertest.ErrKilled) {
							t.Fatalf("transaction %d of %d: got %v, want ErrKilled", at, n, err)
						}
						time.Sleep(time.Minute)
						cfg.Store = s
						res, err := importer.Run(t.Context(), cfg)
						if ok, why := res.Complete(); err == nil && !ok {
							t.Errorf("the second run is incomplete: %s", why)
						}
						return err
					})
					if got := dump(t, s); got != want {
						t.Fatalf("killed at transaction %d of %d, after the commit: %v:\n%s", at, n, after, difference(got, want))
					}
				}
			}
		})
	}
}

// TestPromise1_KilledAgainAndAgain: the process never lives for more than a few transactions.
func TestPromise1_KilledAgainAndAgain(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		undisturbed, _, _ := history(t, importer.Full, true, nil)
		want := dump(t, undisturbed)
		for seed := range uint64(20) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			s, _, _ := history(t, importer.Full, true, func(cfg importer.Config, _ *importertest.Driver) error {
				s := cfg.Store
				for range 1000 {
					cfg.Store = &importertest.Kill{Store: s, At: 2 + rnd.IntN(6), After: rnd.IntN(2) == 0}
					time.Sleep(time.Minute)
					if _, err := importer.Run(t.Context(), cfg); !errors.Is(err, importertest.ErrKilled) {
						return err
					}
				}
				return errors.New("never done")
			})
			if got := dump(t, s); got != want {
				t.Fatalf("seed %d:\n%s", seed, difference(got, want))
			}
		}
	})
}

// TestPromise1_FailedAtEveryCall: whatever call fails, the next run goes on where that one ended.
func TestPromise1_FailedAtEveryCall(t *testing.T) {
	for _, mode := range []importer.Mode{importer.Full, importer.Incremental} {
		bubble(t, mode.String(), func(t *testing.T) {
			undisturbed, _, n := history(t, mode, true, nil)
			want := dump(t, undisturbed)
			for at := int64(1); at <= n; at++ {
				s, _, _ := history(t, mode, true, func(cfg importer.Config, d *importertest.Driver) error {
					cfg.Parallel = 1
					before := d.Calls()
					failAt(d, at)
					res, err := importer.Run(t.Context(), cfg)
					if !errors.Is(err, errPage) {
						t.Fatalf("call %d of %d: got %v, want the driver's error", at, n, err)
					}
					if ok, why := res.Complete(); ok {
						t.Fatalf("call %d of %d: complete in spite of an error %s", at, n, why)
					}
					time.Sleep(time.Minute)
					i := len(res.Kinds) - 1
					failed := res.Kinds[i]
					res, err = importer.Run(t.Context(), cfg)
					if err != nil {
						return err
					}
					for j, k := range res.Kinds {
						if k.DoneBefore != (j < i) || k.Resumed != (j == i) {
							t.Errorf("call %d: failed in the %s, and went on with %+v", at, failed.Kind, k)
						}
					}
					if k := res.Kinds[i]; k.Pass.Items != failed.Counts.Items+k.Counts.Items {
						t.Errorf("call %d: items of the pass: got %d, want %d and %d", at, k.Pass.Items, failed.Counts.Items, k.Counts.Items)
					}
					// Nothing is asked for twice but the call that failed and, of media, its group.
					if again := d.Calls() - before - n; failed.Kind != driver.KindMedia && again != 1 || again > 32 {
						t.Errorf("call %d of %d: %d calls more than undisturbed", at, n, again)
					}
					return nil
				})
				if got := dump(t, s); got != want {
					t.Fatalf("failed at call %d of %d:\n%s", at, n, difference(got, want))
				}
			}
		})
	}
}
