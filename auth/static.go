package auth

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// APIKey is a fixed key in a header or a query parameter. Use [NewAPIKey].
type APIKey struct{ c *static }

// APIKeyConfig configures an [APIKey]. Exactly one of Header and Query is set.
type APIKeyConfig struct {
	Header, Query string
	Prefix        string // put before the key in a header, for example "Bearer "
	Key           Secret
	Origins       []string // "https://api.example.com"
}

// NewAPIKey returns an error that names everything that is wrong with c.
func NewAPIKey(c APIKeyConfig) (*APIKey, error) {
	var p problems
	p.check(c.Header != "" && c.Query != "", "Header and Query are both set")
	p.check(c.Header == "" && c.Query == "", "Header and Query are both empty")
	p.check(c.Header != "" && !isToken(c.Header), "Header is not a header's name")
	p.check(c.Prefix != "" && c.Header == "", "Prefix is for a key in a header")
	if c.Prefix != "" {
		p.secret("Prefix", Secret(c.Prefix))
	}
	p.secret("Key", c.Key)
	os, err := parseOrigins(c.Origins)
	p.join(err)
	if err := p.err(); err != nil {
		return nil, fmt.Errorf("auth: API key: %w", err)
	}
	s := &static{origins: os}
	if c.Header != "" {
		s.header, s.value = textproto.CanonicalMIMEHeaderKey(c.Header), []string{c.Prefix + string(c.Key)}
	} else {
		s.query, s.pair = c.Query, url.QueryEscape(c.Query)+"="+url.QueryEscape(string(c.Key))
	}
	return &APIKey{s}, nil
}

// Wrap implements [Credential].
func (k *APIKey) Wrap(next http.RoundTripper) http.RoundTripper { return k.c.wrap(next) }

// Basic is a user name and password (RFC 7617). Use [NewBasic].
type Basic struct{ c *static }

// BasicConfig configures a [Basic].
type BasicConfig struct {
	Username string
	Password Secret
	Origins  []string
}

// NewBasic returns an error that names everything that is wrong with c.
func NewBasic(c BasicConfig) (*Basic, error) {
	var p problems
	p.secret("Username", Secret(c.Username))
	p.check(strings.Contains(c.Username, ":"), "Username holds a colon") // RFC 7617 section 2
	p.secret("Password", c.Password)
	os, err := parseOrigins(c.Origins)
	p.join(err)
	if err := p.err(); err != nil {
		return nil, fmt.Errorf("auth: basic credentials: %w", err)
	}
	value := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+string(c.Password)))
	return &Basic{&static{origins: os, header: "Authorization", value: []string{value}}}, nil
}

// Wrap implements [Credential].
func (b *Basic) Wrap(next http.RoundTripper) http.RoundTripper { return b.c.wrap(next) }

// static is a credential that does not change. It is reached through a pointer, which fmt does not follow.
type static struct {
	origins origins
	header  string
	value   []string // shared by all requests: header values are replaced, never written into
	query   string
	pair    string // escaped name=key
}

func (s *static) wrap(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if err := s.origins.check(req.URL); err != nil {
			closeBody(req)
			return nil, err
		}
		var out *http.Request
		if s.header != "" {
			out = withHeader(req, s.header, s.value)
		} else {
			out = withQuery(req, s.query, s.pair)
		}
		return answer(next, out, req)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answer sends out and returns the answer as that to req, so that whoever prints resp.Request prints no credential.
func answer(next http.RoundTripper, out, req *http.Request) (*http.Response, error) {
	resp, err := next.RoundTrip(out)
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}

// withHeader returns a copy of req with a header replaced. The other headers' values are shared with req: nobody may
// write into them, by the contract of http.RoundTripper.
func withHeader(req *http.Request, name string, value []string) *http.Request {
	out := new(http.Request)
	*out = *req
	if out.Header = maps.Clone(req.Header); out.Header == nil {
		out.Header = make(http.Header, 1)
	}
	out.Header[name] = value
	return out
}

// withQuery returns a copy of req with a query parameter replaced.
func withQuery(req *http.Request, name, pair string) *http.Request {
	out, u := new(http.Request), new(url.URL)
	*out, *u = *req, *req.URL
	out.URL = u
	if strings.Contains(u.RawQuery, "=") { // the partner's own next link may hold a key already
		kept := make([]string, 0, 8)
		for part := range strings.SplitSeq(u.RawQuery, "&") {
			key, _, _ := strings.Cut(part, "=")
			if k, err := url.QueryUnescape(key); err != nil || k != name {
				kept = append(kept, part)
			}
		}
		u.RawQuery = strings.Join(kept, "&")
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += pair
	return out
}

// closeBody keeps the contract of http.RoundTripper on a refusal.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // the refusal is what the caller must know
	}
}

// isToken reports whether s is a token in the sense of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
