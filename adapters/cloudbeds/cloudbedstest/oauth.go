package cloudbedstest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// The application that the group has granted access to, and the lifetimes of what it gets: 8 hours and 365 days (seen
// in client code), 10 minutes of a code (documented).
const (
	ClientID     = "simulated_client"
	ClientSecret = "simulated-secret-51d0"

	tokenLife   = 8 * time.Hour
	refreshLife = 365 * 24 * time.Hour
	codeLife    = 10 * time.Minute

	tokenPath = "/api/v1.3/access_token"
)

// grant is what a human granted. Its refresh token changes with each use.
type grant struct {
	refresh string
	used    time.Time
	dead    bool
}

// Grant grants the application access to the group, as a human does, and returns a first refresh token.
func (s *Server) Grant() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &grant{}
	s.renew(g)
	return g.refresh
}

// renew gives a grant another refresh token. The one before is remembered; mu is held.
func (s *Server) renew(g *grant) {
	s.grants++
	g.refresh, g.used = fmt.Sprintf("cbrt_simulated-%04d-%08x", s.grants, partnersim.Roll(s.cfg.Seed, 3,
		s.grants).Uint64(0)&0xffffffff), time.Now()
	s.refreshes[g.refresh] = g
}

// Refreshes returns how many refresh tokens were used, and how often one was used again, which kills its grant: two
// refreshes at once may invalidate each other (seen in client code).
func (s *Server) Refreshes() (used, again int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.again
}

// scaled is a duration of the partner's by the clock on the wall.
func (s *Server) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / max(s.cfg.Scale, 1))
}

func (s *Server) tokenError(w http.ResponseWriter, code, text string) {
	send(w, http.StatusBadRequest, encode(map[string]string{"error": code, "error_description": text}))
}

// token is the token endpoint: a form, with the client's secret in it.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	var g *grant
	switch {
	case r.Method != http.MethodPost:
		send(w, http.StatusNotFound, []byte(`{"status":false,"error":"Unknown method."}`))
		return
	case media != "application/x-www-form-urlencoded":
		s.tokenError(w, "invalid_request", "The request is missing a required parameter.")
		return
	case r.PostFormValue("client_id") != ClientID || r.PostFormValue("client_secret") != ClientSecret:
		send(w, http.StatusUnauthorized, encode(map[string]string{"error": "invalid_client",
			"error_description": "Client authentication failed."}))
		return
	}
	s.mu.Lock()
	switch r.PostFormValue("grant_type") {
	case "refresh_token":
		text := r.PostFormValue("refresh_token")
		if g = s.refreshes[text]; g != nil {
			if g.refresh != text {
				s.again++
				g.dead = true
			}
			s.used++
		}
		if g == nil || g.dead || time.Since(g.used) > s.scaled(refreshLife) {
			s.mu.Unlock()
			s.tokenError(w, "invalid_request", "The refresh token is invalid.")
			return
		}
	case "authorization_code":
		issued, ok := s.codes[r.PostFormValue("code")]
		delete(s.codes, r.PostFormValue("code"))
		if !ok || time.Since(issued.at) > s.scaled(codeLife) || issued.redirect != r.PostFormValue("redirect_uri") {
			s.mu.Unlock()
			send(w, http.StatusUnauthorized, encode(map[string]string{"error": "server_error",
				"error_description": "The authorization code is invalid or has expired."}))
			return
		}
		g = &grant{}
	default:
		s.mu.Unlock()
		s.tokenError(w, "unsupported_grant_type",
			"The authorization grant type is not supported by the authorization server.")
		return
	}
	s.renew(g)
	refresh := g.refresh
	s.mu.Unlock()
	t, err := s.tokens.Grant(ClientID, ClientSecret)
	if err != nil {
		page(w, http.StatusInternalServerError)
		return
	}
	send(w, http.StatusOK, encode(map[string]any{
		"access_token": t.Text, "token_type": "Bearer", "expires_in": int64(t.Life.Seconds()), "refresh_token": refresh,
		"resources": []any{map[string]string{"type": "association", "id": "88001"}},
	}))
}

type code struct {
	redirect string
	at       time.Time
}

// authorize is the page on which a human grants access: this one does at once.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	if q.Get("client_id") != ClientID || q.Get("response_type") != "code" || err != nil || to.Host == "" {
		page(w, http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.grants++
	text := fmt.Sprintf("simulated-code-%04d", s.grants)
	s.codes[text] = code{q.Get("redirect_uri"), time.Now()}
	s.mu.Unlock()
	back := to.Query()
	back.Set("code", text)
	back.Set("state", q.Get("state"))
	to.RawQuery = back.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}
