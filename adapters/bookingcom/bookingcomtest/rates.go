package bookingcomtest

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// rateKey is a night of a room type, with Rate "" what is said without a rate plan.
type rateKey struct{ room, rate, date string }

// Night returns what a client has said of a night, by the names of the elements; nil when it said nothing. Rate "" is
// what does not belong to a rate plan: roomstosell.
func (s *Server) Night(room, rate, date string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.rates[rateKey{room, rate, date}])
}

// problem is an error of an update.
type problem struct{ code, text string }

type dateXML struct {
	Value    string `xml:"value,attr"`
	From     string `xml:"from,attr"`
	To       string `xml:"to,attr"`
	Children []struct {
		XMLName xml.Name
		ID      string `xml:"id,attr"`
		Text    string `xml:",chardata"`
	} `xml:",any"`
}

// availability is B.XML availability, version 1.1: 200 with <ok/> when all was applied, 200 with errors when a part
// was, 400 when none was, 403 when no room may be changed.
func (s *Server) availability(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
	var q struct {
		XMLName xml.Name `xml:"request"`
		HotelID string   `xml:"hotel_id"`
		Rooms   []struct {
			ID    string    `xml:"id,attr"`
			Dates []dateXML `xml:"date"`
		} `xml:"room"`
	}
	if err == nil {
		err = xml.Unmarshal(body, &q)
	}
	var problems []problem
	applied := 0
	switch v := r.Header.Get("Accept-Version"); {
	case r.Method != http.MethodPost || err != nil:
		// the code is unverified
		s.rateErrors(w, http.StatusBadRequest, []problem{{"SCHEMA_ERROR", "The request is not what was expected"}})
		return
	case v != "1.0" && v != "1.1":
		s.Note("availability without a known Accept-Version")
	case len(q.Rooms) == 0:
		problems = []problem{{"ROOM_ELEMENT_REQUIRED", "There is no room"}}
	}
	hotel, known := s.index(q.HotelID)
	if q.HotelID != "" && !known {
		// the code is unverified
		s.rateErrors(w, http.StatusForbidden, []problem{{"ACCESS_DENIED", "Access denied for hotel"}})
		return
	}
	s.mu.Lock()
	for _, room := range q.Rooms {
		property, ok := s.roomOf(room.ID)
		switch {
		case room.ID == "":
			problems = append(problems, problem{"ROOM_ID_MISSING", "A room has no id"})
			continue
		case !ok || known && property != hotel:
			problems = append(problems, problem{"ROOM_ID_INVALID", "Room " + room.ID +
				" is not known for this property"})
			continue
		}
		for _, d := range room.Dates {
			if p := s.apply(property, room.ID, d); p != nil {
				problems = append(problems, *p)
			} else {
				applied++
			}
		}
	}
	s.mu.Unlock()
	switch {
	case len(problems) == 0:
		s.xml(w, http.StatusOK, "<ok></ok>")
	case applied > 0:
		s.rateErrors(w, http.StatusOK, problems)
	default:
		s.rateErrors(w, http.StatusBadRequest, problems)
	}
}

// roomOf returns the property of a room type.
func (s *Server) roomOf(id string) (property int, ok bool) {
	if len(id) < 3 {
		return 0, false
	}
	property, ok = s.index(id[:len(id)-2])
	n, err := strconv.Atoi(id[len(id)-2:])
	return property, ok && err == nil && n >= 1 && n <= s.cfg.UnitsPerProperty
}

// apply takes one update; mu is held.
func (s *Server) apply(property int, room string, d dateXML) *problem {
	if d.From != "" || d.To != "" {
		s.Note("availability for a range: whether its end is included is not settled")
		return &problem{"FROM_DATE_SHOULD_BE_LESS_THAN_TO_DATE", "Ranges are not simulated"}
	}
	t, err := time.Parse(time.DateOnly, d.Value)
	if err != nil || t.After(s.now().AddDate(3, 0, 0)) {
		return &problem{"DATE_INVALID", "The date is not one of the next three years"} // the code is unverified
	}
	rate, currency := "", ""
	values := map[string]string{}
	for _, c := range d.Children {
		switch text := strings.TrimSpace(c.Text); c.XMLName.Local {
		case "rate":
			rate = c.ID
		case "currencycode":
			currency = text
		case "roomstosell", "price", "price1", "closed", "closedonarrival", "closedondeparture", "minimumstay",
			"minimumstay_arrival", "maximumstay",
			"maximumstay_arrival", "exactstay", "exactstay_arrival":
			values[c.XMLName.Local] = text
		default:
			s.Note("availability: unknown element %q", c.XMLName.Local)
		}
	}
	_, sells := values["roomstosell"]
	_, priced := values["price"]
	switch {
	case sells && rate != "":
		s.Note("availability: roomstosell together with a rate")
	case rate != "" && rate != RateID(property):
		return &problem{"RATE_ID_INVALID", "Rate " + rate + " is not known for this room"} // the code is unverified
	case !sells && rate == "":
		return &problem{"RATE_ELEMENT_REQUIRED", "There is no rate"} // the code is unverified
	case priced && currency != site(property).currency:
		return &problem{"CURRENCY_CODE_DONT_MATCH_HOTEL_CURRENCY", "The currency is " + site(property).currency}
	}
	for name, v := range values {
		n, err := strconv.Atoi(v)
		if strings.Contains(name, "stay") && (err != nil || n < 0 || n > 31) {
			return &problem{"STAY_INVALID", name + " is not 0 to 31"} // the code is unverified
		}
	}
	key := rateKey{room, rate, d.Value}
	if s.rates[key] == nil {
		s.rates[key] = map[string]string{}
	}
	maps.Copy(s.rates[key], values)
	return nil
}

// rateErrors writes errors. The name of the root is unverified.
func (s *Server) rateErrors(w http.ResponseWriter, status int, problems []problem) {
	var b strings.Builder
	b.WriteString("<response><errors>")
	for _, p := range problems {
		fmt.Fprintf(&b, "<error><code>%s</code><message>%s</message></error>", esc(p.code), esc(p.text))
	}
	b.WriteString("</errors></response>")
	s.xml(w, status, b.String())
}
