package bookingcomtest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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

// What the machine account is, and what reservations have that must not be kept, for tests that look for leaks.
const (
	MachineAccount = 41001
	ClientID       = "5f0c2d3e-simulated-client"
	ClientSecret   = "simulated-secret-9b1f"
	Username       = "Simulated-Account"
	Password       = "simulated-password-3c7d"
	CardNumber     = "4111110000001111"
	CardHolder     = "Cardholder Example"
	CardCode       = "737"
	GuestDomain    = "@guest.booking.com" // documented: the alias addresses of guests
)

// TokenPath is the path of the token exchange.
const TokenPath = "/token-based-authentication/exchange"

// The limits that the server counts.
var (
	// TokenTiers are documented: 30 tokens an hour for a machine account.
	TokenTiers = ratelimit.Tiers{{Name: "hour", Requests: 30, Per: time.Hour}}
	// ReservationTiers are documented: no concurrent calls to the reservation endpoints.
	ReservationTiers = ratelimit.Tiers{{Name: "concurrent", Concurrent: 1}}
	// ContentTiers are unverified: the lowest of the numbers that go about. Booking.com publishes none.
	ContentTiers = ratelimit.Tiers{{Name: "minute", Requests: 75, Per: time.Minute}}
)

// Config describes a simulated Booking.com. The zero Config has no properties, no latency, and real time.
type Config struct {
	// Properties, UnitsPerProperty (0: 3), PhotosPerProperty and ReservationsPerProperty are the sizes at first. All
	// reservations are new, and wait to be read, at first.
	Properties, UnitsPerProperty, PhotosPerProperty, ReservationsPerProperty int
	// Scale, Latency, Jitter, Seed and Faults are as in [partnersim.Config]. Faults of the kind "x-errors" answer 200
	// with OTA <Errors>, "x-fault" 200 with a B.XML <fault>, "x-envelope" 200 with the errors of a JSON API.
	Scale           float64
	Latency, Jitter time.Duration
	Seed            uint64
	Faults          []partnersim.Rule
	// Odd is how often a record has one of the odd shapes that the partner is known for: each Odd-th, the shapes taking
	// turns. 0: 7; negative: never.
	Odd int
	// Recovery turns Reservation Recovery on: messages wait for a day instead of half an hour (but for check-ins within
	// two days), and those that waited for too long are listed.
	Recovery bool
	// Limit is how many messages one GET of a queue sends at most; 0: 100 (unverified: neither default nor ceiling is
	// published).
	Limit int
	// Epoch is the day before which nobody checks in. Zero: 2026-12-01.
	Epoch time.Time
}

// Server is a simulated Booking.com. The embedded server reaches it: Transport, Start, Report, Close.
type Server struct {
	*partnersim.Server
	cfg    Config
	tokens *partnersim.Tokens
	ruids  atomic.Uint64
	storms bool // the faults have 429s, which bear what the rule says

	mu       sync.Mutex
	bookings []booking
	acked    time.Time // when an acknowledgement was answered last
	rates    map[rateKey]map[string]string
}

// NewServer returns a simulated Booking.com, or an error that names everything that is wrong with c.
func NewServer(c Config) (*Server, error) {
	var errs []error
	for _, n := range []struct {
		name    string
		n, most int
	}{
		{"Properties", c.Properties, 10_000}, {"UnitsPerProperty", c.UnitsPerProperty, 99},
		{"PhotosPerProperty", c.PhotosPerProperty, 299},
		{"ReservationsPerProperty", c.ReservationsPerProperty, 1_000_000}, {"Limit", c.Limit, 10_000},
	} {
		if n.n < 0 || n.n > n.most {
			errs = append(errs, fmt.Errorf("%s is %d, want 0 to %d", n.name, n.n, n.most))
		}
	}
	if len(errs) == 0 && c.Properties*c.ReservationsPerProperty > 1_000_000 {
		errs = append(errs, errors.New("there are at most a million reservations"))
	}
	if c.Epoch.IsZero() {
		c.Epoch = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	}
	c.Epoch = c.Epoch.UTC().Truncate(24 * time.Hour)
	if c.UnitsPerProperty == 0 {
		c.UnitsPerProperty = 3
	}
	if c.Odd == 0 {
		c.Odd = 7
	}
	if c.Limit == 0 {
		c.Limit = 100
	}
	s := &Server{cfg: c, rates: map[rateKey]map[string]string{}}
	for _, r := range c.Faults {
		s.storms = s.storms || r.Kind == partnersim.TooMany
	}
	s.tokens = &partnersim.Tokens{
		Path: TokenPath, Clients: map[string]string{ClientID: ClientSecret}, Lifetime: time.Hour, Budget: TokenTiers,
		Mint:      s.mint,
		Endpoint:  http.HandlerFunc(s.exchange),
		BudgetKey: func(*http.Request) string { return strconv.Itoa(MachineAccount) },
	}
	var err error
	s.Server, err = partnersim.New(partnersim.Config{
		Name: "bookingcom", Handler: http.HandlerFunc(s.handle), Scale: c.Scale, Latency: c.Latency, Jitter: c.Jitter,
		Seed:   c.Seed,
		Faults: c.Faults, Refuse: s.refuse, Tokens: s.tokens,
		Tiers: ContentTiers, Free: reservations,
		Quotas: []partnersim.Quota{{Name: "reservations", Tiers: ReservationTiers, Match: reservations}},
		Answers: map[string]http.Handler{
			"errors": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.otaErrors(w, r, http.StatusOK, "448", "System error for Guest Example")
			}),
			"fault": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				s.xml(w, http.StatusOK, `<fault code="1007" string="Not available for Guest Example"/>`)
			}),
			"envelope": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				s.envelope(w, http.StatusOK, nil, "448", "System error for Guest Example")
			}),
		},
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("bookingcomtest: %w", err)
	}
	now := time.Now()
	s.bookings = make([]booking, c.Properties*c.ReservationsPerProperty)
	for i := range s.bookings {
		s.bookings[i].queued = now
	}
	return s, nil
}

// reservations says which requests are to the reservation endpoints, which have a rule of their own and no number.
func reservations(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/hotels/ota/OTA_HotelRes") || r.URL.Path == "/hotels/xml/reservations"
}

// Integration returns a host's integration with all properties, by token exchange. BaseURL is the listener's once the
// server was started, else "", for use with Transport.
func (s *Server) Integration(id string) driver.Integration {
	ids := make([]string, s.cfg.Properties)
	for i := range ids {
		ids[i] = PropertyID(i)
	}
	in := s.Hotel(id, 0)
	in.Settings = map[string]string{"properties": strings.Join(ids, ",")}
	if len(ids) == 0 {
		in.Settings = nil
	}
	return in
}

// Hotel returns a host's integration with the one property of the index; all share the machine account.
func (s *Server) Hotel(id string, property int) driver.Integration {
	return driver.Integration{
		ID: id, Partner: "bookingcom", Account: PropertyID(property), BaseURL: s.BaseURL(),
		Credentials: map[string]auth.Secret{"client_id": ClientID, "client_secret": ClientSecret},
	}
}

// Legacy returns in with the machine account's Basic credentials in place of the token exchange.
func Legacy(in driver.Integration) driver.Integration {
	in.Credentials = map[string]auth.Secret{"username": Username, "password": Password}
	return in
}

// now is the partner's clock. It runs Scale times as fast only in what is counted, not in what is written.
func (s *Server) now() time.Time { return time.Now().UTC() }

// lasting returns a time of the partner's by the clock on the wall.
func (s *Server) lasting(d time.Duration) time.Duration {
	return time.Duration(float64(d) / max(s.cfg.Scale, 1))
}

// mint makes the JWT with the claims that are documented. Its signature is none.
func (s *Server) mint(client string, n int, issued, expires time.Time) string {
	claims, err := json.Marshal(map[string]any{
		"iss": "urn://connectivity-modern-auth/v1", "sub": "connectivity-auth-proxy", "aud": "connectivity",
		"iat": issued.Unix(), "exp": expires.Unix(),
		"jti": fmt.Sprintf("sim-%d", n), "test": true, "machine_account_id": MachineAccount, "provider_id": 912,
		"client_id": client,
	})
	if err != nil {
		panic(err) // texts and numbers
	}
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS256"}`)) + "." + enc(claims) + "." + enc(fmt.Appendf(nil, "simulated-signature-%d", n))
}

// exchange is the token exchange: JSON in, JSON out. What an error looks like is unverified.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	switch err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&in); {
	case r.Method != http.MethodPost:
		s.envelope(w, http.StatusMethodNotAllowed, nil, "", "Method not allowed")
		return
	case err != nil || in.ID == "":
		s.envelope(w, http.StatusBadRequest, nil, "", "The body is not what was expected")
		return
	}
	t, err := s.tokens.Grant(in.ID, in.Secret)
	if err != nil {
		s.envelope(w, http.StatusUnauthorized, nil, "497", "Invalid client credentials")
		return
	}
	s.json(w, http.StatusOK, map[string]any{"jwt": t.Text, "ruid": s.ruid()})
}

// TokensIssued is how many tokens were granted.
func (s *Server) TokensIssued() int { return s.tokens.Issued() }

// RevokeTokens makes every token worthless.
func (s *Server) RevokeTokens() { s.tokens.Revoke() }

func (s *Server) authorized(r *http.Request) bool {
	if user, password, ok := r.BasicAuth(); ok {
		return user == Username && password == Password
	}
	_, ok := s.tokens.Client(r)
	return ok
}

// ruid makes an id of a request: a UUID in some places, text as of base64 in others, of JSON.
func (s *Server) ruid() string {
	n := s.ruids.Load() + 1
	if n%2 == 0 {
		s.ruids.Add(1)
		return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "RandomSample%d", n))
	}
	return s.uuid()
}

func (s *Server) uuid() string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", s.ruids.Add(1)) }

// odd returns which odd shape the n-th record has; ok is false when it has none.
func (s *Server) odd(n, shapes int) (shape int, ok bool) {
	if s.cfg.Odd < 0 || n%s.cfg.Odd != s.cfg.Odd-1 {
		return 0, false
	}
	return n / s.cfg.Odd % shapes, true
}
