package guesty_test

import (
	"slices"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

// harness is the suite's view of the driver, in the family and with the calendar, on a simulated account of three
// pages of listings and reservations.
func harness(t *testing.T, f guesty.Family, c guesty.Calendar, expired401 bool) drivertest.Harness {
	t.Helper()
	account := guestytest.Config{Listings: 215, ReservationsPerListing: 1, PhotosPerListing: 5, Seed: 1,
		Expired401: expired401}
	same, err := guestytest.NewServer(account) // the account is made from the seed, so it stays the same
	if err != nil {
		t.Fatal(err)
	}
	listing, stay := slices.Collect(same.ListingIDs())[1], slices.Collect(same.ReservationIDs())[1]
	if err := same.Close(); err != nil {
		t.Fatal(err)
	}
	from := driver.Date{Year: 2026, Month: 12, Day: 1}
	return drivertest.Harness{
		Register: guesty.Register,
		Partner: func(cond drivertest.Conditions) (drivertest.Partner, error) {
			account.Latency, account.Jitter, account.Faults = cond.Latency, cond.Jitter, cond.Faults
			s, err := guestytest.NewServer(account)
			if err != nil {
				return drivertest.Partner{}, err
			}
			in := s.Integration("acct-17")
			in.Settings = map[string]string{"reservations": string(f), "calendar": string(c)}
			round := 0
			change := func() {
				round++
				s.Change(0.2, round, time.Date(2026, 11, 1+round, 0, 0, 0, 0, time.UTC))
			}
			return drivertest.Partner{Server: s.Server, Integration: in, Change: change}, nil
		},
		TokenPath: "/oauth2/token",
		Resources: 215, Transactions: 215, Media: 5, MediaOf: listing,
		CalendarFrom: from, CalendarTo: from.AddDays(799), Days: 800,
		PushTo: stay, PushStatus: driver.StatusClosed,
		PushDays: []driver.Day{
			{ResourceID: listing, Date: from, MinStay: driver.Some(3)},
			{ResourceID: listing, Date: from.AddDays(1), MinStay: driver.Some(4), ClosedToArrival: driver.Some(true)},
		},
		PushCall: "PUT /v1/*",
		WebhookKinds: []string{"reservation.updated.v2", "reservation.created.v2", "listing.removed",
			"calendar.updated.v2", "guest.updated"},
		Canaries: []string{guestytest.SecretInListing, "@guests.example.com"},
	}
}

func TestConformance(t *testing.T) {
	t.Run("v3", func(t *testing.T) { drivertest.Run(t, harness(t, guesty.V3, guesty.Minified, false)) })
	t.Run("classic", func(t *testing.T) {
		if testing.Short() {
			t.Skip("one family is enough for -short")
		}
		drivertest.Run(t, harness(t, guesty.Classic, guesty.Full, true))
	})
}

var _ driver.Driver = (*guesty.Driver)(nil)
