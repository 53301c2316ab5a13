package auth

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/integrationkit/integrationkit/retry"
)

// ErrOrigin is wrapped by the error of a request that would carry credentials to an origin that was not declared, or
// over plain http to anything but a loopback address.
var ErrOrigin = errors.New("auth: not a declared origin")

// Credential is what puts itself on requests: an API key, Basic credentials, a token source.
type Credential interface {
	// Wrap returns a RoundTripper that adds the credential to a copy of each request for a declared origin and refuses
	// any other with an error that wraps [ErrOrigin]. next nil: http.DefaultTransport.
	Wrap(next http.RoundTripper) http.RoundTripper
}

// origin is a scheme, host and port in one spelling: lower case, no default port, addresses in their canonical form.
type origin struct{ scheme, host string }

type origins []origin

// check refuses a request for any other origin. Every hop of a redirect is a request of its own, so it is checked too.
func (os origins) check(u *url.URL) error {
	if u != nil {
		for i := range os {
			if u.Host == os[i].host && u.Scheme == os[i].scheme {
				return nil
			}
		}
		if o, err := originOf(u); err == nil {
			for i := range os {
				if o == os[i] {
					return nil
				}
			}
		}
	}
	return &retry.Error{
		Verdict: retry.Verdict{Class: retry.Client, Sent: retry.Never},
		Err:     fmt.Errorf("%w: the request to %s was not sent", ErrOrigin, printable(u)),
	}
}

// printable names an origin in an error. It is the partner's, or an attacker's, choice: bounded and quoted.
func printable(u *url.URL) string {
	if u == nil {
		return "no address"
	}
	s := u.Scheme + "://" + u.Host
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return strconv.Quote(s)
}

// originOf returns the origin of u in its one spelling.
func originOf(u *url.URL) (origin, error) {
	scheme := strings.ToLower(u.Scheme)
	host := strings.ToLower(u.Hostname())
	port := u.Port()
	if host == "" {
		return origin{}, errors.New("it has no host")
	}
	for i := 0; i < len(host); i++ {
		if host[i] >= 0x80 {
			return origin{}, errors.New("its host is not ASCII; write it as the network sees it (xn--…)")
		}
	}
	loopback := host == "localhost"
	if ip, err := netip.ParseAddr(host); err == nil {
		loopback = ip.IsLoopback()
		host = ip.String()
	}
	switch {
	case scheme == "https":
	case scheme != "http":
		return origin{}, errors.New("its scheme is not https")
	case !loopback:
		return origin{}, errors.New("plain http is for loopback addresses only")
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return origin{}, errors.New("its port is not a number from 1 to 65535")
		}
		port = strconv.FormatUint(n, 10)
	}
	if scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		port = ""
	}
	switch {
	case port != "":
		host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return origin{scheme, host}, nil
}

// parseOrigins reads declared origins; the error names all that are unusable.
func parseOrigins(list []string) (origins, error) {
	if len(list) == 0 {
		var p problems
		p.add("Origins is empty: where may the credential travel to?")
		return nil, p.err()
	}
	var os origins
	var p problems
	for i, s := range list {
		u, err := url.Parse(s)
		if err != nil {
			p.add("Origins[%d] is not a URL", i) // the text of err holds it
			continue
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" || u.Path != "" && u.Path != "/" {
			p.add("Origins[%d] is more than a scheme, a host and a port", i)
			continue
		}
		o, err := originOf(u)
		if err != nil {
			p.add("Origins[%d] is unusable: %w", i, err)
			continue
		}
		os = append(os, o)
	}
	return os, p.err()
}

// problems collects all that is wrong with a configuration; texts begin with the field's name.
type problems []error

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

func (p *problems) check(bad bool, text string) {
	if bad {
		p.add("%s", text)
	}
}

func (p *problems) secret(name string, s Secret) {
	text := s.problem()
	p.check(text != "", name+" "+text)
}

func (p *problems) join(err error) { *p = append(*p, err) }

func (p *problems) err() error { return errors.Join(*p...) }
