package webhook

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// SignatureHeader is the scheme of a header Authorization: Signature keyId="…",algorithm="rsa-sha256",headers="…",
// delimiter="|",signature="…", as Airbnb sends it: RSA (PKCS #1 v1.5, SHA-256) over the values that headers names,
// joined by the delimiter.
//
// What is signed is not left to the header: one that names other values or another delimiter is refused, and so is a
// value other than the body that holds the delimiter. Otherwise whoever has one signed request could move the borders
// and pass a part of it as a body.
//
// A secret is a public key in PEM, PKIX or PKCS #1, of 2048 bits or more; to sign, the private one, PKCS #8 or PKCS #1.
type SignatureHeader struct {
	Header    string   // "": Authorization
	Values    []string // nil: host url method date content-type body; others are headers' names. The body comes last.
	Delimiter string   // "": |
}

type rsaCheck struct {
	SignatureHeader
	names string // as the header has them
	dated bool
}

func (s SignatureHeader) prepare() (checker, error) {
	c := &rsaCheck{SignatureHeader: s}
	if c.Header == "" {
		c.Header = "Authorization"
	}
	if c.Delimiter == "" {
		c.Delimiter = "|"
	}
	if len(c.Values) == 0 {
		c.Values = []string{"host", "url", "method", "date", "content-type", "body"}
	}
	var problems []error
	var err error
	if c.Header, err = headerName("SignatureHeader.Header", c.Header); err != nil {
		problems = append(problems, err)
	}
	for i, v := range c.Values {
		if (v == "body") != (i == len(c.Values)-1) {
			problems = append(problems, errors.New("webhook: SignatureHeader.Values: the body comes last, and once"))
		}
		if _, err := headerName("one of SignatureHeader.Values", v); err != nil {
			problems = append(problems, err)
		}
		c.dated = c.dated || v == "date"
	}
	c.names = strings.Join(c.Values, " ")
	return c, errors.Join(problems...)
}

func (c *rsaCheck) keyless() bool { return false }

const leastRSA = 2048

func (c *rsaCheck) key(k *key, value string) error {
	var err error
	if k.pair, err = parsePEM(value); err != nil {
		return err
	}
	switch public, ok := publicKey(k.pair).(*rsa.PublicKey); {
	case !ok:
		return errors.New("its value is no RSA key")
	case public.N.BitLen() < leastRSA:
		return errors.New("its value is an RSA key of less than 2048 bits")
	}
	return nil
}

// parsePEM reads a public or private key.
func parsePEM(value string) (any, error) {
	block, rest := pem.Decode([]byte(value))
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("its value is not one key in PEM")
	}
	var pair any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		pair, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		pair, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "PRIVATE KEY":
		pair, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		pair, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		pair, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, errors.New("its value is PEM, and no key")
	}
	if err != nil {
		return nil, errors.New("its value is PEM, and its key cannot be read")
	}
	return pair, nil
}

// compose returns what is signed, and the time in it.
func (c *rsaCheck) compose(m *Message) ([]byte, time.Time, error) {
	host, path, err := m.origin()
	if err != nil {
		return nil, time.Time{}, err
	}
	signed := make([]byte, 0, len(m.Body)+256)
	var at time.Time
	for _, name := range c.Values {
		var v string
		switch name {
		case "body":
			return append(signed, m.Body...), at, nil
		case "host":
			v = host
		case "url":
			v = path
		case "method":
			v = strings.ToUpper(m.method())
		default:
			if v, err = need(m.Header, http.CanonicalHeaderKey(name)); err != nil {
				return nil, at, err
			}
		}
		if name == "date" {
			if at, err = HTTPDate.parse(v); err != nil {
				return nil, at, err
			}
		}
		if strings.Index(v+c.Delimiter, c.Delimiter) != len(v) {
			return nil, at, fmt.Errorf("%w: a value holds the delimiter", ErrMalformed)
		}
		signed = append(append(signed, v...), c.Delimiter...)
	}
	return signed, at, nil // prepare has seen to it that the body comes last
}

// parameters reads name="value",name=value, as the header has them.
func parameters(s string) (map[string]string, error) {
	p := map[string]string{}
	for s != "" {
		name, rest, found := strings.Cut(s, "=")
		name = strings.TrimSpace(name)
		if _, twice := p[name]; !found || twice {
			return nil, ErrMalformed
		}
		var value string
		if rest = strings.TrimLeft(rest, " "); strings.HasPrefix(rest, `"`) {
			if value, rest, found = strings.Cut(rest[1:], `"`); !found {
				return nil, ErrMalformed
			}
			var junk string
			if junk, rest, _ = strings.Cut(rest, ","); strings.TrimSpace(junk) != "" {
				return nil, ErrMalformed
			}
		} else {
			value, rest, _ = strings.Cut(rest, ",")
			value = strings.TrimSpace(value)
		}
		p[name], s = value, rest
	}
	return p, nil
}

func (c *rsaCheck) check(m *Message, keys []*key) (claim, error) {
	raw, err := need(m.Header, c.Header)
	if err != nil {
		return claim{}, err
	}
	scheme, rest, _ := strings.Cut(raw, " ")
	if !strings.EqualFold(scheme, "Signature") {
		return claim{}, fmt.Errorf("%w: header %s holds no Signature", ErrMissing, c.Header)
	}
	p, err := parameters(rest)
	if err != nil {
		return claim{}, err
	}
	if p["algorithm"] != "rsa-sha256" || p["headers"] != c.names || p["delimiter"] != c.Delimiter {
		return claim{}, fmt.Errorf("%w: it is made in another way or for other values than was agreed", ErrMalformed)
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(p["signature"])
	if err != nil {
		return claim{}, fmt.Errorf("%w: it is not base64", ErrMalformed)
	}
	signed, at, err := c.compose(m)
	if err != nil {
		return claim{}, err
	}
	sum := sha256.Sum256(signed)
	for _, k := range keys {
		public, ok := publicKey(k.pair).(*rsa.PublicKey)
		if ok && rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig) == nil {
			return claim{key: k, trust: Signed, at: at}, nil
		}
	}
	return claim{}, ErrSignature
}

func (c *rsaCheck) sign(m *Message, k *key, at time.Time) error {
	private, ok := k.pair.(*rsa.PrivateKey)
	if !ok {
		return errors.New("webhook: Sign: a public key signs nothing; give the private one")
	}
	if c.dated {
		m.Header["Date"] = []string{HTTPDate.format(at)}
	}
	for _, name := range c.Values {
		if name == "content-type" && m.Header.Get(name) == "" {
			m.Header["Content-Type"] = []string{"application/json"}
		}
	}
	signed, _, err := c.compose(m)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(signed)
	sig, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	if err != nil {
		return fmt.Errorf("webhook: Sign: %w", err)
	}
	const form = `Signature keyId="booking_web_hooks",algorithm="rsa-sha256",headers="%s",delimiter="%s",signature="%s"`
	m.Header[c.Header] = []string{fmt.Sprintf(form, c.names, c.Delimiter, base64.StdEncoding.EncodeToString(sig))}
	return nil
}
