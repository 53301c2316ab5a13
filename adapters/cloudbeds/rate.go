package cloudbeds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/pagination"
)

const (
	opRatePlans = "getRatePlans"
	opRoomTypes = "getRoomTypes"

	roomTypesPage = 20 // the default, as for properties
	// calendarDays is how many nights are asked for at once. No bound is documented; large answers time out (seen).
	calendarDays = 31
)

var (
	errRange  = errors.New("the range of dates is none, or ends before it begins")
	errDigits = errors.New("not an id of digits")
)

// RoomTypes lists the room types of the properties by GET getRoomTypes, as resources whose parent is the property. They
// are the units of a property's calendar; [Driver.Resources] does not list them, since reservations are the property's.
func (d *Driver) RoomTypes(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	s := pagination.Start{Stream: "cloudbeds/roomtypes/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	property, ok := d.within(q.ResourceID)
	if !ok {
		return pagination.Of[driver.Resource]()
	}
	query := url.Values{}
	if property != "" {
		query.Set("propertyIDs", property)
		s.Stream += "/" + property
	}
	keep := func(raw json.RawMessage) bool { return of(raw, property) }
	return list(ctx, d, pagination.Number, s, opRoomTypes, "roomTypeID", roomTypesPage, query, keep, d.adapt.roomType)
}

// within returns the one property to read; false when that is not the integration's.
func (d *Driver) within(resource string) (property string, ok bool) {
	if resource == "" {
		return d.property, true
	}
	return resource, d.property == "" || d.property == resource
}

// Calendar implements driver.CalendarLister by GET getRatePlans with detailed rates, 31 nights at a time: a day for
// each rate of each room type, whose RatePlanID is the id of the rate, as [Driver.PushCalendar] takes it, and whose
// UnitID is the room type's. Only active plans come (seen). Prices come without a currency (documented by absence), so
// the property is read first.
func (d *Driver) Calendar(ctx context.Context, resourceID string, from, to driver.Date) pagination.Pages[driver.Day] {
	s := pagination.Start{Stream: "cloudbeds/rates/1/" + resourceID + "/" + from.String() + "/" + to.String()}
	var currency driver.Opt[string]
	return pagination.Token(ctx, s, func(ctx context.Context, token string) (pagination.Batch[driver.Day], error) {
		begin := from
		if token != "" {
			if err := begin.UnmarshalText([]byte(token)); err != nil {
				return pagination.Batch[driver.Day]{}, err
			}
		}
		property, ok := d.within(resourceID)
		if property == "" || !ok {
			return pagination.Batch[driver.Day]{}, d.failed(opRatePlans, nil, driver.ErrNotFound)
		}
		if !begin.Valid() || !to.Valid() || begin.Days(to) < 0 {
			return pagination.Batch[driver.Day]{}, d.unsent(opRatePlans, errRange)
		}
		if !currency.Observed() {
			var err error
			if currency, err = d.currency(ctx, property); err != nil {
				return pagination.Batch[driver.Day]{}, err
			}
		}
		end, next := to, ""
		if begin.Days(to) >= calendarDays {
			end = begin.AddDays(calendarDays - 1)
			next = end.AddDays(1).String()
		}
		b, err := d.days(ctx, property, currency, begin, end)
		b.Next = next
		return b, err
	})
}

// currency reads a property's currency: null if it has none.
func (d *Driver) currency(ctx context.Context, property string) (driver.Opt[string], error) {
	raw, r, err := d.hotel(ctx, property)
	if unknown(err) || err == nil && wire.ID(raw, "propertyID") != property {
		err = d.failed(opDetails, r, driver.ErrNotFound)
	}
	if err != nil {
		return driver.Opt[string]{}, err
	}
	if c, ok := currencyOf(wire.Fields(raw)).Get(); ok {
		return driver.Some(c), nil
	}
	return driver.Null[string](), nil
}

// days reads the nights from begin to end, both included. The partner's endDate is the day of departure (documented:
// openapi-1.3).
func (d *Driver) days(
	ctx context.Context, property string, currency driver.Opt[string], begin, end driver.Date,
) (pagination.Batch[driver.Day], error) {
	env, r, err := d.call(ctx, opRatePlans, "/"+opRatePlans, url.Values{
		"propertyIDs": {property}, "startDate": {begin.String()}, "endDate": {end.AddDays(1).String()},
		"detailedRates": {"true"},
	})
	if err != nil {
		return pagination.Batch[driver.Day]{}, err
	}
	rows, err := env.rows("rateID")
	if err != nil {
		return pagination.Batch[driver.Day]{}, d.failed(opRatePlans, r, err)
	}
	rates := d.adapt.rate.Each(ctx, d.api, rows)
	b := pagination.Batch[driver.Day]{Rejected: rates.Rejected}
	others := false
	for _, rate := range rates.Items {
		days := d.adapt.day(rate, property, currency).Each(ctx, d.api, rate.days)
		b.Rejected = append(b.Rejected, days.Rejected...)
		for _, day := range days.Items {
			if day.ResourceID == property && begin.Days(day.Date) >= 0 && day.Date.Days(end) >= 0 {
				b.Items = append(b.Items, day)
			} else {
				others = true
			}
		}
	}
	if others && len(b.Items) == 0 {
		// A server that ignores the dates would send the same nights for ever, and all others would look unsold.
		return b, d.failed(opRatePlans, r, fmt.Errorf("%w: no night is one that was asked for", pagination.ErrLoop))
	}
	return b, nil
}

// rateRow is a row of getRatePlans: what its days are about, and the days as they came.
type rateRow struct {
	property, unit, rate driver.Opt[string]
	days                 []json.RawMessage
}

// roomType is version 1 for the rows of getRoomTypes.
func roomType(o wire.Object) (driver.Resource, error) {
	return driver.Resource{
		Record:       o.Record(v1),
		ParentID:     o.Ref("propertyID"),
		Name:         o.Text("roomTypeName"),
		InternalName: o.Text("roomTypeNameShort"),
		Description:  o.Text("roomTypeDescription"),
		Capacity:     o.Count("maxGuests"),
	}, nil
}

// rate is version 1 for the rows of getRatePlans. One without details has no days.
func rate(o wire.Object) (rateRow, error) {
	r := rateRow{property: wire.Parse(o, "propertyID", "an id of digits", digits), unit: o.Ref("roomTypeID"),
		rate: o.Ref("rateID")}
	switch o.Type("roomRateDetailed") {
	case 0, 'n':
	case '[', '{':
		r.days = o.Elements("roomRateDetailed")
	default:
		return rateRow{}, errors.New("roomRateDetailed: not an array")
	}
	return r, nil
}

// digits reads a property's id, so that nothing else is taken for another property's.
func digits(s string) (string, error) {
	if s == "" || len(s) > 20 || strings.Trim(s, "0123456789") != "" {
		return "", errDigits
	}
	return s, nil
}

// day is version 1 for a night of a rate.
func day(o wire.Object, r rateRow, property string, currency driver.Opt[string]) (driver.Day, error) {
	date, ok := o.Date("date").Get()
	if !ok {
		return driver.Day{}, errors.New("date: not a date")
	}
	d := driver.Day{
		ResourceID:        r.property.Or(property),
		UnitID:            r.unit,
		RatePlanID:        r.rate,
		Date:              date,
		Available:         o.Count("roomsAvailable"),
		Price:             o.Money("rate", currency),
		MinStay:           o.Count("minLos"),
		MaxStay:           o.Count("maxLos"),
		Closed:            o.Flag("blocked"),
		ClosedToArrival:   o.Flag("closedToArrival"),
		ClosedToDeparture: o.Flag("closedToDeparture"),
		Raw:               o.Record(v1).Raw,
		AdapterVersion:    v1,
	}
	// rateBase is how the specification calls it; clients see rate.
	if base := o.Money("rateBase", currency); base.Observed() && (!base.IsNull() || !d.Price.Observed()) {
		d.Price = base
	}
	return d, nil
}
