package cloudbedstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(body)
}

func fail(w http.ResponseWriter, message string) {
	send(w, http.StatusOK, encode(refused{false, message}))
}

type refused struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
}

func refusal(message string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fail(w, message) })
}

// late says that it did not succeed, behind data.
func late(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, []byte(`{"data":"`+strings.Repeat("x",
		8<<10)+`","success":false,"message":"Scope required for this call was not granted by property."}`))
}

func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	if err := e.Encode(v); err != nil {
		panic(err) // maps, texts and numbers
	}
	return b.Bytes()
}

const denied = `{"error":"access_denied","message":"The resource owner or authorization server denied the request."}`

// refuse answers for a status. A full tier suspends the credential; what the partner answers then is not documented,
// and neither is a header that says when to come back. 429s that a fault rule made bear what the rule says.
func (s *Server) refuse(w http.ResponseWriter, _ *http.Request, status int) {
	switch {
	case status == http.StatusTooManyRequests && !s.storms:
		until := time.Now().Add(time.Duration(float64(Suspension) / max(s.cfg.Scale, 1)))
		s.suspended.Store(until.UnixNano())
		w.Header().Del("Retry-After")
		send(w, http.StatusForbidden, []byte(denied))
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		send(w, status, []byte(denied))
	case status >= 500:
		page(w, status)
	default:
		send(w, status, encode(map[string]any{"status": false, "error": http.StatusText(status)}))
	}
}

// page is the web site's HTML.
func page(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.WriteHeader(status)
	w.Write([]byte("<!DOCTYPE html>\n<html><head><title>" + http.StatusText(status) +
		"</title></head><body></body></html>\n"))
}

// who returns whose a request is: that of the key or of the token.
func (s *Server) who(r *http.Request) string {
	key := r.Header.Get("X-Api-Key")
	if key == "" {
		key, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	if key == APIKey {
		return key
	}
	if client, ok := s.tokens.Client(r); ok {
		return client
	}
	return ""
}

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	method, ok := strings.CutPrefix(r.URL.Path, "/api/v1.3/")
	if !ok {
		method, ok = strings.CutPrefix(r.URL.Path, "/api/v1.2/")
	}
	switch {
	case ok && method == "access_token":
		s.token(w, r)
		return
	case ok && method == "oauth":
		s.authorize(w, r)
		return
	case s.who(r) == "":
		send(w, http.StatusUnauthorized, []byte(denied))
		return
	case s.Suspended():
		send(w, http.StatusForbidden, []byte(denied))
		return
	}
	type call struct {
		verb string
		f    func(http.ResponseWriter, *http.Request)
	}
	c, known := map[string]call{
		"getHotels": {"GET", s.getHotels}, "getHotelDetails": {"GET", s.getHotelDetails},
		"getReservationsWithRateDetails": {"GET", s.getReservations},
		"getRoomTypes":                   {"GET", s.getRoomTypes}, "getRatePlans": {"GET", s.getRatePlans},
		"patchRate": {"POST", s.patchRate}, "getRateJobs": {"GET", s.getRateJobs},
		"putReservation": {"PUT", s.putReservation}, "postWebhook": {"POST", s.postWebhook},
		"getWebhooks": {"GET", s.getWebhooks}, "deleteWebhook": {"", s.deleteWebhook},
	}[method]
	switch {
	case !ok || !known:
		s.Note("%s: no such method, or not simulated", r.URL.Path)
		page(w, http.StatusNotFound)
	case c.verb != "" && r.Method != c.verb:
		s.Note("%s: the verb is %s", r.URL.Path, r.Method)
		send(w, http.StatusNotFound, []byte(`{"status":false,"error":"Unknown method."}`))
	default:
		c.f(w, r)
	}
}

// answer is the envelope. Count is of the page, Total of all.
type answer struct {
	Success bool `json:"success"`
	Data    any  `json:"data"`
	Count   *int `json:"count,omitempty"`
	Total   *int `json:"total,omitempty"`
}

// paged answers with a page of the n rows there are. An odd page is keyed by id, or has success behind the data and
// total as a text.
func (s *Server) paged(w http.ResponseWriter, r *http.Request, n, size int, id string, row func(int) map[string]any) {
	number := 1
	for name, v := range map[string]*int{"pageNumber": &number, "pageSize": &size} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		got, err := strconv.Atoi(text)
		if err != nil || got < 1 || name == "pageSize" && got > 100 {
			fail(w, "Parameter "+name+" is not valid")
			return
		}
		*v = got
	}
	rows := []map[string]any{}
	for i := (number - 1) * size; i < min(number*size, n); i++ {
		rows = append(rows, row(i))
	}
	count := len(rows)
	shape, odd := s.odd(number+s.cfg.Odd-2, 2)
	switch {
	case odd && shape == 0 && count > 0:
		keyed := map[string]any{}
		for _, row := range rows {
			keyed[fmt.Sprint(row[id])] = row
		}
		send(w, http.StatusOK, encode(answer{true, keyed, &count, &n}))
	case odd && shape == 1:
		send(w, http.StatusOK, encode(map[string]any{"data": rows, "success": true, "total": strconv.Itoa(n)}))
	default:
		send(w, http.StatusOK, encode(answer{true, rows, &count, &n}))
	}
}

// wanted returns the values of a comma list, nil for all.
func (s *Server) wanted(r *http.Request, name string) []string {
	text := r.URL.Query().Get(name)
	if text == "" || s.cfg.IgnoreFilters {
		return nil
	}
	return strings.Split(text, ",")
}

const noMatch = "None of the included property id's match the access_token user's property id"

func (s *Server) getHotels(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "propertyIDs", "propertyName", "propertyCity", "pageNumber", "pageSize")
	all, ok := s.properties(w, r)
	if !ok {
		return
	}
	s.paged(w, r, len(all), 20, "propertyID", func(i int) map[string]any { return s.hotel(all[i]) })
}

func (s *Server) getHotelDetails(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "propertyID")
	id := r.URL.Query().Get("propertyID")
	for _, i := range s.existing() {
		if propertyID(i) == id {
			send(w, http.StatusOK, encode(answer{Success: true, Data: s.details(i)}))
			return
		}
	}
	if id == "" {
		fail(w, `Please specify "propertyID" parameter for this call`)
		return
	}
	fail(w, noMatch)
}

// getReservations is getReservationsWithRateDetails. Times in filters are taken as local to the property: which zone
// the partner means is not established, and this is the one that a client that sends UTC can lose by.
func (s *Server) getReservations(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "propertyID", "resultsFrom", "resultsTo", "modifiedFrom", "modifiedTo", "reservationCheckOutFrom",
		"reservationCheckOutTo", "reservationID",
		"includeDeleted", "excludeStatuses", "includeGuestsDetails", "includeCustomFields", "sortByRecent", "pageNumber", "pageSize")
	q := r.URL.Query()
	var from, to time.Time
	for name, v := range map[string]*time.Time{"modifiedFrom": &from, "modifiedTo": &to} {
		text := q.Get(name)
		if text == "" || s.cfg.IgnoreFilters {
			continue
		}
		t, err := time.Parse(time.DateTime, text)
		if err != nil {
			t, err = time.Parse(time.DateOnly, text)
		}
		if err != nil {
			fail(w, "Parameter "+name+" is not valid")
			return
		}
		*v = t
	}
	properties, ids := s.wanted(r, "propertyID"), s.wanted(r, "reservationID")
	type place struct {
		index int
		at    time.Time
	}
	var all []place
	for i := range s.reservations.Total() {
		at, gone := s.modified(i)
		var local time.Time
		if !from.IsZero() || !to.IsZero() {
			local = naive(at, s.zone(s.propertyOf(i)))
		}
		switch {
		case gone && q.Get("includeDeleted") != "true",
			properties != nil && !slices.Contains(properties, propertyID(s.propertyOf(i))),
			ids != nil && !slices.Contains(ids, reservationID(i)),
			!from.IsZero() && local.Before(from), !to.IsZero() && local.After(to):
			continue
		}
		all = append(all, place{i, at})
	}
	if q.Get("sortByRecent") == "true" {
		slices.SortStableFunc(all, func(a, b place) int { return b.at.Compare(a.at) })
	}
	s.paged(w, r, len(all), 100, "reservationID", func(i int) map[string]any { return s.reservation(all[i].index) })
}
