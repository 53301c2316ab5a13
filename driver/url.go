package driver

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/integrationkit/integrationkit/auth"
)

// parseBase reads a base URL. Its errors do not print it.
func parseBase(s string) (*url.URL, error) {
	if s == "" {
		return nil, errors.New("is missing")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, errors.New("is neither https nor http on a loopback address")
	case u.Hostname() == "":
		return nil, errors.New("has no host")
	case u.User != nil:
		return nil, errors.New("has user information")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("has a query or a fragment")
	}
	if err := checkPath(u.EscapedPath()); err != nil {
		return nil, err
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

var (
	errPath     = errors.New(`a path must begin with one "/"`)
	errDots     = errors.New(`a path must not have "." or ".." for a segment`)
	errFragment = errors.New("a path must not have a fragment")
	errEscape   = errors.New("a path is not escaped as it should be")
)

// checkPath refuses a path that servers and proxies could understand differently.
func checkPath(escaped string) error {
	if escaped == "" {
		return nil
	}
	if escaped[0] != '/' || strings.HasPrefix(escaped, "//") {
		return errPath
	}
	if !strings.Contains(escaped, ".") && !strings.ContainsAny(escaped, "%\\") {
		return nil
	}
	if strings.Contains(escaped, `\`) {
		return errEscape
	}
	plain, err := url.PathUnescape(escaped)
	if err != nil {
		return errEscape
	}
	for seg := range strings.SplitSeq(plain, "/") {
		if seg == "." || seg == ".." {
			return errDots
		}
	}
	return nil
}

// target returns the URL of a call. Its errors name no part of it.
func (c *Client) target(path string, query url.Values) (*url.URL, error) {
	if why, ok := strings.CutPrefix(path, refused); ok {
		return nil, errors.New(why)
	}
	if strings.Contains(path, "#") {
		return nil, errFragment
	}
	for i := range len(path) {
		if path[i] <= ' ' || path[i] == 0x7f {
			return nil, errEscape
		}
	}
	u := &url.URL{Scheme: c.base.Scheme, Host: c.base.Host}
	if strings.HasPrefix(path, "http://") || strings.HasPrefix(path, "https://") {
		abs, err := url.Parse(path)
		if err != nil {
			return nil, errEscape
		}
		if !c.sameOrigin(abs) {
			return nil, auth.ErrOrigin
		}
		path = abs.EscapedPath()
		if err := checkPath(path); err != nil {
			return nil, err
		}
		u.RawQuery = abs.RawQuery
	} else {
		path, u.RawQuery, _ = strings.Cut(path, "?")
		if err := checkPath(path); err != nil {
			return nil, err
		}
		path = c.basePath + path
	}
	if strings.Contains(path, "%") {
		u.RawPath = path
		var err error
		if u.Path, err = url.PathUnescape(path); err != nil {
			return nil, errEscape
		}
	} else {
		u.Path = path
	}
	if len(query) > 0 {
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += query.Encode()
	}
	return u, nil
}

// sameOrigin reports whether u has the base URL's scheme, host and port, and no user information.
func (c *Client) sameOrigin(u *url.URL) bool {
	return u.User == nil && strings.EqualFold(u.Scheme, c.base.Scheme) && strings.EqualFold(u.Hostname(), c.base.Hostname()) && port(u) == port(c.base)
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	default:
		return "80"
	}
}

// validHeader reports whether HTTP allows the header (RFC 9110 section 5).
func validHeader(name string, values []string) bool {
	if !token(name) {
		return false
	}
	for _, v := range values {
		for i := range len(v) {
			if v[i] < ' ' && v[i] != '\t' || v[i] == 0x7f {
				return false
			}
		}
	}
	return true
}

// token reports whether s is a token of HTTP: a method, the name of a header.
func token(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	}) < 0
}

// redirect returns where a redirect of req leads; nil when resp is none that is followed: only those of GET and HEAD are.
func (c *Client) redirect(req *http.Request, resp *http.Response) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return nil, nil
	}
	to, err := req.URL.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return nil, errors.New("driver: a redirect that leads nowhere")
	}
	if !c.sameOrigin(to) {
		return nil, errRedirect
	}
	to.Fragment = ""
	return to, nil
}
