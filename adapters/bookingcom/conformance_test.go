package bookingcom_test

import (
	"testing"

	"github.com/integrationkit/integrationkit/adapters/bookingcom"
	"github.com/integrationkit/integrationkit/adapters/bookingcom/bookingcomtest"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

// harness is the suite's view of the driver on a simulated provider: a page for each property, with its three room
// types.
func harness(legacy bool, flavor bookingcom.Flavor) drivertest.Harness {
	h := drivertest.Harness{
		Register: bookingcom.Register,
		Partner: func(c drivertest.Conditions) (drivertest.Partner, error) {
			s, err := bookingcomtest.NewServer(bookingcomtest.Config{
				Properties: 7, PhotosPerProperty: 9, ReservationsPerProperty: 40, Seed: 1, Latency: c.Latency,
				Jitter: c.Jitter, Faults: c.Faults,
			})
			if err != nil {
				return drivertest.Partner{}, err
			}
			in := s.Integration("provider-1")
			if legacy {
				in = bookingcomtest.Legacy(in)
			}
			in.Settings["reservations"] = string(flavor)
			waiting := func() int { n, _ := s.Waiting(); return n }
			return drivertest.Partner{Server: s.Server, Integration: in, Waiting: waiting}, nil
		},
		TokenPath: bookingcomtest.TokenPath,
		Resources: 7 * 4, Media: 9, MediaOf: bookingcomtest.PropertyID(0), Messages: 7 * 40,
		Canaries: []string{
			bookingcomtest.GuestDomain, bookingcomtest.CardNumber, bookingcomtest.CardHolder,
			bookingcomtest.ClientSecret, bookingcomtest.Password,
			"Guest Example",
		},
	}
	if legacy {
		h.TokenPath = ""
	}
	return h
}

func TestConformance(t *testing.T) {
	t.Run("token", func(t *testing.T) { drivertest.Run(t, harness(false, bookingcom.OTA)) })
	t.Run("basic, B.XML", func(t *testing.T) { drivertest.Run(t, harness(true, bookingcom.BXML)) })
}
