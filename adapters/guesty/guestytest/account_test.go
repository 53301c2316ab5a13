package guestytest_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
)

func ids(rows []map[string]any) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r["_id"].(string))
	}
	return out
}

func TestAccountIsListedCompletely(t *testing.T) {
	s, c := newServer(t, guestytest.Config{Listings: 57, ReservationsPerListing: 3, PhotosPerListing: 4, Scale: 60})
	c.login()
	want := s.Account()
	if (want != guestytest.Counts{Listings: 57, Reservations: 171, Photos: 228}) {
		t.Fatalf("account: got %+v", want)
	}
	listings := ids(c.all("/v1/listings", "sort=_id", 25))
	if got, want := listings, slices.Collect(s.ListingIDs()); !slices.Equal(got, want) {
		t.Errorf("listings: got %v, want %v", got, want)
	}
	if got, want := ids(c.all("/v1/reservations", "", 25)), slices.Collect(s.ReservationIDs()); !slices.Equal(got,
		want) {
		t.Errorf("reservations: got %v, want %v", got, want)
	}
	if got := s.Report(); len(got.Unexpected) != 0 || got.Throttled != 0 {
		t.Errorf("report: %+v", got)
	}
}

func TestPhotosOfEveryListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newServer(t, guestytest.Config{Listings: 20, PhotosPerListing: 4})
		c.login()
		seen := map[string]bool{}
		for id := range s.ListingIDs() {
			resp, text := c.get("/v1/properties-api/property-photos/property-photos/" + id)
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("status %d: %s", resp.StatusCode, text)
			}
			var photos []map[string]any
			decode(t, text, &photos)
			at := map[float64]bool{}
			for _, p := range photos {
				seen[p["_id"].(string)] = true
				at[p["index"].(float64)] = true
			}
			if len(at) != 4 {
				t.Errorf("photos of %s have the indexes %v", id, slices.Collect(maps.Keys(at)))
			}
			time.Sleep(time.Second)
		}
		if len(seen) != s.Account().Photos {
			t.Errorf("got %d photos, want %d", len(seen), s.Account().Photos)
		}
		if r := s.Report(); r.Violations != 0 {
			t.Errorf("report: %+v", r)
		}
	})
}
