package airbnbtest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// day is what a calendar operation wrote of a day; zero fields were not written.
type day struct {
	availability         string
	price, min, max      int
	toArrival, departure *bool
	notes                string
}

// calendar is GET /calendars/{listing}/{start}/{end}; the end is included, as in the fixture.
func (s *Server) calendar(w http.ResponseWriter, r *http.Request, parts []string) {
	s.Params(r)
	i, ok := s.index(parts[1])
	if !ok {
		s.notFound(w)
		return
	}
	from, err1 := time.Parse(time.DateOnly, parts[2])
	to, err2 := time.Parse(time.DateOnly, parts[3])
	if err1 != nil || err2 != nil || to.Before(from) || to.Sub(from) > 800*24*time.Hour {
		s.refuse(w, r, http.StatusBadRequest)
		return
	}
	days := []any{}
	for t := from; !t.After(to); t = t.AddDate(0, 0, 1) {
		days = append(days, s.dayRecord(i, t))
	}
	send(w, http.StatusOK, map[string]any{"calendar": map[string]any{
		"listing_id": listingID(i), "host_id": HostID, "listing_currency": "EUR", "start_date": parts[2],
		"end_date": parts[3], "days": days,
	}, "metadata": map[string]any{}})
}

func (s *Server) dayRecord(listing int, t time.Time) map[string]any {
	d := partnersim.Roll(s.cfg.Seed, kindListing, listing)
	free := d.Int(int(t.Unix()/86_400)%1000+100, 4) > 0
	availability := "available"
	if !free {
		availability = "unavailable"
	}
	rec := map[string]any{
		"date": t.Format(time.DateOnly), "availability_sub_type": nil, "daily_price": 80 + d.Int(5, 200),
		"min_nights": 2, "max_nights": 28, "closed_to_arrival": false, "closed_to_departure": false, "notes": nil,
	}
	s.mu.Lock()
	w := s.days[strconv.Itoa(listing)+"/"+t.Format(time.DateOnly)]
	s.mu.Unlock()
	if w.availability == "available" || w.availability == "unavailable" {
		availability = w.availability
	}
	if w.price > 0 {
		rec["daily_price"] = w.price
	}
	if w.min > 0 {
		rec["min_nights"] = w.min
	}
	if w.max > 0 {
		rec["max_nights"] = w.max
	}
	if w.toArrival != nil {
		rec["closed_to_arrival"] = *w.toArrival
	}
	if w.departure != nil {
		rec["closed_to_departure"] = *w.departure
	}
	if w.notes != "" {
		rec["notes"] = w.notes
	}
	rec["availability"], rec["availability_type"] = availability, availability
	return rec
}

// calendarOperations is the batch write. Dates are days or ranges with both ends included.
func (s *Server) calendarOperations(w http.ResponseWriter, r *http.Request, _ []string) {
	s.Params(r, "_allow_dates_overlap")
	var in struct {
		Listing    json.Number `json:"listing_id"`
		Operations []struct {
			Dates        []string `json:"dates"`
			Availability string   `json:"availability"`
			Price        int      `json:"daily_price"`
			Min          int      `json:"min_nights"`
			Max          int      `json:"max_nights"`
			ToArrival    *bool    `json:"closed_to_arrival"`
			Departure    *bool    `json:"closed_to_departure"`
			Count        *int     `json:"available_count"`
			Notes        string   `json:"notes"`
		} `json:"operations"`
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil || len(in.Operations) == 0 {
		s.Note("calendar_operations: %v", err)
		s.refuse(w, r, http.StatusBadRequest)
		return
	}
	i, ok := s.index(in.Listing.String())
	if !ok {
		s.notFound(w)
		return
	}
	type write struct {
		key string
		day day
	}
	var all []write
	for _, op := range in.Operations {
		switch op.Availability {
		case "", "available", "unavailable", "default":
		default:
			s.refuse(w, r, http.StatusBadRequest)
			return
		}
		for _, text := range op.Dates {
			first, last, ranged := strings.Cut(text, ":")
			if !ranged {
				last = first
			}
			from, err1 := time.Parse(time.DateOnly, first)
			to, err2 := time.Parse(time.DateOnly, last)
			if err1 != nil || err2 != nil || to.Before(from) {
				s.refuse(w, r, http.StatusBadRequest)
				return
			}
			for t := from; !t.After(to) && len(all) < 100_000; t = t.AddDate(0, 0, 1) {
				all = append(all, write{strconv.Itoa(i) + "/" + t.Format(time.DateOnly),
					day{op.Availability, op.Price, op.Min, op.Max, op.ToArrival, op.Departure, op.Notes}})
			}
		}
	}
	s.mu.Lock()
	for _, w := range all {
		s.days[w.key] = w.day
	}
	s.mu.Unlock()
	send(w, http.StatusOK, map[string]any{"calendar_operation": map[string]any{"listing_id": listingID(i)},
		"metadata": map[string]any{}})
}
