package cloudbeds_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds"
	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/retry"
)

func date(t testing.TB, s string) driver.Date {
	t.Helper()
	d, err := driver.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRoomTypes(t *testing.T) {
	group(t, nil, cloudbedstest.Config{Properties: 13}, func(t *testing.T, _ *cloudbedstest.Server,
		d *cloudbeds.Driver, _ *requests) {
		got := all(t, d.RoomTypes(t.Context(), driver.Query{}))
		if len(got) != 26 || got[1].ParentID.Or("") != "190001" || got[1].Capacity.Or(0) != 6 ||
			got[1].InternalName.Or("") != "D6" {
			t.Errorf("%d room types: %v", len(got), got)
		}
		if got := all(t, d.RoomTypes(t.Context(), driver.Query{ResourceID: "190003"})); len(got) != 2 ||
			got[0].ParentID.Or("") != "190003" {
			t.Errorf("of one property: %v", got)
		}
	})
	group(t, map[string]string{"property": "190001"}, cloudbedstest.Config{Properties: 2},
		func(t *testing.T, _ *cloudbedstest.Server, d *cloudbeds.Driver, seen *requests) {
			if got := all(t, d.RoomTypes(t.Context(), driver.Query{ResourceID: "190002"})); len(got) != 0 ||
				len(seen.urls) != 0 {
				t.Errorf("of another property: %v, %d calls", got, len(seen.urls))
			}
		})
}

func TestCalendar(t *testing.T) {
	for _, odd := range []int{-1, 1} {
		group(t, nil, cloudbedstest.Config{Properties: 3, Odd: odd}, func(t *testing.T, _ *cloudbedstest.Server,
			d *cloudbeds.Driver, seen *requests) {
			from, to := date(t, "2026-12-15"), date(t, "2027-02-14")
			days := all(t, d.Calendar(t.Context(), "190003", from, to))
			if len(days) != 62*4 || len(seen.urls) != 3 {
				t.Fatalf("%d days in %d calls, want 62 of 4 rates in 3", len(days), len(seen.urls))
			}
			seenKeys := map[driver.DayKey]bool{}
			for _, day := range days {
				p, ok := day.Price.Get()
				if !ok || p.Currency != "VND" || p.Amount < 100 || p.Amount > 150 || !day.Available.Observed() ||
					day.MinStay.Or(0) != 1 || day.MaxStay.Or(1) != 0 ||
					day.Closed.Or(true) || !day.ClosedToArrival.Observed() || day.ResourceID != "190003" ||
					len(day.Raw) == 0 || day.AdapterVersion != "v1" {
					t.Fatalf("%s: %+v", day, day)
				}
				seenKeys[day.Key()] = true
			}
			if len(seenKeys) != len(days) {
				t.Errorf("%d keys of %d days", len(seenKeys), len(days))
			}
			if got := all(t, d.Calendar(t.Context(), "190003", from, from)); len(got) != 4 {
				t.Errorf("one night: %d days", len(got))
			}
			if err := failure(d.Calendar(t.Context(), "190003", to, from)); retry.ClassOf(err) != retry.Client {
				t.Errorf("a range that ends before it begins: %v", err)
			}
			for _, id := range []string{"5", ""} {
				if err := failure(d.Calendar(t.Context(), id, from, to)); !errors.Is(err, driver.ErrNotFound) {
					t.Errorf("an unknown property %q: %v", id, err)
				}
			}
		})
	}
}

func TestPushCalendar(t *testing.T) {
	group(t, nil, cloudbedstest.Config{Properties: 2, Odd: -1}, func(t *testing.T, _ *cloudbedstest.Server,
		d *cloudbeds.Driver, seen *requests) {
		first := date(t, "2026-12-01")
		var days []driver.Day
		for n := range 45 {
			day := driver.Day{ResourceID: "190002", RatePlanID: driver.Some("900200"), Date: first.AddDays(n)}
			day.Price = driver.Some(driver.Money{Amount: 9950, Currency: "EUR"})
			if n >= 10 {
				// each night another price: an interval each
				day.Price = driver.Some(driver.Money{Amount: int64(10000 + n), Currency: "EUR"})
			}
			day.MinStay, day.Closed = driver.Some(2), driver.Some(n == 3)
			days = append(days, day)
		}
		days = append(days, driver.Day{ // the later one counts
			ResourceID: "190002", RatePlanID: driver.Some("900200"), Date: first, MaxStay: driver.Some(14),
			ClosedToArrival: driver.Some(true), ClosedToDeparture: driver.Some(false),
		})
		effect, err := d.PushCalendar(t.Context(), "effect-1", "190002", days)
		if err != nil || effect.Confirmed || effect.ID != "job-0001,job-0002" {
			t.Fatalf("pushed: %+v, %v; want two jobs that are queued", effect, err)
		}
		if n := seen.puts(http.MethodPost); n != 2 {
			t.Errorf("%d writes for 39 intervals, want 2", n)
		}
		time.Sleep(2 * time.Second)
		if effect, err = d.PushedCalendar(t.Context(), effect.ID); err != nil || !effect.Confirmed {
			t.Errorf("two seconds later: %+v, %v", effect, err)
		}
		for _, day := range all(t, d.Calendar(t.Context(), "190002", first, first.AddDays(44))) {
			if day.RatePlanID.Or("") != "900200" {
				continue
			}
			n := first.Days(day.Date)
			want := int64(9950)
			if n >= 10 {
				want = int64(10000 + n)
			}
			if n == 0 {
				if day.MaxStay.Or(0) != 14 || !day.ClosedToArrival.Or(false) || day.MinStay.Or(0) != 1 {
					t.Errorf("%s: %+v", day, day)
				}
			} else if p, _ := day.Price.Get(); p.Amount != want || day.MinStay.Or(0) != 2 ||
				day.Closed.Or(false) != (n == 3) {
				t.Errorf("%s: %v, shortest stay %v, closed %v", day, p, day.MinStay, day.Closed)
			}
		}
		if e, err := d.PushCalendar(t.Context(), "e", "190002", nil); err != nil || !e.Confirmed {
			t.Errorf("nothing: %+v, %v", e, err)
		}
		if e, err := d.PushedCalendar(t.Context(), "job-9999"); err != nil || e.Confirmed {
			t.Errorf("an unknown job: %+v, %v", e, err)
		}
	})
}

// Everything that cannot be written is named, and nothing is.
func TestPushCalendarRefuses(t *testing.T) {
	group(t, nil, cloudbedstest.Config{Properties: 1, Odd: -1}, func(t *testing.T, _ *cloudbedstest.Server,
		d *cloudbeds.Driver, seen *requests) {
		on := date(t, "2026-12-01")
		good := driver.Day{ResourceID: "190001", RatePlanID: driver.Some("900100"), Date: on, Closed: driver.Some(true)}
		bad := good
		bad.ResourceID, bad.RatePlanID, bad.Date = "2", driver.Opt[string]{}, driver.Date{}
		bad.Status, bad.Available = driver.Some(driver.DayBlocked), driver.Some(3)
		bad.Price, bad.MinStay, bad.MaxStay, bad.Closed = driver.Some(driver.Money{Amount: -1,
			Currency: "EUR"}), driver.Some(-1), driver.Null[int](), driver.Null[bool]()
		empty := driver.Day{ResourceID: "190001", RatePlanID: driver.Some("900100"), Date: on}
		_, err := d.PushCalendar(t.Context(), "e", "190001", []driver.Day{good, bad, empty})
		for _, want := range []string{
			"another property's", "does not name a rate", "Date is none", "a status cannot", "Available cannot",
			"Price is negative",
			"minLos is negative", "MaxStay is null", "Closed is null", "nothing is to be written",
		} {
			if retry.ClassOf(err) != retry.Client || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in: %v", want, err)
			}
		}
		if _, err := d.PushCalendar(t.Context(), "e", "5", []driver.Day{{
			ResourceID: "5", RatePlanID: driver.Some("1"), Date: on, Price: driver.Some(driver.Money{Currency: "EUR"}),
		}}); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("an unknown property: %v", err)
		}
		if len(seen.urls) > 1 { // the unknown property was asked for
			t.Errorf("%d calls", len(seen.urls))
		}
		foreign := good
		foreign.Price = driver.Some(driver.Money{Amount: 1, Currency: "JPY"})
		_, err = d.PushCalendar(t.Context(), "e", "190001", []driver.Day{foreign})
		if n := seen.puts(http.MethodPost); retry.ClassOf(err) != retry.Client ||
			!strings.Contains(err.Error(), "the property's currency") || n != 0 {
			t.Errorf("another currency: %v after %d writes", err, n)
		}
		derived := good
		derived.RatePlanID = driver.Some("900101")
		if _, err := d.PushCalendar(t.Context(), "e", "190001",
			[]driver.Day{derived}); retry.ClassOf(err) != retry.Client || errors.Is(err, driver.ErrPartial) {
			t.Errorf("a derived rate: %v", err)
		}
		// The first call is taken, the second is not.
		var many []driver.Day
		for n := range 30 {
			day := good
			day.Date, day.Closed = on.AddDays(2*n), driver.Some(true)
			many = append(many, day)
		}
		e, err := d.PushCalendar(t.Context(), "e", "190001", append(many, derived))
		if !errors.Is(err, driver.ErrPartial) || retry.ClassOf(err) != retry.Client || e.ID != "job-0001" {
			t.Errorf("in part: %+v, %v", e, err)
		}
	})
}

// What became of the jobs: not known while they cannot be asked for, and told when one ended with an error.
func TestPushedCalendar(t *testing.T) {
	push := func(t *testing.T, d *cloudbeds.Driver) (driver.Effect, error) {
		return d.PushCalendar(t.Context(), "e", "190001", []driver.Day{{
			ResourceID: "190001", RatePlanID: driver.Some("900100"), Date: date(t, "2026-12-01"),
			Closed: driver.Some(true),
		}})
	}
	c := cloudbedstest.Config{Properties: 1, Odd: -1, Faults: []partnersim.Rule{{Kind: "x-refused",
		Endpoint: "/api/v1.3/getRateJobs"}}}
	group(t, nil, c, func(t *testing.T, _ *cloudbedstest.Server, d *cloudbeds.Driver, _ *requests) {
		if e, err := push(t, d); err != nil || e.Confirmed || e.ID != "job-0001" {
			t.Errorf("the job cannot be asked for: %+v, %v; it is queued all the same", e, err)
		}
		if _, err := d.PushedCalendar(t.Context(), "job-0001"); retry.ClassOf(err) != retry.Client {
			t.Errorf("asking: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		reg := driver.NewRegistry(driver.Options{Transport: answers(`{"success":true,"jobReferenceID":"j1","data":[{"jobReferenceID":"j0","status":"completed"},{"jobReferenceID":"j1","status":"error"}]}`)})
		defer reg.Close(context.Background())
		if err := cloudbeds.Register(reg); err != nil {
			t.Fatal(err)
		}
		d, err := reg.OpenIntegration(t.Context(), good().Integration("a"))
		if err != nil {
			t.Fatal(err)
		}
		if e, err := push(t, d.(*cloudbeds.Driver)); !errors.Is(err, driver.ErrPartial) || e.Confirmed || e.ID != "j1" {
			t.Errorf("a job that failed: %+v, %v", e, err)
		}
	})
}

func TestTechnologyPartner(t *testing.T) {
	group(t, map[string]string{"technology_partner": "true"}, cloudbedstest.Config{Properties: 1, Partner: true},
		func(t *testing.T, _ *cloudbedstest.Server, d *cloudbeds.Driver, _ *requests) {
			began := time.Now()
			for range 30 {
				if err := d.Check(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(began); took < 2*time.Second || took > 4*time.Second {
				t.Errorf("30 calls took %v, want 2 to 4 s at 10 a second", took)
			}
			names := []string{}
			for _, l := range d.Info().Limits {
				names = append(names, l.Name)
			}
			if !slices.Equal(names, []string{"api", "partner"}) {
				t.Errorf("limits %v", names)
			}
		})
}
