package airbnb_test

import (
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/airbnb"
	"github.com/integrationkit/integrationkit/adapters/airbnb/airbnbtest"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

func TestConformance(t *testing.T) {
	for name, c := range map[string]airbnbtest.Config{"newer": {}, "older": {Old: true}, "rotating": {Rotate: true}} {
		t.Run(name, func(t *testing.T) {
			if name != "newer" && testing.Short() {
				t.Skip("one shape is enough for -short")
			}
			t.Parallel()
			drivertest.Run(t, drivertest.Harness{
				Register: airbnb.Register,
				Partner: func(k drivertest.Conditions) (drivertest.Partner, error) {
					c := c
					c.Listings, c.ReservationsPerListing, c.PhotosPerListing, c.Seed = 103, 2, 4, 1
					c.Latency, c.Jitter, c.Faults = k.Latency, k.Jitter, k.Faults
					c.Epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when a bubble begins
					s, err := airbnbtest.NewServer(c)
					if err != nil {
						return drivertest.Partner{}, err
					}
					return drivertest.Partner{Server: s.Server, Integration: s.Integration("host-1")}, nil
				},
				TokenPath: "/v2/oauth2/authorizations",
				Resources: 103, Transactions: 206, Media: 4,
				Canaries: []string{airbnbtest.WifiPassword, "@guest.example.com", "Muster"},
			})
		})
	}
}
