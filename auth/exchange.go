package auth

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2/clientcredentials"
)

// ClientCredentials is the OAuth 2.0 client credentials grant (RFC 6749 section 4.4), on golang.org/x/oauth2.
//
// The answer is read tolerantly: JSON or form-encoded; expires_in as a number or a string; without it the lifetime is
// taken from expires_at or from the claims of a token that is a JWT, by the partner's clock; an error may come with
// status 200.
type ClientCredentials struct {
	TokenURL     string // https, or http on loopback
	ClientID     string
	ClientSecret Secret
	Scopes       []string
	Params       url.Values
	// InHeader sends the client's id and secret as HTTP Basic; the default sends them in the body. It is never probed.
	InHeader bool
	// Transport carries the request; nil: http.DefaultTransport. It has its own limits: the API's limiter must not be
	// in it.
	Transport http.RoundTripper
}

// Validate names everything that is wrong with c.
func (c ClientCredentials) Validate() error {
	var p problems
	p.endpoint("TokenURL", c.TokenURL)
	p.secret("ClientID", Secret(c.ClientID))
	p.secret("ClientSecret", c.ClientSecret)
	p.scopes(c.Scopes)
	for _, name := range []string{"client_id", "client_secret"} {
		p.check(c.Params.Has(name), "Params holds "+name+", which has its own field")
	}
	p.check(c.Params.Has("scope") && len(c.Scopes) > 0, "Params holds scope, and Scopes is set too")
	return p.err()
}

// Fingerprint changes when the credentials do.
func (c ClientCredentials) Fingerprint() string {
	return fingerprint(append([]string{c.TokenURL, c.ClientID, string(c.ClientSecret), c.Params.Encode()}, c.Scopes...)...)
}

// Exchange implements [Exchanger].
func (c ClientCredentials) Exchange(ctx context.Context, _ Token) (Token, error) {
	if err := c.Validate(); err != nil {
		return Token{}, unsent(fmt.Errorf("client credentials: %w", err))
	}
	w := newWire(c.Transport)
	conf := clientcredentials.Config{
		ClientID: c.ClientID, ClientSecret: string(c.ClientSecret), TokenURL: c.TokenURL,
		Scopes: c.Scopes, EndpointParams: c.Params, AuthStyle: authStyle(c.InHeader),
	}
	asked := time.Now()
	_, err := conf.Token(w.in(ctx))
	return w.token(asked, err)
}
