package partnersim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// withTokens returns a server whose handler answers 401 without a good token.
func withTokens(t *testing.T, c partnersim.Config) *partnersim.Server {
	t.Helper()
	if c.Tokens == nil {
		c.Tokens = &partnersim.Tokens{
			Path: "/oauth2/token", Clients: map[string]string{"id": "secret", "other": "secret2"}, Scope: "api",
			Lifetime: 24 * time.Hour,
			Budget:   ratelimit.Tiers{{Requests: 5, Per: 24 * time.Hour}},
		}
	}
	tokens := c.Tokens
	c.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, ok := tokens.Client(r)
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		io.WriteString(w, client)
	})
	return newServer(t, c)
}

// send does a request through the in-memory transport.
func send(t *testing.T, s *partnersim.Server, method, path, contentType, bearer, body string) (int, string,
	http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://partner.example"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := s.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

const formType = "application/x-www-form-urlencoded"

func form(id, secret string) string {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {"api"}, "client_id": {id},
		"client_secret": {secret}}.Encode()
}

func token(t *testing.T, s *partnersim.Server) (text string, expiresIn float64) {
	t.Helper()
	status, body, _ := send(t, s, "POST", "/oauth2/token", formType, "", form("id", "secret"))
	var got struct {
		Type      string  `json:"token_type"`
		Text      string  `json:"access_token"`
		Scope     string  `json:"scope"`
		ExpiresIn float64 `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || got.Type != "Bearer" ||
		got.Scope != "api" {
		t.Fatalf("token: status %d, %s, %v", status, body, err)
	}
	return got.Text, got.ExpiresIn
}

func TestTokenLivesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := withTokens(t, partnersim.Config{Scale: 60})
		text, life := token(t, s)
		if life != 24*60 {
			t.Errorf("expires_in %v, want 1440", life)
		}
		if status, body, _ := send(t, s, "GET", "/", "", text, ""); status != 200 || body != "id" {
			t.Errorf("status %d, client %q", status, body)
		}
		time.Sleep(24*time.Minute - time.Nanosecond)
		if status, _, _ := send(t, s, "GET", "/", "", text, ""); status != 200 {
			t.Errorf("at the end of its life: status %d", status)
		}
		time.Sleep(time.Nanosecond)
		if status, _, _ := send(t, s, "GET", "/", "", text, ""); status != 401 {
			t.Errorf("after its life: status %d", status)
		}
	})
}

func TestTokenBudgetIsByClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := withTokens(t, partnersim.Config{Scale: 60, Tiers: ratelimit.Tiers{{Requests: 1, Per: time.Hour}}})
		seen := map[string]bool{}
		for range 5 {
			text, _ := token(t, s)
			seen[text] = true
		}
		status, _, h := send(t, s, "POST", "/oauth2/token", formType, "", form("id", "secret"))
		if status != 429 || h.Get("Retry-After") != "1440" {
			t.Errorf("the sixth: status %d, Retry-After %q", status, h.Get("Retry-After"))
		}
		if status, body, _ := send(t, s, "POST", "/oauth2/token", formType, "",
			form("other", "secret2")); status != 200 {
			t.Errorf("another client: status %d, %s", status, body)
		}
		r := s.Report()
		if r.TokenRequests != 7 || r.Violations != 1 || len(seen) != 5 {
			t.Errorf("report: %+v, %d different tokens", r, len(seen))
		}
		if api, _ := r.Tier("api", 1); api.Counted != 0 {
			t.Error("the token endpoint spends the API's quota")
		}
		if got := s.Limits("token"); len(got) != 1 || got[0].Per != 24*time.Minute {
			t.Errorf("limits: %+v", got)
		}
	})
}

func TestTokenRefusals(t *testing.T) {
	for _, tt := range []struct {
		method, contentType, body string
		status                    int
		code                      string
	}{
		{"POST", formType, form("id", "wrong"), 401, "invalid_client"},
		{"POST", formType, form("nobody", ""), 401, "invalid_client"},
		{"GET", formType, "", 405, "invalid_request"},
		{"POST", "application/json", `{"grant_type":"client_credentials"}`, 400, "invalid_request"},
		{"POST", formType, "grant_type=password", 400, "unsupported_grant_type"},
		{"POST", formType, "grant_type=client_credentials&scope=all", 400, "invalid_scope"},
		{"POST", formType + "; charset=utf-8", form("id", "secret"), 200, ""},
	} {
		s := withTokens(t, partnersim.Config{})
		status, body, _ := send(t, s, tt.method, "/oauth2/token", tt.contentType, "", tt.body)
		var got struct{ Error string }
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != tt.status || got.Error != tt.code {
			t.Errorf("%s %s %s: status %d, %s; want %d, %s", tt.method, tt.contentType, tt.body, status, body,
				tt.status, tt.code)
		}
	}
}

func TestRevokedTokens(t *testing.T) {
	tokens := &partnersim.Tokens{Path: "/oauth2/token", Clients: map[string]string{"id": "secret"}, Scope: "api"}
	s := withTokens(t, partnersim.Config{Tokens: tokens, Faults: []partnersim.Rule{{Kind: partnersim.Revoke, After: 1,
		Count: 1}}})
	text, life := token(t, s)
	if life != 3600 {
		t.Errorf("expires_in %v, want an hour", life)
	}
	var got []int
	for range 3 {
		status, _, _ := send(t, s, "GET", "/", "", text, "")
		got = append(got, status)
	}
	if got[0] != 200 || got[1] != 401 || got[2] != 401 {
		t.Errorf("revoked at the second request: %v", got)
	}
	text, _ = token(t, s)
	tokens.Revoke()
	if status, _, _ := send(t, s, "GET", "/", "", text, ""); status != 401 || tokens.Issued() != 2 {
		t.Errorf("after Revoke: status %d, %d issued", status, tokens.Issued())
	}
}

// A partner with an exchange of its own.
func TestOwnTokenEndpoint(t *testing.T) {
	tokens := &partnersim.Tokens{
		Path: "/exchange", Clients: map[string]string{"machine": "secret"}, Lifetime: time.Hour,
		Budget:    ratelimit.Tiers{{Requests: 1, Per: time.Hour}},
		Mint:      func(client string, n int, issued, expires time.Time) string { return "jwt-of-" + client },
		BudgetKey: func(r *http.Request) string { return r.Header.Get("X-Client") },
	}
	tokens.Endpoint = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		tok, err := tokens.Grant(id, secret)
		if err != nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		io.WriteString(w, tok.Text)
	})
	s := withTokens(t, partnersim.Config{Tokens: tokens})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://partner.example/exchange", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("machine", "secret")
	var statuses []int
	for _, client := range []string{"a", "b", "a"} {
		req.Header.Set("X-Client", client)
		resp, err := s.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		statuses = append(statuses, resp.StatusCode)
	}
	if statuses[0] != 200 || statuses[1] != 200 || statuses[2] != 429 {
		t.Errorf("statuses: %v", statuses)
	}
	if status, body, _ := send(t, s, "GET", "/", "", "jwt-of-machine", ""); status != 200 || body != "machine" {
		t.Errorf("status %d, client %q", status, body)
	}
}
