package guestytest_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
)

func TestCredentialsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		expired401 bool
		token      string
		status     int
		body       string
	}{
		{false, "", 401, `{"error":{"code":"UNAUTHORIZED","message":"Unauthorized"}}`},
		{false, "nonsense", 403, `{"message":"You don't have permission to access this resource. Please contact support."`},
		{true, "nonsense", 401, `{"error":{"code":"UNAUTHORIZED","message":"Unauthorized"}}`},
	} {
		_, c := newServer(t, guestytest.Config{Expired401: tt.expired401})
		c.token = tt.token
		resp, body := c.get("/v1/accounts/me")
		if resp.StatusCode != tt.status || !strings.HasPrefix(body, tt.body) {
			t.Errorf("token %q: status %d, %s", tt.token, resp.StatusCode, body)
		}
		if !strings.HasPrefix(resp.Header.Get("x-request-id"), "Root=1-") {
			t.Errorf("x-request-id %q", resp.Header.Get("x-request-id"))
		}
	}
}

func TestTokenLastsADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newServer(t, guestytest.Config{Scale: 60})
		c.login()
		if resp, body := c.get("/v1/accounts/me"); resp.StatusCode != http.StatusOK ||
			!strings.Contains(body, `"_id":`) {
			t.Fatalf("status %d, %s", resp.StatusCode, body)
		}
		part := strings.Split(c.token, ".")
		claims, err := base64.RawURLEncoding.DecodeString(part[1])
		if account := s.Integration("x").Account; err != nil || !strings.Contains(string(claims),
			fmt.Sprintf(`"accountId":%q`, account)) {
			t.Errorf("claims %s do not name the account %s", claims, account)
		}
		time.Sleep(24 * time.Minute)
		if resp, _ := c.get("/v1/accounts/me"); resp.StatusCode != http.StatusForbidden {
			t.Errorf("a day later at the partner: status %d", resp.StatusCode)
		}
		c.login()
		s.RevokeTokens()
		if resp, _ := c.get("/v1/accounts/me"); resp.StatusCode != http.StatusForbidden || s.TokensIssued() != 2 {
			t.Errorf("revoked: status %d, %d issued", resp.StatusCode, s.TokensIssued())
		}
	})
}

// A token that was kept is good at the same account in another process, until it expires or is revoked.
func TestTokenOutlivesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, first := newServer(t, guestytest.Config{Seed: 3})
		token := first.login().token
		for _, tt := range []struct {
			what   string
			seed   uint64
			token  string
			before func(s *guestytest.Server)
			status int
		}{
			{"the same account", 3, token, func(*guestytest.Server) {}, 200},
			{"another account", 4, token, func(*guestytest.Server) {}, 403},
			{"an altered token", 3, "x" + token, func(*guestytest.Server) {}, 403},
			{"no token", 3, "a.b.c", func(*guestytest.Server) {}, 403},
			{"after revocation", 3, token, (*guestytest.Server).RevokeTokens, 403},
			{"a day later", 3, token, func(*guestytest.Server) { time.Sleep(24 * time.Hour) }, 403},
		} {
			s, c := newServer(t, guestytest.Config{Seed: tt.seed})
			c.token = tt.token
			tt.before(s)
			if resp, body := c.get("/v1/accounts/me"); resp.StatusCode != tt.status {
				t.Errorf("%s: status %d, %s; want %d", tt.what, resp.StatusCode, body, tt.status)
			}
		}
	})
}

func TestTokenBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newServer(t, guestytest.Config{})
		for range 5 {
			c.login()
		}
		resp, _ := c.do(http.MethodPost, "/oauth2/token", "application/x-www-form-urlencoded", goodForm)
		if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "86400" {
			t.Errorf("status %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
		}
		if resp.Header.Get("X-RateLimit-Limit-Day") != "" {
			t.Error("the token endpoint has limit headers: none are documented")
		}
		if r := s.Report(); r.TokenRequests != 6 || r.Violations != 1 {
			t.Errorf("report: %+v", r)
		}
		if got := s.TokenLimits(); len(got) != 1 || got[0].Requests != 5 || got[0].Per != 24*time.Hour {
			t.Errorf("token limits: %v", got)
		}
	})
}

func TestEveryTierIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newServer(t, guestytest.Config{})
		c.login()
		for n := range 16 {
			resp, _ := c.get("/v1/accounts/me")
			if want := n == 15; (resp.StatusCode == http.StatusTooManyRequests) != want {
				t.Fatalf("request %d: status %d", n, resp.StatusCode)
			}
			if got := resp.Header.Get("X-RateLimit-Remaining-Second"); n < 15 && got != fmt.Sprint(14-n) {
				t.Errorf("request %d: remaining %q", n, got)
			}
			if resp.Header.Get("X-RateLimit-Limit-Minute") != "120" ||
				resp.Header.Get("X-RateLimit-Limit-Hour") != "5000" {
				t.Errorf("headers: %v", resp.Header)
			}
			if n == 15 && resp.Header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
			}
		}
		time.Sleep(time.Second)
		for n := range 105 {
			if resp, _ := c.get("/v1/accounts/me"); resp.StatusCode != http.StatusOK {
				t.Fatalf("request %d of the minute: status %d", 15+n, resp.StatusCode)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if resp, _ := c.get("/v1/accounts/me"); resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("the 121st of the minute: status %d", resp.StatusCode)
		}
		r := s.Report()
		if tr, ok := r.Tier("api", 120); !ok || tr.Worst != 122 || r.Violations != 2 {
			t.Errorf("report: %+v", r)
		}
	})
}

// What the headers announce is true by the clock on the wall also when time is scaled.
func TestHeadersAreTrueWhenScaled(t *testing.T) {
	s, c := newServer(t, guestytest.Config{Scale: 60})
	c.login()
	resp, _ := c.get("/v1/accounts/me")
	if resp.Header.Get("X-RateLimit-Limit-Second") != "120" ||
		resp.Header.Get("X-RateLimit-Limit-Minute") != "5000" || resp.Header.Get("X-RateLimit-Limit-Hour") != "" {
		t.Errorf("headers: %v", resp.Header)
	}
	limits := s.Limits()
	if len(limits) != 4 || limits[1].Per != time.Second || limits[1].Requests != 120 || limits[3].Concurrent != 15 {
		t.Errorf("limits: %+v", limits)
	}
}

func TestNewServerNamesEveryProblem(t *testing.T) {
	_, err := guestytest.NewServer(guestytest.Config{Listings: -1, PhotosPerListing: -1, Epoch: time.Unix(0, 0),
		Scale: 100, Latency: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Listings is -1", "PhotosPerListing is -1", "Epoch is 1970", "Scale is 100",
		"Latency is"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if _, err := guestytest.NewServer(guestytest.Config{Listings: 1e6, PhotosPerListing: 100}); err == nil {
		t.Error("more records than ids")
	}
}

func TestIntegrationReachesTheListener(t *testing.T) {
	s, c := newServer(t, guestytest.Config{Listings: 1})
	if got := s.Integration("one"); got.BaseURL != "https://open-api.guesty.com" || got.ID != "one" ||
		got.Partner != "guesty" ||
		string(got.Credentials["client_id"]) != guestytest.ClientID ||
		string(got.Credentials["client_secret"]) != guestytest.ClientSecret {
		t.Errorf("integration: %+v", got)
	}
	if _, err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	c.base, c.rt = s.Integration("one").BaseURL, transport
	if rows := c.login().all("/v1/listings", "", 10); len(rows) != 1 {
		t.Errorf("%d listings", len(rows))
	}
}
