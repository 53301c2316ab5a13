package guestytest_test

import (
	"testing"

	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
)

// A page of each kind, of an account of a million listings, without limits and latency.
func BenchmarkPage(b *testing.B) {
	s, err := guestytest.NewServer(guestytest.Config{Listings: 1_000_000, ReservationsPerListing: 3,
		PhotosPerListing: 5})
	if err != nil {
		b.Fatal(err)
	}
	h := guestytest.Handler(s)
	var id string
	for id = range s.ListingIDs() {
		break
	}
	for _, bb := range []struct{ name, path, query string }{
		{"listings", "/v1/listings", "limit=100&skip=5000&sort=_id&fields=title+address+prices+pictures+customFields+lastUpdatedAt"},
		{"reservations", "/v1/reservations",
			"limit=100&skip=5000&sort=_id&fields=status+money+guest+listing+lastUpdatedAt"},
		{"photos", "/v1/properties-api/property-photos/property-photos/" + id, ""},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if status, body := h(bb.path, bb.query); status != 200 || len(body) == 0 {
					b.Fatal(status)
				}
			}
		})
	}
}
