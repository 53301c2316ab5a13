package bookingcomtest

import (
	"encoding/xml"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const namespace = `xmlns="http://www.opentravel.org/OTA/2003/05"`

// ota routes the two queues: GET reads, POST acknowledges.
func (s *Server) ota(w http.ResponseWriter, r *http.Request, name string) {
	if name != "OTA_HotelResNotif" && name != "OTA_HotelResModifyNotif" {
		s.Note("%s: no such message, or not simulated", name)
		s.otaErrors(w, r, http.StatusNotFound, "450", "Not found")
		return
	}
	modified := name == "OTA_HotelResModifyNotif"
	switch r.Method {
	case http.MethodGet:
		s.read(w, r, modified)
	case http.MethodPost:
		s.acknowledge(w, r, modified)
	default:
		s.otaErrors(w, r, http.StatusMethodNotAllowed, "450", "Method not allowed")
	}
}

// otaErrors answers with <Errors>. Which attributes it has for which endpoint is unverified.
func (s *Server) otaErrors(w http.ResponseWriter, r *http.Request, status int, code, text string) {
	name, _ := strings.CutPrefix(r.URL.Path, "/hotels/ota/")
	root := esc(name) + "RS"
	s.xml(w, status, fmt.Sprintf(`<%s %s TimeStamp="%s" Version="2.001"><Errors><Error Type="13" Code="%s" ShortText="%s">%s</Error></Errors></%s>`,
		root, namespace, s.stamp(), esc(code), esc(text), esc(text), root))
}

func (s *Server) stamp() string { return s.now().Format("2006-01-02T15:04:05+00:00") }

// read answers with what waits in a queue.
func (s *Server) read(w http.ResponseWriter, r *http.Request, modified bool) {
	s.Params(r, "hotel_ids", "id", "last_change", "limit")
	q := r.URL.Query()
	s.mu.Lock()
	if hasty := time.Since(s.acked) < s.lasting(5*time.Second); hasty && !s.acked.IsZero() && q.Get("id") == "" {
		s.Note("a queue was read less than 5 s after an acknowledgement")
	}
	s.mu.Unlock()
	hotels, denied := s.hotels(q)
	if denied {
		s.otaErrors(w, r, http.StatusForbidden, "497", "Access denied for hotel")
		return
	}
	limit := s.cfg.Limit
	// unverified, as is that what was acknowledged is sent again: there would be no way to go on
	if q.Has("last_change") {
		limit = math.MaxInt
	}
	if n, err := strconv.Atoi(q.Get("limit")); err == nil && n > 0 {
		limit = min(n, limit)
	}
	var since time.Time
	if text := q.Get("last_change"); text != "" {
		var err error
		if since, err = time.Parse(time.DateTime, text); err != nil {
			if since, err = time.Parse(time.RFC3339, text); err != nil {
				s.otaErrors(w, r, http.StatusBadRequest, "320", "last_change has to be in ISO 8601")
				return
			}
		}
		if s.cfg.Recovery && time.Since(since) > s.lasting(30*time.Minute)+time.Second {
			s.otaErrors(w, r, http.StatusBadRequest, "320", "last_change can not be older than 30 minutes")
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []int
	if id := q.Get("id"); id != "" {
		i, ok := s.bookingIndex(id)
		if !ok || (s.bookings[i].rev > 0) != modified || hotels != nil && !slices.Contains(hotels,
			PropertyID(s.propertyOf(i))) {
			s.otaErrors(w, r, http.StatusNotFound, "450", "Reservation not found")
			return
		}
		found = []int{i}
	} else {
		found = s.queue(modified, hotels, since, limit)
	}
	outer, inner := "HotelReservations", "HotelReservation"
	if modified {
		outer, inner = "HotelResModifies", "HotelResModify"
	}
	root := "OTA_HotelResNotifRQ"
	if modified {
		root = "OTA_HotelResModifyNotifRQ"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<%s %s TimeStamp="%s" Target="Test" Version="2.001">`, root, namespace, s.stamp())
	if len(found) > 0 || s.cfg.Odd < 0 { // unverified which of the two an empty queue sends
		fmt.Fprintf(&b, "<%s>", outer)
		for _, i := range found {
			s.bookings[i].delivered = true
			s.message(&b, i, inner)
		}
		fmt.Fprintf(&b, "</%s>", outer)
	}
	fmt.Fprintf(&b, "</%s>", root)
	s.xml(w, http.StatusOK, b.String())
}

// hotels returns the ids that hotel_ids restricts to, nil for all. The separator is unverified: clients send one id.
func (s *Server) hotels(q url.Values) (ids []string, denied bool) {
	text := q.Get("hotel_ids")
	if text == "" {
		return nil, false
	}
	ids = strings.Split(text, ",")
	for _, id := range ids {
		if _, ok := s.index(id); !ok {
			return nil, true
		}
	}
	return ids, false
}

// queue returns the indexes of the waiting messages, oldest first; since a time, of all that were queued since,
// acknowledged or not. mu is held.
func (s *Server) queue(modified bool, hotels []string, since time.Time, limit int) []int {
	var found []int
	for i := range s.bookings {
		b := &s.bookings[i]
		if (b.rev > 0) != modified || hotels != nil && !slices.Contains(hotels, PropertyID(s.propertyOf(i))) {
			continue
		}
		if since.IsZero() && (b.acked || s.fallen(i)) || !since.IsZero() && b.queued.Before(since) {
			continue
		}
		found = append(found, i)
	}
	slices.SortStableFunc(found, func(a, b int) int { return s.bookings[a].queued.Compare(s.bookings[b].queued) })
	return found[:min(limit, len(found))]
}

// ack is an acknowledgement.
type ack struct {
	XMLName   xml.Name
	TimeStamp string `xml:",attr"`
	Target    string `xml:",attr"`
	Success   *struct{}
	Errors    *struct{ Error []struct{} }
	New       []ackID `xml:"HotelReservations>HotelReservation>ResGlobalInfo>HotelReservationIDs>HotelReservationID"`
	Modified  []ackID `xml:"HotelResModifies>HotelResModify>ResGlobalInfo>HotelReservationIDs>HotelReservationID"`
}

type ackID struct {
	Value string `xml:"ResID_Value,attr"`
}

// acknowledge takes messages out of a queue: all that are named, or none when one of them cannot be (unverified which).
func (s *Server) acknowledge(w http.ResponseWriter, r *http.Request, modified bool) {
	var a ack
	if err := xml.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&a); err != nil {
		s.otaErrors(w, r, http.StatusBadRequest, "320", "The body is not XML")
		return
	}
	root, ids := "OTA_HotelResNotifRS", a.New
	if modified {
		root, ids = "OTA_HotelResModifyNotifRS", a.Modified
	}
	switch {
	case a.XMLName.Local != root || len(ids) == 0:
		s.otaErrors(w, r, http.StatusBadRequest, "320", "The reservation's message is of the wrong type")
		return
	case a.TimeStamp == "" || a.Target == "":
		s.otaErrors(w, r, http.StatusBadRequest, "321", "TimeStamp and Target are required")
		return
	case a.Errors != nil: // a rejection: the messages stay
		s.xml(w, http.StatusOK, fmt.Sprintf(`<%s %s TimeStamp="%s" Version="2.001"><Success/></%s>`, root, namespace,
			s.stamp(), root))
		return
	case a.Success == nil:
		s.otaErrors(w, r, http.StatusBadRequest, "320", "Neither Success nor Errors")
		return
	}
	s.mu.Lock()
	var named []int
	bad := ""
	for _, id := range ids {
		i, ok := s.bookingIndex(id.Value)
		switch {
		case !ok:
			bad = "Reservation not found"
		case (s.bookings[i].rev > 0) != modified, !s.bookings[i].delivered && !s.bookings[i].acked:
			bad = "The reservation's message is of the wrong type"
		default:
			named = append(named, i)
		}
	}
	if bad == "" {
		for _, i := range named {
			s.bookings[i].acked = true
		}
		s.acked = time.Now()
	}
	s.mu.Unlock()
	if bad != "" {
		s.otaErrors(w, r, http.StatusBadRequest, "320", bad)
		return
	}
	s.xml(w, http.StatusOK, fmt.Sprintf(`<%s %s TimeStamp="%s" Version="2.001"><Success/></%s>`, root, namespace,
		s.stamp(), root))
}

// missed is Reservation Recovery. That a reservation leaves the list when it is acknowledged is unverified.
func (s *Server) missed(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "page_size")
	size, err := strconv.Atoi(r.URL.Query().Get("page_size"))
	if err != nil || size < 1 {
		size = 50
	}
	if !s.cfg.Recovery {
		s.envelope(w, http.StatusForbidden, nil, "497", "Reservation Recovery is off")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := []any{}
	for i := range s.bookings {
		if !s.fallen(i) || s.bookings[i].acked || len(rows) == size {
			continue
		}
		name := "OTA_HotelResNotif"
		if s.bookings[i].rev > 0 {
			name = "OTA_HotelResModifyNotif"
		}
		st := s.stay(i)
		id, hotel := ReservationID(i), PropertyID(st.property)
		row := map[string]any{
			"reservation_id": id, "hotel_id": hotel, "checkin": day(st.from),
			"reference_type": "confirmation_to_hotel", "reservation_status": "active",
			"uri": "/hotels/ota/" + name + "?hotel_ids=" + hotel + "&id=" + id,
		}
		if _, odd := s.odd(i, 1); odd { // seen in a sample: leading zeros
			row["hotel_id"] = "000" + hotel
		}
		rows = append(rows, row)
	}
	s.json(w, http.StatusOK, map[string]any{"errors": []any{}, "data": rows})
}
