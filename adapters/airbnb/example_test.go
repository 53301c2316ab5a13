package airbnb_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/integrationkit/integrationkit/adapters/airbnb"
	"github.com/integrationkit/integrationkit/adapters/airbnb/airbnbtest"
	"github.com/integrationkit/integrationkit/driver"
)

// The listings of a host, here of a simulated one.
func ExampleRegister() {
	s, err := airbnbtest.NewServer(airbnbtest.Config{Listings: 2, ReservationsPerListing: 3})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	reg := driver.NewRegistry(driver.Options{Transport: s.Transport()})
	if err := airbnb.Register(reg); err != nil {
		panic(err)
	}
	ctx := context.Background()
	defer reg.Close(ctx)
	d, err := reg.OpenIntegration(ctx, s.Integration("host-1"))
	if err != nil {
		panic(err)
	}
	for page, err := range d.(driver.ResourceLister).Resources(ctx, driver.Query{}) {
		if err != nil {
			panic(err) // a *retry.Error: what happened, and when to come back
		}
		for _, r := range page.Items {
			fmt.Println(r.ID, r.Name.Or("?"), r.Currency.Or("?"))
		}
	}
	// Output:
	// 21000417 Canal Loft 0 EUR
	// 1180000000000000418 Canal Loft 1 EUR
}

// Airbnb asks while a guest books, and the answer decides.
func ExampleNewChecks() {
	free := map[string]bool{"21000417": true}
	h, err := airbnb.NewChecks(airbnb.ChecksConfig{
		Unsigned:  true, // or a Verifier with Airbnb's public key
		Available: func(_ context.Context, s airbnb.CheckedStay) (bool, error) { return free[s.ListingID], nil },
		Reserve:   func(_ context.Context, b airbnb.CheckedBooking) (bool, error) { return free[b.ListingID], nil },
	})
	if err != nil {
		panic(err)
	}
	http.Handle("/airbnb/checks/{secret}", h)
}

// A calendar that every host can export: days and codes, no names and no prices.
func ExampleReadFeed() {
	f, err := airbnb.ReadFeed(strings.NewReader(strings.ReplaceAll(`BEGIN:VCALENDAR
PRODID:-//Airbnb Inc//Hosting Calendar 1.0//EN
VERSION:2.0
BEGIN:VEVENT
DTSTART;VALUE=DATE:20260703
DTEND;VALUE=DATE:20260706
UID:1418fb94e984@airbnb.com
DESCRIPTION:Reservation URL: https://www.airbnb.com/hosting/reservations/de
 tails/HMEXAMPLE1\nPhone Number (Last 4 Digits): 0000
SUMMARY:Reserved
END:VEVENT
END:VCALENDAR
`, "\n", "\r\n")))
	if err != nil {
		panic(err) // not a whole calendar: nothing may be taken for canceled
	}
	for _, b := range f.Bookings {
		fmt.Println(b.Code, b)
	}
	// Output:
	// HMEXAMPLE1 2026-07-03 to 2026-07-06
}
