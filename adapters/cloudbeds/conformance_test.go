package cloudbeds_test

import (
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds"
	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

func TestConformance(t *testing.T) {
	night := driver.Date{Year: 2026, Month: time.December, Day: 1}
	for name, oauth := range map[string]bool{"key": false, "oauth": true} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && !oauth {
				t.Skip("one credential is enough for -short")
			}
			h := drivertest.Harness{
				Register: cloudbeds.Register,
				Partner: func(c drivertest.Conditions) (drivertest.Partner, error) {
					// The group is made from the seed, so it stays the same.
					s, err := cloudbedstest.NewServer(cloudbedstest.Config{
						Properties: 43, ReservationsPerProperty: 5, PhotosPerProperty: 4, Seed: 1,
						Latency: c.Latency, Jitter: c.Jitter, Faults: c.Faults, OAuth: oauth,
					})
					if err != nil {
						return drivertest.Partner{}, err
					}
					round := 0
					change := func() {
						round++
						at := time.Date(2026, 11, 1+round, 0, 0, 0, 0, time.UTC)
						s.Change(0.2, round, at)
						s.ChangeProperties(0.2, round, at)
					}
					return drivertest.Partner{Server: s.Server, Integration: s.Integration("group-1"),
						Change: change}, nil
				},
				Resources: 43, Transactions: 215, Media: 4, MediaOf: "190002",
				// Two room types with two rates each, in three windows: a rate's row has all its nights of one.
				CalendarFrom: night, CalendarTo: night.AddDays(89), Days: 4 * 90,
				PushTo: "7736451000000", PushStatus: driver.StatusCheckedOut,
				PushDays: []driver.Day{
					{ResourceID: "190002", RatePlanID: driver.Some("900200"), Date: night,
						Price: driver.Some(driver.Money{Amount: 9950, Currency: "EUR"})},
					{ResourceID: "190002", RatePlanID: driver.Some("900200"), Date: night.AddDays(1),
						Closed: driver.Some(true)},
				},
				PushCall: "/api/v1.3/p*",
				WebhookKinds: []string{"reservation/created", "reservation/deleted", "guest/assigned",
					"integration/appstate_changed", "night_audit/completed"},
				Canaries: []string{cloudbedstest.CardID, "@guests.example.com", "Guest Example"},
			}
			if oauth {
				h.TokenPath = "/api/v1.3/access_token"
				h.Canaries = append(h.Canaries, "cbrt_simulated")
			}
			drivertest.Run(t, h)
		})
	}
}
