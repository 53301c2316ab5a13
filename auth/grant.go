package auth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/integrationkit/integrationkit/retry"
)

// RefreshToken is the OAuth 2.0 refresh grant (RFC 6749 section 6), on golang.org/x/oauth2. The first refresh token
// comes from a human's authorization, through a [CodeFlow] or otherwise, and is given to the [Source] by
// [Source.Replace]; until then the Source reports that it needs re-authorization.
//
// Where the partner rotates refresh tokens (RFC 9700 section 4.14.2), each is good for one refresh, and a second use
// revokes the whole grant: the Source stores the new one before it uses the access token that came with it, so that
// nobody who shares the store sends the old one again. Where it does not, and the answer holds no refresh token, the
// old one is kept. The answer is read as tolerantly as that to [ClientCredentials].
type RefreshToken struct {
	TokenURL     string // https, or http on loopback
	ClientID     string
	ClientSecret Secret
	// Public says that the client has no secret (RFC 6749 section 2.1): it sends its id in the body and nothing else.
	Public bool
	// InHeader sends the client's id and secret as HTTP Basic; the default sends them in the body. It is never probed:
	// a probe would burn the refresh token.
	InHeader bool
	// Dead, if set, recognizes the partner's own ways of saying that the grant is dead, beside OAuth's: from the answer's
	// error and error_description, with a status below 500. It tells nobody of them.
	Dead func(code, description string) bool
	// Transport carries the request; nil: http.DefaultTransport. It has its own limits: the API's limiter must not be
	// in it.
	Transport http.RoundTripper
}

// Validate names everything that is wrong with c.
func (c RefreshToken) Validate() error {
	var p problems
	p.endpoint("TokenURL", c.TokenURL)
	p.secret("ClientID", Secret(c.ClientID))
	if c.Public {
		p.check(c.ClientSecret != "", "ClientSecret is set, and Public says that there is none")
		p.check(c.InHeader, "InHeader is set, and a public client has nothing to send there")
	} else {
		p.secret("ClientSecret", c.ClientSecret)
	}
	return p.err()
}

// Fingerprint changes when the client does.
func (c RefreshToken) Fingerprint() string {
	return fingerprint("refresh", c.TokenURL, c.ClientID, string(c.ClientSecret))
}

var errNoRefreshToken = fmt.Errorf(
	"%w: there is no refresh token: nobody has authorized yet, or the partner gave none", ErrGrant)

// Exchange implements [Exchanger].
func (c RefreshToken) Exchange(ctx context.Context, old Token) (Token, error) {
	if err := c.Validate(); err != nil {
		return Token{}, unsent(fmt.Errorf("refresh token: %w", err))
	}
	if old.Refresh == "" {
		e := unsent(errNoRefreshToken)
		e.Class, e.Scope = retry.Auth, retry.Credential
		return Token{}, e
	}
	w := newWire(c.Transport)
	w.dead = c.Dead
	asked := time.Now()
	_, err := c.config().TokenSource(w.in(ctx), &oauth2.Token{RefreshToken: string(old.Refresh)}).Token()
	t, err := w.token(asked, err)
	if err != nil {
		return Token{}, err
	}
	if t.Refresh == "" {
		t.Refresh = old.Refresh
	}
	if t.Scope == "" { // not said because it did not change (RFC 6749 section 5.1)
		t.Scope = old.Scope
	}
	return t, nil
}

// trade is the authorization code grant (RFC 6749 section 4.1.3) with its proof key (RFC 7636 section 4.5).
func (c RefreshToken) trade(ctx context.Context, code, callback, verifier string) (Token, error) {
	w := newWire(c.Transport)
	w.dead = c.Dead
	conf := c.config()
	conf.RedirectURL = callback
	asked := time.Now()
	_, err := conf.Exchange(w.in(ctx), code, oauth2.VerifierOption(verifier))
	t, err := w.token(asked, err)
	if err == nil {
		err = t.problem()
	}
	if err != nil {
		return Token{}, err
	}
	return t, nil
}

func (c RefreshToken) config() *oauth2.Config {
	return &oauth2.Config{
		ClientID: c.ClientID, ClientSecret: string(c.ClientSecret),
		Endpoint: oauth2.Endpoint{TokenURL: c.TokenURL, AuthStyle: authStyle(c.InHeader)},
	}
}

// unsent is the error of a request that was not made because it could not be right.
func unsent(err error) *retry.Error {
	return &retry.Error{Verdict: retry.Verdict{Class: retry.Client, Sent: retry.Never}, Err: err}
}
