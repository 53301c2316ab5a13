package newdriver_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/integrationkit/integrationkit/driver/drivertest"
	"github.com/integrationkit/integrationkit/examples/newdriver"
	"github.com/integrationkit/integrationkit/examples/newdriver/newdrivertest"
)

// The driver does what the interfaces of package driver promise, also with a partner that behaves badly.
func TestConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{
		Register: newdriver.Register,
		Partner: func(c drivertest.Conditions) (drivertest.Partner, error) {
			s, err := newdrivertest.NewServer(newdrivertest.Config{
				Berths: 170, Bookings: 170, Latency: c.Latency, Jitter: c.Jitter, Faults: c.Faults, Seed: c.Seed,
			})
			if err != nil {
				return drivertest.Partner{}, err
			}
			return drivertest.Partner{Server: s.Server, Integration: s.Integration("a"), Change: s.Change}, nil
		},
		Resources: 170, Transactions: 170,
		Canaries: []string{"@guests.example.com", "Skipper Example", "gate-4711-secret"},
		NextLink: func(body []byte, url string) ([]byte, bool) {
			var page map[string]any
			if json.Unmarshal(body, &page) != nil || page["next"] == nil || page["next"] == "" {
				return body, false
			}
			page["next"] = url
			changed, err := json.Marshal(page)
			return changed, err == nil
		},
	})
}

// terms are what the driver takes for granted of Harbour. go test asks the cassette; HARBOUR_LIVE=1, with HARBOUR_KEY, the partner.
func terms(t *testing.T) drivertest.Terms {
	s, err := newdrivertest.NewServer(newdrivertest.Config{Berths: 3, Bookings: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return drivertest.Terms{
		Register: newdriver.Register, Cassette: "lists", Header: "X-Api-Key", Env: map[string]string{"key": "HARBOUR_KEY"},
		Recording: drivertest.Recording{
			From: drivertest.Simulator, Of: "newdrivertest", Date: "2026-11-25", Integration: s.Integration("a"), Transport: s.Transport(),
			Secret: []string{"gateCode", "skipper"},
		},
		Endpoints: []drivertest.Endpoint{
			{Call: "GET /v1/me", Fields: map[string]string{"account": "string"}},
			{Call: "GET /v1/berths", Fields: map[string]string{
				"berths": "array", "berths[].id": "string", "berths[].title": "string", "berths[].price": "number", "berths[].changed": "instant?",
			}},
			{Call: "GET /v1/bookings", Fields: map[string]string{
				"bookings[].id": "string", "bookings[].berth": "string", "bookings[].from": "date", "bookings[].to": "date", "bookings[].total": "number", "next": "string",
			}},
		},
	}
}

func TestContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { drivertest.Contract(t, terms(t)) })
}

func TestDrift(t *testing.T) { drivertest.Drift(t, terms(t)) }
