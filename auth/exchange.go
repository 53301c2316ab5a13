package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/integrationkit/integrationkit/retry"
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
	if u, err := url.Parse(c.TokenURL); err != nil {
		p.add("TokenURL is not a URL")
	} else if u.User != nil || u.Fragment != "" || u.Opaque != "" {
		p.add("TokenURL holds more than an address")
	} else if _, err := originOf(u); err != nil {
		p.add("TokenURL is unusable: %w", err)
	}
	p.secret("ClientID", Secret(c.ClientID))
	p.secret("ClientSecret", c.ClientSecret)
	for i, s := range c.Scopes {
		p.check(s == "" || strings.ContainsAny(s, " \t\r\n"), fmt.Sprintf("Scopes[%d] is not one scope", i))
	}
	for _, name := range []string{"client_id", "client_secret"} {
		p.check(c.Params.Has(name), "Params holds "+name+", which has its own field")
	}
	p.check(c.Params.Has("scope") && len(c.Scopes) > 0, "Params holds scope, and Scopes is set too")
	return p.err()
}

// Fingerprint changes when the credentials do.
func (c ClientCredentials) Fingerprint() string {
	h := sha256.New()
	for _, s := range append([]string{c.TokenURL, c.ClientID, string(c.ClientSecret), c.Params.Encode()}, c.Scopes...) {
		_, _ = fmt.Fprintf(h, "%d:%s", len(s), s) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Exchange implements [Exchanger].
func (c ClientCredentials) Exchange(ctx context.Context, _ Token) (Token, error) {
	if err := c.Validate(); err != nil {
		v := retry.Verdict{Class: retry.Client, Sent: retry.Never}
		return Token{}, &retry.Error{Verdict: v, Err: fmt.Errorf("client credentials: %w", err)}
	}
	w := &wire{next: c.Transport}
	if w.next == nil {
		w.next = http.DefaultTransport
	}
	conf := clientcredentials.Config{
		ClientID: c.ClientID, ClientSecret: string(c.ClientSecret), TokenURL: c.TokenURL,
		Scopes: c.Scopes, EndpointParams: c.Params, AuthStyle: oauth2.AuthStyleInParams,
	}
	if c.InHeader {
		conf.AuthStyle = oauth2.AuthStyleInHeader
	}
	asked := time.Now()
	_, err := conf.Token(context.WithValue(ctx, oauth2.HTTPClient, w.client()))
	return w.token(asked, err)
}

// maxTokenBody bounds the answer of a token endpoint.
const maxTokenBody = 1 << 20

// wire carries one request of x/oauth2 and keeps the answer: x/oauth2 loses a token over an expires_in that it does not
// understand, and Retry-After, and prints bodies in its errors. So it writes the request, and the answer is read here.
type wire struct {
	next http.RoundTripper

	req    *http.Request
	err    error // of the transport, or of reading the body
	status int
	header http.Header
	body   []byte
}

// client returns a client for one request. It follows no redirect: the request holds the client's secret.
func (w *wire) client() *http.Client {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: w, CheckRedirect: stay}
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.req = withHeader(req, "Accept", []string{"application/json"})
	resp, err := w.next.RoundTrip(w.req)
	if err != nil {
		w.err = err
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenBody+1))
	if err == nil && len(body) > maxTokenBody {
		err = fmt.Errorf("the token endpoint's answer is longer than %d bytes", maxTokenBody)
	}
	w.status, w.header, w.body, w.err = resp.StatusCode, resp.Header, body, err
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// token reads the answer. err is what x/oauth2 made of it, for what never reached the wire.
func (w *wire) token(asked time.Time, err error) (Token, error) {
	now := time.Now()
	switch {
	case w.req == nil:
		if err == nil {
			err = errors.New("no request was made")
		}
		return Token{}, &retry.Error{Verdict: retry.Verdict{Class: retry.Client, Sent: retry.Never}, Err: bare(err)}
	case w.status == 0:
		return Token{}, &retry.Error{
			Verdict: retry.Default(retry.Exchange{Request: w.req, Err: w.err, Now: now}),
			Err:     fmt.Errorf("no answer from the token endpoint: %w", bare(w.err)),
		}
	case w.err != nil && w.status < 300: // a token may have been issued
		return Token{}, w.fail(now, retry.Transient, fmt.Errorf("the token endpoint's answer broke off: %w", bare(w.err)))
	}
	r := readTokenReply(w.body)
	if w.status > 299 || r.Error != "" {
		return Token{}, w.refused(now, r)
	}
	if !r.understood {
		return Token{}, w.fail(now, retry.Data, errors.New("the token endpoint's answer is neither JSON nor a form"))
	}
	if r.Access == "" {
		return Token{}, w.fail(now, retry.Data, errors.New("the token endpoint's answer holds no access token"))
	}
	t := Token{Access: Secret(r.Access), Refresh: Secret(r.Refresh), Type: r.Type, Scope: r.Scope, Obtained: asked}
	if d := r.lifetime(partnerTime(w.header, now)); d > 0 {
		t.Expiry = asked.Add(d)
	}
	return t, nil
}

// refused classifies an answer that holds no token.
func (w *wire) refused(now time.Time, r tokenReply) error {
	code := r.Error
	if !plainCode(code) {
		code = "" // not the partner's own vocabulary: it may hold anything
	}
	text := "the token endpoint answered " + strconv.Itoa(w.status)
	if code != "" {
		text += " " + code
	}
	switch {
	case w.status == http.StatusTooManyRequests:
		return w.fail(now, retry.RateLimit, errors.New(text))
	case w.status >= 500:
		return w.fail(now, retry.Transient, errors.New(text))
	case slices.Contains(deadCodes, code):
		return w.fail(now, retry.Auth, fmt.Errorf("%w: %s", ErrGrant, text))
	case code == "temporarily_unavailable", code == "server_error", code == "slow_down":
		return w.fail(now, retry.Transient, errors.New(text))
	}
	return w.fail(now, retry.Client, errors.New(text))
}

// deadCodes are the errors that no repetition heals (RFC 6749 section 5.2). invalid_request is not among them: gateways
// answer it when they are out of order.
var deadCodes = []string{
	"invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "access_denied",
}

func (w *wire) fail(now time.Time, class retry.Class, err error) *retry.Error {
	v := retry.Verdict{
		Class: class, Scope: retry.Credential, Sent: retry.Answered, Fault: class == retry.Transient || class == retry.Data,
	}
	e := &retry.Error{Verdict: v, Status: w.status, Err: err}
	if at, ok := retry.ParseRetryAfter(w.header, now); ok {
		e.At = at
	}
	return e
}

// bare takes the address out of an error: it may hold what no log should.
func bare(err error) error {
	for {
		u, ok := errors.AsType[*url.Error](err)
		if !ok {
			return err
		}
		err = u.Err
	}
}

// plainCode reports whether an error code looks like one: short, of lower-case letters and underscores.
func plainCode(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

// partnerTime is the partner's clock: the Date of its answer, ours when there is none.
func partnerTime(h http.Header, now time.Time) time.Time {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t
	}
	return now
}
