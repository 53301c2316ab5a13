package guestytest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// message writes the error body {"message": …}.
func message(w http.ResponseWriter, status int, text string) {
	var j writer
	j.open('{')
	j.str(nil, "message", text)
	j.str(nil, "requestId", w.Header().Get("x-request-id"))
	j.close('}')
	send(w, status, j.b)
}

// bare writes the error body of the classic endpoints: a JSON string.
func bare(w http.ResponseWriter, status int, text string) {
	var j writer
	j.quote(text)
	send(w, status, j.b)
}

func unauthorized(w http.ResponseWriter, status int) {
	send(w, status, []byte(`{"error":{"code":"UNAUTHORIZED","message":"Unauthorized"}}`))
}

func send(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Type"] = []string{"application/json; charset=utf-8"}
	w.WriteHeader(status)
	w.Write(body)
}

// refuse writes the error body for a status that the simulated partner answers by itself. The shapes of 401, 403, 404
// and 500 are documented (openapi-2025-02); HTML for gateway failures is seen in client code; 429's is unverified.
func refuse(w http.ResponseWriter, r *http.Request, status int) {
	photos := strings.HasPrefix(r.URL.Path, photosPath)
	switch status {
	case http.StatusUnauthorized:
		unauthorized(w, status)
	case http.StatusForbidden:
		if photos {
			unauthorized(w, status)
			return
		}
		bare(w, status, "Forbidden")
	case http.StatusNotFound:
		notFound(w, r)
	case http.StatusInternalServerError:
		bare(w, status, "Internal Server Error")
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		w.Write([]byte("<html>\r\n<head><title>" + strconv.Itoa(status) + " " + http.StatusText(status) +
			"</title></head>\r\n<body></body>\r\n</html>\r\n"))
	case http.StatusTooManyRequests:
		message(w, status, "Too Many Requests")
	default:
		message(w, status, http.StatusText(status))
	}
}

func notFound(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, photosPath):
		send(w, http.StatusNotFound, []byte(`{"error":{"message":"Property not found","status":404}}`))
	case strings.HasPrefix(r.URL.Path, "/v1/reservations"):
		bare(w, http.StatusNotFound, "Reservation Not Found")
	default:
		bare(w, http.StatusNotFound, "Not Found")
	}
}

const (
	photosPath = "/v1/properties-api/property-photos/property-photos/"
	v3Path     = "/v1/reservations-v3/"
)

// handle answers everything but the token endpoint.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "" {
		unauthorized(w, http.StatusUnauthorized)
		return
	}
	if _, ok := s.tokens.Client(r); !ok {
		if s.cfg.Expired401 {
			unauthorized(w, http.StatusUnauthorized)
			return
		}
		message(w, http.StatusForbidden, "You don't have permission to access this resource. Please contact support.")
		return
	}
	switch path := r.URL.Path; {
	case path == secretPath, path == hooksPath, strings.HasPrefix(path, hooksPath+"/"):
		s.serveHooks(w, r)
		return
	case r.Method == http.MethodPut && strings.HasPrefix(path, calendarPath):
		s.writeDays(w, r)
		return
	case r.Method == http.MethodPut && strings.HasPrefix(path, v3Path) && strings.HasSuffix(path, "/status"):
		s.writeStatus(w, r, strings.TrimSuffix(path[len(v3Path):], "/status"))
		return
	}
	if r.Method != http.MethodGet {
		s.Note("%s %s: not simulated", r.Method, r.URL.Path)
		w.Header().Set("Allow", http.MethodGet)
		message(w, http.StatusMethodNotAllowed, "Method Not Allowed")
		return
	}
	switch path := r.URL.Path; {
	case path == "/v1/accounts/me":
		s.me(w, r)
	case path == "/v1/listings":
		s.listListings(w, r)
	case path == "/v1/reservations":
		s.listReservations(w, r)
	case path == "/v1/reservations-v3/search":
		s.searchV3(w, r)
	case path == "/v1/reservations-v3":
		s.readV3(w, r)
	case strings.HasPrefix(path, calendarPath):
		s.readCalendar(w, r)
	case strings.HasPrefix(path, photosPath):
		s.photos(w, r, path[len(photosPath):])
	case strings.HasPrefix(path, "/v1/listings/"):
		s.readListing(w, r, path[len("/v1/listings/"):])
	case strings.HasPrefix(path, "/v1/reservations/"):
		s.readReservation(w, r, path[len("/v1/reservations/"):])
	default:
		s.Note("%s %s: no such endpoint", r.Method, path)
		notFound(w, r)
	}
}

// me answers for the API user. Its _id is the user's, not the account's (seen in client code).
func (s *Server) me(w http.ResponseWriter, r *http.Request) {
	s.Params(r)
	var j writer
	j.open('{')
	j.str(nil, "_id", partnersim.HexID(s.cfg.Seed, kindUser, 0))
	j.str(nil, "name", "Simulated account")
	j.bool(nil, "active", true)
	j.close('}')
	send(w, http.StatusOK, j.b)
}

// listingFields and reservationFields are the names at the top that the documentation has; another one is noted.
var (
	listingFields = strings.Fields("_id accountId createdAt importedAt lastUpdatedAt title nickname type " +
		"isListed active pms isVirtual isTest propertyType roomType bedType accommodates bedrooms bathrooms " +
		"beds areaSquareFeet address publishedAddress timezone defaultCheckInTime defaultCheckOutTime picture " +
		"pictures amenities amenitiesNotIncluded terms prices tags customFields publicDescription " +
		"privateDescription integrations cleaning cleaningStatus calendarRules markups taxes SaaS mtl " +
		"commissionFormula netIncomeFormula commissionTaxPrecentage __v")
	reservationFields = strings.Fields("_id id accountId listingId guestId confirmationCode status checkIn " +
		"checkOut checkInDateLocalized checkOutDateLocalized plannedArrival plannedDeparture nightsCount " +
		"guestsCount numberOfGuests source secondarySource integration money guest listing createdAt " +
		"confirmedAt canceledAt importedAt lastUpdatedAt customFields isReturningGuest flag manuallyCreated " +
		"accountingEnabled keyCode notes note conversationId mtl pendingTasks log review confirmedPreBookings " +
		"__v")
)

// fields reads the fields parameter; without it the default set holds.
func (s *Server) fields(r *http.Request, known []string, otherwise *projection) *projection {
	text := r.URL.Query().Get("fields")
	if text == "" {
		return otherwise
	}
	if strings.Contains(text, ",") {
		s.Note("%s %s: fields are separated by spaces, not by commas", r.Method, r.URL.Path)
	}
	p := project(text)
	for name := range p.sub {
		if !slices.Contains(known, name) {
			s.Note("%s %s: unknown field %q", r.Method, template(r.URL.Path), name)
		}
	}
	return p
}

// template leaves ids out of a path.
func template(path string) string {
	at := strings.LastIndexByte(path, '/')
	if len(path)-at-1 == 24 {
		return path[:at] + "/{id}"
	}
	return path
}

func (s *Server) readListing(w http.ResponseWriter, r *http.Request, id string) {
	s.Params(r, "fields")
	if strings.HasSuffix(id, "/photos") { // seen in client code: it answers that there is no permission
		bare(w, http.StatusForbidden, "Forbidden")
		return
	}
	i, ok := partnersim.HexIndex(s.cfg.Seed, kindListing, id)
	if !ok || !s.listings.Exists(i) {
		notFound(w, r)
		return
	}
	var j writer
	s.writeListing(&j, i, s.fields(r, listingFields, nil)) // unverified: one listing comes whole
	send(w, http.StatusOK, j.b)
}

func (s *Server) readReservation(w http.ResponseWriter, r *http.Request, id string) {
	s.Params(r, "fields")
	i, ok := partnersim.HexIndex(s.cfg.Seed, kindReservation, id)
	if !ok || !s.reservations.Exists(i) {
		notFound(w, r)
		return
	}
	var j writer
	s.writeReservation(&j, s.stay(i), s.fields(r, reservationFields, nil)) // unverified likewise
	send(w, http.StatusOK, j.b)
}

func (s *Server) photos(w http.ResponseWriter, r *http.Request, id string) {
	s.Params(r)
	i, ok := partnersim.HexIndex(s.cfg.Seed, kindListing, id)
	if !ok || !s.listings.Exists(i) {
		notFound(w, r)
		return
	}
	var j writer
	s.writePhotos(&j, i)
	send(w, http.StatusOK, j.b)
}

// readV3 answers GET /reservations-v3?reservationIds[]=…: an array, of at most ten. Ids that are not known are left
// out (unverified).
func (s *Server) readV3(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "reservationIds[]")
	ids := r.URL.Query()["reservationIds[]"]
	if len(ids) == 0 || len(ids) > 10 {
		s.Note("%s %s: %d ids, want 1 to 10", r.Method, r.URL.Path, len(ids))
		message(w, http.StatusBadRequest, "reservationIds must have 1 to 10 elements")
		return
	}
	var j writer
	j.open('[')
	for _, id := range ids {
		if i, ok := partnersim.HexIndex(s.cfg.Seed, kindReservation, id); ok && s.reservations.Exists(i) {
			s.writeV3(&j, s.stay(i))
		}
	}
	j.close(']')
	send(w, http.StatusOK, j.b)
}
