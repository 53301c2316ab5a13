package importer_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/pagination"
)

func TestEstimate(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(250, 1000, 2)
		d := &importertest.Driver{Account: a, Total: true}
		cfg := config(d, importer.NewMemory())
		e, err := importer.Estimate(t.Context(), cfg)
		if err != nil || d.Calls() != 2 {
			t.Fatalf("got %v after %d calls", err, d.Calls())
		}
		want := []importer.KindEstimate{
			{Kind: driver.KindResource, Items: 250, PageSize: 100, Calls: 3},
			{Kind: driver.KindTransaction, Items: 1000, PageSize: 100, Calls: 10},
			{Kind: driver.KindMedia, Items: 250, PageSize: -1, Calls: 250},
		}
		if !reflect.DeepEqual(e.Kinds, want) || e.Calls != 263 || e.Duration != 2*time.Minute || e.Tier != "api 100/1m0s" {
			t.Errorf("got %+v", e)
		}
		if live(t, cfg.Store, resources) != 0 || checkpoint(t, cfg.Store, resources).Full != nil {
			t.Error("the estimate stored something")
		}
		d.Before = func(context.Context, string, string) error { time.Sleep(3 * time.Second); return nil }
		if e, err := importer.Estimate(t.Context(), cfg); err != nil || e.Tier != "" || e.Duration != (3+10+63)*3*time.Second {
			t.Errorf("slow answers: got %+v, %v", e, err)
		}
		d.Total = false
		a.Touch(time.Now(), "r0000001", "t0000001")
		run(t, cfg)
		d.Before = nil
		a.Touch(time.Now(), "r0000003", "r0000004")
		cfg.Mode = importer.Incremental
		if e, err := importer.Estimate(t.Context(), cfg); err != nil || e.Kinds[0].Items != 3 || e.Kinds[1].Calls != 1 || e.Kinds[2].Items != 0 || e.Calls != 2 {
			t.Errorf("incremental: got %+v, %v", e, err)
		}
		failAt(d, 2)
		if _, err := importer.Estimate(t.Context(), cfg); !errors.Is(err, errPage) {
			t.Errorf("got %v", err)
		}
	})
}

// silent is a partner that does not say how many resources there are.
type silent struct{ *importertest.Driver }

func (s silent) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	return func(yield func(pagination.Page[driver.Resource], error) bool) {
		for page, err := range s.Driver.Resources(ctx, q) {
			page.Total = -1
			if !yield(page, err) {
				return
			}
		}
	}
}

// TestEstimateWithoutTotals: what is not known is left out and named; what was there at the last whole listing serves as
// a guess.
func TestEstimateWithoutTotals(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(250, 1000, 2)
		d := &importertest.Driver{Account: a, Total: true}
		cfg := config(silent{d}, importer.NewMemory())
		estimate := func() importer.Estimated {
			t.Helper()
			e, err := importer.Estimate(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		unknown := importer.Estimated{
			Kinds: []importer.KindEstimate{
				{Kind: driver.KindResource, Items: -1, PageSize: 100, Calls: -1},
				{Kind: driver.KindTransaction, Items: 1000, PageSize: 100, Calls: 10},
				{Kind: driver.KindMedia, Items: -1, PageSize: -1, Calls: -1},
			},
			Calls: 10, Unknown: []driver.Kind{driver.KindResource, driver.KindMedia},
		}
		if got := estimate(); !reflect.DeepEqual(got, unknown) {
			t.Errorf("got  %+v\nwant %+v", got, unknown)
		}
		// A first import that was stopped half-way tells nothing.
		failAt(d, 3)
		if _, err := importer.Run(t.Context(), cfg); !errors.Is(err, errPage) {
			t.Fatalf("got %v", err)
		}
		d.Before = nil
		if got := estimate(); !reflect.DeepEqual(got, unknown) {
			t.Errorf("half-way: got  %+v\nwant %+v", got, unknown)
		}
		a.Touch(time.Now(), "t0000001")
		d.Before = func(context.Context, string, string) error { time.Sleep(time.Second); return nil }
		run(t, cfg)
		d.Before = nil
		a.Resources = 260 // ten new ones, of which nobody has told yet
		want := importer.Estimated{
			Kinds: []importer.KindEstimate{
				{Kind: driver.KindResource, Items: 250, PageSize: 100, Calls: 3, Guessed: true},
				{Kind: driver.KindTransaction, Items: 1000, PageSize: 100, Calls: 10},
				{Kind: driver.KindMedia, Items: 250, PageSize: -1, Calls: 250, Guessed: true},
			},
			Calls: 263, Duration: 2 * time.Minute, Tier: "api 100/1m0s",
		}
		if got := estimate(); !reflect.DeepEqual(got, want) {
			t.Errorf("after a run: got  %+v\nwant %+v", got, want)
		}
		// The account has grown beyond the guess, and the first page shows it.
		d.PageSize = 255
		if k := estimate().Kinds[0]; k.Items != 256 || k.Calls != 2 || !k.Guessed {
			t.Errorf("a page of more than was known: got %+v", k)
		}
		d.PageSize = 0
		// How many have changed nobody knows.
		cfg.Mode = importer.Incremental
		if got := estimate(); got.Kinds[0].Calls != -1 || got.Kinds[0].Guessed || !slices.Equal(got.Unknown, []driver.Kind{driver.KindResource}) || got.Calls != 1 {
			t.Errorf("incremental: got %+v", got)
		}
	})
}
