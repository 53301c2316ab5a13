package cloudbeds_test

import (
	"testing"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds"
	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

func TestConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{
		Register: cloudbeds.Register,
		Partner: func(c drivertest.Conditions) (drivertest.Partner, error) {
			// The group is made from the seed, so it stays the same.
			s, err := cloudbedstest.NewServer(cloudbedstest.Config{
				Properties: 43, ReservationsPerProperty: 5, PhotosPerProperty: 4, Seed: 1,
				Latency: c.Latency, Jitter: c.Jitter, Faults: c.Faults,
			})
			if err != nil {
				return drivertest.Partner{}, err
			}
			return drivertest.Partner{Server: s.Server, Integration: s.Integration("group-1")}, nil
		},
		Resources: 43, Transactions: 215, Media: 4,
		Canaries: []string{cloudbedstest.CardID, "@guests.example.com", "Guest Example"},
	})
}
