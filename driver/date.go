package driver

import (
	"errors"
	"fmt"
	"time"
)

// Date is a calendar day, local to the place it is about: a night starts on it. It is not an instant. The zero Date is no day.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// ErrDate is wrapped by the errors of Date's functions. Their text does not hold what was read.
var ErrDate = errors.New("driver: not a date")

// ParseDate reads "2026-12-02", a day of the years 0001 to 9999.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1 {
		return Date{}, ErrDate
	}
	return DateOf(t), nil
}

// DateOf returns the day that t is on, in t's location.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// Valid reports whether d is a day of the calendar of the years 0001 to 9999. The zero Date is not.
func (d Date) Valid() bool { return d.Year >= 1 && d.Year <= 9999 && DateOf(d.utc()) == d }

func (d Date) utc() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// String returns "2026-12-02"; "" for the zero Date.
func (d Date) String() string {
	if d == (Date{}) {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day)
}

// MarshalText implements encoding.TextMarshaler: as String. A Date that is not valid, other than the zero Date, is an error.
func (d Date) MarshalText() ([]byte, error) {
	if d != (Date{}) && !d.Valid() {
		return nil, ErrDate
	}
	return []byte(d.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler: as ParseDate; "" is the zero Date.
func (d *Date) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = Date{}
		return nil
	}
	v, err := ParseDate(string(b))
	if err == nil {
		*d = v
	}
	return err
}

// Days returns the number of days from d to e: the nights of a stay from d to e. It is negative when e is earlier.
func (d Date) Days(e Date) int { return int((e.utc().Unix() - d.utc().Unix()) / (24 * 60 * 60)) }

// AddDays returns the day n days after d.
func (d Date) AddDays(n int) Date {
	return DateOf(time.Date(d.Year, d.Month, d.Day+n, 0, 0, 0, 0, time.UTC))
}

// In returns the instant of the time of day hhmm ("15:00") on d in the IANA zone ("Europe/Lisbon"), in UTC. A time that a change of
// clocks skips or repeats is taken as [Resolve] does. The error names what
// is wrong: the day, the zone, the time of day.
func (d Date) In(zone, hhmm string) (time.Time, error) {
	var errs []error
	if !d.Valid() {
		errs = append(errs, ErrDate)
	}
	var loc *time.Location
	if zone == "" || zone == "Local" {
		errs = append(errs, errors.New("driver: no time zone"))
	} else {
		var err error
		if loc, err = time.LoadLocation(zone); err != nil {
			errs = append(errs, errors.New("driver: unknown time zone"))
		}
	}
	t, err := time.Parse("15:04", hhmm)
	if err != nil {
		errs = append(errs, errors.New("driver: not a time of day"))
	}
	if len(errs) > 0 {
		return time.Time{}, errors.Join(errs...)
	}
	at, _ := Resolve(time.Date(d.Year, d.Month, d.Day, t.Hour(), t.Minute(), 0, 0, time.UTC), loc)
	return at, nil
}
