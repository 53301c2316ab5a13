package cloudbedstest

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// form returns the body's fields: a form, since JSON is refused by the methods that are here (seen in client code), as
// if nothing had been sent. Fields that the method does not document are noted, and ignored.
func (s *Server) form(r *http.Request, documented ...string) url.Values {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if media != "application/x-www-form-urlencoded" {
		s.Note("%s: the body is %s, not a form", r.URL.Path, media)
		return url.Values{}
	}
	if err := r.ParseForm(); err != nil {
		return url.Values{}
	}
	for name := range r.PostForm {
		if base, _, _ := strings.Cut(name, "["); !slices.Contains(documented, base) {
			s.Note("%s: the field %s is not documented", r.URL.Path, base)
		}
	}
	return r.PostForm
}

// missing refuses a form that lacks one of the fields.
func missing(w http.ResponseWriter, form url.Values, names ...string) bool {
	for _, name := range names {
		if form.Get(name) == "" {
			fail(w, "Parameter "+name+" is required")
			return true
		}
	}
	return false
}

// index returns which reservation has the id.
func (s *Server) index(id string) (int, bool) {
	n, err := strconv.Atoi(id)
	if i := n - firstReservation; err == nil && i >= 0 && i%37 == 0 && i/37 < s.reservations.Total() {
		return i / 37, true
	}
	return 0, false
}

// putReservation changes a reservation's status, of what the method can. The answer has the reservation, or null, as the
// specification allows (openapi-1.3).
func (s *Server) putReservation(w http.ResponseWriter, r *http.Request) {
	form := s.form(r, "propertyID", "reservationID", "estimatedArrivalTime", "status", "checkoutDate", "customFields",
		"rooms")
	if missing(w, form, "reservationID") {
		return
	}
	i, ok := s.index(form.Get("reservationID"))
	if property := form.Get("propertyID"); ok && property != "" && property != propertyID(s.propertyOf(i)) {
		fail(w, noMatch)
		return
	}
	if !ok {
		fail(w, "Parameter reservationID is not valid") // how an unknown one is refused is not verified
		return
	}
	status := form.Get("status")
	if status == "" || status == "cancelled" || !slices.Contains(states, status) {
		fail(w, "Parameter status is not valid")
		return
	}
	s.mu.Lock()
	s.status[i] = change{status, s.now()}
	s.writes++
	n := s.writes
	s.mu.Unlock()
	if _, odd := s.odd(n+s.cfg.Odd-2, 1); odd {
		send(w, http.StatusOK, []byte(`{"success":true,"data":null}`))
		return
	}
	send(w, http.StatusOK, encode(answer{Success: true, Data: map[string]any{
		"propertyID": propertyID(s.propertyOf(i)), "reservationID": reservationID(i), "status": status, "total": 600,
		"balance": 0, "assigned": []any{}, "unassigned": []any{},
	}}))
}

// change is a status that was written, and when by the partner's clock.
type change struct {
	status string
	at     time.Time
}

// now is the partner's time: as long after the epoch as the server runs, times the scale.
func (s *Server) now() time.Time {
	return s.cfg.Epoch.Add(time.Duration(float64(time.Since(s.started)) * max(s.cfg.Scale, 1))).Truncate(time.Second)
}

// Status returns the status of the reservation with the id as it was written last, "" if it was not.
func (s *Server) Status(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, _ := s.index(id)
	return s.status[i].status
}

// Each property has two room types, each with a rate that can be written and one derived from it.
const roomTypes = 2

func roomTypeID(property, n int) string { return strconv.Itoa(514201 + property*10 + n) }
func rateID(property, n int, derived bool) string {
	id := 900100 + property*100 + n*10
	if derived {
		id++
	}
	return strconv.Itoa(id)
}

func (s *Server) getRoomTypes(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "propertyIDs", "roomTypeIDs", "startDate", "endDate", "adults", "children", "detailedRates",
		"roomTypeName", "propertyCity", "propertyName",
		"maxGuests", "pageNumber", "pageSize", "sort")
	all, ok := s.properties(w, r)
	if !ok {
		return
	}
	s.paged(w, r, len(all)*roomTypes, 20, "roomTypeID", func(i int) map[string]any {
		property, n := all[i/roomTypes], i%roomTypes
		t := map[string]any{
			"roomTypeID": roomTypeID(property, n), "propertyID": propertyID(property),
			"roomTypeName": "Double Sea View", "roomTypeNameShort": "DSV",
			"roomTypeDescription": "", "isPrivate": true, "maxGuests": 2, "adultsIncluded": 1, "childrenIncluded": 0,
		}
		if n == 1 {
			t["roomTypeName"], t["roomTypeNameShort"], t["isPrivate"], t["maxGuests"] = "Six Bed Dorm", "D6", false, "6"
		}
		return t
	})
}

// properties are those that propertyIDs asks for; what is not the group's is refused.
func (s *Server) properties(w http.ResponseWriter, r *http.Request) ([]int, bool) {
	want := s.wanted(r, "propertyIDs")
	var all []int
	for _, i := range s.existing() {
		if want == nil || slices.Contains(want, propertyID(i)) {
			all = append(all, i)
		}
	}
	if want != nil && len(all) == 0 {
		fail(w, noMatch)
		return nil, false
	}
	return all, true
}

// getRatePlans answers the nights from startDate to the one before endDate, the day of departure (documented:
// openapi-1.3).
func (s *Server) getRatePlans(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "propertyIDs", "rateIDs", "roomTypeID", "promoCode", "includePromoCode", "startDate", "endDate",
		"adults", "children", "detailedRates", "includeSharedRooms")
	q := r.URL.Query()
	if missing(w, q, "startDate", "endDate") {
		return
	}
	from, err := time.Parse(time.DateOnly, q.Get("startDate"))
	to, err2 := time.Parse(time.DateOnly, q.Get("endDate"))
	if err != nil || err2 != nil || !to.After(from) {
		fail(w, "Parameter endDate is not valid")
		return
	}
	all, ok := s.properties(w, r)
	if !ok {
		return
	}
	rows := []map[string]any{}
	for _, property := range all {
		for n := range roomTypes {
			for _, derived := range []bool{false, true} {
				row := map[string]any{
					"rateID": rateID(property, n, derived), "isDerived": derived, "roomRate": 120, "totalRate": 120,
					"roomsAvailable": 3,
					"roomTypeID":     roomTypeID(property, n), "roomTypeName": "Double Sea View",
					"propertyID": propertyID(property),
				}
				if derived {
					row["ratePlanID"], row["ratePlanNamePublic"], row["derivedType"], row["derivedValue"] = "770055", "Saver", "percentage", -10
				}
				if q.Get("detailedRates") == "true" {
					var days []any
					for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
						days = append(days, s.day(property, n, derived, day))
					}
					row["roomRateDetailed"] = days
				}
				rows = append(rows, row)
			}
		}
	}
	count := len(rows)
	send(w, http.StatusOK, encode(answer{true, rows, &count, nil}))
}

// day is one night of a rate: as generated, and over it what was written.
func (s *Server) day(property, n int, derived bool, day time.Time) map[string]any {
	date := day.Format(time.DateOnly)
	d := partnersim.Roll(s.cfg.Seed, 4, property*1000+n*500+day.YearDay())
	price := 100 + d.Int(0, 50)
	v := map[string]any{
		"date": date, "rate": price, "totalRate": price, "roomsAvailable": d.Int(1, 5),
		"closedToArrival": d.Int(2, 5) == 0, "closedToDeparture": false,
		"blocked": false, "minLos": 1, "maxLos": 0, "cutOff": 0, "lastMinuteBooking": 0,
	}
	s.mu.Lock()
	for name, text := range s.rates[rateID(property, n, false)+" "+date] {
		switch {
		case text == "true" || text == "false":
			v[name] = text == "true"
		case name == "rate":
			v["rate"], v["totalRate"] = text, text // a text, as some answers have it
		default:
			v[name], _ = strconv.Atoi(text) // was checked when it was written
		}
	}
	s.mu.Unlock()
	if shape, odd := s.odd(day.YearDay(), 2); odd && shape == 0 {
		if n, number := v["rate"].(int); number {
			v["rate"] = fmt.Sprintf("%d.00", n)
		}
	} else if odd {
		v["rateBase"] = v["rate"] // how the specification calls it
		delete(v, "rate")
	}
	if derived {
		v["totalRate"] = price
	}
	return v
}

var intervalField = regexp.MustCompile(`^rates\[(\d+)\](?:\[interval\]\[(\d+)\])?\[(\w+)\]$`)

// patchRate takes rates and their intervals, as PHP reads lists in forms; an interval's endDate is taken for its last
// night. Neither is established, nor what its refusals say. What was written shows at once, and the job is done two of
// the partner's seconds later.
func (s *Server) patchRate(w http.ResponseWriter, r *http.Request) {
	form := s.form(r, "rates")
	rates, intervals := map[string]string{}, map[string]map[string]string{}
	for name := range form {
		m := intervalField.FindStringSubmatch(name)
		switch {
		case m == nil:
			s.Note("patchRate: the field %s is not documented", name)
		case m[2] == "" && m[3] == "rateID":
			rates[m[1]] = form.Get(name)
		default:
			key := m[1] + " " + m[2]
			if intervals[key] == nil {
				intervals[key] = map[string]string{}
			}
			intervals[key][m[3]] = form.Get(name)
		}
	}
	switch {
	case len(rates) == 0 || len(intervals) == 0:
		fail(w, "Parameter rates is required")
		return
	case len(intervals) > 30:
		fail(w, "A maximum of 30 intervals per update is allowed")
		return
	}
	writable := map[string]bool{}
	for _, property := range s.existing() {
		for n := range roomTypes {
			writable[rateID(property, n, false)] = true
		}
	}
	for _, id := range rates {
		if !writable[id] {
			fail(w, "Parameter rateID is not valid") // derived ones, too
			return
		}
	}
	wrong := false
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, fields := range intervals {
		rate, _, _ := strings.Cut(key, " ")
		from, err := time.Parse(time.DateOnly, fields["startDate"])
		to, err2 := time.Parse(time.DateOnly, fields["endDate"])
		if err != nil || err2 != nil || to.Before(from) || to.Sub(from) > 800*24*time.Hour || !s.written(fields) {
			wrong = true
			continue
		}
		for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
			at := rates[rate] + " " + day.Format(time.DateOnly)
			if s.rates[at] == nil {
				s.rates[at] = map[string]string{}
			}
			for name, v := range fields {
				if name != "startDate" && name != "endDate" {
					s.rates[at][name] = v
				}
			}
		}
	}
	id := fmt.Sprintf("job-%04d", len(s.jobs)+1)
	s.jobs = append(s.jobs, job{id, time.Now().Add(s.scaled(2 * time.Second)), wrong})
	send(w, http.StatusOK, encode(map[string]any{"success": true, "jobReferenceID": id}))
}

// written reports whether the values of an interval are of their types, and notes fields that are not documented.
func (s *Server) written(fields map[string]string) bool {
	for name, v := range fields {
		switch name {
		case "startDate", "endDate":
		case "rate":
			if f, err := strconv.ParseFloat(v, 64); err != nil || f < 0 {
				return false
			}
		case "minLos", "maxLos", "cutOff", "lastMinuteBooking":
			if n, err := strconv.Atoi(v); err != nil || n < 0 {
				return false
			}
		case "closedToArrival", "closedToDeparture", "blocked":
			if v != "true" && v != "false" {
				return false
			}
		default:
			s.Note("patchRate: the field %s of an interval is not documented", name)
		}
	}
	return true
}

type job struct {
	id    string
	done  time.Time
	wrong bool
}

// getRateJobs tells how jobs stand, in the specification's words (openapi-1.3).
func (s *Server) getRateJobs(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "jobReferenceID", "status")
	want := s.wanted(r, "jobReferenceID")
	rows := []map[string]any{}
	s.mu.Lock()
	for _, j := range s.jobs {
		if want != nil && !slices.Contains(want, j.id) {
			continue
		}
		status := "in_progress"
		switch {
		case time.Now().Before(j.done):
		case j.wrong:
			status = "error"
		default:
			status = "completed"
		}
		rows = append(rows, map[string]any{"jobReferenceID": j.id, "dateCreated": "2026-11-01", "status": status,
			"updates": []any{}})
	}
	s.mu.Unlock()
	send(w, http.StatusOK, encode(map[string]any{"success": true, "hasNextPage": false, "nextPage": nil, "data": rows}))
}
