package importer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/pagination"
)

func numbered(prefix string, from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("%s%07d", prefix, i))
	}
	return out
}

// TestMassDeletionGuard: what a listing may delete.
func TestMassDeletionGuard(t *testing.T) {
	for _, tt := range []struct {
		name     string
		fraction float64
		n, gone  int
		deleted  bool
	}{
		{"a fifth", 0, 100, 20, true},
		{"more than a fifth", 0, 100, 21, false},
		{"ten may always go", 0, 20, 10, true},
		{"eleven of twenty", 0, 20, 11, false},
		{"all of a few", 0, 5, 5, false}, // the partner listed nothing at all
		{"half, allowed", 0.5, 100, 50, true},
		{"half and one", 0.5, 100, 51, false},
		{"all, allowed", 1, 100, 100, true},
		{"never", -1, 100, 1, false},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			a := account(tt.n, 0, 0)
			s := importer.NewMemory()
			cfg := config(&importertest.Driver{Account: a}, s)
			cfg.Kinds, cfg.MaxDeleteFraction = []driver.Kind{driver.KindResource}, tt.fraction
			run(t, cfg)
			a.Delete(numbered("r", 0, tt.gone)...)
			k := only(t, run(t, cfg), driver.KindResource)
			want := 0
			if tt.deleted {
				want = tt.gone
			}
			if k.Counts.Deleted != want || live(t, s, resources) != tt.n-want || (k.Kept == "") != tt.deleted || !k.Complete {
				t.Errorf("got %d deleted, kept %q, complete %v %q", k.Counts.Deleted, k.Kept, k.Complete, k.Why)
			}
			if !tt.deleted && tt.fraction >= 0 { // the guard is asked again, not worn down
				if k := only(t, run(t, cfg), driver.KindResource); k.Counts.Deleted != 0 || k.Kept == "" {
					t.Errorf("the second time: got %+v", k)
				}
			}
		})
	}
}

func TestSweepReadsBack(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(300, 300, 0)
		d := &importertest.Driver{Account: a, PageSize: 50}
		s := importer.NewMemory()
		cfg := config(importertest.Getter{Driver: d}, s)
		run(t, cfg)
		for _, p := range []string{"r", "t"} {
			a.Delete(numbered(p, 0, 60)...)
			a.Hide(true, numbered(p, 100, 130)...) // the list moved: these exist
			a.Touch(time.Now(), numbered(p, 110, 115)...)
		}
		a.Hide(true, numbered("r", 110, 115)...)
		a.Poison(errors.New("cannot be understood"), false, "r0000120")
		cfg.MaxDeleteFraction = 0.5
		res := run(t, cfg)
		for _, kind := range []driver.Kind{driver.KindResource, driver.KindTransaction} {
			k := only(t, res, kind)
			if k.Counts.Deleted != 60 || k.Drifted != 30 || k.Counts.Updated != 5 || k.Kept != "" {
				t.Errorf("%s: got %+v", kind, k)
			}
		}
		if live(t, s, resources) != 240 || get(t, s, resources, "r0000112").Version != 2 || len(rejections(t, s, resources)) != 1 {
			t.Error("what was read back is not as the partner showed it")
		}

		// A read-back that fails stops the sweep, which a later run goes on with.
		a.Delete(numbered("r", 200, 260)...)
		calls := 0
		d.Before = func(_ context.Context, op, _ string) error {
			if op == "resources by id" {
				if calls++; calls == 2 {
					return errPage
				}
			}
			return nil
		}
		time.Sleep(time.Hour)
		res, err := importer.Run(t.Context(), cfg)
		if k := only(t, res, driver.KindResource); !errors.Is(err, errPage) || k.Complete || k.Counts.Deleted == 0 {
			t.Errorf("got %v, %+v", err, k)
		}
		listed := d.Calls()
		res = run(t, cfg)
		if k := only(t, res, driver.KindResource); !k.Resumed || k.Pass.Deleted != 60 || k.Counts.Pages != 0 || live(t, s, resources) != 180 {
			t.Errorf("got %+v after %d calls", k, d.Calls()-listed)
		}
	})
}

func TestSweepReadBackWithoutID(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(30, 0, 0)
		s := importer.NewMemory()
		cfg := config(importertest.Getter{Driver: &importertest.Driver{Account: a}}, s)
		run(t, cfg)
		a.Delete("r0000001")
		a.Hide(true, "r0000002")
		a.Poison(errors.New("cannot be understood"), true, "r0000002") // it might be r0000001
		if k := only(t, run(t, cfg), driver.KindResource); k.Counts.Deleted != 0 || !strings.Contains(k.Kept, "could not be understood") {
			t.Errorf("got %+v", k)
		}
		a.Poison(nil, false, "r0000002")
		if k := only(t, run(t, cfg), driver.KindResource); k.Counts.Deleted != 1 || k.Kept != "" || k.Drifted != 1 {
			t.Errorf("got %+v", k)
		}
	})
}

func TestSweepReadBackIsBounded(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(1200, 0, 0)
		d := &importertest.Driver{Account: a}
		s := importer.NewMemory()
		cfg := config(importertest.Getter{Driver: d}, s)
		cfg.MaxDeleteFraction, cfg.Kinds = 1, []driver.Kind{driver.KindResource}
		run(t, cfg)
		a.Delete(numbered("r", 0, 1100)...)
		if k := only(t, run(t, cfg), driver.KindResource); k.Counts.Deleted != 1000 || !strings.Contains(k.Kept, "the next pass") {
			t.Errorf("got %+v", k)
		}
		if k := only(t, run(t, cfg), driver.KindResource); k.Counts.Deleted != 100 || k.Kept != "" || live(t, s, resources) != 100 {
			t.Errorf("got %+v", k)
		}
	})
}

// broken reads back in ways that prove nothing.
type broken struct {
	*importertest.Driver
	pages pagination.Pages[driver.Resource]
}

func (b broken) ResourcesByID(context.Context, []string) pagination.Pages[driver.Resource] {
	return b.pages
}

func TestSweepReadBackThatProvesNothing(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		page := func(p pagination.Page[driver.Resource]) pagination.Pages[driver.Resource] {
			return func(yield func(pagination.Page[driver.Resource], error) bool) { yield(p, nil) }
		}
		for name, pages := range map[string]pagination.Pages[driver.Resource]{
			"incomplete":   page(pagination.Page[driver.Resource]{Incomplete: "cap"}),
			"no last page": page(pagination.Page[driver.Resource]{Next: "x"}),
			"no page":      func(func(pagination.Page[driver.Resource], error) bool) {},
			"panic":        func(func(pagination.Page[driver.Resource], error) bool) { panic("x") },
		} {
			a := account(30, 0, 0)
			s := importer.NewMemory()
			cfg := config(broken{&importertest.Driver{Account: a}, pages}, s)
			cfg.Kinds = []driver.Kind{driver.KindResource}
			run(t, cfg)
			a.Delete("r0000001")
			time.Sleep(time.Hour)
			if _, err := importer.Run(t.Context(), cfg); err == nil || live(t, s, resources) != 30 {
				t.Errorf("%s: got %v, %d live", name, err, live(t, s, resources))
			}
		}
	})
}

// TestSweepSparesWhatWebhooksBrought: a record that was written during the pass survives it.
func TestSweepSparesWhatWebhooksBrought(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(50, 0, 0)
		d := &importertest.Driver{Account: a, PageSize: 10}
		s := importer.NewMemory()
		cfg := config(d, s)
		cfg.Kinds = []driver.Kind{driver.KindResource}
		run(t, cfg)
		a.Delete("r0000001", "r0000002", "r0000003")
		time.Sleep(time.Hour)
		cfg.OnProgress = func(p importer.Progress) {
			if p.Counts.Pages != 2 || p.Sweeping {
				return
			}
			for id, when := range map[int]time.Time{1: time.Now(), 2: time.Now().Add(-2 * time.Hour), 777: time.Now()} {
				r := a.Resource(id)
				if _, err := importer.Apply(t.Context(), config(nil, s), when, &r); err != nil {
					t.Error(err)
				}
			}
		}
		res := run(t, cfg)
		if k := only(t, res, driver.KindResource); k.Counts.Deleted != 2 {
			t.Errorf("deleted %d, want the two that nobody saw since the pass began", k.Counts.Deleted)
		}
		if got := get(t, s, resources, "r0000777").Generation; got != 0 {
			t.Errorf("what a webhook brought has generation %d", got)
		}
		known := a.Resource(20)
		if _, err := importer.Apply(t.Context(), config(nil, s), time.Now(), &known); err != nil || get(t, s, resources, "r0000020").Generation != 2 {
			t.Errorf("a webhook changed the generation: %v", err)
		}
		for id, lives := range map[string]bool{"r0000001": true, "r0000002": false, "r0000003": false, "r0000777": true} {
			if got := get(t, s, resources, id).DeletedAt.IsZero(); got != lives {
				t.Errorf("%s lives: %v, want %v", id, got, lives)
			}
		}
		// What was sent before the deletion does not undo it; what was sent after it does.
		r := a.Resource(3)
		r.Name = driver.Some("late news")
		if _, err := importer.Apply(t.Context(), config(nil, s), time.Now().Add(-90*time.Minute), &r); err != nil {
			t.Fatal(err)
		}
		if get(t, s, resources, "r0000003").DeletedAt.IsZero() {
			t.Error("an observation from before its deletion brought a record back")
		}
		again := a.Resource(3)
		res, err := importer.Apply(t.Context(), config(nil, s), time.Now(), &again)
		if err != nil || res.Counts().Restored != 1 || !get(t, s, resources, "r0000003").DeletedAt.IsZero() {
			t.Errorf("got %v, %+v", err, res)
		}
	})
}

func TestIncompleteListingsDeleteNothing(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(30, 0, 0)
		d := &importertest.Driver{Account: a, PageSize: 10}
		s := importer.NewMemory()
		cfg := config(d, s)
		cfg.Kinds = []driver.Kind{driver.KindResource}
		run(t, cfg)
		before := checkpoint(t, s, resources).Watermark
		drift := ""
		cfg.Driver = custom{func(q driver.Query) pagination.Pages[driver.Resource] {
			return func(yield func(pagination.Page[driver.Resource], error) bool) {
				for p, err := range d.Resources(t.Context(), q) {
					if p.Next != "" && p.Next != q.Cursor {
						p.Incomplete = drift
					}
					if !yield(p, err) {
						return
					}
				}
			}
		}}
		a.Delete("r0000001", "r0000012")
		a.Touch(time.Now(), "r0000005")
		drift = "the partner's total changed"
		k := only(t, run(t, cfg), driver.KindResource)
		if k.Complete || k.Why != drift || k.Counts.Deleted != 0 || !strings.Contains(k.Kept, "incomplete") || !k.Watermark.Equal(before) {
			t.Errorf("drift: got %+v", k)
		}
		if k.Counts.Updated != 1 {
			t.Error("what was seen is not stored")
		}
		// Two records are gone, one cannot be read, not even its id: it might be one of them.
		drift = ""
		a.Poison(errors.New("garbage"), true, "r0000020")
		k = only(t, run(t, cfg), driver.KindResource)
		if !k.Complete || k.Counts.Deleted != 0 || !strings.Contains(k.Kept, "no id") || k.Counts.Rejected != 1 {
			t.Errorf("nameless: got %+v", k)
		}
		// With an id it is known to be there.
		a.Poison(errors.New("garbage"), false, "r0000020")
		k = only(t, run(t, cfg), driver.KindResource)
		if k.Counts.Deleted != 2 || k.Kept != "" || !get(t, s, resources, "r0000020").DeletedAt.IsZero() {
			t.Errorf("named: got %+v", k)
		}
	})
}

// readable is a custom driver that can read by id.
type readable struct {
	custom
	by importertest.Getter
}

// ResourcesByID implements driver.ResourceGetter.
func (r readable) ResourcesByID(ctx context.Context, ids []string) pagination.Pages[driver.Resource] {
	return r.by.ResourcesByID(ctx, ids)
}

// A list that always moves is never whole. What it does not show is asked for by id, if it is little.
func TestIncompleteListingAsksForAFew(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(400, 0, 0)
		d := &importertest.Driver{Account: a, PageSize: 100}
		s := importer.NewMemory()
		cfg := config(d, s)
		cfg.Kinds = []driver.Kind{driver.KindResource}
		run(t, cfg)
		hidden := map[string]bool{"r0000007": true} // it slipped from one page to the one before
		cfg.Driver = readable{custom{func(q driver.Query) pagination.Pages[driver.Resource] {
			return func(yield func(pagination.Page[driver.Resource], error) bool) {
				for p, err := range d.Resources(t.Context(), q) {
					p.Incomplete = "the partner's total changed"
					p.Items = slices.DeleteFunc(p.Items, func(r driver.Resource) bool { return hidden[r.ID] })
					if !yield(p, err) {
						return
					}
				}
			}
		}}, importertest.Getter{Driver: d}}
		a.Delete("r0000001", "r0000012")
		k := only(t, run(t, cfg), driver.KindResource)
		if k.Complete || k.Counts.Deleted != 2 || k.Drifted != 1 || k.Kept != "" || !get(t, s, resources, "r0000007").DeletedAt.IsZero() {
			t.Errorf("got %+v", k)
		}
		for i := range 101 {
			hidden[a.Resource(100+i).ID] = true
		}
		a.Delete("r0000013")
		k = only(t, run(t, cfg), driver.KindResource)
		if k.Counts.Deleted != 0 || !strings.Contains(k.Kept, "incomplete") {
			t.Errorf("with many hidden: got %+v", k)
		}
	})
}

func TestErasedStaysErased(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(5, 0, 2)
		s := importer.NewMemory()
		cfg := config(&importertest.Driver{Account: a}, s)
		run(t, cfg)
		if err := s.Erase(t.Context(), resources, "r0000002"); err != nil {
			t.Fatal(err)
		}
		a.Touch(time.Now(), "r0000002")
		k := only(t, run(t, cfg), driver.KindResource)
		if got := get(t, s, resources, "r0000002"); !got.Erased || string(got.Document) != "{}" || k.Counts.Skipped != 1 || k.Counts.Deleted != 0 {
			t.Errorf("got %+v, %+v", got, k.Counts)
		}
		a.Poison(errors.New("garbage"), false, "r0000002")
		if run(t, cfg); len(rejections(t, s, resources)) != 0 {
			t.Error("a rejection keeps data of an erased record")
		}
		a.Delete("r0000002")
		if k := only(t, run(t, cfg), driver.KindResource); k.Counts.Deleted != 0 {
			t.Errorf("an erased record was deleted: %+v", k)
		}
	})
}

// windowed is a driver whose listings show a window only.
type windowed struct{ importertest.Getter }

func (w windowed) Info() driver.Info {
	i := w.Getter.Info()
	i.Windowed = []driver.Kind{driver.KindTransaction}
	return i
}

// TestWindowedListingDeletesNothing: what left the window of a listing is not gone, and is not asked for either.
func TestWindowedListingDeletesNothing(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(20, 100, 0)
		s := importer.NewMemory()
		cfg := config(windowed{importertest.Getter{Driver: &importertest.Driver{Account: a, PageSize: 50}}}, s)
		run(t, cfg)
		a.Delete(numbered("t", 0, 5)...)
		a.Delete(numbered("r", 0, 2)...)
		res := run(t, cfg)
		for kind, want := range map[driver.Kind]int{driver.KindResource: 2, driver.KindTransaction: 0} {
			if k := only(t, res, kind); !k.Complete || k.Counts.Deleted != want || k.Kept != "" {
				t.Errorf("%s: complete %v, %d deleted, want %d, kept %q", kind, k.Complete, k.Counts.Deleted, want, k.Kept)
			}
		}
	})
}
