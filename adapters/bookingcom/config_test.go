package bookingcom_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/adapters/bookingcom"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

func TestConfigRoundTrip(t *testing.T) {
	for _, c := range []bookingcom.Config{
		{ClientID: "id", ClientSecret: "secret", Account: "7004411", Properties: []string{"7004411"},
			Reservations: bookingcom.OTA, AdapterVersion: "v1"},
		{
			Username: "u", Password: "p", Properties: []string{"1", "2"}, Account: "1",
			BaseURL: "http://127.0.0.1:8080", Reservations: bookingcom.BXML,
			Recovery: true, AdapterVersion: "v1",
		},
	} {
		got, err := bookingcom.ConfigOf(c.Integration("x"))
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("got %+v, %v, want %+v", got, err, c)
		}
	}
	got, err := bookingcom.ConfigOf(bookingcom.Config{ClientID: "id", ClientSecret: "s", Account: "7"}.Integration("x"))
	if err != nil || got.Reservations != bookingcom.OTA || got.AdapterVersion != "v1" || len(got.Properties) != 1 ||
		got.Properties[0] != "7" {
		t.Errorf("defaults: %+v, %v", got, err)
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := bookingcom.ConfigOf(driver.Integration{
		Partner: "guesty", Account: "x", AdapterVersion: "v9", BaseURL: "ftp://user@example.com",
		Credentials: map[string]auth.Secret{"client_id": " canary", "username": "u", "key": "k"},
		Settings: map[string]string{"properties": "1,y,1", "reservations": "json", "recovery": "maybe",
			"color": "red"},
	})
	for _, want := range []string{
		"ID is empty", "Partner", "AdapterVersion", "BaseURL", "client_id has a space", "both client_id", `"key"`,
		"id at 2", "names 1 twice", "reservations", "recovery",
		`"color"`, "Account is not",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "user@") {
		t.Errorf("a credential is in %v", err)
	}
	for want, c := range map[string]bookingcom.Config{
		"credentials are missing":                    {Account: "1"},
		"client_id or client_secret is missing":      {Account: "1", ClientID: "x"},
		"username or password is missing":            {Account: "1", Username: "x"},
		"neither Account nor the setting properties": {ClientID: "x", ClientSecret: "y"},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, err := bookingcom.New(driver.Env{Integration: c.Integration("x")}); err == nil {
			t.Errorf("%q: the driver is made", want)
		}
	}
}
