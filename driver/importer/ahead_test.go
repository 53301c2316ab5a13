package importer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/pagination"
)

// TestNextPageIsFetchedMeanwhile: the partner answers while the page before is imported, one page ahead and no more.
func TestNextPageIsFetchedMeanwhile(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		d := &importertest.Driver{Account: account(100, 0, 0), PageSize: 10}
		d.Before = func(context.Context, string, string) error { time.Sleep(time.Second); return nil }
		cfg := config(d, importer.NewMemory())
		cfg.Kinds = []driver.Kind{driver.KindResource}
		cfg.OnChanges = func(context.Context, importer.ChangeSet) error { time.Sleep(3 * time.Second); return nil }
		pages := int64(0)
		cfg.OnProgress = func(p importer.Progress) {
			pages = int64(p.Counts.Pages)
			if ahead := d.Calls() - pages; ahead != min(1, 10-pages) {
				t.Errorf("after page %d: %d pages ahead", pages, ahead)
			}
		}
		if res := run(t, cfg); res.Duration != (1+10*3)*time.Second || pages != 10 {
			t.Errorf("%d pages took %v, want 31 s", pages, res.Duration)
		}
	})
}

// TestErrorOfThePageAhead: what was listed before it is imported first, and the next run goes on at it.
func TestErrorOfThePageAhead(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		d := &importertest.Driver{Account: account(100, 0, 0), PageSize: 10}
		s := importer.NewMemory()
		cfg := config(d, s)
		cfg.Kinds, cfg.Calls = []driver.Kind{driver.KindResource}, d.Calls
		cfg.OnChanges = func(context.Context, importer.ChangeSet) error { time.Sleep(time.Minute); return nil }
		failAt(d, 5)
		res, err := importer.Run(t.Context(), cfg)
		if !errors.Is(err, errPage) || res.Kinds[0].Counts.Added != 40 || res.Calls != 5 || live(t, s, resources) != 40 {
			t.Errorf("got %v, %+v", err, res)
		}
		d.Before = nil
		if res := run(t, cfg); res.Kinds[0].Counts.Added != 60 || res.Calls != 6 {
			t.Errorf("got %+v", res)
		}
	})
}

// TestRunThatEndsDoesNotWaitForThePageAhead: the fetch is given up when the page before cannot be stored, and the page
// is asked for again.
func TestRunThatEndsDoesNotWaitForThePageAhead(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		d := &importertest.Driver{Account: account(100, 0, 0), PageSize: 10}
		gone := 0
		d.Before = func(ctx context.Context, _, _ string) error {
			if d.Calls() < 5 {
				return nil
			}
			<-ctx.Done()
			gone++
			return context.Cause(ctx)
		}
		s := importer.NewMemory()
		cfg := config(d, s)
		cfg.Kinds = []driver.Kind{driver.KindResource}
		cfg.OnChanges = func(_ context.Context, c importer.ChangeSet) error {
			if c.Changes[0].ID == "r0000030" {
				time.Sleep(time.Second) // and the page ahead is under way
				return errStore
			}
			return nil
		}
		res, err := importer.Run(t.Context(), cfg)
		if !errors.Is(err, errStore) || res.Duration != time.Second || gone != 1 || live(t, s, resources) != 30 {
			t.Errorf("got %v after %v, %d given up, %d live", err, res.Duration, gone, live(t, s, resources))
		}
		d.Before, cfg.OnChanges = nil, nil
		if k := only(t, run(t, cfg), driver.KindResource); !k.Resumed || k.Counts.Added != 70 || live(t, s, resources) != 100 {
			t.Errorf("got %+v", k)
		}
	})
}

// TestSentOfThePageAhead: a stream that does not say when it asked for a page asked while the page before was imported,
// and not after: what came in meanwhile by a webhook is newer.
func TestSentOfThePageAhead(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := importer.NewMemory()
		cfg := config(custom{func(driver.Query) pagination.Pages[driver.Resource] {
			return func(yield func(pagination.Page[driver.Resource], error) bool) {
				for i := range 3 {
					time.Sleep(time.Second)
					p := pagination.Page[driver.Resource]{Items: []driver.Resource{named(i, "listed")}, Next: "x", Total: -1}
					if i == 2 {
						p.Next = ""
					}
					if !yield(p, nil) {
						return
					}
				}
			}
		}}, s)
		began := time.Now()
		cfg.OnProgress = func(p importer.Progress) {
			if p.Counts.Pages == 1 {
				time.Sleep(time.Minute)
				r := named(1, "by webhook")
				if _, err := importer.Apply(t.Context(), importer.Config{Integration: cfg.Integration, Store: s}, time.Now(), &r); err != nil {
					t.Error(err)
				}
			}
		}
		if _, err := importer.Run(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		for i, want := range []time.Duration{0, time.Second, time.Minute + time.Second} {
			if got := get(t, s, resources, fmt.Sprint("r", i)); got.FirstFetched.Sub(began) != want {
				t.Errorf("record %d: asked for after %v, want %v", i, got.FirstFetched.Sub(began), want)
			}
		}
		r, err := importer.Decode[driver.Resource](get(t, s, resources, "r1"))
		if err != nil || r.Name.Or("") != "by webhook" {
			t.Errorf("got %q, %v", r.Name.Or(""), err)
		}
	})
}

// named is an undated resource.
func named(i int, name string) driver.Resource {
	return driver.Resource{Record: driver.Record{ID: fmt.Sprint("r", i)}, Name: driver.Some(name)}
}
