package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// tokenReply is a token endpoint's answer (RFC 6749 sections 5.1 and 5.2), as tolerantly as can be without guessing.
type tokenReply struct {
	Access, Refresh, Type, Scope string
	Error, description           string        // of the latter nothing is told
	id                           string        // the answer's own, for the partner's support
	expiresIn, expiresAt         time.Duration // the latter since 1970; 0: not given
	understood                   bool
}

// readTokenReply reads JSON, or a form when it is not JSON.
func readTokenReply(body []byte) tokenReply {
	var r tokenReply
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '{' {
		var fields map[string]json.RawMessage
		if json.Unmarshal(body, &fields) == nil {
			r.read(func(name string) string { return scalar(fields[name]) })
		}
		return r
	}
	// A form has pairs and none of what HTML and text are made of.
	if bytes.ContainsAny(body, "<> \t\r\n{}\"") || !bytes.Contains(body, []byte("=")) {
		return r
	}
	if form, err := url.ParseQuery(string(body)); err == nil {
		r.read(form.Get)
	}
	return r
}

func (r *tokenReply) read(get func(string) string) {
	r.understood = true
	r.Access, r.Refresh, r.Type, r.Scope = get("access_token"), get("refresh_token"), get("token_type"), get("scope")
	r.description = get("error_description")
	if r.Error = get("error"); r.Error == "false" || r.Error == "0" {
		r.Error = "" // a flag that says that there is none
	}
	r.expiresIn = seconds(get("expires_in"))
	for _, name := range []string{"expires_at", "expires_on"} {
		if r.expiresAt == 0 {
			r.expiresAt = instant(get(name))
		}
	}
}

// scalar returns a JSON value as text: a string's content, "" for null, anything else as it is written. An object in
// the place of an error (as some gateways send) still is one.
func scalar(raw json.RawMessage) string {
	var s string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return ""
	case raw[0] == '"':
		_ = json.Unmarshal(raw, &s) // it was read as JSON before
		return s
	}
	return string(raw)
}

const maxLifetime = 10 * 365 * 24 * time.Hour

// seconds reads a number of seconds, 0 for what is none or not positive.
func seconds(s string) time.Duration {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsNaN(f) || f <= 0 {
		return 0
	}
	return time.Duration(min(f, maxLifetime.Seconds()) * float64(time.Second))
}

// instant reads seconds or milliseconds since 1970, or a time as in RFC 3339, as the time since 1970.
func instant(s string) time.Duration {
	s = strings.TrimSpace(s)
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return time.Duration(t.Unix()) * time.Second
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || f <= 0 {
		return 0
	}
	if f > 1e11 { // the year 5138 in seconds, 1973 in milliseconds
		f /= 1000
	}
	return time.Duration(min(f, 9e9) * float64(time.Second))
}

// lifetime is how long the token lives, 0 if nothing says so. now is the partner's clock.
func (r tokenReply) lifetime(now time.Time) time.Duration {
	if r.expiresIn > 0 {
		return r.expiresIn
	}
	since := time.Duration(now.UnixMilli()) * time.Millisecond
	if r.expiresAt > 0 {
		return clampLifetime(r.expiresAt - since)
	}
	issued, expires := jwtTimes(r.Access)
	if expires == 0 {
		return 0
	}
	return clampLifetime(expires - max(since, issued)) // a token may be older than the answer that brings it
}

func clampLifetime(d time.Duration) time.Duration { return min(max(d, 0), maxLifetime) }

// jwtTimes returns the iat and exp claims of a token that is a JWT (RFC 7519), 0 for what it does not hold. The
// signature is the partner's business: these are hints on when to ask for another token.
func jwtTimes(token string) (issued, expires time.Duration) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return 0, 0
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return 0, 0
	}
	var claims map[string]json.RawMessage
	if json.Unmarshal(payload, &claims) != nil {
		return 0, 0
	}
	return instant(scalar(claims["iat"])), instant(scalar(claims["exp"]))
}
