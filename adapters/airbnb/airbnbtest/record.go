package airbnbtest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// The kinds of records, for the dice.
const (
	kindListing uint64 = iota + 1
	kindReservation
)

// Listings have ids of two ages: older ones are small, newer ones are beyond what a float64 holds.
const (
	firstListing = 21_000_417
	firstLong    = 1_180_000_000_000_000_417
)

func listingID(i int) int64 {
	if i%2 == 0 {
		return firstListing + int64(i)
	}
	return firstLong + int64(i)
}

// confirmationCode is HM and eight characters.
func confirmationCode(i int) string {
	return fmt.Sprintf("HM%08s", strings.ToUpper(strconv.FormatInt(int64(i)*7919+1_000_000_007, 36)))
}

func (s *Server) reservationIndex(code string) (int, bool) {
	rest, ok := strings.CutPrefix(code, "HM")
	n, err := strconv.ParseInt(strings.ToLower(strings.TrimLeft(rest, "0")), 36, 64)
	i := (n - 1_000_000_007) / 7919
	if !ok || err != nil || i < 0 || i >= int64(s.reservations.Total()) || confirmationCode(int(i)) != code {
		return 0, false
	}
	return int(i), true
}

func (s *Server) listingOf(reservation int) int { return reservation % max(s.cfg.Listings, 1) }

var categories = []string{"apartment", "house", "hut", "villa", "bnb"}

// listingRecord is a listing, of the older shape or the newer one.
func (s *Server) listingRecord(i int) map[string]any {
	d := partnersim.Roll(s.cfg.Seed, kindListing, i)
	id, rev := listingID(i), s.listings.Revision(i).Number
	beds := 1 + d.Int(1, 4)
	l := map[string]any{
		"id": id, "name": fmt.Sprintf("Canal Loft %d", i), "property_type_group": "apartments",
		"property_type_category": partnersim.Pick(d, 2, categories), "room_type_category": "entire_home",
		"bedrooms": 1 + d.Int(3, 3), "bathrooms": 1.5,
		"beds": beds, "person_capacity": beds + 1, "amenity_categories": []string{"tv", "kitchen", "hair-dryer",
			"wireless_internet", "24hr-checkin"},
		"has_availability": d.Int(4, 10) > 0, "synchronization_category": "sync_all", "apt": nil,
		"street": "Example Quay " + strconv.Itoa(i+1),
		"city":   "Gent", "state": nil, "zipcode": "9000", "country_code": "BE", "lat": 51.054, "lng": 3.725,
		"listing_price":    80 + d.Int(5, 200) + rev,
		"listing_currency": "EUR", "permit_or_tax_id": nil, "wifi_network": "loft", "wifi_password": WifiPassword,
	}
	if id > firstLong {
		l["id_str"] = strconv.FormatInt(id, 10)
		l["amenities"] = map[string]any{"POOL": map[string]any{"instruction": "", "is_present": true, "metadata": nil}}
		l["listing_approval_status"] = map[string]any{"status_category": "approved", "notes": nil}
		l["tier"], l["check_in_option"], l["listing_nickname"] = "marketplace", nil, nil
	} else {
		l["requested_approval_status_category"] = "approved"
	}
	if shape, ok := s.odd(i, 3); ok {
		switch shape {
		case 0:
			l["lat"], l["lng"], l["bathrooms"] = "51.054000", "3.725000", 2
		case 1:
			l["id"], l["listing_price"] = strconv.FormatInt(id, 10), nil
		case 2:
			for _, f := range []string{"property_type_group", "person_capacity", "street", "city", "zipcode",
				"country_code", "synchronization_category"} {
				delete(l, f)
			}
		}
	}
	return l
}

func (s *Server) photoRecord(listing, n int) map[string]any {
	p := map[string]any{
		"id": 5_000_000 + listing*1000 + n, "listing_id": listingID(listing), "caption": fmt.Sprintf("Room %d", n+1),
		"sort_order": n + 1,
		"large_url":  fmt.Sprintf("https://images.example.com/%d/%d.jpg", listing, n),
	}
	if n == 0 {
		p["caption"] = nil
	}
	return p
}

// canceled is what became of a reservation that Change took away: it stays, as canceled.
func (s *Server) canceled(i int) bool { return !s.reservations.Exists(i) }

func (s *Server) created(i int) time.Time {
	return s.cfg.Epoch.Add(-time.Duration(3600+partnersim.Roll(s.cfg.Seed, kindReservation, i).Int(1,
		8_000_000)) * time.Second)
}

// start is the first night: within 300 days around the epoch.
func (s *Server) start(i int) time.Time {
	d := partnersim.Roll(s.cfg.Seed, kindReservation, i)
	return s.cfg.Epoch.Truncate(24*time.Hour).AddDate(0, 0, d.Int(2, 330)-30)
}

var states = []string{"accept", "accept", "accept", "pending", "deny", "timeout", "cancelled_by_host",
	"cancelled_by_guest", "accept"}

// status is a reservation's status_type now.
func (s *Server) status(i int) string {
	s.mu.Lock()
	written := s.accepted[i]
	s.mu.Unlock()
	switch {
	case s.canceled(i):
		return "cancelled_by_guest"
	case written != "":
		return written
	}
	return partnersim.Pick(partnersim.Roll(s.cfg.Seed, kindReservation, i), 3, states)
}

// reservationRecord is a reservation, of the older shape or the newer one.
func (s *Server) reservationRecord(i int) map[string]any {
	d := partnersim.Roll(s.cfg.Seed, kindReservation, i)
	listing, rev := s.listingOf(i), s.reservations.Revision(i)
	s.mu.Lock()
	gone, isGone := s.gone[i]
	s.mu.Unlock()
	if isGone {
		rev = partnersim.Revision{Number: rev.Number + 1, At: gone}
	}
	created := s.created(i)
	updated := created.Add(5 * time.Minute)
	if rev.Number > 0 {
		updated = rev.At
		if created.After(updated) {
			created = updated
		}
	}
	nights, adults := 1+d.Int(4, 6), 1+d.Int(5, 3)
	start := s.start(i)
	cents := func(n int) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }
	price := nights * (8000 + d.Int(6, 20_000))
	fee, payout := price*3/100, price-price*3/100+3500
	status := s.status(i)
	stamp := func(t time.Time) string { return t.Format("2006-01-02T15:04:05+00:00") }
	r := map[string]any{
		"confirmation_code": confirmationCode(i), "status_type": status, "start_date": start.Format(time.DateOnly),
		"end_date": start.AddDate(0, 0, nights).Format(time.DateOnly), "nights": nights,
		"listing_id": listingID(listing), "host_id": HostID,
		"guest_id": 810_000 + i, "guest_first_name": "Lea", "guest_last_name": "Muster",
		"guest_email":         fmt.Sprintf("lea-%010d@guest.example.com", i),
		"guest_phone_numbers": []string{"+32 400 00 00 00"}, "guest_preferred_locale": "nl",
		"guest_details": map[string]any{"number_of_adults": adults, "number_of_children": 1,
			"number_of_infants": 0, "localized_description": "guests"},
		"number_of_guests": adults + 1, "host_currency": "EUR", "cancellation_policy": "moderate",
		"cancellation_policy_category": "moderate",
		"created_at":                   stamp(created), "updated_at": stamp(updated), "booked_at": stamp(created),
		"listing_base_price": (price + 50) / 100, "listing_base_price_accurate": cents(price),
		"listing_cleaning_fee_accurate": "35.00",
		"listing_host_fee":              (fee + 50) / 100, "listing_host_fee_accurate": cents(fee),
		"expected_payout_amount":          (payout + 50) / 100,
		"expected_payout_amount_accurate": cents(payout), "total_paid_amount": (price + 3550) / 100,
		"total_paid_amount_accurate": cents(price + 3500),
		"thread_id":                  990_000 + i,
	}
	if strings.HasPrefix(status, "cancelled") {
		r["listing_cancellation_payout"], r["listing_cancellation_payout_accurate"] = 0, "0.00"
	}
	if status == "pending" {
		r["booked_at"] = nil
	}
	if id := listingID(listing); id > firstLong {
		r["listing_id_str"], r["thread_id"] = strconv.FormatInt(id, 10), strconv.Itoa(990_000+i)
		r["check_in_datetime"] = start.Format("2006-01-02") + "T15:00:00+01:00[Europe/Brussels]"
		r["created_at"], r["updated_at"] = created.Format(time.RFC3339), updated.Format(time.RFC3339)
	}
	if shape, ok := s.odd(i, 4); ok {
		switch shape {
		case 0: // guests are strings or missing
			r["guest_id"], r["guest_last_name"], r["guest_email"], r["guest_phone_numbers"] = strconv.Itoa(810_000+i), nil, nil, []string{}
			delete(r, "guest_details")
		case 1: // an accurate amount that is a number
			r["transient_occupancy_tax_paid_amount"], r["transient_occupancy_tax_paid_amount_accurate"] = 9, 9.45
			r["standard_fees_details"] = []any{map[string]any{"fee_type": "PASS_THROUGH_LINEN_FEE",
				"amount_native": 12.5}}
		case 2: // no end
			delete(r, "end_date")
			r["listing_cleaning_fee_accurate"] = nil
		case 3: // an id in text alone
			r["listing_id"] = strconv.FormatInt(listingID(listing), 10)
		}
	}
	return r
}
