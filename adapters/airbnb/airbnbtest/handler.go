package airbnbtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	w.Write(encode(v))
}

func encode(v any) []byte {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		panic(err) // maps, texts and numbers
	}
	return b.Bytes()
}

func (s *Server) errorID() string { return fmt.Sprintf("api_frwrk_%032x", s.requests.Add(1)) }

func (s *Server) notFound(w http.ResponseWriter) {
	send(w, http.StatusNotFound, map[string]any{
		"error_code": 404, "error_type": "record_not_found", "error_message": "The record was not found.",
		"error_id": s.errorID(),
	})
}

// refuse answers for a status that the simulated partner gives by itself. Throttling is 405, 429 and 503 in turn, and
// nothing says when to come back: none of that was seen in a genuine client's code.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int) {
	switch status {
	case http.StatusUnauthorized:
		send(w, status, map[string]any{"error_code": 401, "error": "authentication_required",
			"error_message": "Sign in first."})
	case http.StatusForbidden:
		send(w, status, map[string]any{
			"error_code": 403, "error_type": "no_access", "error_message": "This account may not read the record.",
			"error_id":    s.errorID(),
			"error_class": "ServiceRequestAuthorizationError", "error_title": nil,
		})
	case http.StatusNotFound:
		s.notFound(w)
	case http.StatusBadRequest:
		send(w, status, map[string]any{"status": 400, "error": "Invalid Request"})
	case http.StatusTooManyRequests:
		if w.Header().Get("Retry-After") != "" && len(s.cfg.Faults) == 0 {
			w.Header().Del("Retry-After")
		}
		w.WriteHeader([]int{http.StatusMethodNotAllowed, http.StatusTooManyRequests,
			http.StatusServiceUnavailable}[s.requests.Add(1)%3])
	default:
		w.WriteHeader(status)
	}
}

func (s *Server) slowdown(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusMethodNotAllowed)
}

// handle answers everything but the token endpoint.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	if token, ok := strings.CutPrefix(r.URL.Path, tokenPath+"/"); ok {
		s.authorization(w, r, token)
		return
	}
	if !s.authenticated(r) {
		s.refuse(w, r, http.StatusUnauthorized)
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	parts := strings.Split(strings.Trim(path, "/"), "/")
	route := r.Method + " " + parts[0] + strings.Repeat("/*", len(parts)-1)
	routes := map[string]func(http.ResponseWriter, *http.Request, []string){
		"GET users/*": s.user, "GET listings": s.listListings, "GET listings/*": s.listing,
		"PUT listings/*":     s.putListing,
		"GET listing_photos": s.listPhotos, "GET listing_descriptions/*/*": s.description,
		"GET booking_settings/*": s.bookingSetting,
		"GET reservations":       s.listReservations, "GET reservations/*": s.readReservation,
		"PUT reservations/*":  s.putReservation,
		"GET calendars/*/*/*": s.calendar, "POST calendar_operations": s.calendarOperations,
	}
	call, known := routes[route]
	if !ok || !known {
		s.Note("%s %s: no such call, or not simulated", r.Method, generic(r.URL.Path))
		s.notFound(w)
		return
	}
	call(w, r, parts)
}

func (s *Server) user(w http.ResponseWriter, r *http.Request, parts []string) {
	s.Params(r)
	if parts[1] != "me" && parts[1] != strconv.Itoa(HostID) {
		s.notFound(w)
		return
	}
	send(w, http.StatusOK, map[string]any{"user": map[string]any{
		"id": HostID, "id_str": strconv.Itoa(HostID), "first_name": "Nora", "picture_url": nil, "picture_url_large": nil}, "metadata": map[string]any{}})
}

// window reads _limit and _offset: 20 by default and 50 at most.
func (s *Server) window(r *http.Request) (limit, offset int, ok bool) {
	limit = 20
	for name, v := range map[string]*int{"_limit": &limit, "_offset": &offset} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return 0, 0, false
		}
		*v = n
	}
	if limit > 50 {
		s.Note("%s: _limit is %d, at most 50", generic(r.URL.Path), limit)
		limit = 50
	}
	return limit, offset, true
}

// list answers with a page of the rows. An odd page has its rows nested under the singular.
func (s *Server) list(w http.ResponseWriter, r *http.Request, root string, rows []int, counted bool,
	row func(int) map[string]any) {
	limit, offset, ok := s.window(r)
	if !ok {
		s.refuse(w, r, http.StatusBadRequest)
		return
	}
	nested := false
	if limit > 0 && counted {
		_, nested = s.odd(offset/limit+max(s.cfg.Odd, 1)-2, 1)
	}
	out := []any{}
	for i := offset; i < min(offset+limit, len(rows)); i++ {
		rec := row(rows[i])
		if nested {
			rec = map[string]any{strings.TrimSuffix(root, "s"): rec, "metadata": map[string]any{}}
		}
		out = append(out, rec)
	}
	body := map[string]any{root: out}
	switch {
	case s.cfg.Old && counted:
		// the two may differ
		body["metadata"] = map[string]any{"record_count": len(rows) + 1, "listing_count": len(rows)}
	case s.cfg.Old:
		body["metadata"] = map[string]any{}
	case counted:
		paging := map[string]any{"total_count": len(rows), "limit": limit, "prev_offset": nil, "next_offset": nil,
			"next_cursor": nil}
		if offset > 0 {
			paging["prev_offset"] = max(offset-limit, 0)
		}
		if offset+limit < len(rows) {
			paging["next_offset"] = offset + limit
		}
		body["paging"] = paging
	default:
		body["paging"] = map[string]any{"limit": limit, "next_cursor": nil}
	}
	send(w, http.StatusOK, body)
}

// listListings: an unknown user has none.
func (s *Server) listListings(w http.ResponseWriter, r *http.Request, _ []string) {
	s.Params(r, "user_id", "has_availability", "exclude_active", "exclude_cohosted_listings", "_limit", "_offset")
	var rows []int
	if r.URL.Query().Get("user_id") == strconv.Itoa(HostID) {
		for i := range s.listings.Total() {
			if s.listings.Exists(i) {
				rows = append(rows, i)
			}
		}
	}
	s.list(w, r, "listings", rows, true, s.listingRecord)
}

// index returns the index of a listing that exists.
func (s *Server) index(id string) (int, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0, false
	}
	for _, first := range []int64{firstListing, firstLong} {
		if i := n - first; i >= 0 && i < int64(s.listings.Total()) && listingID(int(i)) == n &&
			s.listings.Exists(int(i)) {
			return int(i), true
		}
	}
	return 0, false
}

func (s *Server) listing(w http.ResponseWriter, r *http.Request, parts []string) {
	s.Params(r)
	i, ok := s.index(parts[1])
	if !ok {
		s.notFound(w)
		return
	}
	send(w, http.StatusOK, map[string]any{"listing": s.listingRecord(i), "metadata": map[string]any{}})
}

// putListing takes single fields; its answer's listing is null, as the public simulator has it.
func (s *Server) putListing(w http.ResponseWriter, r *http.Request, parts []string) {
	s.Params(r)
	if _, ok := s.index(parts[1]); !ok {
		s.notFound(w)
		return
	}
	var in map[string]any
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		s.refuse(w, r, http.StatusBadRequest)
		return
	}
	send(w, http.StatusOK, map[string]any{"listing": nil, "metadata": map[string]any{}})
}

func (s *Server) listPhotos(w http.ResponseWriter, r *http.Request, _ []string) {
	s.Params(r, "listing_id")
	photos := []any{}
	if i, ok := s.index(r.URL.Query().Get("listing_id")); ok {
		for n := range s.cfg.PhotosPerListing {
			photos = append(photos, s.photoRecord(i, n))
		}
	} else {
		s.notFound(w)
		return
	}
	send(w, http.StatusOK, map[string]any{"listing_photos": photos, "metadata": map[string]any{}})
}

func (s *Server) description(w http.ResponseWriter, r *http.Request, parts []string) {
	s.Params(r)
	i, ok := s.index(parts[1])
	if !ok {
		s.notFound(w)
		return
	}
	send(w, http.StatusOK, map[string]any{"listing_description": map[string]any{
		"listing_id": listingID(i), "locale": parts[2], "name": s.listingRecord(i)["name"],
		"summary": "By the canal.", "space": nil,
		"access": nil, "house_rules": nil, "description": "By the canal.", "machine_translated": false,
	}})
}

func (s *Server) bookingSetting(w http.ResponseWriter, r *http.Request, parts []string) {
	s.Params(r)
	if _, ok := s.index(parts[1]); !ok {
		s.notFound(w)
		return
	}
	send(w, http.StatusOK, map[string]any{"booking_setting": map[string]any{
		"cancellation_policy_category": "moderate", "check_in_time_start": "15", "check_in_time_end": "25",
		"check_out_time":                   11,
		"instant_booking_allowed_category": "everyone",
	}})
}

// listReservations filters by the first night: a client that walks windows of stays must find each reservation in one
// of them, whether the partner means the first night, the last or any. Without all_status the confirmed ones come
// alone (unverified).
func (s *Server) listReservations(w http.ResponseWriter, r *http.Request, _ []string) {
	s.Params(r, "listing_id", "host_id", "start_date", "end_date", "all_status", "_limit", "_offset")
	q := r.URL.Query()
	listing := -1
	switch host := q.Get("host_id"); {
	case q.Get("listing_id") != "":
		i, ok := s.index(q.Get("listing_id"))
		if !ok {
			s.notFound(w)
			return
		}
		listing = i
	case host == "":
		s.refuse(w, r, http.StatusBadRequest)
		return
	case host != strconv.Itoa(HostID):
		if len(host) == len(strconv.Itoa(HostID)) {
			s.refuse(w, r, http.StatusForbidden) // another host's
			return
		}
		s.notFound(w)
		return
	}
	var from, to time.Time
	for name, v := range map[string]*time.Time{"start_date": &from, "end_date": &to} {
		text := q.Get(name)
		if text == "" {
			s.Note("reservations without %s: what comes then is not established", name)
			continue
		}
		t, err := time.Parse(time.DateOnly, text)
		if err != nil {
			s.refuse(w, r, http.StatusBadRequest)
			return
		}
		*v = t
	}
	var rows []int
	for i := range s.reservations.Total() {
		first := s.start(i)
		if listing >= 0 && s.listingOf(i) != listing || !from.IsZero() && first.Before(from) || !to.IsZero() &&
			first.After(to) ||
			q.Get("all_status") != "true" && s.status(i) != "accept" {
			continue
		}
		rows = append(rows, i)
	}
	s.list(w, r, "reservations", rows, false, s.reservationRecord)
}

func (s *Server) readReservation(w http.ResponseWriter, r *http.Request, parts []string) {
	s.Params(r, "_format")
	i, ok := s.reservationIndex(parts[1])
	if !ok {
		s.notFound(w)
		return
	}
	send(w, http.StatusOK, map[string]any{"reservation": s.reservationRecord(i), "metadata": map[string]any{}})
}

// putReservation accepts or denies a request that waits for it. Of another one it is a 400 (unverified).
func (s *Server) putReservation(w http.ResponseWriter, r *http.Request, parts []string) {
	s.Params(r)
	var in struct {
		Action string `json:"attempt_action"`
	}
	i, ok := s.reservationIndex(parts[1])
	if !ok {
		s.notFound(w)
		return
	}
	states := map[string]string{"accept": "accept", "deny": "deny"}
	if json.NewDecoder(r.Body).Decode(&in) != nil || states[in.Action] == "" || s.status(i) != "pending" &&
		s.status(i) != states[in.Action] {
		s.refuse(w, r, http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.accepted[i] = states[in.Action]
	s.mu.Unlock()
	send(w, http.StatusOK, map[string]any{"reservation": s.reservationRecord(i), "metadata": map[string]any{}})
}
