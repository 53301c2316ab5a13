package webhook_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// pair is the two halves of a secret: what signs and what verifies.
type pair struct{ sign, verify string }

func text(s string) pair { return pair{s, s} }

func pemOf(kind string, der []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

var rsaPair = sync.OnceValue(func() pair {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	p := pemOf("PRIVATE KEY", private, err)
	public, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	return pair{p, pemOf("PUBLIC KEY", public, err)}
})

var curves sync.Map // of pairs, by name

func curvePair(name string) pair {
	if p, ok := curves.Load(name); ok {
		return p.(pair)
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalECPrivateKey(k)
	p := pemOf("EC PRIVATE KEY", private, err)
	public, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	got, _ := curves.LoadOrStore(name, pair{p, pemOf("PUBLIC KEY", public, err)})
	return got.(pair)
}

func edPair() pair {
	seed := []byte("0123456789abcdef0123456789abcdef")
	k := ed25519.NewKeyFromSeed(seed)
	return pair{"whsk_" + base64.StdEncoding.EncodeToString(seed), "whpk_" + base64.StdEncoding.EncodeToString(k.Public().(ed25519.PublicKey))}
}

const (
	whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	token = "abcdefghijklmnopqrstuvwx-0123456789"
)

// subject is a scheme with secrets; a second pair that is not the first.
type subject struct {
	name    string
	partner webhook.Partner
	key     pair
	other   string // another secret to verify with
	trust   webhook.Trust
	timed   bool
}

func subjects() []subject {
	otherKey := airbnbKey
	return []subject{
		{"hmac", hook(webhook.HMAC{Header: "X-Signature"}), text("s"), "t", webhook.Signed, false},
		{"hmac sha512 base64url", hook(webhook.HMAC{Header: "X-Signature", Hash: webhook.SHA512, Encoding: webhook.Base64URL, Secret: webhook.SecretBase64}), text("c2VjcmV0"), "c2VjcmV0MQ", webhook.Signed, false},
		{"hmac sha512 hex", hook(webhook.HMAC{Header: "X-Signature", Hash: webhook.SHA512}), text("s"), "t", webhook.Signed, false},
		{"hmac sha1 prefix", hook(webhook.HMAC{Header: "X-Signature", Hash: webhook.SHA1, Prefix: "sha1="}), text("s"), "t", webhook.Signed, false},
		{"hmac everything", hook(webhook.HMAC{Header: "X-Signature", TimeHeader: "X-Time", Clock: webhook.RFC3339, IDHeader: "X-Id",
			Content: "v9|{method}|{host}|{path}|{header:content-type}|{id}|{body}|{time}", Secret: webhook.SecretHex}), text("0a0b0c"), "0a0b0d", webhook.Signed, true},
		{"hmac millis and url", hook(webhook.HMAC{Header: "X-Signature", TimeHeader: "X-Time", Clock: webhook.Millis, Content: "{url}{time}\n{body}"}), text("s"), "t", webhook.Signed, true},
		{"hmac http date", hook(webhook.HMAC{Header: "X-Signature", TimeHeader: "Date", Clock: webhook.HTTPDate, Content: "{time}\n{body}"}), text("s"), "t", webhook.Signed, true},
		{"standard", hook(webhook.Standard{}), text(whsec), "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", webhook.Signed, true},
		{"standard ed25519", hook(webhook.Standard{}), edPair(), "whpk_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", webhook.Signed, true},
		{"digest", hook(webhook.Digest{Header: "X-Digest", Prefix: "sha256:"}), text(token), token + "1", webhook.Signed, false},
		{"bearer", hook(webhook.Token{}), text(token), token + "1", webhook.Authenticated, false},
		{"api key", hook(webhook.Token{Header: "x-api-key"}), text(token), token + "1", webhook.Authenticated, false},
		{"jwt rsa", hook(webhook.JWT{Issuer: "https://id.example.com", Audience: "hooks"}), rsaPair(), airbnbKey, webhook.Authenticated, false},
		{"jwt ecdsa", hook(webhook.JWT{Issuer: "https://id.example.com", Audience: "hooks", Header: "X-Token"}), curvePair("a"), curvePair("b").verify, webhook.Authenticated, false},
		{"basic", hook(webhook.Basic{}), text("hooks:" + token), "hooks:" + token + "1", webhook.Authenticated, false},
		{"url path", hook(webhook.URLSecret{}), text(token), token + "1", webhook.Hint, false},
		{"url query", hook(webhook.URLSecret{Param: "key"}), text(token), token + "1", webhook.Hint, false},
		{"guesty", webhook.Guesty(), text(whsec), "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", webhook.Signed, true},
		{"airbnb", webhook.Airbnb(), rsaPair(), otherKey, webhook.Signed, true},
		{"bookingcom", webhook.BookingCom(), text(token), token + "1", webhook.Authenticated, false},
		{"cloudbeds", webhook.Cloudbeds(), text(token), token + "1", webhook.Hint, false},
		{"stripe", webhook.Stripe(), text("whsec_1"), "whsec_2", webhook.Signed, true},
		{"github", webhook.GitHub(), text("s"), "t", webhook.Signed, false},
		{"shopify", webhook.Shopify(), text("s"), "t", webhook.Signed, false},
		{"slack", webhook.Slack(), text("s"), "t", webhook.Signed, true},
		{"twilio", webhook.Twilio(), text("s"), "t", webhook.Signed, false},
	}
}

var signedAt = time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)

const sample = `{"event":"reservation.updated","id":"r-1"}`

// signed returns a fresh message of a subject.
func (s subject) signed(t testing.TB, body string) *webhook.Message {
	t.Helper()
	m := &webhook.Message{Method: "POST", Host: "hooks.example.com:443", Path: "/acme", URL: "https://hooks.example.com/acme",
		Header: headers("Content-Type", "application/json"), Body: []byte(body)}
	if err := webhook.Sign(s.partner.Scheme, m, s.key.sign, signedAt); err != nil {
		t.Fatal(err)
	}
	return m
}

func (s subject) verifier(t testing.TB, secrets ...webhook.Secret) *webhook.Verifier {
	t.Helper()
	if secrets == nil {
		secrets = []webhook.Secret{{Value: s.key.verify}}
	}
	v, err := webhook.NewVerifier(s.partner, secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemes(t *testing.T) {
	t.Parallel()
	for _, s := range subjects() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			v := s.verifier(t)
			m := s.signed(t, sample)
			p, err := v.Verify(m, signedAt)
			if err != nil || p.Trust != s.trust || p.SecretID != "1" || p.Old || p.At.IsZero() == s.timed {
				t.Fatalf("signed: got %+v, %v", p, err)
			}

			if _, err := s.verifier(t, webhook.Secret{Value: s.other}).Verify(m, signedAt); !errors.Is(err, webhook.ErrSignature) {
				t.Errorf("with another secret: got %v", err)
			}
			bare := *m
			bare.Header, bare.Path, bare.Query = headers("Content-Type", "application/json"), "/", ""
			if _, err := v.Verify(&bare, signedAt); !errors.Is(err, webhook.ErrMissing) {
				t.Errorf("unsigned: got %v", err)
			}
			if s.trust == webhook.Signed {
				altered := *m
				altered.Body = []byte(strings.Replace(sample, "r-1", "r-2", 1))
				if _, err := v.Verify(&altered, signedAt); !errors.Is(err, webhook.ErrSignature) {
					t.Errorf("altered: got %v", err)
				}
			}
			for _, c := range []struct {
				after time.Duration
				ok    bool
			}{{5 * time.Minute, true}, {5*time.Minute + time.Second, false}, {-5 * time.Minute, true}, {-5*time.Minute - time.Second, false}} {
				_, err := v.Verify(m, signedAt.Add(c.after))
				timed := s.timed || strings.HasPrefix(s.name, "jwt") && c.after < 0 // which are issued, and valid for an hour
				if ok := err == nil; ok != (c.ok || !timed) {
					t.Errorf("%v after it was signed: got %v", c.after, err)
				}
				if err != nil && !errors.Is(err, webhook.ErrTimestamp) {
					t.Errorf("%v after it was signed: got %v", c.after, err)
				}
			}
			// Every header that came twice could be read in two ways.
			for name, value := range m.Header {
				if name == "Content-Type" {
					continue
				}
				twice := *m
				twice.Header = m.Header.Clone()
				twice.Header[name] = append([]string{value[0]}, value...)
				if _, err := v.Verify(&twice, signedAt); !errors.Is(err, webhook.ErrMalformed) {
					t.Errorf("%s twice: got %v", name, err)
				}
				twice.Header[name] = []string{"garbage"}
				if _, err := v.Verify(&twice, signedAt); err == nil {
					t.Errorf("%s of garbage passes", name)
				}
			}
		})
	}
}

func TestVerifier_Rotation(t *testing.T) {
	t.Parallel()
	for _, s := range subjects() {
		m := s.signed(t, sample)
		v := s.verifier(t, webhook.Secret{ID: "new", Value: s.other}, webhook.Secret{ID: "old", Value: s.key.verify, NotAfter: signedAt.Add(time.Minute)})
		p, err := v.Verify(m, signedAt)
		if err != nil || p.SecretID != "old" || !p.Old {
			t.Errorf("%s: by the old secret: got %+v, %v", s.name, p, err)
		}
		if _, err := v.Verify(m, signedAt.Add(time.Minute)); !errors.Is(err, webhook.ErrSignature) {
			t.Errorf("%s: after its end: got %v", s.name, err)
		}
		uses := v.Uses()
		if uses[0] != (webhook.Use{ID: "new"}) || uses[1].Count != 1 || !uses[1].Last.Equal(signedAt) {
			t.Errorf("%s: got uses %+v", s.name, uses)
		}
		v = s.verifier(t, webhook.Secret{ID: "next", Value: s.key.verify, NotBefore: signedAt.Add(time.Second)}, webhook.Secret{ID: "now", Value: s.other})
		if _, err := v.Verify(m, signedAt); !errors.Is(err, webhook.ErrSignature) {
			t.Errorf("%s: before its beginning: got %v", s.name, err)
		}
		if p, err := v.Verify(m, signedAt.Add(time.Second)); err != nil || p.Old {
			t.Errorf("%s: from its beginning on: got %+v, %v", s.name, p, err)
		}
	}
}

func TestVerifier_Tolerance(t *testing.T) {
	t.Parallel()
	s := subject{partner: webhook.Stripe(), key: text("s")}
	m := s.signed(t, sample)
	s.partner.Tolerance = -1
	if _, err := s.verifier(t).Verify(m, signedAt.AddDate(1, 0, 0)); err != nil {
		t.Errorf("without tolerance: got %v", err)
	}
	s.partner.Tolerance = time.Hour
	if _, err := s.verifier(t).Verify(m, signedAt.Add(time.Hour)); err != nil {
		t.Errorf("an hour after: got %v", err)
	}
}

func TestUnsigned(t *testing.T) {
	t.Parallel()
	v, err := webhook.NewVerifier(hook(webhook.Unsigned{}))
	if err != nil {
		t.Fatal(err)
	}
	m := &webhook.Message{Body: []byte("anything")}
	if err := webhook.Sign(webhook.Unsigned{}, m, "", signedAt); err != nil {
		t.Fatal(err)
	}
	p, err := v.Verify(m, signedAt)
	if err != nil || p != (webhook.Proof{}) || p.Trust != webhook.Hint {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestSignRequest(t *testing.T) {
	t.Parallel()
	for _, s := range subjects() {
		r, err := http.NewRequest(http.MethodPost, "https://hooks.example.com/acme", strings.NewReader(sample))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if err := webhook.SignRequest(s.partner.Scheme, r, s.key.sign, signedAt); err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		m := webhook.NewMessage(r, []byte(sample))
		m.URL = "https://hooks.example.com/acme"
		if _, err := s.verifier(t).Verify(m, signedAt); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}
