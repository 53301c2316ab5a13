package guestytest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
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
const Host = "open-api.guesty.com"

// What the credentials are, and what a listing with the odd shape "integrations" embeds, for tests that look for leaks.
const (
	ClientID        = "0oa-simulated-client"
	ClientSecret    = "simulated-client-secret-5f1c"
	SecretInListing = "simulated-ota-secret-9a3e"
)

// Tiers are the partner's documented limits (docs/rate-limits), and the 15 in flight that one client reports
// (unverified).
var Tiers = ratelimit.Tiers{
	{Name: "second", Requests: 15, Per: time.Second},
	{Name: "minute", Requests: 120, Per: time.Minute},
	{Name: "hour", Requests: 5000, Per: time.Hour},
	{Name: "concurrent", Concurrent: 15},
}

// TokenBudget is the documented budget of the token endpoint (docs/authentication).
var TokenBudget = ratelimit.Tiers{{Name: "tokens", Requests: 5, Per: 24 * time.Hour}}

// Config describes a simulated account. The zero Config is an empty account without latency, in real time.
type Config struct {
	// Listings, ReservationsPerListing and PhotosPerListing are the size of the account before any change.
	Listings, ReservationsPerListing, PhotosPerListing int
	// Scale, Latency, Jitter, Seed and Faults are as in [partnersim.Config].
	Scale           float64
	Latency, Jitter time.Duration
	Seed            uint64
	Faults          []partnersim.Rule
	// Odd is how often a record has one of the odd shapes that the real API is known for: each Odd-th, the shapes
	// taking turns, and each Odd-th page is without its count. 0: 7; negative: never.
	Odd int
	// Expired401 makes an expired or unknown token answer 401, as some clients have seen, in place of the documented
	// 403.
	Expired401 bool
	// Epoch is the partner's time as which the account is generated: every record was changed last before it, and
	// stays lie around it. Zero: 2026-11-01 UTC, so that the same seed is the same account on every day. At least
	// 2025.
	Epoch time.Time
	// Gzip compresses answers for clients that accept it.
	Gzip bool
}

// Server is a simulated Guesty account. The embedded server reaches it: Transport, Start, Report, Close.
type Server struct {
	*partnersim.Server
	cfg          Config
	account      string
	tokens       *partnersim.Tokens
	listings     *partnersim.Population
	reservations *partnersim.Population
	requests     atomic.Uint64

	mu       sync.Mutex // guards what clients wrote, below
	edits    map[dayKey]edit
	statuses map[int]string
	hooks    []*hook
	made     int // subscriptions ever
	sent     int // deliveries ever
}

// NewServer returns a simulated account, or an error that names everything that is wrong with c.
func NewServer(c Config) (*Server, error) {
	var errs []error
	for _, n := range []struct {
		name string
		n    int
	}{{"Listings", c.Listings}, {"ReservationsPerListing", c.ReservationsPerListing}, {"PhotosPerListing",
		c.PhotosPerListing}} {
		if n.n < 0 || n.n > partnersim.MaxIndex {
			errs = append(errs, fmt.Errorf("%s is %d, want 0 to %d", n.name, n.n, partnersim.MaxIndex))
		}
	}
	if records := c.Listings * max(c.ReservationsPerListing, c.PhotosPerListing, 1); len(errs) == 0 &&
		records > partnersim.MaxIndex {
		errs = append(errs, fmt.Errorf("an account has at most %d records of a kind, not %d", partnersim.MaxIndex,
			records))
	}
	if c.Epoch.IsZero() {
		c.Epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	}
	if first := createdBase.AddDate(1, 0, 0); c.Epoch.Before(first) {
		errs = append(errs, fmt.Errorf("the account's Epoch is %v, want %v or later", c.Epoch, first))
	}
	if c.Odd == 0 {
		c.Odd = 7
	}
	s := &Server{
		edits: map[dayKey]edit{}, statuses: map[int]string{},
		cfg: c, account: partnersim.HexID(c.Seed, kindAccount, 0),
		listings:     partnersim.NewPopulation(c.Seed^kindListing, c.Listings),
		reservations: partnersim.NewPopulation(c.Seed^kindReservation, c.Listings*c.ReservationsPerListing),
	}
	s.tokens = &partnersim.Tokens{
		Path: "/oauth2/token", Clients: map[string]string{ClientID: ClientSecret}, Scope: "open-api",
		Lifetime: 24 * time.Hour, Budget: TokenBudget, Mint: s.mint, Read: s.readToken,
	}
	var err error
	s.Server, err = partnersim.New(partnersim.Config{
		Name: "guesty", Handler: http.HandlerFunc(s.handle), Tiers: Tiers, Tokens: s.tokens,
		Scale: c.Scale, Latency: c.Latency, Jitter: c.Jitter, Seed: c.Seed, Faults: c.Faults,
		Refuse: refuse, Header: s.header, Gzip: c.Gzip,
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("guestytest: %w", err)
	}
	return s, nil
}

// Integration returns a host's integration with the account: its credentials, and the base URL (scheme and host) of
// the listener once the server was started, else the partner's own, for use with Transport.
func (s *Server) Integration(id string) driver.Integration {
	base := s.BaseURL()
	if base == "" {
		base = "https://" + Host
	}
	return driver.Integration{
		ID: id, Partner: "guesty", Account: s.account, BaseURL: base,
		Credentials: map[string]auth.Secret{"client_id": ClientID, "client_secret": ClientSecret},
	}
}

// Limits returns the account's tiers as the clock on the wall sees them, for driver.Options.Tiers["guesty/api"].
func (s *Server) Limits() ratelimit.Tiers { return s.Server.Limits("api") }

// TokenLimits returns the token endpoint's budget likewise.
func (s *Server) TokenLimits() ratelimit.Tiers { return s.Server.Limits("token") }

// RevokeTokens makes every token that was issued so far worthless.
func (s *Server) RevokeTokens() { s.tokens.Revoke() }

// TokensIssued returns how many tokens were granted.
func (s *Server) TokensIssued() int { return s.tokens.Issued() }

// Counts is the size of an account.
type Counts struct{ Listings, Reservations, Photos int }

// Account returns what the account holds now: what an import must end with.
func (s *Server) Account() Counts {
	n := s.listings.Len()
	return Counts{n, s.reservations.Len(), n * s.cfg.PhotosPerListing}
}

// Changes is what [Server.Change] changed.
type Changes struct{ Listings, Reservations, Photos partnersim.Delta }

// Change changes a share (0 to 1) of the listings and of the reservations at the partner's time at, a third of it
// each by adding, updating and deleting; at should not be before the account's epoch. The first photo of an updated
// listing changes too, a deleted listing's photos go, and its reservations stay. A round (from 1 on) changes the same
// records of the same account every time, and nothing when it was done already.
func (s *Server) Change(share float64, round int, at time.Time) Changes {
	at = at.UTC().Truncate(time.Millisecond)
	c := Changes{Listings: s.listings.Change(share, round, at)}
	if s.cfg.Listings > 0 {
		c.Reservations = s.reservations.Change(share, round, at)
	}
	photos := s.cfg.PhotosPerListing
	c.Photos = partnersim.Delta{Added: photos * c.Listings.Added, Updated: min(photos, 1) * c.Listings.Updated,
		Deleted: photos * c.Listings.Deleted}
	return c
}

// ListingIDs lists the ids of the account's listings, in order.
func (s *Server) ListingIDs() iter.Seq[string] { return ids(s.listings, s.listingID) }

// ReservationIDs lists the ids of the account's reservations, in order.
func (s *Server) ReservationIDs() iter.Seq[string] { return ids(s.reservations, s.reservationID) }

func ids(p *partnersim.Population, id func(int) string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for rank := 0; ; rank++ {
			i, ok := p.At(rank)
			if !ok || !yield(id(i)) {
				return
			}
		}
	}
}

// mint makes a token that looks like the partner's: a JWT with the claims accountId and scp. (The partner's is signed
// with RS256.) An account with the same seed takes it for its own, also in another process.
func (s *Server) mint(client string, n int, issued, expires time.Time) string {
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc.EncodeToString(fmt.Appendf(nil,
		`{"jti":"sim-%d","cid":%q,"accountId":%q,"scp":["open-api"],"iat":%d,"exp":%d}`, n, client, s.account, issued.Unix(), expires.Unix()))
	return text + "." + enc.EncodeToString(s.sign(text))
}

func (s *Server) sign(text string) []byte {
	mac := hmac.New(sha256.New, binary.LittleEndian.AppendUint64(nil, s.cfg.Seed))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// readToken checks a token that another server of this account minted.
func (s *Server) readToken(text string) (client string, expires time.Time, ok bool) {
	at := strings.LastIndexByte(text, '.')
	if at < 0 {
		return "", time.Time{}, false
	}
	signature, err := base64.RawURLEncoding.DecodeString(text[at+1:])
	if err != nil || !hmac.Equal(signature, s.sign(text[:at])) {
		return "", time.Time{}, false
	}
	_, payload, _ := strings.Cut(text[:at], ".")
	var claims struct {
		CID string `json:"cid"`
		Exp int64  `json:"exp"`
	}
	plain, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(plain, &claims) != nil {
		return "", time.Time{}, false
	}
	return claims.CID, time.Unix(claims.Exp, 0), true
}

// header sets what every answer bears.
func (s *Server) header(h http.Header, r *http.Request, counts []partnersim.Count) {
	h.Set("x-request-id", s.requestID())
	if r.URL.Path != s.tokens.Path {
		partnersim.PerWindowHeaders(h, counts)
	}
}

func (s *Server) requestID() string {
	n := s.requests.Add(1)
	return fmt.Sprintf("Root=1-%08x-%024x", createdBase.Unix()+int64(n), n)
}
