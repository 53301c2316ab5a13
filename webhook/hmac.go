package webhook

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // HMAC-SHA1 is what some partners send
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"time"
)

// Hash is a hash function.
type Hash uint8

// Hash functions. SHA1 is for partners that offer nothing else; in an HMAC it is not broken.
const (
	SHA256 Hash = iota
	SHA512
	SHA1
)

func (h Hash) new() func() hash.Hash {
	switch h {
	case SHA256:
		return sha256.New
	case SHA512:
		return sha512.New
	case SHA1:
		return sha1.New
	}
	return nil
}

// Encoding is how bytes are written as text.
type Encoding uint8

// Encodings of signatures. Base64 and Base64URL are read with and without padding.
const (
	Hex Encoding = iota
	Base64
	Base64URL
)

func (e Encoding) known() bool { return e <= Base64URL }

func (e Encoding) encode(b []byte) string {
	switch e {
	case Base64:
		return base64.StdEncoding.EncodeToString(b)
	case Base64URL:
		return base64.URLEncoding.EncodeToString(b)
	}
	return hex.EncodeToString(b)
}

var (
	rawStd = base64.RawStdEncoding.Strict()
	rawURL = base64.RawURLEncoding.Strict()
)

// decode reads s, which has to be exactly len(dst) bytes, into dst. There is one text for them, but for the case of
// hexadecimal letters and for padding.
func (e Encoding) decode(dst []byte, s string) bool {
	var buf [96]byte
	if e == Hex {
		if len(s) != hex.EncodedLen(len(dst)) {
			return false
		}
		n, err := hex.Decode(dst, append(buf[:0], s...)) // a SHA-512 is 128 digits: append makes room
		return err == nil && n == len(dst)
	}
	enc := rawStd
	if e == Base64URL {
		enc = rawURL
	}
	s = strings.TrimRight(s, "=")
	if len(s) != enc.EncodedLen(len(dst)) || len(s) > len(buf) {
		return false
	}
	n, err := enc.Decode(dst, append(buf[:0], s...))
	return err == nil && n == len(dst)
}

// Clock is how a partner writes the time.
type Clock uint8

// Clocks.
const (
	Seconds  Clock = iota // since 1970, decimal digits
	Millis                // since 1970, decimal digits
	RFC3339               // 2006-01-02T15:04:05Z
	HTTPDate              // Mon, 02 Jan 2006 15:04:05 GMT
)

func (c Clock) parse(s string) (time.Time, error) {
	bad := fmt.Errorf("%w: its time is none", ErrMalformed)
	switch c {
	case RFC3339:
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t, nil
		}
		return time.Time{}, bad
	case HTTPDate:
		if t, err := http.ParseTime(s); err == nil {
			return t, nil
		}
		return time.Time{}, bad
	}
	var n int64
	if len(s) == 0 || len(s) > 15 {
		return time.Time{}, bad
	}
	for _, d := range []byte(s) {
		if d < '0' || d > '9' {
			return time.Time{}, bad
		}
		n = n*10 + int64(d-'0')
	}
	if c == Millis {
		return time.UnixMilli(n), nil
	}
	return time.Unix(n, 0), nil
}

func (c Clock) format(t time.Time) string {
	switch c {
	case Millis:
		return fmt.Sprint(t.UnixMilli())
	case RFC3339:
		return t.UTC().Format(time.RFC3339)
	case HTTPDate:
		return t.UTC().Format(http.TimeFormat)
	}
	return fmt.Sprint(t.Unix())
}

// SecretForm is how the value of a [Secret] is written.
type SecretForm uint8

// Forms of secrets. SecretBase64 is read in either alphabet, with and without padding: partners mix them.
const (
	SecretText SecretForm = iota // its bytes are the key
	SecretHex
	SecretBase64
)

func (f SecretForm) decode(value string) ([]byte, error) {
	switch f {
	case SecretHex:
		raw, err := hex.DecodeString(value)
		if err != nil {
			return nil, errors.New("its value is not hexadecimal")
		}
		return raw, nil
	case SecretBase64:
		value = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(value, "="))
		raw, err := base64.RawStdEncoding.DecodeString(value)
		if err != nil {
			return nil, errors.New("its value is not base64")
		}
		return raw, nil
	}
	return []byte(value), nil
}

// maxSignatures is how many signatures of one header are looked at.
const maxSignatures = 16

// HMAC is the scheme of most partners (RFC 2104): a keyed hash of the content in a header.
//
//	X-Hub-Signature-256: sha256=757107…
//	HMAC{Header: "X-Hub-Signature-256", Prefix: "sha256="}
//
//	Stripe-Signature: t=1492774577,v1=5257a8…
//	HMAC{Header: "Stripe-Signature", Pair: "v1", TimePair: "t", Content: "{time}.{body}"}
type HMAC struct {
	Header   string   // that holds the signature
	Prefix   string   // before each signature
	Hash     Hash     // SHA256
	Encoding Encoding // Hex
	Secret   SecretForm

	// Pair is the name of the signatures, if the header is a list of name=value: "v1" of "t=…,v1=…,v1=…". Several
	// may bear it, and any of them may match.
	Pair     string
	TimePair string // the name of the time in that list

	TimeHeader string // that holds the time, if a header of its own does
	Clock      Clock
	IDHeader   string // that holds the delivery's id

	// Content is what is signed, "{body}" if empty. In braces stand body, time, id, method, host (without the port),
	// path, url ([Message].URL) and header:Name; the rest is as it is. It must hold the body, and the time and the id
	// if there are such headers. A value that would let the content be divided in another way, so that one signature
	// is right for two messages, is refused; so two values stand next to each other only if the first is the url.
	Content string
}

type hmacCheck struct {
	HMAC
	before string
	parts  []part
	size   int
	new    func() hash.Hash
}

func (s HMAC) prepare() (checker, error) {
	c := &hmacCheck{HMAC: s, new: s.Hash.new()}
	var problems []error
	name := func(what string, p *string, required bool) {
		if *p == "" && !required {
			return
		}
		var err error
		if *p, err = headerName(what, *p); err != nil {
			problems = append(problems, err)
		}
	}
	name("HMAC.Header", &c.Header, true)
	name("HMAC.TimeHeader", &c.TimeHeader, false)
	name("HMAC.IDHeader", &c.IDHeader, false)
	if c.Content == "" {
		c.Content = "{body}"
	}
	var err error
	if c.before, c.parts, err = compile(c.Content); err != nil {
		problems = append(problems, err)
	} else {
		timed := s.TimePair != "" || s.TimeHeader != ""
		if timed != has(c.parts, fieldTime) {
			problems = append(problems, errors.New("webhook: HMAC: a time has to be sent and signed, or neither"))
		}
		if (s.IDHeader != "") != has(c.parts, fieldID) {
			problems = append(problems, errors.New("webhook: HMAC: an id has to be sent and signed, or neither"))
		}
	}
	if s.TimePair != "" && (s.Pair == "" || s.TimeHeader != "" || s.TimePair == s.Pair) {
		problems = append(problems, errors.New("webhook: HMAC.TimePair wants a Pair of another name and no TimeHeader"))
	}
	if !s.Encoding.known() || s.Secret > SecretBase64 || s.Clock > HTTPDate {
		problems = append(problems, errors.New("webhook: HMAC: an encoding or clock is unknown"))
	}
	if c.new == nil {
		problems = append(problems, errors.New("webhook: HMAC.Hash is unknown"))
	} else {
		c.size = c.new().Size()
	}
	return c, errors.Join(problems...)
}

func (c *hmacCheck) keyless() bool { return false }

func (c *hmacCheck) key(k *key, value string) error {
	var err error
	if k.raw, err = c.Secret.decode(value); err != nil {
		return err
	}
	return k.keyed(c.new, 1)
}

// keyed readies k to make hashes with its raw bytes.
func (k *key) keyed(newHash func() hash.Hash, least int) error {
	if len(k.raw) < least {
		return fmt.Errorf("its value has %d bytes; at least %d are needed", len(k.raw), least)
	}
	k.macs.New = func() any { return &mac{h: hmac.New(newHash, k.raw)} }
	return nil
}

// values are those of the content that are no bytes of the message.
type values struct {
	time, id, host, path string
	at                   time.Time
}

func (c *hmacCheck) read(m *Message, v *values) (err error) {
	if c.TimeHeader != "" {
		if v.time, err = need(m.Header, c.TimeHeader); err != nil {
			return err
		}
	}
	if c.TimeHeader != "" || c.TimePair != "" {
		if v.at, err = c.Clock.parse(v.time); err != nil {
			return err
		}
	}
	if c.IDHeader != "" {
		if v.id, err = need(m.Header, c.IDHeader); err != nil {
			return err
		}
	}
	return c.place(m, v)
}

// place finds host and path, if they are signed, and insists on a URL, if that is.
func (c *hmacCheck) place(m *Message, v *values) (err error) {
	if has(c.parts, fieldHost) || has(c.parts, fieldPath) {
		if v.host, v.path, err = m.origin(); err != nil {
			return err
		}
	}
	if has(c.parts, fieldURL) && m.URL == "" {
		return fmt.Errorf("%w: Message.URL, which is signed, has not been given", ErrMissing)
	}
	body := false
	for i, p := range c.parts {
		if p.field == fieldBody {
			body = true
			continue
		}
		s, err := v.get(p, m)
		if err != nil {
			return err
		}
		// Before the body a value ends where the text after it first occurs; behind it, it starts where the text before
		// it last occurs.
		if !body && p.after != "" && strings.Index(s+p.after, p.after) != len(s) ||
			body && c.parts[i-1].after != "" && strings.LastIndex(c.parts[i-1].after+s, c.parts[i-1].after) != 0 {
			return fmt.Errorf("%w: a value holds the text that ends it", ErrMalformed)
		}
	}
	return nil
}

func (v *values) get(p part, m *Message) (string, error) {
	switch p.field {
	case fieldTime:
		return v.time, nil
	case fieldID:
		return v.id, nil
	case fieldMethod:
		return m.method(), nil
	case fieldHost:
		return v.host, nil
	case fieldPath:
		return v.path, nil
	case fieldURL:
		return m.URL, nil
	}
	return need(m.Header, p.name)
}

func (c *hmacCheck) sum(m *Message, v *values, mc *mac) ([]byte, error) {
	mc.h.Reset()
	mc.writeString(c.before)
	for _, p := range c.parts {
		if p.field == fieldBody {
			mc.h.Write(m.Body)
		} else {
			s, err := v.get(p, m)
			if err != nil {
				return nil, err
			}
			mc.writeString(s)
		}
		mc.writeString(p.after)
	}
	return mc.sum(), nil
}

func (c *hmacCheck) check(m *Message, keys []*key) (claim, error) {
	raw, err := need(m.Header, c.Header)
	if err != nil {
		return claim{}, err
	}
	var v values
	var sigs [maxSignatures][sha512.Size]byte
	n := 0
	add := func(s string) {
		s, ok := strings.CutPrefix(strings.TrimSpace(s), c.Prefix)
		if ok && n < maxSignatures && c.Encoding.decode(sigs[n][:c.size], s) {
			n++
		}
	}
	if c.Pair == "" {
		add(raw)
	} else {
		for list, more := raw, true; more; {
			var item string
			item, list, more = strings.Cut(list, ",")
			switch name, value, _ := strings.Cut(strings.TrimSpace(item), "="); {
			case name == c.Pair:
				add(value)
			case name == c.TimePair && v.time != "":
				return claim{}, fmt.Errorf("%w: it has two times", ErrMalformed)
			case name == c.TimePair:
				v.time = value
			}
		}
	}
	if n == 0 {
		return claim{}, fmt.Errorf("%w: header %s holds no signature of this kind", ErrMalformed, c.Header)
	}
	if err := c.read(m, &v); err != nil {
		return claim{}, err
	}
	for _, k := range keys {
		mc := k.macs.Get().(*mac)
		sum, err := c.sum(m, &v, mc)
		if err != nil {
			return claim{}, err
		}
		for i := range n {
			if hmac.Equal(sum, sigs[i][:c.size]) {
				k.macs.Put(mc)
				return claim{key: k, trust: Signed, id: v.id, at: v.at}, nil
			}
		}
		k.macs.Put(mc)
	}
	return claim{}, ErrSignature
}

func (c *hmacCheck) sign(m *Message, k *key, at time.Time) error {
	v := values{at: at}
	if c.TimeHeader != "" || c.TimePair != "" {
		v.time = c.Clock.format(at)
	}
	if c.TimeHeader != "" {
		m.Header[c.TimeHeader] = []string{v.time}
	}
	if c.IDHeader != "" {
		if m.Header.Get(c.IDHeader) == "" {
			m.Header[c.IDHeader] = []string{newID()}
		}
		v.id = m.Header.Get(c.IDHeader)
	}
	if err := c.place(m, &v); err != nil {
		return err
	}
	sum, err := c.sum(m, &v, k.macs.Get().(*mac))
	if err != nil {
		return err
	}
	text := c.Prefix + c.Encoding.encode(sum)
	if c.Pair != "" {
		text = c.Pair + "=" + text
	}
	if c.TimePair != "" {
		text = c.TimePair + "=" + v.time + "," + text
	}
	m.Header[c.Header] = []string{text}
	return nil
}
