package auth_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

// endpoint answers every request in the same way and keeps the last one.
type endpoint struct {
	status      int
	contentType string
	body        string
	header      http.Header
	err         error

	requests int
	form     url.Values
	req      *http.Request
}

func (e *endpoint) RoundTrip(req *http.Request) (*http.Response, error) {
	e.requests++
	e.req = req
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body.Close()
	if e.form, err = url.ParseQuery(string(b)); err != nil {
		return nil, err
	}
	if e.err != nil {
		return nil, e.err
	}
	h := http.Header{"Content-Type": {"application/json"}}
	if e.contentType != "" {
		h.Set("Content-Type", e.contentType)
	}
	for k, v := range e.header {
		h[k] = v
	}
	status := e.status
	if status == 0 {
		status = 200
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: h, Body: io.NopCloser(strings.NewReader(e.body)), Request: req}, nil
}

func credentials(e *endpoint) auth.ClientCredentials {
	return auth.ClientCredentials{
		TokenURL: "https://auth.example.com/oauth2/token", ClientID: "client", ClientSecret: "canary-secret", Scopes: []string{"open-api", "more"},
		Params: url.Values{"audience": {"x"}}, Transport: e,
	}
}

func TestClientCredentialsRequest(t *testing.T) {
	e := &endpoint{body: `{"access_token":"tok","token_type":"bearer","expires_in":3600}`}
	c := credentials(e)
	tok, err := c.Exchange(t.Context(), auth.Token{})
	if err != nil || tok.Access != "tok" || tok.Type != "bearer" {
		t.Fatalf("Exchange: type %s, %v", tok.Type, err)
	}
	want := url.Values{
		"grant_type": {"client_credentials"}, "scope": {"open-api more"}, "audience": {"x"},
		"client_id": {"client"}, "client_secret": {"canary-secret"},
	}
	if e.form.Encode() != want.Encode() || e.req.Header.Get("Authorization") != "" || e.req.Header.Get("Accept") != "application/json" {
		t.Errorf("sent %v with headers %v, want %v", e.form, e.req.Header, want)
	}
	c.InHeader = true
	if _, err := c.Exchange(t.Context(), auth.Token{}); err != nil {
		t.Fatal(err)
	}
	user, pass, ok := e.req.BasicAuth()
	if !ok || user != "client" || pass != "canary-secret" || e.form.Has("client_secret") || e.form.Has("client_id") {
		t.Errorf("InHeader: basic %v, form %v", ok, e.form)
	}
	e.status, e.body = 401, `{}`
	n := e.requests
	if _, err := c.Exchange(t.Context(), auth.Token{}); err == nil || e.requests != n+1 {
		t.Errorf("a refusal: %v after %d requests, want an error after 1: nothing is probed", err, e.requests-n)
	}
}

func jwt(claims string) string {
	return "h." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".s"
}

func TestTolerantWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		theirs := now.Add(-3 * time.Hour) // a partner whose clock is off
		date := http.Header{"Date": {theirs.UTC().Format(http.TimeFormat)}}
		for _, tt := range []struct {
			name   string
			e      endpoint
			expiry time.Duration // 0: unknown
		}{
			{"number", endpoint{body: `{"access_token":"tok","expires_in":86400}`}, 24 * time.Hour},
			{"string", endpoint{body: `{"access_token":"tok","expires_in":"3600"}`}, time.Hour},
			{"fraction", endpoint{body: `{"access_token":"tok","expires_in":3599.5}`}, 3599500 * time.Millisecond},
			{"missing", endpoint{body: `{"access_token":"tok"}`}, 0},
			{"null", endpoint{body: `{"access_token":"tok","expires_in":null}`}, 0},
			{"zero", endpoint{body: `{"access_token":"tok","expires_in":0}`}, 0},
			{"empty string", endpoint{body: `{"access_token":"tok","expires_in":""}`}, 0},
			{"negative", endpoint{body: `{"access_token":"tok","expires_in":-5}`}, 0},
			{"nonsense", endpoint{body: `{"access_token":"tok","expires_in":{"a":1}}`}, 0},
			{"huge", endpoint{body: `{"access_token":"tok","expires_in":1e300}`}, 87600 * time.Hour},
			{"expires_at", endpoint{body: fmt.Sprintf(`{"access_token":"tok","expires_at":%d}`, theirs.Add(time.Hour).Unix()), header: date}, time.Hour},
			{"expires_at in ms", endpoint{body: fmt.Sprintf(`{"access_token":"tok","expires_at":%d}`, now.Add(time.Hour).UnixMilli())}, time.Hour},
			{"expires_at as text", endpoint{body: fmt.Sprintf(`{"access_token":"tok","expires_at":%q}`, now.Add(time.Hour).UTC().Format(time.RFC3339))}, time.Hour},
			{"expired by its own words", endpoint{body: `{"access_token":"tok","expires_at":1000}`}, 0},
			{"jwt", endpoint{body: fmt.Sprintf(`{"access_token":%q}`, jwt(fmt.Sprintf(`{"iat":%d,"exp":%d}`, theirs.Unix(), theirs.Add(time.Hour).Unix()))), header: date}, time.Hour},
			{"jwt without exp", endpoint{body: fmt.Sprintf(`{"access_token":%q}`, jwt(`{"iat":1}`))}, 0},
			{"form", endpoint{contentType: "application/x-www-form-urlencoded", body: "access_token=tok&expires_in=3600&token_type=Bearer"}, time.Hour},
			{"json as text/plain", endpoint{contentType: "text/plain", body: ` {"access_token":"tok","expires_in":60}`}, time.Minute},
			{"no error", endpoint{body: `{"access_token":"tok","error":"","expires_in":60}`}, time.Minute},
			{"no error as a flag", endpoint{body: `{"access_token":"tok","error":false,"expires_in":60}`}, time.Minute},
		} {
			tok, err := credentials(&tt.e).Exchange(t.Context(), auth.Token{})
			if err != nil || !strings.Contains(tt.e.body, string(tok.Access)) {
				t.Errorf("%s: %v", tt.name, err)
				continue
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

func TestExchangeErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for _, tt := range []struct {
			name  string
			e     endpoint
			class retry.Class
			grant bool
			at    time.Duration
			text  string
		}{
			{"bad secret", endpoint{status: 401, body: `{"error":"invalid_client","error_description":"canary"}`}, retry.Auth, true, 0, "invalid_client"},
			{"dead grant", endpoint{status: 400, body: `{"error":"invalid_grant"}`}, retry.Auth, true, 0, "invalid_grant"},
			{"not allowed", endpoint{status: 400, body: `{"error":"unauthorized_client"}`}, retry.Auth, true, 0, "unauthorized_client"},
			{"in a 200", endpoint{status: 200, body: `{"error":"invalid_grant"}`}, retry.Auth, true, 0, "invalid_grant"},
			{"in a form", endpoint{status: 400, contentType: "application/x-www-form-urlencoded", body: "error=invalid_client"}, retry.Auth, true, 0, "invalid_client"},
			{"in a 500", endpoint{status: 500, body: `{"error":"invalid_grant"}`}, retry.Transient, false, 0, "500"},
			{"busy", endpoint{status: 400, body: `{"error":"temporarily_unavailable"}`}, retry.Transient, false, 0, "temporarily_unavailable"},
			{"throttled", endpoint{status: 429, header: http.Header{"Retry-After": {"120"}}, body: `canary`}, retry.RateLimit, false, 2 * time.Minute, "429"},
			{"down", endpoint{status: 503, header: http.Header{"Retry-After": {"30"}}, contentType: "text/html", body: `<html>canary</html>`}, retry.Transient, false, 30 * time.Second, "503"},
			{"wrong request", endpoint{status: 400, body: `{"error":"invalid_request"}`}, retry.Client, false, 0, "invalid_request"},
			{"unknown code", endpoint{status: 400, body: `{"error":"canary 17"}`}, retry.Client, false, 0, "400"},
			{"an object", endpoint{status: 400, body: `{"error":{"message":"canary"}}`}, retry.Client, false, 0, "400"},
			{"an object in a 200", endpoint{status: 200, body: `{"error":{"message":"canary"}}`}, retry.Client, false, 0, "200"},
			{"a firewall", endpoint{status: 403, contentType: "text/html", body: `<b>canary</b>`}, retry.Client, false, 0, "403"},
			{"HTML with 200", endpoint{status: 200, contentType: "text/html", body: `<b a=canary>`}, retry.Data, false, 0, "neither"},
			{"cut JSON", endpoint{status: 200, body: `{"access_token":"canary`}, retry.Data, false, 0, "neither"},
			{"empty", endpoint{status: 200, body: ``}, retry.Data, false, 0, "neither"},
			{"no token", endpoint{status: 200, body: `{"token":"canary"}`}, retry.Data, false, 0, "no access token"},
			{"a redirect", endpoint{status: 307, header: http.Header{"Location": {"https://evil.example/canary"}}}, retry.Client, false, 0, "307"},
			{"too long", endpoint{status: 200, body: `{"access_token":"` + strings.Repeat("x", 2<<20) + `"}`}, retry.Transient, false, 0, "longer"},
			{"no connection", endpoint{err: &url.Error{Op: "Post", URL: "https://canary", Err: errors.New("reset")}}, retry.Transient, false, 0, "reset"},
		} {
			_, err := credentials(&tt.e).Exchange(t.Context(), auth.Token{})
			if retry.ClassOf(err) != tt.class || errors.Is(err, auth.ErrGrant) != tt.grant || err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%s: %v of class %v, want class %v, a dead grant %v, with %q", tt.name, err, retry.ClassOf(err), tt.class, tt.grant, tt.text)
			}
			var want time.Time
			if tt.at > 0 {
				want = now.Add(tt.at)
			}
			if !retry.At(err).Equal(want) {
				t.Errorf("%s: to be tried at %v, want %v", tt.name, retry.At(err), want)
			}
			if all := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(all, "canary") {
				t.Errorf("%s: the error shows what it must not: %s", tt.name, all)
			}
			if tt.e.requests != 1 {
				t.Errorf("%s: %d requests, want 1", tt.name, tt.e.requests)
			}
		}
	})
}

func TestClientCredentialsValidate(t *testing.T) {
	_, err := auth.NewSource(auth.SourceConfig{
		Exchanger: auth.ClientCredentials{
			TokenURL: "http://auth.example.com/canary", ClientSecret: "[redacted]", Scopes: []string{"a b", "c"},
			Params: url.Values{"client_id": {"canary"}, "scope": {"x"}},
		},
		Origins: []string{"ftp://x", "https://h/path", "https://h:99999", "http://example.com", "https://bücher.example", "https://u:canary@h", "::canary", "https://", "https://ok.example"},
		Early:   -1, Late: -1, Timeout: -1, Budget: auth.Budget{Requests: 5},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"Key is empty", "TokenURL is unusable", "ClientID is empty", "ClientSecret was redacted", "Scopes[0]", "client_id", "holds scope",
		"Origins[0]", "Origins[1]", "Origins[2]", "Origins[3]", "Origins[4]", "Origins[5]", "Origins[6]", "Origins[7]", "Early", "Late", "Timeout", "Budget.Per",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "Origins[8]") {
		t.Errorf("the error says too much:\n%v", err)
	}
	if _, err := (auth.ClientCredentials{}).Exchange(t.Context(), auth.Token{}); retry.ClassOf(err) != retry.Client {
		t.Errorf("Exchange without a configuration: %v, want class client", err)
	}
}

func TestFingerprint(t *testing.T) {
	e := &endpoint{}
	base := credentials(e)
	seen := map[string]bool{base.Fingerprint(): true}
	for _, change := range []func(*auth.ClientCredentials){
		func(c *auth.ClientCredentials) { c.ClientSecret = "other" },
		func(c *auth.ClientCredentials) { c.ClientID = "other" },
		func(c *auth.ClientCredentials) { c.TokenURL += "/v2" },
		func(c *auth.ClientCredentials) { c.Scopes = []string{"open-api"} },
		func(c *auth.ClientCredentials) { c.Scopes = []string{"open-apimore"} },
		func(c *auth.ClientCredentials) { c.Params = nil },
	} {
		c := credentials(e)
		change(&c)
		if f := c.Fingerprint(); seen[f] {
			t.Errorf("fingerprint %s is not changed by %+v", f, c)
		} else {
			seen[f] = true
		}
	}
	if credentials(e).Fingerprint() != base.Fingerprint() {
		t.Error("the fingerprint of the same credentials differs")
	}
}

func FuzzTokenReply(f *testing.F) {
	for _, s := range []string{
		`{"access_token":"a","expires_in":"1e9"}`, `access_token=a&expires_in=5`, `{"error":{}}`, `<html>`, `{"access_token":"a.b.c"}`, `{"expires_at":"9999999999999999"}`,
	} {
		f.Add(200, s)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		asked := time.Now()
		tok, err := credentials(&endpoint{status: status, body: body}).Exchange(t.Context(), auth.Token{})
		if err != nil {
			if s := err.Error(); len(s) > 400 || strings.Contains(s, "canary") {
				t.Errorf("error text: %s", s)
			}
			return
		}
		if status > 299 || tok.Access == "" || !strings.Contains(body, "access_token") {
			t.Errorf("a token of nothing: status %d, body %q", status, body)
		}
		if !tok.Expiry.IsZero() && (!tok.Expiry.After(asked) || tok.Expiry.After(asked.Add(88000*time.Hour))) {
			t.Errorf("expires at %v", tok.Expiry)
		}
	})
}
