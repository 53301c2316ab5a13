package drivertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// redactor replaces what is secret by placeholders: the same secret by the same one.
type redactor struct {
	secret, allow []string // names, in the form of plainName

	mu     sync.Mutex
	frozen bool              // in a replay: a secret that is not known is number 0, which matches any
	known  map[string]string // secret -> placeholder
	count  map[string]int    // by name
	always []written         // secrets that are replaced wherever they occur, longest first
	number map[string]string // digits -> digits, for JSON numbers
}

// written is a secret in the ways in which it may be written in a text.
type written struct {
	secret string
	forms  []string
}

func newRedactor(secret, allow []string) *redactor {
	r := &redactor{known: map[string]string{}, count: map[string]int{}, number: map[string]string{}}
	for _, n := range secret {
		r.secret = append(r.secret, plainName(n))
	}
	for _, n := range allow {
		r.allow = append(r.allow, plainName(n))
	}
	return r
}

// A placeholder needs no escaping anywhere and does not look random.
var (
	placeholder  = regexp.MustCompile(`REDACTED_[a-z0-9_]*[a-z]_[0-9]+(@example\.invalid)?`)
	whole        = regexp.MustCompile(`^` + placeholder.String() + `$`)
	scheme       = regexp.MustCompile(`^(?i:basic|bearer|token|digest|apikey) +`)
	jwt          = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*`)
	email        = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+`)
	bearer       = regexp.MustCompile(`\b(?i:bearer|basic) +([A-Za-z0-9+/=._~-]{16,})`)
	pem          = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)
	userinfo     = regexp.MustCompile(`://([^/@\s"'<>?#]+)@`)
	assignment   = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.\[\]-]*)=([^&\s"'<>;,#]+)`)
	quotedMember = regexp.MustCompile(`"([A-Za-z_][A-Za-z0-9_.-]*)"\s*:\s*"((?:[^"\\]|\\.)*)`)
	attribute    = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.:-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')`)
	formPart     = regexp.MustCompile(`(?s)\bname="([^"]+)"[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n(.*?)\r?\n--`)
	element      = regexp.MustCompile(`<([A-Za-z_][A-Za-z0-9_.:-]*)(?:\s[^<>]*)?>([^<>]+)<`)
)

// plainName is a name without case and marks.
func plainName(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		}
		return -1
	}, s)
}

// The deny list: what names of secrets hold, names that are whole, and names that only look so.
var (
	secretParts = []string{
		"token", "secret", "password", "passwd", "passphrase", "apikey", "accesskey", "privatekey", "signingkey", "credential", "authorization",
		"signature", "cookie", "session", "jwt", "assertion", "nonce", "verifier", "clientid", "cardnumber", "passport", "hmac",
		"email", "phone", "mobile", "firstname", "lastname", "middlename", "fullname", "guestname", "customername", "birthdate", "birthday",
		"dateofbirth", "nationality", "doorcode", "accesscode", "lockcode", "wifi",
	}
	secretNames = []string{"pwd", "pass", "pin", "otp", "cvc", "cvv", "iban", "auth", "key", "sig", "code", "surname", "givenname", "familyname",
		"notes", "guestnote", "guestnotes", "fax", "ssn"}
	plainNames = []string{"tokentype", "expiresin", "expiresat", "tokenexpiresin", "tokenexpiresat", "tokenexpires"}
)

// denied says that values of this name are secret. "code" is so where OAuth has it: in forms and queries.
func (r *redactor) denied(name string, form bool) bool {
	n := plainName(name)
	switch {
	case slices.Contains(r.allow, n):
		return false
	case slices.Contains(r.secret, n):
		return true
	case n == "code", n == "key":
		return form
	case slices.Contains(plainNames, n):
		return false
	}
	return slices.Contains(secretNames, n) || slices.ContainsFunc(secretParts, func(p string) bool { return strings.Contains(n, p) })
}

func (r *redactor) allowed(name string) bool { return slices.Contains(r.allow, plainName(name)) }

// credential makes a credential known and returns its placeholder.
func (r *redactor) credential(name, value string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if value == "" { // of a replay
		name = slug(name)
		r.count[name]++
		return "REDACTED_" + name + "_" + strconv.Itoa(r.count[name])
	}
	p := r.placeholder(name, value)
	if len(value) >= 6 {
		r.everywhere(value)
	}
	return p
}

// word is what is not replaced wherever it occurs, because it may well be one.
var word = regexp.MustCompile(`^[a-z_ ]*$`)

// placeholder returns the placeholder of a secret. r.mu is held.
func (r *redactor) placeholder(name, value string) string {
	if value == "" || whole.MatchString(value) {
		return value
	}
	if p, ok := r.known[value]; ok {
		return p
	}
	name = slug(name)
	if r.frozen {
		return "REDACTED_" + name + "_0"
	}
	r.count[name]++
	p := "REDACTED_" + name + "_" + strconv.Itoa(r.count[name])
	if email.FindString(value) == value {
		p += "@example.invalid"
	}
	r.known[value] = p
	if len(value) >= 8 && !word.MatchString(value) {
		r.everywhere(value)
	}
	return p
}

func (r *redactor) everywhere(value string) {
	if slices.ContainsFunc(r.always, func(w written) bool { return w.secret == value }) {
		return
	}
	r.always = append(r.always, written{value, forms(value)})
	slices.SortStableFunc(r.always, func(a, b written) int { return len(b.secret) - len(a.secret) })
}

// slug is a name as part of a placeholder; it ends in a letter.
func slug(name string) string {
	s := strings.ToLower(name)
	s = strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, s)
	if s = strings.Trim(s[:min(len(s), 40)], "_0123456789"); s == "" {
		return "value"
	}
	return s
}

// value replaces a secret, less the scheme it has in a header.
func (r *redactor) value(name, v string) string {
	s := scheme.FindString(v)
	r.mu.Lock()
	defer r.mu.Unlock()
	return s + r.placeholder(name, v[len(s):])
}

// forms are the ways in which a secret may be written: as it is, in a URL, in HTML and XML, in JSON.
func forms(v string) []string {
	quoted, err := json.Marshal(v)
	if err != nil {
		return []string{v}
	}
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	all := []string{v, url.QueryEscape(v), url.PathEscape(v), html.EscapeString(v), string(quoted[1 : len(quoted)-1])}
	if enc.Encode(v) == nil {
		all = append(all, string(plain.Bytes()[1:plain.Len()-2]))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// text replaces what is known to be secret, and what looks like it, in any text.
func (r *redactor) text(s string) string {
	s = outside(s, r.replaceKnown)
	s = group(userinfo, s, func(m []string) (int, string) { return 1, r.value("userinfo", m[1]) })
	for _, p := range []struct {
		re   *regexp.Regexp
		name string
	}{{pem, "private_key"}, {jwt, "jwt"}, {email, "email"}} {
		s = outside(s, func(s string) string {
			return p.re.ReplaceAllStringFunc(s, func(m string) string { return r.value(p.name, m) })
		})
	}
	s = group(bearer, s, func(m []string) (int, string) { return 1, r.value("access_token", m[1]) })
	return s
}

func (r *redactor) replaceKnown(s string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.always {
		for _, f := range w.forms {
			if strings.Contains(s, f) {
				s = outside(s, func(s string) string { return strings.ReplaceAll(s, f, r.known[w.secret]) })
			}
		}
	}
	return s
}

// outside applies f to what is not a placeholder.
func outside(s string, f func(string) string) string {
	var b strings.Builder
	at := 0
	for _, m := range placeholder.FindAllStringIndex(s, -1) {
		b.WriteString(f(s[at:m[0]]))
		b.WriteString(s[m[0]:m[1]])
		at = m[1]
	}
	if at == 0 {
		return f(s)
	}
	b.WriteString(f(s[at:]))
	return b.String()
}

// group replaces one group of each match: f says which, and by what. A negative number leaves the match.
func group(re *regexp.Regexp, s string, f func(m []string) (int, string)) string {
	var b strings.Builder
	at := 0
	for _, loc := range re.FindAllStringSubmatchIndex(s, -1) {
		m := make([]string, len(loc)/2)
		for i := range m {
			if loc[2*i] >= 0 {
				m[i] = s[loc[2*i]:loc[2*i+1]]
			}
		}
		n, with := f(m)
		if n < 0 {
			continue
		}
		b.WriteString(s[at:loc[2*n]])
		b.WriteString(with)
		at = loc[2*n+1]
	}
	b.WriteString(s[at:])
	return b.String()
}

// loose redacts a text of no known form: XML, HTML, broken JSON, a sentence with a URL in it.
func (r *redactor) loose(s string) string {
	s = group(element, s, func(m []string) (int, string) {
		if name := m[1][strings.LastIndexByte(m[1], ':')+1:]; r.denied(name, false) && strings.TrimSpace(m[2]) != "" {
			return 2, r.value(name, html.UnescapeString(m[2]))
		}
		return -1, ""
	})
	s = group(formPart, s, func(m []string) (int, string) {
		if m[2] == "" || !r.denied(m[1], true) {
			return -1, ""
		}
		return 2, r.value(m[1], m[2])
	})
	s = group(attribute, s, func(m []string) (int, string) {
		n := 2
		if m[2] == "" {
			n = 3
		}
		if m[n] == "" || !r.denied(m[1], false) {
			return -1, ""
		}
		return n, r.value(m[1], html.UnescapeString(m[n]))
	})
	s = group(quotedMember, s, func(m []string) (int, string) {
		var v string
		if m[2] == "" || !r.denied(m[1], false) {
			return -1, ""
		}
		if json.Unmarshal([]byte(`"`+m[2]+`"`), &v) != nil {
			v = m[2]
		}
		return 2, r.value(m[1], v)
	})
	s = group(assignment, s, func(m []string) (int, string) {
		if !r.denied(m[1], true) {
			return -1, ""
		}
		v, err := url.QueryUnescape(m[2])
		if err != nil {
			v = m[2]
		}
		return 2, r.value(m[1], v)
	})
	return r.text(s)
}

// body redacts a body. JSON stays JSON, a form stays a form.
func (r *redactor) body(contentType, s string) string {
	if out, ok := r.json(s); ok {
		return out
	}
	if strings.HasPrefix(strings.ToLower(contentType), "application/x-www-form-urlencoded") {
		return r.pairs(s)
	}
	return r.loose(s)
}

// pairs redacts a query or a form, in its order.
func (r *redactor) pairs(s string) string {
	parts := strings.Split(s, "&")
	for i, p := range parts {
		k, v, has := strings.Cut(p, "=")
		name, err1 := url.QueryUnescape(k)
		value, err2 := url.QueryUnescape(v)
		if err := errors.Join(err1, err2); err != nil {
			parts[i] = r.loose(p)
			continue
		}
		var clean string
		if has && r.denied(name, true) {
			clean = r.value(name, value)
		} else if out, ok := r.json(value); ok {
			clean = out
		} else {
			clean = r.loose(value)
		}
		if cleanName := r.text(name); cleanName != name {
			k = url.QueryEscape(cleanName)
		}
		if clean != value {
			v = url.QueryEscape(clean)
		}
		if parts[i] = k; has {
			parts[i] += "=" + v
		}
	}
	return strings.Join(parts, "&")
}

// url redacts a URL.
func (r *redactor) url(s string) string {
	s, fragment, _ := strings.Cut(s, "#")
	_ = fragment // is not sent
	base, query, has := strings.Cut(s, "?")
	if base = r.text(base); has {
		base += "?" + r.pairs(query)
	}
	return base
}

// headers redacts headers into new ones.
func (r *redactor) headers(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(h)) { // in order, so that placeholders are the same every time
		for _, v := range h[name] {
			if r.denied(name, false) {
				v = r.value(name, v)
			} else {
				v = r.loose(v)
			}
			out[name] = append(out[name], v)
		}
	}
	return out
}
