package cloudbeds_test

import (
	"context"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

func good() cloudbeds.Config { return cloudbeds.Config{APIKey: "cbat_CANARY"} }

func TestConfigOf(t *testing.T) {
	c, err := cloudbeds.ConfigOf(good().Integration("a"))
	if err != nil {
		t.Fatal(err)
	}
	if c.BaseURL != cloudbeds.DefaultBaseURL || c.Version != cloudbeds.V13 || c.AdapterVersion != "v1" ||
		c.Property != "" {
		t.Errorf("defaults: %+v", c)
	}
	full := cloudbeds.Config{APIKey: "k", Property: "190001", Account: "88001", Version: cloudbeds.V12,
		BaseURL: "http://127.0.0.1:80", AdapterVersion: "v1"}
	if c, err = cloudbeds.ConfigOf(full.Integration("a")); err != nil || c != full {
		t.Errorf("%+v, %v, want what went in", c, err)
	}
	for in, want := range map[string]string{
		"https://hotels.cloudbeds.com/api/": "https://hotels.cloudbeds.com",
		"http://localhost:8080/":            "http://localhost:8080",
		"https://proxy.example.com/c/api":   "https://proxy.example.com/c",
	} {
		cfg := good()
		cfg.BaseURL = in
		if c, err := cloudbeds.ConfigOf(cfg.Integration("a")); err != nil || c.BaseURL != want {
			t.Errorf("%s: %q, %v, want %q", in, c.BaseURL, err, want)
		}
	}
}

// Everything that is wrong is named at once, and no value of a credential is.
func TestEverythingWrongIsNamed(t *testing.T) {
	in := driver.Integration{
		Partner: "guesty", BaseURL: "http://api.cloudbeds.com", AdapterVersion: "v9",
		Credentials: map[string]auth.Secret{"api_key": "CANARY key", "token": "CANARY"},
		Settings:    map[string]string{"property": "first", "api_version": "v1.1", "color": "blue"},
	}
	_, err := cloudbeds.ConfigOf(in)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"Integration.ID is empty", `Integration.Partner is "guesty"`, `credential "token" is not known`,
		`setting "color" is not known`,
		"api_key has a space", "property is not an id", `api_version is "v1.1"`, "BaseURL is not https",
		`AdapterVersion is "v9"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "CANARY") {
		t.Error("a credential is in the error")
	}
	reg := driver.NewRegistry(driver.Options{})
	defer reg.Close(context.Background())
	if err := cloudbeds.Register(reg); err != nil {
		t.Fatal(err)
	}
	in.ID, in.Partner = "a", cloudbeds.Partner
	if _, err := reg.OpenIntegration(t.Context(), in); err == nil || !strings.Contains(err.Error(), "api_version") {
		t.Errorf("opening: %v", err)
	}
	for base, want := range map[string]string{"://": "not an absolute URL", "api": "not an absolute URL",
		"https://u@h": "has a user", "ftp://h": "is not https"} {
		c := cloudbeds.Config{BaseURL: base}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "api_key is missing") {
			t.Errorf("%s: %v", base, err)
		}
	}
}
