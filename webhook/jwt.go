package webhook

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// JWT is the scheme of partners that send a token signed by an issuer (RFC 7519), RS256 or ES256. It proves who
// sends, not what: see [Authenticated]. The token names issuer and audience, and ends; one without any of these is
// refused, as is one that ended or begins more than the [Partner]'s Tolerance from now (negative: none). The
// algorithm is the key's, whatever the token says of itself; extensions marked critical are refused.
//
// A secret is the issuer's public key in PEM, RSA of 2048 bits or more or ECDSA on P-256; to sign, the private one.
// Fetching keys from an issuer (JWKS) is the host's: give a new Verifier the new ones.
type JWT struct {
	Issuer   string // required
	Audience string // required: you
	Header   string // "": Authorization
	Prefix   string // as in [Token]
}

type jwtCheck struct {
	JWT
	token *tokenCheck
}

func (s JWT) prepare() (checker, error) {
	var problems []error
	if s.Issuer == "" || s.Audience == "" {
		problems = append(problems, errors.New("webhook: JWT wants Issuer and Audience"))
	}
	t, err := Token{Header: s.Header, Prefix: s.Prefix}.prepare()
	if err != nil {
		problems = append(problems, err)
	}
	c := &jwtCheck{JWT: s}
	c.token, _ = t.(*tokenCheck)
	return c, errors.Join(problems...)
}

func (c *jwtCheck) keyless() bool { return false }

func (c *jwtCheck) key(k *key, value string) (err error) {
	if k.pair, err = parsePEM(value); err != nil {
		return err
	}
	switch public := publicKey(k.pair).(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() >= leastRSA {
			return nil
		}
		return errors.New("its value is an RSA key of less than 2048 bits")
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P256() {
			return nil
		}
		return errors.New("its value is an ECDSA key on another curve than P-256")
	}
	return errors.New("its value is neither an RSA nor an ECDSA key")
}

// publicKey returns the public half.
func publicKey(pair any) any {
	if private, ok := pair.(interface{ Public() crypto.PublicKey }); ok {
		return private.Public()
	}
	return pair
}

// longestToken is more than any issuer's.
const longestToken = 16 << 10

func (c *jwtCheck) check(m *Message, keys []*key) (claim, error) {
	raw, err := c.token.text(m)
	if err != nil {
		return claim{}, err
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 || len(raw) > longestToken {
		return claim{}, fmt.Errorf("%w: it is no JWT", ErrMalformed)
	}
	var head, claims map[string]json.RawMessage
	var alg string
	sig, err := rawURL.DecodeString(parts[2])
	if err != nil || object(parts[0], &head) != nil || object(parts[1], &claims) != nil ||
		json.Unmarshal(head["alg"], &alg) != nil {
		return claim{}, fmt.Errorf("%w: it is no JWT", ErrMalformed)
	}
	if _, critical := head["crit"]; critical {
		return claim{}, fmt.Errorf("%w: it has critical extensions", ErrMalformed)
	}
	sum := sha256.Sum256([]byte(raw[:len(parts[0])+1+len(parts[1])]))
	for _, k := range keys {
		if verifyJWT(publicKey(k.pair), alg, sum[:], sig) {
			from, until, err := c.claims(claims)
			return claim{key: k, trust: Authenticated, from: from, until: until}, err
		}
	}
	return claim{}, ErrSignature
}

func object(part string, into *map[string]json.RawMessage) error {
	raw, err := rawURL.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

func verifyJWT(public any, alg string, sum, sig []byte) bool {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return alg == "RS256" && rsa.VerifyPKCS1v15(public, crypto.SHA256, sum, sig) == nil
	case *ecdsa.PublicKey:
		return alg == "ES256" && len(sig) == 64 &&
			ecdsa.Verify(public, sum, new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	}
	return false
}

// claims looks at those of a token that the issuer has signed, and returns when it is valid.
func (c *jwtCheck) claims(claims map[string]json.RawMessage) (from, until time.Time, err error) {
	var issuer, one string
	var audience []string
	if json.Unmarshal(claims["aud"], &one) == nil {
		audience = []string{one}
	} else if json.Unmarshal(claims["aud"], &audience) != nil {
		return from, until, fmt.Errorf("%w: it is for nobody", ErrMalformed)
	}
	if json.Unmarshal(claims["iss"], &issuer) != nil || issuer != c.Issuer || !slices.Contains(audience, c.Audience) {
		return from, until, fmt.Errorf("%w: it is another issuer's, or for somebody else", ErrSignature)
	}
	var seconds float64
	if json.Unmarshal(claims["exp"], &seconds) != nil || seconds <= 0 || seconds > 1e11 {
		return from, until, fmt.Errorf("%w: it does not end", ErrMalformed)
	}
	until = time.Unix(int64(seconds), 0)
	for _, name := range []string{"nbf", "iat"} {
		raw, there := claims[name]
		if !there {
			continue
		}
		if json.Unmarshal(raw, &seconds) != nil || seconds < 0 || seconds > 1e11 {
			return from, until, fmt.Errorf("%w: its %s is no time", ErrMalformed, name)
		}
		if t := time.Unix(int64(seconds), 0); t.After(from) {
			from = t
		}
	}
	return from, until, nil
}

func (c *jwtCheck) sign(m *Message, k *key, at time.Time) error {
	part := func(v map[string]any) (string, error) {
		raw, err := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(raw), err
	}
	alg := "RS256"
	if _, curve := k.pair.(*ecdsa.PrivateKey); curve {
		alg = "ES256"
	}
	head, err := part(map[string]any{"alg": alg, "typ": "JWT"})
	if err != nil {
		return fmt.Errorf("webhook: Sign: %w", err)
	}
	end := at.Add(time.Hour)
	claims, err := part(map[string]any{"iss": c.Issuer, "aud": c.Audience, "iat": at.Unix(), "exp": end.Unix()})
	if err != nil {
		return fmt.Errorf("webhook: Sign: %w", err)
	}
	sum := sha256.Sum256([]byte(head + "." + claims))
	var sig []byte
	switch private := k.pair.(type) {
	case *rsa.PrivateKey:
		sig, err = rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, private, sum[:]); err == nil {
			sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	default:
		err = errors.New("a public key signs nothing; give the private one")
	}
	if err != nil {
		return fmt.Errorf("webhook: Sign: %w", err)
	}
	token := head + "." + claims + "." + base64.RawURLEncoding.EncodeToString(sig)
	m.Header[c.token.Header] = []string{c.token.Prefix + token}
	return nil
}
