package guesty_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/retry"
)

var firstDay = driver.Date{Year: 2026, Month: 12, Day: 1}

// full is a driver for another account with the same data, which reads the other calendar.
func full(t *testing.T, seen *requests) *guesty.Driver {
	t.Helper()
	s, err := guestytest.NewServer(guestytest.Config{Listings: 8, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	in := s.Integration("acct-18")
	in.Settings = map[string]string{"calendar": string(guesty.Full)}
	seen.next = s.Transport()
	d, err := guesty.New(driver.Env{Integration: in, Transport: seen})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Both calendars say the same of the same days, a year a call.
func TestCalendars(t *testing.T) {
	account(t, guesty.V3, guestytest.Config{Listings: 8}, func(t *testing.T, s *guestytest.Server, d *guesty.Driver,
		seen *requests) {
		theirs := &requests{}
		old := full(t, theirs)
		for i, id := range slices.Collect(s.ListingIDs()) {
			before := len(seen.urls)
			days := all(t, d.Calendar(t.Context(), id, firstDay, firstDay.AddDays(399)))
			if len(days) != 400 || days[0].Date != firstDay || days[399].Date != firstDay.AddDays(399) {
				t.Fatalf("%d days from %s", len(days), days[0].Date)
			}
			if i == 1 && len(seen.urls)-before != 2 { // the first fetches a token
				t.Errorf("%d calls for 400 days", len(seen.urls)-before)
			}
			if q := seen.last().Query(); q.Get("view") != "compact" || q.Get("endDate") != "2028-01-04" ||
				!strings.HasSuffix(seen.last().Path, "/minified/"+id) {
				t.Errorf("%s", seen.last())
			}
			others := all(t, old.Calendar(t.Context(), id, firstDay, firstDay.AddDays(59)))
			if q := theirs.last().Query(); q.Get("includeAllotment") != "true" ||
				!strings.HasSuffix(theirs.last().Path, "/listings/"+id) {
				t.Errorf("%s", theirs.last())
			}
			for j, o := range others {
				m := days[j]
				if o.Date != m.Date || o.Price != m.Price || o.MinStay != m.MinStay || o.Closed != m.Closed ||
					o.ClosedToDeparture != m.ClosedToDeparture {
					t.Errorf("%s: full %+v, minified %+v", o.Date, o, m)
				}
				if err := errors.Join(driver.Validate(o), driver.Validate(m)); err != nil {
					t.Error(err)
				}
			}
		}
		if days := all(t, d.Calendar(t.Context(), "66f0c1a2b3d4e5f607182930", firstDay,
			firstDay.AddDays(-1))); len(days) != 0 {
			t.Errorf("%d days of no range", len(days))
		}
		for name, id := range map[string]string{"unknown": "66f0c1a2b3d4e5f6071829ff"} {
			for _, err := range d.Calendar(t.Context(), id, firstDay, firstDay) {
				if !errors.Is(err, driver.ErrNotFound) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		for _, err := range d.Calendar(t.Context(), "x", driver.Date{}, firstDay) {
			if !errors.Is(err, driver.ErrDate) {
				t.Errorf("no date: %v", err)
			}
		}
	})
}

// free returns days of the listing that are free.
func free(t *testing.T, d *guesty.Driver, id string, n int) []driver.Day {
	t.Helper()
	days := slices.DeleteFunc(all(t, d.Calendar(t.Context(), id, firstDay, firstDay.AddDays(60))),
		func(day driver.Day) bool { return day.Closed.Or(true) })
	if len(days) < n {
		t.Fatalf("%d free days", len(days))
	}
	return days[:n]
}

func TestPushCalendar(t *testing.T) {
	account(t, guesty.V3, guestytest.Config{Listings: 3, Odd: -1}, func(t *testing.T, s *guestytest.Server,
		d *guesty.Driver, seen *requests) {
		ctx := t.Context()
		id := slices.Collect(s.ListingIDs())[1]
		was := free(t, d, id, 4)
		currency := was[0].Price.Or(driver.Money{}).Currency
		push := []driver.Day{
			{ResourceID: id, Date: was[0].Date, Status: driver.Some(driver.DayBlocked)},
			{ResourceID: id, Date: was[1].Date, Price: driver.Some(driver.Money{Amount: 32150, Currency: currency}),
				MinStay: driver.Some(4)},
			{ResourceID: id, Date: was[2].Date, ClosedToArrival: driver.Some(true),
				ClosedToDeparture: driver.Some(false)},
			{ResourceID: id, Date: was[3].Date}, // says nothing
		}
		effect, err := d.PushCalendar(ctx, "k", id, push)
		if err != nil || !effect.Confirmed || effect.ID != id {
			t.Fatalf("%+v, %v", effect, err)
		}
		is := map[driver.Date]driver.Day{}
		for _, day := range all(t, d.Calendar(ctx, id, firstDay, firstDay.AddDays(60))) {
			is[day.Date] = day
		}
		if got := is[was[0].Date]; got.Status.Or("") != driver.DayBlocked || got.Price != was[0].Price {
			t.Errorf("%+v", got)
		}
		if got := is[was[1].Date]; got.Price.Or(driver.Money{}).Amount != 32150 || got.MinStay.Or(0) != 4 ||
			got.Status != was[1].Status {
			t.Errorf("%+v", got)
		}
		if got := is[was[2].Date]; !got.ClosedToArrival.Or(false) || got.ClosedToDeparture.Or(true) {
			t.Errorf("%+v", got)
		}

		// Nothing to say is nothing sent.
		before := len(seen.urls)
		if effect, err := d.PushCalendar(ctx, "k", id, nil); err != nil || !effect.Confirmed ||
			len(seen.urls) != before {
			t.Errorf("%+v, %v, %d calls", effect, err, len(seen.urls)-before)
		}
		// What is booked stays so, with status 200: it is not confirmed.
		for _, day := range all(t, d.Calendar(ctx, id, firstDay, firstDay.AddDays(60))) {
			if day.Status.Or("") != driver.DayBooked {
				continue
			}
			effect, err := d.PushCalendar(ctx, "k", id, []driver.Day{{ResourceID: id, Date: day.Date,
				Closed: driver.Some(false)}})
			if err != nil || effect.Confirmed {
				t.Errorf("a booked day was opened: %+v, %v", effect, err)
			}
			break
		}
		// A price in another currency than the listing's is not sent.
		other := []driver.Day{{ResourceID: id, Date: was[0].Date, Price: driver.Some(driver.Money{Amount: 1,
			Currency: "XAU"})}}
		other[0].Price = driver.Some(driver.Money{Amount: 100, Currency: "CLP"})
		if _, err := d.PushCalendar(ctx, "k", id, other); err == nil || !strings.Contains(err.Error(), "currency") ||
			seen.last().Query().Get("view") != "compact" {
			t.Errorf("another currency: %v", err)
		}
		const gone = "66f0c1a2b3d4e5f6071829ff"
		for _, day := range []driver.Day{
			{ResourceID: gone, Date: firstDay, Closed: driver.Some(true)},
			{ResourceID: gone, Date: firstDay, Price: driver.Some(driver.Money{Amount: 1, Currency: "EUR"})},
		} {
			if _, err := d.PushCalendar(ctx, "k", gone, []driver.Day{day}); !errors.Is(err, driver.ErrNotFound) {
				t.Errorf("an unknown listing: %v", err)
			}
		}
	})
}

// A write that is refused in the middle says that a part is written.
func TestPushCalendarInPart(t *testing.T) {
	account(t, guesty.V3, guestytest.Config{
		Listings: 2, Odd: -1, Faults: []partnersim.Rule{{Kind: "422", Endpoint: "PUT /v1/availability-pricing/*",
			After: 1, Count: 1}},
	}, func(t *testing.T, s *guestytest.Server, d *guesty.Driver, _ *requests) {
		id := slices.Collect(s.ListingIDs())[1]
		var days []driver.Day
		for _, day := range free(t, d, id, 3) {
			days = append(days, driver.Day{ResourceID: id, Date: day.Date, MinStay: driver.Some(2 + len(days))})
		}
		_, err := d.PushCalendar(t.Context(), "k", id, days)
		if !errors.Is(err, driver.ErrPartial) || !strings.Contains(err.Error(), "1 of 3") {
			t.Fatalf("%v", err)
		}
		if effect, err := d.PushCalendar(t.Context(), "k", id, days); err != nil || !effect.Confirmed {
			t.Errorf("again: %+v, %v", effect, err)
		}
	})
}

func TestPushStatus(t *testing.T) {
	for _, family := range []guesty.Family{guesty.V3, guesty.Classic} {
		t.Run(string(family), func(t *testing.T) {
			account(t, family, guestytest.Config{Listings: 2, ReservationsPerListing: 2, Odd: -1},
				func(t *testing.T, s *guestytest.Server, d *guesty.Driver, seen *requests) {
					ctx := t.Context()
					id := slices.Collect(s.ReservationIDs())[1]
					for _, want := range []driver.TransactionStatus{driver.StatusCanceled, driver.StatusConfirmed,
						driver.StatusPending, driver.StatusDeclined, driver.StatusExpired, driver.StatusClosed, driver.StatusInquiry} {
						effect, err := d.PushStatus(ctx, "k", id, want)
						if err != nil || !effect.Confirmed || effect.ID != id {
							t.Fatalf("%s: %+v, %v", want, effect, err)
						}
						if got := all(t, d.TransactionsByID(ctx, []string{id})); len(got) != 1 ||
							got[0].Status.Or("") != want {
							t.Errorf("%s: %v", want, got)
						}
					}
					before := len(seen.urls)
					for _, s := range []driver.TransactionStatus{driver.StatusCheckedIn, driver.StatusOther, ""} {
						if _, err := d.PushStatus(ctx, "k", id, s); err == nil {
							t.Errorf("%q was sent", s)
						}
					}
					if len(seen.urls) != before {
						t.Error("what Guesty cannot be told was sent")
					}
					if _, err := d.PushStatus(ctx, "k", "67aa10b2c3d4e5f6071800ff",
						driver.StatusCanceled); !errors.Is(err, driver.ErrNotFound) {
						t.Errorf("unknown: %v", err)
					}
				})
		})
	}
}

// An answer that does not show the new status is followed by a look at the reservation.
func TestStatusIsReadBack(t *testing.T) {
	account(t, guesty.V3, guestytest.Config{
		Listings: 1, ReservationsPerListing: 2, Odd: -1, Faults: []partnersim.Rule{{Kind: partnersim.Malformed,
			Endpoint: "PUT /v1/reservations-v3/*", Count: 1}},
	}, func(t *testing.T, s *guestytest.Server, d *guesty.Driver, _ *requests) {
		id := slices.Collect(s.ReservationIDs())[0]
		effect, err := d.PushStatus(t.Context(), "k", id, driver.StatusClosed)
		if err != nil || !effect.Confirmed {
			t.Errorf("%+v, %v", effect, err)
		}
	})
}

// A resource that stays forbidden does not cost the day's tokens, by however many it is asked for over hours: the
// last of the five is kept, for when the token expires. (Several that are refused at the same time look like a token
// that died, so that it may cost more than the one of TestForbiddenBurnsNoTokens.)
func TestForbiddenByManyBurnsNoTokens(t *testing.T) {
	for name, alone := range map[string]bool{"beside others": false, "alone": true} {
		t.Run(name, func(t *testing.T) {
			account(t, guesty.V3, guestytest.Config{
				Listings: 2, Faults: []partnersim.Rule{{Kind: "403", Endpoint: "/v1/properties-api/*"}},
			}, func(t *testing.T, s *guestytest.Server, d *guesty.Driver, _ *requests) {
				listing := slices.Collect(s.ListingIDs())[0]
				done := make(chan error)
				for range 4 {
					go func() {
						var last error
						for range 30 {
							if !alone {
								if err := d.Check(t.Context()); err != nil {
									t.Error(err)
								}
							}
							for _, err := range d.Media(t.Context(), listing) {
								last = err
							}
							time.Sleep(10 * time.Minute)
						}
						done <- last
					}()
				}
				for range 4 {
					if err := <-done; retry.ClassOf(err) != retry.Auth {
						t.Errorf("%v, want an error of class Auth", err)
					}
				}
				if n := s.TokensIssued(); n > 4 {
					t.Errorf("%d tokens for one forbidden resource", n)
				}
				if got := len(all(t, d.Resources(t.Context(), driver.Query{}))); got != 2 { // and the rest still works
					t.Errorf("%d listings", got)
				}
			})
		})
	}
}
