package ratelimit

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// IETFHeaders is a [Dialect]. It reads the headers of draft-ietf-httpapi-ratelimit-headers in the forms that are in use:
//
//   - since draft 08: RateLimit: "burst";r=50;t=30 with RateLimit-Policy: "burst";q=100;w=60, matched by name;
//   - draft 07: RateLimit: limit=100, remaining=50, reset=30 with RateLimit-Policy: 100;w=60, matched by the limit;
//   - drafts 00 to 06: RateLimit-Limit, RateLimit-Remaining and RateLimit-Reset, with the window in RateLimit-Policy or in
//     RateLimit-Limit, as in 100, 100;w=60.
//
// The window, w, selects the tier, so a report whose policy is not in the same answer is ignored; of the three headers without any window,
// [NewDialect] makes use. Policies in units other than requests (qu) are ignored. The fields are structured fields (RFC 9651) and
// read as strictly: one that breaks the syntax is taken as absent, all of it.
func IETFHeaders(h http.Header, now time.Time, obs []Observation) []Observation {
	if len(h) == 0 {
		return obs
	}
	report := field(h["Ratelimit"])
	remaining := number(h["Ratelimit-Remaining"])
	limits := field(h["Ratelimit-Limit"])
	if report == "" && remaining < 0 && limits == "" {
		return obs
	}
	var buf [2 * maxWindows]policy
	policies, ok := readPolicies(field(h["Ratelimit-Policy"]), buf[:0:maxWindows])
	if !ok {
		policies = nil
	}
	policies = append(buf[:0], policies...)
	if report != "" {
		if out, ok := readReport(report, policies, now, obs); ok {
			return out
		}
		return readCombined(report, policies, now, obs)
	}
	n := len(policies)
	policies, ok = readPolicies(limits, policies)
	if !ok || len(policies) == n || policies[n].name != "" {
		return obs
	}
	limit := policies[n].quota
	reset := number(h["Ratelimit-Reset"])
	return appendByLimit(policies, limit, remaining, reset, now, obs)
}

// policy is an item of RateLimit-Policy.
type policy struct {
	name   string // "" before draft 08
	quota  int64
	window time.Duration // 0: not said
	other  bool          // counts something else than requests
}

// seconds is a number of seconds, 0 if it is out of range.
func seconds(n int64) time.Duration {
	if n < 1 || n > int64(maxPer/time.Second) {
		return 0
	}
	return time.Duration(n) * time.Second
}

// readPolicies appends the items of a list of policies, of either form, unless it breaks the syntax.
func readPolicies(s string, out []policy) ([]policy, bool) {
	p := fields{s: s}
	for p.next() {
		var pol policy
		switch item := p.bare(); item.kind {
		case sfInteger:
			pol.quota = item.n
		case sfString, sfToken:
			pol.name, pol.quota = item.s, -1
		default:
			pol.other = true
		}
		named := pol.name != ""
		for {
			key, value, ok := p.param()
			if !ok {
				break
			}
			switch {
			case key == "w" && value.kind == sfInteger:
				pol.window = seconds(value.n)
			case key == "q" && named && value.kind == sfInteger:
				pol.quota = value.n
			case key == "qu":
				pol.other = value.s != "requests"
			}
		}
		if len(out) < cap(out) {
			out = append(out, pol)
		}
	}
	return out, !p.bad
}

// readReport reads RateLimit as of draft 08; false if that is not its form.
func readReport(s string, policies []policy, now time.Time, obs []Observation) ([]Observation, bool) {
	p := fields{s: s}
	before := len(obs)
	for p.next() {
		item := p.bare()
		remaining, reset := int64(-1), int64(-1)
		for {
			key, value, ok := p.param()
			if !ok {
				break
			}
			switch {
			case value.kind != sfInteger:
			case key == "r":
				remaining = value.n
			case key == "t":
				reset = value.n
			}
		}
		if item.s == "" || remaining < 0 || len(obs)-before >= maxWindows {
			continue
		}
		for _, pol := range policies {
			if pol.name == item.s && pol.window > 0 && !pol.other {
				obs = append(obs, observation(pol.window, pol.quota, remaining, reset, now))
				break
			}
		}
	}
	if p.bad {
		return obs[:before], false
	}
	return obs, len(obs) > before
}

// readCombined reads RateLimit as of draft 07.
func readCombined(s string, policies []policy, now time.Time, obs []Observation) []Observation {
	limit, remaining, reset := int64(-1), int64(-1), int64(-1)
	p := fields{s: s}
	for p.next() {
		key := p.key()
		value := item{kind: sfBoolean}
		if p.eat('=') {
			value = p.bare()
		}
		for {
			if _, _, ok := p.param(); !ok {
				break
			}
		}
		n := int64(-1)
		if value.kind == sfInteger {
			n = value.n
		}
		switch key {
		case "limit":
			limit = n
		case "remaining":
			remaining = n
		case "reset":
			reset = n
		}
	}
	if p.bad {
		return obs
	}
	return appendByLimit(policies, limit, remaining, reset, now, obs)
}

// appendByLimit appends a report that says which policy it is about by the limit alone: there must be one policy
// with that limit whose window is known, and no second with another window.
func appendByLimit(policies []policy, limit, remaining, reset int64, now time.Time, obs []Observation) []Observation {
	var of policy
	var windows int
	for _, pol := range policies {
		if pol.window > 0 && !pol.other && pol.quota == limit && pol.window != of.window {
			of = pol
			windows++
		}
	}
	if windows != 1 || limit < 0 {
		return obs
	}
	return append(obs, observation(of.window, limit, remaining, reset, now))
}

func observation(per time.Duration, limit, remaining, reset int64, now time.Time) Observation {
	o := Observation{Per: per, Limit: max(-1, limit), Remaining: max(-1, remaining)}
	if in := seconds(reset); in > 0 && in <= per {
		o.Reset = now.Add(in)
	}
	return o
}

// field is the value of a field that may come in several lines (RFC 9110, 5.3).
func field(lines []string) string {
	if len(lines) < 2 {
		return first(lines)
	}
	return strings.Join(lines, ",")
}

// fields reads the part of RFC 9651's syntax that the headers use: lists of items with parameters, and dictionaries of items. Inner
// lists and display strings, which they do not use, are errors like any other. It is written out here because the package is
// to be imported without further modules, and because nothing needs to be allocated.
type fields struct {
	s     string
	bad   bool
	begun bool
}

type itemKind uint8

const (
	sfNone itemKind = iota
	sfInteger
	sfString
	sfToken
	sfBoolean
	sfOther
)

type item struct {
	kind itemKind
	n    int64
	s    string
}

func (p *fields) fail() item {
	p.bad, p.s = true, ""
	return item{}
}

func (p *fields) eat(c byte) bool {
	if p.s != "" && p.s[0] == c {
		p.s = p.s[1:]
		return true
	}
	return false
}

// next goes on to the next member; it reports whether there is one.
func (p *fields) next() bool {
	if !p.begun {
		p.begun = true
		p.s = strings.Trim(p.s, " ")
		return p.s != ""
	}
	p.s = strings.TrimLeft(p.s, " \t")
	if p.bad || p.s == "" {
		return false
	}
	ok := p.eat(',')
	p.s = strings.TrimLeft(p.s, " \t")
	if !ok || p.s == "" {
		p.fail() // something else, or a comma at the end
		return false
	}
	return true
}

// span cuts off what consists of bytes that f accepts.
func (p *fields) span(f func(c byte) bool) string {
	n := 0
	for n < len(p.s) && f(p.s[n]) {
		n++
	}
	out := p.s[:n]
	p.s = p.s[n:]
	return out
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (p *fields) key() string {
	if p.s == "" || p.s[0] != '*' && (p.s[0] < 'a' || p.s[0] > 'z') {
		p.fail()
		return ""
	}
	return p.span(func(c byte) bool { return c >= 'a' && c <= 'z' || isDigit(c) || strings.IndexByte("_-.*", c) >= 0 })
}

// param returns the next parameter of an item; false if there is no more.
func (p *fields) param() (key string, value item, ok bool) {
	if !p.eat(';') {
		return "", item{}, false
	}
	p.s = strings.TrimLeft(p.s, " ")
	key = p.key()
	value = item{kind: sfBoolean, n: 1}
	if p.eat('=') {
		value = p.bare()
	}
	return key, value, !p.bad
}

// bare returns an item without its parameters.
func (p *fields) bare() item {
	if p.s == "" {
		return p.fail()
	}
	switch c := p.s[0]; {
	case c == '-' || isDigit(c):
		return p.numeral()
	case c == '"':
		return p.text()
	case c == '*' || isAlpha(c):
		return item{kind: sfToken, s: p.span(func(c byte) bool { return isTokenChar(c) || c == ':' || c == '/' })}
	case c == '?':
		p.s = p.s[1:]
		if p.eat('1') || p.eat('0') {
			return item{kind: sfBoolean}
		}
	case c == ':':
		if end := strings.IndexByte(p.s[1:], ':'); end >= 0 {
			data := p.s[1 : 1+end]
			p.s = p.s[2+end:]
			if isBase64(data) {
				return item{kind: sfOther}
			}
		}
	case c == '@':
		p.s = p.s[1:]
		if at := p.numeral(); at.kind == sfInteger {
			return item{kind: sfOther}
		}
	}
	return p.fail()
}

func isBase64(s string) bool {
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil && !strings.ContainsAny(s, "\r\n")
}

// numeral reads an integer of at most 15 digits, or a decimal of at most 12 and 3.
func (p *fields) numeral() item {
	negative := p.eat('-')
	whole := p.span(isDigit)
	if whole == "" || len(whole) > 15 {
		return p.fail()
	}
	if p.eat('.') {
		fraction := p.span(isDigit)
		if len(whole) > 12 || fraction == "" || len(fraction) > 3 {
			return p.fail()
		}
		return item{kind: sfOther}
	}
	n := digits(whole)
	if negative {
		n = -n
	}
	return item{kind: sfInteger, n: n}
}

// text reads a string.
func (p *fields) text() item {
	escaped := false
	for i := 1; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c < 0x20 || c >= 0x7f:
			return p.fail()
		case c == '"':
			s := p.s[1:i]
			p.s = p.s[i+1:]
			if escaped {
				s = unescape.Replace(s)
			}
			return item{kind: sfString, s: s}
		case c == '\\':
			if i++; i == len(p.s) || p.s[i] != '"' && p.s[i] != '\\' {
				return p.fail()
			}
			escaped = true
		}
	}
	return p.fail()
}

var unescape = strings.NewReplacer(`\\`, `\`, `\"`, `"`)
