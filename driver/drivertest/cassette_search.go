package drivertest

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	vcr "gopkg.in/dnaeon/go-vcr.v3/cassette"
)

// search returns an error that says where an interaction that was redacted still holds what looks secret. It does not repeat it.
func (r *redactor) search(i *vcr.Interaction) error {
	var found []string
	see := func(where, s string) {
		if what := r.suspect(s); what != "" {
			found = append(found, where+" "+what)
		}
	}
	base, query, _ := strings.Cut(i.Request.URL, "?")
	see("the URL", base)
	r.searchPairs("the query's", query, see)
	r.searchHeaders("the request's header", i.Request.Headers, see)
	r.searchHeaders("the answer's header", i.Response.Headers, see)
	if isForm(i.Request.Headers) {
		r.searchPairs("the form's", i.Request.Body, see)
	} else {
		r.searchBody("the request's body", i.Request.Body, see)
	}
	r.searchBody("the answer's body", i.Response.Body, see)
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	found = slices.Compact(found)
	more := ""
	if n := len(found) - 10; n > 0 {
		found, more = found[:10], fmt.Sprintf("\n\tand %d more", n)
	}
	return fmt.Errorf("interaction %d:\n\t%s%s\n\tname each in Recording.Secret, or in Recording.Allow if it is none", i.ID, strings.Join(found, "\n\t"), more)
}

func isForm(h http.Header) bool {
	return strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "application/x-www-form-urlencoded")
}

func (r *redactor) searchHeaders(where string, h http.Header, see func(where, s string)) {
	for name, values := range h {
		if r.allowed(name) {
			continue
		}
		for _, v := range values {
			see(where+" "+name, v)
		}
	}
}

func (r *redactor) searchPairs(where, s string, see func(where, s string)) {
	for part := range strings.SplitSeq(s, "&") {
		k, v, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(k)
		if err != nil {
			name = k
		}
		value, err := url.QueryUnescape(v)
		if err != nil {
			value = v
		}
		see(where+" names", name)
		if !r.allowed(name) {
			see(where+" "+name, value)
		}
	}
}

func (r *redactor) searchBody(where, s string, see func(where, s string)) {
	var doc any
	if json.Unmarshal([]byte(s), &doc) != nil {
		see(where, s)
		return
	}
	r.searchJSON(where, "$", "", doc, see)
}

func (r *redactor) searchJSON(where, path, name string, v any, see func(where, s string)) {
	switch v := v.(type) {
	case map[string]any:
		for k, v := range v {
			see(where+" has a member in "+path+" that", k)
			below := path + "." + k
			if r.suspect(k) != "" {
				below = path + ".?"
			}
			r.searchJSON(where, below, k, v, see)
		}
	case []any:
		for _, v := range v {
			r.searchJSON(where, path+"[]", name, v, see)
		}
	case string:
		if r.allowed(name) {
			if left := r.left(v); left != "" {
				see(where+" "+path, v)
			}
			return
		}
		see(where+" "+path, v)
	}
}

// left returns the placeholder of a secret that is left in a text, "" if none is.
func (r *redactor) left(s string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s = placeholder.ReplaceAllString(s, "\x00")
	for _, w := range r.always {
		for _, f := range w.forms {
			if strings.Contains(s, f) {
				return r.known[w.secret]
			}
		}
	}
	return ""
}

// run is a piece of text in which a secret would be. Ids of 24 hexadecimal digits and UUIDs are shorter or in pieces.
var run = regexp.MustCompile(`[A-Za-z0-9+=]{20,}`)

// suspect says what is wrong with a text, without repeating it.
func (r *redactor) suspect(s string) string {
	if !utf8.ValidString(s) {
		return "is not UTF-8, and cannot be searched"
	}
	if p := r.left(s); p != "" {
		return "still holds " + p
	}
	s = placeholder.ReplaceAllString(s, " ")
	for _, m := range run.FindAllString(s, -1) {
		if random(m) {
			return fmt.Sprintf("looks like a secret: %d characters", len(m))
		}
	}
	for _, re := range []*regexp.Regexp{jwt, pem, email} {
		if re.MatchString(s) {
			return "looks like a key, a token or an address"
		}
	}
	return ""
}

// random says that a run of letters and digits is no word and no usual id. Its bits for each character are the entropy.
func random(s string) bool {
	var n [256]int
	var letters, digits, hex int
	for i := range len(s) {
		c := s[i]
		n[c]++
		switch {
		case c >= '0' && c <= '9':
			digits++
			hex++
		case c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
			letters++
			hex++
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			letters++
		}
	}
	bits := 0.0
	for _, k := range n {
		if k > 0 {
			p := float64(k) / float64(len(s))
			bits -= p * math.Log2(p)
		}
	}
	switch {
	case letters == 0:
		return false
	case hex == len(s):
		return len(s) >= 32 && bits >= 3
	case digits == 0: // words run together, but for what is far too long
		return len(s) >= 32 && bits >= 4.2
	}
	return bits >= 3.2
}
