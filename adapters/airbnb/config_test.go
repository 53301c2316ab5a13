package airbnb

import (
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

func TestConfig(t *testing.T) {
	c := Config{
		ClientID: "id", ClientSecret: "secret", APIKey: "key", RefreshToken: "ref", Host: "700001",
		BaseURL: "http://127.0.0.1:8080/v2/", AdapterVersion: "v1",
		History: 30,
	}
	got, err := ConfigOf(c.Integration("a"))
	c.BaseURL = "http://127.0.0.1:8080"
	if err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = ConfigOf(Config{ClientID: "id", ClientSecret: "secret", RefreshToken: "ref",
		Host: "700001"}.Integration("a"))
	want := Config{ClientID: "id", ClientSecret: "secret", APIKey: "id", RefreshToken: "ref", Host: "700001",
		BaseURL: DefaultBaseURL, AdapterVersion: v1, History: 365}
	if err != nil || got != want {
		t.Errorf("the defaults: %+v, %v", got, err)
	}
}

func TestEverythingWrongIsNamed(t *testing.T) {
	_, err := ConfigOf(driver.Integration{
		Partner: "guesty", Account: "host", BaseURL: "ftp://u:canary@x", AdapterVersion: "v9",
		Credentials: map[string]auth.Secret{"client_id": "a b", "token": "canary"},
		Settings:    map[string]string{"history_days": "x", "other": "canary"},
	})
	for _, want := range []string{
		"ID is empty", `Partner is "guesty"`, `credential "token" is not known`, `setting "other" is not known`,
		"history_days is not a number",
		"client_id has a space", "client_secret is missing", "refresh_token is missing", "Account is not", "BaseURL",
		`AdapterVersion is "v9"`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret is in %v", err)
	}
	if err := (Config{ClientID: "a", ClientSecret: "b", RefreshToken: "c", Host: "1",
		History: 4000}).Validate(); err == nil {
		t.Error("a history of eleven years")
	}
}
