package driver

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Problems returns what is wrong with an integration for a driver that knows it under the partner's name and knows no more
// credentials and settings than these: no ID, another partner, names that are not known. Errors hold no values.
func (in Integration) Problems(partner string, credentials, settings []string) []error {
	var errs []error
	if in.ID == "" {
		errs = append(errs, errors.New("Integration.ID is empty"))
	}
	if in.Partner != "" && in.Partner != partner {
		errs = append(errs, fmt.Errorf("Integration.Partner is %q, want %q", in.Partner, partner))
	}
	unknown := func(what string, has, known []string) {
		for _, name := range has {
			if slices.Contains(known, name) {
				continue
			}
			want := "there are none"
			if len(known) > 0 {
				want = "want " + strings.Join(known, ", ")
			}
			errs = append(errs, fmt.Errorf("%s %q is not known; %s", what, name, want))
		}
	}
	unknown("credential", slices.Sorted(maps.Keys(in.Credentials)), credentials)
	unknown("setting", slices.Sorted(maps.Keys(in.Settings)), settings)
	return errs
}

// BaseURL returns base, or production when it is "", without a slash and without the suffix ("/v1") at its end. One that is neither https nor http on
// loopback, or has a user, query or fragment, is an error, which does not hold the URL: people put passwords there.
func BaseURL(base, production, suffix string) (string, error) {
	if base == "" {
		base = production
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
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), suffix)
	u.RawPath = ""
	return strings.TrimRight(u.String(), "/"), nil
}
