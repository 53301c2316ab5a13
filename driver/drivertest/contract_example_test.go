package drivertest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

// What a driver takes for granted of its partner, asserted against a cassette in every run, and against the partner itself in a nightly one.
func ExampleContract() {
	terms := drivertest.Terms{
		Register: register,
		Cassette: "lists",
		Recording: drivertest.Recording{
			From: drivertest.Live, Of: "sandbox account", Date: "2026-11-25",
			Integration: driver.Integration{ID: "a", Partner: "acme", BaseURL: "https://api.acme.example"},
			Env:         map[string]string{"client_id": "ACME_ID", "client_secret": "ACME_SECRET"},
		},
		Endpoints: []drivertest.Endpoint{
			{Call: "POST /oauth2/token", Open: true, Fields: map[string]string{"access_token": "string", "expires_in": "number"}},
			{Call: "GET /v1/orders", Headers: []string{"X-RateLimit-Remaining"}, Fields: map[string]string{
				"orders[].id": "string", "orders[].changed": "instant", "orders[].note": "string|null?",
			}},
		},
	}
	contract := func(t *testing.T) { drivertest.Contract(t, terms) } // go test
	drift := func(t *testing.T) { drivertest.Drift(t, terms) }       // ACME_LIVE=1 DRIFT_REPORT_DIR=reports go test -run Drift
	_, _ = contract, drift
}

// The report of a nightly run, to be posted.
func ExampleDriftReport_Markdown() {
	r := drivertest.DriftReport{
		Partner: "acme", Cassette: "lists", Recorded: "live sandbox account, 2026-11-25", At: time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC), Endpoints: 2, Answers: 9,
		Differences: []drivertest.Difference{
			{Endpoint: "GET /v1/orders", Field: "orders[].total", Kind: drivertest.FieldRetyped, Was: "number", Is: "string"},
			{Endpoint: "GET /v1/orders", Field: "orders[].state", Kind: drivertest.NewValue, Was: "open, shipped", Is: "returned"},
		},
	}
	fmt.Print(r.Markdown())
	// Output:
	// ## Drift: acme
	//
	// 2026-12-01T03:00:00Z, compared with `lists` (live sandbox account, 2026-11-25): 2 differences in 9 answers of 2 endpoints, of which 1 may break the driver.
	//
	// | endpoint | field | | was | is |
	// | --- | --- | --- | --- | --- |
	// | `GET /v1/orders` | orders[].total | **retyped** | number | string |
	// | `GET /v1/orders` | orders[].state | new value | open, shipped | returned |
}
