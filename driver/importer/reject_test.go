package importer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/pagination"
)

func TestRejectedItems(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(30, 0, 0)
		s := importer.NewMemory()
		cfg := config(&importertest.Driver{Account: a}, s)
		cfg.Kinds = []driver.Kind{driver.KindResource}
		a.Poison(errors.New("capacity: want a number"), false, "r0000003", "r0000004")
		a.Poison(errors.New("not an object"), true, "r0000005")
		k := only(t, run(t, cfg), driver.KindResource)
		if k.Counts.Added != 27 || k.Counts.Rejected != 3 || k.Counts.Items != 30 || !k.Complete {
			t.Errorf("got %+v", k)
		}
		run(t, cfg)
		got := rejections(t, s, resources)
		if len(got) != 3 || got[0].ID != "r0000003" || got[0].Key != "r0000003" || got[0].Count != 2 || got[0].Reason != "capacity: want a number" ||
			string(got[0].Raw) != `{"_id":"r0000003","v":0}` || got[0].Last.Sub(got[0].First) != time.Hour {
			t.Errorf("got %+v", got)
		}
		if n := got[2]; n.ID != "" || !strings.HasPrefix(n.Key, "sha256:") || n.Count != 2 {
			t.Errorf("without an id: got %+v", n)
		}
		// Healed, it is imported and no longer rejected.
		a.Poison(nil, false, "r0000003")
		if k := only(t, run(t, cfg), driver.KindResource); k.Counts.Added != 1 || len(rejections(t, s, resources)) != 2 {
			t.Errorf("got %+v", k)
		}
		// A stored record whose new version is rejected keeps its last good one, and is not deleted.
		a.Touch(time.Now(), "r0000007")
		a.Poison(errors.New("garbage"), false, "r0000007")
		a.Poison(nil, false, "r0000005")
		run(t, cfg)
		if got := get(t, s, resources, "r0000007"); got.Version != 1 || !got.DeletedAt.IsZero() || got.Generation != 4 {
			t.Errorf("got %+v", got)
		}
	})
}

// TestOddItems: what a page may hold that no store could take.
func TestOddItems(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		named := func(id string) driver.Resource {
			return driver.Resource{Record: driver.Record{ID: id, Raw: json.RawMessage(`{"raw":1}`)}, Name: driver.Some("n")}
		}
		infinite := named("inf")
		infinite.Bedrooms = driver.Some(math.Inf(1))
		huge := errors.New(strings.Repeat("é", 400) + "\x00\xff")
		page := pagination.Page[driver.Resource]{
			Total: -1,
			Items: []driver.Resource{named(""), named("a\x00b"), named("a\xffb"), named(strings.Repeat("x", 5000)), infinite, named("good"), named("good"), named("ü😀")},
			Rejected: []pagination.Rejected{
				{ID: "r1", Err: huge, Raw: bytes.Repeat([]byte("x"), 2*pagination.MaxRaw)}, {ID: "r2"}, {}, {ID: "good", Err: huge},
				{ID: "r1", Err: errors.New("again")}, {ID: strings.Repeat("y", 5000), Err: huge}, {ID: "nul\x00"},
			},
		}
		s := importer.NewMemory()
		list := func(driver.Query) pagination.Pages[driver.Resource] {
			return func(yield func(pagination.Page[driver.Resource], error) bool) { yield(page, nil) }
		}
		res := run(t, config(custom{list}, s))
		if c := res.Counts(); c.Items != 15 || c.Added != 2 || c.Unchanged != 1 || c.Rejected != 12 {
			t.Errorf("got %+v", c)
		}
		sum := int64(0)
		for _, r := range rejections(t, s, resources) {
			sum += r.Count
			if len(r.Reason) > 500 || len(r.Raw) > pagination.MaxRaw || !utf8.ValidString(r.Reason+r.Key+r.ID) || r.Reason == "" ||
				strings.ContainsRune(r.Reason+r.Key+r.ID, 0) || len(r.Key) > 1024 || r.ID == "good" {
				t.Errorf("got key %q, id %q, reason %q, %d bytes of raw", r.Key, r.ID, r.Reason, len(r.Raw))
			}
		}
		if sum != 11 { // all but the one that was imported from the same page
			t.Errorf("rejections of %d items", sum)
		}
		if n := live(t, s, resources); n != 2 {
			t.Errorf("%d live", n)
		}
		// An id that nothing can be stored under does not hide what is gone.
		page.Items, page.Rejected = page.Items[5:6], page.Rejected[5:]
		if k := only(t, run(t, config(custom{list}, s)), driver.KindResource); k.Counts.Deleted != 1 || k.Kept != "" {
			t.Errorf("got %+v", k)
		}
	})
}

func TestProcess(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(8, 3, 1)
		s := importer.NewMemory()
		cfg := config(&importertest.Driver{Account: a}, s)
		type key struct{}
		cfg.Process = func(ctx context.Context, record any) error {
			r, ok := record.(*driver.Resource)
			if !ok {
				return nil
			}
			if ctx.Value(key{}) != "value" {
				return errors.New("the context is another")
			}
			switch r.ID {
			case "r0000001":
				return fmt.Errorf("no: %w", importer.ErrSkip)
			case "r0000002":
				return errors.New("breaks a rule of the host's")
			case "r0000003":
				panic(driver.Customer{Email: "erika@example.com"})
			case "r0000004":
				r.Name = driver.Some("the host's name")
			case "r0000005":
				r.ID = "another"
			case "r0000006":
				r.Capacity = driver.Some(-1)
			}
			return nil
		}
		ctx := context.WithValue(t.Context(), key{}, "value")
		res, err := importer.Run(ctx, cfg)
		k := only(t, res, driver.KindResource)
		if err != nil || k.Counts.Added != 3 || k.Counts.Skipped != 1 || k.Counts.Rejected != 4 || !k.Complete {
			t.Errorf("got %v, %+v", err, k)
		}
		want := map[string]string{
			"r0000002": "breaks a rule of the host's", "r0000003": "panic in Process: driver.Customer",
			"r0000005": "its id was changed by Process", "r0000006": "driver: invalid resource: capacity: gte=0",
		}
		for _, r := range rejections(t, s, resources) {
			if r.Reason != want[r.ID] {
				t.Errorf("%s: got %q, want %q", r.ID, r.Reason, want[r.ID])
			}
			delete(want, r.ID)
		}
		if len(want) != 0 {
			t.Errorf("not rejected: %v", want)
		}
		if got := get(t, s, resources, "r0000004"); !strings.Contains(string(got.Document), "the host's name") {
			t.Errorf("got %s", got.Document)
		}
		// What is stored of a record that is not wanted any more stays, and is not taken for gone.
		cfg.Process = func(_ context.Context, record any) error {
			if r, ok := record.(*driver.Resource); ok && r.ID == "r0000000" {
				return importer.ErrSkip
			}
			return nil
		}
		if k := only(t, run(t, cfg), driver.KindResource); k.Counts.Skipped != 1 || k.Counts.Deleted != 0 || !get(t, s, resources, "r0000000").DeletedAt.IsZero() {
			t.Errorf("got %+v", k)
		}
	})
}

func TestOnChanges(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(25, 0, 1)
		s := importer.NewMemory()
		cfg := config(&importertest.Driver{Account: a, PageSize: 10}, s)
		told := map[string]int64{} // versions, by id
		var sets []importer.ChangeSet
		cfg.OnChanges = func(_ context.Context, c importer.ChangeSet) error {
			sets = append(sets, c)
			for _, ch := range c.Changes {
				told[ch.ID] = ch.Version
				if ch.Collection != c.Collection || ch.Run != c.Run || len(ch.Document) == 0 {
					t.Errorf("got %+v", ch)
				}
			}
			return nil
		}
		res := run(t, cfg)
		if len(told) != 50 || sets[0].Run != res.Run || len(events(t, s)) != 50 {
			t.Errorf("told of %d, logged %d", len(told), len(events(t, s)))
		}
		sets = nil
		a.Touch(time.Now(), "r0000003")
		a.Delete("r0000004")
		run(t, cfg)
		var got []string
		for _, set := range sets {
			for _, ch := range set.Changes {
				got = append(got, fmt.Sprintf("%s %s v%d %v", ch.ID, ch.Change, ch.Version, ch.Fields))
			}
		}
		want := "r0000003 updated v2 [name]; r0000004-m00 deleted v2 []; r0000004 deleted v2 []"
		if strings.Join(got, "; ") != want {
			t.Errorf("got  %s\nwant %s", strings.Join(got, "; "), want)
		}

		// Its error undoes the transaction, and the run stops.
		refused := errors.New("the queue is full")
		before := dump(t, s)
		a.Touch(time.Now(), "r0000015")
		cfg.OnChanges = func(context.Context, importer.ChangeSet) error { return refused }
		time.Sleep(time.Hour)
		res, err := importer.Run(t.Context(), cfg)
		if !errors.Is(err, refused) || dump(t, s) != before || res.Kinds[0].Counts.Items != 10 || res.Kinds[0].Complete {
			t.Errorf("got %v, %+v", err, res.Kinds)
		}
		cfg.OnChanges = nil
		if res := run(t, cfg); res.Kinds[0].Counts.Updated != 1 || !res.Kinds[0].Resumed {
			t.Errorf("got %+v", res.Kinds[0])
		}
	})
}

// again is a store that has a conflict in every transaction: f is run twice, and the first time is undone.
type again struct{ importer.Store }

func (s again) Update(ctx context.Context, f func(ctx context.Context, tx importer.Tx) error) error {
	conflict := errors.New("conflict")
	if err := s.Store.Update(ctx, func(ctx context.Context, tx importer.Tx) error {
		if err := f(ctx, tx); err != nil {
			return err
		}
		return conflict
	}); !errors.Is(err, conflict) {
		return err
	}
	return s.Store.Update(ctx, f)
}

// TestConflicts: a transaction that is run again counts and changes once.
func TestConflicts(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		once, twice := importer.NewMemory(), importer.NewMemory()
		a := account(45, 20, 2)
		d := &importertest.Driver{Account: a, PageSize: 10}
		for range 2 {
			r1 := run(t, config(importertest.Getter{Driver: d}, once))
			r2 := run(t, config(importertest.Getter{Driver: d}, again{twice}))
			for i := range r1.Kinds {
				if r1.Kinds[i].Counts != r2.Kinds[i].Counts || r1.Kinds[i].Pass != r2.Kinds[i].Pass || r1.Kinds[i].Drifted != r2.Kinds[i].Drifted {
					t.Errorf("got %+v\nwant %+v", r2.Kinds[i], r1.Kinds[i])
				}
			}
			if got, want := dump(t, twice), dump(t, once); got != want {
				t.Error(difference(got, want))
			}
			a.Change(0.1, 1, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
			a.Hide(true, "r0000009", "t0000009")
			a.Delete("r0000002-m00")
		}
	})
}
