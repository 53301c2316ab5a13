package cloudbeds

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
)

// daysOf are the days of a row, and why those that are not there are not.
func daysOf(raw []byte, currency driver.Opt[string]) (days []driver.Day, odd []driver.Oddity, err error) {
	a := adapters[v1]
	r, odd, err := a.rate.One(raw)
	for _, raw := range r.days {
		day, more, bad := a.day(r, "190001", currency).One(raw)
		odd = append(odd, more...)
		if bad != nil {
			err = errors.Join(err, bad)
			continue
		}
		days = append(days, day)
	}
	return days, odd, err
}

func TestSampleRates(t *testing.T) {
	rows := rowsOf(t, "rate-plans", "rateID")
	days, odd, err := daysOf(rows[0], driver.Some("EUR"))
	if err != nil || len(odd) > 0 || len(days) != 2 {
		t.Fatalf("%d days, %v, %v", len(days), odd, err)
	}
	const rate = `"resource_id": "190001", "unit_id": "514201", "rate_plan_id": "900100", "price": {"amount": 12000, "currency": "EUR"},
		"max_stay": 0, "closed_to_departure": false`
	same(t, days[0], `{"date": "2026-12-01", "available": 3, "min_stay": 1, "closed_to_arrival": false, `+rate+`}`)
	same(t, days[1], `{"date": "2026-12-02", "available": 4, "min_stay": 2, "closed_to_arrival": true, `+rate+`}`)
	if !strings.Contains(string(days[1].Raw), `"rate":"120.00"`) {
		t.Errorf("what came is kept as %s", days[1].Raw)
	}
	// A derived rate without details has no days.
	if days, odd, err := daysOf(rows[1], driver.Some("EUR")); err != nil || len(days) != 0 || len(odd) != 0 {
		t.Errorf("%v, %v, %v", days, odd, err)
	}
}

func TestOddRates(t *testing.T) {
	for raw, want := range map[string]string{
		`"roomRateDetailed":{"a":{"date":"2026-12-01","rateBase":"99.5","blocked":1,"minLos":"2"}}`: `{"date":"2026-12-01","resource_id":"190001","rate_plan_id":"1",
			"price":{"amount":9950,"currency":"EUR"},"closed":true,"min_stay":2}`,
		`"propertyID":8,"roomRateDetailed":{"date":"2026-12-01","rate":null,"roomsAvailable":"","closedToArrival":"false"}`: `{"date":"2026-12-01","resource_id":"8",
			"rate_plan_id":"1","price":null,"available":null,"closed_to_arrival":false}`,
		`"roomRateDetailed":[{"date":"2026-12-01","rate":"many","minLos":-1,"maxLos":{}}]`: `{"date":"2026-12-01","resource_id":"190001","rate_plan_id":"1"}`,
		`"roomRateDetailed":[{"date":"2026-12-01","rate":99.5,"rateBase":null}]`: `{"date":"2026-12-01","resource_id":"190001","rate_plan_id":"1",
			"price":{"amount":9950,"currency":"EUR"}}`,
		`"roomRateDetailed":[{"date":"2026-12-01","rateBase":null}]`: `{"date":"2026-12-01","resource_id":"190001","rate_plan_id":"1","price":null}`,
		`"roomRateDetailed":null`:                                    "0 days, <nil>",
		`"roomRateDetailed":[]`:                                      "0 days, <nil>",
		`"roomRateDetailed":[{"date":"2026-12-01"},{"date":""}]`:     "1 days, date: not a date",
		`"roomRateDetailed":[{"date":"soon"}]`:                       "0 days, date: not a date",
	} {
		days, _, err := daysOf([]byte(`{"rateID":1,`+raw+`}`), driver.Some("EUR"))
		if strings.HasPrefix(want, "{") {
			if err != nil || len(days) != 1 {
				t.Errorf("%s: %d days, %v", raw, len(days), err)
				continue
			}
			same(t, days[0], want)
		} else if got := fmt.Sprintf("%d days, %v", len(days), err); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
	// Without a currency a price is not known, not 0.
	days, _, err := daysOf([]byte(`{"rateID":1,"roomRateDetailed":[{"date":"2026-12-01","rate":5}]}`),
		driver.Null[string]())
	if err != nil || len(days) != 1 || !days[0].Price.IsZero() {
		t.Errorf("without a currency: %v, %v", days, err)
	}
}

func TestSampleRoomTypes(t *testing.T) {
	// The fields are the specification's, the values composed.
	raw := `{"roomTypeID":"514202","propertyID":"190001","roomTypeName":"Six Bed Dorm","roomTypeNameShort":"D6","roomTypeDescription":"","isPrivate":false,
		"maxGuests":6,"adultsIncluded":1,"childrenIncluded":0}`
	for _, raw := range []string{raw, strings.NewReplacer(`"514202"`, "514202", `"190001"`, "190001", ":6",
		`:"6"`).Replace(raw)} {
		r, odd, err := adapters[v1].roomType.One([]byte(raw))
		if err != nil || len(odd) > 0 || driver.Validate(r) != nil {
			t.Fatal(odd, err)
		}
		same(t, r, `{"id":"514202","parent_id":"190001","name":"Six Bed Dorm","internal_name":"D6","description":"","capacity":6}`)
	}
	if _, _, err := adapters[v1].roomType.One([]byte(`{"roomTypeName":"x"}`)); err == nil {
		t.Error("a room type without an id")
	}
}

// Whatever the partner sends for rates: no day that is invalid, of another date than it says, or without what it is
// about.
func FuzzRate(f *testing.F) {
	f.Add(string(rowsOf(f, "rate-plans", "rateID")[0]))
	for _, s := range []string{
		`{"rateID":"1","roomRateDetailed":{"x":{"date":"2026-02-30"}}}`,
		`{"rateID":1,"roomRateDetailed":[{"date":"9999-12-31","rate":"1e300"},7]}`, `[]`, `{"rateID":{}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		days, _, err := daysOf([]byte(raw), driver.Some("EUR"))
		if err != nil && len(days) == 0 && len(err.Error()) > 10_000 {
			t.Errorf("%v", err)
		}
		for _, day := range days {
			if !day.Date.Valid() || day.ResourceID == "" || day.RatePlanID.Or("") == "" || len(day.Raw) > 0 &&
				!json.Valid(day.Raw) {
				t.Errorf("%s: %s, raw %q", raw, day, day.Raw)
			}
			if err := driver.Validate(day); err != nil {
				t.Errorf("%s: %v", raw, err)
			}
		}
	})
}

// What is pushed comes out of the form as it went in, whatever it is: each night once, with its own values.
func FuzzIntervals(f *testing.F) {
	f.Add(uint16(1), uint16(3), []byte{1, 1, 2, 1, 1})
	f.Add(uint16(9), uint16(300), []byte("every night another"))
	f.Fuzz(func(t *testing.T, rates, start uint16, what []byte) {
		if len(what) > 100 {
			return
		}
		first := driver.Date{Year: 2026, Month: 1, Day: 1}.AddDays(int(start % 1000))
		want := map[string]string{}
		var days []driver.Day
		for n, b := range what {
			id := fmt.Sprint("rate-", n%int(rates%3+1))
			days = append(days, driver.Day{
				ResourceID: "7", RatePlanID: driver.Some(id), Date: first.AddDays(n / 2),
				MinStay: driver.Some(int(b % 4)),
				Price:   driver.Some(driver.Money{Amount: int64(b), Currency: "EUR"}),
			})
			want[id+" "+first.AddDays(n/2).String()] = fmt.Sprintf("%d.%02d %d", b/100, b%100, b%4)
		}
		all, err := intervals("7", "EUR", days)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		form := formOf(all)
		for r := 0; form.Has(fmt.Sprintf("rates[%d][rateID]", r)); r++ {
			for i := 0; ; i++ {
				field := func(name string) string {
					return form.Get(fmt.Sprintf("rates[%d][interval][%d][%s]", r, i,
						name))
				}
				if field("startDate") == "" {
					break
				}
				from, err := driver.ParseDate(field("startDate"))
				to, err2 := driver.ParseDate(field("endDate"))
				if err != nil || err2 != nil || from.Days(to) < 0 {
					t.Fatalf("from %s to %s", field("startDate"), field("endDate"))
				}
				for d := from; d.Days(to) >= 0; d = d.AddDays(1) {
					key := form.Get(fmt.Sprintf("rates[%d][rateID]", r)) + " " + d.String()
					if got[key] != "" {
						t.Errorf("%s is told twice", key)
					}
					got[key] = field("rate") + " " + field("minLos")
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("told %v, want %v", got, want)
		}
	})
}
