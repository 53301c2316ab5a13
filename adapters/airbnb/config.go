package airbnb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

// Partner is the driver's name in a registry and in integrations.
const Partner = "airbnb"

// DefaultBaseURL is production (seen in client code). No public sandbox is known.
const DefaultBaseURL = "https://api.airbnb.com"

// The names of credentials in a driver.Integration.
const (
	credentialID      = "client_id"
	credentialSecret  = "client_secret"
	credentialKey     = "api_key"
	credentialRefresh = "refresh_token"
)

// settingHistory is the name of the setting.
const settingHistory = "history_days"

var credentials = []string{credentialID, credentialSecret, credentialKey, credentialRefresh}

// Config is the typed form of an integration with Airbnb.
type Config struct {
	// ClientID and ClientSecret are the software's. Required.
	ClientID, ClientSecret auth.Secret
	// APIKey goes in X-Airbnb-API-Key; "" means the client id, which two of three public clients send.
	APIKey auth.Secret
	// RefreshToken is the host's, from the authorization in the browser; see [Authorization]. Required. It is used as
	// long as the token store has none: the partner may replace it at any refresh, and the newest is kept there. Give
	// the one of a new authorization to the integration's source ([driver.Registry.Sources], [auth.Source.Replace]).
	RefreshToken auth.Secret
	// Host is the host's user id, in digits: Integration.Account. Required. Airbnb's answer to an authorization has
	// it as user_id.
	Host string
	// BaseURL is the origin, before /v2: https, or http on loopback. "" means [DefaultBaseURL].
	BaseURL string
	// AdapterVersion pins the normalization; "" means the newest.
	AdapterVersion string
	// History is how many days back reservations are listed, by their first night: the setting history_days. 0 means
	// 365; at most 3,650.
	History int
}

// Integration returns c as the integration with the id.
func (c Config) Integration(id string) driver.Integration {
	in := driver.Integration{
		ID: id, Partner: Partner, Account: c.Host, BaseURL: c.BaseURL, AdapterVersion: c.AdapterVersion,
		Credentials: map[string]auth.Secret{
			credentialID: c.ClientID, credentialSecret: c.ClientSecret, credentialRefresh: c.RefreshToken,
		},
	}
	if c.APIKey != "" {
		in.Credentials[credentialKey] = c.APIKey
	}
	if c.History != 0 {
		in.Settings = map[string]string{settingHistory: strconv.Itoa(c.History)}
	}
	return in
}

// ConfigOf returns the Config in an integration, or an error that names everything that is wrong with it: another
// partner, credentials missing or unknown, an unusable URL, an unknown setting or version. It sends nothing.
func ConfigOf(in driver.Integration) (Config, error) {
	c := Config{
		ClientID: in.Credentials[credentialID], ClientSecret: in.Credentials[credentialSecret],
		APIKey: in.Credentials[credentialKey], RefreshToken: in.Credentials[credentialRefresh],
		Host: in.Account, BaseURL: in.BaseURL, AdapterVersion: in.AdapterVersion,
	}
	errs := in.Problems(Partner, credentials, []string{settingHistory})
	if text, ok := in.Settings[settingHistory]; ok {
		days, err := strconv.Atoi(text)
		if err != nil || days < 1 {
			errs = append(errs, errors.New("setting history_days is not a number of days"))
		}
		c.History = days
	}
	if err := c.Validate(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return Config{}, fmt.Errorf("airbnb: integration %s: %w", in.ID, errors.Join(errs...))
	}
	if c.APIKey == "" {
		c.APIKey = c.ClientID
	}
	if c.AdapterVersion == "" {
		c.AdapterVersion = v1
	}
	if c.History == 0 {
		c.History = 365
	}
	c.BaseURL, _ = root(c.BaseURL)
	return c, nil
}

// Validate returns an error that names everything that is wrong with c, nil if nothing is.
func (c Config) Validate() error {
	var errs []error
	for _, s := range []struct {
		name     string
		value    auth.Secret
		required bool
	}{
		{credentialID, c.ClientID, true}, {credentialSecret, c.ClientSecret, true}, {credentialKey, c.APIKey, false},
		{credentialRefresh, c.RefreshToken, true},
	} {
		switch v := string(s.value); {
		case v == "" && s.required:
			errs = append(errs, fmt.Errorf("credential %s is missing", s.name))
		case strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }):
			errs = append(errs, fmt.Errorf("credential %s has a space, a control character or one beyond ASCII",
				s.name))
		}
	}
	if c.Host == "" || len(c.Host) > 20 || strings.Trim(c.Host, "0123456789") != "" {
		errs = append(errs, errors.New("Integration.Account is not the host's user id, in digits"))
	}
	if c.History < 0 || c.History > 3650 {
		errs = append(errs, fmt.Errorf("Config.History is %d days, want 1 to 3650", c.History))
	}
	if _, err := root(c.BaseURL); err != nil {
		errs = append(errs, err)
	}
	if _, ok := adapters[c.AdapterVersion]; !ok && c.AdapterVersion != "" {
		errs = append(errs, fmt.Errorf("AdapterVersion is %q, want %q", c.AdapterVersion, v1))
	}
	return errors.Join(errs...)
}

// origin is where the credentials may travel.
func (c Config) origin() string {
	_, origin := driver.Integration{BaseURL: c.BaseURL}.Endpoint(DefaultBaseURL)
	return origin
}

// root returns the URL before /v2.
func root(base string) (string, error) { return driver.BaseURL(base, DefaultBaseURL, "/v2") }
