package auth_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

func refreshToken(e *endpoint) auth.RefreshToken {
	return auth.RefreshToken{
		TokenURL: "https://auth.example.com/oauth2/token", ClientID: "client", ClientSecret: "canary-secret", Transport: e,
	}
}

func TestRefreshTokenRequest(t *testing.T) {
	old := auth.Token{Access: "old", Refresh: "r1", Scope: "read"}
	e := &endpoint{body: `{"access_token":"new","refresh_token":"r2","expires_in":"3600","scope":"read write"}`}
	c := refreshToken(e)
	tok, err := c.Exchange(t.Context(), old)
	if err != nil || tok.Access != "new" || tok.Refresh != "r2" || tok.Scope != "read write" || tok.Expiry.Sub(tok.Obtained) != time.Hour {
		t.Fatalf("Exchange: %+v, %v", tok, err)
	}
	want := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {"r1"}, "client_id": {"client"}, "client_secret": {"canary-secret"},
	}
	if e.form.Encode() != want.Encode() || e.req.Header.Get("Authorization") != "" {
		t.Errorf("sent %v, want %v", e.form, want)
	}

	e.body = `{"access_token":"new"}`
	if tok, err = c.Exchange(t.Context(), old); err != nil || tok.Refresh != "r1" || tok.Scope != "read" {
		t.Errorf("an answer without them: refresh token kept %v, scope %q, %v", tok.Refresh == "r1", tok.Scope, err)
	}

	c.InHeader = true
	if _, err = c.Exchange(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	user, pass, _ := e.req.BasicAuth()
	if user != "client" || pass != "canary-secret" || e.form.Has("client_secret") || e.form.Has("client_id") {
		t.Errorf("InHeader: %q, form %v", user, e.form)
	}

	c.InHeader, c.Public, c.ClientSecret = false, true, ""
	if _, err = c.Exchange(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if e.form.Get("client_id") != "client" || e.form.Has("client_secret") || e.req.Header.Get("Authorization") != "" {
		t.Errorf("Public: form %v", e.form)
	}

	n := e.requests
	_, err = c.Exchange(t.Context(), auth.Token{Access: "old"})
	re, ok := errors.AsType[*retry.Error](err)
	if !ok || !errors.Is(err, auth.ErrGrant) || re.Sent != retry.Never || e.requests != n {
		t.Errorf("without a refresh token: %v after %d requests, want ErrGrant after none", err, e.requests-n)
	}

	e.status, e.body = 400, `{"error":"invalid_grant","error_description":"r1 was used"}`
	_, err = c.Exchange(t.Context(), old)
	if !errors.Is(err, auth.ErrGrant) || strings.Contains(err.Error(), "r1") || e.requests != n+1 {
		t.Errorf("a dead grant: %v after %d requests, want ErrGrant after 1", err, e.requests-n)
	}
}

// Cloudbeds says invalid_request, as gateways do that are out of order, with a text of its own.
func TestRefreshTokenDead(t *testing.T) {
	e := &endpoint{status: 400, body: `{"error":"invalid_request","error_description":"The refresh token is invalid."}`}
	c := refreshToken(e)
	if _, err := c.Exchange(t.Context(), auth.Token{Refresh: "r"}); retry.ClassOf(err) != retry.Client || errors.Is(err, auth.ErrGrant) {
		t.Errorf("not recognized: %v", err)
	}
	c.Dead = func(code, text string) bool {
		return code == "invalid_request" && text == "The refresh token is invalid."
	}
	if _, err := c.Exchange(t.Context(), auth.Token{Refresh: "r"}); !errors.Is(err, auth.ErrGrant) || strings.Contains(err.Error(), "The refresh") {
		t.Errorf("recognized: %v, want ErrGrant without the partner's text", err)
	}
	e.status = 502
	if _, err := c.Exchange(t.Context(), auth.Token{Refresh: "r"}); errors.Is(err, auth.ErrGrant) {
		t.Errorf("a gateway's: %v", err)
	}
}

func TestRefreshTokenValidate(t *testing.T) {
	err := auth.RefreshToken{TokenURL: "http://example.com/token"}.Validate()
	for _, want := range []string{"TokenURL", "ClientID", "ClientSecret"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	err = auth.RefreshToken{TokenURL: "https://example.com/#x", ClientID: "c", ClientSecret: "canary", Public: true, InHeader: true}.Validate()
	for _, want := range []string{"TokenURL", "ClientSecret", "InHeader"} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if _, err := (auth.RefreshToken{}).Exchange(t.Context(), auth.Token{Refresh: "r"}); retry.ClassOf(err) != retry.Client {
		t.Errorf("Exchange: %v, want a Client error", err)
	}
	a, b := refreshToken(nil), refreshToken(nil)
	b.ClientSecret = "another"
	if a.Fingerprint() == b.Fingerprint() || a.Fingerprint() != refreshToken(nil).Fingerprint() {
		t.Error("the fingerprint does not follow the client")
	}
}

// A Source with rotating refresh tokens sends each once, through restarts, from the human's first to the last.
func TestRefreshTokenRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		store := auth.NewMemoryStore()
		evs := &events{}
		open := func() *auth.Source {
			s, err := auth.NewSource(auth.SourceConfig{
				Key: "acme/one", Exchanger: refreshToken(e), Store: store, Origins: apiOrigins, OnEvent: evs.add,
				Budget: auth.Budget{Requests: 30, Per: 24 * time.Hour},
			})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := open()
		if _, _, err := s.Token(t.Context()); !errors.Is(err, auth.ErrNeedsReauth) || e.requests != 0 {
			t.Fatalf("before anybody authorized: %v after %d requests, want ErrNeedsReauth after none", err, e.requests)
		}
		if st, err := s.State(t.Context()); err != nil || st.Spent != 0 || st.NeedsReauth == "" {
			t.Errorf("state %+v, %v; want nothing spent on a request that was not sent", st, err)
		}
		if err := s.Replace(t.Context(), auth.Token{Refresh: "r0"}); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			e.body = fmt.Sprintf(`{"access_token":"a%d","refresh_token":"r%d","expires_in":3600}`, i+1, i+1)
			wantToken(t, s, fmt.Sprint("a", i+1))
			if got, want := e.form.Get("refresh_token"), fmt.Sprint("r", i); got != want || e.requests != i+1 {
				t.Fatalf("request %d sent %s, want %s", e.requests, got, want)
			}
			time.Sleep(time.Hour)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open()
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := evs.count(auth.NeedsReauth); n != 1 {
			t.Errorf("%d reports, want the one from before", n)
		}
	})
}
