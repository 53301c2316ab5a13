package drivertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	vcr "gopkg.in/dnaeon/go-vcr.v3/cassette"
)

// shape is what of a request is compared, by name, redacted.
type shape map[string]string

type shapeKey struct{}

const (
	partMethod = "method"
	partURL    = "URL"
)

// arriving is the shape of a request that is to be answered. Secrets that the cassette does not know are taken for any.
func (c *Tape) arriving(req *http.Request, body []byte) shape {
	s := c.secrets
	contentType := req.Header.Get("Content-Type")
	return c.shape(req.Method, s.url(req.URL.String()), contentType, s.body(contentType, string(body)))
}

// recorded is the shape of a request in the cassette.
func (c *Tape) recorded(i vcr.Request) shape {
	return c.shape(i.Method, i.URL, i.Headers.Get("Content-Type"), i.Body)
}

func (c *Tape) shape(method, address, contentType, body string) shape {
	s := shape{partMethod: strings.ToUpper(method)}
	if method == "" {
		s[partMethod] = http.MethodGet
	}
	base, query, _ := strings.Cut(address, "?")
	s[partURL] = canonicalURL(base)
	c.pairs(s, "query ", query)
	var doc any
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	boundary := multipartBoundary.FindStringSubmatch(contentType)
	switch {
	case body == "":
	case isForm(http.Header{"Content-Type": {contentType}}):
		c.pairs(s, "form ", body)
	case json.Valid([]byte(body)) && dec.Decode(&doc) == nil:
		c.flatten(s, "body $", "", doc)
	case boundary != nil:
		s["body"] = strings.ReplaceAll(body, strings.Trim(boundary[1], `"`), "boundary")
	default:
		s["body"] = strings.TrimSpace(body)
	}
	return s
}

var multipartBoundary = regexp.MustCompile(`^(?i:multipart/[^;]+);.*\bboundary=("[^"]+"|[^;\s]+)`)

func canonicalURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

// pairs adds the parameters of a query or form. Several of one name keep their order.
func (c *Tape) pairs(s shape, what, text string) {
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(k)
		if err != nil {
			name = k
		}
		value, err := url.QueryUnescape(v)
		if err != nil {
			value = v
		}
		if c.ignored(name) {
			continue
		}
		if before, ok := s[what+name]; ok {
			value = before + "\x00" + value
		}
		s[what+name] = value
	}
}

// flatten adds the leaves of a JSON document.
func (c *Tape) flatten(s shape, path, name string, v any) {
	if c.ignored(name) {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		if s[path] = "{}"; len(v) > 0 {
			s[path] = "object"
		}
		for k, v := range v {
			c.flatten(s, path+"."+k, k, v)
		}
	case []any:
		s[path] = strconv.Itoa(len(v)) + " items"
		for i, v := range v {
			c.flatten(s, path+"["+strconv.Itoa(i)+"]", "", v)
		}
	default:
		var b bytes.Buffer
		writeJSON(&b, v)
		s[path] = b.String()
	}
}

func (c *Tape) ignored(name string) bool { return name != "" && slices.Contains(c.r.Ignore, name) }

// unknown is the placeholder of a secret that the cassette does not know.
var unknown = regexp.MustCompile(`REDACTED_[a-z0-9_]*[a-z]_0\b`)

// differences returns the names of the parts in which a request that arrives differs from a recorded one, sorted.
func (s shape) differences(rec shape) []string {
	var diff []string
	for part, got := range s {
		want, ok := rec[part]
		if ok && got != want && unknown.MatchString(got) {
			got, want = placeholder.ReplaceAllString(got, "REDACTED"), placeholder.ReplaceAllString(want, "REDACTED")
		}
		if !ok || got != want {
			diff = append(diff, part)
		}
	}
	for part := range rec {
		if _, ok := s[part]; !ok {
			diff = append(diff, part)
		}
	}
	slices.Sort(diff)
	return diff
}

// far is how far away a request with these differences is.
func far(diff []string) int {
	n := len(diff)
	for _, part := range diff {
		switch part {
		case partURL:
			n += 1000
		case partMethod:
			n += 100
		}
	}
	return n
}

// report fails the test for a request that is not in the cassette, once for each.
func (c *Tape) report(got shape) {
	c.t.Helper()
	interactions, err := vcr.Load(strings.TrimSuffix(c.file, ".yaml"))
	if err != nil {
		c.t.Errorf("drivertest: cassette %s: %v", c.name, err)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "drivertest: cassette %s has no interaction left for %s", c.name, c.short(got))
	var near *vcr.Interaction
	var diff []string
	for _, i := range interactions.Interactions {
		if d := got.differences(c.recorded(i.Request)); near == nil || far(d) < far(diff) {
			near, diff = i, d
		}
	}
	switch {
	case near == nil:
		b.WriteString(": it is empty")
	case len(diff) == 0:
		fmt.Fprintf(&b, ": interaction %d is the same, and was played already", near.ID)
	default:
		rec := c.recorded(near.Request)
		fmt.Fprintf(&b, "\nnearest is interaction %d, %s:", near.ID, c.short(rec))
		for n, part := range diff {
			if n == 10 {
				fmt.Fprintf(&b, "\n\tand %d more", len(diff)-n)
				break
			}
			fmt.Fprintf(&b, "\n\t%s: got %s, recorded %s", part, c.show(got, part), c.show(rec, part))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if text := b.String(); !c.done && !c.unmatched[text] {
		c.unmatched[text] = true
		c.t.Error(text)
	}
}

// show is a part's value, bounded, and not shown if it looks secret.
func (c *Tape) show(s shape, part string) string {
	v, ok := s[part]
	switch {
	case !ok:
		return "none"
	case c.secrets.suspect(v) != "":
		return fmt.Sprintf("(%d bytes that may be secret)", len(v))
	case len(v) > 200:
		return fmt.Sprintf("%q… (%d bytes)", v[:200], len(v))
	}
	return strconv.Quote(v)
}

// short is a request in one line: method, URL and the names of what else there is.
func (c *Tape) short(s shape) string {
	var names []string
	for _, part := range slices.Sorted(maps.Keys(s)) {
		if name, ok := strings.CutPrefix(part, "query "); ok {
			names = append(names, name)
		}
	}
	line := s[partMethod] + " " + s[partURL]
	if c.secrets.suspect(s[partURL]) != "" {
		line = s[partMethod] + " (a URL that may hold a secret)"
	}
	if len(names) > 0 {
		line += "?" + strings.Join(names, "&")
	}
	return line
}

// unplayed fails the test for interactions that were not played.
func (c *Tape) unplayed() {
	c.t.Helper()
	if len(c.left) == 0 {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "drivertest: cassette %s: %d interactions were not played:", c.name, len(c.left))
	for n, i := range c.left {
		if n == 10 {
			fmt.Fprintf(&b, "\n\tand %d more", len(c.left)-n)
			break
		}
		fmt.Fprintf(&b, "\n\t%d: %s", i.ID, c.short(c.recorded(i.Request)))
	}
	c.t.Error(b.String())
}
