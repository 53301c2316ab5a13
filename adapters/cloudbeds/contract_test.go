package cloudbeds_test

import (
	"testing"
	"testing/synctest"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds"
	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

// terms are what the driver takes for granted of Cloudbeds. The cassette is the simulator's (go test -run
// TestContract -record makes it), so against it they say that driver and simulator agree. CLOUDBEDS_LIVE=1 asks
// Cloudbeds, with CLOUDBEDS_API_KEY: then they are the partner's, and Drift says how the simulator differs from it.
// No header tells of its limits.
func terms(t *testing.T) drivertest.Terms {
	t.Helper()
	s, err := cloudbedstest.NewServer(cloudbedstest.Config{Properties: 2, ReservationsPerProperty: 3,
		PhotosPerProperty: 2, Seed: 1, Odd: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return drivertest.Terms{
		Register: cloudbeds.Register, Cassette: "lists", Header: "X-Api-Key",
		Recording: drivertest.Recording{
			From: drivertest.Simulator, Of: "cloudbedstest", Date: "2026-11-25",
			Integration: s.Integration("group-1"), Transport: s.Transport(),
		},
		Env: map[string]string{"api_key": "CLOUDBEDS_API_KEY"},
		Endpoints: []drivertest.Endpoint{
			{Call: "GET /api/v1.3/getHotels", Fields: map[string]string{
				"success": "boolean", "data": "array", "data[].propertyID": "string", "data[].propertyName": "string",
			}},
			{Call: "GET /api/v1.3/getReservationsWithRateDetails", Fields: map[string]string{
				"success": "boolean", "data": "array", "data[].reservationID": "string",
				"data[].propertyID": "string?", "data[].status": "string",
			}},
			{Call: "GET /api/v1.3/getHotelDetails", Fields: map[string]string{"success": "boolean", "data": "object",
				"data.propertyID": "string"}},
		},
	}
}

func TestContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { drivertest.Contract(t, terms(t)) })
}

// TestDrift is for CLOUDBEDS_LIVE=1.
func TestDrift(t *testing.T) { drivertest.Drift(t, terms(t)) }
