package cloudbedstest

import (
	"fmt"
	"strconv"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

const (
	firstProperty    = 190001
	firstReservation = 7_736_451_000_000
)

func propertyID(i int) string    { return strconv.Itoa(firstProperty + i) }
func reservationID(i int) string { return strconv.Itoa(firstReservation + i*37) }

// place is where a property is. The first is west of Greenwich.
type place struct{ zone, currency, symbol, country, city string }

var places = []place{
	{"America/Los_Angeles", "USD", "$", "US", "Sampleton"},
	{"Europe/Lisbon", "EUR", "&euro;", "PT", "Sampleport"},
	{"Asia/Ho_Chi_Minh", "VND", "₫", "VN", "Sample Hill"},
	{"Pacific/Kiritimati", "AUD", "$", "KI", "Sample Atoll"},
}

func (s *Server) place(property int) place { return places[property%len(places)] }
func (s *Server) zone(property int) string { return s.place(property).zone }

func (s *Server) propertyOf(reservation int) int { return reservation % s.cfg.Properties }

// naive is the wall clock of t in the zone, as if it were UTC.
func naive(t time.Time, zone string) time.Time {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return t
	}
	t = t.In(loc)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

func (s *Server) currency(p place) map[string]any {
	return map[string]any{"currencyCode": p.currency, "currencySymbol": p.symbol, "currencyPosition": "before"}
}

// hotel is a row of getHotels: the currency is an array, or an object as seen; the image is a URL.
func (s *Server) hotel(i int) map[string]any {
	p := s.place(i)
	h := map[string]any{
		"propertyID": propertyID(i), "organizationID": "88001", "propertyName": fmt.Sprintf("Sample %s %d", p.city,
			i), "propertyImage": image(i, 0),
		"propertyDescription": "By the <b>bay</b>.", "propertyTimezone": p.zone,
		"propertyCurrency": []any{s.currency(p)},
	}
	if shape, ok := s.odd(i, 3); ok {
		switch shape {
		case 0:
			h["propertyCurrency"] = s.currency(p)
		case 1:
			h["propertyImage"], h["propertyDescription"] = nil, nil
		case 2:
			h["propertyImage"], h["propertyID"] = "", firstProperty+i
		}
	}
	return h
}

func image(property, photo int) string {
	return fmt.Sprintf("https://images.example.com/%d/%d.jpg", property, photo)
}

// details is the data of getHotelDetails.
func (s *Server) details(i int) map[string]any {
	p := s.place(i)
	own, more := []any{}, []any{}
	for n := range s.cfg.PhotosPerProperty {
		photo := map[string]any{"thumb": image(i, n) + "?t", "image": image(i, n)}
		if n == 0 {
			own = append(own, photo)
		} else {
			more = append(more, photo)
		}
	}
	currency := s.currency(p)
	currency["currencyDecimalSeparator"], currency["currencyThousandsSeparator"] = ",", "."
	h := map[string]any{
		"propertyID": propertyID(i), "organizationID": "88001", "propertyName": fmt.Sprintf("Sample %s %d", p.city,
			i), "propertyType": "hostel",
		"propertyImage": own, "propertyAdditionalPhotos": more, "propertyDescription": "By the bay.",
		"propertyCurrency":        currency,
		"propertyPrimaryLanguage": "en", "propertyPhone": "+15550100", "propertyEmail": "frontdesk@bay.example.com",
		"propertyAddress": map[string]any{
			"propertyAddress1": "1 Sample Pier", "propertyAddress2": "", "propertyCity": p.city, "propertyState": "",
			"propertyZip":     "0000-001",
			"propertyCountry": p.country, "propertyLatitude": "38.7001", "propertyLongitude": "-9.1002",
		},
		"propertyPolicy": map[string]any{
			"propertyCheckInTime": "15:00", "propertyCheckOutTime": "11:00:00", "propertyLateCheckOutAllowed": true,
			"propertyLateCheckOutValue": "50",
		},
		"propertyAmenities": []string{"Wi-Fi", "Bar"}, "taxID": nil,
	}
	if shape, ok := s.odd(i, 2); ok {
		if shape == 0 {
			h["propertyAddress"] = map[string]any{"propertyAddress1": "", "propertyCountry": p.country,
				"propertyLatitude": "", "propertyLongitude": ""}
			h["propertyAmenities"] = []any{}
		} else {
			h["propertyAddress"], h["propertyPolicy"] = []any{}, []any{}
		}
	}
	return h
}

// modified is when a reservation changed last, and whether by being deleted.
func (s *Server) modified(i int) (at time.Time, deleted bool) {
	s.mu.Lock()
	at, deleted = s.deleted[i]
	written, changed := s.status[i]
	s.mu.Unlock()
	if deleted {
		return at, true
	}
	r := s.reservations.Revision(i)
	switch {
	case changed && written.at.After(r.At):
		return written.at, false
	case r.Number > 0:
		return r.At, false
	}
	return s.created(i).Add(time.Duration(partnersim.Roll(s.cfg.Seed, 1, i).Int(1, 3600)) * time.Second), false
}

func (s *Server) created(i int) time.Time {
	return s.cfg.Epoch.Add(-time.Hour - time.Duration(1+partnersim.Roll(s.cfg.Seed, 1, i).Int(0,
		10_000_000))*time.Second)
}

var states = []string{"not_confirmed", "confirmed", "confirmed", "canceled", "checked_in", "checked_out", "no_show"}

// reservation is a row of getReservationsWithRateDetails.
func (s *Server) reservation(i int) map[string]any {
	d := partnersim.Roll(s.cfg.Seed, 1, i)
	property, rev := s.propertyOf(i), s.reservations.Revision(i).Number
	p, id := s.place(property), reservationID(i)
	at, deleted := s.modified(i)
	created := s.created(i)
	if rev > 0 && at.Before(created) {
		created = at
	}
	from := s.cfg.Epoch.AddDate(0, 0, d.Int(2, 120)-30)
	nights := 1 + d.Int(3, 6)
	date := func(day int) string { return from.AddDate(0, 0, day).Format(time.DateOnly) }
	rooms, rates := []any{}, map[string]any{}
	for n := range nights {
		rates[date(n)] = 120
	}
	for n := range 1 + d.Int(4, 3)/2 {
		sub := id
		if n > 0 {
			sub += "-" + strconv.Itoa(n)
		}
		rooms = append(rooms, map[string]any{
			"roomTypeID": "514201", "roomTypeName": "Double Sea View", "subReservationID": sub, "rateID": "900100",
			"rateName": "Standard", "adults": "2", "children": "0",
			"reservationRoomID": "8899" + sub, "roomID": "514201-" + strconv.Itoa(n), "roomName": "101",
			"roomCheckIn": date(0), "roomCheckOut": date(nights),
			"roomStatus": "not_checked_in", "detailedRoomRates": rates,
		})
	}
	total := 120*nights*len(rooms) + rev
	balance := map[string]any{"suggestedDeposit": "0.00", "subTotal": total - 20, "additionalItems": 0,
		"taxesFees": 20, "grandTotal": total, "paid": 50.5}
	r := map[string]any{
		"propertyID": propertyID(property), "reservationID": id, "isDeleted": deleted,
		"dateCreated": stamp(naive(created, p.zone)), "dateCreatedUTC": stamp(created),
		"dateModified": stamp(naive(at, p.zone)), "dateModifiedUTC": stamp(at),
		"dateCancelled": nil, "dateCancelledUTC": "", "status": partnersim.Pick(d, 5+rev, states),
		"reservationCheckIn": date(0), "reservationCheckOut": date(nights),
		"guestID": strconv.Itoa(50400000 + i), "guestName": "Guest Example",
		"guestEmail": fmt.Sprintf("g%d@guests.example.com", i), "guestCountry": "GB",
		"sourceName": "Booking.com", "source": map[string]any{"name": "Booking.com", "paymentCollect": "hotel",
			"sourceID": "s-2-1", "category": "ota"},
		"sourceReservationID": strconv.Itoa(4400000000 + i), "propertyCurrency": p.currency,
		"balanceDetailed": balance, "detailedRates": rates, "rooms": rooms,
		"total": total, "balance": float64(total) - 50.5, "cardsOnFile": []any{map[string]any{"cardID": CardID,
			"cardNumber": "4242", "cardType": "visa"}},
	}
	if status := s.Status(id); status != "" {
		r["status"] = status
	}
	s.spoil(i, r, balance, rooms)
	return r
}

func stamp(t time.Time) string { return t.UTC().Format(time.DateTime) }

// spoil gives the record its odd shape, if it is its turn.
func (s *Server) spoil(i int, r, balance map[string]any, rooms []any) {
	shape, ok := s.odd(i, 8)
	if !ok {
		return
	}
	switch shape {
	case 0:
		r["balanceDetailed"] = []any{balance}
	case 1: // numbers as texts
		r["total"], r["balance"] = fmt.Sprintf("%v.00", r["total"]), fmt.Sprintf("%.2f", r["balance"])
	case 2: // texts as numbers
		r["adults"], r["children"], r["guestID"] = 2, 0, 50400000+i
	case 3:
		r["source"] = "Booking.com"
	case 4: // empty texts for dates
		r["estimatedArrivalTime"], r["dateCancelledUTC"], r["sourceReservationID"] = "", "", nil
	case 5: // an object keyed by id for an array
		keyed := map[string]any{}
		for n, room := range rooms {
			keyed[strconv.Itoa(88990001+n)] = room
		}
		r["rooms"] = keyed
	case 6: // nothing is assigned, and the guest is erased
		r["rooms"], r["guestList"], r["isAnonymized"], r["guestName"], r["guestEmail"] = []any{}, []any{}, true, "", ""
	case 7:
		r["propertyCurrency"] = []any{map[string]any{"currencyCode": r["propertyCurrency"]}}
		r["isDeleted"] = "0"
		if _, gone := s.modified(i); gone {
			r["isDeleted"] = "1"
		}
	}
}
