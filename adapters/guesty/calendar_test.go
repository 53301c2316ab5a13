package guesty

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/internal/sampletest"
	"github.com/integrationkit/integrationkit/pagination"
)

func sampleBytes(t testing.TB, name string) []byte {
	t.Helper()
	return sampletest.File(t, name+".json")
}

// readDays decodes a calendar's answer as the driver does.
func readDays(body []byte, c Calendar) (pagination.Batch[driver.Day], error) {
	a := adapters[v1]
	if c == Full {
		var env classicCalendar
		if err := driver.Decode(body, "", &env); err != nil {
			return pagination.Batch[driver.Day]{}, err
		}
		return a.day("L").Each(nil, nil, env.Data.Days), nil //nolint:staticcheck // nothing is reported
	}
	var env minifiedCalendar
	if err := driver.Decode(body, "", &env); err != nil {
		return pagination.Batch[driver.Day]{}, err
	}
	//nolint:staticcheck // likewise
	return a.blocks("L", currencyCode(env.Days.Currency)).Each(nil, nil, env.Days.Calendar), nil
}

func TestSampleCalendars(t *testing.T) {
	for name, c := range map[string]struct {
		of   Calendar
		want []string
	}{
		"calendar-full": {Full, []string{
			`{"resource_id": "L", "date": "2026-12-01", "status": "available", "status_text": "available", "price": {"amount": 14000, "currency": "EUR"}, "min_stay": 2, "closed": false, "closed_to_arrival": false, "closed_to_departure": false}`,
			`{"resource_id": "L", "date": "2026-12-02", "status": "booked", "status_text": "booked", "price": {"amount": 15250, "currency": "EUR"}, "min_stay": 3, "closed": true, "closed_to_arrival": false, "closed_to_departure": true}`,
		}},
		"calendar-minified": {Minified, []string{
			`{"resource_id": "L", "date": "2026-12-01", "status": "available", "price": {"amount": 14000, "currency": "EUR"}, "min_stay": 2, "closed": false, "closed_to_arrival": false, "closed_to_departure": false}`,
			`{"resource_id": "L", "date": "2026-12-02", "status": "booked", "status_text": "b", "price": {"amount": 15250, "currency": "EUR"}, "min_stay": 3, "closed": true, "closed_to_arrival": false, "closed_to_departure": true}`,
			`{"resource_id": "L", "date": "2026-12-03", "status": "blocked", "status_text": "m o", "price": {"amount": 15250, "currency": "EUR"}, "min_stay": 3, "closed": true, "closed_to_arrival": false, "closed_to_departure": false}`,
		}},
		"odd-calendar": {Minified, []string{
			`{"resource_id": "L", "date": "2026-12-01", "status": "available", "price": {"amount": 15000, "currency": "JPY"}, "min_stay": 2, "closed": false, "closed_to_arrival": false, "closed_to_departure": true}`,
			`{"resource_id": "L", "date": "2026-12-02", "status": "blocked", "status_text": "zz", "price": null, "min_stay": null, "closed": true}`,
			`{"resource_id": "L", "date": "2026-12-03"}`,
			`{"resource_id": "L", "date": "2026-12-04", "status": "booked", "status_text": "b m r", "closed": true}`,
		}},
		"odd-calendar-full": {Full, []string{
			`{"resource_id": "L", "date": "2026-12-01", "status": "booked", "status_text": "Available", "available": 0, "price": {"amount": 14001, "currency": "EUR"}, "closed": true}`,
			`{"resource_id": "L", "date": "2026-12-02", "status": "available", "status_text": "booked", "available": 2, "closed": false}`,
			`{"resource_id": "L", "date": "2026-12-03", "status": "other", "status_text": "paused", "closed": true}`,
			`{"resource_id": "L", "date": "2026-12-04", "status": null, "status_text": null}`,
			`{"resource_id": "L", "date": "2026-12-05", "status": "reserved", "status_text": "reserved", "closed_to_arrival": null, "closed": true}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := readDays(sampleBytes(t, name), c.of)
			if err != nil || len(b.Items) != len(c.want) {
				t.Fatalf("%d days, want %d, %v", len(b.Items), len(c.want), err)
			}
			for i, day := range b.Items {
				same(t, day, c.want[i])
				if err := driver.Validate(day); err != nil || len(day.Raw) == 0 || day.AdapterVersion != v1 {
					t.Errorf("%v, raw %s", err, day.Raw)
				}
			}
			if want := map[string]int{"odd-calendar": 3}[name]; len(b.Rejected) != want {
				t.Errorf("%d rejected, want %d", len(b.Rejected), want)
			}
			for _, r := range b.Rejected {
				if strings.Contains(r.Err.Error(), "CANARY") {
					t.Errorf("a value in %q", r.Err)
				}
			}
		})
	}
}

func TestNoCalendarWithoutDays(t *testing.T) {
	for in, c := range map[string]Calendar{
		`{"status":200,"message":"OK"}`: Full, `{"data":{}}`: Full, `{"data":{"days":null}}`: Full, `{"data":[]}`: Full,
		`{"days":{}}`: Minified, `{"days":[]}`: Minified, `{"days":{"calendar":null}}`: Minified,
		`{"message":"CANARY"}`: Minified,
	} {
		if _, err := readDays([]byte(in), c); !errors.Is(err, driver.ErrUndecodable) ||
			strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", in, err)
		}
	}
}

// Whatever comes, each day of a calendar is read or rejected; what is read is valid, and closed exactly if it is
// known not to be for sale.
func FuzzCalendar(f *testing.F) {
	for _, b := range samples(f) {
		f.Add(b, false)
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, full bool) {
		c := Minified
		if full {
			c = Full
		}
		b, err := readDays(body, c)
		if err != nil {
			if !errors.Is(err, driver.ErrUndecodable) {
				t.Fatal(err)
			}
			return
		}
		for _, r := range b.Rejected {
			if strings.Contains(r.Err.Error(), "panic") {
				t.Fatal(r.Err)
			}
		}
		for _, day := range b.Items {
			if err := driver.Validate(day); err != nil || !json.Valid(day.Raw) {
				t.Fatalf("%v, %s", err, day.Raw)
			}
			s, known := day.Status.Get()
			if shut, said := day.Closed.Get(); said != known || known && shut == (s == driver.DayAvailable) {
				t.Fatalf("status %v, closed %v", day.Status, day.Closed)
			}
		}
	})
}

func TestRunsOfDays(t *testing.T) {
	d := func(n int, change func(*driver.Day)) driver.Day {
		day := driver.Day{ResourceID: "L", Date: driver.Date{Year: 2026, Month: 12, Day: 1}.AddDays(n)}
		change(&day)
		return day
	}
	price := func(day *driver.Day) { day.Price = driver.Some(driver.Money{Amount: 12050, Currency: "EUR"}) }
	shut := func(day *driver.Day) { day.Closed = driver.Some(true) }
	var days []driver.Day
	days = append(days, d(0, price), d(1, price), d(3, price), d(4, shut), d(5, func(*driver.Day) {}), d(6, shut))
	for i := range 800 {
		days = append(days, d(7+i, shut))
	}
	days = append(days, d(2000, func(day *driver.Day) {
		day.Status, day.MinStay, day.ClosedToArrival, day.ClosedToDeparture = driver.Some(driver.DayAvailable), driver.Some(3), driver.Some(false), driver.Some(true)
	}))
	sorted, err := latest("L", days)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(runs(sorted))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"startDate":"2026-12-01","endDate":"2026-12-02","price":120.50},{"startDate":"2026-12-04","endDate":"2026-12-04","price":120.50},` +
		`{"startDate":"2026-12-05","endDate":"2026-12-05","status":"unavailable"},{"startDate":"2026-12-07","endDate":"2028-12-05","status":"unavailable"},` +
		`{"startDate":"2028-12-06","endDate":"2029-02-14","status":"unavailable"},` +
		`{"startDate":"2032-05-23","endDate":"2032-05-23","status":"available","minNights":3,"cta":false,"ctd":true}]`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

// What Guesty cannot be told is refused before anything is sent, all of it named.
func TestDaysThatCannotBePushed(t *testing.T) {
	date := driver.Date{Year: 2026, Month: 12, Day: 1}
	_, err := latest("L", []driver.Day{
		{ResourceID: "M", Date: date},
		{ResourceID: "L"},
		{ResourceID: "L", Date: date, UnitID: driver.Some("u"), RatePlanID: driver.Some("r"),
			Available: driver.Some(1), MaxStay: driver.Some(3)},
		{ResourceID: "L", Date: date, Status: driver.Some(driver.DayBooked)},
		{ResourceID: "L", Date: date, Status: driver.Some(driver.DayAvailable), Closed: driver.Some(true)},
		{ResourceID: "L", Date: date, Price: driver.Null[driver.Money](), MinStay: driver.Some(0)},
		{ResourceID: "L", Date: date, Price: driver.Some(driver.Money{Amount: -1, Currency: "EUR"})},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"day 0, 2026-12-01: is of another listing", "day 1", "UnitID", "RatePlanID",
		"Available", "MaxStay", "is booked", "contradict", "Price is null", "MinStay is 0", "Price is negative"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	again := []driver.Day{{ResourceID: "L", Date: date, MinStay: driver.Some(2)},
		{ResourceID: "L", Date: date, MinStay: driver.Some(4)}}
	if got, err := latest("L", again); err != nil || len(got) != 1 || got[0].MinStay.Or(0) != 4 {
		t.Errorf("%v, %v", fmt.Sprint(got), err)
	}
}
