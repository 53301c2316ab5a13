package bookingcom

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

// Partner is the driver's name in a registry and in integrations.
const Partner = "bookingcom"

// The hosts of production. There is no sandbox: tests are made with test properties and a test machine account on the
// same hosts.
const (
	// SupplyURL serves everything without card data.
	SupplyURL = "https://supply-xml.booking.com"
	// SecureURL serves reservations.
	SecureURL = "https://secure-supply-xml.booking.com"
	// AuthURL is where client id and secret are exchanged for a token.
	AuthURL = "https://connectivity-authentication.booking.com"
)

// Flavor is a family of reservation endpoints.
type Flavor string

// The flavors.
const (
	// OTA reads queues of OTA XML, whose messages are acknowledged after they were stored.
	OTA Flavor = "ota"
	// BXML reads Booking.com's own XML: reading is taking. What an answer that was lost held is had again by asking for
	// changes since.
	BXML Flavor = "bxml"
)

// The names of credentials and settings in a driver.Integration.
const (
	credentialID       = "client_id"
	credentialSecret   = "client_secret"
	credentialUser     = "username"
	credentialPassword = "password"
	settingProperties  = "properties"
	settingFlavor      = "reservations"
	settingRecovery    = "recovery"
)

// Config is the typed form of an integration with Booking.com: one or more properties, reached by a provider's machine
// account.
type Config struct {
	// ClientID and ClientSecret are of the machine account. Required, unless Username and Password are given.
	ClientID     auth.Secret
	ClientSecret auth.Secret
	// Username and Password are its legacy Basic credentials (deprecated by Booking.com on 2025-06-30, sunset announced
	// for 2025-12-31).
	Username auth.Secret
	Password auth.Secret
	// Account is the property whose messages are the integration's, see importer.ByAccount. Required, unless Properties
	// are given.
	Account string
	// Properties are the ids of all properties of the integration; nil: the Account alone. There is no call that lists
	// them.
	Properties []string
	// BaseURL replaces all three hosts, for a simulator or a proxy: https, or http on loopback. "" means production.
	BaseURL string
	// Reservations chooses the endpoints; "" means [OTA].
	Reservations Flavor
	// Recovery says that Reservation Recovery is on for the provider (it is off by default). It changes what can be
	// asked for after an outage.
	Recovery bool
	// AdapterVersion pins the normalization; "" means the newest.
	AdapterVersion string
}

// Integration returns c as the integration with the id.
func (c Config) Integration(id string) driver.Integration {
	in := driver.Integration{
		ID: id, Partner: Partner, Account: c.Account, BaseURL: c.BaseURL, AdapterVersion: c.AdapterVersion,
		Credentials: map[string]auth.Secret{}, Settings: map[string]string{},
	}
	for name, v := range map[string]auth.Secret{
		credentialID: c.ClientID, credentialSecret: c.ClientSecret, credentialUser: c.Username,
		credentialPassword: c.Password,
	} {
		if v != "" {
			in.Credentials[name] = v
		}
	}
	for name, v := range map[string]string{settingProperties: strings.Join(c.Properties, ","),
		settingFlavor: string(c.Reservations)} {
		if v != "" {
			in.Settings[name] = v
		}
	}
	if c.Recovery {
		in.Settings[settingRecovery] = "on"
	}
	return in
}

// ConfigOf returns the Config in an integration, or an error that names everything that is wrong with it. It sends
// nothing.
func ConfigOf(in driver.Integration) (Config, error) {
	c := Config{
		ClientID: in.Credentials[credentialID], ClientSecret: in.Credentials[credentialSecret],
		Username: in.Credentials[credentialUser], Password: in.Credentials[credentialPassword],
		Account: in.Account, BaseURL: in.BaseURL, AdapterVersion: in.AdapterVersion,
		Reservations: Flavor(in.Settings[settingFlavor]), Recovery: in.Settings[settingRecovery] == "on",
	}
	if list := in.Settings[settingProperties]; list != "" {
		for id := range strings.SplitSeq(list, ",") {
			c.Properties = append(c.Properties, strings.TrimSpace(id))
		}
	}
	errs := in.Problems(Partner, credentials, []string{settingProperties, settingFlavor, settingRecovery})
	if r, ok := in.Settings[settingRecovery]; ok && r != "on" && r != "off" {
		errs = append(errs, fmt.Errorf("setting recovery is %q, want on or off", r))
	}
	if err := c.Validate(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return Config{}, fmt.Errorf("bookingcom: integration %s: %w", in.ID, errors.Join(errs...))
	}
	if c.Reservations == "" {
		c.Reservations = OTA
	}
	if c.AdapterVersion == "" {
		c.AdapterVersion = v1
	}
	if c.Properties == nil {
		c.Properties = []string{c.Account}
	}
	return c, nil
}

var credentials = []string{credentialID, credentialSecret, credentialUser, credentialPassword}

// Validate returns an error that names everything that is wrong with c, nil if nothing is.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	values := []auth.Secret{c.ClientID, c.ClientSecret, c.Username, c.Password}
	for i, v := range values {
		// Documented for the user name: it is case sensitive and has no blanks at its ends.
		if s := string(v); s != strings.TrimSpace(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
			bad("credential %s has a space or control character at its ends or inside", credentials[i])
		}
	}
	exchange, basic := c.ClientID != "" || c.ClientSecret != "", c.Username != "" || c.Password != ""
	switch {
	case exchange && basic:
		bad("both client_id and client_secret, and username and password are given: which are they to be?")
	case !exchange && !basic:
		bad("credentials are missing: client_id and client_secret, or username and password")
	case exchange && (c.ClientID == "" || c.ClientSecret == ""):
		bad("credential client_id or client_secret is missing")
	case basic && (c.Username == "" || c.Password == ""):
		bad("credential username or password is missing")
	}
	if c.Account == "" && len(c.Properties) == 0 {
		bad("neither Account nor the setting properties says which properties there are")
	}
	for i, id := range c.Properties {
		switch {
		case !digits(id):
			bad("setting properties: the id at %d is not made of digits", i+1)
		case slices.Contains(c.Properties[:i], id):
			bad("setting properties names %s twice", id)
		}
	}
	if c.Account != "" && !digits(c.Account) {
		bad("Account is not the id of a property: it is not made of digits")
	}
	if _, err := driver.BaseURL(c.BaseURL, SupplyURL, ""); err != nil {
		errs = append(errs, err)
	}
	if c.Reservations != "" && c.Reservations != OTA && c.Reservations != BXML {
		bad("setting reservations is %q, want %q or %q", c.Reservations, OTA, BXML)
	}
	if _, ok := adapters[c.AdapterVersion]; !ok && c.AdapterVersion != "" {
		bad("AdapterVersion is %q, want %q", c.AdapterVersion, v1)
	}
	return errors.Join(errs...)
}

func digits(s string) bool {
	return s != "" && len(s) <= 20 && strings.Trim(s, "0123456789") == ""
}
