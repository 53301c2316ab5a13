package webhooktest_test

import (
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
	"github.com/integrationkit/integrationkit/webhook/webhooktest"
)

// A store's own test calls the suites; here the stores are those in memory. Advance is how time passes for the store:
// without it the tests of leases are skipped, by name.
func Example() {
	TestStores := func(t *testing.T) {
		webhooktest.Dedupe(t, webhooktest.Harness{New: func(testing.TB) webhook.Dedupe { return &webhook.Memory{} }})
		webhooktest.Failures(t, func(testing.TB) webhook.Failures { return &webhook.MemoryFailures{} })
		webhooktest.Registrations(t, func(testing.TB) webhook.Registrations { return &webhook.MemoryRegistrations{} })
	}
	_ = TestStores
}

// In a bubble of testing/synctest time passes by sleeping. Expiry starts no subtests, so that it can run in one.
func ExampleExpiry() {
	TestLeases := func(t *testing.T) { // within synctest.Test
		webhooktest.Expiry(t, webhooktest.Harness{
			New: func(testing.TB) webhook.Dedupe { return &webhook.Memory{} }, Advance: time.Sleep,
		})
	}
	_ = TestLeases
}
