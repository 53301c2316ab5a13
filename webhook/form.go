package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"
)

// FormHMAC is the scheme of Twilio (https://www.twilio.com/docs/usage/security#validating-requests): an HMAC over the
// URL as it was registered, followed by the names and values of the form in the body, in the order of their names.
// Where the body is no form, the URL is followed by the body's SHA-256, as parameter bodySHA256 of the query.
//
// The URL that counts is [Message].URL, which [Endpoint] fills in: one taken from the request would let its sender move
// parameters out of the form. What this scheme cannot tell apart is where a name ends and its value begins.
type FormHMAC struct {
	Header   string
	Hash     Hash
	Encoding Encoding
}

type formCheck struct {
	FormHMAC
	size int
	new  func() hash.Hash
}

func (s FormHMAC) prepare() (checker, error) {
	c := &formCheck{FormHMAC: s, new: s.Hash.new()}
	var problems []error
	var err error
	if c.Header, err = headerName("FormHMAC.Header", s.Header); err != nil {
		problems = append(problems, err)
	}
	if c.new == nil || !s.Encoding.known() {
		problems = append(problems, errors.New("webhook: FormHMAC: a hash or encoding is unknown"))
	} else {
		c.size = c.new().Size()
	}
	return c, errors.Join(problems...)
}

func (c *formCheck) keyless() bool { return false }

func (c *formCheck) key(k *key, value string) error {
	k.raw = []byte(value)
	return k.keyed(c.new, 1)
}

// content returns what is signed.
func (c *formCheck) content(m *Message) (string, error) {
	if m.URL == "" {
		return "", fmt.Errorf("%w: Message.URL, which is signed, has not been given", ErrMissing)
	}
	kind, err := need(m.Header, "Content-Type")
	if err != nil {
		return "", err
	}
	if kind, _, err = mime.ParseMediaType(kind); err != nil {
		return "", fmt.Errorf("%w: its content type is none", ErrMalformed)
	}
	var b strings.Builder
	b.WriteString(m.URL)
	if kind != "application/x-www-form-urlencoded" {
		sum := sha256.Sum256(m.Body)
		if strings.Contains(m.URL, "?") {
			b.WriteString("&bodySHA256=")
		} else {
			b.WriteString("?bodySHA256=")
		}
		b.WriteString(hex.EncodeToString(sum[:]))
		return b.String(), nil
	}
	form, err := url.ParseQuery(string(m.Body))
	if err != nil {
		return "", fmt.Errorf("%w: its form cannot be read", ErrMalformed)
	}
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := form[name]
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			b.WriteString(name)
			b.WriteString(v)
		}
	}
	// Else the signature of a body that is no form would be right for a form that spells its hash.
	if rest := b.String()[len(m.URL):]; len(rest) > 0 && strings.HasPrefix(rest[1:], "bodySHA256=") {
		return "", fmt.Errorf("%w: its form could be taken for the hash of another body", ErrMalformed)
	}
	return b.String(), nil
}

func (c *formCheck) sum(mc *mac, content string) []byte {
	mc.h.Reset()
	mc.writeString(content)
	return mc.sum()
}

func (c *formCheck) check(m *Message, keys []*key) (claim, error) {
	raw, err := need(m.Header, c.Header)
	if err != nil {
		return claim{}, err
	}
	sig := make([]byte, c.size)
	if !c.Encoding.decode(sig, raw) {
		return claim{}, fmt.Errorf("%w: header %s holds no signature of this kind", ErrMalformed, c.Header)
	}
	content, err := c.content(m)
	if err != nil {
		return claim{}, err
	}
	for _, k := range keys {
		mc := k.macs.Get().(*mac)
		ok := hmac.Equal(c.sum(mc, content), sig)
		k.macs.Put(mc)
		if ok {
			return claim{key: k, trust: Signed}, nil
		}
	}
	return claim{}, ErrSignature
}

func (c *formCheck) sign(m *Message, k *key, _ time.Time) error {
	content, err := c.content(m)
	if err != nil {
		return err
	}
	m.Header[c.Header] = []string{c.Encoding.encode(c.sum(k.macs.Get().(*mac), content))}
	return nil
}
