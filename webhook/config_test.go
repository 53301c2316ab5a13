package webhook_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

func TestNewVerifier_Problems(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	smallPublic := pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&small.PublicKey), nil)
	smallPrivate := pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small), nil)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(curve)
	curvePrivate := pemOf("EC PRIVATE KEY", der, err)
	one := func(value string) []webhook.Secret { return []webhook.Secret{{Value: value}} }
	for _, tc := range []struct {
		name    string
		partner webhook.Partner
		secrets []webhook.Secret
		want    []string // each is in the error
	}{
		{"nothing", webhook.Partner{}, nil, []string{"Name is missing", "Scheme is missing"}},
		{"no secret", webhook.GitHub(), nil, []string{"no secrets"}},
		{"an empty secret", webhook.GitHub(), one(""), []string{"0 bytes"}},
		{"a secret for none", hook(webhook.Unsigned{}), one("x"), []string{"has no secrets"}},
		{"secrets", webhook.GitHub(), []webhook.Secret{{ID: "a", Value: "x"}, {ID: "a", Value: "y", NotBefore: signedAt, NotAfter: signedAt}}, []string{`called "a"`, "ends before"}},
		{"partner", webhook.Partner{Name: "x", Scheme: webhook.Unsigned{}, Patience: -1, Answer: webhook.Answer{Status: 302}, Challenges: []webhook.Challenge{{}}}, nil,
			[]string{"Patience", "302", "When and Echo"}},
		{"hmac", hook(webhook.HMAC{TimeHeader: "a b", IDHeader: "{", Content: "{time}{body}", Hash: 9, Encoding: 9}), one("x"),
			[]string{"Header is missing", "TimeHeader is no header", "IDHeader is no header", "two ways", "encoding or clock", "Hash is unknown"}},
		{"hmac time", hook(webhook.HMAC{Header: "S", TimeHeader: "T"}), one("x"), []string{"a time has to be sent and signed"}},
		{"hmac id", hook(webhook.HMAC{Header: "S", Content: "{id}.{body}"}), one("x"), []string{"an id has to be sent and signed"}},
		{"hmac pairs", hook(webhook.HMAC{Header: "S", TimePair: "t", Content: "{time}.{body}"}), one("x"), []string{"TimePair wants"}},
		{"content without body", hook(webhook.HMAC{Header: "S", Content: "x"}), one("x"), []string{"does not hold the body"}},
		{"content with two", hook(webhook.HMAC{Header: "S", Content: "{body}.{body}"}), one("x"), []string{"twice"}},
		{"content open", hook(webhook.HMAC{Header: "S", Content: "{body"}), one("x"), []string{"not closed"}},
		{"content unknown", hook(webhook.HMAC{Header: "S", Content: "{bodies}"}), one("x"), []string{`no "bodies"`}},
		{"content header", hook(webhook.HMAC{Header: "S", Content: "{header:}.{body}"}), one("x"), []string{"a header is missing"}},
		{"hex", hook(webhook.HMAC{Header: "S", Secret: webhook.SecretHex}), one("xyz"), []string{"not hexadecimal"}},
		{"base64", hook(webhook.HMAC{Header: "S", Secret: webhook.SecretBase64}), one("!"), []string{"not base64"}},
		{"standard prefix", hook(webhook.Standard{Prefixes: []string{""}}), one(whsec), []string{"Prefixes is missing"}},
		{"standard secret", hook(webhook.Standard{}), one("whsec_!"), []string{"not base64"}},
		{"standard short", hook(webhook.Standard{}), one("whsec_AAAA"), []string{"3 bytes"}},
		{"standard public", hook(webhook.Standard{}), one("whpk_AAAA"), []string{"no Ed25519 key"}},
		{"rsa", hook(webhook.SignatureHeader{Header: "a b", Values: []string{"body", "date", "a b"}}), one("x"), []string{"no header's name", "body comes last"}},
		{"rsa small", webhook.Airbnb(), one(smallPublic), []string{"less than 2048"}},
		{"rsa small private", webhook.Airbnb(), one(smallPrivate), []string{"less than 2048"}},
		{"rsa another kind", webhook.Airbnb(), one(curvePrivate), []string{"no RSA key"}},
		{"rsa two", webhook.Airbnb(), one(airbnbKey + "\n" + airbnbKey), []string{"not one key"}},
		{"rsa certificate", webhook.Airbnb(), one(strings.ReplaceAll(airbnbKey, "PUBLIC KEY", "CERTIFICATE")), []string{"no key"}},
		{"rsa garbage", webhook.Airbnb(), one(strings.ReplaceAll(airbnbKey, "PUBLIC KEY", "PRIVATE KEY")), []string{"cannot be read"}},
		{"token", hook(webhook.Token{Header: "a b"}), one("x"), []string{"no header's name"}},
		{"token short", hook(webhook.Token{}), one("x"), []string{"1 bytes"}},
		{"key short", webhook.BookingCom(), one("x"), []string{"1 bytes"}},
		{"issued, a header that is none", hook(webhook.Issued{Header: " "}), one(token), []string{"Header"}},
		{"basic", hook(webhook.Basic{}), one(strings.Repeat("x", 20)), []string{"user:password"}},
		{"url short", webhook.Cloudbeds(), one("x"), []string{"1 bytes"}},
		{"url odd", webhook.Cloudbeds(), one(strings.Repeat("/", 20)), []string{"no letter"}},
		{"digest", hook(webhook.Digest{Hash: webhook.SHA1}), one("x"), []string{"Header is missing", "unsafe"}},
		{"digest short", hook(webhook.Digest{Header: "S"}), one("x"), []string{"1 bytes"}},
		{"form", hook(webhook.FormHMAC{Hash: 9}), one("x"), []string{"Header is missing", "unknown"}},
		{"custom", hook(webhook.Custom{}), one("x"), []string{"Verify is missing"}},
		{"custom secret", hook(webhook.Custom{Verify: func(*webhook.Message, []byte) (webhook.Proof, error) { return webhook.Proof{}, nil }}), one(""), []string{"empty"}},
	} {
		v, err := webhook.NewVerifier(tc.partner, tc.secrets...)
		if err == nil || v != nil {
			t.Errorf("%s: is taken", tc.name)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q in it", tc.name, err, want)
			}
		}
	}
}

func TestSign_Problems(t *testing.T) {
	t.Parallel()
	public := edPair().verify
	for _, tc := range []struct {
		name   string
		scheme webhook.Scheme
		secret string
		m      webhook.Message
	}{
		{"no scheme", nil, "x", webhook.Message{}},
		{"a scheme that is wrong", webhook.HMAC{}, "x", webhook.Message{}},
		{"no secret", webhook.HMAC{Header: "S"}, "", webhook.Message{}},
		{"no URL", webhook.HMAC{Header: "S", Content: "{url}{body}"}, "x", webhook.Message{}},
		{"a bad URL", webhook.HMAC{Header: "S", Content: "{host}\n{body}"}, "x", webhook.Message{URL: ":"}},
		{"no header", webhook.HMAC{Header: "S", Content: "{header:X}\n{body}"}, "x", webhook.Message{}},
		{"a value with the text after it", webhook.HMAC{Header: "S", Content: "{path}.{body}"}, "x", webhook.Message{Path: "/a.b"}},
		{"a value with the text before it", webhook.HMAC{Header: "S", Content: "{body}..{path}"}, "x", webhook.Message{Path: "./a"}},
		{"the public half", webhook.Standard{}, public, webhook.Message{}},
		{"an id with a dot", webhook.Standard{}, whsec, webhook.Message{Header: headers("webhook-id", "a.b")}},
		{"the public half of RSA", webhook.SignatureHeader{}, airbnbKey, webhook.Message{}},
		{"RSA and a bad URL", webhook.SignatureHeader{}, rsaPair().sign, webhook.Message{URL: ":"}},
		{"RSA and the delimiter", webhook.SignatureHeader{}, rsaPair().sign, webhook.Message{Path: "/a|b"}},
		{"RSA and no such header", webhook.SignatureHeader{Values: []string{"x", "body"}}, rsaPair().sign, webhook.Message{}},
		{"a form without URL", webhook.FormHMAC{Header: "S"}, "x", webhook.Message{}},
		{"a form without type", webhook.FormHMAC{Header: "S"}, "x", webhook.Message{URL: "https://x"}},
		{"a form of a bad type", webhook.FormHMAC{Header: "S"}, "x", webhook.Message{URL: "https://x", Header: headers("Content-Type", ";")}},
		{"a bad form", webhook.FormHMAC{Header: "S"}, "x", webhook.Message{URL: "https://x", Header: headers("Content-Type", "application/x-www-form-urlencoded"), Body: []byte("%")}},
		{"a bad query", webhook.URLSecret{Param: "k"}, token, webhook.Message{Query: "%"}},
		{"custom without Sign", webhook.Custom{Verify: func(*webhook.Message, []byte) (webhook.Proof, error) { return webhook.Proof{}, nil }}, "x", webhook.Message{}},
	} {
		if err := webhook.Sign(tc.scheme, &tc.m, tc.secret, signedAt); err == nil {
			t.Errorf("%s: is signed", tc.name)
		}
	}
	r := &http.Request{Body: http.NoBody, Header: http.Header{}}
	r.Body = struct {
		broken
		closer
	}{}
	if err := webhook.SignRequest(webhook.GitHub().Scheme, r, "x", signedAt); err == nil {
		t.Error("a body that breaks off is signed")
	}
}

type closer struct{}

func (closer) Close() error { return nil }

func TestVerify_Unreadable(t *testing.T) {
	t.Parallel()
	rsaHeader := `Signature algorithm="rsa-sha256",headers="host url method date content-type body",delimiter="|",signature=`
	for _, tc := range []struct {
		name    string
		partner webhook.Partner
		secret  string
		m       webhook.Message
		want    error
	}{
		{"a time in letters", webhook.Slack(), "s", webhook.Message{Header: headers("X-Slack-Signature", "v0="+strings.Repeat("0", 64), "X-Slack-Request-Timestamp", "now")}, webhook.ErrMalformed},
		{"a time too long", webhook.Slack(), "s", webhook.Message{Header: headers("X-Slack-Signature", "v0="+strings.Repeat("0", 64), "X-Slack-Request-Timestamp", "1234567890123456")}, webhook.ErrMalformed},
		{"no time", webhook.Slack(), "s", webhook.Message{Header: headers("X-Slack-Signature", "v0="+strings.Repeat("0", 64))}, webhook.ErrMissing},
		{"another prefix", webhook.Slack(), "s", webhook.Message{Header: headers("X-Slack-Signature", "v1="+strings.Repeat("0", 64), "X-Slack-Request-Timestamp", "1")}, webhook.ErrMalformed},
		{"two times", webhook.Stripe(), "s", webhook.Message{Header: headers("Stripe-Signature", "t=1,t=2,v1="+strings.Repeat("0", 64))}, webhook.ErrMalformed},
		{"no time in the list", webhook.Stripe(), "s", webhook.Message{Header: headers("Stripe-Signature", "v1="+strings.Repeat("0", 64))}, webhook.ErrMalformed},
		{"only a version that is none", webhook.Stripe(), "s", webhook.Message{Header: headers("Stripe-Signature", "t=1,v0="+strings.Repeat("0", 64))}, webhook.ErrMalformed},
		{"an id with a dot", webhook.Guesty(), whsec, webhook.Message{Header: headers("svix-id", "a.b", "svix-timestamp", "1", "svix-signature", "v1,x")}, webhook.ErrMalformed},
		{"headers of two families", webhook.Guesty(), whsec, webhook.Message{Header: headers("svix-id", "a", "webhook-timestamp", "1", "webhook-signature", "v1,x")}, webhook.ErrMissing},
		{"RFC 3339", hook(webhook.HMAC{Header: "S", TimeHeader: "T", Clock: webhook.RFC3339, Content: "{time}\n{body}"}), "s",
			webhook.Message{Header: headers("S", strings.Repeat("0", 64), "T", "yesterday")}, webhook.ErrMalformed},
		{"a date", hook(webhook.HMAC{Header: "S", TimeHeader: "T", Clock: webhook.HTTPDate, Content: "{time}\n{body}"}), "s",
			webhook.Message{Header: headers("S", strings.Repeat("0", 64), "T", "yesterday")}, webhook.ErrMalformed},
		{"another kind of authorization", webhook.Airbnb(), airbnbKey, webhook.Message{Header: headers("Authorization", "Bearer x")}, webhook.ErrMissing},
		{"other values", webhook.Airbnb(), airbnbKey, webhook.Message{Header: headers("Authorization", `Signature algorithm="rsa-sha256",headers="body",delimiter="|",signature="AA=="`)}, webhook.ErrMalformed},
		{"an open quote", webhook.Airbnb(), airbnbKey, webhook.Message{Header: headers("Authorization", `Signature a="`)}, webhook.ErrMalformed},
		{"something behind a quote", webhook.Airbnb(), airbnbKey, webhook.Message{Header: headers("Authorization", `Signature a="b"c`)}, webhook.ErrMalformed},
		{"a parameter twice", webhook.Airbnb(), airbnbKey, webhook.Message{Header: headers("Authorization", `Signature a=b,a=c`)}, webhook.ErrMalformed},
		{"no base64", webhook.Airbnb(), airbnbKey, webhook.Message{Header: headers("Authorization", rsaHeader+"!")}, webhook.ErrMalformed},
		{"no date", webhook.Airbnb(), airbnbKey, webhook.Message{Header: headers("Authorization", rsaHeader+"AA==")}, webhook.ErrMissing},
		{"an odd date", webhook.Airbnb(), airbnbKey, webhook.Message{Header: headers("Authorization", rsaHeader+"AA==", "Date", "now")}, webhook.ErrMalformed},
		{"a form that spells a hash", webhook.Twilio(), "s", webhook.Message{URL: "https://x", Body: []byte("%3FbodySHA256%3D=1"),
			Header: headers("X-Twilio-Signature", strings.Repeat("A", 27)+"=", "Content-Type", "application/x-www-form-urlencoded")}, webhook.ErrMalformed},
		{"two secrets in the query", hook(webhook.URLSecret{Param: "k"}), token, webhook.Message{Query: "k=1&k=2"}, webhook.ErrMalformed},
	} {
		v, err := webhook.NewVerifier(tc.partner, webhook.Secret{Value: tc.secret})
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if _, err := v.Verify(&tc.m, signedAt); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestSecretForms(t *testing.T) {
	t.Parallel()
	// One key, as Guesty and others write it: without padding, of the other alphabet, without prefix.
	m := subject{partner: webhook.Guesty(), key: text("whsec_-_-_-_-_-_-_-_-_-_-_-_-_-w==")}.signed(t, sample)
	for _, value := range []string{"whsec_+/+/+/+/+/+/+/+/+/+/+/+/+w==", "whsec_-_-_-_-_-_-_-_-_-_-_-_-_-w", "+/+/+/+/+/+/+/+/+/+/+/+/+w"} {
		v, err := webhook.NewVerifier(webhook.Guesty(), webhook.Secret{Value: value})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(m, signedAt); err != nil {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestCustom(t *testing.T) {
	t.Parallel()
	scheme := webhook.Custom{
		Verify: func(m *webhook.Message, secret []byte) (webhook.Proof, error) {
			if m.Header.Get("X-Sum") != string(secret)+string(m.Body) {
				return webhook.Proof{}, webhook.ErrSignature
			}
			return webhook.Proof{Trust: webhook.Signed, Delivery: "d", At: signedAt}, nil
		},
		Sign: func(m *webhook.Message, secret []byte, _ time.Time) error {
			m.Header.Set("X-Sum", string(secret)+string(m.Body))
			return nil
		},
	}
	s := subject{partner: hook(scheme), key: text("s")}
	v := s.verifier(t, webhook.Secret{Value: "t"}, webhook.Secret{ID: "old", Value: "s"})
	if p, err := v.Verify(s.signed(t, sample), signedAt); err != nil || p != (webhook.Proof{Trust: webhook.Signed, SecretID: "old", Old: true, Delivery: "d", At: signedAt}) {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := v.Verify(&webhook.Message{}, signedAt); !errors.Is(err, webhook.ErrSignature) {
		t.Errorf("got %v", err)
	}
}

func TestAddressList(t *testing.T) {
	t.Parallel()
	list := &webhook.AddressList{
		From:    []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}
	for _, tc := range []struct {
		remote    string
		forwarded []string
		want      bool
	}{
		{"203.0.113.7:1", nil, true},
		{"[::ffff:203.0.113.7]:1", nil, true},
		{"[2001:db8::1]:1", nil, true},
		{"198.51.100.1:1", nil, false},
		{"198.51.100.1:1", []string{"203.0.113.7"}, false},                // nobody's word
		{"10.0.0.1:1", []string{"203.0.113.7"}, true},                     // our proxy's
		{"10.0.0.1:1", []string{"203.0.113.7, 198.51.100.1"}, false},      // the sender wrote the first
		{"10.0.0.1:1", []string{"203.0.113.7", "198.51.100.1"}, false},    // in two headers, too
		{"10.0.0.1:1", []string{"198.51.100.1, 203.0.113.7:80"}, true},    // with a port
		{"10.0.0.1:1", []string{"203.0.113.7, 10.0.0.2, 10.3.0.9"}, true}, // by three of our proxies
		{"10.0.0.1:1", []string{"203.0.113.7, unknown"}, false},
		{"10.0.0.1:1", []string{"10.0.0.2"}, false},
		{"10.0.0.1:1", nil, false},
		{"", []string{"203.0.113.7"}, false},
	} {
		r := &http.Request{RemoteAddr: tc.remote, Header: http.Header{"X-Forwarded-For": tc.forwarded}}
		err := list.Check(webhook.NewMessage(r, nil))
		if (err == nil) != tc.want || err != nil && !errors.Is(err, webhook.ErrAddress) {
			t.Errorf("%s %q: got %v", tc.remote, tc.forwarded, err)
		}
	}
	var none *webhook.AddressList
	m := &webhook.Message{Peer: netip.MustParseAddr("::1")}
	if err := none.Check(m); err != nil || none.Sender(m) != m.Peer {
		t.Errorf("without a list: got %v, %v", err, none.Sender(m))
	}
}
