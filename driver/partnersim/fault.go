package partnersim

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is a kind of fault: one of the constants, an HTTP status from 400 to 599 in digits, or "x-" and the name of
// one of [Config.Answers].
type Kind string

// The kinds of fault. Reset and Outage happen before the request arrives, so that it is never counted; with the
// others it has arrived and is counted.
const (
	TooMany   Kind = "429"       // refused with [Rule.Retry], though no tier is full
	Reset     Kind = "reset"     // the connection breaks before the request arrives
	Outage    Kind = "outage"    // nobody is there: connection refused (on loopback it is cut)
	Lost      Kind = "lost"      // the request is carried out, then the connection breaks: the answer is lost
	Timeout   Kind = "timeout"   // no answer, until the client gives up
	Slow      Kind = "slow"      // the answer's body drips over [Rule.Delay]
	Cut       Kind = "cut"       // the connection breaks in the middle of the answer's body
	HTML      Kind = "html"      // 200 with a gateway's HTML page
	Malformed Kind = "malformed" // the body ends in the middle, and the answer looks whole
	Empty     Kind = "empty"     // 200 without a body
	BOM       Kind = "bom"       // a byte-order mark before the body
	Control   Kind = "control"   // a raw control character inside the first string of a JSON body
	Revoke    Kind = "revoke"    // all tokens are revoked before the request is looked at
)

var kinds = []Kind{TooMany, Reset, Outage, Lost, Timeout, Slow, Cut, HTML, Malformed, Empty, BOM, Control, Revoke}

// Rule makes something go wrong. Only Kind is required: by itself it strikes every request but those to the token
// endpoint (an outage strikes these too). Which of the requests that a rule concerns are struck depends on the seed,
// the rule's place and how many came before, not on time or chance.
type Rule struct {
	Kind Kind
	// Rate is the share of the requests that are struck; 0 means 1, all of them.
	Rate float64
	// Endpoint is which requests the rule concerns: a path, with * for any text without a slash (as in path.Match) or
	// at the end for any rest, and a method before it if it matters: "POST /oauth2/token", "/v1/listings*". "": see
	// above.
	Endpoint string
	// After lets this many of them pass first; Count strikes at most this many, 0 without end.
	After, Count int
	// From and Until bound when the rule is in force, from the server's start, by the partner's clock. Until 0:
	// without end.
	From, Until time.Duration
	// Retry is the Retry-After of a status kind, by the partner's clock; 0: a second for 429, none for others;
	// negative: none.
	Retry time.Duration
	// Delay is how long a slow body takes, by the partner's clock; 0: 10 s.
	Delay time.Duration
}

// status returns the HTTP status that k stands for, 0 if it is no status.
func (k Kind) status() int {
	if n, err := strconv.Atoi(string(k)); err == nil && len(k) == 3 && n >= 400 && n <= 599 {
		return n
	}
	return 0
}

// Validate returns an error that names everything that is wrong with the rule.
func (r Rule) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case r.Kind == "":
		bad("the kind is missing")
	case r.Kind.status() == 0 && !slices.Contains(kinds, r.Kind) && !(strings.HasPrefix(string(r.Kind), "x-") &&
		len(r.Kind) > 2):
		bad("unknown kind %q; known are a status from 400 to 599 and %s", string(r.Kind), kindList())
	}
	if !(r.Rate >= 0 && r.Rate <= 1) {
		bad("the rate is %v, want 0 to 1", r.Rate)
	}
	_, pattern := splitEndpoint(r.Endpoint)
	if _, err := path.Match(strings.TrimSuffix(pattern, "*"), "/"); err != nil || r.Endpoint != "" &&
		!strings.HasPrefix(pattern, "/") {
		bad("the endpoint %q is not a path or pattern that starts with a slash", r.Endpoint)
	}
	if r.After < 0 || r.Count < 0 {
		bad("after is %d and count %d, want 0 or more", r.After, r.Count)
	}
	if r.From < 0 || r.Until < 0 || r.Until > 0 && r.Until <= r.From {
		bad("it is in force from %v until %v, want the end to be later", r.From, r.Until)
	}
	if r.Retry != 0 && r.Kind.status() == 0 {
		bad("retry is for a status, not for %s", r.Kind)
	}
	if r.Delay < 0 || r.Delay != 0 && r.Kind != Slow {
		bad("delay is %v, and for %s alone", r.Delay, Slow)
	}
	return errors.Join(errs...)
}

func kindList() string {
	var b strings.Builder
	for i, k := range kinds {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(k))
	}
	return b.String()
}

// splitEndpoint tells the method from the path.
func splitEndpoint(e string) (method, pattern string) {
	if m, p, ok := strings.Cut(e, " "); ok {
		return m, p
	}
	return "", e
}

// String returns the rule as [ParseFaults] reads it.
func (r Rule) String() string {
	var b strings.Builder
	b.WriteString(string(r.Kind))
	if r.Rate != 0 {
		b.WriteString(":" + strconv.FormatFloat(r.Rate, 'g', -1, 64))
	}
	if r.Endpoint != "" {
		b.WriteString(";at=" + r.Endpoint)
	}
	for _, o := range []struct {
		name string
		n    int
	}{{"after", r.After}, {"count", r.Count}} {
		if o.n != 0 {
			b.WriteString(";" + o.name + "=" + strconv.Itoa(o.n))
		}
	}
	for _, o := range []struct {
		name string
		d    time.Duration
	}{{"from", r.From}, {"until", r.Until}, {"retry", r.Retry}, {"delay", r.Delay}} {
		switch {
		case o.d < 0:
			b.WriteString(";" + o.name + "=none")
		case o.d > 0:
			b.WriteString(";" + o.name + "=" + o.d.String())
		}
	}
	return b.String()
}

// ParseFaults reads rules from text, separated by commas, each a kind with an optional rate (a number or a
// percentage) and options after semicolons, named as the fields of [Rule] but "at" for the endpoint:
//
//	429:0.02,reset:1%,500:0.02
//	outage;from=30s;until=90s
//	403;at=/v1/listings/*;count=3,429:0.1;retry=none
//
// The error names everything that is wrong. Text without any rule has none.
func ParseFaults(spec string) ([]Rule, error) {
	var rules []Rule
	var errs []error
	for _, text := range strings.Split(spec, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		r, err := parseRule(text)
		if err == nil {
			err = r.Validate()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("fault %q: %w", text, err))
			continue
		}
		rules = append(rules, r)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return rules, nil
}

func parseRule(text string) (Rule, error) {
	var errs []error
	head, options, _ := strings.Cut(text, ";")
	kind, rate, rated := strings.Cut(head, ":")
	r := Rule{Kind: Kind(strings.TrimSpace(kind))}
	if rated {
		n, err := parseRate(strings.TrimSpace(rate))
		if err != nil {
			errs = append(errs, err)
		}
		r.Rate = n
	}
	for option := range strings.SplitSeq(options, ";") {
		if option = strings.TrimSpace(option); option == "" {
			continue
		}
		name, value, _ := strings.Cut(option, "=")
		var err error
		switch name, value = strings.TrimSpace(name), strings.TrimSpace(value); name {
		case "at":
			r.Endpoint = value
		case "after":
			r.After, err = strconv.Atoi(value)
		case "count":
			r.Count, err = strconv.Atoi(value)
		case "from":
			r.From, err = time.ParseDuration(value)
		case "until":
			r.Until, err = time.ParseDuration(value)
		case "delay":
			r.Delay, err = time.ParseDuration(value)
		case "retry":
			if r.Retry = -1; value != "none" {
				r.Retry, err = time.ParseDuration(value)
			}
		default:
			err = fmt.Errorf("unknown option, want at, after, count, from, until, retry or delay")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("option %q: %w", name, err))
		}
	}
	return r, errors.Join(errs...)
}

// parseRate reads 0.02 or 2%.
func parseRate(text string) (float64, error) {
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if percent {
		n /= 100
	}
	if err != nil || !(n > 0 && n <= 1) {
		return math.NaN(), fmt.Errorf("the rate is %q, want a number above 0 and up to 1, or a percentage", text)
	}
	return n, nil
}

// ruleState is a rule and what it did. It is guarded by the server's mutex.
type ruleState struct {
	Rule
	seed       Dice
	seen, hits int
}

// hit says whether the rule strikes this request.
func (r *ruleState) hit(s *Server, req *http.Request, now time.Duration) bool {
	if r.Endpoint == "" {
		if r.Kind != Outage && s.isToken(req) {
			return false
		}
	} else if !matches(r.Endpoint, req) {
		return false
	}
	if now < s.scaled(r.From) || r.Until > 0 && now >= s.scaled(r.Until) {
		return false
	}
	n := r.seen
	r.seen++
	if n < r.After || r.Count > 0 && r.hits >= r.Count {
		return false
	}
	if r.Rate > 0 && r.seed.Float(n) >= r.Rate {
		return false
	}
	r.hits++
	return true
}

// matches says whether the endpoint of a valid rule covers the request.
func matches(endpoint string, r *http.Request) bool {
	method, pattern := splitEndpoint(endpoint)
	if method != "" && method != r.Method {
		return false
	}
	if rest, open := strings.CutSuffix(pattern, "*"); open && !strings.ContainsAny(rest, "*?[\\") {
		return strings.HasPrefix(r.URL.Path, rest)
	}
	ok, err := path.Match(pattern, r.URL.Path)
	return ok && err == nil
}
