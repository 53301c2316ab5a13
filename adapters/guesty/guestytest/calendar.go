package guestytest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

const (
	calendarPath = "/v1/availability-pricing/api/calendar/listings/"
	minifiedPath = calendarPath + "minified/"
	mediaJSON    = "application/json"
)

// Fields of the dice of a day.
const (
	dBlock = iota
	dPrice
	dMinNights
	dOther
)

// edit is what a client wrote to one day; nil fields were not written.
type edit struct {
	blocked   *bool
	price     *json.Number
	minNights *int
	cta, ctd  *bool
}

type dayKey struct{ listing, day int }

// day is one day of a listing's calendar.
type day struct {
	date       time.Time
	code       string // why it is blocked: "" or a block's code
	price      string
	base       bool
	minNights  int
	cta, ctd   bool
	allotment  int // of a multi-unit listing
	multi      bool
	currencyOf string
}

const dayLength = 24 * time.Hour

func (s *Server) day(listing int, at time.Time) day {
	n := int(at.Sub(createdBase) / dayLength)
	dice := partnersim.Roll(s.cfg.Seed^uint64(listing), kindDay, n)
	d := day{
		date: at, base: dice.Int(dPrice, 3) == 0, minNights: 1 + dice.Int(dMinNights, 4),
		ctd:   dice.Int(dOther, 11) == 0,
		multi: s.multi(listing), currencyOf: s.listingFacts(listing).place.currency,
	}
	cents := 9000 + 50*dice.Int(dPrice, 200)
	var w writer
	w.money(nil, "p", cents)
	d.price = strings.TrimPrefix(string(w.b), `"p":`)
	switch r := dice.Int(dBlock, 20); {
	case r < 6:
		d.code = "b"
	case r == 6:
		d.code = "r"
	case r == 7:
		d.code = "m"
	case r == 8:
		d.code = "pt"
	}
	if d.multi {
		if d.allotment = dice.Int(dBlock, 4); d.allotment > 0 {
			d.code = ""
		} else {
			d.code = "a"
		}
	}
	s.mu.Lock()
	e, ok := s.edits[dayKey{listing, n}]
	s.mu.Unlock()
	if !ok {
		return d
	}
	if e.blocked != nil && (d.code == "" || d.code == "m") { // what is booked stays so, with status 200
		d.code = ""
		if *e.blocked {
			d.code = "m"
		}
	}
	if e.price != nil {
		d.price, d.base = e.price.String(), false
	}
	if e.minNights != nil {
		d.minNights = *e.minNights
	}
	if e.cta != nil {
		d.cta = *e.cta
	}
	if e.ctd != nil {
		d.ctd = *e.ctd
	}
	return d
}

// multi reports whether the listing is of several units: those of the type MTL.
func (s *Server) multi(listing int) bool { return s.odd(listing, oddListingShapes) == oddSparse }

// calendarError writes the bodies that are documented (ref-2026-05).
func calendarError(w http.ResponseWriter, status int, code, text, listing string) {
	var j writer
	j.open('{')
	j.str(nil, "message", text)
	j.str(nil, "code", code)
	if status == http.StatusNotFound {
		j.object(nil, "data", func(*projection) { j.str(nil, "listingId", listing) })
	} else {
		j.raw(nil, "details", "[]")
	}
	j.str(nil, "requestId", w.Header().Get("x-request-id"))
	j.close('}')
	send(w, status, j.b)
}

// readCalendar answers both calendars. The bound on a range is unverified: none is documented, 24 months are seen.
func (s *Server) readCalendar(w http.ResponseWriter, r *http.Request) {
	id, minified := strings.CutPrefix(r.URL.Path, minifiedPath)
	if !minified {
		id = strings.TrimPrefix(r.URL.Path, calendarPath)
	}
	s.Params(r, "startDate", "endDate", "view", "includeAllotment", "ignoreInactiveChildAllotment",
		"ignoreUnlistedChildAllotment")
	i, ok := partnersim.HexIndex(s.cfg.Seed, kindListing, id)
	if !ok || !s.listings.Exists(i) {
		calendarError(w, http.StatusNotFound, "LISTING_NOT_FOUND", "Listing not found", id)
		return
	}
	q := r.URL.Query()
	from, to, ok := dates(q.Get("startDate"), q.Get("endDate"), 800)
	view := q.Get("view")
	if !ok || minified && view != "compact" && view != "full" {
		s.Note("%s %s: startDate, endDate or view does not make sense", r.Method, template(r.URL.Path))
		calendarError(w, http.StatusUnprocessableEntity, "ValidationError", "Validation error", id)
		return
	}
	var j writer
	j.open('{')
	if minified {
		s.writeMinified(&j, i, from, to, view == "full")
	} else {
		s.writeCalendar(&j, i, from, to, q.Get("includeAllotment") == "true")
	}
	j.close('}')
	send(w, http.StatusOK, j.b)
}

// dates reads a range of at most so many days.
func dates(from, to string, most int) (first, last time.Time, ok bool) {
	first, err1 := time.Parse(time.DateOnly, from)
	last, err2 := time.Parse(time.DateOnly, to)
	days := int(last.Sub(first)/dayLength) + 1
	return first, last, err1 == nil && err2 == nil && days >= 1 && days <= most && first.Year() >= 2000
}

func (s *Server) writeCalendar(j *writer, i int, from, to time.Time, allotment bool) {
	j.int(nil, "status", http.StatusOK)
	j.object(nil, "data", func(*projection) {
		j.array(nil, "days", func(*projection) {
			for at := from; !at.After(to); at = at.Add(dayLength) {
				d := s.day(i, at)
				j.open('{')
				j.str(nil, "date", date(at))
				j.str(nil, "listingId", s.listingID(i))
				j.str(nil, "currency", d.currencyOf)
				j.raw(nil, "price", d.price)
				j.bool(nil, "isBasePrice", d.base)
				j.int(nil, "minNights", d.minNights)
				j.bool(nil, "isBaseMinNights", d.minNights == 1)
				status := "unavailable"
				switch d.code {
				case "":
					status = "available"
				case "b", "a":
					status = "booked"
				case "r":
					status = "reserved"
				}
				j.str(nil, "status", status)
				if d.multi && allotment {
					j.int(nil, "allotment", d.allotment)
				}
				j.bool(nil, "cta", d.cta)
				j.bool(nil, "ctd", d.ctd)
				j.object(nil, "blocks", func(*projection) {
					for _, code := range []string{"m", "r", "b", "bd", "o", "pt", "a"} {
						j.bool(nil, code, code == d.code)
					}
				})
				j.close('}')
			}
		})
	})
	j.str(nil, "message", "OK")
}

func (s *Server) writeMinified(j *writer, i int, from, to time.Time, full bool) {
	j.object(nil, "days", func(*projection) {
		j.str(nil, "listingId", s.listingID(i))
		j.str(nil, "startDate", date(from))
		j.str(nil, "endDate", date(to))
		j.str(nil, "currency", s.listingFacts(i).place.currency)
		var blocked []day
		j.array(nil, "calendar", func(*projection) {
			for at := from; !at.After(to); at = at.Add(dayLength) {
				d := s.day(i, at)
				j.open('{')
				j.str(nil, "date", date(at))
				j.raw(nil, "price", d.price)
				j.int(nil, "minNights", d.minNights)
				j.object(nil, "blocks", func(*projection) { // the true ones alone
					if d.code != "" {
						j.bool(nil, d.code, true)
					}
				})
				if full && d.code != "" {
					blocked = append(blocked, d)
					j.strings(nil, "blockIds", s.blockID(i, at))
				}
				j.bool(nil, "cta", d.cta)
				j.bool(nil, "ctd", d.ctd)
				j.close('}')
			}
		})
		if !full {
			return
		}
		j.object(nil, "blocks", func(*projection) {
			for _, d := range blocked {
				j.object(nil, s.blockID(i, d.date), func(*projection) {
					j.str(nil, "_id", s.blockID(i, d.date))
					j.str(nil, "listingId", s.listingID(i))
					j.str(nil, "type", d.code)
					j.time(nil, "startDate", d.date)
					j.time(nil, "endDate", d.date)
				})
			}
		})
	})
}

func (s *Server) blockID(listing int, at time.Time) string {
	return partnersim.HexID(s.cfg.Seed^uint64(listing)<<24, kindDay,
		int(at.Sub(createdBase)/dayLength)&partnersim.MaxIndex)
}

// writeDays answers PUT …/calendar/listings/{id}. A range has at most 730 days (documented). That a field beyond the
// documented ones is an error is not documented: it is noted.
func (s *Server) writeDays(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, calendarPath)
	s.Params(r)
	i, ok := partnersim.HexIndex(s.cfg.Seed, kindListing, id)
	if !ok || !s.listings.Exists(i) {
		calendarError(w, http.StatusNotFound, "LISTING_NOT_FOUND", "Listing not found", id)
		return
	}
	var b struct {
		StartDate, EndDate, Note     string
		Status                       *string
		Price                        *json.Number
		MinNights                    *int
		IsBasePrice, IsBaseMinNights *bool
		CTA, CTD                     *bool
	}
	if !s.body(w, r, &b) {
		return
	}
	from, to, ok := dates(b.StartDate, b.EndDate, 730)
	e := edit{price: b.Price, minNights: b.MinNights, cta: b.CTA, ctd: b.CTD}
	if b.Status != nil {
		blocked := *b.Status == "unavailable"
		ok = ok && (blocked || *b.Status == "available")
		e.blocked = &blocked
	}
	if !ok || b.MinNights != nil && *b.MinNights < 1 {
		s.Note("%s %s: the range, status or minNights does not make sense", r.Method, template(r.URL.Path))
		calendarError(w, http.StatusUnprocessableEntity, "ValidationError", "Validation error", id)
		return
	}
	s.mu.Lock()
	for at := from; !at.After(to); at = at.Add(dayLength) {
		key := dayKey{i, int(at.Sub(createdBase) / dayLength)}
		s.edits[key] = s.edits[key].with(e)
	}
	s.mu.Unlock()
	send(w, http.StatusOK, []byte(`"ok"`)) // "the word ok": that it is JSON is unverified
}

// with lays what o writes over what was written.
func (e edit) with(o edit) edit {
	if o.blocked != nil {
		e.blocked = o.blocked
	}
	if o.price != nil {
		e.price = o.price
	}
	if o.minNights != nil {
		e.minNights = o.minNights
	}
	if o.cta != nil {
		e.cta = o.cta
	}
	if o.ctd != nil {
		e.ctd = o.ctd
	}
	return e
}

// body reads a JSON body; a field that is not known is noted.
func (s *Server) body(w http.ResponseWriter, r *http.Request, to any) bool {
	text, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if t := r.Header.Get("Content-Type"); !strings.HasPrefix(t, mediaJSON) {
		s.Note("%s %s: the body is %q, not JSON", r.Method, template(r.URL.Path), t)
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err == nil {
		err = dec.Decode(to)
	}
	if err != nil {
		s.Note("%s %s: %v", r.Method, template(r.URL.Path), err)
		message(w, http.StatusBadRequest, "Bad Request")
		return false
	}
	return true
}

// writeStatus answers PUT /reservations-v3/{id}/status (the vendor's reference: the status is one of eight,
// canceledBy and two texts may come with it).
func (s *Server) writeStatus(w http.ResponseWriter, r *http.Request, id string) {
	s.Params(r)
	i, ok := partnersim.HexIndex(s.cfg.Seed, kindReservation, id)
	if !ok || !s.reservations.Exists(i) {
		notFound(w, r)
		return
	}
	var b struct{ Status, CanceledBy, CancellationReason, CancellationNote string }
	if !s.body(w, r, &b) {
		return
	}
	switch b.Status {
	case "confirmed", "reserved", "awaiting_payment", "inquiry", "canceled", "closed", "declined", "expired":
	default:
		s.Note("%s %s: no status", r.Method, template(r.URL.Path))
		calendarError(w, http.StatusUnprocessableEntity, "ValidationError", "Validation error", "")
		return
	}
	s.mu.Lock()
	s.statuses[i] = b.Status
	s.mu.Unlock()
	var j writer
	j.open('{')
	j.str(nil, "reservationId", id)
	j.str(nil, "status", b.Status)
	j.close('}')
	send(w, http.StatusOK, j.b)
}
