package webhook_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// jwt signs any header and claims with the RSA key.
func jwt(t *testing.T, head, claims string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(rsaPair().sign))
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	signed := enc([]byte(head)) + "." + enc([]byte(claims))
	sum := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, k.(*rsa.PrivateKey), crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + enc(sig)
}

func TestJWT(t *testing.T) {
	t.Parallel()
	const head = `{"alg":"RS256","typ":"JWT"}`
	p := hook(webhook.JWT{Issuer: "issuer", Audience: "us"})
	v, err := webhook.NewVerifier(p, webhook.Secret{Value: rsaPair().verify}, webhook.Secret{ID: "curve", Value: curvePair("a").verify})
	if err != nil {
		t.Fatal(err)
	}
	end := signedAt.Unix()
	claims := func(more string) string {
		return fmt.Sprintf(`{"iss":"issuer","aud":"us","exp":%d%s}`, end, more)
	}
	good := jwt(t, head, claims(""))
	part := strings.Split(good, ".")
	enc := base64.RawURLEncoding.EncodeToString
	// The confusion of old libraries: the public key taken as the secret of an HMAC.
	confused := enc([]byte(`{"alg":"HS256"}`)) + "." + part[1]
	mac := hmac.New(sha256.New, []byte(rsaPair().verify))
	mac.Write([]byte(confused))
	for _, tc := range []struct {
		name  string
		token string
		after time.Duration
		want  error
	}{
		{"good", good, 0, nil},
		{"for several", jwt(t, head, fmt.Sprintf(`{"iss":"issuer","aud":["them","us"],"exp":%d.5}`, end)), 0, nil},
		{"at the end of the tolerance", good, 5 * time.Minute, nil},
		{"after its end", good, 5*time.Minute + time.Second, webhook.ErrTimestamp},
		{"before its beginning", jwt(t, head, claims(fmt.Sprintf(`,"nbf":%d`, end))), -5*time.Minute - time.Second, webhook.ErrTimestamp},
		{"before it was issued", jwt(t, head, claims(fmt.Sprintf(`,"iat":%d`, end))), -5*time.Minute - time.Second, webhook.ErrTimestamp},
		{"just begun", jwt(t, head, claims(fmt.Sprintf(`,"nbf":1,"iat":%d`, end))), -5 * time.Minute, nil},
		{"a beginning that is none", jwt(t, head, claims(`,"nbf":"soon"`)), 0, webhook.ErrMalformed},
		{"without end", jwt(t, head, `{"iss":"issuer","aud":"us"}`), 0, webhook.ErrMalformed},
		{"an end in words", jwt(t, head, `{"iss":"issuer","aud":"us","exp":"never"}`), 0, webhook.ErrMalformed},
		{"an end out of range", jwt(t, head, `{"iss":"issuer","aud":"us","exp":1e300}`), 0, webhook.ErrMalformed},
		{"for nobody", jwt(t, head, `{"iss":"issuer","exp":9999999999}`), 0, webhook.ErrMalformed},
		{"for others", jwt(t, head, `{"iss":"issuer","aud":"them","exp":9999999999}`), 0, webhook.ErrSignature},
		{"of another issuer", jwt(t, head, `{"iss":"other","aud":"us","exp":9999999999}`), 0, webhook.ErrSignature},
		{"unsigned", enc([]byte(`{"alg":"none"}`)) + "." + part[1] + ".", 0, webhook.ErrSignature},
		{"with a signature and no algorithm", enc([]byte(`{"alg":"none"}`)) + "." + part[1] + "." + part[2], 0, webhook.ErrSignature},
		{"signed as RS256, said to be ES256", jwt(t, `{"alg":"ES256"}`, claims("")), 0, webhook.ErrSignature},
		{"an HMAC with the public key", confused + "." + enc(mac.Sum(nil)), 0, webhook.ErrSignature},
		{"other claims", part[0] + "." + enc([]byte(`{"iss":"issuer","aud":"us","exp":9999999999}`)) + "." + part[2], 0, webhook.ErrSignature},
		{"critical extensions", jwt(t, `{"alg":"RS256","crit":["b64"],"b64":false}`, claims("")), 0, webhook.ErrMalformed},
		{"no algorithm", jwt(t, `{}`, claims("")), 0, webhook.ErrMalformed},
		{"two parts", part[0] + "." + part[1], 0, webhook.ErrMalformed},
		{"four parts", good + ".", 0, webhook.ErrMalformed},
		{"no JSON", enc([]byte("x")) + "." + part[1] + "." + part[2], 0, webhook.ErrMalformed},
		{"no base64", "!." + part[1] + "." + part[2], 0, webhook.ErrMalformed},
		{"padded", good + "=", 0, webhook.ErrMalformed},
		{"without end in sight", strings.Repeat("A", 17<<10) + "." + part[1] + "." + part[2], 0, webhook.ErrMalformed},
	} {
		m := &webhook.Message{Header: headers("Authorization", "bearer "+tc.token)}
		proof, err := v.Verify(m, signedAt.Add(tc.after))
		if !errors.Is(err, tc.want) || (err == nil) != (proof.Trust == webhook.Authenticated) {
			t.Errorf("%s: got %+v, %v, want %v", tc.name, proof, err, tc.want)
		}
	}
	p.Tolerance = -1
	if v, err = webhook.NewVerifier(p, webhook.Secret{Value: rsaPair().verify}); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(&webhook.Message{Header: headers("Authorization", "Bearer "+good)}, signedAt.Add(time.Second)); !errors.Is(err, webhook.ErrTimestamp) {
		t.Errorf("without tolerance a token still ends: got %v", err)
	}
}

func TestJWT_Problems(t *testing.T) {
	t.Parallel()
	big, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(big)
	other := pemOf("EC PRIVATE KEY", der, err)
	ed := "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----"
	for _, tc := range []struct {
		scheme      webhook.JWT
		value, want string
	}{
		{webhook.JWT{}, rsaPair().verify, "Issuer and Audience"},
		{webhook.JWT{Issuer: "i", Audience: "a", Header: "a b"}, rsaPair().verify, "no header's name"},
		{webhook.JWT{Issuer: "i", Audience: "a"}, "x", "not one key"},
		{webhook.JWT{Issuer: "i", Audience: "a"}, other, "another curve"},
		{webhook.JWT{Issuer: "i", Audience: "a"}, ed, "neither"},
	} {
		if _, err := webhook.NewVerifier(hook(tc.scheme), webhook.Secret{Value: tc.value}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q in it", err, tc.want)
		}
	}
	if err := webhook.Sign(webhook.JWT{Issuer: "i", Audience: "a"}, &webhook.Message{}, rsaPair().verify, signedAt); err == nil {
		t.Error("a public key signs")
	}
}
