package airbnb

import (
	"errors"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
)

var statuses = map[string]driver.TransactionStatus{
	"new":                  driver.StatusPending, // a request that the host has not answered (inferred from its name)
	"pending":              driver.StatusPending,
	"pending_payment":      driver.StatusPending,
	"at_checkpoint":        driver.StatusPending, // the guest is being verified (inferred)
	"accept":               driver.StatusConfirmed,
	"deny":                 driver.StatusDeclined,
	"timeout":              driver.StatusExpired,
	"pending_voided":       driver.StatusExpired,
	"checkpoint_voided":    driver.StatusExpired,
	"cancelled_by_admin":   driver.StatusCanceled,
	"cancelled_by_host":    driver.StatusCanceled,
	"cancelled_by_guest":   driver.StatusCanceled,
	"canceled_by_admin":    driver.StatusCanceled, // as threads spell it
	"canceled_by_host":     driver.StatusCanceled,
	"canceled_by_guest":    driver.StatusCanceled,
	"cancelled":            driver.StatusCanceled,
	"canceled":             driver.StatusCanceled,
	"accepted":             driver.StatusConfirmed, // as threads have it
	"declined":             driver.StatusDeclined,
	"expired":              driver.StatusExpired,
	"awaiting_payment":     driver.StatusPending,
	"pending_verification": driver.StatusPending,
}

var errEnds = errors.New("the reservation ends before it starts")

// reservation is version 1 for reservations.
func reservation(o wire.Object) (driver.Transaction, error) {
	currency := o.Currency("host_currency")
	updated, _ := o.Instant("updated_at").Get()
	rec := o.Record(v1)
	rec.UpdatedAt, rec.CreatedAt = updated, o.Instant("created_at")
	t := driver.Transaction{
		Record:      rec,
		ResourceID:  o.First(o.Ref, "listing_id_str", "listing_id"),
		Code:        driver.Some(rec.ID),
		Status:      wire.Enum(o, "status_type", statuses, driver.StatusOther),
		StatusText:  o.Word("status_type"),
		Start:       o.Date("start_date"),
		End:         o.Date("end_date"),
		StartAt:     o.Instant("check_in_datetime"), // with the name of a zone behind it
		EndAt:       o.Instant("check_out_datetime"),
		Nights:      o.Count("nights"),
		Party:       party(o),
		Customer:    customer(o),
		Currency:    currency,
		Fare:        accurate(o, "listing_base_price", currency),
		Fees:        accurate(o, "listing_cleaning_fee", currency),
		Taxes:       accurate(o, "transient_occupancy_tax_paid_amount", currency),
		Total:       accurate(o, "total_paid_amount", currency),
		Commission:  accurate(o, "listing_host_fee", currency),
		Payout:      accurate(o, "expected_payout_amount", currency),
		Lines:       lines(o, currency),
		ConfirmedAt: o.Instant("booked_at"),
	}
	if t.Status.Or("") == driver.StatusCanceled {
		if p := accurate(o, "listing_cancellation_payout", currency); p.Observed() {
			t.Payout = p
		}
	}
	if err := o.Lost("start_date", "end_date"); err != nil {
		return driver.Transaction{}, err
	}
	start, hasStart := t.Start.Get()
	switch end, hasEnd := t.End.Get(); {
	case hasStart && hasEnd && start.Days(end) < 0:
		return driver.Transaction{}, errEnds
	case hasStart && hasEnd:
		t.Nights = driver.Some(start.Days(end))
	case hasStart && t.Nights.Observed():
		// A notification may have no more than the first night and the number of nights.
		if n, ok := t.Nights.Get(); ok && n < 10_000 {
			t.End = driver.Some(start.AddDays(n))
		}
	}
	return t, nil
}

// accurate reads an amount under its twin …_accurate, a decimal text and once a number, or else the field itself,
// which is rounded to whole units. Amounts are the host's currency's.
func accurate(o wire.Object, field string, currency driver.Opt[string]) driver.Opt[driver.Money] {
	twin := o.Money(field+"_accurate", currency)
	if _, ok := twin.Get(); ok || !o.Has(field) {
		return twin
	}
	return o.Money(field, currency)
}

// party reads guest_details, which may be missing, and number_of_guests. Infants do not count among the guests (seen
// in the samples only where there are none: inferred).
func party(o wire.Object) driver.Opt[driver.Party] {
	d, detailed := o.Object("guest_details").Get()
	total, counted := o.Count("number_of_guests").Get()
	if !detailed && !counted {
		return driver.Opt[driver.Party]{}
	}
	p := driver.Party{
		Total: total, Adults: d.Count("number_of_adults").Or(0), Children: d.Count("number_of_children").Or(0),
		Infants: d.Count("number_of_infants").Or(0),
	}
	if !counted {
		p.Total = p.Adults + p.Children
	}
	return driver.Some(p)
}

// customer reads the guest. Before a booking is accepted most of it is missing or null.
func customer(o wire.Object) driver.Opt[driver.Customer] {
	word := func(f string) string { return o.Word(f).Or("") }
	c := driver.Customer{
		ID: o.Ref("guest_id").Or(""), FirstName: word("guest_first_name"), LastName: word("guest_last_name"),
		Email: word("guest_email"),
	}
	c.Name = strings.TrimSpace(c.FirstName + " " + c.LastName)
	if phones := o.Texts("guest_phone_numbers").Or(nil); len(phones) > 0 {
		c.Phone = phones[0]
	}
	if c == (driver.Customer{}) {
		return driver.Opt[driver.Customer]{}
	}
	return driver.Some(c)
}

// lines reads fees and taxes that are given in the host's currency, one by one. amount_usd, which older taxes have,
// is in another one.
func lines(o wire.Object, currency driver.Opt[string]) driver.Opt[[]driver.Line] {
	fees, hasFees := o.Objects("standard_fees_details").Get()
	taxes, hasTaxes := o.Objects("transient_occupancy_tax_details").Get()
	if !hasFees && !hasTaxes {
		return driver.Opt[[]driver.Line]{}
	}
	all := []driver.Line{}
	for _, f := range fees {
		if m, ok := f.Money("amount_native", currency).Get(); ok {
			word := f.Word("fee_type").Or("")
			all = append(all, driver.Line{Title: title(word), Type: word, Amount: m})
		}
	}
	for _, x := range taxes {
		in := currency
		if native := x.Currency("native_currency"); native.Observed() {
			in = native
		}
		if m, ok := x.Money("amount_native", in).Get(); ok {
			all = append(all, driver.Line{Title: x.Word("name").Or(""), Type: x.Word("tax_type").Or(""), Amount: m,
				Tax: true})
		}
	}
	return driver.Some(all)
}

// title makes words of PASS_THROUGH_LINEN_FEE.
func title(feeType string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(feeType, "PASS_THROUGH_"), "_", " "))
}
