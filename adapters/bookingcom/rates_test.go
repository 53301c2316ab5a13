package bookingcom_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/integrationkit/integrationkit/adapters/bookingcom/bookingcomtest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/retry"
)

const pushPath = "POST /hotels/xml/availability"

// What is pushed is the sample, but for the price of single occupancy, which a Day does not have.
func TestSampleAvailability(t *testing.T) {
	d, s := with(t, map[string]string{pushPath: "availability-ok.xml"}, nil)
	effect, err := d.PushCalendar(t.Context(), "key", "7004411", []driver.Day{{
		ResourceID: "7004411", UnitID: driver.Some("700441102"), RatePlanID: driver.Some("31200451"),
		Date:      date("2026-05-08"),
		Available: driver.Some(2), Price: driver.Some(eur(12500)), Closed: driver.Some(false),
		MinStay: driver.Some(2), ClosedToArrival: driver.Some(false),
	}})
	if err != nil || !effect.Confirmed || effect.ID != "7004411" {
		t.Errorf("%+v, %v", effect, err)
	}
	squeeze := func(text string) string {
		return strings.NewReplacer("\n", "", "  ", "", "></rate>", "/>", "<price1>110.00</price1>",
			"").Replace(strings.TrimSpace(text))
	}
	if got, want := squeeze(s.sent[pushPath][0]), squeeze(string(sample(t, "availability.xml"))); got != want {
		t.Errorf("sent\n%s\nwant\n%s", got, want)
	}
	if got := s.seen[0].Header; got.Get("Accept-Version") != "1.1" || !strings.HasPrefix(got.Get("Content-Type"),
		"application/xml") {
		t.Errorf("Accept-Version %q, Content-Type %q", got.Get("Accept-Version"), got.Get("Content-Type"))
	}
}

func TestSampleAvailabilityErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := with(t, map[string]string{pushPath: "availability-errors.xml"}, nil)
		_, err := d.PushCalendar(t.Context(), "key", "7004411", []driver.Day{sold("7004411", "700441199",
			"2026-05-08", 1)})
		e, ok := errors.AsType[*retry.Error](err)
		if !ok || !errors.Is(err, driver.ErrPartial) || e.Code != "ROOM_ID_INVALID" || e.Class != retry.Client ||
			strings.Contains(err.Error(), "known for this property") {
			t.Errorf("got %v", err)
		}
	})
}

func sold(resource, unit, day string, n int) driver.Day {
	return driver.Day{ResourceID: resource, UnitID: driver.Some(unit), Date: date(day), Available: driver.Some(n)}
}

// The partner is told what is in the days: by month, the last of two counts, and again when the answer is lost.
func TestPushCalendar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, bookingcomtest.Config{Properties: 3, Faults: []partnersim.Rule{{Kind: partnersim.Lost,
			Endpoint: "/hotels/xml/availability", Count: 1}}})
		d := open(t, s, s.Integration("all"))
		// in yen
		home, room, rate := bookingcomtest.PropertyID(1), bookingcomtest.UnitID(1, 0), bookingcomtest.RateID(1)
		var days []driver.Day
		for i := range 60 {
			day := sold(home, room, date("2000-02-01").AddDays(i).String(), 9)
			day.RatePlanID, day.Price = driver.Some(rate), driver.Some(jpy(int64(9000+i)))
			day.MaxStay, day.Closed, day.ClosedToDeparture = driver.Some(7), driver.Some(i%2 == 0), driver.Some(true)
			days = append(days, day, sold(home, bookingcomtest.UnitID(1, 2), day.Date.String(), 1))
		}
		again := days[0]
		again.Available = driver.Some(4)
		effect, err := d.PushCalendar(t.Context(), "key", home, append(days, again))
		if err != nil || !effect.Confirmed {
			t.Fatalf("%+v, %v", effect, err)
		}
		if n := s.Report().Requests; n != 1+2+1 { // the token's, two months, one again
			t.Errorf("%d requests", n)
		}
		if got := s.Night(room, "", "2000-02-01"); got["roomstosell"] != "4" {
			t.Errorf("the first night: %v", got)
		}
		got := s.Night(room, rate, "2000-03-31")
		if want := map[string]string{"price": "9059", "maximumstay_arrival": "7", "closed": "0",
			"closedondeparture": "1"}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the last night: got %v, want %v", got, want)
		}
		// A room type is a resource, too.
		if _, err := d.PushCalendar(t.Context(), "key", room, []driver.Day{{ResourceID: room,
			Date: date("2000-02-01"), Available: driver.Some(0)}}); err != nil {
			t.Error(err)
		}
		if got := s.Night(room, "", "2000-02-01"); got["roomstosell"] != "0" {
			t.Errorf("the first night: %v", got)
		}
		if r := s.Report(); len(r.Unexpected) > 0 {
			t.Errorf("unexpected %q", r.Unexpected)
		}
	})
}

// What the partner refuses is an error: as a whole, in part, and in a later month.
func TestPushCalendarRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, bookingcomtest.Config{Properties: 2})
		d := open(t, s, s.Integration("all"))
		home, room, other := bookingcomtest.PropertyID(0), bookingcomtest.UnitID(0, 0), bookingcomtest.UnitID(1, 0)
		for name, tt := range map[string]struct {
			days    []driver.Day
			partial bool
		}{
			"whole": {[]driver.Day{sold(home, other, "2000-02-01", 1)}, false},
			"part":  {[]driver.Day{sold(home, room, "2000-02-01", 1), sold(home, other, "2000-02-01", 1)}, true},
			"later": {[]driver.Day{sold(home, room, "2000-02-01", 1), sold(home, other, "2000-03-01", 1)}, true},
		} {
			effect, err := d.PushCalendar(t.Context(), "key", home, tt.days)
			e, ok := errors.AsType[*retry.Error](err)
			if !ok || errors.Is(err, driver.ErrPartial) != tt.partial || e.Code != "ROOM_ID_INVALID" ||
				effect.Confirmed {
				t.Errorf("%s: %+v, %v", name, effect, err)
			}
		}
	})
}

// Days that cannot be told are refused before anything is sent, all of them named.
func TestPushCalendarNamesEveryProblem(t *testing.T) {
	d, s := with(t, nil, nil)
	day := func(edit func(*driver.Day)) driver.Day {
		v := sold("7004411", "700441102", "2026-05-08", 1)
		edit(&v)
		return v
	}
	_, err := d.PushCalendar(t.Context(), "key", "7004411", []driver.Day{
		day(func(v *driver.Day) { v.ResourceID = "1" }),
		day(func(v *driver.Day) { v.UnitID = driver.Opt[string]{} }),
		day(func(v *driver.Day) { v.Price = driver.Some(eur(1)) }),
		day(func(v *driver.Day) { v.Available = driver.Opt[int]{} }),
		day(func(v *driver.Day) { v.Status = driver.Some(driver.DayBlocked) }),
		day(func(v *driver.Day) { v.Closed = driver.Null[bool]() }),
		day(func(v *driver.Day) { v.MinStay, v.RatePlanID = driver.Some(32), driver.Some("1") }),
		day(func(v *driver.Day) { v.Price, v.RatePlanID = driver.Some(eur(-1)), driver.Some("x") }),
		day(func(v *driver.Day) { v.Date = driver.Date{} }),
	})
	for i, want := range []string{"of another resource", "room type is missing", "rate_plan_id: missing",
		"nothing to be told", "status: cannot", "is null", "more than 31",
		"negative", "date: required"} {
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("day %d: ", i)) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("day %d: want %q in %v", i, want, err)
		}
	}
	for _, id := range []string{"x", "700441101"} {
		if _, err := d.PushCalendar(t.Context(), "key", id, []driver.Day{sold(id, "700441102", "2026-05-08",
			1)}); err == nil {
			t.Errorf("%s is accepted", id)
		}
	}
	if _, err := d.PushCalendar(t.Context(), "key", "7004411", nil); retry.ClassOf(err) != retry.Client {
		t.Errorf("no days: %v", err)
	}
	if len(s.seen) > 0 {
		t.Errorf("%d requests were sent", len(s.seen))
	}
}

// An answer that says neither ok nor what is wrong is an error; warnings alone leave it unconfirmed.
func TestPushCalendarAnswers(t *testing.T) {
	for body, want := range map[string]struct {
		confirmed bool
		class     retry.Class
	}{
		`<ok></ok>`: {true, retry.OK},
		`<ok><warnings><warning><code>WARN_DUPLICATE_DATES</code></warning></warnings></ok>`: {false, retry.OK},
		`<response><warnings><warning><code>W</code></warning></warnings></response>`:        {false, retry.OK},
		`<response><x/><errors><error><code>448</code></error></errors></response>`:          {false, retry.Transient},
		`<fault code="1"/>`: {false, retry.Client},
		`<something/>`:      {false, retry.Data},
		`<ok>`:              {false, retry.Data},
		`<?xml version="1.0" encoding="EBCDIC"?><ok/>`: {false, retry.Data},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := server(t, bookingcomtest.Config{Properties: 1})
			d := tampered(t, s, bookingcomtest.Legacy(s.Hotel("h", 0)), func(*http.Request,
				string) string {
				return body
			})
			effect, err := d.PushCalendar(t.Context(), "key", bookingcomtest.PropertyID(0),
				[]driver.Day{sold(bookingcomtest.PropertyID(0), bookingcomtest.UnitID(0, 0), "2000-02-01", 1)})
			if effect.Confirmed != want.confirmed || retry.ClassOf(err) != want.class {
				t.Errorf("%s: %+v, class %v, %v", body, effect, retry.ClassOf(err), err)
			}
		})
	}
}
