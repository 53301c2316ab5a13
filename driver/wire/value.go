package wire

import (
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// Instant reads a moment in RFC 3339, with any offset and fraction, also with the name of a zone behind it in
// brackets (RFC 9557), or in one of the layouts, which are of UTC: for partners who say so. A time without an offset
// in no such layout is refused: nobody knows where it is meant; see [Object.Local].
func (o Object) Instant(field string, utc ...string) driver.Opt[time.Time] {
	return parse(o, field, "an instant", formText, func(s string) (time.Time, error) {
		plain, _, _ := strings.Cut(s, "[")
		t, err := time.Parse(time.RFC3339Nano, plain)
		for _, layout := range utc {
			if err == nil {
				break
			}
			t, err = time.Parse(layout, s)
		}
		return inYears(t, err)
	})
}

func inYears(t time.Time, err error) (time.Time, error) {
	if t = t.UTC(); err != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, errForm
	}
	return t, nil
}

// Local reads a moment that is written in the time of a place, by the first of the layouts that fits, and returns it
// in UTC. A moment that a change of clocks repeats or skips is taken as [driver.Resolve] does, and noted: the
// partner, too, had to guess. A zone that is not known leaves the field out.
func (o Object) Local(field, zone string, layouts ...string) driver.Opt[time.Time] {
	var ambiguity driver.Ambiguity
	t := parse(o, field, "a local time", formText, func(s string) (time.Time, error) {
		loc, err := location(zone)
		if err != nil {
			return time.Time{}, errForm
		}
		err = errForm
		for _, layout := range layouts {
			var wall time.Time
			if wall, err = time.Parse(layout, s); err == nil {
				var t time.Time
				t, ambiguity = driver.Resolve(wall, loc)
				return inYears(t, nil)
			}
		}
		return time.Time{}, err
	})
	if ambiguity != "" {
		o.Odd(field, driver.ChangeValue, "a time that "+string(ambiguity))
	}
	return t
}

func location(zone string) (*time.Location, error) {
	if zone == "" || zone == "Local" {
		return nil, errForm
	}
	return time.LoadLocation(zone)
}

// Date reads a day as 2026-12-02, also as the midnight of UTC 2026-12-02T00:00:00.000Z.
func (o Object) Date(field string) driver.Opt[driver.Date] {
	return parse(o, field, "a date", formText, func(s string) (driver.Date, error) {
		if day, rest, ok := strings.Cut(s, "T"); ok && strings.HasPrefix(rest, "00:00:00") &&
			strings.HasSuffix(rest, "Z") {
			s = day
		}
		return driver.ParseDate(s)
	})
}

// Clock reads a time of day as 15:00 or 15:00:00, and returns the former.
func (o Object) Clock(field string) driver.Opt[string] {
	return parse(o, field, "a time of day", formText, func(s string) (string, error) {
		for _, layout := range []string{"15:04", "15:04:05"} {
			if t, err := time.Parse(layout, s); err == nil {
				return t.Format("15:04"), nil
			}
		}
		return "", errForm
	})
}

// Currency reads an ISO 4217 code, in any case.
func (o Object) Currency(field string) driver.Opt[string] {
	return parse(o, field, "a currency", formText, func(s string) (string, error) {
		s = strings.ToUpper(s)
		if _, ok := driver.MinorDigits(s); !ok {
			return "", errForm
		}
		return s, nil
	})
}

// Money reads an amount in major units from its decimal literal: going through a float64 would round what it is not
// asked to. Without a currency there is no amount.
func (o Object) Money(field string, currency driver.Opt[string]) driver.Opt[driver.Money] {
	c, ok := currency.Get()
	if !ok {
		return driver.Opt[driver.Money]{}
	}
	return parse(o, field, "an amount", formNumber, func(s string) (driver.Money,
		error) {
		return driver.ParseMoney(s, c)
	})
}
