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
	credentialKey   = "api_key"
	settingProperty = "property"
	settingVersion  = "api_version"
)

// Config is the typed form of an integration with Cloudbeds.
type Config struct {
	// APIKey is a key (cbat_…) of a property or of a group. Required.
	APIKey auth.Secret
	// Property is the property to read; "" means all that the key reaches. A key of a group reaches all properties of the group.
	Property string
	// Account is the property or group that the key is of: integrations with the same one share the limit. "" means that those with
	// the same key do.
	Account string
	// Version is the API's; "" means [V13].
	Version Version
	// BaseURL is the origin, before /api: https, or http on loopback. A path /api at its end is ignored. "" means [DefaultBaseURL]. The
	// API host of an island (GET /oauth/metadata) goes here.
	BaseURL string
	// AdapterVersion pins the normalization; "" means the newest.
	AdapterVersion string
}

// Integration returns c as the integration with the id.
func (c Config) Integration(id string) driver.Integration {
	in := driver.Integration{
		ID: id, Partner: Partner, Account: c.Account, BaseURL: c.BaseURL, AdapterVersion: c.AdapterVersion,
		Credentials: map[string]auth.Secret{credentialKey: c.APIKey}, Settings: map[string]string{},
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
		APIKey: in.Credentials[credentialKey], Property: in.Settings[settingProperty], Account: in.Account,
		Version: Version(in.Settings[settingVersion]), BaseURL: in.BaseURL, AdapterVersion: in.AdapterVersion,
	}
	errs := in.Problems(Partner, []string{credentialKey}, []string{settingProperty, settingVersion})
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
	switch v := string(c.APIKey); {
	case v == "":
		errs = append(errs, errors.New("credential api_key is missing"))
	case strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }):
		errs = append(errs, errors.New("credential api_key has a space, a control character or one beyond ASCII"))
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
