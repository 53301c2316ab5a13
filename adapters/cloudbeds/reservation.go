package cloudbeds

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
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

// normalizeReservation is version 1 for the rows of getReservationsWithRateDetails, and takes those of getReservations and getReservation,
// which have other names for some fields, no UTC times and no currency.
func normalizeReservation(raw json.RawMessage, odd *[]oddity) (driver.Transaction, error) {
	o, err := open(raw, odd)
	if err != nil {
		return driver.Transaction{}, err
	}
	id, err := o.id("reservationID")
	if err != nil {
		return driver.Transaction{}, err
	}
	day := func(fields ...string) driver.Opt[driver.Date] {
		var found driver.Opt[driver.Date]
		for _, f := range fields {
			if d := o.date(f); !found.Observed() || found.IsNull() && d.Observed() {
				found = d
			}
		}
		return found
	}
	updated, _ := o.instant("dateModifiedUTC").Get()
	t := driver.Transaction{
		Record:      driver.Record{ID: id, UpdatedAt: updated, CreatedAt: o.instant("dateCreatedUTC"), Raw: public(raw), AdapterVersion: v1},
		ResourceID:  o.ref("propertyID"),
		Code:        o.first(o.word, "sourceReservationID", "thirdPartyIdentifier"),
		StatusText:  o.word("status"),
		Start:       day("reservationCheckIn", "startDate"),
		End:         day("reservationCheckOut", "endDate"),
		ArrivalTime: o.clock("estimatedArrivalTime"),
		CanceledAt:  o.instant("dateCancelledUTC"),
		Currency:    currencyOf(o),
		Customer:    customer(o),
	}
	t.Status = status(o, t.StatusText)
	source(o, &t)
	rooms(o, &t)
	money(o, &t)
	for _, f := range *o.odd {
		for _, name := range dates {
			if f.field == name {
				return driver.Transaction{}, errors.New(f.field + ": " + f.problem)
			}
		}
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

// status maps the status; a deleted reservation is a canceled one. A status that did not come stays unobserved.
func status(o object, text driver.Opt[string]) driver.Opt[driver.TransactionStatus] {
	if o.flag("isDeleted").Or(false) {
		return driver.Some(driver.StatusCanceled)
	}
	s, ok := text.Get()
	switch known, in := statuses[strings.ToLower(s)]; {
	case ok && in:
		return driver.Some(known)
	case ok:
		return driver.Some(driver.StatusOther)
	case text.IsNull():
		return driver.Null[driver.TransactionStatus]()
	}
	return driver.Opt[driver.TransactionStatus]{}
}

// source reads where it was sold: an object with rate details, a text in getReservation, sourceName in getReservations.
func source(o object, t *driver.Transaction) {
	t.Channel, t.Source = o.word("sourceID"), o.word("sourceName")
	switch kind(o.fields["source"]) {
	case '{':
		s, _ := o.object("source").Get()
		t.Channel = s.first(s.word, "sourceID")
		if !t.Source.Observed() {
			t.Source = s.word("name")
		}
	case '"':
		if !t.Source.Observed() {
			t.Source = o.word("source")
		}
	}
}

// customer reads who booked. An erased guest is null, so that what is known of the person goes.
func customer(o object) driver.Opt[driver.Customer] {
	if o.flag("isAnonymized").Or(false) {
		return driver.Null[driver.Customer]()
	}
	word := func(f string) string { return o.word(f).Or("") }
	c := driver.Customer{ID: word("guestID"), Name: word("guestName"), Email: word("guestEmail")}
	guests, _ := o.object("guestList").Get() // a map by id, [] when there are none
	for _, id := range sortedKeys(guests.fields) {
		g, ok := guests.object(id).Get()
		if !ok || !g.flag("isMainGuest").Or(false) {
			continue
		}
		text := func(f string) string { return g.word(f).Or("") }
		c.FirstName, c.LastName, c.Phone = text("guestFirstName"), text("guestLastName"), g.first(g.word, "guestPhone", "guestCellPhone").Or("")
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
func rooms(o object, t *driver.Transaction) {
	seen, total := false, driver.Party{}
	stays := []driver.Stay{}
	for _, field := range []string{"rooms", "assigned", "unassigned"} {
		all, ok := o.objects(field).Get()
		seen = seen || ok
		for _, r := range all {
			if st := strings.ToLower(r.word("roomStatus").Or("")); st == "cancelled" || st == "canceled" {
				continue
			}
			date := func(a, b string) driver.Date {
				if d, ok := r.date(a).Get(); ok {
					return d
				}
				return r.date(b).Or(driver.Date{})
			}
			p := party(r)
			total.Adults, total.Children, total.Total = total.Adults+p.Adults, total.Children+p.Children, total.Total+p.Total
			stays = append(stays, driver.Stay{
				ResourceID: t.ResourceID.Or(""), UnitID: r.ref("roomID").Or(""), Start: date("roomCheckIn", "startDate"), End: date("roomCheckOut", "endDate"), Party: p,
			})
		}
	}
	switch {
	case o.has("adults") || o.has("children"):
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
func party(o object) driver.Party {
	count := func(f string) int {
		n := o.integer(f).Or(0)
		if n < 0 {
			o.strange(f, "negative")
			return 0
		}
		return n
	}
	p := driver.Party{Adults: count("adults"), Children: count("children")}
	p.Total = p.Adults + p.Children
	return p
}

// money reads the amounts. balanceDetailed is an object or an array of such.
func money(o object, t *driver.Transaction) {
	t.Total, t.Balance = o.money("total", t.Currency), o.money("balance", t.Currency)
	all, _ := o.objects("balanceDetailed").Get()
	if len(all) == 0 {
		return
	}
	b := all[0]
	t.Subtotal = b.money("subTotal", t.Currency)
	t.Taxes = b.money("taxesFees", t.Currency)
	t.Paid = b.money("paid", t.Currency)
	if !t.Total.Observed() {
		t.Total = b.money("grandTotal", t.Currency)
	}
}
