package importer_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// applyAt stores what a request that was sent at the time brought.
func applyAt(t *testing.T, s importer.Store, sent time.Time, records ...any) {
	t.Helper()
	if _, err := importer.Apply(t.Context(), config(nil, s), sent, records...); err != nil {
		t.Fatal(err)
	}
}

// An observation that comes late takes nothing over when what is stored knows better what the record was.
func TestPromise2_StaleAlias(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, start := importer.NewMemory(), time.Now()
		time.Sleep(10 * time.Hour)
		at := func(h int) time.Time { return start.Add(time.Duration(h) * time.Hour) }
		applyAt(t, s, at(1), asShown("a", "A", at(1)))
		applyAt(t, s, at(5), asShown("c", "C", at(5), "x"))
		applyAt(t, s, at(3), asShown("c", "C", at(3), "a"))
		a := get(t, s, resources, "a")
		if !a.DeletedAt.IsZero() || a.Version != 1 || live(t, s, resources) != 2 {
			t.Errorf("an older observation took it over: deleted %v, %s", a.DeletedAt, a.Document)
		}
		r, err := importer.Decode[driver.Resource](get(t, s, resources, "c"))
		if err != nil || !slices.Equal(r.Aliases, []string{"x"}) {
			t.Errorf("%+v, %v", r.Aliases, err)
		}
	})
}

// What is known of a thing under several ids is the same, whatever came first: each field has its newest value.
func TestPromise2_MergedWhateverComesFirst(t *testing.T) {
	type step struct {
		sent int
		rec  func(at time.Time) *driver.Resource
	}
	alone := func(h int, id string, f func(r *driver.Resource)) step {
		return step{h, func(at time.Time) *driver.Resource { r := asShown(id, "", at); f(r); return r }}
	}
	// Each of a and b was seen by itself before c was said to be what both are.
	before := []step{
		alone(1, "a", func(r *driver.Resource) { r.Name, r.Capacity = driver.Some("A"), driver.Some(4) }),
		alone(2, "b", func(r *driver.Resource) { r.Name, r.Bedrooms = driver.Some("B"), driver.Some(2.0) }),
	}
	of := []step{
		alone(3, "c", func(r *driver.Resource) { r.Capacity = driver.Some(5) }),
		{4, func(at time.Time) *driver.Resource { return asShown("c", "", at, "a", "b") }},
		alone(5, "c", func(r *driver.Resource) { r.Bathrooms = driver.Some(1.5) }),
		alone(0, "c", func(r *driver.Resource) { r.Bedrooms, r.Name = driver.Some(9.0), driver.Some("C") }),
	}
	orders := [][]int{
		{0, 1, 2, 3}, {1, 0, 2, 3}, {2, 1, 0, 3}, {3, 0, 1, 2}, {1, 2, 3, 0}, {2, 0, 1, 3}, {3, 2, 1, 0}, {0, 2, 3, 1},
	}
	var want importer.Stored
	for i, order := range orders {
		synctest.Test(t, func(t *testing.T) {
			s, start := importer.NewMemory(), time.Now()
			time.Sleep(10 * time.Hour)
			bring := func(st step) {
				at := start.Add(time.Duration(st.sent) * time.Hour)
				applyAt(t, s, at, st.rec(at))
			}
			for _, st := range before {
				bring(st)
			}
			for _, n := range order {
				bring(of[n])
			}
			got := get(t, s, resources, "c")
			raw, err := s.Raw(t.Context(), resources, "c")
			if err != nil || live(t, s, resources) != 1 {
				t.Errorf("%v: %d live, %v", order, live(t, s, resources), err)
			}
			got.Raw, got.Version, got.ChangedAt = raw, 0, time.Time{} // the last two count what happened on the way
			if i == 0 {
				want = got
				r, err := importer.Decode[driver.Resource](got)
				seen := fmt.Sprint(r.Name.Or(""), r.Capacity.Or(0), r.Bedrooms.Or(0), r.Bathrooms.Or(0), r.Aliases)
				if seen != "B5 2 1.5 [a b]" || err != nil {
					t.Errorf("got %s, %v", seen, err)
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%v:\ngot  %s %v %v %v\nwant %s %v %v %v", order, got.Document, got.Stamp, got.Older, got.FirstFetched,
					want.Document, want.Stamp, want.Older, want.FirstFetched)
			}
		})
	}
}
