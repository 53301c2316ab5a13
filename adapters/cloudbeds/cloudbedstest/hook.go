package cloudbedstest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Removal is what deleteWebhook does.
type Removal int

// The ways that are documented or were seen.
const (
	// Documented: DELETE with the subscription's id.
	Documented Removal = iota
	// ByEndpoint: it demands endpointUrl, object and action, and takes them with POST (seen by two teams).
	ByEndpoint
	// Undead: so, and it answers success without deleting (seen by one).
	Undead
)

// subscription is a webhook that a client registered.
type subscription struct{ id, object, action, endpoint, property string }

// postWebhook registers. The id follows from what is registered, so the same again is the same; an action that does not
// exist is taken (both seen in client code).
func (s *Server) postWebhook(w http.ResponseWriter, r *http.Request) {
	form := s.form(r, "propertyID", "object", "action", "endpointUrl")
	if missing(w, form, "endpointUrl", "object", "action") {
		return
	}
	v := subscription{object: form.Get("object"), action: form.Get("action"), endpoint: form.Get("endpointUrl"),
		property: form.Get("propertyID")}
	sum := sha256.Sum256([]byte(v.object + "\x00" + v.action + "\x00" + v.endpoint + "\x00" + v.property))
	v.id = hex.EncodeToString(sum[:16])
	s.mu.Lock()
	if !slices.Contains(s.hooks, v) {
		s.hooks = append(s.hooks, v)
	}
	s.mu.Unlock()
	send(w, http.StatusOK, encode(map[string]any{"success": true, "data": map[string]string{"subscriptionID": v.id}}))
}

func (s *Server) getWebhooks(w http.ResponseWriter, r *http.Request) {
	s.Params(r)
	s.mu.Lock()
	hooks := slices.Clone(s.hooks)
	s.mu.Unlock()
	rows := []map[string]any{}
	for i, v := range hooks {
		key := map[string]string{"type": "association", "id": "88001"}
		if v.property != "" {
			key = map[string]string{"type": "property", "id": v.property}
		}
		where := "endpoint"
		if _, odd := s.odd(i+s.cfg.Odd-1, 1); odd {
			where = "url"
		}
		rows = append(rows, map[string]any{
			"id": v.id, "key": key, "event": map[string]string{"entity": v.object, "action": v.action},
			"owner":            map[string]string{"type": "api_client", "id": ClientID},
			"subscriptionType": "webhook", "subscriptionData": map[string]string{where: v.endpoint},
		})
	}
	send(w, http.StatusOK, encode(answer{Success: true, Data: rows}))
}

func (s *Server) deleteWebhook(w http.ResponseWriter, r *http.Request) {
	removed := func(v subscription) bool { return v.id == r.URL.Query().Get("subscriptionID") }
	switch {
	case s.cfg.Removal == Documented && r.Method == http.MethodDelete:
		s.Params(r, "propertyIDs", "subscriptionID")
		if missing(w, r.URL.Query(), "subscriptionID") {
			return
		}
	case s.cfg.Removal == Documented:
		send(w, http.StatusNotFound, []byte(`{"status":false,"error":"Unknown method."}`))
		return
	default:
		form := r.URL.Query()
		if r.Method != http.MethodDelete {
			form = s.form(r, "propertyID", "object", "action", "endpointUrl")
		}
		if missing(w, form, "endpointUrl", "object", "action") {
			return
		}
		removed = func(v subscription) bool {
			return v.endpoint == form.Get("endpointUrl") && v.object == form.Get("object") &&
				v.action == form.Get("action") && v.property == form.Get("propertyID")
		}
	}
	if s.cfg.Removal != Undead {
		s.mu.Lock()
		s.hooks = slices.DeleteFunc(s.hooks, removed)
		s.mu.Unlock()
	}
	send(w, http.StatusOK, []byte(`{"success":true}`))
}

// Hooks returns where an event ("reservation/created") is sent.
func (s *Server) Hooks(event string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var urls []string
	for _, v := range s.hooks {
		if v.object+"/"+v.action == event {
			urls = append(urls, v.endpoint)
		}
	}
	return urls
}

// Event returns the body of a webhook about the n-th reservation at the partner's time at, with the members' names
// spelt as they were seen for the event. Nothing in it is signed.
func (s *Server) Event(event string, n int, at time.Time) []byte {
	property, reservation := s.propertyOf(n), reservationID(n)
	id, _ := strconv.Atoi(propertyID(property)) // digits
	body := map[string]any{"version": "1.0", "event": event, "timestamp": float64(at.UnixMilli()) / 1e3}
	switch event {
	case "reservation/dates_changed", "reservation/accommodation_changed", "reservation/deleted":
		body["propertyId"], body["propertyId_str"], body["reservationId"] = id, propertyID(property), reservation
	case "guest/created", "guest/assigned":
		body["propertyId"], body["propertyId_str"], body["reservationId"] = id, propertyID(property), reservation
		body["guestId"], body["guestId_str"] = 50400123, "50400123"
	case "integration/appstate_changed":
		body["propertyID"], body["propertyID_str"], body["newState"] = id, propertyID(property), "disabled"
	default:
		body["propertyID"], body["propertyID_str"], body["reservationID"] = id, propertyID(property), reservation
		body["status"], body["previousStatus"] = "canceled", "confirmed"
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // a map of texts and numbers
	}
	return b
}
