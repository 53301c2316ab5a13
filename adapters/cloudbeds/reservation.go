package cloudbeds

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
)

var (
	errNoImage = errors.New("image: no URL")
	errEnds    = errors.New("the reservation ends before it starts")
)

var statuses = map[string]driver.TransactionStatus{
	"not_confirmed": driver.StatusPending,
	"confirmed":     driver.StatusConfirmed,
	"canceled":      driver.StatusCanceled,
	"cancelled":     driver.StatusCanceled, // how roomStatus spells it
	"checked_in":    driver.StatusCheckedIn,
	"checked_out":   driver.StatusCheckedOut,
	"no_show":       driver.StatusNoShow,
}

// dates are the fields without which, or with other ones, a stay would be worse than one that is seen to be rejected.
var dates = []string{"reservationCheckIn", "reservationCheckOut", "startDate", "endDate"}

// reservation is version 1 for the rows of getReservationsWithRateDetails, and takes those of getReservations and
// getReservation, which have other names for some fields, no UTC times and no currency.
func reservation(o wire.Object) (driver.Transaction, error) {
	day := func(fields ...string) driver.Opt[driver.Date] {
		var found driver.Opt[driver.Date]
		for _, f := range fields {
			if d := o.Date(f); !found.Observed() || found.IsNull() && d.Observed() {
				found = d
			}
		}
		return found
	}
	t := driver.Transaction{
		Record:      o.Record(v1),
		ResourceID:  o.Ref("propertyID"),
		Code:        o.First(o.Word, "sourceReservationID", "thirdPartyIdentifier"),
		StatusText:  o.Word("status"),
		Start:       day("reservationCheckIn", "startDate"),
		End:         day("reservationCheckOut", "endDate"),
		ArrivalTime: o.Clock("estimatedArrivalTime"),
		CanceledAt:  utc(o, "dateCancelledUTC"),
		Currency:    currencyOf(o),
		Customer:    customer(o),
	}
	t.CreatedAt = utc(o, "dateCreatedUTC")
	t.UpdatedAt, _ = utc(o, "dateModifiedUTC").Get()
	t.Status = status(o)
	source(o, &t)
	rooms(o, &t)
	money(o, &t)
	if err := o.Lost(dates...); err != nil {
		return driver.Transaction{}, err
	}
	if s, ok := t.Start.Get(); ok {
		if e, ok := t.End.Get(); ok {
			if s.Days(e) < 0 {
				return driver.Transaction{}, errEnds
			}
			t.Nights = driver.Some(s.Days(e))
		}
	}
	return t, nil
}

// utc reads one of the …UTC twins: YYYY-MM-DD HH:MM:SS without a zone (seen), or RFC 3339 (what the specification
// says). The fields without a twin are in a zone that is not established, and are not read.
func utc(o wire.Object, field string) driver.Opt[time.Time] { return o.Instant(field, time.DateTime) }

// status maps the status; a deleted reservation is a canceled one. A status that did not come stays unobserved.
func status(o wire.Object) driver.Opt[driver.TransactionStatus] {
	if o.Flag("isDeleted").Or(false) {
		return driver.Some(driver.StatusCanceled)
	}
	return wire.Enum(o, "status", statuses, driver.StatusOther)
}

// source reads where it was sold: an object with rate details, a text in getReservation, sourceName in getReservations.
func source(o wire.Object, t *driver.Transaction) {
	t.Channel, t.Source = o.Word("sourceID"), o.Word("sourceName")
	switch o.Type("source") {
	case '{':
		s, _ := o.Object("source").Get()
		t.Channel = s.First(s.Word, "sourceID")
		if !t.Source.Observed() {
			t.Source = s.Word("name")
		}
	case '"':
		if !t.Source.Observed() {
			t.Source = o.Word("source")
		}
	}
}

// customer reads who booked. An erased guest is null, so that what is known of the person goes.
func customer(o wire.Object) driver.Opt[driver.Customer] {
	if o.Flag("isAnonymized").Or(false) {
		return driver.Null[driver.Customer]()
	}
	word := func(f string) string { return o.Word(f).Or("") }
	c := driver.Customer{ID: word("guestID"), Name: word("guestName"), Email: word("guestEmail")}
	guests, _ := o.Map("guestList").Get() // a map by id, [] when there are none
	for _, id := range slices.Sorted(maps.Keys(guests)) {
		g := guests[id]
		if !g.Flag("isMainGuest").Or(false) {
			continue
		}
		text := func(f string) string { return g.Word(f).Or("") }
		c.FirstName, c.LastName, c.Phone = text("guestFirstName"), text("guestLastName"), g.First(g.Word,
			"guestPhone", "guestCellPhone").Or("")
		if c.ID == "" {
			c.ID = text("guestID")
		}
		if c.Email == "" {
			c.Email = text("guestEmail")
		}
		if c.Name == "" {
			c.Name = strings.TrimSpace(c.FirstName + " " + c.LastName)
		}
		break
	}
	if c == (driver.Customer{}) {
		return driver.Opt[driver.Customer]{}
	}
	return driver.Some(c)
}

// rooms reads the rooms, which are in rooms, or assigned and unassigned. Cancelled ones are left out.
func rooms(o wire.Object, t *driver.Transaction) {
	seen, total := false, driver.Party{}
	stays := []driver.Stay{}
	for _, field := range []string{"rooms", "assigned", "unassigned"} {
		all, ok := o.Objects(field).Get()
		seen = seen || ok
		for _, r := range all {
			if st := strings.ToLower(r.Word("roomStatus").Or("")); st == "cancelled" || st == "canceled" {
				continue
			}
			date := func(a, b string) driver.Date {
				if d, ok := r.Date(a).Get(); ok {
					return d
				}
				return r.Date(b).Or(driver.Date{})
			}
			p := party(r)
			total.Adults, total.Children, total.Total = total.Adults+p.Adults, total.Children+p.Children, total.Total+p.Total
			stays = append(stays, driver.Stay{
				ResourceID: t.ResourceID.Or(""), UnitID: r.Ref("roomID").Or(""),
				Start: date("roomCheckIn", "startDate"), End: date("roomCheckOut", "endDate"), Party: p,
			})
		}
	}
	switch {
	case o.Has("adults") || o.Has("children"):
		t.Party = driver.Some(party(o))
	case len(stays) > 0:
		t.Party = driver.Some(total)
	}
	if !seen {
		return
	}
	t.Stays, t.UnitID = driver.Some([]driver.Stay{}), driver.Null[string]()
	if len(stays) > 1 {
		t.Stays = driver.Some(stays)
	} else if len(stays) == 1 && stays[0].UnitID != "" {
		t.UnitID = driver.Some(stays[0].UnitID)
	}
}

// party reads adults and children, which are texts of digits in most answers and numbers in some.
func party(o wire.Object) driver.Party {
	p := driver.Party{Adults: o.Count("adults").Or(0), Children: o.Count("children").Or(0)}
	p.Total = p.Adults + p.Children
	return p
}

// money reads the amounts. balanceDetailed is an object or an array of such.
func money(o wire.Object, t *driver.Transaction) {
	t.Total, t.Balance = o.Money("total", t.Currency), o.Money("balance", t.Currency)
	all, _ := o.Objects("balanceDetailed").Get()
	if len(all) == 0 {
		return
	}
	b := all[0]
	t.Subtotal = b.Money("subTotal", t.Currency)
	t.Taxes = b.Money("taxesFees", t.Currency)
	t.Paid = b.Money("paid", t.Currency)
	if !t.Total.Observed() {
		t.Total = b.Money("grandTotal", t.Currency)
	}
}
