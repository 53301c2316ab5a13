package guestytest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

const (
	hooksPath  = "/v1/webhooks"
	secretPath = "/v1/webhooks-v2/secret"
	// settling is how long after a subscription was made its secret is not there (seen: "a short time").
	settling = 3 * time.Second
)

// known are the events that can be subscribed to (openapi 2026, changelog 2026-09-02).
var known = strings.Fields("guest.created guest.deleted guest.updated listing.new listing.updated " +
	"listing.removed listing.calendar.updated calendar.updated.v2 payments.failed payments.method.received " +
	"reservation.messageReceived reservation.messageSent reservation.created.v2 reservation.updated.v2 " +
	"task.created task.deleted task.updated")

// hook is a subscription.
type hook struct {
	id, url, secret string
	events          []string
	made            time.Time
}

// serveHooks answers /webhooks, /webhooks/{id} and /webhooks-v2/secret.
func (s *Server) serveHooks(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, hooksPath), "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.hooks, func(h *hook) bool { return h.id == id })
	switch {
	case r.URL.Path == secretPath && r.Method == http.MethodGet:
		s.Params(r, "url")
		s.secret(w, r)
	case id == "" && r.Method == http.MethodGet:
		s.Params(r)
		var j writer
		j.open('[')
		for _, h := range s.hooks {
			s.writeHook(&j, h)
		}
		j.close(']')
		send(w, http.StatusOK, j.b)
	case id == "" && r.Method == http.MethodPost:
		s.subscribe(w, r)
	case at < 0:
		notFound(w, r)
	case r.Method == http.MethodGet:
		s.answerHook(w, http.StatusOK, s.hooks[at])
	case r.Method == http.MethodPut:
		var b struct{ Events []string }
		if s.body(w, r, &b) && s.allowed(w, r, b.Events) {
			s.hooks[at].events = b.Events
			s.answerHook(w, http.StatusOK, s.hooks[at])
		}
	case r.Method == http.MethodDelete:
		s.hooks = slices.Delete(s.hooks, at, at+1)
		w.WriteHeader(http.StatusNoContent)
	default:
		message(w, http.StatusMethodNotAllowed, "Method Not Allowed")
	}
}

func (s *Server) answerHook(w http.ResponseWriter, status int, h *hook) {
	var j writer
	s.writeHook(&j, h)
	send(w, status, j.b)
}

func (s *Server) writeHook(j *writer, h *hook) {
	j.open('{')
	j.str(nil, "_id", h.id)
	j.str(nil, "accountId", s.account)
	j.str(nil, "url", h.url)
	j.strings(nil, "events", h.events...)
	j.close('}')
}

// allowed refuses events that cannot be subscribed to, the old ones of reservations among them (seen in July 2026).
func (s *Server) allowed(w http.ResponseWriter, r *http.Request, events []string) bool {
	for _, e := range events {
		if !slices.Contains(known, e) {
			s.Note("%s %s: event %q", r.Method, template(r.URL.Path), e)
			message(w, http.StatusBadRequest, "events: use reservation.created.v2 and reservation.updated.v2")
			return false
		}
	}
	if len(events) == 0 {
		message(w, http.StatusBadRequest, "events are required")
		return false
	}
	return true
}

// subscribe makes a subscription: one for a URL. What a second POST for the same URL does is not documented; here it
// is refused.
func (s *Server) subscribe(w http.ResponseWriter, r *http.Request) {
	var b struct {
		URL    string
		Events []string
	}
	if !s.body(w, r, &b) || !s.allowed(w, r, b.Events) {
		return
	}
	if u, err := url.Parse(b.URL); err != nil || u.Host == "" || slices.ContainsFunc(s.hooks,
		func(h *hook) bool { return h.url == b.URL }) {
		s.Note("%s %s: a URL that is none, or is there already", r.Method, r.URL.Path)
		message(w, http.StatusBadRequest, "url is invalid")
		return
	}
	s.made++
	key := sha256.Sum256(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, s.cfg.Seed),
		uint64(s.made)))
	h := &hook{
		id: partnersim.HexID(s.cfg.Seed, kindHook, s.made), url: b.URL, events: b.Events, made: time.Now(),
		secret: "whsec_" + base64.StdEncoding.EncodeToString(key[:24]),
	}
	s.hooks = append(s.hooks, h)
	s.answerHook(w, http.StatusCreated, h)
}

// secret answers with the signing secret of the URL's subscription, which is not there at once.
func (s *Server) secret(w http.ResponseWriter, r *http.Request) {
	at := slices.IndexFunc(s.hooks, func(h *hook) bool { return h.url == r.URL.Query().Get("url") })
	scale := max(s.cfg.Scale, 1)
	if at < 0 || float64(time.Since(s.hooks[at].made)) < float64(settling)/scale {
		notFound(w, r)
		return
	}
	var j writer
	j.open('{')
	j.str(nil, "key", s.hooks[at].secret)
	j.close('}')
	send(w, http.StatusOK, j.b)
}

// Delivery is one event on its way to one subscription. Its ID stays the same when it is sent again.
type Delivery struct {
	ID, URL, Body string
	secret        string
}

// Deliveries returns what the partner sends of an event ("reservation.updated.v2") about the record with the id: one
// delivery for each subscription that wants it, in the shapes that are documented or seen. It is an error if the
// account has no such record.
func (s *Server) Deliveries(event, record string, at time.Time) ([]Delivery, error) {
	body, err := s.event(event, record, at)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Delivery
	for _, h := range s.hooks {
		if slices.Contains(h.events, event) {
			s.sent++
			all = append(all, Delivery{ID: fmt.Sprintf("msg_sim%08d", s.sent), URL: h.url, Body: body,
				secret: h.secret})
		}
	}
	return all, nil
}

// Request is the delivery as it is sent at the time, signed as Svix does: HMAC-SHA256 of "id.time.body".
func (d Delivery) Request(ctx context.Context, at time.Time) (*http.Request, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(d.secret, "whsec_"))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader([]byte(d.Body)))
	if err != nil {
		return nil, err
	}
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(d.ID + "." + seconds + "." + d.Body))
	req.Header.Set("Content-Type", mediaJSON)
	req.Header.Set("svix-id", d.ID)
	req.Header.Set("svix-timestamp", seconds)
	req.Header.Set("svix-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return req, nil
}

var errNoRecord = errors.New("guestytest: no such record, or no such event")

// event is the body of an event.
func (s *Server) event(event, record string, at time.Time) (string, error) {
	family, what, _ := strings.Cut(event, ".")
	kind := uint64(kindListing)
	if family == "reservation" {
		kind = kindReservation
	}
	i, ok := partnersim.HexIndex(s.cfg.Seed, kind, record)
	if !ok {
		return "", errNoRecord
	}
	var j writer
	j.open('{')
	switch {
	case event == "reservation.created.v2", event == "reservation.updated.v2":
		if !s.reservations.Exists(i) {
			return "", errNoRecord
		}
		r := s.stay(i)
		j.str(nil, "eventType", event)
		j.time(nil, "publishedAt", at)
		j.object(nil, "data", func(*projection) {
			j.str(nil, "reservationId", record)
			j.str(nil, "unitId", s.listingID(r.listing))
			j.str(nil, "status", r.status)
			j.str(nil, "confirmationCode", r.code)
			j.str(nil, "checkInDateLocalized", date(r.start))
			j.str(nil, "checkOutDateLocalized", date(r.end))
			j.int(nil, "guestsCount", r.guests)
		})
	case event == "calendar.updated.v2": // without its name
		j.str(nil, "listingId", record)
		j.str(nil, "accountId", s.account)
		j.str(nil, "currency", s.listingFacts(i).place.currency)
		j.object(nil, "dateRange", func(*projection) {
			j.str(nil, "start", date(at))
			j.str(nil, "end", date(at.Add(4*dayLength)))
		})
	case family == "listing" && (what == "new" || what == "updated" || what == "removed"):
		if (what == "removed") == s.listings.Exists(i) {
			return "", errNoRecord
		}
		if what == "removed" {
			j.object(nil, "listing", func(*projection) { j.str(nil, "_id", record) })
		} else {
			j.name(nil, "listing")
			s.writeListing(&j, i, nil)
		}
		j.str(nil, "event", event)
	default:
		return "", errNoRecord
	}
	j.close('}')
	if !json.Valid(j.b) {
		return "", errors.New("guestytest: an event that is no JSON")
	}
	return string(j.b), nil
}
