package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Session is an [Exchanger] for APIs that give a token for credentials in words of their own: one JSON object is
// posted, one comes back with a token in it (a JWT, a session id). Booking.com's token exchange is one, the login of
// many an older API another. Where the login itself needs an API key, wrap Transport in it ([APIKey.Wrap]).
//
// The credentials are refused, and a human must act ([ErrGrant]), when the answer is 401, 403 with JSON (without it, it
// is a gateway's word, not the API's), one of RefusedBy, or holds one of OAuth's codes for it in "error". All else that
// brings no token is tried again later. The rest of the answer is read as tolerantly as that to [ClientCredentials].
type Session struct {
	URL string // https, or http on loopback
	// Body is the JSON object that is posted. Only strings: its values are taken for secrets.
	Body map[string]Secret
	// Refresh is the member of Body that holds a refresh token, and of the answer that may hold a new one: the newest is
	// sent from then on, and kept where an answer has none. What Body holds is the first one: it is sent as long as there
	// is no other. That of a later authorization is given to [Source.Replace]. "": the API has none.
	Refresh string
	// Token is where the token is in the answer, objects parted by dots: "jwt", "data.token"; "" means "access_token".
	Token string
	// ExpiresIn is where the lifetime in seconds is, and ExpiresAt where the end is (in seconds or milliseconds since
	// 1970, or as RFC 3339); "" means "expires_in", and "expires_at" or "expires_on". If neither is there, the claims of
	// a JWT say it, and if the token is none, Lifetime; 0: unknown, the token is used until it is refused.
	ExpiresIn, ExpiresAt string
	Lifetime             time.Duration
	// RefusedBy are more statuses with which the API says that the credentials are wrong, such as 400.
	RefusedBy []int
	// RequestID is where the answer names itself for the partner's support, as in [retry.Error]; "": nowhere.
	RequestID string
	// Transport carries the request; nil: http.DefaultTransport. It has its own limits: the API's limiter must not be
	// in it.
	Transport http.RoundTripper
}

// Validate names everything that is wrong with c.
func (c Session) Validate() error {
	var p problems
	p.endpoint("URL", c.URL)
	p.check(len(c.Body) == 0, "Body is empty: which credentials are to be sent?")
	for _, name := range slices.Sorted(maps.Keys(c.Body)) {
		p.check(name == "", "Body has a member without a name")
		p.secret(fmt.Sprintf("Body[%q]", name), c.Body[name])
	}
	for _, at := range []struct{ name, path string }{
		{"Token", c.Token}, {"ExpiresIn", c.ExpiresIn}, {"ExpiresAt", c.ExpiresAt}, {"RequestID", c.RequestID},
	} {
		p.check(at.path != "" && slices.Contains(strings.Split(at.path, "."), ""), at.name+" has an empty part")
	}
	if _, ok := c.Body[c.Refresh]; c.Refresh != "" && !ok {
		p.add("Refresh is %q, which is no member of Body", c.Refresh)
	}
	p.check(c.Lifetime < 0, "Lifetime is negative")
	for _, status := range c.RefusedBy {
		if status < 400 || status > 499 || status == http.StatusTooManyRequests {
			p.add("RefusedBy holds %d, want statuses from 400 to 499 but 429", status)
		}
	}
	return p.err()
}

// Fingerprint changes when the credentials do.
func (c Session) Fingerprint() string {
	parts := []string{"session", c.URL}
	for _, name := range slices.Sorted(maps.Keys(c.Body)) {
		parts = append(parts, name, string(c.Body[name]))
	}
	return fingerprint(parts...)
}

// Exchange implements [Exchanger].
func (c Session) Exchange(ctx context.Context, old Token) (Token, error) {
	if err := c.Validate(); err != nil {
		return Token{}, unsent(fmt.Errorf("session: %w", err))
	}
	if c.Refresh != "" && old.Refresh != "" {
		c.Body = maps.Clone(c.Body)
		c.Body[c.Refresh] = old.Refresh
	}
	body := make(map[string]string, len(c.Body))
	for name, value := range c.Body {
		body[name] = string(value)
	}
	b, err := json.Marshal(body)
	if err != nil {
		return Token{}, unsent(fmt.Errorf("session: %w", err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(b))
	if err != nil {
		return Token{}, unsent(fmt.Errorf("session: %w", bare(err)))
	}
	req.Header.Set("Content-Type", "application/json")
	w := newWire(c.Transport)
	w.read, w.refusedBy = c.reply, append([]int{http.StatusUnauthorized, http.StatusForbidden}, c.RefusedBy...)
	asked := time.Now()
	resp, err := w.client().Do(req)
	if err == nil {
		_ = resp.Body.Close() // in memory
	}
	t, err := w.token(asked, err)
	if err == nil && t.Expiry.IsZero() && c.Lifetime > 0 {
		t.Expiry = asked.Add(c.Lifetime)
	}
	if err == nil && t.Refresh == "" && c.Refresh != "" {
		t.Refresh = c.Body[c.Refresh]
	}
	return t, err
}

// reply reads an answer by the names that c gives.
func (c Session) reply(body []byte) tokenReply {
	var r tokenReply
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return r
	}
	renamed := map[string]string{"access_token": c.Token, "expires_in": c.ExpiresIn, "expires_at": c.ExpiresAt}
	r.read(func(name string) string {
		switch name {
		case "refresh_token":
			if c.Refresh == "" {
				return ""
			}
			name = c.Refresh
		case "token_type", "scope": // OAuth's words, which mean other things elsewhere
			return ""
		}
		if path := renamed[name]; path != "" {
			name = path
		}
		return scalar(member(fields, name))
	})
	if r.Access != "" && (r.Access[0] == '{' || r.Access[0] == '[') {
		r.Access = "" // not a token, but what is around it
	}
	if c.RequestID != "" {
		r.id = printableID(scalar(member(fields, c.RequestID)))
	}
	return r
}

// member returns what is at a path of names parted by dots, nil if nothing is.
func member(fields map[string]json.RawMessage, path string) json.RawMessage {
	for {
		name, rest, deeper := strings.Cut(path, ".")
		raw := fields[name]
		if !deeper {
			return raw
		}
		fields = nil
		if json.Unmarshal(raw, &fields) != nil {
			return nil
		}
		path = rest
	}
}

// printableID returns an id as it may stand in a log line, "" if it may not.
func printableID(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return ""
		}
	}
	if len(s) > 100 {
		return ""
	}
	return s
}
