package guesty_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/drivertest"
)

// tape is the cassette of a family, recorded from the simulator: go test -run TestCassette -record. What it proves is
// that the driver still sends and reads what it did then, not that Guesty does.
func tape(t *testing.T, name string, family guesty.Family, transport http.RoundTripper,
	in driver.Integration) *drivertest.Tape {
	in.Settings = map[string]string{"reservations": string(family)}
	return drivertest.Cassette(t, name, drivertest.Recording{
		From: drivertest.Simulator, Of: "guestytest", Date: "2026-11-25", Integration: in, Transport: transport,
	})
}

// lists reads everything that the driver lists, as text without what came as it was.
func lists(t *testing.T, d driver.Driver) []string {
	t.Helper()
	var out []string
	add := func(kind string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		out = append(out, kind+" "+string(b))
	}
	ctx := context.Background()
	if err := d.Check(ctx); err != nil {
		t.Errorf("Check: %v", err)
	}
	first := ""
	for _, r := range all(t, d.(driver.ResourceLister).Resources(ctx, driver.Query{})) {
		add("resource", r)
		if first == "" {
			first = r.ID
		}
	}
	for _, x := range all(t, d.(driver.TransactionLister).Transactions(ctx, driver.Query{})) {
		if c, ok := x.Customer.Get(); ok && c.Email != "" && !strings.HasSuffix(c.Email, "@guests.example.com") &&
			!strings.HasPrefix(c.Email, "REDACTED_email_") {
			t.Errorf("the customer's address is neither the simulator's nor a placeholder")
		}
		x.Customer, x.Notes = driver.Opt[driver.Customer]{}, driver.Opt[string]{} // personal: not in the cassette
		add("transaction", x)
	}
	for _, m := range all(t, d.(driver.MediaLister).Media(ctx, first)) {
		add("media", m)
	}
	return out
}

// The driver makes the same records of the cassette as of the simulator that it was recorded from, with no network.
func TestCassette(t *testing.T) {
	for name, family := range map[string]guesty.Family{"v3": guesty.V3, "classic": guesty.Classic} {
		t.Run(name, func(t *testing.T) {
			var want []string
			var in driver.Integration
			synctest.Test(t, func(t *testing.T) {
				s, err := guestytest.NewServer(guestytest.Config{Listings: 3, ReservationsPerListing: 2,
					PhotosPerListing: 2, Seed: 1})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				in = s.Integration("acct-17")
				in.Settings = map[string]string{"reservations": string(family)}
				reg := driver.NewRegistry(driver.Options{Transport: s.Transport()})
				if err := guesty.Register(reg); err != nil {
					t.Fatal(err)
				}
				defer reg.Close(context.Background())
				d, err := reg.OpenIntegration(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				want = lists(t, d)
			})
			synctest.Test(t, func(t *testing.T) {
				s, err := guestytest.NewServer(guestytest.Config{Listings: 3, ReservationsPerListing: 2,
					PhotosPerListing: 2, Seed: 1})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Close() })
				c := tape(t, "lists-"+name, family, s.Transport(), in)
				got := lists(t, c.Open(guesty.Register))
				if len(got) != 3+6+2 || !slices.Equal(got, want) {
					t.Errorf("the cassette gives\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				if n := s.Report().Requests; n > 0 && c.Recorded() != "" {
					t.Errorf("a replay sent %d requests", n)
				}
			})
		})
	}
}
