package drivertest_test

import (
	"context"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

// A driver's orders, recorded once from a sandbox with go test -run TestOrders -record, and replayed from then on.
func ExampleCassette() {
	var register func(*driver.Registry) error // the driver's

	testOrders := func(t *testing.T) {
		tape := drivertest.Cassette(t, "orders", drivertest.Recording{
			From: drivertest.Live, Of: "sandbox account", Date: "2026-11-25",
			Integration: driver.Integration{ID: "a", Partner: "acme", BaseURL: "https://sandbox.acme.example"},
			Env:         map[string]string{"client_id": "ACME_CLIENT_ID", "client_secret": "ACME_CLIENT_SECRET"},
			Secret:      []string{"door_text"},
			Allow:       []string{"photo_id"},
		})
		d := tape.Open(register)
		orders := 0
		for page, err := range d.(driver.TransactionLister).Transactions(context.Background(), driver.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			orders += len(page.Items)
		}
		if orders != 45 {
			t.Errorf("%d orders, want 45", orders)
		}
	}
	_ = testOrders
}
