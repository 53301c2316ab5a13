package importer_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/pagination"
)

// failMedia makes the media of a resource fail in a way that ends the run.
func failMedia(d *importertest.Driver, resource string) {
	d.Before = func(ctx context.Context, op, _ string) error {
		if op == "media "+resource {
			return errPage
		}
		return ctx.Err()
	}
}

// before names the kinds that the run before had finished.
func before(res importer.Result) string {
	var kinds []string
	for _, k := range res.Kinds {
		if k.DoneBefore {
			kinds = append(kinds, string(k.Kind))
		}
	}
	return strings.Join(kinds, " ")
}

// TestGoesOnWithTheKind: a run that is stopped in its media goes on with them, and the run after that does everything.
func TestGoesOnWithTheKind(t *testing.T) {
	for _, mode := range []importer.Mode{importer.Full, importer.Incremental} {
		bubble(t, mode.String(), func(t *testing.T) {
			a := account(100, 50, 1)
			d := &importertest.Driver{Account: a, PageSize: 10}
			s := importer.NewMemory()
			cfg := config(d, s)
			cfg.Mode, cfg.Parallel, cfg.Calls = mode, 1, d.Calls
			failMedia(d, "r0000050")
			first, err := importer.Run(t.Context(), cfg)
			if !errors.Is(err, errPage) || first.Calls != 10+5+51 || before(first) != "" {
				t.Fatalf("got %v, %+v", err, first)
			}
			for range 3 { // it goes on failing
				time.Sleep(2 * time.Minute)
				res, err := importer.Run(t.Context(), cfg)
				if !errors.Is(err, errPage) || res.Calls != 1 || before(res) != "resource transaction" {
					t.Fatalf("got %v, %+v", err, res)
				}
				if ok, why := res.Complete(); ok || !strings.HasPrefix(why, "media: ") {
					t.Errorf("got %v, %q", ok, why)
				}
			}
			d.Before = nil
			time.Sleep(2 * time.Minute)
			res, err := importer.Run(t.Context(), cfg)
			if ok, why := res.Complete(); err != nil || !ok || res.Calls != 50 || before(res) != "resource transaction" {
				t.Fatalf("got %v, %s, %+v", err, why, res)
			}
			for i, k := range res.Kinds[:2] {
				was := first.Kinds[i]
				if k.Counts != (importer.Counts{}) || k.Pass != was.Pass || !k.Whole || k.Resumed || !k.Watermark.Equal(was.Watermark) || k.Kind != was.Kind {
					t.Errorf("got  %+v\nthen %+v", k, was)
				}
			}
			if k := res.Kinds[2]; !k.Resumed || k.Pass.Added != 100 || live(t, s, media) != 100 {
				t.Errorf("got %+v", k)
			}
			if cp := checkpoint(t, s, resources); cp.FullRun != nil || cp.IncrementalRun != nil {
				t.Errorf("a run that is done is remembered: %+v", cp)
			}
			a.Touch(time.Now(), "r0000001", "t0000001", "r0000001-m00")
			if res, err = importer.Run(t.Context(), cfg); err != nil || before(res) != "" || res.Counts().Updated != 3 {
				t.Errorf("the run after: got %v, %+v", err, res)
			}
		})
	}
}

// TestGoesOnWhileRecent: what is old is done again, however the media fail, and a long pass is kept for longer.
func TestGoesOnWhileRecent(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pages time.Duration // how long a page takes
		after time.Duration
		want  string
	}{
		{"short", 0, 9 * time.Minute, "resource transaction"},
		{"short, late", 0, 10 * time.Minute, ""},
		{"long", time.Minute, 149 * time.Minute, "resource transaction"}, // ten times 10 min and 5 min
		{"long, late", time.Minute, 150 * time.Minute, ""},
		{"very long", time.Hour, 24*time.Hour - time.Second, "resource transaction"},
		{"very long, late", time.Hour, 24 * time.Hour, ""},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			d := &importertest.Driver{Account: account(100, 50, 1), PageSize: 10}
			s := importer.NewMemory()
			cfg := config(d, s)
			d.Before = func(_ context.Context, op, _ string) error {
				if strings.HasPrefix(op, "media") {
					return errPage
				}
				time.Sleep(tt.pages)
				return nil
			}
			if _, err := importer.Run(t.Context(), cfg); !errors.Is(err, errPage) {
				t.Fatalf("got %v", err)
			}
			finished := checkpoint(t, s, resources).FullRun.Done[0].Finished
			time.Sleep(max(0, tt.after-time.Since(finished)))
			res, err := importer.Run(t.Context(), cfg)
			if got := before(res); !errors.Is(err, errPage) || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// TestGoesOnWithItself: runs of other kinds or of the other mode are other runs, and a pass that has been begun again is
// done again.
func TestGoesOnWithItself(t *testing.T) {
	stopped := func(t *testing.T) (importer.Config, *importertest.Driver) {
		d := &importertest.Driver{Account: account(40, 50, 1), PageSize: 10}
		cfg := config(d, importer.NewMemory())
		failMedia(d, "r0000010")
		if _, err := importer.Run(t.Context(), cfg); !errors.Is(err, errPage) {
			t.Fatalf("got %v", err)
		}
		d.Before = nil
		time.Sleep(time.Minute)
		return cfg, d
	}
	again := func(t *testing.T, cfg importer.Config) importer.Result {
		t.Helper()
		res, err := importer.Run(t.Context(), cfg)
		if ok, why := res.Complete(); err != nil || !ok {
			t.Fatalf("got %v, %s", err, why)
		}
		return res
	}
	bubble(t, "other kinds", func(t *testing.T) {
		cfg, _ := stopped(t)
		other := cfg
		other.Kinds = []driver.Kind{driver.KindResource, driver.KindMedia}
		if res := again(t, other); before(res) != "" || !res.Kinds[1].Resumed {
			t.Errorf("got %+v", res)
		}
		if res := again(t, cfg); before(res) != "" {
			t.Errorf("after another run over the same kind: got %+v", res)
		}
	})
	bubble(t, "one kind", func(t *testing.T) {
		cfg, _ := stopped(t)
		one := cfg
		one.Kinds = []driver.Kind{driver.KindResource}
		if res := again(t, one); before(res) != "" || res.Kinds[0].Counts.Items != 40 {
			t.Errorf("got %+v", res)
		}
		if res := again(t, cfg); before(res) != "resource transaction" {
			t.Errorf("got %+v", res)
		}
	})
	bubble(t, "other mode", func(t *testing.T) {
		cfg, _ := stopped(t)
		other := cfg
		other.Mode = importer.Incremental
		if res := again(t, other); before(res) != "" {
			t.Errorf("got %+v", res)
		}
		if res := again(t, cfg); before(res) != "resource transaction" {
			t.Errorf("got %+v", res)
		}
	})
	bubble(t, "begun again", func(t *testing.T) {
		cfg, d := stopped(t)
		one := cfg
		one.Kinds = []driver.Kind{driver.KindTransaction}
		failAt(d, 3)
		if _, err := importer.Run(t.Context(), one); !errors.Is(err, errPage) {
			t.Fatalf("got %v", err)
		}
		d.Before = nil
		res := again(t, cfg)
		if before(res) != "resource" || !res.Kinds[1].Resumed || !res.Kinds[2].Resumed {
			t.Errorf("got %+v", res)
		}
		if res := again(t, cfg); before(res) != "" {
			t.Errorf("got %+v", res)
		}
	})
	bubble(t, "another worker", func(t *testing.T) {
		cfg, _ := stopped(t)
		var second importer.Result
		first := cfg
		first.OnProgress = func(p importer.Progress) {
			if second.Run == "" {
				second = again(t, cfg)
			}
		}
		res, err := importer.Run(t.Context(), first)
		if !errors.Is(err, importer.ErrSuperseded) || before(res) != "resource transaction" || before(second) != "resource transaction" {
			t.Errorf("got %v, %+v and %+v", err, res, second)
		}
		if cp := checkpoint(t, cfg.Store, resources); cp.FullRun != nil {
			t.Errorf("got %+v", cp.FullRun)
		}
	})
	bubble(t, "incomplete", func(t *testing.T) {
		cfg, d := stopped(t)
		time.Sleep(time.Hour)
		drifting := cfg
		drifting.Driver = driftingDriver{d}
		failMedia(d, "r0000011")
		if _, err := importer.Run(t.Context(), drifting); !errors.Is(err, errPage) {
			t.Fatalf("got %v", err)
		}
		d.Before = nil
		time.Sleep(time.Minute)
		res, err := importer.Run(t.Context(), cfg)
		if k := res.Kinds[0]; err != nil || k.Complete || k.Why != "the list moved" || !k.DoneBefore || k.Pass.Items != 40 {
			t.Errorf("got %v, %+v", err, k)
		}
	})
}

// driftingDriver lists resources that move meanwhile.
type driftingDriver struct{ *importertest.Driver }

func (d driftingDriver) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	return func(yield func(pagination.Page[driver.Resource], error) bool) {
		for page, err := range d.Driver.Resources(ctx, q) {
			page.Incomplete = "the list moved"
			if !yield(page, err) {
				return
			}
		}
	}
}

// TestPromise1_KilledInItsMedia: a process that never lives for more than some transactions imports all kinds in one run
// after the other, and asks for hardly more than an undisturbed run does.
func TestPromise1_KilledInItsMedia(t *testing.T) {
	for _, mode := range []importer.Mode{importer.Full, importer.Incremental} {
		bubble(t, mode.String(), func(t *testing.T) {
			undisturbed, _, calls := history(t, mode, true, nil)
			want := dump(t, undisturbed)
			wentOn := 0
			for seed := range uint64(20) {
				rnd := rand.New(rand.NewPCG(seed, 3))
				var asked int64
				kills := int64(0)
				s, _, _ := history(t, mode, true, func(cfg importer.Config, d *importertest.Driver) error {
					s := cfg.Store
					began := d.Calls()
					defer func() { asked = d.Calls() - began }()
					for ; kills < 1000; kills++ {
						// Killed by a transaction, which dies in it or right after, or by a call that fails.
						cfg.Store = &importertest.Kill{Store: s, At: 3 + rnd.IntN(4), After: rnd.IntN(2) == 0}
						d.Before = nil
						if rnd.IntN(3) == 0 {
							failAt(d, 2+rnd.Int64N(40))
						}
						time.Sleep(10 * time.Second)
						res, err := importer.Run(t.Context(), cfg)
						if err == nil {
							return nil
						}
						if !errors.Is(err, importertest.ErrKilled) && !errors.Is(err, errPage) {
							return err
						}
						if before(res) == "resource transaction" {
							wentOn++
						}
					}
					return errors.New("never done")
				})
				if got := dump(t, s); got != want {
					t.Fatalf("seed %d:\n%s", seed, difference(got, want))
				}
				// Each kill costs what was under way: a page, the page ahead, or a group of media.
				if extra := asked - calls; kills == 0 || extra > kills*32 {
					t.Errorf("seed %d: %d kills cost %d calls beside %d", seed, kills, extra, calls)
				}
			}
			if wentOn < 20 {
				t.Errorf("%d kills in the media of a run that went on", wentOn)
			}
		})
	}
}
