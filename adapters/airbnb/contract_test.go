package airbnb_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/airbnb"
	"github.com/integrationkit/integrationkit/adapters/airbnb/airbnbtest"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

// terms are what the driver takes for granted of Airbnb. The cassette is the simulator's (go test -run TestContract
// -record makes it), so against it they say that driver and simulator agree. AIRBNB_LIVE=1 asks Airbnb, with the
// credentials below: then they are the partner's, and Drift says how the simulator differs from it. No header was
// seen to tell of the limits.
func terms(t *testing.T) drivertest.Terms {
	t.Helper()
	s, err := airbnbtest.NewServer(airbnbtest.Config{
		Listings: 2, ReservationsPerListing: 2, PhotosPerListing: 2, Seed: 1, Odd: -1,
		Epoch: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return drivertest.Terms{
		Register: airbnb.Register, Cassette: "lists", Header: "X-Airbnb-OAuth-Token",
		Recording: drivertest.Recording{
			From: drivertest.Simulator, Of: "airbnbtest", Date: "2026-11-25", Integration: s.Integration("host-1"),
			Transport: s.Transport(),
		},
		Env: map[string]string{
			"client_id": "AIRBNB_CLIENT_ID", "client_secret": "AIRBNB_CLIENT_SECRET",
			"refresh_token": "AIRBNB_REFRESH_TOKEN",
		},
		Endpoints: []drivertest.Endpoint{
			{Call: "POST /v2/oauth2/authorizations", Open: true, Fields: map[string]string{"access_token": "string",
				"expires_at": "number"}},
			{Call: "GET /v2/users/me", Fields: map[string]string{"user": "object", "user.id": "number"}},
			{Call: "GET /v2/listings", Fields: map[string]string{
				"listings": "array", "listings[].id": "number", "listings[].name": "string",
				"listings[].listing_currency": "string",
			}},
			{Call: "GET /v2/reservations", Fields: map[string]string{
				"reservations": "array", "reservations[].confirmation_code": "string",
				"reservations[].status_type": "string",
				"reservations[].start_date":  "string", "reservations[].host_currency": "string",
			}},
			{Call: "GET /v2/listing_photos", Fields: map[string]string{"listing_photos": "array",
				"listing_photos[].id": "number"}},
		},
	}
}

func TestContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { drivertest.Contract(t, terms(t)) })
}

// TestDrift is for AIRBNB_LIVE=1.
func TestDrift(t *testing.T) { drivertest.Drift(t, terms(t)) }
