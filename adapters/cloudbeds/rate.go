package cloudbeds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

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

var errRange = errors.New("the range of dates is none, or ends before it begins")

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
	return list(ctx, d, s, opRoomTypes, "roomTypeID", roomTypesPage, query, keep, d.adapt.roomType)
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

// days reads the nights from begin to end, both included. The partner's endDate is the day of departure (documented).
func (d *Driver) days(
	ctx context.Context, property string, currency driver.Opt[string], begin, end driver.Date,
) (pagination.Batch[driver.Day], error) {
	env, r, err := d.call(ctx, opRatePlans, "/"+opRatePlans, url.Values{
		"propertyIDs": {property}, "startDate": {begin.String()}, "endDate": {end.AddDays(1).String()}, "detailedRates": {"true"},
	})
	if err != nil {
		return pagination.Batch[driver.Day]{}, err
	}
	rows, err := env.rows("rateID")
	if err != nil {
		return pagination.Batch[driver.Day]{}, d.failed(opRatePlans, r, err)
	}
	rates := d.adapt.rate(property, currency).Each(ctx, d.api, rows)
	b := pagination.Batch[driver.Day]{Rejected: rates.Rejected}
	for _, days := range rates.Items {
		for _, day := range days {
			if day.ResourceID == property && begin.Days(day.Date) >= 0 && day.Date.Days(end) >= 0 {
				b.Items = append(b.Items, day)
			}
		}
	}
	return b, nil
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

// rate is version 1 for the rows of getRatePlans: the days of one rate.
func rate(o wire.Object, property string, currency driver.Opt[string]) ([]driver.Day, error) {
	details, _ := o.Objects("roomRateDetailed").Get()
	raws := o.Elements("roomRateDetailed")
	days := make([]driver.Day, 0, len(details))
	for i, r := range details {
		date, ok := r.Date("date").Get()
		if !ok {
			return nil, fmt.Errorf("roomRateDetailed[%d].date: not a date", i)
		}
		day := driver.Day{
			ResourceID:        o.Ref("propertyID").Or(property),
			UnitID:            o.Ref("roomTypeID"),
			RatePlanID:        o.Ref("rateID"),
			Date:              date,
			Available:         r.Count("roomsAvailable"),
			Price:             r.Money("rate", currency),
			MinStay:           r.Count("minLos"),
			MaxStay:           r.Count("maxLos"),
			Closed:            r.Flag("blocked"),
			ClosedToArrival:   r.Flag("closedToArrival"),
			ClosedToDeparture: r.Flag("closedToDeparture"),
			AdapterVersion:    v1,
		}
		if r.Has("rateBase") { // how the specification calls it; clients see "rate"
			day.Price = r.Money("rateBase", currency)
		}
		if len(raws) == len(details) {
			day.Raw = wire.Compact(raws[i])
		}
		days = append(days, day)
	}
	return days, nil
}
