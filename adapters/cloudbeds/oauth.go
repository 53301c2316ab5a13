package cloudbeds

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/auth"
)

// refreshLifetime is how long a refresh token lives unused, and is renewed by use (seen in client code).
const refreshLifetime = 365 * 24 * time.Hour

// authorizeHost is where a human grants access (documented: developers.cloudbeds.com); the API's host is another.
const authorizeHost = "https://hotels.cloudbeds.com"

// Client is the OAuth client of c, which refreshes tokens: POST access_token with a form, the client's secret in it
// (documented). Each refresh gives a new refresh token, and two refreshes at once may invalidate each other (seen),
// which is why only the integration's token source refreshes. transport nil: http.DefaultTransport.
func (c Config) Client(transport http.RoundTripper) auth.RefreshToken {
	return auth.RefreshToken{
		TokenURL: c.endpoint(DefaultBaseURL, "access_token"), ClientID: c.ClientID, ClientSecret: c.ClientSecret,
		Dead: deadGrant, Transport: transport,
	}
}

// CodeFlow returns the part of a flow of authorization that is Cloudbeds': the client and the page where a human grants
// the scopes. The host adds where it wants the browser back and whom the token is for, and hands the token to the
// integration's token source:
//
//	f := c.CodeFlow(nil, "read:hotel", "read:reservation")
//	f.CallbackURL, f.Keys, f.Subject, f.Done = …
//	f.OnToken = func(ctx context.Context, id string, t auth.Token) error {
//		sources, err := reg.Sources(ctx, id)
//		if err == nil {
//			err = sources[0].Replace(ctx, t)
//		}
//		return err
//	}
//	flow, err := auth.NewCodeFlow(f)
//
// Scopes are spelt as documented, in the case that is documented: "read:roomBlock" is granted by the page and refused
// by the API (seen). A start from Cloudbeds' marketplace comes back without a state (seen): the flow refuses it, as it
// must, and the human starts again at the host.
func (c Config) CodeFlow(transport http.RoundTripper, scopes ...string) auth.CodeFlowConfig {
	return auth.CodeFlowConfig{Client: c.Client(transport), AuthorizeURL: c.endpoint(authorizeHost, "oauth"),
		Scopes: scopes}
}

// endpoint returns the URL of an OAuth endpoint, below BaseURL if there is one, else at the host.
func (c Config) endpoint(host, name string) string {
	base := host
	if c.BaseURL != "" && strings.TrimRight(c.BaseURL, "/") != DefaultBaseURL {
		if r, err := root(c.BaseURL); err == nil {
			base = r
		}
	}
	v := c.Version
	if v == "" {
		v = V13
	}
	return base + "/api/" + string(v) + "/" + name
}

// deadGrant recognizes Cloudbeds' own words for a refresh token that is not taken: invalid_request, with this text
// (documented).
func deadGrant(code, text string) bool {
	return code == "invalid_request" && strings.Contains(strings.ToLower(text), "refresh token is invalid")
}

// grant is a client that begins with a refresh token from elsewhere.
type grant struct {
	auth.RefreshToken
	first auth.Secret
}

// Exchange implements auth.Exchanger.
func (g grant) Exchange(ctx context.Context, old auth.Token) (auth.Token, error) {
	if old.Refresh == "" {
		old.Refresh = g.first
	}
	return g.RefreshToken.Exchange(ctx, old)
}
