package bookingcomtest

import (
	"encoding/xml"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"
)

// pull is the B.XML read: what it sends it forgets.
func (s *Server) pull(w http.ResponseWriter, r *http.Request) {
	var q struct {
		XMLName    xml.Name `xml:"request"`
		HotelID    string   `xml:"hotel_id"`
		ID         string   `xml:"id"`
		LastChange string   `xml:"last_change"`
		Limit      int      `xml:"limit"`
	}
	if r.Method != http.MethodPost || xml.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q) != nil {
		s.xml(w, http.StatusBadRequest, `<fault code="1001" string="The request is not what was expected"/>`)
		return
	}
	var hotels []string
	if q.HotelID != "" {
		if _, ok := s.index(q.HotelID); !ok {
			// seen: an error with status 200
			s.xml(w, http.StatusOK, `<error code="403">Access denied for hotel</error>`)
			return
		}
		hotels = []string{q.HotelID}
	}
	var since time.Time
	if q.LastChange != "" {
		var err error
		for _, layout := range []string{time.DateTime, time.RFC3339, time.DateOnly} {
			if since, err = time.Parse(layout, q.LastChange); err == nil {
				break
			}
		}
		if err != nil {
			s.xml(w, http.StatusOK, `<fault code="1004" string="last_change is not a date"/>`)
			return
		}
	}
	limit := s.cfg.Limit
	if !since.IsZero() {
		limit = math.MaxInt
	}
	if q.Limit > 0 {
		limit = min(limit, q.Limit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []int
	if i, ok := s.bookingIndex(q.ID); ok {
		found = []int{i}
	} else if q.ID == "" {
		found = append(s.queue(false, hotels, since, limit), s.queue(true, hotels, since, limit)...)
		found = found[:min(limit, len(found))]
	}
	if len(found) == 0 {
		s.xml(w, http.StatusOK, "<reservations/>")
		return
	}
	var b strings.Builder
	b.WriteString("<reservations>\n")
	for _, i := range found {
		s.bookings[i].acked, s.bookings[i].delivered = true, true
		s.bxml(&b, i)
	}
	b.WriteString("</reservations>")
	s.xml(w, http.StatusOK, b.String())
}

// bxml writes one reservation; mu is held.
func (s *Server) bxml(b *strings.Builder, i int) {
	st := s.stay(i)
	p := site(st.property)
	first, last, email := guest(i)
	status := "new"
	if st.rev > 0 {
		status = "modified"
	}
	if st.cancelled {
		status = "cancelled"
	}
	fmt.Fprintf(b, "<reservation><currencycode>%s</currencycode><customer><address>Str. Exemplu 4</address><cc_cvc>%s</cc_cvc><cc_expiration_date>04/29</cc_expiration_date>"+
		"<cc_name>%s</cc_name><cc_number>%s</cc_number><cc_type>Visa</cc_type><city>%s</city><company/><countrycode>%s</countrycode><dc_issue_number/><dc_start_date/>"+
		"<email>%s</email><first_name>%s</first_name><last_name>%s</last_name><remarks>By train.</remarks><telephone>+40 700 000 000</telephone><zip/></customer>",
		p.currency, CardCode, CardHolder, CardNumber, p.city, strings.ToLower(p.country), email, first, last)
	fmt.Fprintf(b, "<date>%s</date><time>%s</time><hotel_id>%s</hotel_id><hotel_name>Example House</hotel_name><id>%s</id>",
		day(st.booked), st.booked.Format(time.TimeOnly), PropertyID(st.property), ReservationID(i))
	if _, odd := s.odd(i, 1); !odd { // newer, may be missing
		fmt.Fprintf(b, "<booked_at>%s</booked_at>", st.booked.Format("2006-01-02T15:04:05+00:00"))
	}
	if st.cancelled {
		fmt.Fprintf(b, "<status>%s</status><total_cancellation_fee>%s</total_cancellation_fee><totalprice>%s</totalprice></reservation>\n",
			status, decimal(st.fee, p.places), decimal(st.fee, p.places))
		return
	}
	for n, r := range st.rooms {
		fmt.Fprintf(b, "<room><arrival_date>%s</arrival_date><departure_date>%s</departure_date><commissionamount>%s</commissionamount><currencycode>%s</currencycode>"+
			"<extra_info/><guest_name>%s %s</guest_name><id>%s</id><info>No meal.</info><max_children>1</max_children><meal_plan/><name>Room type</name><numberofguests>%d</numberofguests>",
			day(st.from), day(st.from.AddDate(0, 0, st.nights)), decimal(15,
				2), p.currency, first, last, UnitID(st.property, r.unit), r.adults+r.children)
		for n := range st.nights {
			fmt.Fprintf(b, "<price date=\"%s\" rate_id=\"%s\" genius_rate=\"no\">\n  %s\n</price>",
				day(st.from.AddDate(0, 0, n)), RateID(st.property), decimal(r.price, p.places))
		}
		fmt.Fprintf(b, "<remarks/><roomreservation_id>52%d%d</roomreservation_id><smoking/><totalprice>%s</totalprice></room>", firstReservation+i*37, n, decimal(r.price*int64(st.nights), p.places))
	}
	fmt.Fprintf(b, "<status>%s</status><totalprice>%s</totalprice></reservation>\n", status,
		decimal(st.total(), p.places))
}
