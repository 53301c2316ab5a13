package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Issued is the scheme of partners that fetch a token from a [TokenEndpoint] of ours and send it along, as
// Booking.com's notification service does. The token is a JWT that we signed (RFC 7519, HS256) and that ends; nothing
// is stored of it, so that it is good at every process that has the secret. It proves who sends, not what: see
// [Authenticated]. A secret is a text of 32 bytes or more, that nobody else has.
type Issued struct {
	Issuer string // names the endpoint in the token; tokens of another are refused. "": "webhook"
	Header string // "": Authorization
	Prefix string // as in [Token]
}

type issuedCheck struct {
	Issued
	token *tokenCheck
}

func (s Issued) prepare() (checker, error) {
	if s.Issuer == "" {
		s.Issuer = "webhook"
	}
	t, err := Token{Header: s.Header, Prefix: s.Prefix}.prepare()
	if err != nil {
		return nil, err
	}
	c := &issuedCheck{Issued: s}
	c.token, _ = t.(*tokenCheck)
	return c, nil
}

func (c *issuedCheck) keyless() bool { return false }

func (c *issuedCheck) key(k *key, value string) error {
	k.raw = []byte(value)
	return k.keyed(sha256.New, 32) // RFC 7518, 3.2
}

// issuedHead is the only header of a token that is read: what a token says of its algorithm decides nothing.
var issuedHead = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

type issuedClaims struct {
	Issuer  string `json:"iss"`
	Client  string `json:"sub"`
	Issued  int64  `json:"iat"`
	Expires int64  `json:"exp"`
}

// issue returns a token for a client.
func (c *issuedCheck) issue(k *key, client string, at time.Time, lifetime time.Duration) (string, error) {
	raw, err := json.Marshal(issuedClaims{c.Issuer, client, at.Unix(), at.Add(lifetime).Unix()})
	if err != nil {
		return "", err
	}
	content := issuedHead + "." + base64.RawURLEncoding.EncodeToString(raw)
	return content + "." + base64.RawURLEncoding.EncodeToString(c.mac(k, content)), nil
}

func (c *issuedCheck) mac(k *key, content string) []byte {
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	m.h.Reset()
	m.writeString(content)
	return slices.Clone(m.sum())
}

func (c *issuedCheck) check(m *Message, keys []*key) (claim, error) {
	raw, err := c.token.text(m)
	if err != nil {
		return claim{}, err
	}
	end := strings.LastIndexByte(raw, '.')
	if len(raw) > longestToken || end < 0 || !strings.HasPrefix(raw, issuedHead+".") || end < len(issuedHead)+1 {
		return claim{}, fmt.Errorf("%w: it is no token of ours", ErrMalformed)
	}
	var sum [sha256.Size]byte
	if !Base64URL.decode(sum[:], raw[end+1:]) || strings.HasSuffix(raw, "=") {
		return claim{}, fmt.Errorf("%w: it is no token of ours", ErrMalformed)
	}
	for _, k := range keys {
		if !hmac.Equal(c.mac(k, raw[:end]), sum[:]) {
			continue
		}
		var claims issuedClaims
		payload, err := rawURL.DecodeString(raw[len(issuedHead)+1 : end])
		if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Expires <= 0 {
			return claim{}, fmt.Errorf("%w: it is no token of ours", ErrMalformed)
		}
		if claims.Issuer != c.Issuer {
			return claim{}, fmt.Errorf("%w: it was issued for something else", ErrSignature)
		}
		return claim{key: k, trust: Authenticated, until: time.Unix(claims.Expires, 0)}, nil
	}
	return claim{}, ErrSignature
}

func (c *issuedCheck) sign(m *Message, k *key, at time.Time) error {
	token, err := c.issue(k, "test", at, time.Hour)
	if err != nil {
		return fmt.Errorf("webhook: Sign: %w", err)
	}
	m.Header[c.token.Header] = []string{c.token.Prefix + token}
	return nil
}

// TokenEndpointConfig configures a [TokenEndpoint].
type TokenEndpointConfig struct {
	// Clients are who may fetch tokens: an id and the secrets that are valid for it, which are 16 bytes or more. Several
	// are valid while one is changed. Required.
	Clients map[string][]Secret
	Scheme  Issued // which the receiving [Partner] has, too
	// Key signs the tokens: the first of the receiving Verifier's secrets. Required.
	Key Secret
	// Lifetime of a token. 0: an hour.
	Lifetime time.Duration
	// Member is another name under which the token is in the answer, beside access_token: Booking.com's is "jwt".
	Member string
	// From says how the caller's address is found behind proxies (AddressList.Proxies), and from where calls may come,
	// if it has any. Without it all that come through a proxy are one caller.
	From *AddressList
	// Attempts is how many calls of one address in a minute may fail; more are refused before the secret is looked at.
	// 0: 20.
	Attempts int
	// OnResult is told of each call, the client's id if it is one of Clients, and nil or why it was refused, in words
	// that hold nothing of the request. It must not block nor panic. Nil: nobody is.
	OnResult func(ctx context.Context, client string, err error)
}

// TokenEndpoint answers the token requests of a partner that has us issue the tokens by which we recognize it: client
// credentials (RFC 6749, 4.4), in the form or as HTTP Basic. Tokens are short-lived, and stored nowhere. Secrets are
// compared by their hashes in constant time, and for every client, also one that there is not, with as many as the
// client has that has most, so that the time of a refusal does not tell which ids there are. Neither request nor memory
// grows beyond a bound. Make one with [NewTokenEndpoint]; make another when a client changes.
type TokenEndpoint struct {
	c       TokenEndpointConfig
	clients map[string][]hashedSecret
	nobody  []hashedSecret // of an unknown client: as many as the others have
	check   *issuedCheck
	key     *key
	failed  failedCalls
}

// NewTokenEndpoint returns an endpoint, or every problem of c.
func NewTokenEndpoint(c TokenEndpointConfig) (*TokenEndpoint, error) {
	e := &TokenEndpoint{key: &key{Secret: c.Key}}
	var problems []error
	bad := func(format string, a ...any) {
		problems = append(problems, fmt.Errorf("webhook: TokenEndpointConfig."+format, a...))
	}
	checker, err := c.Scheme.prepare()
	if err != nil {
		problems = append(problems, err)
	} else {
		e.check, _ = checker.(*issuedCheck)
		if err := e.check.key(e.key, c.Key.Value); err != nil {
			bad("Key: %w", err)
		}
	}
	if len(c.Clients) == 0 {
		bad("Clients is empty")
	}
	for _, id := range slices.Sorted(maps.Keys(c.Clients)) {
		if id == "" || len(c.Clients[id]) == 0 {
			bad("Clients: client %q has no id or no secret", id)
		}
		for _, s := range c.Clients[id] {
			if len(s.Value) < leastToken {
				bad("Clients: a secret of %q has %d bytes; at least %d are needed", id, len(s.Value), leastToken)
			}
		}
	}
	if c.Lifetime < 0 || c.Attempts < 0 {
		bad("Lifetime and Attempts are not negative")
	}
	if c.Lifetime == 0 {
		c.Lifetime = time.Hour
	}
	if c.Lifetime < time.Second {
		bad("Lifetime is less than a second")
	}
	if c.Attempts == 0 {
		c.Attempts = 20
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	e.c = c
	e.hash(c.Clients)
	return e, nil
}

// hashedSecret is a secret by its hash; nobody's is none.
type hashedSecret struct {
	Secret
	sum    [sha256.Size]byte
	nobody bool
}

// hash makes lists of secrets that are all of one length, so that one takes as long as another.
func (e *TokenEndpoint) hash(clients map[string][]Secret) {
	most := 0
	for _, secrets := range clients {
		most = max(most, len(secrets))
	}
	list := func(secrets []Secret) []hashedSecret {
		all := make([]hashedSecret, most)
		for i := range all {
			if all[i].nobody = i >= len(secrets); !all[i].nobody {
				all[i].Secret, all[i].sum = secrets[i], sha256.Sum256([]byte(secrets[i].Value))
				all[i].Value = ""
			}
		}
		return all
	}
	e.nobody, e.clients = list(nil), make(map[string][]hashedSecret, len(clients))
	for id, secrets := range clients {
		e.clients[id] = list(secrets)
	}
	e.c.Clients = nil
}

// Format prints the type's name, whatever the verb.
func (e *TokenEndpoint) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "webhook.TokenEndpoint")
}

// longestTokenRequest bounds the body of a token request.
const longestTokenRequest = 8 << 10

// tokenError is a refusal: a code of RFC 6749, 5.2, and why, for OnResult.
type tokenError struct {
	status int
	code   string
	why    string
}

func (e *tokenError) Error() string { return "webhook: a token was refused: " + e.why }

// ServeHTTP implements [http.Handler].
func (e *TokenEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	client, refused := e.serve(w, r, now)
	head := w.Header()
	head.Set("Cache-Control", "no-store")
	head.Set("Content-Type", "application/json")
	head.Set("X-Content-Type-Options", "nosniff")
	var err error
	status, answer := http.StatusOK, map[string]any{}
	if refused == nil {
		var token string
		if token, err = e.check.issue(e.key, client, now, e.c.Lifetime); err != nil {
			refused = &tokenError{http.StatusInternalServerError, "server_error", "it could not be made"}
		}
		answer["access_token"], answer["token_type"] = token, "Bearer"
		answer["expires_in"] = int64(e.c.Lifetime / time.Second)
		if e.c.Member != "" {
			answer[e.c.Member] = token
		}
	}
	if refused != nil {
		err, status, answer = refused, refused.status, map[string]any{"error": refused.code}
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // nobody can act on the error: the partner asks again
	if e.c.OnResult != nil {
		e.c.OnResult(r.Context(), client, err)
	}
}

// serve returns the client that may have a token, or why not.
func (e *TokenEndpoint) serve(
	w http.ResponseWriter, r *http.Request, now time.Time,
) (client string, refused *tokenError) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return "", &tokenError{http.StatusMethodNotAllowed, "invalid_request", "the method is not POST"}
	}
	m := NewMessage(r, nil)
	from := e.c.From.Sender(m)
	if e.c.From != nil && len(e.c.From.From) > 0 && e.c.From.Check(m) != nil {
		return "", &tokenError{http.StatusForbidden, "invalid_request", "it comes from an address that is not allowed"}
	}
	if wait := e.failed.wait(from, e.c.Attempts, now); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		return "", &tokenError{http.StatusTooManyRequests, "slow_down", "too many calls of this address failed"}
	}
	client, refused = e.authenticate(w, r, now)
	if refused != nil && refused.status != http.StatusRequestEntityTooLarge {
		e.failed.note(from, now)
	}
	return client, refused
}

func (e *TokenEndpoint) authenticate(
	w http.ResponseWriter, r *http.Request, now time.Time,
) (client string, refused *tokenError) {
	invalid := func(why string) *tokenError { return &tokenError{http.StatusBadRequest, "invalid_request", why} }
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return "", invalid("the body is not a form")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestTokenRequest))
	if err != nil {
		if _, long := errors.AsType[*http.MaxBytesError](err); long {
			return "", &tokenError{http.StatusRequestEntityTooLarge, "invalid_request", "it is too large"}
		}
		return "", invalid("it broke off")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", invalid("the form cannot be read")
	}
	for _, name := range []string{"grant_type", "client_id", "client_secret"} {
		if len(form[name]) > 1 {
			return "", invalid(name + " is there twice")
		}
	}
	if g := form.Get("grant_type"); g != "client_credentials" {
		return "", &tokenError{http.StatusBadRequest, "unsupported_grant_type", "the grant is not client_credentials"}
	}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		if secret != "" {
			return "", invalid("the client's secret is there in two ways")
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
		id, secret = unescape(user), unescape(password)
	}
	known, ok := e.clients[id]
	if !ok {
		known = e.nobody
	}
	right := false
	sum := sha256.Sum256([]byte(secret))
	for i := range known {
		s := &known[i]
		right = subtle.ConstantTimeCompare(sum[:], s.sum[:]) == 1 && !s.nobody && s.alive(now) || right
	}
	switch {
	case !ok:
		return "", &tokenError{http.StatusUnauthorized, "invalid_client", "there is no such client"}
	case !right:
		return id, &tokenError{http.StatusUnauthorized, "invalid_client", "the client's secret is wrong"}
	}
	w.Header().Del("WWW-Authenticate")
	return id, nil
}

// unescape undoes what RFC 6749, 2.3.1 has clients do; some do not.
func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// failedCalls counts the failed calls of addresses, of the last minute, and is bounded.
type failedCalls struct {
	mu    sync.Mutex // guards calls
	calls map[netip.Prefix][]time.Time
}

const (
	failedWindow    = time.Minute
	failedAddresses = 4096
)

// network is what counts as one address: of IPv6 the 64 bits that one customer has.
func network(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // unknown ones are one
	}
	return p
}

// wait returns how long an address has to wait that has failed so often; 0 if it need not.
func (f *failedCalls) wait(a netip.Addr, attempts int, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls[network(a)]
	if len(calls) < attempts {
		return 0
	}
	return max(calls[len(calls)-attempts].Add(failedWindow).Sub(now), 0)
}

func (f *failedCalls) note(a netip.Addr, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := now.Add(-failedWindow)
	over := func(t time.Time) bool { return !t.After(old) }
	if f.calls == nil {
		f.calls = map[netip.Prefix][]time.Time{}
	}
	n := network(a)
	if _, known := f.calls[n]; !known && len(f.calls) >= failedAddresses {
		maps.DeleteFunc(f.calls, func(_ netip.Prefix, calls []time.Time) bool { return over(calls[len(calls)-1]) })
		for victim := range f.calls { // more addresses than that in a minute: any of them
			if len(f.calls) < failedAddresses {
				break
			}
			delete(f.calls, victim)
		}
	}
	f.calls[n] = append(slices.DeleteFunc(f.calls[n], over), now)
}
