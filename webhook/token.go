package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// same compares in a time that does not depend on how much of got is right, and on want's length by what hashing it
// takes.
func same(got string, want []byte) bool {
	g, w := sha256.Sum256([]byte(got)), sha256.Sum256(want)
	return subtle.ConstantTimeCompare(g[:], w[:]) == 1
}

// leastToken is how many bytes a secret has that is sent along as it is.
const leastToken = 16

// Token is a secret that the partner sends along in a header: a bearer token, an API key. It proves who sends, not
// what: see [Authenticated]. A secret is the token, of 16 bytes or more.
type Token struct {
	Header string // "": Authorization
	Prefix string // before the token, in any case; "" with the header Authorization: "Bearer "
}

// Basic is HTTP Basic authentication (RFC 7617). It proves who sends, not what: see [Authenticated]. A secret is
// user:password, of 16 bytes or more.
type Basic struct{}

type tokenCheck struct {
	Token
	basic bool
}

func (s Token) prepare() (checker, error) {
	if s.Header == "" {
		s.Header = "Authorization"
	}
	name, err := headerName("Token.Header", s.Header)
	if err != nil {
		return nil, err
	}
	if s.Header = name; name == "Authorization" && s.Prefix == "" {
		s.Prefix = "Bearer "
	}
	return &tokenCheck{Token: s}, nil
}

func (Basic) prepare() (checker, error) {
	return &tokenCheck{Token: Token{Header: "Authorization", Prefix: "Basic "}, basic: true}, nil
}

func (c *tokenCheck) keyless() bool { return false }

func (c *tokenCheck) key(k *key, value string) error {
	if len(value) < leastToken {
		return fmt.Errorf("its value has %d bytes; at least %d are needed", len(value), leastToken)
	}
	if c.basic {
		if !strings.Contains(value, ":") {
			return errors.New("its value is not user:password")
		}
		value = base64.StdEncoding.EncodeToString([]byte(value))
	}
	k.raw = []byte(value)
	return nil
}

// text returns the token that m bears.
func (c *tokenCheck) text(m *Message) (string, error) {
	raw, err := need(m.Header, c.Header)
	if err == nil && (len(raw) < len(c.Prefix) || !strings.EqualFold(raw[:len(c.Prefix)], c.Prefix)) {
		err = fmt.Errorf("%w: header %s does not start as it should", ErrMissing, c.Header)
	}
	if err != nil {
		return "", err
	}
	return raw[len(c.Prefix):], nil
}

func (c *tokenCheck) check(m *Message, keys []*key) (claim, error) {
	raw, err := c.text(m)
	if err != nil {
		return claim{}, err
	}
	for _, k := range keys {
		if same(raw, k.raw) {
			return claim{key: k, trust: Authenticated}, nil
		}
	}
	return claim{}, ErrSignature
}

func (c *tokenCheck) sign(m *Message, k *key, _ time.Time) error {
	m.Header[c.Header] = []string{c.Prefix + string(k.raw)}
	return nil
}

// URLSecret is a secret in the URL that was registered, for partners that sign nothing. It is no more than a fence:
// URLs are in logs. What passes is a [Hint]. A wrong one is answered as an unknown path is. A secret is 16 bytes or
// more of letters, digits, - and _.
type URLSecret struct {
	Param string // of the query; "": it is the last segment of the path
}

func (s URLSecret) prepare() (checker, error) { return &urlCheck{s}, nil }

type urlCheck struct{ URLSecret }

func (c *urlCheck) keyless() bool { return false }

func (c *urlCheck) key(k *key, value string) error {
	if len(value) < leastToken {
		return fmt.Errorf("its value has %d bytes; at least %d are needed", len(value), leastToken)
	}
	for _, b := range []byte(value) {
		if (b < '0' || b > '9') && (b < 'A' || b > 'Z') && (b < 'a' || b > 'z') && b != '-' && b != '_' {
			return errors.New("its value holds what is no letter, digit, - or _")
		}
	}
	k.raw = []byte(value)
	return nil
}

// errURLSecret is what the handler answers as an unknown path.
type errURLSecret struct{ error }

func (e errURLSecret) Unwrap() error { return e.error }

func (c *urlCheck) check(m *Message, keys []*key) (claim, error) {
	got := m.Path[strings.LastIndexByte(m.Path, '/')+1:]
	if c.Param != "" {
		q, err := url.ParseQuery(m.Query)
		if err != nil || len(q[c.Param]) > 1 {
			return claim{}, errURLSecret{ErrMalformed}
		}
		got = q.Get(c.Param)
	}
	if got == "" {
		return claim{}, errURLSecret{ErrMissing}
	}
	for _, k := range keys {
		if same(got, k.raw) {
			return claim{key: k, trust: Hint}, nil
		}
	}
	return claim{}, errURLSecret{ErrSignature}
}

func (c *urlCheck) sign(m *Message, k *key, _ time.Time) error {
	if c.Param == "" {
		m.Path = strings.TrimSuffix(m.Path, "/") + "/" + string(k.raw)
		return nil
	}
	q, err := url.ParseQuery(m.Query)
	if err != nil {
		return fmt.Errorf("webhook: Sign: %w", err)
	}
	q.Set(c.Param, string(k.raw))
	m.Query = q.Encode()
	return nil
}

// Unsigned is the scheme of a partner that proves nothing: every message passes, as a [Hint]. Prefer [URLSecret].
type Unsigned struct{}

func (s Unsigned) prepare() (checker, error) { return s, nil }

func (Unsigned) keyless() bool                         { return true }
func (Unsigned) key(*key, string) error                { return nil }
func (Unsigned) check(*Message, []*key) (claim, error) { return claim{trust: Hint}, nil }
func (Unsigned) sign(*Message, *key, time.Time) error  { return nil }

// Digest is the scheme of partners that send the hash of the body followed by the secret, without HMAC. (The
// secret followed by the body would let anybody extend the body, and is not offered.) A secret is a text.
type Digest struct {
	Header   string
	Prefix   string
	Hash     Hash // SHA256; SHA1 is refused
	Encoding Encoding
}

type digestCheck struct{ Digest }

func (s Digest) prepare() (checker, error) {
	c := &digestCheck{s}
	var problems []error
	var err error
	if c.Header, err = headerName("Digest.Header", s.Header); err != nil {
		problems = append(problems, err)
	}
	if s.Hash != SHA256 && s.Hash != SHA512 || !s.Encoding.known() {
		problems = append(problems, errors.New("webhook: Digest: a hash or encoding is unknown, or unsafe in this use"))
	}
	return c, errors.Join(problems...)
}

func (c *digestCheck) keyless() bool { return false }

func (c *digestCheck) key(k *key, value string) error {
	if len(value) < leastToken {
		return fmt.Errorf("its value has %d bytes; at least %d are needed", len(value), leastToken)
	}
	k.raw = []byte(value)
	return nil
}

func (c *digestCheck) sum(m *Message, k *key) []byte {
	h := c.Hash.new()()
	h.Write(m.Body)
	h.Write(k.raw)
	return h.Sum(nil)
}

func (c *digestCheck) check(m *Message, keys []*key) (claim, error) {
	raw, err := need(m.Header, c.Header)
	if err != nil {
		return claim{}, err
	}
	sig := make([]byte, c.Hash.new()().Size())
	text, ok := strings.CutPrefix(raw, c.Prefix)
	if !ok || !c.Encoding.decode(sig, text) {
		return claim{}, fmt.Errorf("%w: header %s holds no digest of this kind", ErrMalformed, c.Header)
	}
	for _, k := range keys {
		if hmac.Equal(c.sum(m, k), sig) {
			return claim{key: k, trust: Signed}, nil
		}
	}
	return claim{}, ErrSignature
}

func (c *digestCheck) sign(m *Message, k *key, _ time.Time) error {
	m.Header[c.Header] = []string{c.Prefix + c.Encoding.encode(c.sum(m, k))}
	return nil
}

// Custom is a scheme that none of the others is.
type Custom struct {
	// Verify says whether m is proved by a secret, and what else is: a Proof's Trust, Delivery and At; its other
	// fields are not read. Its errors should wrap those of this package; they must hold nothing of m nor of the
	// secret. Compare with [hmac.Equal].
	Verify func(m *Message, secret []byte) (Proof, error)
	// Sign makes of m what the partner sends. May be nil: then [Sign] fails.
	Sign func(m *Message, secret []byte, at time.Time) error
}

type customCheck struct{ Custom }

func (s Custom) prepare() (checker, error) {
	if s.Verify == nil {
		return nil, errors.New("webhook: Custom.Verify is missing")
	}
	return &customCheck{s}, nil
}

func (c *customCheck) keyless() bool { return false }

func (c *customCheck) key(k *key, value string) error {
	if k.raw = []byte(value); value == "" {
		return errors.New("its value is empty")
	}
	return nil
}

func (c *customCheck) check(m *Message, keys []*key) (claim, error) {
	err := ErrSignature
	for _, k := range keys {
		var p Proof
		if p, err = c.Verify(m, k.raw); err == nil {
			return claim{key: k, trust: p.Trust, id: p.Delivery, at: p.At}, nil
		}
	}
	return claim{}, err
}

func (c *customCheck) sign(m *Message, k *key, at time.Time) error {
	if c.Sign == nil {
		return errors.New("webhook: Custom.Sign is missing")
	}
	return c.Sign(m, k.raw, at)
}
