package guesty_test

import (
	"testing"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

// harness is the suite's view of the driver, in the family, on a simulated account of three pages of listings and reservations.
func harness(f guesty.Family, expired401 bool) drivertest.Harness {
	return drivertest.Harness{
		Register: guesty.Register,
		Partner: func(c drivertest.Conditions) (drivertest.Partner, error) {
			// The account is made from the seed, so it stays the same.
			s, err := guestytest.NewServer(guestytest.Config{
				Listings: 215, ReservationsPerListing: 1, PhotosPerListing: 5, Seed: 1, Expired401: expired401,
				Latency: c.Latency, Jitter: c.Jitter, Faults: c.Faults,
			})
			if err != nil {
				return drivertest.Partner{}, err
			}
			in := s.Integration("acct-17")
			in.Settings = map[string]string{"reservations": string(f)}
			return drivertest.Partner{Server: s.Server, Integration: in}, nil
		},
		TokenPath: "/oauth2/token",
		Resources: 215, Transactions: 215, Media: 5,
		Canaries: []string{guestytest.SecretInListing, "@guests.example.com"},
	}
}

func TestConformance(t *testing.T) {
	t.Run("v3", func(t *testing.T) { drivertest.Run(t, harness(guesty.V3, false)) })
	t.Run("classic", func(t *testing.T) { drivertest.Run(t, harness(guesty.Classic, true)) })
}

var _ driver.Driver = (*guesty.Driver)(nil)
