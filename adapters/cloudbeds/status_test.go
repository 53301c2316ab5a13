package cloudbeds_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds"
	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/retry"
)

// puts returns how many writes were sent.
func (r *requests) puts(method string) (n int) {
	for _, m := range r.methods {
		if m == method {
			n++
		}
	}
	return n
}

func TestPushStatus(t *testing.T) {
	for _, odd := range []int{-1, 1} { // with the reservation in the answer, and with null
		group(t, nil, cloudbedstest.Config{Properties: 2, ReservationsPerProperty: 4, Odd: odd},
			func(t *testing.T, s *cloudbedstest.Server, d *cloudbeds.Driver, seen *requests) {
				id := slices.Collect(s.ReservationIDs())[1]
				for _, status := range []driver.TransactionStatus{
					driver.StatusPending, driver.StatusConfirmed, driver.StatusCheckedIn, driver.StatusCheckedOut,
					driver.StatusNoShow, driver.StatusCanceled,
				} {
					for range 2 { // the same key again, as after a crash
						e, err := d.PushStatus(t.Context(), "effect-1", id, status)
						if err != nil || !e.Confirmed || e.ID != id {
							t.Errorf("%s: %+v, %v", status, e, err)
						}
					}
					got := all(t, d.TransactionsByID(t.Context(), []string{id}))
					if len(got) != 1 || got[0].Status.Or("") != status {
						t.Errorf("%s: %v", status, got)
					}
				}
				if n := seen.puts(http.MethodPut); n > 6 || s.Status(id) != "canceled" {
					t.Errorf("%d writes for 6 changes, the last is %s", n, s.Status(id))
				}
				if _, err := d.PushStatus(t.Context(), "e", id,
					driver.StatusInquiry); retry.ClassOf(err) != retry.Client {
					t.Errorf("a status that the partner does not know: %v", err)
				}
				if _, err := d.PushStatus(t.Context(), "e", "7", driver.StatusCanceled); !errors.Is(err,
					driver.ErrNotFound) {
					t.Errorf("an unknown reservation: %v", err)
				}
			})
	}
}

// A write whose answer is lost is not sent again: the reservation is read. One that was lost on its way is an error.
func TestPromise10_NoStatusIsWrittenTwice(t *testing.T) {
	for kind, done := range map[partnersim.Kind]bool{partnersim.Lost: true, partnersim.Reset: false} {
		c := cloudbedstest.Config{Properties: 1, ReservationsPerProperty: 4, Odd: -1,
			Faults: []partnersim.Rule{{Kind: kind, Endpoint: "/api/v1.3/putReservation"}}}
		group(t, nil, c, func(t *testing.T, s *cloudbedstest.Server, d *cloudbeds.Driver, seen *requests) {
			id := slices.Collect(s.ReservationIDs())[0]
			want := driver.StatusCanceled
			if all(t, d.TransactionsByID(t.Context(), []string{id}))[0].Status.Or("") == want {
				want = driver.StatusNoShow
			}
			e, err := d.PushStatus(t.Context(), "effect-1", id, want)
			if (err == nil) != done || e.Confirmed != done {
				t.Errorf("%s: %+v, %v", kind, e, err)
			}
			if n := seen.puts(http.MethodPut); n != 1 {
				t.Errorf("%s: written %d times", kind, n)
			}
		})
	}
}

func TestPushStatusRefused(t *testing.T) {
	c := cloudbedstest.Config{Properties: 1, ReservationsPerProperty: 4, Odd: -1,
		Faults: []partnersim.Rule{{Kind: "x-late", Endpoint: "/api/v1.3/putReservation"}}}
	group(t, nil, c, func(t *testing.T, s *cloudbedstest.Server, d *cloudbeds.Driver, _ *requests) {
		id := slices.Collect(s.ReservationIDs())[0]
		for _, status := range []driver.TransactionStatus{driver.StatusCanceled, driver.StatusNoShow} {
			e, err := d.PushStatus(t.Context(), "e", id, status)
			if err != nil && retry.ClassOf(err) != retry.Auth || err == nil && !e.Confirmed {
				t.Errorf("%s: %+v, %v", status, e, err)
			}
		}
		if s.Status(id) != "" {
			t.Error("written although it was refused")
		}
	})
}
