package airbnb_test

import (
	"slices"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/airbnb"
	"github.com/integrationkit/integrationkit/adapters/airbnb/airbnbtest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

// harness is the suite's view of the driver on a simulated account of three pages of listings, whose stays are around
// the time that a bubble begins with.
func harness(t *testing.T, c airbnbtest.Config) drivertest.Harness {
	t.Helper()
	c.Listings, c.ReservationsPerListing, c.PhotosPerListing, c.Seed = 103, 2, 4, 1
	c.Epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	same, err := airbnbtest.NewServer(c) // the account is made from the seed, so it stays the same
	if err != nil {
		t.Fatal(err)
	}
	listing, request := slices.Collect(same.ListingIDs())[1], slices.Collect(same.Pending())[0]
	if err := same.Close(); err != nil {
		t.Fatal(err)
	}
	from := driver.DateOf(c.Epoch)
	return drivertest.Harness{
		Register: airbnb.Register,
		Partner: func(k drivertest.Conditions) (drivertest.Partner, error) {
			c := c
			c.Latency, c.Jitter, c.Faults = k.Latency, k.Jitter, k.Faults
			s, err := airbnbtest.NewServer(c)
			if err != nil {
				return drivertest.Partner{}, err
			}
			round := 0
			change := func() {
				round++
				s.Change(0.2, round, c.Epoch.AddDate(0, 0, round))
			}
			return drivertest.Partner{Server: s.Server, Integration: s.Integration("host-1"), Change: change}, nil
		},
		TokenPath: "/v2/oauth2/authorizations",
		Resources: 103, Transactions: 206, Media: 4, MediaOf: listing,
		CalendarFrom: from, CalendarTo: from.AddDays(399), Days: 400,
		PushTo: request, PushStatus: driver.StatusConfirmed,
		PushDays: []driver.Day{
			{ResourceID: listing, Date: from, MinStay: driver.Some(3)},
			{ResourceID: listing, Date: from.AddDays(1), MinStay: driver.Some(4), ClosedToArrival: driver.Some(true)},
		},
		WebhookKinds: []string{
			"reservation_acceptance_confirmation", "reservation_cancellation_confirmation",
			"listing_approval_status_changed", "authorization_revoked",
			"listings_unlinked", "message_added",
		},
		Canaries: []string{airbnbtest.WifiPassword, "@guest.example.com", "Muster"},
	}
}

func TestConformance(t *testing.T) {
	for name, c := range map[string]airbnbtest.Config{"newer": {}, "older": {Old: true, Rotate: true}} {
		t.Run(name, func(t *testing.T) {
			if name == "older" && testing.Short() {
				t.Skip("one shape is enough for -short")
			}
			drivertest.Run(t, harness(t, c))
		})
	}
}
