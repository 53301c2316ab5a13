package bookingcom

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
)

// availability is a request of B.XML availability: one property (documented: one a request).
type availability struct {
	XMLName xml.Name  `xml:"request"`
	Hotel   string    `xml:"hotel_id,omitempty"`
	Rooms   []roomXML `xml:"room"`
}

type roomXML struct {
	ID    string    `xml:"id,attr"`
	Dates []dateXML `xml:"date"`
}

// dateXML is one night. Whether the end of a range is included is not settled by public pages, so there are none.
type dateXML struct {
	Value       string   `xml:"value,attr"`
	RoomsToSell *int     `xml:"roomstosell,omitempty"` // documented: without a rate
	Currency    string   `xml:"currencycode,omitempty"`
	Rate        *rateXML `xml:"rate,omitempty"`
	Price       string   `xml:"price,omitempty"`
	Closed      *int     `xml:"closed,omitempty"`
	MinStay     *int     `xml:"minimumstay_arrival,omitempty"`
	MaxStay     *int     `xml:"maximumstay_arrival,omitempty"`
	NoArrival   *int     `xml:"closedonarrival,omitempty"`
	NoDeparture *int     `xml:"closedondeparture,omitempty"`
}

type rateXML struct {
	ID string `xml:"id,attr"`
}

// longest is the most nights that a bound of a stay can have, as seen in a client.
const longest = 31

// PushCalendar implements driver.CalendarPusher by B.XML availability 1.1, a month of a property at a time. resourceID
// is a property, with the room type in each Day's UnitID, or a room type. Available is of the room type; Price, the
// bounds of the stay and what is closed are of the rate plan that RatePlanID names (Price is that of full occupancy).
// Booking.com must be the channel manager's to be told: a Day's Status, and closing a room type without a rate plan,
// have no form here; sell 0 instead.
//
// Partly applied is answered with status 200 and errors, which name no night: read the calendar back, or push it again.
func (d *Driver) PushCalendar(ctx context.Context, _ driver.EffectKey, resourceID string,
	days []driver.Day) (driver.Effect, error) {
	months, err := d.months(resourceID, days)
	if err != nil {
		return driver.Effect{}, &retry.Error{
			Verdict: retry.Verdict{Class: retry.Client, Sent: retry.Never}, Partner: Partner, Op: pushOp,
			Integration: d.integration, Err: err,
		}
	}
	effect := driver.Effect{ID: resourceID, Confirmed: true}
	for i, q := range months {
		applied, err := d.push(ctx, q)
		if err != nil {
			if i > 0 && !errors.Is(err, driver.ErrPartial) {
				err = partly(err)
			}
			return driver.Effect{ID: resourceID}, err
		}
		effect.Confirmed = effect.Confirmed && applied
	}
	return effect, nil
}

const pushOp = "availability.push"

// partly says of an error that a part was written.
func partly(err error) error {
	e, ok := errors.AsType[*retry.Error](err)
	if !ok {
		return fmt.Errorf("%w: %w", driver.ErrPartial, err)
	}
	part := *e
	if part.Err = driver.ErrPartial; e.Err != nil {
		part.Err = fmt.Errorf("%w: %w", driver.ErrPartial, e.Err)
	}
	return &part
}

// push sends one request, and reports whether the partner said that all of it was applied.
func (d *Driver) push(ctx context.Context, q availability) (bool, error) {
	// States are written, not increments: the same request may be sent again.
	r, err := driver.Send[*driver.Response](retry.WithIdempotent(ctx, true), d.api, driver.Call{
		Op: pushOp, Method: http.MethodPost, Path: "/hotels/xml/availability", Body: driver.XML{Value: q},
		Header: http.Header{"Accept-Version": {"1.1"}},
	})
	if e, ok := errors.AsType[*retry.Error](err); ok && e.Status == http.StatusOK {
		return false, partly(err) // documented: at least one update was applied, others failed
	}
	if err != nil {
		return false, err
	}
	doc, err := utf8Document(r.Body)
	if err != nil {
		return false, d.failed(pushOp, r, undecodable, err)
	}
	root, err := parseXML(doc)
	switch {
	case err != nil:
		return false, d.failed(pushOp, r, undecodable, err)
	case root.child("errors") != nil:
		return false, partly(d.failed(pushOp, r, verdictOf(root.child("errors", "error", "code").value()),
			errors.New("errors with status 200")))
	case root.name == "ok":
		return root.child("warnings") == nil, nil
	case root.child("warnings") != nil: // the name of this root is not known for certain
		return false, nil
	}
	return false, d.failed(pushOp, r, undecodable, errors.New("neither ok nor errors"))
}

// months makes the requests of a push, or an error that names everything that is wrong with it.
func (d *Driver) months(resourceID string, days []driver.Day) ([]availability, error) {
	hotel := ""
	if slices.Contains(d.config.Properties, resourceID) {
		hotel = resourceID
	}
	var errs []error
	if !digits(resourceID) {
		errs = append(errs, errors.New("bookingcom: the resource is neither a property nor a room type: its id "+
			"is not made of digits"))
	}
	if len(days) == 0 {
		errs = append(errs, errors.New("bookingcom: there are no days"))
	}
	last := map[driver.DayKey]driver.Day{}
	for i, day := range days {
		if hotel == "" && !day.UnitID.Observed() {
			day.UnitID = driver.Some(resourceID)
		}
		if err := pushable(resourceID, hotel, day); err != nil {
			errs = append(errs, fmt.Errorf("bookingcom: day %d: %w", i, err))
			continue
		}
		last[day.Key()] = day
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	keys := slices.SortedFunc(maps.Keys(last), func(a, b driver.DayKey) int {
		return cmp.Or(cmp.Compare(a.Date.String()[:7], b.Date.String()[:7]), cmp.Compare(a.UnitID, b.UnitID),
			cmp.Compare(a.Date.String(), b.Date.String()),
			cmp.Compare(a.RatePlanID, b.RatePlanID))
	})
	var out []availability
	month := ""
	for _, k := range keys {
		if m := k.Date.String()[:7]; m != month {
			month = m
			out = append(out, availability{Hotel: hotel})
		}
		q := &out[len(out)-1]
		if n := len(q.Rooms); n == 0 || q.Rooms[n-1].ID != k.UnitID {
			q.Rooms = append(q.Rooms, roomXML{ID: k.UnitID})
		}
		room := &q.Rooms[len(q.Rooms)-1]
		room.Dates = append(room.Dates, datesOf(last[k])...)
	}
	return out, nil
}

// pushable says what of a day cannot be told.
func pushable(resourceID, hotel string, day driver.Day) error {
	errs := []error{driver.Validate(day)}
	bad := func(wrong bool, text string) {
		if wrong {
			errs = append(errs, errors.New(text))
		}
	}
	bad(day.ResourceID != resourceID, "resource_id: of another resource")
	unit, _ := day.UnitID.Get()
	bad(!digits(unit), "unit_id: the room type is missing, or its id is not made of digits")
	bad(hotel == "" && unit != resourceID, "unit_id: another room type than the resource")
	rate, rated := day.RatePlanID.Get()
	bad(rated && !digits(rate), "rate_plan_id: not made of digits")
	ofRate := day.Price.Observed() || day.MinStay.Observed() || day.MaxStay.Observed() || day.Closed.Observed() ||
		day.ClosedToArrival.Observed() ||
		day.ClosedToDeparture.Observed()
	bad(ofRate && !rated, "rate_plan_id: missing, and prices and restrictions belong to one")
	bad(!ofRate && !day.Available.Observed(), "there is nothing to be told")
	bad(day.Status.Observed() || day.StatusText.Observed(), "status: cannot be told")
	bad(day.Available.IsNull() || day.Price.IsNull() || day.MinStay.IsNull() || day.MaxStay.IsNull() ||
		day.Closed.IsNull() || day.ClosedToArrival.IsNull() ||
		day.ClosedToDeparture.IsNull() || day.RatePlanID.IsNull(), "a field is null: there is no word for that")
	bad(day.MinStay.Or(0) > longest || day.MaxStay.Or(0) > longest, "min_stay, max_stay: more than 31 nights")
	bad(day.Price.Or(driver.Money{}).Amount < 0, "price: negative")
	return errors.Join(errs...)
}

// datesOf returns what is told of the room type, and what of the rate plan: they stand apart (documented).
func datesOf(day driver.Day) []dateXML {
	var out []dateXML
	value := day.Date.String()
	if n, ok := day.Available.Get(); ok {
		out = append(out, dateXML{Value: value, RoomsToSell: &n})
	}
	rate, ok := day.RatePlanID.Get()
	if !ok {
		return out
	}
	x := dateXML{Value: value, Rate: &rateXML{rate}}
	if m, ok := day.Price.Get(); ok {
		text := m.String()
		x.Price, x.Currency, _ = strings.Cut(text, " ")
	}
	flag := func(o driver.Opt[bool]) *int {
		v, ok := o.Get()
		if !ok {
			return nil
		}
		n := 0
		if v {
			n = 1
		}
		return &n
	}
	number := func(o driver.Opt[int]) *int {
		v, ok := o.Get()
		if !ok {
			return nil
		}
		return &v
	}
	x.Closed, x.NoArrival, x.NoDeparture = flag(day.Closed), flag(day.ClosedToArrival), flag(day.ClosedToDeparture)
	x.MinStay, x.MaxStay = number(day.MinStay), number(day.MaxStay)
	if x == (dateXML{Value: value, Rate: x.Rate}) {
		return out
	}
	return append(out, x)
}
