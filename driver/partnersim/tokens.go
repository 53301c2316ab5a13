package partnersim

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// Tokens is a partner's token endpoint: OAuth 2.0 client credentials (RFC 6749 section 4.4) over a form, unless
// Endpoint says otherwise. It is handed to [Config.Tokens], and asked by the partner's handlers whom a request comes
// from. The fields are set before that and not changed; the methods are safe for concurrent use.
type Tokens struct {
	// Path is the endpoint's: "/oauth2/token". Required.
	Path string
	// Clients are the secrets by client id.
	Clients map[string]string
	// Scope is the only one there is; a request must ask for it or for none. "": any.
	Scope string
	// Lifetime is how long a token is good for, by the partner's clock. 0: an hour.
	Lifetime time.Duration
	// Budget limits the requests to the endpoint by client id, by the partner's clock; none: they are not limited.
	Budget ratelimit.Tiers
	// Mint makes the text of the n-th token of the client (n counts from 1); nil: an opaque one.
	Mint func(client string, n int, issued, expires time.Time) string
	// Read says whose a token is that this server did not issue, and until when it is good: one that an earlier
	// server with the same secrets minted, so that a client that kept its token finds it good after a restart, as it
	// would at the partner. ok is false for any other text. nil: only what this server issued is good.
	Read func(text string) (client string, expires time.Time, ok bool)
	// Endpoint answers requests to Path in place of the form exchange; it calls [Tokens.Grant].
	Endpoint http.Handler
	// BudgetKey says whose budget a request to the endpoint spends; nil: the client id of its form or Basic
	// credentials.
	BudgetKey func(*http.Request) string

	scale   float64
	mu      sync.Mutex
	issued  int
	live    map[string]token
	revoked bool
}

type token struct {
	client  string
	expires time.Time
}

// Token is what [Tokens.Grant] grants.
type Token struct {
	Text    string
	Expires time.Time
	Life    time.Duration // by the clock on the wall: scaled
}

// ErrClient is the error of [Tokens.Grant] for an unknown client or a wrong secret.
var ErrClient = errors.New("partnersim: no such client, or a wrong secret")

// bind checks t and ties it to a server's time scale.
func (t *Tokens) bind(scale float64) []error {
	var errs []error
	if !strings.HasPrefix(t.Path, "/") {
		errs = append(errs, fmt.Errorf("Tokens: Path is %q, want one that starts with a slash", t.Path))
	}
	if len(t.Clients) == 0 && t.Endpoint == nil {
		errs = append(errs, errors.New("Tokens: there are no Clients"))
	}
	if t.Lifetime < 0 {
		errs = append(errs, fmt.Errorf("Tokens: Lifetime is %v, want 0 or more", t.Lifetime))
	}
	t.scale, t.live = max(scale, 1), map[string]token{}
	return errs
}

// Grant gives the client a new token, or [ErrClient]. Older tokens stay good.
func (t *Tokens) Grant(client, secret string) (Token, error) {
	want, ok := t.Clients[client]
	if subtle.ConstantTimeCompare([]byte(want), []byte(secret)) != 1 || !ok {
		return Token{}, ErrClient
	}
	life := t.Lifetime
	if life == 0 {
		life = time.Hour
	}
	life = time.Duration(float64(life) / t.scale)
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.live, func(_ string, k token) bool { return !now.Before(k.expires) })
	t.issued++
	out := Token{Expires: now.Add(life), Life: life}
	if t.Mint != nil {
		out.Text = t.Mint(client, t.issued, now, out.Expires)
	} else {
		out.Text = fmt.Sprintf("sim-%016x-%d", Roll(0, uint64(t.issued), 0).Uint64(0), t.issued)
	}
	t.live[out.Text] = token{client, out.Expires}
	return out, nil
}

// Client returns whose bearer token r carries; ok is false if it carries none that is good now.
func (t *Tokens) Client(r *http.Request) (client string, ok bool) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	k, ok := t.live[text]
	if !ok && t.Read != nil && !t.revoked {
		if k.client, k.expires, ok = t.Read(text); ok {
			t.live[text] = k
		}
	}
	if !ok || !now.Before(k.expires) {
		return "", false
	}
	return k.client, true
}

// Revoke makes every token that was issued so far worthless, those of earlier servers included.
func (t *Tokens) Revoke() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.live)
	t.revoked = true
}

// Issued returns how many tokens were granted.
func (t *Tokens) Issued() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.issued
}

func (t *Tokens) budgetKey(r *http.Request) string {
	if t.BudgetKey != nil {
		return t.BudgetKey(r)
	}
	id, _ := credentials(r)
	return id
}

// credentials returns the client's id and secret: of the form, or of Basic authentication.
func credentials(r *http.Request) (id, secret string) {
	if id, secret, ok := r.BasicAuth(); ok {
		return id, secret
	}
	return r.PostFormValue("client_id"), r.PostFormValue("client_secret")
}

// ServeHTTP is the token endpoint.
func (t *Tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if t.Endpoint != nil {
		t.Endpoint.ServeHTTP(w, r)
		return
	}
	refuse := func(status int, code, description string) {
		answer(w, status, map[string]any{"error": code, "error_description": description})
	}
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch grant, scope := r.PostFormValue("grant_type"), r.PostFormValue("scope"); {
	case r.Method != http.MethodPost:
		refuse(http.StatusMethodNotAllowed, "invalid_request", "The token endpoint takes POST requests only.")
	case !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded"):
		refuse(http.StatusBadRequest, "invalid_request", "The body must be a form.")
	case grant != "client_credentials":
		refuse(http.StatusBadRequest, "unsupported_grant_type", "The grant type is not supported.")
	case t.Scope != "" && scope != "" && scope != t.Scope:
		refuse(http.StatusBadRequest, "invalid_scope", "The scope is not known.")
	default:
		tok, err := t.Grant(credentials(r))
		if err != nil {
			refuse(http.StatusUnauthorized, "invalid_client",
				"The client secret supplied for a confidential client is invalid.")
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		out := map[string]any{"token_type": "Bearer", "expires_in": int64(math.Floor(tok.Life.Seconds())),
			"access_token": tok.Text}
		if t.Scope != "" {
			out["scope"] = t.Scope
		}
		answer(w, http.StatusOK, out)
	}
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // a map of strings and numbers
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(body)
}
