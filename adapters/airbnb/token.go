package airbnb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/retry"
)

const tokenPath = "/v2/oauth2/authorizations"

// session is how access tokens are had: the client by HTTP Basic, the refresh token as JSON; the end of the token's
// life is absolute, and an unknown refresh token is a 404 (all seen in client code).
func (c Config) session(transport http.RoundTripper) (auth.Session, error) {
	basic, err := c.basic()
	if err != nil {
		return auth.Session{}, err
	}
	return auth.Session{
		URL: c.BaseURL + tokenPath, Body: map[string]auth.Secret{"refresh_token": c.RefreshToken},
		Refresh:   "refresh_token",
		RefusedBy: []int{http.StatusBadRequest, http.StatusNotFound}, Transport: basic.Wrap(transport),
	}, nil
}

func (c Config) basic() (*auth.Basic, error) {
	return auth.NewBasic(auth.BasicConfig{Username: string(c.ClientID), Password: c.ClientSecret,
		Origins: []string{c.origin()}})
}

// Authorization is a host's consent in the browser, by which the software gets the host's first refresh token. State,
// which protects the host from being connected to somebody else's account, is the caller's: random, kept in the
// browser's session, compared when the browser comes back.
type Authorization struct {
	ClientID, ClientSecret auth.Secret
	// Scopes are asked for; nil means those that one client asked for in 2019: vr, messages_read, messages_write.
	Scopes []string
	// Callback is the URL that the browser comes back to, as it is registered with Airbnb.
	Callback string
	// BaseURL is the API's origin; "" means [DefaultBaseURL].
	BaseURL string
	// Transport carries the requests; nil: http.DefaultTransport.
	Transport http.RoundTripper
}

// AuthorizeURL is where hosts give their consent (seen in client code).
const AuthorizeURL = "https://www.airbnb.com/oauth2/auth"

// URL returns where to send the host's browser. It comes back to the callback with state and code, or with error.
func (a Authorization) URL(state string) string {
	scopes := a.Scopes
	if scopes == nil {
		scopes = info().Scopes
	}
	return AuthorizeURL + "?" + url.Values{
		"client_id": {string(a.ClientID)}, "redirect_uri": {a.Callback}, "scope": {strings.Join(scopes, ",")},
		"state": {state},
	}.Encode()
}

// Redeem trades the code that the browser brought back for the host's refresh token, and returns the host's Config. A
// code is good once. A host that was connected before has a source already, which is to be given the new refresh
// token: see [Config]. Errors are *retry.Error; one of class Auth says that the host must consent again.
func (a Authorization) Redeem(ctx context.Context, code string) (Config, error) {
	const op = "oauth2.authorizations"
	fail := func(v retry.Verdict, status int, err error) (Config, error) {
		return Config{}, &retry.Error{Verdict: v, Partner: Partner, Op: op, Status: status, Err: err}
	}
	c := Config{ClientID: a.ClientID, ClientSecret: a.ClientSecret}
	never := retry.Verdict{Class: retry.Client, Sent: retry.Never}
	base, err := root(a.BaseURL)
	if err != nil {
		return fail(never, 0, err)
	}
	c.BaseURL = base
	basic, err := c.basic()
	if err != nil {
		return fail(never, 0, err)
	}
	body, err := json.Marshal(map[string]string{"code": code, "redirect_uri": a.Callback})
	if err != nil {
		return fail(never, 0, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+tokenPath, bytes.NewReader(body))
	if err != nil {
		return fail(never, 0, errors.New("the request could not be made"))
	}
	req.GetBody = nil // a code is good once: it must not be sent again in silence
	req.Header.Set("Content-Type", "application/json")
	resp, err := basic.Wrap(a.Transport).RoundTrip(req)
	v := retry.Judge(req, resp, err)
	if err != nil {
		return fail(v, 0, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fail(retry.Judge(req, nil, err), resp.StatusCode, err)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated:
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		v = retry.Verdict{Class: retry.Auth, Scope: retry.Credential, Sent: retry.Answered}
		return fail(v, resp.StatusCode, errors.New("the code or the client was refused"))
	default:
		return fail(v, resp.StatusCode, fmt.Errorf("status %d", resp.StatusCode))
	}
	o := wire.Fields(answer)
	c.RefreshToken = auth.Secret(o.Word("refresh_token").Or(""))
	c.Host = o.First(o.Ref, "user_id_str", "user_id").Or("")
	if c.RefreshToken == "" || c.Host == "" {
		v = retry.Verdict{Class: retry.Data, Sent: retry.Answered, Fault: true}
		return fail(v, resp.StatusCode, errors.New("the answer has no refresh_token or no user_id"))
	}
	c.BaseURL = a.BaseURL
	return c, nil
}
