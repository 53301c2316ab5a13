package guesty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
)

// change is what is written to a range of days of one listing's calendar.
type change struct {
	Start     string      `json:"startDate"`
	End       string      `json:"endDate"`
	Status    string      `json:"status,omitempty"`
	Price     json.Number `json:"price,omitempty"`
	MinNights int         `json:"minNights,omitempty"`
	CTA       *bool       `json:"cta,omitempty"`
	CTD       *bool       `json:"ctd,omitempty"`
}

// maxRange is how many days one write may cover (documented: 730).
const maxRange = 730

// PushCalendar implements driver.CalendarPusher by PUT /availability-pricing/api/calendar/listings/{id}, one call for
// each run of days that are alike, one after the other: Guesty asks for no parallel writes to one listing. It takes
// Status (DayAvailable, DayBlocked) or Closed, Price, MinStay, ClosedToArrival and ClosedToDeparture. A price is
// compared with the currency of the listing's calendar first, because Guesty is told the number alone. Afterwards the
// days are read back: an answer of 200 does not prove that anything changed. Guesty has no idempotency key; the same
// call may be made again.
func (d *Driver) PushCalendar(ctx context.Context, _ driver.EffectKey, resourceID string,
	days []driver.Day) (driver.Effect, error) {
	effect := driver.Effect{ID: resourceID}
	last, err := latest(resourceID, days)
	if err != nil || len(last) == 0 {
		effect.Confirmed = err == nil
		return effect, err
	}
	changes := runs(last)
	if err := d.sameCurrency(ctx, resourceID, last); err != nil {
		return effect, err
	}
	for i, c := range changes {
		// The answer is the word ok, in a form that is not documented.
		_, err := driver.Send[*driver.Response](ctx, d.api, driver.Call{
			Op: "calendar.write", Method: http.MethodPut, Path: driver.Path(calendarPath+"{}", resourceID), Body: c,
		})
		if err == nil {
			continue
		}
		if notFound(err) {
			err = fmt.Errorf("%w: %w", driver.ErrNotFound, err)
		}
		if e, ok := errors.AsType[*retry.Error](err); i > 0 || ok && e.Sent == retry.Unknown {
			err = fmt.Errorf("%w: %d of %d ranges: %w", driver.ErrPartial, i, len(changes), err)
		}
		return effect, err
	}
	effect.Confirmed, err = d.shows(ctx, resourceID, last)
	if err != nil {
		return effect, fmt.Errorf("guesty: the calendar was written, and could not be read back: %w", err)
	}
	return effect, nil
}

// latest checks the days and returns them by date, the later one of two with the same date.
func latest(listing string, days []driver.Day) ([]driver.Day, error) {
	var errs []error
	byDate := map[driver.Date]driver.Day{}
	for i, day := range days {
		bad := func(format string, a ...any) {
			errs = append(errs, fmt.Errorf("guesty: day %d, %s: "+format, append([]any{i, day.Date}, a...)...))
		}
		if err := driver.Validate(day); err != nil {
			bad("%w", err)
		}
		if day.ResourceID != listing {
			bad("is of another listing")
		}
		for _, f := range []struct {
			name        string
			there, null bool
		}{
			{"UnitID", day.UnitID.Observed(), true}, {"RatePlanID", day.RatePlanID.Observed(), true},
			{"Available", day.Available.Observed(), true},
			{"MaxStay", day.MaxStay.Observed(), true}, {"Status", day.Status.IsNull(), false},
			{"Closed", day.Closed.IsNull(), false}, {"Price", day.Price.IsNull(), false},
			{"MinStay", day.MinStay.IsNull(), false}, {"ClosedToArrival", day.ClosedToArrival.IsNull(), false},
			{"ClosedToDeparture", day.ClosedToDeparture.IsNull(), false},
		} {
			switch {
			case f.there && f.null:
				bad("Guesty cannot be told %s", f.name)
			case f.there:
				bad("%s is null", f.name)
			}
		}
		s, ok := day.Status.Get()
		if ok && s != driver.DayAvailable && s != driver.DayBlocked {
			bad("Guesty cannot be told that a day is %s", s)
		}
		if c, both := day.Closed.Get(); ok && both && c != (s == driver.DayBlocked) {
			bad("Status and Closed contradict each other")
		}
		if n, ok := day.MinStay.Get(); ok && n < 1 {
			bad("MinStay is %d, want 1 or more", n)
		}
		if m, ok := day.Price.Get(); ok && m.Amount < 0 {
			bad("Price is negative")
		}
		byDate[day.Date] = day
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	sorted := make([]driver.Day, 0, len(byDate))
	for _, day := range byDate {
		sorted = append(sorted, day)
	}
	slices.SortFunc(sorted, func(a, b driver.Day) int { return b.Date.Days(a.Date) })
	return sorted, nil
}

// changeOf is what is written of one day.
func changeOf(day driver.Day) change {
	c := change{MinNights: day.MinStay.Or(0)}
	if shut, ok := shut(day); ok {
		c.Status = "available"
		if shut {
			c.Status = "unavailable"
		}
	}
	if m, ok := day.Price.Get(); ok {
		text, _, _ := strings.Cut(m.String(), " ")
		c.Price = json.Number(text)
	}
	if v, ok := day.ClosedToArrival.Get(); ok {
		c.CTA = &v
	}
	if v, ok := day.ClosedToDeparture.Get(); ok {
		c.CTD = &v
	}
	return c
}

// shut says whether the day is to be closed, and whether anything is said of it.
func shut(day driver.Day) (shut, said bool) {
	if s, ok := day.Status.Get(); ok {
		return s == driver.DayBlocked, true
	}
	return day.Closed.Get()
}

// runs puts days that follow each other and are alike into one change. Days that say nothing are left out.
func runs(days []driver.Day) []change {
	var all []change
	var last driver.Date
	same := func(a, b change) bool {
		eq := func(p, q *bool) bool { return p == q || p != nil && q != nil && *p == *q }
		return a.Status == b.Status && a.Price == b.Price && a.MinNights == b.MinNights && eq(a.CTA, b.CTA) &&
			eq(a.CTD, b.CTD)
	}
	length := 0
	for _, day := range days {
		c := changeOf(day)
		if same(c, change{}) {
			continue
		}
		if n := len(all); n > 0 && last.Days(day.Date) == 1 && same(all[n-1], c) && length < maxRange {
			all[n-1].End = day.Date.String()
			length++
		} else {
			c.Start, c.End = day.Date.String(), day.Date.String()
			all = append(all, c)
			length = 1
		}
		last = day.Date
	}
	return all
}

var errCurrency = errors.New("guesty: a price is in another currency than the listing's calendar")

// sameCurrency refuses prices in another currency than the calendar's.
func (d *Driver) sameCurrency(ctx context.Context, listing string, days []driver.Day) error {
	i := slices.IndexFunc(days, func(day driver.Day) bool { _, ok := day.Price.Get(); return ok })
	if i < 0 {
		return nil
	}
	b, err := d.days(ctx, listing, days[i].Date, days[i].Date)
	if notFound(err) {
		err = fmt.Errorf("%w: %w", driver.ErrNotFound, err)
	}
	if err != nil {
		return err
	}
	if len(b.Items) == 0 {
		return errors.New("guesty: the listing's calendar does not show the day, so its currency is not known")
	}
	theirs, ok := b.Items[0].Price.Get()
	if !ok {
		return errors.New("guesty: the listing's calendar has no price, so its currency is not known")
	}
	for _, day := range days {
		if m, ok := day.Price.Get(); ok && m.Currency != theirs.Currency {
			return errCurrency
		}
	}
	return nil
}

// shows reports whether the calendar is as it was written.
func (d *Driver) shows(ctx context.Context, listing string, days []driver.Day) (bool, error) {
	is := map[driver.Date]driver.Day{}
	for page, err := range d.Calendar(ctx, listing, days[0].Date, days[len(days)-1].Date) {
		if err != nil {
			return false, err
		}
		for _, day := range page.Items {
			is[day.Date] = day
		}
	}
	return !slices.ContainsFunc(days, func(want driver.Day) bool {
		got := is[want.Date]
		if shut, said := shut(want); said && got.Closed != driver.Some(shut) {
			return true
		}
		return differs(want.Price, got.Price) || differs(want.MinStay, got.MinStay) ||
			differs(want.ClosedToArrival, got.ClosedToArrival) ||
			differs(want.ClosedToDeparture, got.ClosedToDeparture)
	}), nil
}

func differs[T comparable](want, got driver.Opt[T]) bool { return want.Observed() && want != got }

// pushed are the states that Guesty can be told (documented: the reference of PUT /reservations-v3/{id}/status).
var pushed = map[driver.TransactionStatus]string{
	driver.StatusInquiry:   "inquiry",
	driver.StatusPending:   "reserved",
	driver.StatusConfirmed: "confirmed",
	driver.StatusCanceled:  "canceled",
	driver.StatusDeclined:  "declined",
	driver.StatusExpired:   "expired",
	driver.StatusClosed:    "closed",
}

// statusAnswer is what comes back.
type statusAnswer struct {
	Status string `json:"status" wire:"required"`
}

// PushStatus implements driver.StatusPusher by PUT /reservations-v3/{id}/status, in both families: the ids are the
// same (unverified). Bookings of sales channels have to be canceled there, but for Vrbo's (documented). The answer
// shows the new status; one that shows another, or is lost, is followed by a look at the reservation. A status that
// Guesty cannot be told is refused before anything is sent.
func (d *Driver) PushStatus(ctx context.Context, _ driver.EffectKey, transactionID string,
	s driver.TransactionStatus) (driver.Effect, error) {
	effect := driver.Effect{ID: transactionID}
	word, ok := pushed[s]
	if !ok || transactionID == "" {
		return effect, fmt.Errorf("guesty: a reservation cannot be set to %q, or has no id", s)
	}
	// Made again by itself, it would undo what somebody else set meanwhile.
	answer, err := driver.Send[statusAnswer](retry.WithIdempotent(ctx, false), d.api, driver.Call{
		Op: "reservations-v3.status", Method: http.MethodPut, Path: driver.Path("/reservations-v3/{}/status",
			transactionID), Body: statusAnswer{word},
	})
	e, failed := errors.AsType[*retry.Error](err)
	lost := failed && e.Sent == retry.Unknown && ctx.Err() == nil
	switch {
	case notFound(err):
		return effect, fmt.Errorf("%w: %w", driver.ErrNotFound, err)
	case err != nil && !lost && !errors.Is(err, driver.ErrUndecodable): // what cannot be read was taken
		return effect, err
	case err == nil && strings.EqualFold(answer.Status, word):
		effect.Confirmed = true
		return effect, nil
	}
	for page, err := range d.TransactionsByID(ctx, []string{transactionID}) {
		if err != nil && lost {
			return effect, e
		}
		if err != nil {
			return effect, fmt.Errorf("guesty: the status was written, and could not be read back: %w", err)
		}
		for _, t := range page.Items {
			effect.Confirmed = strings.EqualFold(t.StatusText.Or(""), word)
		}
	}
	if lost && !effect.Confirmed {
		return effect, e
	}
	return effect, nil
}
