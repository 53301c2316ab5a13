package guesty_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/driver"
)

// read reads everything that the driver can, of an account whose every so-manieth record is odd.
func read(t *testing.T, family guesty.Family, calendar guesty.Calendar, odd int, drift *driver.Drift) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := guestytest.NewServer(guestytest.Config{Listings: 60, ReservationsPerListing: 2, PhotosPerListing: 2,
			Odd: odd, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		in := s.Integration("a")
		in.Settings = map[string]string{"reservations": string(family), "calendar": string(calendar)}
		d, err := guesty.New(driver.Env{Integration: in, Transport: s.Transport(),
			Telemetry: driver.Telemetry{Drift: drift}})
		if err != nil {
			t.Fatal(err)
		}
		all(t, d.Resources(t.Context(), driver.Query{}))
		all(t, d.Transactions(t.Context(), driver.Query{}))
		for _, id := range slices.Collect(s.ListingIDs())[:14] {
			all(t, d.Media(t.Context(), id))
			all(t, d.Calendar(t.Context(), id, firstDay, firstDay.AddDays(30)))
		}
	})
}

// What is documented is no drift: of an account without odd records, not one field is told of.
func TestDocumentedAnswersAreNoDrift(t *testing.T) {
	strict := &driver.Drift{OnOddity: func(_ context.Context, partner string, o driver.Oddity) {
		t.Errorf("%s: %+v",
			partner, o)
	}}
	read(t, guesty.V3, guesty.Minified, -1, strict)
	read(t, guesty.Classic, guesty.Full, -1, strict)
}

// The odd shapes that are known are read as they are meant, and no drift either, but for those that contradict the
// documentation's types.
func TestKnownOddShapes(t *testing.T) {
	drift := &driver.Drift{}
	read(t, guesty.V3, guesty.Minified, 3, drift)
	read(t, guesty.Classic, guesty.Full, 3, drift)
	for _, c := range drift.Snapshot() {
		if c.Lost > 0 || !strings.HasPrefix(c.Field, "customFields") {
			t.Errorf("%+v", c)
		}
	}
}
