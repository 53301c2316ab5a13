package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Standard is the scheme of Standard Webhooks (https://www.standardwebhooks.com), and of Svix, from which it comes.
// Headers carry an id, a time in Unix seconds and a list of signatures of "id.time.body", separated by spaces: "v1,"
// and HMAC-SHA256, or "v1a," and Ed25519, in base64. Any of them may match, so that a sender can change its key.
//
// A secret is "whsec_" and the key in base64, or "whpk_" and an Ed25519 public key; to sign with the latter, "whsk_"
// and the private one. The base64 may lack its padding and be of either alphabet; without prefix it is taken for
// whsec_. A key of whsec_ has 16 bytes or more; the specification wants 24 to 64.
//
// The id stays the same when a delivery is repeated: it is what [Proof] has as Delivery. One with a dot is refused.
type Standard struct {
	// Prefixes are those of the three headers: "svix" for svix-id, svix-timestamp and svix-signature. The first that a
	// message has any header of is the one that counts. Nil: "webhook".
	Prefixes []string
}

type standardCheck struct{ headers [][3]string } // id, timestamp, signature

func (s Standard) prepare() (checker, error) {
	prefixes := s.Prefixes
	if len(prefixes) == 0 {
		prefixes = []string{"webhook"}
	}
	c := &standardCheck{}
	var problems []error
	for _, p := range prefixes {
		name, err := headerName("one of Standard.Prefixes", p)
		if err != nil {
			problems = append(problems, err)
		}
		c.headers = append(c.headers, [3]string{name + "-Id", name + "-Timestamp", name + "-Signature"})
	}
	return c, errors.Join(problems...)
}

func (c *standardCheck) keyless() bool { return false }

func (c *standardCheck) key(k *key, value string) (err error) {
	kind, text, found := strings.Cut(value, "_")
	if !found || kind != "whsec" && kind != "whpk" && kind != "whsk" {
		kind, text = "whsec", value
	}
	if k.raw, err = SecretBase64.decode(text); err != nil {
		return err
	}
	switch {
	case kind == "whsec":
		return k.keyed(sha256.New, 16)
	case kind == "whpk" && len(k.raw) == ed25519.PublicKeySize:
		k.pair = ed25519.PublicKey(k.raw)
	case kind == "whsk" && len(k.raw) == ed25519.SeedSize:
		k.pair = ed25519.NewKeyFromSeed(k.raw)
	case kind == "whsk" && len(k.raw) == ed25519.PrivateKeySize:
		k.pair = ed25519.PrivateKey(k.raw)
	default:
		return errors.New("its value is no Ed25519 key")
	}
	return nil
}

func (c *standardCheck) check(m *Message, keys []*key) (claim, error) {
	names := c.headers[0]
	for _, n := range c.headers {
		if len(m.Header[n[0]])+len(m.Header[n[1]])+len(m.Header[n[2]]) > 0 {
			names = n
			break
		}
	}
	var v [3]string
	for i, name := range names {
		var err error
		if v[i], err = need(m.Header, name); err != nil {
			return claim{}, err
		}
	}
	id, stamp := v[0], v[1]
	if strings.IndexByte(id, '.') >= 0 {
		return claim{}, fmt.Errorf("%w: its id holds a dot", ErrMalformed)
	}
	at, err := Seconds.parse(stamp)
	if err != nil {
		return claim{}, err
	}
	var macs [maxSignatures][sha256.Size]byte
	var sigs [maxSignatures][ed25519.SignatureSize]byte
	n, na := 0, 0
	for list, more := v[2], true; more; {
		var item string
		item, list, more = strings.Cut(list, " ")
		switch version, sig, _ := strings.Cut(item, ","); {
		case version == "v1" && n < maxSignatures && Base64.decode(macs[n][:], sig):
			n++
		case version == "v1a" && na < maxSignatures && Base64.decode(sigs[na][:], sig):
			na++
		}
	}
	if n+na == 0 {
		return claim{}, fmt.Errorf("%w: it has no signature of version v1 or v1a", ErrMalformed)
	}
	var signed []byte // for Ed25519, which wants it in one piece
	for _, k := range keys {
		ok := false
		if k.pair == nil && n > 0 {
			mc := k.macs.Get().(*mac)
			sum := c.sum(mc, id, stamp, m.Body)
			for i := range n {
				ok = ok || hmac.Equal(sum, macs[i][:])
			}
			k.macs.Put(mc)
		}
		if public := publicEd(k.pair); public != nil && na > 0 {
			if signed == nil {
				signed = content(id, stamp, m.Body)
			}
			for i := range na {
				ok = ok || ed25519.Verify(public, signed, sigs[i][:])
			}
		}
		if ok {
			return claim{key: k, trust: Signed, id: id, at: at}, nil
		}
	}
	return claim{}, ErrSignature
}

func publicEd(pair any) ed25519.PublicKey {
	switch k := pair.(type) {
	case ed25519.PublicKey:
		return k
	case ed25519.PrivateKey:
		return k.Public().(ed25519.PublicKey)
	}
	return nil
}

func content(id, stamp string, body []byte) []byte {
	b := make([]byte, 0, len(id)+len(stamp)+len(body)+2)
	b = append(append(b, id...), '.')
	b = append(append(b, stamp...), '.')
	return append(b, body...)
}

func (c *standardCheck) sum(mc *mac, id, stamp string, body []byte) []byte {
	mc.h.Reset()
	mc.buf = append(append(mc.buf[:0], id...), '.')
	mc.buf = append(append(mc.buf, stamp...), '.')
	mc.h.Write(mc.buf)
	mc.h.Write(body)
	return mc.sum()
}

func (c *standardCheck) sign(m *Message, k *key, at time.Time) error {
	names := c.headers[0]
	id := m.Header.Get(names[0])
	if id == "" {
		id = newID()
	}
	if strings.IndexByte(id, '.') >= 0 {
		return errors.New("webhook: Sign: an id holds no dot")
	}
	stamp := Seconds.format(at)
	var sig string
	switch pair := k.pair.(type) {
	case nil:
		sig = "v1," + Base64.encode(c.sum(k.macs.Get().(*mac), id, stamp, m.Body))
	case ed25519.PrivateKey:
		sig = "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(pair, content(id, stamp, m.Body)))
	default:
		return errors.New("webhook: Sign: a public key signs nothing; give the private one, whsk_…")
	}
	for i, v := range []string{id, stamp, sig} {
		m.Header[names[i]] = []string{v}
	}
	return nil
}
