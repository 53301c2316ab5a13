package guesty_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

func good() guesty.Config { return guesty.Config{ClientID: "id", ClientSecret: "CANARY"} }

func TestConfigOf(t *testing.T) {
	c, err := guesty.ConfigOf(good().Integration("a"))
	if err != nil {
		t.Fatal(err)
	}
	if c.BaseURL != guesty.DefaultBaseURL || c.Reservations != guesty.V3 || c.AdapterVersion != "v1" {
		t.Errorf("defaults: %+v", c)
	}
	full := guesty.Config{ClientID: "id", ClientSecret: "s", Account: "acct", BaseURL: "http://127.0.0.1:80",
		Reservations: guesty.Classic, Calendar: guesty.Full, AdapterVersion: "v1"}
	c, err = guesty.ConfigOf(full.Integration("a"))
	if err != nil || c != full {
		t.Errorf("%+v, %v, want what went in", c, err)
	}
	for in, want := range map[string]string{
		"https://open-api.guesty.com/v1":  "https://open-api.guesty.com",
		"https://open-api.guesty.com/v1/": "https://open-api.guesty.com",
		"http://localhost:8080/":          "http://localhost:8080",
		"http://[::1]:8080":               "http://[::1]:8080",
		"https://proxy.example.com/g/v1":  "https://proxy.example.com/g",
	} {
		cfg := good()
		cfg.BaseURL = in
		if c, err := guesty.ConfigOf(cfg.Integration("a")); err != nil || c.BaseURL != want {
			t.Errorf("%s: %q, %v, want %q", in, c.BaseURL, err, want)
		}
	}
}

// Everything that is wrong is named at once, and no secret with it.
func TestConfigOfNamesEveryProblem(t *testing.T) {
	in := driver.Integration{
		Partner: "airbnb", BaseURL: "http://user:CANARY@example.com", AdapterVersion: "v0",
		Credentials: map[string]auth.Secret{"client_id": " CANARY", "api_key": "CANARY"},
		Settings:    map[string]string{"reservations": "v2", "page": "10", "calendar": "old"},
	}
	_, err := guesty.ConfigOf(in)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"Integration.ID is empty", `Integration.Partner is "airbnb"`, `credential "api_key" is not known`,
		`setting "page" is not known`,
		"credential client_id has a space", "credential client_secret is missing", "BaseURL has a user",
		`setting reservations is "v2"`, `setting calendar is "old"`, `AdapterVersion is "v0"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	if strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a secret is in %q", err)
	}
	if _, err := guesty.New(driver.Env{Integration: in}); err == nil || !strings.Contains(err.Error(),
		"client_secret is missing") {
		t.Errorf("New: %v", err)
	}
}

func TestBaseURLs(t *testing.T) {
	for in, want := range map[string]string{
		"http://example.com":           "not https",
		"ftp://example.com":            "not https",
		"example.com":                  "not an absolute URL",
		"https://":                     "not an absolute URL",
		"https://example.com?key=x":    "query",
		"https://example.com#x":        "fragment",
		"http://169.254.169.254/":      "not https",
		"https://example.com/%zz":      "not an absolute URL",
		"http://127.0.0.1.example.com": "not https",
	} {
		c := good()
		c.BaseURL = in
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}

func TestClassicIsIncremental(t *testing.T) {
	c := good()
	c.Reservations = guesty.Classic
	for family, want := range map[guesty.Family]bool{guesty.V3: false, guesty.Classic: true, "": false} {
		c.Reservations = family
		d, err := guesty.New(driver.Env{Integration: c.Integration("a")})
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(d.Info().Incremental, driver.KindTransaction); got != want {
			t.Errorf("%q: incremental %t, want %t", family, got, want)
		}
	}
}
