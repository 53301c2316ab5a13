package guesty

import (
	"errors"
	"fmt"
	"strings"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

// Partner is the driver's name in a registry and in integrations.
const Partner = "guesty"

// DefaultBaseURL is production. Guesty has no public sandbox.
const DefaultBaseURL = "https://open-api.guesty.com"

// Family is a family of reservation endpoints.
type Family string

// The families.
const (
	// V3 lists by GET /reservations-v3/search and reads by GET /reservations-v3. It is current. It cannot filter by
	// time of update, and its rows may lack amounts, guests and notes.
	V3 Family = "v3"
	// Classic lists and reads by GET /reservations. It filters by time of update, and its rows are whole. Deprecated by
	// Guesty on 2026-07-30; the endpoints are removed on 2027-03-01 (documented: changelog of 2026-11-05).
	Classic Family = "classic"
)

// The names of credentials and settings in a driver.Integration.
const (
	credentialID        = "client_id"
	credentialSecret    = "client_secret"
	settingReservations = "reservations"
	settingCalendar     = "calendar"
)

// Config is the typed form of an integration with Guesty.
type Config struct {
	// ClientID and ClientSecret are of an OAuth application in the customer's Guesty account. Required.
	ClientID     auth.Secret
	ClientSecret auth.Secret
	// Account is the customer's account; integrations of one account share its quota. "" means that there is only
	// this one. The accountId of any listing serves; the _id that /accounts/me answers does not, it differs for each
	// OAuth application.
	Account string
	// BaseURL is the origin, before /v1 and /oauth2/token: https, or http on loopback. A path /v1 at its end is
	// ignored. "" means [DefaultBaseURL].
	BaseURL string
	// Reservations chooses the endpoints; "" means [V3].
	Reservations Family
	// Calendar chooses how calendars are read; "" means [Minified].
	Calendar Calendar
	// AdapterVersion pins the normalization; "" means the newest.
	AdapterVersion string
}

// Integration returns c as the integration with the id.
func (c Config) Integration(id string) driver.Integration {
	in := driver.Integration{
		ID: id, Partner: Partner, Account: c.Account, BaseURL: c.BaseURL, AdapterVersion: c.AdapterVersion,
		Credentials: map[string]auth.Secret{credentialID: c.ClientID, credentialSecret: c.ClientSecret},
	}
	for name, value := range map[string]string{settingReservations: string(c.Reservations),
		settingCalendar: string(c.Calendar)} {
		if value == "" {
			continue
		}
		if in.Settings == nil {
			in.Settings = map[string]string{}
		}
		in.Settings[name] = value
	}
	return in
}

// ConfigOf returns the Config in an integration, or an error that names everything that is wrong with it: another
// partner, credentials missing or unknown, an unusable URL, an unknown setting or version. It sends nothing.
func ConfigOf(in driver.Integration) (Config, error) {
	c := Config{
		ClientID: in.Credentials[credentialID], ClientSecret: in.Credentials[credentialSecret],
		Account: in.Account, BaseURL: in.BaseURL, AdapterVersion: in.AdapterVersion,
		Reservations: Family(in.Settings[settingReservations]), Calendar: Calendar(in.Settings[settingCalendar]),
	}
	errs := in.Problems(Partner, []string{credentialID, credentialSecret}, []string{settingReservations,
		settingCalendar})
	if err := c.Validate(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return Config{}, fmt.Errorf("guesty: integration %s: %w", in.ID, errors.Join(errs...))
	}
	if c.Reservations == "" {
		c.Reservations = V3
	}
	if c.Calendar == "" {
		c.Calendar = Minified
	}
	if c.AdapterVersion == "" {
		c.AdapterVersion = v1
	}
	c.BaseURL, _ = root(c.BaseURL)
	return c, nil
}

// Validate returns an error that names everything that is wrong with c, nil if nothing is.
func (c Config) Validate() error {
	var errs []error
	for _, cr := range []struct {
		name  string
		value auth.Secret
	}{{credentialID, c.ClientID}, {credentialSecret, c.ClientSecret}} {
		switch v := string(cr.value); {
		case v == "":
			errs = append(errs, fmt.Errorf("credential %s is missing", cr.name))
		case v != strings.TrimSpace(v) || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' }):
			errs = append(errs, fmt.Errorf("credential %s has a space or control character at its ends or inside",
				cr.name))
		}
	}
	if _, err := root(c.BaseURL); err != nil {
		errs = append(errs, err)
	}
	if c.Reservations != "" && c.Reservations != V3 && c.Reservations != Classic {
		errs = append(errs, fmt.Errorf("setting reservations is %q, want %q or %q", c.Reservations, V3, Classic))
	}
	if c.Calendar != "" && c.Calendar != Minified && c.Calendar != Full {
		errs = append(errs, fmt.Errorf("setting calendar is %q, want %q or %q", c.Calendar, Minified, Full))
	}
	if _, ok := adapters[c.AdapterVersion]; !ok && c.AdapterVersion != "" {
		errs = append(errs, fmt.Errorf("AdapterVersion is %q, want %q", c.AdapterVersion, v1))
	}
	return errors.Join(errs...)
}

// root returns the URL before /v1 and /oauth2/token.
func root(base string) (string, error) { return driver.BaseURL(base, DefaultBaseURL, "/v1") }
