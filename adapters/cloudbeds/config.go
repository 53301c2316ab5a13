package cloudbeds

import (
	"errors"
	"fmt"
	"strings"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

// Partner is the driver's name in a registry and in integrations.
const Partner = "cloudbeds"

// DefaultBaseURL is production. hotels.cloudbeds.com, the older host, still answers (seen in client code).
const DefaultBaseURL = "https://api.cloudbeds.com"

// Version is a version of the classic API, the segment of the path that pins it.
type Version string

// The versions. The vendor's specifications of August 2026 differ in nothing that this driver reads.
const (
	V12 Version = "v1.2"
	V13 Version = "v1.3"
)

// The names of credentials and settings in a driver.Integration.
const (
	credentialKey     = "api_key"
	credentialClient  = "client_id"
	credentialSecret  = "client_secret"
	credentialRefresh = "refresh_token"
	settingProperty   = "property"
	settingVersion    = "api_version"
	settingPartner    = "technology_partner"
)

// Config is the typed form of an integration with Cloudbeds.
type Config struct {
	// APIKey is a key (cbat_…) of a property or of a group. It, or ClientID and ClientSecret, are required.
	APIKey auth.Secret
	// ClientID and ClientSecret are the application's, for OAuth: see [Config.Client].
	ClientID     string
	ClientSecret auth.Secret
	// RefreshToken is one that was had elsewhere, to begin with: it is used as long as the store of tokens has none.
	// Usually a human's authorization gives one to the token source instead, see [Config.CodeFlow].
	RefreshToken auth.Secret
	// Property is the property to read; "" means all that the key reaches. A key of a group reaches all properties of
	// the group.
	Property string
	// Account is the property or group that the key or the grant is of: integrations with the same one share the limit,
	// and with OAuth the token. "" means that those with the same key do, and that each with OAuth is alone.
	Account string
	// TechnologyPartner says that the vendor lists the host as one, which may make 10 calls a second instead of 5. If
	// it does not, the credential will be suspended.
	TechnologyPartner bool
	// Version is the API's; "" means [V13].
	Version Version
	// BaseURL is the origin, before /api: https, or http on loopback. A path /api at its end is ignored. "" means
	// [DefaultBaseURL]. The API host of an island (GET /oauth/metadata) goes here.
	BaseURL string
	// AdapterVersion pins the normalization; "" means the newest.
	AdapterVersion string
}

// Integration returns c as the integration with the id.
func (c Config) Integration(id string) driver.Integration {
	in := driver.Integration{
		ID: id, Partner: Partner, Account: c.Account, BaseURL: c.BaseURL, AdapterVersion: c.AdapterVersion,
		Credentials: map[string]auth.Secret{}, Settings: map[string]string{},
	}
	for name, secret := range map[string]auth.Secret{
		credentialKey: c.APIKey, credentialClient: auth.Secret(c.ClientID), credentialSecret: c.ClientSecret,
		credentialRefresh: c.RefreshToken,
	} {
		if secret != "" {
			in.Credentials[name] = secret
		}
	}
	if c.TechnologyPartner {
		in.Settings[settingPartner] = "true"
	}
	if c.Property != "" {
		in.Settings[settingProperty] = c.Property
	}
	if c.Version != "" {
		in.Settings[settingVersion] = string(c.Version)
	}
	return in
}

// ConfigOf returns the Config in an integration, or an error that names everything that is wrong with it: another
// partner, credentials missing or unknown, an unusable URL, an unknown setting or version. It sends nothing.
func ConfigOf(in driver.Integration) (Config, error) {
	c := Config{
		APIKey: in.Credentials[credentialKey], ClientID: string(in.Credentials[credentialClient]),
		ClientSecret: in.Credentials[credentialSecret],
		RefreshToken: in.Credentials[credentialRefresh], TechnologyPartner: in.Settings[settingPartner] == "true",
		Property: in.Settings[settingProperty], Account: in.Account,
		Version: Version(in.Settings[settingVersion]), BaseURL: in.BaseURL, AdapterVersion: in.AdapterVersion,
	}
	errs := in.Problems(Partner, []string{credentialKey, credentialClient, credentialSecret, credentialRefresh},
		[]string{settingProperty, settingVersion, settingPartner})
	if v, ok := in.Settings[settingPartner]; ok && v != "true" && v != "false" {
		errs = append(errs, fmt.Errorf("setting technology_partner is %q, want true or false", v))
	}
	if err := c.Validate(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return Config{}, fmt.Errorf("cloudbeds: integration %s: %w", in.ID, errors.Join(errs...))
	}
	if c.Version == "" {
		c.Version = V13
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
	oauth := c.ClientID != "" || c.ClientSecret != "" || c.RefreshToken != ""
	switch {
	case c.APIKey == "" && !oauth:
		errs = append(errs, errors.New("credential api_key is missing, and so are client_id and client_secret"))
	case c.APIKey != "" && oauth:
		errs = append(errs, errors.New("credentials of both kinds: api_key, and those of OAuth"))
	case oauth && c.ClientID == "":
		errs = append(errs, errors.New("credential client_id is missing"))
	case oauth && c.ClientSecret == "":
		errs = append(errs, errors.New("credential client_secret is missing"))
	}
	for _, cr := range []struct{ name, value string }{
		{credentialKey, string(c.APIKey)}, {credentialClient, c.ClientID}, {credentialSecret, string(c.ClientSecret)},
		{credentialRefresh, string(c.RefreshToken)},
	} {
		if strings.ContainsFunc(cr.value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			errs = append(errs, errors.New("credential "+cr.name+" has a space, a control character or one "+
				"beyond ASCII"))
		}
	}
	if len(c.Property) > 20 || strings.Trim(c.Property, "0123456789") != "" {
		errs = append(errs, errors.New("setting property is not an id of digits"))
	}
	if c.Version != "" && c.Version != V12 && c.Version != V13 {
		errs = append(errs, fmt.Errorf("setting api_version is %q, want %q or %q", c.Version, V13, V12))
	}
	if _, err := root(c.BaseURL); err != nil {
		errs = append(errs, err)
	}
	if _, ok := adapters[c.AdapterVersion]; !ok && c.AdapterVersion != "" {
		errs = append(errs, fmt.Errorf("AdapterVersion is %q, want %q", c.AdapterVersion, v1))
	}
	return errors.Join(errs...)
}

// root returns the URL before /api.
func root(base string) (string, error) { return driver.BaseURL(base, DefaultBaseURL, "/api") }
