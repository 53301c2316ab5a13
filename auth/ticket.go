package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// ticket is what a browser keeps, sealed, between start and callback.
type ticket struct {
	State    string    `json:"state"`
	Verifier string    `json:"verifier"`
	Subject  string    `json:"subject"`
	Until    time.Time `json:"until"`
}

// maxTicket bounds what is put in a cookie: browsers keep 4096 bytes with its name and attributes (RFC 6265 section
// 6.1).
const maxTicket = 3500

// seal returns the cookie that carries t.
func (f *codeFlow) seal(t ticket) (*http.Cookie, error) {
	plain, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("auth: code flow: %w", err)
	}
	b, err := f.Keys.Seal(f.place, plain)
	if err != nil {
		return nil, err
	}
	value := base64.RawURLEncoding.EncodeToString(b)
	if len(value) > maxTicket {
		return nil, errors.New("auth: code flow: the subject is too long for a cookie")
	}
	return f.cookie(t.State, value, max(1, int(f.Timeout/time.Second))), nil
}

// cookie returns the cookie of one flow: its name is the state's, so that flows in two tabs do not meet.
func (f *codeFlow) cookie(state, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName(state), Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func cookieName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return "__Host-oauth-" + hex.EncodeToString(sum[:8])
}

// open returns the ticket of the flow that a state belongs to, if this browser started it and it is not over.
func (f *codeFlow) open(r *http.Request, state string) (ticket, error) {
	if state == "" || len(state) > 256 {
		return ticket{}, fmt.Errorf("%w: it has no state", ErrState)
	}
	c, err := r.Cookie(cookieName(state))
	if err != nil {
		return ticket{}, fmt.Errorf("%w: the browser has no cookie for its state", ErrState)
	}
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ticket{}, fmt.Errorf("%w: the cookie was altered", ErrState)
	}
	plain, err := f.Keys.Open(f.place, b)
	if err != nil {
		return ticket{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	var t ticket
	if err := json.Unmarshal(plain, &t); err != nil {
		return ticket{}, fmt.Errorf("%w: the cookie's content is not a ticket", ErrState) // the text of err may quote it
	}
	if subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) != 1 {
		return ticket{}, fmt.Errorf("%w: the cookie is another state's", ErrState)
	}
	if !time.Now().Before(t.Until) {
		return ticket{}, fmt.Errorf("%w: it took too long", ErrState)
	}
	return t, nil
}

// codeAnswer is what the partner's redirect says (RFC 6749 section 4.1.2).
type codeAnswer struct {
	state, code, err, issuer string
	failed                   bool
}

// readAnswer reads a query. A parameter that is there twice is refused (RFC 6749 section 3.1): which one counts would
// be a matter of taste.
func readAnswer(query string) (codeAnswer, error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return codeAnswer{}, fmt.Errorf("%w: its parameters cannot be read", ErrState) // the text of err quotes them
	}
	for _, name := range []string{"state", "code", "error", "iss"} {
		if len(q[name]) > 1 {
			return codeAnswer{}, fmt.Errorf("%w: it has two of %s", ErrState, name)
		}
	}
	return codeAnswer{
		state: q.Get("state"), code: q.Get("code"), err: q.Get("error"), issuer: q.Get("iss"), failed: q.Has("error"),
	}, nil
}
