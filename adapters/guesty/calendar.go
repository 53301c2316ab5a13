package guesty

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// Calendar is one of the two calendars that Guesty has.
type Calendar string

// The calendars.
const (
	// Minified is the current one, since 2025. It has no state for a day but the reasons why it is blocked, and no
	// number of units.
	Minified Calendar = "minified"
	// Full is GET /availability-pricing/api/calendar/listings/{id}, which Minified supersedes: with a state for each
	// day, and with how many units of a multi-unit listing are left.
	Full Calendar = "full"
)

const (
	calendarPath = "/availability-pricing/api/calendar/listings/"
	opCalendar   = "calendar.read"
	// calendarDays is how many days are asked for at once: no bound is documented for reading, and clients ask for 12
	// to 24 months.
	calendarDays = 366
)

// Calendar implements driver.CalendarLister, in the integration's [Calendar], a year a call. A listing that is not
// there is an error that wraps driver.ErrNotFound.
func (d *Driver) Calendar(ctx context.Context, resourceID string, from, to driver.Date) pagination.Pages[driver.Day] {
	if !from.Valid() || !to.Valid() {
		return pagination.Fail[driver.Day]("", fmt.Errorf("guesty: calendar: %w", driver.ErrDate))
	}
	s := pagination.Start{Stream: "guesty/calendar/1/" + resourceID}
	return pagination.Token(ctx, s, func(ctx context.Context, token string) (pagination.Batch[driver.Day], error) {
		first := from
		if token != "" {
			var err error
			if first, err = driver.ParseDate(token); err != nil {
				return pagination.Batch[driver.Day]{}, err
			}
		}
		if first.Days(to) < 0 {
			return pagination.Batch[driver.Day]{}, nil
		}
		last := first.AddDays(calendarDays - 1)
		if last.Days(to) < 0 {
			last = to
		}
		b, err := d.days(ctx, resourceID, first, last)
		if next := last.AddDays(1); err == nil && next.Days(to) >= 0 {
			b.Next = next.String()
		}
		return b, err
	})
}

// classicCalendar is the envelope of [Full], minifiedCalendar that of [Minified].
type (
	classicCalendar struct {
		Data *struct {
			Days []json.RawMessage `json:"days" wire:"required"`
		} `json:"data" wire:"required"`
	}
	minifiedCalendar struct {
		Days *struct {
			Currency json.RawMessage   `json:"currency"`
			Calendar []json.RawMessage `json:"calendar" wire:"required"`
		} `json:"days" wire:"required"`
	}
)

// days reads the calendar from first to last.
func (d *Driver) days(ctx context.Context, listing string, first, last driver.Date) (pagination.Batch[driver.Day],
	error) {
	query := url.Values{"startDate": {first.String()}, "endDate": {last.String()}}
	var b pagination.Batch[driver.Day]
	var err error
	if d.calendar == Full {
		query.Set("includeAllotment", "true")
		var env classicCalendar
		if env, err = driver.Get[classicCalendar](ctx, d.api, opCalendar, driver.Path(calendarPath+"{}", listing),
			query); err == nil {
			b = d.adapt.day(listing).Each(ctx, d.api, env.Data.Days)
		}
	} else {
		query.Set("view", "compact")
		var env minifiedCalendar
		if env, err = driver.Get[minifiedCalendar](ctx, d.api, opCalendar, driver.Path(calendarPath+"minified/{}",
			listing), query); err == nil {
			b = d.adapt.blocks(listing, currencyCode(env.Days.Currency)).Each(ctx, d.api, env.Days.Calendar)
		}
	}
	if err != nil {
		return b, err
	}
	sent := len(b.Items)
	b.Items = slices.DeleteFunc(b.Items, func(day driver.Day) bool {
		return first.Days(day.Date) < 0 ||
			day.Date.Days(last) < 0
	})
	if sent > 0 && len(b.Items) == 0 {
		// A server that ignores the dates would send the same days for ever.
		return b, &retry.Error{
			Verdict: retry.Verdict{Class: retry.Data, Sent: retry.Answered, Fault: true}, Partner: Partner,
			Op:  opCalendar,
			Err: fmt.Errorf("%w: %w: no day is one that was asked for", driver.ErrUndecodable, pagination.ErrLoop),
		}
	}
	return b, nil
}

// currencyCode is the calendar's currency; "" if it cannot be read, and then there are no prices.
func currencyCode(raw json.RawMessage) string {
	s, _ := wire.Scalar(raw)
	if s = strings.ToUpper(strings.TrimSpace(s)); s == "" {
		return ""
	}
	if _, ok := driver.MinorDigits(s); !ok {
		return ""
	}
	return s
}

var dayStates = map[string]driver.DayStatus{
	"available":   driver.DayAvailable,
	"unavailable": driver.DayBlocked,
	"booked":      driver.DayBooked,
	"reserved":    driver.DayReserved,
}

// blockCodes say why a day is not for sale (documented: calendar-block-types).
var blockCodes = map[string]driver.DayStatus{
	"b":   driver.DayBooked,
	"a":   driver.DayBooked, // the allotment is used up
	"r":   driver.DayReserved,
	"m":   driver.DayBlocked, // by hand
	"o":   driver.DayBlocked, // owner
	"bd":  driver.DayBlocked, // by default
	"sr":  driver.DayBlocked, // smart rule
	"abl": driver.DayBlocked, // annual booking limit
	"bw":  driver.DayBlocked, // outside of the booking window
	"pt":  driver.DayBlocked, // preparation time
	"ic":  driver.DayBlocked, // iCal import
	"an":  driver.DayBlocked, // advance notice
}

// day is version 1 for the days of both calendars, less their state.
func day(o wire.Object, listing string, currency driver.Opt[string]) (driver.Day, error) {
	rec := o.Record(v1)
	d := driver.Day{
		ResourceID: listing, MinStay: o.Count("minNights"), Price: o.Money("price", currency),
		ClosedToArrival: o.Flag("cta"), ClosedToDeparture: o.Flag("ctd"), Raw: rec.Raw,
		AdapterVersion: rec.AdapterVersion,
	}
	d.Date, _ = o.Date("date").Get()
	return d, o.Lost("date")
}

// fullDay is version 1 for the days of [Full]. A day of a multi-unit listing is free while units are left, whatever
// its state says; only where there is no allotment does the state count.
func fullDay(o wire.Object, listing string) (driver.Day, error) {
	d, err := day(o, listing, o.Currency("currency"))
	if err != nil {
		return d, err
	}
	o.Require("status")
	d.StatusText = o.Word("status")
	d.Status = wire.Enum(o, "status", dayStates, driver.DayOther)
	d.Available = o.Count("allotment")
	if left, ok := d.Available.Get(); ok && left > 0 {
		d.Status = driver.Some(driver.DayAvailable)
	} else if ok && d.Status == driver.Some(driver.DayAvailable) {
		d.Status = driver.Some(driver.DayBooked)
	}
	return closed(d), nil
}

// blockedDay is version 1 for the days of [Minified], whose state is what blocks them. Where several things do, a
// booking comes before a hold before a block.
func blockedDay(o wire.Object, listing, currency string) (driver.Day, error) {
	c := driver.Opt[string]{}
	if currency != "" {
		c = driver.Some(currency)
	}
	d, err := day(o, listing, c)
	if err != nil {
		return d, err
	}
	o.Require("blocks")
	blocks, ok := o.Object("blocks").Get()
	if !ok {
		return d, nil // not observed, or null: nobody says that the day is free
	}
	d.Status = driver.Some(driver.DayAvailable)
	var codes []string
	rank := map[driver.DayStatus]int{driver.DayAvailable: 0, driver.DayBlocked: 1, driver.DayReserved: 2,
		driver.DayBooked: 3}
	for _, code := range blocks.Names() {
		if !blocks.Flag(code).Or(false) {
			continue
		}
		codes = append(codes, code)
		state, known := blockCodes[strings.ToLower(code)]
		if !known {
			o.Odd("blocks.*", driver.ChangeValue, "a code that is not known")
			state = driver.DayBlocked
		}
		if rank[state] > rank[d.Status.Or("")] {
			d.Status = driver.Some(state)
		}
	}
	if len(codes) > 0 {
		d.StatusText = driver.Some(strings.Join(codes, " "))
	}
	return closed(d), nil
}

// closed says whether a day whose state is known is for sale.
func closed(d driver.Day) driver.Day {
	if s, ok := d.Status.Get(); ok {
		d.Closed = driver.Some(s != driver.DayAvailable)
	}
	return d
}
