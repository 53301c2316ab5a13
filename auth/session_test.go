package auth_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

// login answers every request in the same way and keeps the last one.
type login struct {
	status   int
	body     string
	err      error
	requests int
	req      *http.Request
	sent     string
}

func (l *login) RoundTrip(req *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	l.requests, l.req, l.sent = l.requests+1, req, string(b)
	if l.err != nil {
		return nil, l.err
	}
	return &http.Response{
		StatusCode: max(l.status, 200), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(l.body)), Request: req,
	}, nil
}

// bookingLike is Booking.com's token exchange, in its documented words.
func bookingLike(l *login) auth.Session {
	return auth.Session{
		URL:   "https://login.example.com/token-based-authentication/exchange",
		Body:  map[string]auth.Secret{"client_id": "5f0c2d3e", "client_secret": "canary-secret"},
		Token: "jwt", RequestID: "ruid", RefusedBy: []int{400}, Transport: l,
	}
}

func TestSessionRequest(t *testing.T) {
	l := &login{body: `{"jwt":"a.b.c","ruid":"8b0a6d3c"}`}
	tok, err := bookingLike(l).Exchange(t.Context(), auth.Token{Refresh: "old"})
	if err != nil || tok.Access != "a.b.c" || tok.Refresh != "" || tok.Type != "" {
		t.Fatalf("Exchange: type %q, %v", tok.Type, err)
	}
	if l.req.Method != "POST" || l.sent != `{"client_id":"5f0c2d3e","client_secret":"canary-secret"}` ||
		l.req.Header.Get("Content-Type") != "application/json" || l.req.Header.Get("Accept") != "application/json" {
		t.Errorf("sent %s %s with %v", l.req.Method, l.sent, l.req.Header)
	}
}

func TestSessionReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		exp := fmt.Sprintf(`{"iat":%d,"exp":%d}`, now.Unix(), now.Add(time.Hour).Unix())
		for _, tt := range []struct {
			name, body string
			c          auth.Session
			want       string
			expiry     time.Duration
		}{
			{"JWT", fmt.Sprintf(`{"jwt":%q,"ruid":"r"}`, jwt(exp)), auth.Session{Token: "jwt"}, jwt(exp), time.Hour},
			{"JWT, before Lifetime", fmt.Sprintf(`{"jwt":%q}`, jwt(exp)), auth.Session{Token: "jwt", Lifetime: time.Minute}, jwt(exp), time.Hour},
			{"OAuth's names", `{"access_token":"t","expires_in":"60"}`, auth.Session{}, "t", time.Minute},
			{"nested", `{"data":{"session":{"id":"t"},"ttl":90}}`, auth.Session{Token: "data.session.id", ExpiresIn: "data.ttl"}, "t", 90 * time.Second},
			{"an end", fmt.Sprintf(`{"token":"t","until":%d}`, now.Add(time.Hour).UnixMilli()), auth.Session{Token: "token", ExpiresAt: "until"}, "t", time.Hour},
			{"a number", `{"sid":17}`, auth.Session{Token: "sid"}, "17", 0},
			{"Lifetime", `{"sid":"t"}`, auth.Session{Token: "sid", Lifetime: 20 * time.Minute}, "t", 20 * time.Minute},
			{"other meanings", `{"sid":"t","scope":"a\nb","token_type":"a b","refresh_token":"x"}`, auth.Session{Token: "sid"}, "t", 0},
		} {
			tt.c.URL, tt.c.Body, tt.c.Transport = "https://h.example/login", map[string]auth.Secret{"user": "u"}, &login{body: tt.body}
			tok, err := tt.c.Exchange(t.Context(), auth.Token{})
			if err != nil || string(tok.Access) != tt.want || tok.Refresh != "" || tok.Type+tok.Scope != "" {
				t.Errorf("%s: %v", tt.name, err)
			}
			want := now.Add(tt.expiry)
			if tt.expiry == 0 {
				want = time.Time{}
			}
			if !tok.Expiry.Equal(want) {
				t.Errorf("%s: expires at %v, want %v", tt.name, tok.Expiry, want)
			}
		}
	})
}

func TestSessionErrors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		l     login
		class retry.Class
		grant bool
		text  string
	}{
		{"bad secret", login{status: 401, body: `{"message":"canary"}`}, retry.Auth, true, "401"},
		{"bad secret, no JSON", login{status: 401, body: `canary`}, retry.Auth, true, "401"},
		{"named by the partner", login{status: 400, body: `{"ruid":"8b0a6d3c","errors":["canary"]}`}, retry.Auth, true, "8b0a6d3c"},
		{"a name that is none", login{status: 401, body: `{"ruid":"can ary\n"}`}, retry.Auth, true, "401"},
		{"a name too long", login{status: 401, body: `{"ruid":"` + strings.Repeat("canary", 20) + `"}`}, retry.Auth, true, "401"},
		{"forbidden", login{status: 403, body: `{}`}, retry.Auth, true, "403"},
		{"a gateway", login{status: 403, body: `<html>canary`}, retry.Client, false, "403"},
		{"OAuth's code", login{status: 200, body: `{"error":"invalid_client"}`}, retry.Auth, true, "invalid_client"},
		{"not found", login{status: 404, body: `{}`}, retry.Client, false, "404"},
		{"throttled", login{status: 429, body: `{}`}, retry.RateLimit, false, "429"},
		{"down", login{status: 502, body: `{}`}, retry.Transient, false, "502"},
		{"HTML", login{body: `<html>canary`}, retry.Data, false, "neither"},
		{"null", login{body: `null`}, retry.Data, false, "neither"},
		{"no token", login{body: `{"access_token":"canary"}`}, retry.Data, false, "no access token"},
		{"an object for a token", login{body: `{"jwt":{"canary":1}}`}, retry.Data, false, "no access token"},
		{"no connection", login{err: errors.New("reset")}, retry.Transient, false, "reset"},
	} {
		_, err := bookingLike(&tt.l).Exchange(t.Context(), auth.Token{})
		if retry.ClassOf(err) != tt.class || errors.Is(err, auth.ErrGrant) != tt.grant || !strings.Contains(fmt.Sprint(err), tt.text) {
			t.Errorf("%s: %v of class %v, want class %v, a dead grant %v, with %q", tt.name, err, retry.ClassOf(err), tt.class, tt.grant, tt.text)
		}
		if all := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(all, "canary") {
			t.Errorf("%s: the error shows what it must not: %s", tt.name, all)
		}
		if tt.l.requests != 1 {
			t.Errorf("%s: %d requests, want 1", tt.name, tt.l.requests)
		}
	}
}

func TestSessionValidate(t *testing.T) {
	bad := auth.Session{
		URL: "http://example.com/canary", Body: map[string]auth.Secret{"": "x", "password": "", "user": "canary\n"},
		Token: "a..b", ExpiresIn: ".", ExpiresAt: "a.", RequestID: ".a", Lifetime: -1, RefusedBy: []int{200, 429, 503, 422},
	}
	err := bad.Validate()
	for _, want := range []string{
		"URL", "without a name", `Body["password"]`, `Body["user"]`, "Token", "ExpiresIn", "ExpiresAt", "RequestID", "Lifetime", "200", "holds 429", "503",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", err, bad, bad.Body); strings.Contains(s, "canary\n") || strings.Contains(fmt.Sprint(err), "422") {
		t.Errorf("too much is told: %s", s)
	}
	if err := (auth.Session{URL: "https://h.example"}).Validate(); err == nil || !strings.Contains(err.Error(), "Body is empty") {
		t.Errorf("without credentials: %v", err)
	}
	if _, err := bad.Exchange(t.Context(), auth.Token{}); retry.ClassOf(err) != retry.Client {
		t.Errorf("Exchange: %v, want a Client error", err)
	}
	a, b := bookingLike(nil), bookingLike(nil)
	b.Body["client_secret"] = "another"
	if a.Fingerprint() == b.Fingerprint() || a.Fingerprint() != bookingLike(nil).Fingerprint() {
		t.Error("the fingerprint does not follow the credentials")
	}
}

// One exchange an hour, whoever asks; a refused secret is reported and not tried again until there is another.
func TestSessionSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &login{body: `{"sid":"t1"}`}
		c := bookingLike(l)
		c.Token, c.Lifetime = "sid", time.Hour
		a := &api{}
		s := newSource(t, auth.SourceConfig{Exchanger: c, Header: "x-session", Budget: auth.Budget{Requests: 30, Per: time.Hour}})
		rt := s.Wrap(rtFunc(func(req *http.Request) (*http.Response, error) {
			if got := req.Header.Get("X-Session"); got != l.body[8:10] || req.Header.Get("Authorization") != "" {
				t.Errorf("sent X-Session %q and Authorization %q", got, req.Header.Get("Authorization"))
			}
			return a.RoundTrip(req)
		}))
		for range 3 {
			if status, err := get(t, rt, apiURL); status != 200 {
				t.Fatalf("%d, %v", status, err)
			}
		}
		if l.requests != 1 {
			t.Errorf("%d exchanges, want 1", l.requests)
		}
		l.status = 401
		time.Sleep(time.Hour)
		for range 3 {
			if _, err := get(t, rt, apiURL); !errors.Is(err, auth.ErrNeedsReauth) {
				t.Errorf("with a refused secret: %v, want ErrNeedsReauth", err)
			}
		}
		if l.requests != 2 {
			t.Errorf("%d exchanges, want 2", l.requests)
		}
	})
	_, err := auth.NewSource(auth.SourceConfig{Key: "k", Exchanger: newIssuer(), Origins: apiOrigins, Header: "a b"})
	if err == nil || !strings.Contains(err.Error(), "Header") {
		t.Errorf("a header that is none: %v", err)
	}
}

func FuzzSessionReply(f *testing.F) {
	for _, s := range []string{
		`{"data":{"jwt":"a","ttl":"1e9"},"ruid":"x"}`, `{"data":[]}`, `{"data":{"jwt":{}}}`, `null`, `<`, `{"error":{},"ruid":7}`, `{"data":{"jwt":"a.e30.c"}}`,
	} {
		f.Add(200, s)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		c := bookingLike(&login{status: status, body: body})
		c.Token, c.ExpiresIn = "data.jwt", "data.ttl"
		tok, err := c.Exchange(t.Context(), auth.Token{})
		if err != nil {
			if s := err.Error(); len(s) > 400 || strings.Contains(s, "canary") {
				t.Errorf("error text: %s", s)
			}
			return
		}
		if status > 299 || tok.Access == "" || tok.Access[0] == '{' || tok.Access[0] == '[' || !strings.Contains(body, "data") && !strings.Contains(body, `\u`) {
			t.Errorf("a token of nothing: status %d, body %q", status, body)
		}
	})
}
