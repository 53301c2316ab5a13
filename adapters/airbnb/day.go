package airbnb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/pagination"
)

// Calendar implements driver.CalendarLister by GET calendars/{listing}/{start}/{end}, half a year at a time.
func (d *Driver) Calendar(ctx context.Context, resourceID string, from, to driver.Date) pagination.Pages[driver.Day] {
	s := pagination.Start{Stream: "airbnb/calendar/1"}
	if !from.Valid() || !to.Valid() || from.Days(to) < 0 {
		return pagination.Fail[driver.Day](pagination.Beginning, d.refused("calendars.get",
			errors.New("from and to are not days in order")))
	}
	return pagination.Token(ctx, s, func(ctx context.Context, token string) (pagination.Batch[driver.Day], error) {
		start := from
		if token != "" {
			var err error
			if start, err = driver.ParseDate(token); err != nil {
				return pagination.Batch[driver.Day]{}, pagination.ErrCursor
			}
		}
		end := start.AddDays(calendar - 1)
		if end.Days(to) < 0 {
			end = to
		}
		r, err := driver.Get[one](ctx, d.api, "calendars.get", driver.Path("/calendars/{}/{}/{}", resourceID,
			start.String(), end.String()), nil)
		if err != nil {
			return pagination.Batch[driver.Day]{}, err
		}
		o := wire.Fields(r.raw)
		var days []json.RawMessage
		if o.Type("days") != '[' || json.Unmarshal(o.Raw("days"), &days) != nil {
			return pagination.Batch[driver.Day]{}, d.undecodable("calendars.get",
				errors.New("the calendar has no days"))
		}
		b := d.adapt.day(resourceID, o.Currency("listing_currency")).Each(ctx, d.api, days)
		got := len(b.Items)
		// What the partner shows beyond what was asked for is somebody else's question.
		b.Items = slices.DeleteFunc(b.Items, func(day driver.Day) bool {
			return start.Days(day.Date) < 0 ||
				day.Date.Days(end) < 0
		})
		if got > 0 && len(b.Items) == 0 {
			return pagination.Batch[driver.Day]{}, d.undecodable("calendars.get",
				fmt.Errorf("%w: no day is one that was asked for", pagination.ErrLoop))
		}
		b.Rows = max(len(days), 1)
		if end.Days(to) > 0 {
			b.Next = end.AddDays(1).String()
		}
		return b, nil
	})
}

var errNoDate = errors.New("date: missing")

// day is version 1 for the days of a calendar. Why a day is unavailable is in availability_type and
// availability_sub_type, whose words are not established, so that a night that is sold cannot be told from one that
// is closed.
func day(o wire.Object, listing string, currency driver.Opt[string]) (driver.Day, error) {
	date, ok := o.Date("date").Get()
	if !ok {
		return driver.Day{}, errNoDate
	}
	rec := o.Record(v1)
	d := driver.Day{
		ResourceID: listing, Date: date, StatusText: o.Word("availability"), Price: o.Money("daily_price", currency),
		MinStay: o.Count("min_nights"), MaxStay: o.Count("max_nights"),
		ClosedToArrival: o.Flag("closed_to_arrival"), ClosedToDeparture: o.Flag("closed_to_departure"), Raw: rec.Raw,
		AdapterVersion: v1,
	}
	d.Status = wire.Enum(o, "availability", map[string]driver.DayStatus{
		"available": driver.DayAvailable, "unavailable": driver.DayOther, "default": driver.DayOther,
	}, driver.DayOther)
	switch d.StatusText.Or("") {
	case "available":
		d.Closed = driver.Some(false)
	case "unavailable":
		d.Closed = driver.Some(true)
	}
	return d, nil
}

// operation is one of a batch write, of days that are told the same.
type operation struct {
	Dates             []string `json:"dates"`
	Availability      string   `json:"availability,omitempty"`
	AvailableCount    *int     `json:"available_count,omitempty"`
	DailyPrice        *int64   `json:"daily_price,omitempty"`
	MinNights         *int     `json:"min_nights,omitempty"`
	MaxNights         *int     `json:"max_nights,omitempty"`
	ClosedToArrival   *bool    `json:"closed_to_arrival,omitempty"`
	ClosedToDeparture *bool    `json:"closed_to_departure,omitempty"`
}

// PushCalendar implements driver.CalendarPusher by POST calendar_operations: one call for all days. Closed writes
// "unavailable", and its opposite "default", which obeys the listing's availability rules; so do the states blocked
// and available. Prices are whole units of the listing's currency. Units, rate plans and null cannot be written.
func (d *Driver) PushCalendar(ctx context.Context, _ driver.EffectKey, resourceID string,
	days []driver.Day) (driver.Effect, error) {
	ops, err := operations(resourceID, days)
	if err != nil {
		return driver.Effect{}, d.refused(calendarOp, err)
	}
	if len(ops) == 0 {
		return driver.Effect{ID: resourceID, Confirmed: true}, nil
	}
	r, err := driver.Send[*driver.Response](ctx, d.api, driver.Call{
		Op: calendarOp, Method: http.MethodPost, Path: "/calendar_operations",
		Query: url.Values{"_allow_dates_overlap": {"true"}},
		Body:  map[string]any{"listing_id": json.Number(resourceID), "operations": ops},
	})
	if err != nil {
		return driver.Effect{}, err
	}
	answer := wire.Fields(r.Body)
	return driver.Effect{ID: resourceID, Confirmed: answer.Type("calendar_operation") == '{' ||
		answer.Flag("success").Or(false)}, nil
}

// operations turns days into operations: the last of several of one date, in the order of dates, runs of equal ones
// as a range.
func operations(resourceID string, days []driver.Day) ([]operation, error) {
	var errs []error
	if !isID(resourceID) {
		errs = append(errs, errors.New("the resource's id is not a listing's, in digits"))
	}
	last := map[driver.Date]driver.Day{}
	for _, day := range days {
		if err := refuse(resourceID, day); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", day.Date, err))
			continue
		}
		last[day.Date] = day
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	dates := make([]driver.Date, 0, len(last))
	for date := range last {
		dates = append(dates, date)
	}
	slices.SortFunc(dates, func(a, b driver.Date) int { return b.Days(a) })
	var ops []operation
	var from driver.Date
	var told string
	for i, date := range dates {
		next := write(last[date])
		text, err := json.Marshal(next)
		if err != nil {
			return nil, err
		}
		if i > 0 && string(text) == told && dates[i-1].Days(date) == 1 {
			ops[len(ops)-1].Dates = []string{from.String() + ":" + date.String()}
			continue
		}
		from, told = date, string(text)
		next.Dates = []string{date.String()}
		ops = append(ops, next)
	}
	return ops, nil
}

// refuse names what of a day cannot be written.
func refuse(resourceID string, d driver.Day) error {
	var errs []error
	if err := driver.Validate(d); err != nil {
		errs = append(errs, err)
	}
	if d.ResourceID != resourceID {
		errs = append(errs, errors.New("it is of another resource"))
	}
	if d.UnitID.Observed() || d.RatePlanID.Observed() {
		errs = append(errs, errors.New("a listing has no units and no rate plans"))
	}
	for name, null := range map[string]bool{
		"status": d.Status.IsNull(), "available": d.Available.IsNull(), "price": d.Price.IsNull(),
		"min_stay": d.MinStay.IsNull(),
		"max_stay": d.MaxStay.IsNull(), "closed": d.Closed.IsNull(), "closed_to_arrival": d.ClosedToArrival.IsNull(),
		"closed_to_departure": d.ClosedToDeparture.IsNull(),
	} {
		if null {
			errs = append(errs, fmt.Errorf("null cannot be written to %s", name))
		}
	}
	if s, ok := d.Status.Get(); ok && s != driver.DayAvailable && s != driver.DayBlocked {
		errs = append(errs, fmt.Errorf("status %q cannot be written", s))
	}
	if s, ok := d.Status.Get(); ok && d.Closed.Observed() && (s == driver.DayBlocked) != d.Closed.Or(false) {
		errs = append(errs, errors.New("status and closed contradict each other"))
	}
	if m, ok := d.Price.Get(); ok {
		if _, err := whole(m); err != nil {
			errs = append(errs, err)
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// whole returns an amount in whole units of its currency.
func whole(m driver.Money) (int64, error) {
	digits, ok := driver.MinorDigits(m.Currency)
	if !ok {
		return 0, driver.ErrCurrency
	}
	unit := int64(1)
	for range digits {
		unit *= 10
	}
	if m.Amount <= 0 || m.Amount%unit != 0 {
		return 0, errors.New("a price is a positive number of whole units of its currency")
	}
	return m.Amount / unit, nil
}

// write is what a day that was not refused is told.
func write(d driver.Day) operation {
	var op operation
	pointer := func(o driver.Opt[int]) *int {
		if v, ok := o.Get(); ok {
			return &v
		}
		return nil
	}
	flag := func(o driver.Opt[bool]) *bool {
		if v, ok := o.Get(); ok {
			return &v
		}
		return nil
	}
	closed, hasClosed := d.Closed.Get()
	if s, ok := d.Status.Get(); ok {
		closed, hasClosed = s == driver.DayBlocked, true
	}
	switch {
	case hasClosed && closed:
		op.Availability = "unavailable"
	case hasClosed:
		op.Availability = "default"
	}
	op.AvailableCount, op.MinNights, op.MaxNights = pointer(d.Available), pointer(d.MinStay), pointer(d.MaxStay)
	op.ClosedToArrival, op.ClosedToDeparture = flag(d.ClosedToArrival), flag(d.ClosedToDeparture)
	if m, ok := d.Price.Get(); ok {
		if n, err := whole(m); err == nil {
			op.DailyPrice = &n
		}
	}
	return op
}
