package bookingcom

import (
	"errors"
	"fmt"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
)

// normalizeBXML reads a reservation of B.XML. Its times of booking and change may be missing, so none is taken as the
// time of update.
func normalizeBXML(body []byte, n *node, r *reader) (driver.Transaction, error) {
	text := func(name string) string { return n.child(name).value() }
	if r.id = text("id"); r.id == "" || len(r.id) > 200 {
		return driver.Transaction{}, errNoID
	}
	currency := text("currencycode")
	custom := map[string]string{}
	t := driver.Transaction{
		Record: driver.Record{ID: r.id, CreatedAt: r.instant(text("booked_at"), "booked_at"), Raw: rawXML(body),
			AdapterVersion: v1},
		Code:       driver.Some(r.id),
		Channel:    driver.Some("booking.com"),
		ResourceID: r.ref(hotelOf(n), "hotel_id"),
		StatusText: word(text("status")),
		Currency:   r.currency(currency, "currencycode"),
		Total:      r.decimal(text("totalprice"), currency, "totalprice"),
		// missing with net rates (documented)
		Commission: r.decimal(text("commissionamount"), currency, "commissionamount"),
		Customer:   customerBXML(n.child("customer")),
	}
	switch status := strings.ToLower(text("status")); status {
	case "new", "modified": // of one that was never seen too: it is new then
		t.Status = driver.Some(driver.StatusConfirmed)
	case "cancelled", "canceled":
		t.Status = driver.Some(driver.StatusCanceled)
	case "":
		r.note("status", driver.ChangeMissing, true, "missing")
	default:
		r.note("status", driver.ChangeValue, false, "a status that is not known")
		t.Status = driver.Some(driver.StatusOther)
	}
	if d := text("date"); d != "" { // the older, split form, whose zone nobody says
		custom[customBookedAt] = strings.TrimSpace(d + " " + text("time"))
	}
	if fee, ok := r.decimal(text("total_cancellation_fee"), currency, "total_cancellation_fee").Get(); ok {
		custom[customFee] = fmt.Sprint(fee)
	}
	t.Custom = driver.Some(custom)
	notes := []string{n.child("customer", "remarks").value()}
	if err := roomsBXML(n, r, &t, &notes); err != nil {
		return driver.Transaction{}, err
	}
	t.Notes = word(strings.TrimSpace(strings.Join(notes, "\n")))
	return t, nil
}

// roomsBXML reads the rooms, which a cancelled reservation may not have. Their dates are explicit here.
func roomsBXML(n *node, r *reader, t *driver.Transaction, notes *[]string) error {
	rooms := n.all("room")
	stays := make([]driver.Stay, 0, len(rooms))
	var lines []driver.Line
	guests, counted := 0, false
	for i, room := range rooms {
		text := func(name string) string { return room.child(name).value() }
		key := text("roomreservation_id")
		if key == "" {
			key = fmt.Sprint(i + 1)
		}
		currency := text("currencycode")
		if currency == "" {
			currency = t.Currency.Or("")
		}
		s := driver.Stay{
			ResourceID: t.ResourceID.Or(""), UnitID: text("id"),
			Start: r.date(text("arrival_date"), "room.arrival_date").Or(driver.Date{}),
			End:   r.date(text("departure_date"), "room.departure_date").Or(driver.Date{}),
		}
		if zero := (driver.Date{}); s.Start == zero && text("arrival_date") != "" || s.End == zero &&
			text("departure_date") != "" {
			return errors.New("a day of arrival or departure that cannot be read") // worse than one that is seen to be
		}
		if p, ok := r.count(text("numberofguests"), "room.numberofguests").Get(); ok {
			s.Party.Total, counted = p, true
			guests += p
		}
		for _, price := range room.all("price") {
			if m, ok := r.decimal(price.value(), currency, "room.price").Get(); ok {
				lines = append(lines, driver.Line{ID: key + "/" + price.attr("date"), Title: text("name"),
					Type: "night/" + price.attr("rate_id"), Amount: m})
			}
		}
		for j, a := range room.all("addons", "addon") {
			if m, ok := r.decimal(a.child("totalprice").value(), currency, "room.addon.totalprice").Get(); ok {
				lines = append(lines, driver.Line{
					ID: fmt.Sprintf("%s/addon/%d", key, j+1), Title: a.child("name").value(),
					Type: "addon/" + a.child("type").value(), Amount: m,
				})
			}
		}
		if remark := text("remarks"); remark != "" {
			*notes = append(*notes, remark)
		}
		zero := driver.Date{}
		if first, ok := t.Start.Get(); s.Start != zero && (!ok || s.Start.Days(first) > 0) {
			t.Start = driver.Some(s.Start)
		}
		if last, ok := t.End.Get(); s.End != zero && (!ok || last.Days(s.End) > 0) {
			t.End = driver.Some(s.End)
		}
		stays = append(stays, s)
	}
	if counted {
		t.Party = driver.Some(driver.Party{Total: guests})
	}
	if len(lines) > 0 {
		t.Lines = driver.Some(lines)
	}
	switch {
	case len(stays) > 1:
		t.Stays = driver.Some(stays)
	case len(stays) == 1:
		t.Stays = driver.Some([]driver.Stay{})
		t.UnitID = r.ref(stays[0].UnitID, "room.id")
	}
	return nights(t)
}

func customerBXML(n *node) driver.Opt[driver.Customer] {
	text := func(name string) string { return n.child(name).value() }
	c := driver.Customer{FirstName: text("first_name"), LastName: text("last_name"), Email: text("email"),
		Phone: text("telephone")}
	c.Name = strings.TrimSpace(c.FirstName + " " + c.LastName)
	if c == (driver.Customer{}) {
		return driver.Opt[driver.Customer]{}
	}
	return driver.Some(c)
}
