package guestytest_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// snapshot reads an account whole: the text of every record by its id.
func snapshot(t *testing.T, s *guestytest.Server, c *client) map[string]map[string]string {
	t.Helper()
	out := map[string]map[string]string{"listing": {}, "reservation": {}, "photo": {}}
	for _, r := range c.all("/v1/listings", "sort=_id&fields=title+prices+lastUpdatedAt+createdAt", 100) {
		out["listing"][r["_id"].(string)] = fmt.Sprint(r)
		time.Sleep(time.Second)
		_, text := c.get("/v1/properties-api/property-photos/property-photos/" + r["_id"].(string))
		var photos []map[string]any
		decode(t, text, &photos)
		for _, p := range photos {
			out["photo"][p["_id"].(string)] = fmt.Sprint(p)
		}
	}
	for _, r := range c.all("/v1/reservations",
		"fields=status+money.subTotalPrice+guestsCount+lastUpdatedAt+listingId", 100) {
		out["reservation"][r["_id"].(string)] = fmt.Sprint(r)
	}
	return out
}

func delta(before, after map[string]string) (d partnersim.Delta) {
	for id, text := range after {
		if was, ok := before[id]; !ok {
			d.Added++
		} else if was != text {
			d.Updated++
		}
	}
	for id := range before {
		if _, ok := after[id]; !ok {
			d.Deleted++
		}
	}
	return d
}

// What Change says it did is what a reader sees, round after round.
func TestChangeIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newServer(t, guestytest.Config{Listings: 60, ReservationsPerListing: 3, PhotosPerListing: 2, Odd: -1})
		c.login()
		before := snapshot(t, s, c)
		at := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
		for round := 1; round <= 4; round++ {
			at = at.Add(time.Hour)
			said := s.Change(0.2, round, at)
			time.Sleep(time.Minute)
			after := snapshot(t, s, c)
			got := guestytest.Changes{Listings: delta(before["listing"], after["listing"]),
				Reservations: delta(before["reservation"], after["reservation"]), Photos: delta(before["photo"],
					after["photo"])}
			if got != said {
				t.Errorf("round %d: said %+v, did %+v", round, said, got)
			}
			if want := (guestytest.Counts{Listings: len(after["listing"]), Reservations: len(after["reservation"]),
				Photos: len(after["photo"])}); s.Account() != want {
				t.Errorf("round %d: account %+v, found %+v", round, s.Account(), want)
			}
			// An incremental query finds what was added or updated, no more and no less.
			changed := c.all("/v1/reservations", filters(t, map[string]any{"field": "lastUpdatedAt",
				"operator": "$gte", "value": at.Format(time.RFC3339)}), 100)
			if len(changed) != said.Reservations.Added+said.Reservations.Updated {
				t.Errorf("round %d: %d changed since, want those of %+v", round, len(changed), said.Reservations)
			}
			before = after
		}
		if said := s.Change(0.2, 4, at); said != (guestytest.Changes{}) {
			t.Errorf("the same round again: %+v", said)
		}
		if said := s.Change(0, 9, at); said != (guestytest.Changes{}) {
			t.Errorf("nothing to change: %+v", said)
		}
		if r := s.Report(); r.Violations != 0 || len(r.Unexpected) != 0 {
			t.Errorf("report: %+v", r)
		}
	})
}

// The order by title shifts with a change: what relies on it loses rows.
func TestPagesByTitleShift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newServer(t, guestytest.Config{Listings: 100})
		c.login()
		before := ids(c.all("/v1/listings", "sort=title", 25))
		s.Change(0.03, 1, time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC))
		if after := ids(c.all("/v1/listings", "sort=title", 25)); slices.Equal(before[:25], after[:25]) {
			t.Error("the first page is the same after a change")
		}
	})
}

// A million listings are made up, not held: neither memory nor the time of a page grows with the account.
func TestAMillionListingsAreNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heap := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := heap()
		s, c := newServer(t, guestytest.Config{Listings: 1_000_000, ReservationsPerListing: 3, PhotosPerListing: 5})
		c.login()
		s.Change(0.001, 1, time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC))
		for _, skip := range []int{0, 500_000, 999_900} {
			for _, path := range []string{"/v1/listings?limit=100", "/v1/listings?limit=100&sort=_id",
				"/v1/reservations?limit=100&sort=-_id"} {
				_, text := c.get(fmt.Sprintf("%s&skip=%d", path, skip))
				var e envelope
				if decode(t, text, &e); len(e.Results) != 100 {
					t.Errorf("%s from %d: %d rows", path, skip, len(e.Results))
				}
			}
			time.Sleep(time.Second)
		}
		if grown := int64(heap()) - int64(before); grown > 4<<20 {
			t.Errorf("the heap grew by %d KB", grown>>10)
		}
		if n := s.Account(); n.Listings != 1_000_000 || n.Photos != 5_000_000 {
			t.Errorf("account: %+v", n)
		}
	})
}
