package importer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/pagination"
)

// asShown is a resource as an answer shows it.
func asShown(id, name string, at time.Time, aliases ...string) *driver.Resource {
	r := &driver.Resource{Record: driver.Record{ID: id, Aliases: aliases, UpdatedAt: at, Raw: json.RawMessage(`{"of":"` + id + `"}`)}}
	if name != "" {
		r.Name = driver.Some(name)
	}
	return r
}

// story is what the log of events tells: "merged a, updated c".
func story(t *testing.T, s importer.Store, after int64) (string, int64) {
	t.Helper()
	events, err := s.Events(t.Context(), "", after, 100)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, e := range events {
		parts = append(parts, fmt.Sprintf("%s %s", e.Change, e.ID))
		after = e.Seq
	}
	return strings.Join(parts, ", "), after
}

func bring(t *testing.T, s importer.Store, records ...any) importer.Counts {
	t.Helper()
	time.Sleep(time.Hour)
	res, err := importer.Apply(t.Context(), config(nil, s), time.Now(), records...)
	if err != nil {
		t.Fatal(err)
	}
	return res.Counts()
}

// A record that goes on under another id is a change of ids: nothing is deleted, nothing is added, and what is known stays.
func TestRenamedRecord(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := importer.NewMemory()
		before := time.Now()
		a := asShown("a", "Harbour", before)
		a.Capacity = driver.Some(4)
		bring(t, s, a)
		_, seq := story(t, s, 0)

		n := bring(t, s, asShown("c", "Harbour loft", before.Add(time.Minute), "a"))
		if n.Merged != 1 || n.Updated != 1 || n.Added+n.Deleted+n.Restored != 0 {
			t.Errorf("counts %+v", n)
		}
		if got, _ := story(t, s, seq); got != "merged a, updated c" {
			t.Errorf("the log says %q", got)
		}
		c := get(t, s, resources, "c")
		r, err := importer.Decode[driver.Resource](c)
		if err != nil || r.Name.Or("") != "Harbour loft" || r.Capacity.Or(0) != 4 || !slices.Equal(r.Aliases, []string{"a"}) || !c.DeletedAt.IsZero() {
			t.Errorf("%s, %v", c.Document, err)
		}
		if !strings.Contains(string(c.Document), `"id":"c"`) || c.Version != 2 || !c.FirstFetched.Before(c.LastFetched) {
			t.Errorf("%s, version %d, fetched %v to %v", c.Document, c.Version, c.FirstFetched, c.LastFetched)
		}
		if raw, err := s.Raw(t.Context(), resources, "c"); err != nil || string(raw) != `{"of":"c"}` {
			t.Errorf("raw %s, %v", raw, err)
		}
		old := get(t, s, resources, "a")
		if string(old.Document) != `{"aliases":["c"],"id":"a"}` || old.DeletedAt.IsZero() {
			t.Errorf("under the old id: %s, deleted %v", old.Document, old.DeletedAt)
		}
		if raw, err := s.Raw(t.Context(), resources, "a"); err != nil || len(raw) > 0 {
			t.Errorf("raw %s, %v", raw, err)
		}

		// The same again is no news, and neither is the old id without it.
		_, seq = story(t, s, 0)
		n = bring(t, s, asShown("c", "Harbour loft", before.Add(time.Minute), "a"))
		if got, _ := story(t, s, seq); got != "" || n.Unchanged != 1 {
			t.Errorf("%q, %+v", got, n)
		}
	})
}

// Two records become one that was there: its history goes on, the other's ends in it.
func TestMergedRecords(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := importer.NewMemory()
		bring(t, s, asShown("a", "A", time.Now()), asShown("b", "B", time.Now()), asShown("c", "C", time.Now()))
		_, seq := story(t, s, 0)
		n := bring(t, s, asShown("c", "", time.Now(), "a", "b", "never seen"))
		if got, _ := story(t, s, seq); got != "merged a, merged b, updated c" || n.Merged != 2 || n.Updated != 1 {
			t.Errorf("%q, %+v", got, n)
		}
		if r, err := importer.Decode[driver.Resource](get(t, s, resources, "c")); err != nil || r.Name.Or("") != "C" {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// An alias may be the id of something that is still there: what is shown by itself stays, whatever comes first.
func TestSplitRecords(t *testing.T) {
	for name, first := range map[string]bool{"the old one first": true, "the new one first": false} {
		bubble(t, name, func(t *testing.T) {
			s := importer.NewMemory()
			bring(t, s, asShown("a", "A", time.Now()))
			_, seq := story(t, s, 0)
			a, b := asShown("a", "A", time.Now()), asShown("b", "B", time.Now(), "a")
			if first {
				bring(t, s, a, b)
			} else {
				bring(t, s, b, a)
			}
			if got, _ := story(t, s, seq); got != "added b" {
				t.Errorf("%q", got)
			}
			// In calls of their own, the new one first: the old one was taken for it, and is put back when it is shown, for good.
			_, seq = story(t, s, 0)
			bring(t, s, asShown("x", "X", time.Now(), "b"))
			bring(t, s, asShown("b", "B", time.Now(), "a"))
			bring(t, s, asShown("x", "X", time.Now(), "b"))
			if got, _ := story(t, s, seq); got != "merged b, updated x, restored b" {
				t.Errorf("%q", got)
			}
			if live(t, s, resources) != 3 {
				t.Errorf("%d live", live(t, s, resources))
			}
		})
	}
}

// What was erased stays erased under every id.
func TestErasedUnderAnotherID(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := importer.NewMemory()
		bring(t, s, asShown("a", "CANARY", time.Now()))
		if err := s.Erase(t.Context(), resources, "a"); err != nil {
			t.Fatal(err)
		}
		n := bring(t, s, asShown("c", "CANARY", time.Now(), "a"))
		if n.Skipped != 1 || n.Added != 0 || strings.Contains(dump(t, s), "CANARY") {
			t.Errorf("%+v, %s", n, dump(t, s))
		}
		// Also when the alias is no longer named.
		if n := bring(t, s, asShown("c", "CANARY", time.Now())); n.Skipped != 1 || strings.Contains(dump(t, s), "CANARY") {
			t.Errorf("%+v", n)
		}
	})
}

// A late observation, from before the old id was last shown by itself, takes nothing over.
func TestLateAlias(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := importer.NewMemory()
		bring(t, s, asShown("a", "A", time.Now()))
		sent := time.Now().Add(-time.Minute)
		if _, err := importer.Apply(t.Context(), config(nil, s), sent, asShown("c", "C", sent, "a")); err != nil {
			t.Fatal(err)
		}
		if live(t, s, resources) != 2 {
			t.Errorf("%d live", live(t, s, resources))
		}
	})
}

// fixed is a partner that lists these resources.
type fixed []*driver.Resource

func (fixed) Info() driver.Info           { return driver.Info{Partner: "acme"} }
func (fixed) Check(context.Context) error { return nil }
func (f fixed) Resources(context.Context, driver.Query) pagination.Pages[driver.Resource] {
	rows := make([]driver.Resource, len(f))
	for i := range f {
		rows[i] = *f[i]
	}
	return pagination.Of(rows...)
}

// A whole listing does not find the old id deleted, nor does the guard against mass deletion count it.
func TestListingWithOtherIDs(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := importer.NewMemory()
		var was, is fixed
		for i := range 20 {
			id := fmt.Sprint("old", i)
			was = append(was, asShown(id, id, time.Now()))
			is = append(is, asShown(fmt.Sprint("new", i), id, time.Now(), id))
		}
		run(t, config(was, s))
		_, seq := story(t, s, 0)
		res := only(t, run(t, config(is, s)), driver.KindResource)
		if n := res.Counts; n.Merged != 20 || n.Updated != 20 || n.Added+n.Deleted != 0 || res.Kept != "" || !res.Complete {
			t.Errorf("%+v, kept %q", n, res.Kept)
		}
		if got, _ := story(t, s, seq); strings.Contains(got, "deleted") || strings.Contains(got, "added") {
			t.Errorf("%q", got)
		}
		if live(t, s, resources) != 20 {
			t.Errorf("%d live", live(t, s, resources))
		}
	})
}

// The media of a resource that goes on under another id go with it.
func TestMediaOfRenamedResource(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := importer.NewMemory()
		picture := &driver.Media{Record: driver.Record{ID: "m", Raw: json.RawMessage(`{}`)}, ResourceID: "a", Caption: driver.Some("balcony")}
		other := &driver.Media{Record: driver.Record{ID: "n", Raw: json.RawMessage(`{}`)}, ResourceID: "b"}
		bring(t, s, asShown("a", "A", time.Now()), asShown("b", "B", time.Now()), picture, other)
		_, seq := story(t, s, 0)
		bring(t, s, asShown("c", "C", time.Now(), "a"))
		if got, _ := story(t, s, seq); got != "merged a, updated c, updated m" {
			t.Errorf("%q", got)
		}
		m := get(t, s, media, "m")
		if r, err := importer.Decode[driver.Media](m); err != nil || r.ResourceID != "c" || m.Parent != "c" || r.Caption.Or("") != "balcony" {
			t.Errorf("%s, of %s, %v", m.Document, m.Parent, err)
		}
		if n := get(t, s, media, "n"); n.Parent != "b" || n.Version != 1 {
			t.Errorf("%+v", n)
		}
	})
}
