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

	"github.com/integrationkit/integrationkit/retry"
)

// maxTokenBody bounds the answer of a token endpoint.
const maxTokenBody = 1 << 20

// wire carries one request of x/oauth2 and keeps the answer: x/oauth2 loses a token over an expires_in that it does not
// understand, and Retry-After, and prints bodies in its errors. So it writes the request, and the answer is read here.
type wire struct {
	next      http.RoundTripper
	read      func(body []byte) tokenReply
	dead      func(code, description string) bool
	refusedBy []int // statuses that say that the credentials are wrong, where OAuth's codes do not

	req    *http.Request
	err    error // of the transport, or of reading the body
	status int
	header http.Header
	body   []byte
	id     string // the answer's own
}

func newWire(next http.RoundTripper) *wire {
	if next == nil {
		next = http.DefaultTransport
	}
	return &wire{next: next, read: readTokenReply}
}

// authStyle is never oauth2.AuthStyleAutoDetect: a probe costs a request, and may burn a code or a refresh token.
func authStyle(inHeader bool) oauth2.AuthStyle {
	if inHeader {
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleInParams
}

// in returns the context that makes x/oauth2 send its request through w.
func (w *wire) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, w.client())
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
	r := w.read(w.body)
	w.id = r.id
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
	case slices.Contains(deadCodes, code), w.dead != nil && w.dead(r.Error, r.description), w.credentialsRefused(r):
		return w.fail(now, retry.Auth, fmt.Errorf("%w: %s", ErrGrant, text))
	case code == "temporarily_unavailable", code == "server_error", code == "slow_down":
		return w.fail(now, retry.Transient, errors.New(text))
	}
	return w.fail(now, retry.Client, errors.New(text))
}

// credentialsRefused is for endpoints that speak in statuses. 403 without JSON is a gateway's.
func (w *wire) credentialsRefused(r tokenReply) bool {
	return slices.Contains(w.refusedBy, w.status) && (w.status != http.StatusForbidden || r.understood)
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
	e := &retry.Error{Verdict: v, Status: w.status, RequestID: w.id, Err: err}
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

// endpoint checks the address of one of the partner's OAuth endpoints.
func (p *problems) endpoint(name, address string) {
	if u, err := url.Parse(address); err != nil {
		p.add("%s is not a URL", name) // the text of err holds it
	} else if u.User != nil || u.Fragment != "" || u.Opaque != "" {
		p.add("%s holds more than an address", name)
	} else if _, err := originOf(u); err != nil {
		p.add("%s is unusable: %w", name, err)
	}
}

func (p *problems) scopes(scopes []string) {
	for i, s := range scopes {
		p.check(s == "" || strings.ContainsAny(s, " \t\r\n"), fmt.Sprintf("Scopes[%d] is not one scope", i))
	}
}

// fingerprint says nothing of its parts to who does not have them.
func fingerprint(parts ...string) string {
	h := sha256.New()
	for _, s := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(s), s) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
