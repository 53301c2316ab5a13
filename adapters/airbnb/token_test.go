package airbnb_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/adapters/airbnb"
	"github.com/integrationkit/integrationkit/adapters/airbnb/airbnbtest"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/retry"
)

func authorization(rt http.RoundTripper) airbnb.Authorization {
	return airbnb.Authorization{
		ClientID: airbnbtest.ClientID, ClientSecret: airbnbtest.ClientSecret,
		Callback: "https://host.example.com/callback", Transport: rt,
	}
}

func TestAuthorizationURL(t *testing.T) {
	u, err := url.Parse(authorization(nil).URL("a state"))
	if err != nil || u.Host != "www.airbnb.com" || u.Path != "/oauth2/auth" {
		t.Fatalf("%v, %v", u, err)
	}
	for name, want := range map[string]string{
		"client_id": airbnbtest.ClientID, "redirect_uri": "https://host.example.com/callback",
		"scope": "vr,messages_read,messages_write", "state": "a state",
	} {
		if got := u.Query().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestRedeem(t *testing.T) {
	s, err := airbnbtest.NewServer(airbnbtest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := authorization(s.Transport()).Redeem(t.Context(), airbnbtest.Code)
	if err != nil || c.Host != "700001" || c.RefreshToken != airbnbtest.RefreshToken ||
		c.ClientID != airbnbtest.ClientID {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if _, err := authorization(s.Transport()).Redeem(t.Context(), "another"); retry.ClassOf(err) != retry.Auth {
		t.Errorf("another code: %v", err)
	}
	wrong := authorization(s.Transport())
	wrong.ClientSecret = "other"
	if _, err := wrong.Redeem(t.Context(), airbnbtest.Code); retry.ClassOf(err) != retry.Auth {
		t.Errorf("another secret: %v", err)
	}
}

type answer func(*http.Request) (*http.Response, error)

func (f answer) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRedeemRefusals(t *testing.T) {
	reply := func(status int, body string) answer {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{},
				Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}
	}
	for name, tt := range map[string]struct {
		rt    http.RoundTripper
		base  string
		class retry.Class
	}{
		"no host":  {reply(200, `{"refresh_token": "canary"}`), "", retry.Data},
		"no token": {reply(200, `{"user_id": 1}`), "", retry.Data},
		"no network": {answer(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }),
			"", retry.Transient},
		"unavailable":   {reply(502, ""), "", retry.Transient},
		"not encrypted": {nil, "http://api.example.com", retry.Client},
	} {
		a := authorization(tt.rt)
		a.BaseURL = tt.base
		if _, err := a.Redeem(t.Context(), "code-canary"); err == nil || retry.ClassOf(err) != tt.class ||
			strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want class %v", name, err, tt.class)
		}
	}
	a := authorization(nil)
	a.ClientID = ""
	if _, err := a.Redeem(t.Context(), "x"); retry.ClassOf(err) != retry.Client {
		t.Errorf("no client: %v", err)
	}
}

// The token endpoint's refusals: a 404 is final, a 500 is not.
func TestTokenEndpoint(t *testing.T) {
	bubble(t, airbnbtest.Config{Faults: []partnersim.Rule{{Kind: "500", Endpoint: "/v2/oauth2/authorizations",
		Count: 1}}},
		func(t *testing.T, d *airbnb.Driver, _ *airbnbtest.Server) {
			if err := d.Check(t.Context()); errors.Is(err, auth.ErrNeedsReauth) {
				t.Errorf("a 500 of the token endpoint: %v", err)
			}
		})
}
