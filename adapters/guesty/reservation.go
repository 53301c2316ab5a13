package guesty

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
)

// reservationID are the names of a reservation's id: the classic family's, webhooks' of version 2 and some rows' of
// v3, and another of the classic.
var reservationID = []string{"_id", "reservationId", "id"}

// reservation is version 1 for reservations of both families, and for those embedded in webhooks. The classic
// family keeps dates at the top; v3 keeps them in stay, one for each room, and leaves money and notes out of many rows.
func reservation(o wire.Object) (driver.Transaction, error) {
	t := driver.Transaction{
		Record:        record(o, "lastUpdatedAt"),
		ResourceID:    o.First(o.Ref, "listingId", "unitId"), // webhooks of version 2 call the listing a unit
		Code:          o.Word("confirmationCode"),
		StatusText:    o.Word("status"),
		Channel:       o.Word("platform"),
		Source:        o.Text("source"),
		Start:         o.Date("checkInDateLocalized"),
		End:           o.Date("checkOutDateLocalized"),
		ArrivalTime:   o.Clock("plannedArrival"),
		DepartureTime: o.Clock("plannedDeparture"),
		Nights:        o.Count("nightsCount"),
		ConfirmedAt:   o.Instant("confirmedAt"),
		CanceledAt:    o.Instant("canceledAt"),
		CustomerID:    o.First(o.Ref, "guestId", "bookerId"),
		Notes:         notes(o),
		Custom:        custom(o, "customFields"),
	}
	t.Status = status(o)
	if in, ok := o.Object("integration").Get(); ok && !t.Channel.Observed() {
		// The text in source changes its casing from one answer to the next; the platform is a code.
		t.Channel = in.Word("platform")
	}
	listing, _ := o.Object("listing").Get()
	if !t.ResourceID.Observed() {
		t.ResourceID = listing.Ref("_id")
	}
	if m, ok := o.Object("mtl").Get(); ok && m.Flag("assigned").Or(false) {
		t.UnitID = m.Ref("_id")
	}
	t.Party = party(o, "numberOfGuests", "guestsCount")
	stays(o, &t)
	t.Customer = customer(o)
	if m, ok := o.Object("money").Get(); ok {
		money(m, &t)
	}
	o.Require("status") // asked for: without it a canceled stay looks alive
	if err := unreadable(o, &t); err != nil {
		return driver.Transaction{}, err
	}
	if !t.Start.Observed() || !t.End.Observed() {
		o.Odd("checkInDateLocalized", driver.ChangeMissing, "a stay without its nights")
	}
	if s, ok := t.Start.Get(); ok && !t.Nights.Observed() {
		if e, ok := t.End.Get(); ok && s.Days(e) >= 0 {
			t.Nights = driver.Some(s.Days(e))
		}
	}
	zone := listing.Zone("timezone").Or("")
	t.StartAt = instant(o.Instant("checkIn"), t.Start, t.ArrivalTime, listing.Clock("defaultCheckInTime"), "15:00",
		zone)
	t.EndAt = instant(o.Instant("checkOut"), t.End, t.DepartureTime, listing.Clock("defaultCheckOutTime"), "11:00",
		zone)
	return t, nil
}

// unreadable refuses a reservation whose nights are there but cannot be read, or end before they start: a stay
// without its dates, or with the wrong ones, is worse than one that is rejected and seen to be.
func unreadable(o wire.Object, t *driver.Transaction) error {
	if err := o.Lost("checkInDateLocalized", "checkOutDateLocalized"); err != nil {
		return err
	}
	s, ok := t.Start.Get()
	if e, ok2 := t.End.Get(); ok && ok2 && s.Days(e) < 0 {
		return errors.New("checkOutDateLocalized: before checkInDateLocalized")
	}
	return nil
}

var statuses = map[string]driver.TransactionStatus{
	"inquiry":          driver.StatusInquiry,
	"reserved":         driver.StatusPending,
	"awaiting_payment": driver.StatusPending,
	"confirmed":        driver.StatusConfirmed,
	"checked_in":       driver.StatusCheckedIn, // seen in client code
	"checked_out":      driver.StatusCheckedOut,
	"no_show":          driver.StatusNoShow,
	"canceled":         driver.StatusCanceled,
	"cancelled":        driver.StatusCanceled,
	"declined":         driver.StatusDeclined,
	"expired":          driver.StatusExpired,
	"closed":           driver.StatusClosed,
}

var guestStays = map[string]driver.TransactionStatus{
	"not_set":     "",
	"checked_in":  driver.StatusCheckedIn,
	"checked_out": driver.StatusCheckedOut,
	"no_show":     driver.StatusNoShow,
}

// status is the reservation's, and for a confirmed one what v3 says of the guest. A status that did not come stays
// unobserved: Guesty leaves it out unless it is asked for, and a guess would bring a canceled stay back to life.
func status(o wire.Object) driver.Opt[driver.TransactionStatus] {
	st := wire.Enum(o, "status", statuses, driver.StatusOther)
	stay, _ := o.Object("guestStay").Get()
	if g := wire.Enum(stay, "status", guestStays, "").Or(""); g != "" && st == driver.Some(driver.StatusConfirmed) {
		return driver.Some(g)
	}
	return st
}

// stays reads v3's rooms. The reservation is from the first arrival to the last departure.
func stays(o wire.Object, t *driver.Transaction) {
	all, ok := o.Objects("stay").Get()
	if !ok || len(all) == 0 {
		return
	}
	rooms := make([]driver.Stay, 0, len(all))
	total, counted := driver.Party{}, false
	for _, s := range all {
		p := party(s, "numberOfGuests", "guestsCount")
		// A unit without its type is the listing itself, as in webhooks.
		room := driver.Stay{
			ResourceID: s.First(s.Ref, "unitTypeId", "unitId").Or(""),
			UnitID:     s.Ref("unitId").Or(""),
			Start:      s.Date("checkInDateLocalized").Or(driver.Date{}),
			End:        s.Date("checkOutDateLocalized").Or(driver.Date{}),
			Party:      p.Or(driver.Party{}),
		}
		if room.UnitID == room.ResourceID {
			room.UnitID = ""
		}
		zero := driver.Date{}
		if first, ok := t.Start.Get(); room.Start != zero && (!ok || room.Start.Days(first) > 0) {
			t.Start = driver.Some(room.Start)
		}
		if last, ok := t.End.Get(); room.End != zero && (!ok || last.Days(room.End) > 0) {
			t.End = driver.Some(room.End)
		}
		if p, ok := p.Get(); ok {
			counted = true
			total.Total += p.Total
			total.Adults += p.Adults
			total.Children += p.Children
			total.Infants += p.Infants
			total.Pets += p.Pets
		}
		rooms = append(rooms, room)
	}
	first := all[0]
	if !t.ResourceID.Observed() && rooms[0].ResourceID != "" {
		t.ResourceID = driver.Some(rooms[0].ResourceID)
	}
	if !t.UnitID.Observed() && first.Has("unitId") {
		t.UnitID = driver.Null[string]()
		if rooms[0].UnitID != "" {
			t.UnitID = driver.Some(rooms[0].UnitID)
		}
	}
	if !t.ArrivalTime.Observed() {
		t.ArrivalTime = first.Clock("eta")
	}
	if !t.DepartureTime.Observed() {
		t.DepartureTime = first.Clock("etd")
	}
	if !t.Party.Observed() && counted {
		t.Party = driver.Some(total)
	}
	t.Stays = driver.Some([]driver.Stay{})
	if len(rooms) > 1 {
		t.Stays = driver.Some(rooms)
	}
}

// party reads the guests' numbers; a total alone is enough.
func party(o wire.Object, numbers, total string) driver.Opt[driver.Party] {
	sub := o.Object(numbers)
	n, _ := sub.Get()
	all := o.Count(total)
	if _, ok := sub.Get(); !ok && !all.Observed() {
		if sub.IsNull() {
			return driver.Null[driver.Party]()
		}
		return driver.Opt[driver.Party]{}
	}
	p := driver.Party{
		Adults:   n.Count("numberOfAdults").Or(0),
		Children: n.Count("numberOfChildren").Or(0),
		Infants:  n.Count("numberOfInfants").Or(0),
		Pets:     n.Count("numberOfPets").Or(0),
	}
	p.Total = all.Or(p.Adults + p.Children + p.Infants)
	if p == (driver.Party{}) && all.IsNull() {
		return driver.Null[driver.Party]()
	}
	return driver.Some(p)
}

// customer reads who booked. The guest may be partial, and is absent unless asked for; v3 has an id only, which is no
// observation of the guest: it must not take the place of what the classic family said of them.
func customer(o wire.Object) driver.Opt[driver.Customer] {
	sub := o.Object("guest")
	g, ok := sub.Get()
	switch {
	case sub.IsNull():
		return driver.Null[driver.Customer]()
	case !ok:
		return driver.Opt[driver.Customer]{}
	}
	if !slices.ContainsFunc([]string{"fullName", "firstName", "lastName", "email", "phone"}, g.Has) {
		return driver.Opt[driver.Customer]{} // a reference
	}
	word := func(f string) string { return g.Word(f).Or("") }
	c := driver.Customer{Name: word("fullName"), FirstName: word("firstName"), LastName: word("lastName"),
		Email: word("email"), Phone: word("phone")}
	if c.Name == "" {
		c.Name = strings.TrimSpace(c.FirstName + " " + c.LastName)
	}
	if c.ID = word("_id"); c.ID == "" {
		c.ID = o.First(o.Word, "guestId", "bookerId").Or("")
	}
	if c == (driver.Customer{}) {
		return driver.Null[driver.Customer]()
	}
	return driver.Some(c)
}

// money reads the classic family's amounts. What the guest pays is the sum of the invoice's items, not the host's
// payout.
func money(m wire.Object, t *driver.Transaction) {
	m.Require("currency")
	t.Currency = m.Currency("currency")
	t.Fare = m.Money("fareAccommodation", t.Currency)
	t.Fees = m.Money("fareCleaning", t.Currency)
	t.Taxes = m.Money("totalTaxes", t.Currency)
	t.Subtotal = m.Money("subTotalPrice", t.Currency)
	t.Commission = m.Money("hostServiceFee", t.Currency) // what the channel keeps
	t.Payout = m.Money("hostPayout", t.Currency)
	t.Paid = m.Money("totalPaid", t.Currency)
	t.Balance = m.Money("balanceDue", t.Currency)
	t.FullyPaid = m.Flag("isFullyPaid")

	items := m.Objects("invoiceItems")
	all, ok := items.Get()
	if !ok {
		if items.IsNull() {
			t.Lines = driver.Null[[]driver.Line]()
		}
		return
	}
	lines := make([]driver.Line, 0, len(all))
	sum, summed := driver.Money{}, len(all) > 0
	for _, it := range all {
		currency := it.Currency("currency")
		if _, ok := currency.Get(); !ok {
			currency = t.Currency
		}
		amount, ok := it.Money("amount", currency).Get()
		if !ok {
			it.Require("amount")
			summed = false
			continue
		}
		line := driver.Line{ID: it.Word("_id").Or(""), Title: it.Text("title").Or(""),
			Type: it.First(it.Word, "type", "normalType").Or(""), Amount: amount}
		line.Tax = it.Flag("isTax").Or(false)
		lines = append(lines, line)
		if sum.Currency == "" {
			sum.Currency = amount.Currency
		}
		sum, ok = add(sum, amount)
		summed = summed && ok
	}
	if len(lines) < len(all) {
		return // a bill that misses an item is no bill
	}
	t.Lines = driver.Some(lines)
	sub, ok1 := t.Subtotal.Get()
	tax, ok2 := t.Taxes.Get()
	switch {
	case summed:
		t.Total = driver.Some(sum)
	case len(all) == 0 && ok1 && ok2:
		if total, ok := add(sub, tax); ok {
			t.Total = driver.Some(total)
		}
	}
}

// add adds amounts of one currency; false when they are not, or the sum does not fit.
func add(a, b driver.Money) (driver.Money, bool) {
	sum := driver.Money{Amount: a.Amount + b.Amount, Currency: a.Currency}
	overflow := a.Amount > 0 && b.Amount > math.MaxInt64-a.Amount || a.Amount < 0 && b.Amount < math.MinInt64-a.Amount
	return sum, a.Currency == b.Currency && !overflow
}

// notes reads a text, or v3's object of texts by purpose. Door codes (keyCode) are no notes.
func notes(o wire.Object) driver.Opt[string] {
	if o.Type("notes") != '{' {
		return o.First(o.Text, "note", "notes")
	}
	n, _ := o.Object("notes").Get()
	var parts []string
	for _, f := range []string{"guest", "specialRequests", "cleaning", "other"} {
		if s, ok := n.Word(f).Get(); ok {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return driver.Null[string]()
	}
	return driver.Some(strings.Join(parts, "\n"))
}

// instant is the moment of arrival or departure, by the order that a careful client found to be right: the planned
// time of day, because an edit of it leaves an older instant in place; then the instant Guesty gives; then the
// listing's usual time; then everybody's usual time. The zone is the listing's; where it did not come, only Guesty's
// instant is left.
func instant(given driver.Opt[time.Time], day driver.Opt[driver.Date], planned, usual driver.Opt[string], last,
	zone string) driver.Opt[time.Time] {
	at := func(hhmm string) (time.Time, bool) {
		d, ok := day.Get()
		if !ok || zone == "" || hhmm == "" {
			return time.Time{}, false
		}
		t, err := d.In(zone, hhmm)
		return t, err == nil
	}
	if t, ok := at(planned.Or("")); ok {
		return driver.Some(t)
	}
	if given.Observed() && !given.IsNull() {
		return given
	}
	if t, ok := at(usual.Or(last)); ok {
		return driver.Some(t)
	}
	return given
}
