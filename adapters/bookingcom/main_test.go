package bookingcom_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/integrationkit/integrationkit/adapters/bookingcom"
	"github.com/integrationkit/integrationkit/adapters/bookingcom/bookingcomtest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server makes a simulated Booking.com until the test ends.
func server(t *testing.T, c bookingcomtest.Config) *bookingcomtest.Server {
	t.Helper()
	s, err := bookingcomtest.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// open opens the driver for an integration with s.
func open(t *testing.T, s *bookingcomtest.Server, in driver.Integration) *bookingcom.Driver {
	t.Helper()
	reg := driver.NewRegistry(driver.Options{Transport: s.Transport()})
	if err := bookingcom.Register(reg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reg.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	d, err := reg.OpenIntegration(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return d.(*bookingcom.Driver)
}

// all reads a stream to its end.
func all[T any](t *testing.T, pages pagination.Pages[T]) []T {
	t.Helper()
	var out []T
	for page, err := range pages {
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Rejected {
			t.Errorf("rejected %s: %v", r.ID, r.Err)
		}
		out = append(out, page.Items...)
	}
	return out
}
