// Package newdrivertest is a simulated Harbour: an account of any size, made up on the spot. It is written from Harbour's documentation
// (README.md beside the driver), not from the driver.
package newdrivertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// Config describes the account. Latency, Jitter and Faults are partnersim's.
type Config struct {
	Berths, Bookings int
	Latency, Jitter  time.Duration
	Faults           []partnersim.Rule
	Seed             uint64
}

// Server is the account.
type Server struct {
	*partnersim.Server
	url              string // in links
	berths, bookings *partnersim.Population
}

const (
	key      = "harbour-simulated-key"
	seed     = 1 // the account is the same every time
	pageSize = 50

	kindBerth   = 1
	kindBooking = 2
)

// NewServer returns the account, or an error that says what is wrong with c.
func NewServer(c Config) (*Server, error) {
	s := &Server{url: "https://api.harbour.example", berths: partnersim.NewPopulation(seed, c.Berths), bookings: partnersim.NewPopulation(seed+1, c.Bookings)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/me", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, map[string]any{"account": "a-1"})
	})
	mux.HandleFunc("GET /v1/berths", s.listBerths)
	mux.HandleFunc("GET /v1/berths/{id}", s.getBerth)
	mux.HandleFunc("GET /v1/bookings", s.listBookings)
	var err error
	s.Server, err = partnersim.New(partnersim.Config{
		Name: "harbour", Latency: c.Latency, Jitter: c.Jitter, Faults: c.Faults, Seed: c.Seed,
		Tiers: ratelimit.Tiers{{Requests: 10, Per: time.Second}, {Requests: 300, Per: time.Minute}},
		Refuse: func(w http.ResponseWriter, _ *http.Request, status int) {
			answer(w, status, map[string]any{"error": http.StatusText(status)})
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Api-Key") != key {
				answer(w, http.StatusUnauthorized, map[string]any{"error": "unknown key"})
				return
			}
			mux.ServeHTTP(w, r)
		}),
	})
	return s, err
}

// Integration returns what the driver is opened for.
func (s *Server) Integration(id string) driver.Integration {
	return driver.Integration{ID: id, Partner: "harbour", Credentials: map[string]auth.Secret{"key": key}}
}

// Change has the partner add, change and delete a tenth of its records.
func (s *Server) Change() {
	s.berths.Change(0.1, s.berths.Rounds()+1, time.Now())
	s.bookings.Change(0.1, s.bookings.Rounds()+1, time.Now())
}

// berth makes up the berth with the index.
func (s *Server) berth(i int) map[string]any {
	d := partnersim.Roll(seed, kindBerth, i)
	b := map[string]any{
		"id": partnersim.HexID(seed, kindBerth, i), "title": fmt.Sprintf("Berth %d", i+1), "people": 2 + d.Int(1, 8), "state": "open", "zone": "Europe/Lisbon",
		"price": 20.5 + float64(d.Int(2, 80)), "gateCode": "gate-4711-secret", "picture": "https://harbour.example/" + strconv.Itoa(i) + ".jpg",
	}
	if rev := s.berths.Revision(i); rev.Number > 0 {
		b["state"], b["changed"] = "closed", rev.At.UTC().Format(time.RFC3339)
	}
	return b
}

// booking makes up the booking with the index.
func (s *Server) booking(i int) map[string]any {
	d := partnersim.Roll(seed, kindBooking, i)
	from := time.Date(2026, 6, 1+d.Int(1, 200), 0, 0, 0, 0, time.UTC)
	b := map[string]any{
		"id": partnersim.HexID(seed, kindBooking, i), "berth": partnersim.HexID(seed, kindBerth, d.Int(2, max(s.berths.Total(), 1))), "state": partnersim.Pick(d, 3, []string{"booked", "held", "cancelled"}),
		"from": from.Format(time.DateOnly), "to": from.AddDate(0, 0, 1+d.Int(4, 14)).Format(time.DateOnly), "currency": "EUR", "total": 40 + d.Int(5, 900),
		"skipper": map[string]any{"name": "Skipper Example", "mail": fmt.Sprintf("skipper%d@guests.example.com", i)}, "changed": from.AddDate(0, -3, 0).Format(time.RFC3339),
	}
	if rev := s.bookings.Revision(i); rev.Number > 0 {
		b["changed"] = rev.At.UTC().Format(time.RFC3339)
	}
	return b
}

// list returns up to limit indexes behind the one of the id after, and whether more follow.
func list(p *partnersim.Population, kind uint64, after string, limit int, keep func(i int) bool) (found []int, more bool) {
	i := 0
	if n, ok := partnersim.HexIndex(seed, kind, after); ok {
		i = n + 1
	}
	for ; i < p.Total(); i++ {
		if !p.Exists(i) || !keep(i) {
			continue
		}
		if len(found) == limit {
			return found, true
		}
		found = append(found, i)
	}
	return found, false
}

func (s *Server) listBerths(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "after", "limit")
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 1 || limit > pageSize {
		answer(w, http.StatusBadRequest, map[string]any{"error": "limit"})
		return
	}
	rows := []any{}
	found, _ := list(s.berths, kindBerth, r.URL.Query().Get("after"), limit, func(int) bool { return true })
	for _, i := range found {
		rows = append(rows, s.berth(i))
	}
	answer(w, http.StatusOK, map[string]any{"berths": rows})
}

func (s *Server) getBerth(w http.ResponseWriter, r *http.Request) {
	i, ok := partnersim.HexIndex(seed, kindBerth, r.PathValue("id"))
	if !ok || !s.berths.Exists(i) {
		answer(w, http.StatusNotFound, map[string]any{"error": "no such berth"})
		return
	}
	answer(w, http.StatusOK, s.berth(i))
}

func (s *Server) listBookings(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "after", "berth", "changed_since")
	q := r.URL.Query()
	found, more := list(s.bookings, kindBooking, q.Get("after"), pageSize, func(i int) bool {
		b := s.booking(i)
		return (q.Get("berth") == "" || b["berth"] == q.Get("berth")) && fmt.Sprint(b["changed"]) >= q.Get("changed_since")
	})
	rows, next := []any{}, ""
	for _, i := range found {
		rows = append(rows, s.booking(i))
		q.Set("after", fmt.Sprint(s.booking(i)["id"]))
	}
	if more {
		next = s.url + "/v1/bookings?" + q.Encode()
	}
	answer(w, http.StatusOK, map[string]any{"bookings": rows, "next": next})
}

func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of texts and numbers
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone gets nothing
}
