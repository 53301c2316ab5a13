package airbnb

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/webhook"
)

// confirmationCode is HM and eight characters; older codes are shorter.
var confirmationCode = regexp.MustCompile(`^[A-Z0-9]{5,20}$`)

func isID(s string) bool { return s != "" && len(s) <= 20 && strings.Trim(s, "0123456789") == "" }

// Webhooks implements driver.WebhookSource.
func (d *Driver) Webhooks() webhook.Partner { return Webhooks() }

// Notices implements driver.WebhookSource.
func (d *Driver) Notices(e webhook.Event) ([]webhook.Notice, error) { return Notices(e) }

// Webhooks is how Airbnb proves its notifications: see webhook.Airbnb. There is one URL for all hosts; the host is in
// the body of some.
func Webhooks() webhook.Partner { return webhook.Airbnb() }

var errNotification = errors.New("airbnb: the notification is not a JSON object with an action")

// Notices says what a notification tells. What is about a reservation is thin, for the body may hold no more than the
// code; what is about listings yields a notice for each. A shape that is not established keeps the partner's word,
// and is nobody's record.
func Notices(e webhook.Event) ([]webhook.Notice, error) {
	o := wire.Fields(e.Body)
	action, ok := o.Word("action").Get()
	if !ok {
		return nil, errNotification
	}
	switch action {
	case "reservation_acceptance_confirmation", "reservation_cancellation_confirmation",
		"reservation_alteration_confirmation",
		"reservation_request_voided", "reservation_requested":
		r := wire.Fields(o.Raw("reservation"))
		code := r.Word("confirmation_code").Or("")
		if !confirmationCode.MatchString(code) {
			return nil, errors.New("airbnb: the notification of a reservation has no confirmation code")
		}
		n := webhook.Notice{Event: e, Kind: webhook.TransactionChanged, Record: code, Thin: true}
		n.Version.At = r.Instant("updated_at").Or(n.Version.At)
		return []webhook.Notice{n}, nil
	case "listing_approval_status_changed":
		return changed(e, wire.Fields(o.Raw("listing_approval_status")).Ref("listing_id").Or("")), nil
	case "listing_synchronization_settings_updated":
		var all []webhook.Notice
		for _, raw := range rows(o.Raw("updates")) {
			all = append(all, changed(e, wire.ID(raw, "listing_id"))...)
		}
		return all, nil
	case "listings_mapped":
		var all []webhook.Notice
		for _, raw := range rows(o.Raw("mappings")) {
			all = append(all, changed(e, wire.ID(raw, "listing_id"))...)
			all = append(all, changed(e, wire.ID(raw, "updated_listing_id"))...)
		}
		return all, nil
	case "listings_unlinked":
		// The software may not write to them any more; they are still there.
		var all []webhook.Notice
		for _, raw := range rows(o.Raw("listing_ids")) {
			id, _ := wire.Scalar(raw)
			all = append(all, changed(e, id)...)
		}
		return all, nil
	case "authorization_revoked":
		return []webhook.Notice{{Event: e, Kind: webhook.AuthRevoked, Thin: true}}, nil
	case "test_notification":
		return nil, nil
	}
	return []webhook.Notice{{Event: e, Kind: action}}, nil
}

// changed is the notice that a listing changed; none if its id cannot be read.
func changed(e webhook.Event, id string) []webhook.Notice {
	if !isID(id) {
		return nil
	}
	return []webhook.Notice{{Event: e, Kind: webhook.ResourceChanged, Record: id, Thin: true}}
}

// rows are the elements of an array.
func rows(raw json.RawMessage) []json.RawMessage {
	var all []json.RawMessage
	if wire.TypeOf(raw) != '[' || json.Unmarshal(raw, &all) != nil {
		return nil
	}
	return all
}

// checkedBooking reads the body of a check of a booking.
func checkedBooking(body []byte) (CheckedBooking, error) {
	o := wire.Fields(body)
	nights, _ := wire.Scalar(o.Raw("nights"))
	stay, err := checkedStay(o.First(o.Ref, "listing_id_str", "listing_id").Or(""), o.Word("start_date").Or(""), nights)
	b := CheckedBooking{CheckedStay: stay, GuestID: o.Ref("guest_id").Or(""), Party: party(o).Or(driver.Party{}),
		BasePrice: -1}
	if code := o.Word("confirmation_code").Or(""); confirmationCode.MatchString(code) {
		b.Code = code
	}
	if n, ok := o.Count("listing_base_price").Get(); ok {
		b.BasePrice = int64(n)
	}
	return b, err
}
