package airbnbtest

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
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
const Host = "api.airbnb.com"

// What the credentials are, and what a listing holds that nobody should keep, for tests that look for leaks.
const (
	ClientID     = "simulated-airbnb-client"
	ClientSecret = "simulated-airbnb-secret-71c2"
	RefreshToken = "ref-simulated-00000000000000"
	WifiPassword = "simulated-wifi-password-3d"
	HostID       = 700001
)

// The limits, as one client has them from the partner's pages of about 2019; whether they still hold is unverified.
var (
	AddressTiers = ratelimit.Tiers{
		{Name: "address-10s", Requests: 200, Per: 10 * time.Second}, {Name: "address-5m", Requests: 2500,
			Per: 5 * time.Minute},
		{Name: "address-hour", Requests: 20_000, Per: time.Hour}, {Name: "address-day", Requests: 200_000,
			Per: 24 * time.Hour},
	}
	EndpointTiers = ratelimit.Tiers{
		{Name: "endpoint-10s", Requests: 100, Per: 10 * time.Second}, {Name: "endpoint-5m", Requests: 1250,
			Per: 5 * time.Minute},
		{Name: "endpoint-hour", Requests: 7500, Per: time.Hour}, {Name: "endpoint-day", Requests: 90_000,
			Per: 24 * time.Hour},
	}
	UserTiers     = ratelimit.Tiers{{Name: "user-hour", Requests: 2000, Per: time.Hour}}
	PhotoTiers    = ratelimit.Tiers{{Name: "photos-hour", Requests: 50_000, Per: time.Hour}}
	CalendarTiers = ratelimit.Tiers{{Name: "calendar-minute", Requests: 160, Per: time.Minute}}
	TokenTiers    = ratelimit.Tiers{{Name: "authorizations-hour", Requests: 1000, Per: time.Hour}}
)

// Config describes a simulated account. The zero Config is an account without listings, without latency, in real time.
type Config struct {
	// Listings, ReservationsPerListing and PhotosPerListing are the size of the account before any change.
	Listings, ReservationsPerListing, PhotosPerListing int
	// Scale, Latency, Jitter, Seed and Faults are as in [partnersim.Config]. Faults of the kind "x-slowdown" answer
	// 405, as throttling was seen to look.
	Scale           float64
	Latency, Jitter time.Duration
	Seed            uint64
	Faults          []partnersim.Rule
	// Odd is how often a record or page has one of the odd shapes of the fixtures: each Odd-th, the shapes taking
	// turns. 0: 7; negative: never.
	Odd int
	// Old answers lists in the older envelope: metadata with counts, in place of paging.
	Old bool
	// Rotate gives a new refresh token with every refresh, and the old one is good no more. Otherwise every second
	// refresh comes without one. Which the partner does is not established.
	Rotate bool
	// Lifetime of access tokens; 0: 12 h, as the public simulator has it. One client's README says 24 h.
	Lifetime time.Duration
	// Epoch is the partner's time as which the account is generated: every record was changed last before it, and
	// stays lie around it. Zero: 2026-11-01 UTC.
	Epoch time.Time
}

// Server is a simulated host account. The embedded server reaches it: Transport, Start, Report, Close.
type Server struct {
	*partnersim.Server
	cfg          Config
	tokens       *partnersim.Tokens
	listings     *partnersim.Population
	reservations *partnersim.Population
	requests     atomic.Uint64

	mu        sync.Mutex
	refresh   string // the refresh token that is good
	refreshes int
	days      map[string]day    // changed by calendar operations: "listing/2026-12-01"
	accepted  map[int]string    // reservations whose status was written, by index
	gone      map[int]time.Time // reservations that were canceled by Change, and when
}

// NewServer returns a simulated account, or an error that names everything that is wrong with c.
func NewServer(c Config) (*Server, error) {
	var errs []error
	for _, n := range []struct {
		name string
		n    int
	}{{"Listings", c.Listings}, {"ReservationsPerListing", c.ReservationsPerListing}, {"PhotosPerListing",
		c.PhotosPerListing}} {
		if n.n < 0 || n.n > 10_000 {
			errs = append(errs, fmt.Errorf("%s is %d, want 0 to 10000", n.name, n.n))
		}
	}
	if len(errs) == 0 && c.Listings*c.ReservationsPerListing > 1_000_000 {
		errs = append(errs, errors.New("an account has at most a million reservations"))
	}
	if c.Epoch.IsZero() {
		c.Epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	}
	if c.Odd == 0 {
		c.Odd = 7
	}
	if c.Lifetime == 0 {
		c.Lifetime = 12 * time.Hour
	}
	s := &Server{
		cfg: c, refresh: RefreshToken, days: map[string]day{}, accepted: map[int]string{}, gone: map[int]time.Time{},
		listings:     partnersim.NewPopulation(c.Seed^kindListing, c.Listings),
		reservations: partnersim.NewPopulation(c.Seed^kindReservation, c.Listings*c.ReservationsPerListing),
	}
	s.tokens = &partnersim.Tokens{
		Path: tokenPath, Clients: map[string]string{ClientID: ClientSecret}, Lifetime: c.Lifetime, Budget: TokenTiers,
		Endpoint: http.HandlerFunc(s.token), Mint: s.mint, Read: s.readToken,
	}
	var err error
	s.Server, err = partnersim.New(partnersim.Config{
		Name: "airbnb", Handler: http.HandlerFunc(s.handle), Tiers: AddressTiers, Tokens: s.tokens,
		Scale: c.Scale, Latency: c.Latency, Jitter: c.Jitter, Seed: c.Seed, Faults: c.Faults, Refuse: s.refuse,
		Quotas: []partnersim.Quota{
			{Name: "user", Tiers: UserTiers, Match: func(r *http.Request) bool { return r.URL.Path != tokenPath }},
			{Name: "endpoint", Tiers: EndpointTiers,
				Match: func(r *http.Request) bool { return own(r.URL.Path) == "" }, Key: path},
			{Name: "photos", Tiers: PhotoTiers,
				Match: func(r *http.Request) bool { return own(r.URL.Path) == "photos" }},
			{Name: "calendar", Tiers: CalendarTiers,
				Match: func(r *http.Request) bool { return own(r.URL.Path) == "calendar" }},
		},
		Header:  func(h http.Header, _ *http.Request, _ []partnersim.Count) { h.Set("X-Request-Id", s.requestID()) },
		Answers: map[string]http.Handler{"slowdown": http.HandlerFunc(s.slowdown)},
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("airbnbtest: %w", err)
	}
	return s, nil
}

// own names the line of the table that replaces the default one for a path; "" when none does.
func own(path string) string {
	switch {
	case path == tokenPath || strings.HasPrefix(path, tokenPath+"/"):
		return "authorizations"
	case strings.HasPrefix(path, "/v2/listing_photos"):
		return "photos"
	case strings.HasPrefix(path, "/v2/calendar_operations"):
		return "calendar"
	}
	return ""
}

// path is whose endpoint quota a request spends: one client keys it by the full path.
func path(r *http.Request) string { return strings.TrimSuffix(r.URL.Path, "/") }

// Integration returns a host's integration with the account: its credentials, and the base URL (scheme and host) of
// the listener once the server was started, else the partner's own, for use with Transport.
func (s *Server) Integration(id string) driver.Integration {
	base := s.BaseURL()
	if base == "" {
		base = "https://" + Host
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return driver.Integration{
		ID: id, Partner: "airbnb", Account: strconv.Itoa(HostID), BaseURL: base,
		Credentials: map[string]auth.Secret{"client_id": ClientID, "client_secret": ClientSecret,
			"refresh_token": auth.Secret(s.refresh)},
	}
}

// Tiers returns what belongs in driver.Options.Tiers: every declared limit of the driver as the clock on the wall
// sees it.
func (s *Server) Tiers() map[string]ratelimit.Tiers {
	return map[string]ratelimit.Tiers{
		"airbnb/address": s.Limits("api"), "airbnb/user": s.Limits("user"), "airbnb/endpoint": s.Limits("endpoint"),
		"airbnb/photos": s.Limits("photos"), "airbnb/calendar": s.Limits("calendar"),
	}
}

// RevokeTokens makes every access token that was issued so far worthless.
func (s *Server) RevokeTokens() { s.tokens.Revoke() }

// Withdraw makes the refresh token worthless too, as when the host disconnects the software.
func (s *Server) Withdraw() {
	s.mu.Lock()
	s.refresh = ""
	s.mu.Unlock()
	s.tokens.Revoke()
}

// TokensIssued returns how many access tokens were granted.
func (s *Server) TokensIssued() int { return s.tokens.Issued() }

// Counts is the size of an account.
type Counts struct{ Listings, Reservations, Photos int }

// Account returns what the account holds now.
func (s *Server) Account() Counts {
	n := s.listings.Len()
	return Counts{n, s.reservations.Total(), n * s.cfg.PhotosPerListing}
}

// Changes is what [Server.Change] changed.
type Changes struct{ Listings, Reservations partnersim.Delta }

// Change changes a share (0 to 1) of the listings and of the reservations at the partner's time at, a third of it
// each by adding, updating and deleting; a deleted reservation is one that the guest canceled, for reservations never
// go. A round (from 1 on) changes the same records of the same account every time, and nothing when it was done
// already.
func (s *Server) Change(share float64, round int, at time.Time) Changes {
	at = at.UTC().Truncate(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Changes{Listings: s.listings.Change(share, round, at)}
	if s.cfg.Listings == 0 {
		return c
	}
	c.Reservations = s.reservations.Change(share, round, at)
	for i := range s.reservations.Total() {
		if _, known := s.gone[i]; !known && !s.reservations.Exists(i) {
			s.gone[i] = at
		}
	}
	return c
}

// ListingIDs lists the ids of the account's listings, in order.
func (s *Server) ListingIDs() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range s.listings.Total() {
			if s.listings.Exists(i) && !yield(strconv.FormatInt(listingID(i), 10)) {
				return
			}
		}
	}
}

// ConfirmationCodes lists the codes of all reservations, canceled ones included, in order.
func (s *Server) ConfirmationCodes() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range s.reservations.Total() {
			if !yield(confirmationCode(i)) {
				return
			}
		}
	}
}

// Pending lists the codes of the requests that wait for the host, in order.
func (s *Server) Pending() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range s.reservations.Total() {
			if s.status(i) == "pending" && !yield(confirmationCode(i)) {
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
