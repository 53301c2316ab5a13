package cloudbedstest

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// Host is the partner's own, which the in-memory transport answers for (as it does for any).
const Host = "api.cloudbeds.com"

// What the credential is, and what each reservation has that must not be kept, for tests that look for leaks.
const (
	APIKey = "cbat_simulated-key-7e21"
	CardID = "simulated-card-9a3e"
)

// The partner's documented limits: of property and group accounts, and of technology partners.
var (
	Tiers        = ratelimit.Tiers{{Name: "second", Requests: 5, Per: time.Second}}
	PartnerTiers = ratelimit.Tiers{{Name: "second", Requests: 10, Per: time.Second}}
)

// Suspension is how long a credential is refused that was used too fast, by the partner's clock. Documented is that it
// is suspended for a time, not for how long.
const Suspension = 10 * time.Minute

// Config describes a simulated group of properties. The zero Config is a group without properties, without latency, in
// real time.
type Config struct {
	// Properties, ReservationsPerProperty and PhotosPerProperty are the size of the group before any change.
	Properties, ReservationsPerProperty, PhotosPerProperty int
	// Scale, Latency, Jitter, Seed and Faults are as in [partnersim.Config]. Faults of the kind "x-refused" answer
	// 200 with success:false, "x-uninstalled" the same with the message of an application that the property removed,
	// "x-late" 200 with success:false behind more than a screenful of data.
	Scale           float64
	Latency, Jitter time.Duration
	Seed            uint64
	Faults          []partnersim.Rule
	// Odd is how often a record or page has one of the odd shapes that the real API is known for: each Odd-th, the
	// shapes taking turns. 0: 7; negative: never.
	Odd int
	// Partner raises the limit to that of technology partners.
	Partner bool
	// IgnoreFilters makes the server ignore every filter, as the real one ignores those it does not know.
	IgnoreFilters bool
	// OAuth makes Integration one with the application's OAuth client and a refresh token, in place of the API key.
	OAuth bool
	// Removal is what deleteWebhook does.
	Removal Removal
	// Epoch is the partner's time as which the group is generated: every record was changed last before it. Zero:
	// 2026-11-01 UTC.
	Epoch time.Time
}

// Server is a simulated group of properties. The embedded server reaches it: Transport, Start, Report, Close.
type Server struct {
	*partnersim.Server
	cfg          Config
	hotels       *partnersim.Population
	reservations *partnersim.Population
	requests     atomic.Uint64
	suspended    atomic.Int64 // until, in nanoseconds of the clock on the wall
	storms       bool         // the faults have 429s, which are no suspension

	tokens  *partnersim.Tokens
	started time.Time

	mu        sync.Mutex // guards the fields below
	deleted   map[int]time.Time
	refreshes map[string]*grant
	grants    int // refresh tokens and codes that were made
	used      int
	again     int
	codes     map[string]code
	status    map[int]change
	writes    int
	rates     map[string]map[string]string // by rate and date
	jobs      []job
	hooks     []subscription
}

// NewServer returns a simulated group, or an error that names everything that is wrong with c.
func NewServer(c Config) (*Server, error) {
	var errs []error
	for _, n := range []struct {
		name string
		n    int
	}{{"Properties", c.Properties}, {"ReservationsPerProperty", c.ReservationsPerProperty}, {"PhotosPerProperty",
		c.PhotosPerProperty}} {
		if n.n < 0 || n.n > 10_000 {
			errs = append(errs, fmt.Errorf("%s is %d, want 0 to 10000", n.name, n.n))
		}
	}
	if len(errs) == 0 && c.Properties*c.ReservationsPerProperty > 1_000_000 {
		errs = append(errs, errors.New("a group has at most a million reservations"))
	}
	if c.Epoch.IsZero() {
		c.Epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	}
	if c.Odd == 0 {
		c.Odd = 7
	}
	s := &Server{
		cfg: c, hotels: partnersim.NewPopulation(c.Seed, c.Properties), reservations: partnersim.NewPopulation(c.Seed,
			c.Properties*c.ReservationsPerProperty), deleted: map[int]time.Time{},
		refreshes: map[string]*grant{}, codes: map[string]code{}, status: map[int]change{},
		rates: map[string]map[string]string{}, started: time.Now(),
	}
	s.tokens = &partnersim.Tokens{Path: tokenPath, Clients: map[string]string{ClientID: ClientSecret},
		Lifetime: tokenLife, Endpoint: http.HandlerFunc(s.token)}
	for _, r := range c.Faults {
		s.storms = s.storms || r.Kind == partnersim.TooMany
	}
	tiers := Tiers
	if c.Partner {
		tiers = PartnerTiers
	}
	var err error
	s.Server, err = partnersim.New(partnersim.Config{
		Name: "cloudbeds", Handler: http.HandlerFunc(s.handle), Tiers: tiers, Scale: c.Scale, Latency: c.Latency,
		Jitter: c.Jitter,
		Seed:   c.Seed, Faults: c.Faults, Refuse: s.refuse,
		Key: s.who,
		Free: func(r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "/access_token") || strings.HasSuffix(r.URL.Path, "/oauth")
		},
		Tokens: s.tokens,
		Header: func(h http.Header, _ *http.Request, _ []partnersim.Count) { h.Set("X-Request-ID", s.requestID()) },
		Answers: map[string]http.Handler{
			"refused":     refusal("Something went wrong with the reservation of Guest Example."),
			"uninstalled": refusal("This application is not available to be connected."),
			"late":        http.HandlerFunc(late),
		},
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("cloudbedstest: %w", err)
	}
	return s, nil
}

// Integration returns a host's integration with the group: its credential, and the base URL (scheme and host) of the
// listener once the server was started, else the partner's own, for use with Transport.
func (s *Server) Integration(id string) driver.Integration {
	base := s.BaseURL()
	if base == "" {
		base = "https://" + Host
	}
	in := driver.Integration{ID: id, Partner: "cloudbeds", Account: "group-88001", BaseURL: base,
		Credentials: map[string]auth.Secret{"api_key": APIKey}}
	if s.cfg.OAuth {
		in.Credentials = map[string]auth.Secret{"client_id": ClientID, "client_secret": ClientSecret,
			"refresh_token": auth.Secret(s.Grant())}
	}
	if s.cfg.Partner {
		in.Settings = map[string]string{"technology_partner": "true"}
	}
	return in
}

// Limits returns the group's tiers as the clock on the wall sees them, for driver.Options.Tiers["cloudbeds/api"].
func (s *Server) Limits() ratelimit.Tiers { return s.Server.Limits("api") }

// Suspended says whether the credential is suspended now.
func (s *Server) Suspended() bool { return time.Now().UnixNano() < s.suspended.Load() }

// Counts is the size of a group; Deleted are the reservations that are listed as deleted.
type Counts struct{ Properties, Reservations, Deleted, Photos int }

// Account returns what the group holds now.
func (s *Server) Account() Counts {
	n := s.reservations.Len()
	return Counts{s.hotels.Len(), n, s.reservations.Total() - n, s.hotels.Len() * s.cfg.PhotosPerProperty}
}

// Change changes a share (0 to 1) of the reservations at the partner's time at, a third of it each by adding, updating
// and deleting; at should not be before the group's epoch. A round (from 1 on) changes the same records of the same
// group every time, and nothing when it was done already.
func (s *Server) Change(share float64, round int, at time.Time) partnersim.Delta {
	if s.cfg.Properties == 0 {
		return partnersim.Delta{}
	}
	at = at.UTC().Truncate(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	delta := s.reservations.Change(share, round, at)
	for i := range s.reservations.Total() {
		if _, known := s.deleted[i]; !known && !s.reservations.Exists(i) {
			s.deleted[i] = at
		}
	}
	return delta
}

// ChangeProperties is Change for the properties: hotels join the group and leave it. Reservations stay with those that
// they were made at.
func (s *Server) ChangeProperties(share float64, round int, at time.Time) partnersim.Delta {
	return s.hotels.Change(share, round, at.UTC().Truncate(time.Second))
}

// PropertyIDs lists the ids of the group's properties, in order.
func (s *Server) PropertyIDs() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, i := range s.existing() {
			if !yield(propertyID(i)) {
				return
			}
		}
	}
}

// existing are the properties that there are.
func (s *Server) existing() []int {
	var all []int
	for i := range s.hotels.Total() {
		if s.hotels.Exists(i) {
			all = append(all, i)
		}
	}
	return all
}

// ReservationIDs lists the ids of the reservations that exist, in order.
func (s *Server) ReservationIDs() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range s.reservations.Total() {
			if s.reservations.Exists(i) && !yield(reservationID(i)) {
				return
			}
		}
	}
}

func (s *Server) requestID() string { return fmt.Sprintf("sim-%08d", s.requests.Add(1)) }

// odd returns which odd shape the n-th record or page has; ok is false when it has none.
func (s *Server) odd(n, shapes int) (shape int, ok bool) {
	if s.cfg.Odd < 0 || n%s.cfg.Odd != s.cfg.Odd-1 {
		return 0, false
	}
	return n / s.cfg.Odd % shapes, true
}
