package bookingcom_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/integrationkit/integrationkit/adapters/bookingcom"
	"github.com/integrationkit/integrationkit/adapters/bookingcom/bookingcomtest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

// terms are what the driver takes for granted of Booking.com. The cassette is the simulator's (go test -run
// TestContract -record makes it), so against it they say that driver and simulator agree. BOOKINGCOM_LIVE=1 asks
// Booking.com, with BOOKINGCOM_CLIENT_ID and BOOKINGCOM_CLIENT_SECRET of a test machine account: then they are the
// partner's, and Drift says how the simulator differs from it. Nothing is acknowledged. No header tells of its limits.
func terms(t *testing.T) drivertest.Terms {
	t.Helper()
	s, err := bookingcomtest.NewServer(bookingcomtest.Config{Properties: 2, ReservationsPerProperty: 2,
		PhotosPerProperty: 2, Seed: 1, Odd: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return drivertest.Terms{
		Register: bookingcom.Register, Cassette: "lists",
		Recording: drivertest.Recording{
			From: drivertest.Simulator, Of: "bookingcomtest", Date: "2026-11-25",
			Integration: s.Integration("provider-1"), Transport: s.Transport(),
			Allow: []string{"ruid", "photo_id"}, Secret: []string{"jwt", "CardNumber", "SeriesCode", "CardHolderName",
				"Surname", "GivenName", "Email", "PhoneNumber", "AddressLine"},
		},
		Env: map[string]string{"client_id": "BOOKINGCOM_CLIENT_ID", "client_secret": "BOOKINGCOM_CLIENT_SECRET"},
		Use: use,
		Endpoints: []drivertest.Endpoint{
			{Call: "POST " + bookingcomtest.TokenPath, Open: true, Fields: map[string]string{"jwt": "string",
				"ruid": "string"}},
			{Call: "GET /property-api/meta", Fields: map[string]string{"data": "object"}},
			{Call: "GET /property-api/properties/*", Fields: map[string]string{
				"data.property_id": "number", "data.property_name": "string", "data.status": "string",
				"data.currency_code": "string", "data.stars": "string?",
				"data.check_in": "object?", "data.check_out": "object?", "data.physical_address": "object?",
				"data.position": "object?", "meta.ruid": "string",
			}},
			{Call: "GET /rooms-api/properties/*/units", Fields: map[string]string{
				"data": "array", "data[].unit_id": "number", "data[].occupancy_details.max_guests": "number?",
				"data[].configuration": "object?", "meta.ruid": "string",
			}},
			{Call: "GET /photo-api/properties/*/photos", Fields: map[string]string{
				"data.photos": "array", "data.photos[].photo_id": "string", "data.photos[].url": "string",
			}},
			{Call: "GET /hotels/ota/OTA_HotelResNotif"},
			{Call: "GET /hotels/ota/OTA_HotelResModifyNotif"},
		},
	}
}

// use makes the calls whose answers are compared. What is received stays in the queue.
func use(ctx context.Context, d driver.Driver) error {
	b := d.(*bookingcom.Driver)
	if err := b.Check(ctx); err != nil {
		return err
	}
	property := ""
	for page, err := range b.Resources(ctx, driver.Query{}) {
		if err != nil {
			return err
		}
		if property == "" && len(page.Items) > 0 {
			property = page.Items[0].ID
		}
	}
	for _, err := range b.Media(ctx, property) {
		if err != nil {
			return err
		}
	}
	for page, err := range b.Receive(ctx) {
		if err != nil {
			return err
		}
		for _, m := range page.Items {
			if _, err := b.Parse(m, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { drivertest.Contract(t, terms(t)) })
}

// TestDrift is for BOOKINGCOM_LIVE=1.
func TestDrift(t *testing.T) { drivertest.Drift(t, terms(t)) }
