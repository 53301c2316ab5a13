package guesty

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
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
	// V3 lists by GET /reservations-v3/search and reads by GET /reservations-v3. It is current. It cannot filter by time of
	// update, and its rows may lack amounts, guests and notes.
	V3 Family = "v3"
	// Classic lists and reads by GET /reservations. It filters by time of update, and its rows are whole. Deprecated by
	// Guesty on 2026-07-30, announced to work until about the end of 2026.
	Classic Family = "classic"
)

// The names of credentials and settings in a driver.Integration.
const (
	credentialID        = "client_id"
	credentialSecret    = "client_secret"
	settingReservations = "reservations"
)

// Config is the typed form of an integration with Guesty.
type Config struct {
	// ClientID and ClientSecret are of an OAuth application in the customer's Guesty account. Required.
	ClientID     auth.Secret
	ClientSecret auth.Secret
	// Account is the customer's account; integrations of one account share its quota. "" means that there is only this one. The
	// accountId of any listing serves; the _id that /accounts/me answers does not, it differs for each OAuth application.
	Account string
	// BaseURL is the origin, before /v1 and /oauth2/token: https, or http on loopback. A path /v1 at its end is ignored.
	// "" means [DefaultBaseURL].
	BaseURL string
	// Reservations chooses the endpoints; "" means [V3].
	Reservations Family
	// AdapterVersion pins the normalization; "" means the newest.
	AdapterVersion string
}

// Integration returns c as the integration with the id.
func (c Config) Integration(id string) driver.Integration {
	in := driver.Integration{
		ID: id, Partner: Partner, Account: c.Account, BaseURL: c.BaseURL, AdapterVersion: c.AdapterVersion,
		Credentials: map[string]auth.Secret{credentialID: c.ClientID, credentialSecret: c.ClientSecret},
	}
	if c.Reservations != "" {
		in.Settings = map[string]string{settingReservations: string(c.Reservations)}
	}
	return in
}

// ConfigOf returns the Config in an integration, or an error that names everything that is wrong with it: another
// partner, credentials missing or unknown, an unusable URL, an unknown setting or version. It sends nothing.
func ConfigOf(in driver.Integration) (Config, error) {
	c := Config{
		ClientID: in.Credentials[credentialID], ClientSecret: in.Credentials[credentialSecret],
		Account: in.Account, BaseURL: in.BaseURL, AdapterVersion: in.AdapterVersion,
		Reservations: Family(in.Settings[settingReservations]),
	}
	var errs []error
	if in.ID == "" {
		errs = append(errs, errors.New("Integration.ID is empty"))
	}
	if in.Partner != "" && in.Partner != Partner {
		errs = append(errs, fmt.Errorf("Integration.Partner is %q, want %q", in.Partner, Partner))
	}
	for _, name := range sortedKeys(in.Credentials) {
		if name != credentialID && name != credentialSecret {
			errs = append(errs, fmt.Errorf("credential %q is not known; want client_id and client_secret", name))
		}
	}
	for _, name := range sortedKeys(in.Settings) {
		if name != settingReservations {
			errs = append(errs, fmt.Errorf("setting %q is not known; want reservations", name))
		}
	}
	if err := c.Validate(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return Config{}, fmt.Errorf("guesty: integration %s: %w", in.ID, errors.Join(errs...))
	}
	if c.Reservations == "" {
		c.Reservations = V3
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
			errs = append(errs, fmt.Errorf("credential %s has a space or control character at its ends or inside", cr.name))
		}
	}
	if _, err := root(c.BaseURL); err != nil {
		errs = append(errs, err)
	}
	if c.Reservations != "" && c.Reservations != V3 && c.Reservations != Classic {
		errs = append(errs, fmt.Errorf("setting reservations is %q, want %q or %q", c.Reservations, V3, Classic))
	}
	if _, ok := adapters[c.AdapterVersion]; !ok && c.AdapterVersion != "" {
		errs = append(errs, fmt.Errorf("AdapterVersion is %q, want %q", c.AdapterVersion, v1))
	}
	return errors.Join(errs...)
}

// root returns the URL before /v1 and /oauth2/token. Errors do not hold the URL, in which people put passwords.
func root(base string) (string, error) {
	if base == "" {
		return DefaultBaseURL, nil
	}
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "":
		return "", errors.New("BaseURL is not an absolute URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "", errors.New("BaseURL has a user, query or fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return "", errors.New("BaseURL is not https, nor http on a loopback address")
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/v1")
	u.RawPath = ""
	return strings.TrimRight(u.String(), "/"), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
