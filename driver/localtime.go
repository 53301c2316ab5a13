package driver

import "time"

// Ambiguity says why a local time is not one instant: "" when it is.
type Ambiguity string

// The ambiguities of local times.
const (
	Unambiguous Ambiguity = ""
	Repeated    Ambiguity = "a change of clocks repeats" // an hour in autumn
	Skipped     Ambiguity = "a change of clocks skips"   // an hour in spring
)

// Resolve returns the instant at which clocks in loc show wall's date and time of day, wall's own location aside. Of a time that a change of
// clocks repeats it is the earlier one; a time that a change skips is taken as if the clocks had not been changed yet, so that they show it later by the
// length of the gap. Both are as in iCalendar (RFC 5545 section 3.3.5); time.Date does not guarantee which it takes.
func Resolve(wall time.Time, loc *time.Location) (time.Time, Ambiguity) {
	at := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), time.UTC)
	shows := func(t time.Time) bool {
		_, offset := t.In(loc).Zone()
		return t.Add(time.Duration(offset) * time.Second).Equal(at)
	}
	// The offsets that are in force a day before and a day after: clocks are not changed twice in two days.
	_, before := at.Add(-24 * time.Hour).In(loc).Zone()
	_, after := at.Add(24 * time.Hour).In(loc).Zone()
	early, late := at.Add(-time.Duration(before)*time.Second), at.Add(-time.Duration(after)*time.Second)
	switch a, b := shows(early), shows(late); {
	case a && b && before != after:
		return early.UTC(), Repeated
	case a:
		return early.UTC(), Unambiguous
	case b:
		return late.UTC(), Unambiguous
	case before != after:
		return early.UTC(), Skipped
	}
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), loc).UTC(), Unambiguous // changed twice
}
