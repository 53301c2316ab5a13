package chaos

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

// Kind is a kind of fault: one of the constants, or an HTTP status from 400 to 599 in digits.
type Kind string

// The kinds of fault; see the package comment.
const (
	Latency   Kind = "latency"
	Timeout   Kind = "timeout"
	Refused   Kind = "refused"
	Reset     Kind = "reset"
	TooMany   Kind = "429"
	HTML      Kind = "html"
	Lost      Kind = "lost"
	Slow      Kind = "slow"
	Cut       Kind = "cut"
	Truncated Kind = "truncated"
	Skew      Kind = "skew"

	Duplicate Kind = "duplicate"
	Reorder   Kind = "reorder"
	Redeliver Kind = "redeliver"
)

var kinds = []Kind{Latency, Timeout, Refused, Reset, TooMany, HTML, Lost, Slow, Cut, Truncated, Skew, Duplicate,
	Reorder, Redeliver}

// status returns the HTTP status that k stands for, 0 if it is none.
func (k Kind) status() int {
	if n, err := strconv.Atoi(string(k)); err == nil && len(k) == 3 && n >= 400 && n <= 599 {
		return n
	}
	return 0
}

// webhook says that k is for deliveries that come in, not for calls that go out.
func (k Kind) webhook() bool { return k == Duplicate || k == Reorder || k == Redeliver }

// adds says that k is added to what else happens.
func (k Kind) adds() bool { return k == Latency || k == Skew }

// Rule makes something go wrong. Only Kind is required; by itself it strikes every request.
type Rule struct {
	Kind Kind
	// Rate is the share of the requests that are struck, up to 1; 0 means 1.
	Rate float64
	// Endpoint is which requests the rule concerns: a path in which * stands for any text without a slash (as in
	// path.Match) and at the end for any rest, with a host before it and a method before that where they matter:
	// "/v1/listings/*", "POST /oauth2/token", "GET api.acme.example/v1/*", "*.acme.example/*". A host's port counts
	// only if it is given. "": all.
	Endpoint string
	// After lets this many requests of each identity pass first; Count strikes at most this many of each, 0 without
	// end.
	After, Count int
	// From and Until bound when the rule is in force, from when the injector was made; Until 0: without end. With
	// Every they bound it in each period of that length: from 1m until 2m every 10m is the second minute of each ten.
	From, Until, Every time.Duration
	// Retry is the Retry-After of a status: "7s" in seconds (rounded up), "date:7s" as a date (which may be past:
	// "date:-1m"), "garbage", or "none". "": one second for 429, none for others.
	Retry string
	// Delay: see the kinds of fault.
	Delay time.Duration
	// Jitter is added to latency, in a share that is drawn.
	Jitter time.Duration
	// Skew is how far the partner's clock is ahead; behind if negative. Of the kind skew only.
	Skew time.Duration
}

const (
	retryNone    = "none"
	retryGarbage = "garbage"
	retryDate    = "date:"
)

// Validate returns an error that names everything that is wrong with the rule.
func (r Rule) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	status := r.Kind.status() != 0
	bad(!status && !slices.Contains(kinds, r.Kind), "unknown kind %q; known are a status from 400 to 599 and %s",
		string(r.Kind), kindList())
	bad(!(r.Rate >= 0 && r.Rate <= 1), "the rate is %v, want 0 to 1", r.Rate)
	if r.Endpoint != "" {
		bad(!parseEndpoint(r.Endpoint).valid(),
			"the endpoint %q is not a path or pattern, with a host and a method before it if they matter", r.Endpoint)
	}
	bad(strings.ContainsAny(r.Endpoint, ",;"), "the endpoint holds a comma or semicolon, want * in its place")
	bad(r.After < 0 || r.Count < 0, "after is %d and count %d, want 0 or more", r.After, r.Count)
	bad(r.From < 0 || r.Until < 0 || r.Until > 0 &&
		r.Until <= r.From, "it is in force from %v until %v, want the end to be later", r.From, r.Until)
	bad(r.Every < 0 || r.Every > 0 && (r.Until == 0 || r.Until > r.Every),
		"it is in force every %v, want a period in which its end lies", r.Every)
	bad(r.Retry != "" && !status, "retry is for a status, not for %s", r.Kind)
	if _, err := r.retryAfter(time.Time{}); err != nil {
		errs = append(errs, err)
	}
	delays := slices.Contains([]Kind{Latency, Timeout, Slow, Reorder}, r.Kind)
	bad(r.Delay < 0 || r.Delay != 0 && !delays, "delay is %v, and for latency, timeout, slow and reorder alone",
		r.Delay)
	bad(r.Kind == Latency && r.Delay == 0 && r.Jitter == 0, "latency needs a delay or jitter")
	bad(r.Jitter < 0 || r.Jitter != 0 && r.Kind != Latency, "jitter is %v, and for latency alone", r.Jitter)
	bad((r.Skew != 0) != (r.Kind == Skew), "skew is %v, want one for the kind skew, and for it alone", r.Skew)
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

// retryAfter returns the value of the header at a time by the partner's clock, "" for none.
func (r Rule) retryAfter(now time.Time) (string, error) {
	spec := r.Retry
	if spec == "" && r.Kind == TooMany {
		spec = "1s"
	}
	switch spec {
	case "", retryNone:
		return "", nil
	case retryGarbage:
		return "when we feel better", nil
	}
	text, date := strings.CutPrefix(spec, retryDate)
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 && !date {
		return "", fmt.Errorf("retry is %q, want a duration, date: and a duration, garbage or none", r.Retry)
	}
	if date {
		at := now.Add(d).Add(time.Second - 1).Truncate(time.Second) // never earlier
		return at.UTC().Format(http.TimeFormat), nil
	}
	return strconv.FormatFloat(math.Ceil(d.Seconds()), 'f', -1, 64), nil
}

// String returns the rule as [Parse] reads it.
func (r Rule) String() string {
	var b strings.Builder
	b.WriteString(string(r.Kind))
	if r.Rate != 0 {
		b.WriteString(":" + strconv.FormatFloat(r.Rate, 'g', -1, 64))
	}
	option := func(name, value string) {
		if value != "" {
			b.WriteString(";" + name + "=" + value)
		}
	}
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	duration := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return d.String()
	}
	option("at", r.Endpoint)
	option("after", number(r.After))
	option("count", number(r.Count))
	option("from", duration(r.From))
	option("until", duration(r.Until))
	option("every", duration(r.Every))
	option("retry", r.Retry)
	option("delay", duration(r.Delay))
	option("jitter", duration(r.Jitter))
	option("by", duration(r.Skew))
	return b.String()
}

// endpoint is a rule's Endpoint in its parts.
type endpoint struct{ method, host, path string }

func parseEndpoint(s string) endpoint {
	var e endpoint
	if m, rest, ok := strings.Cut(s, " "); ok {
		e.method, s = m, rest
	}
	i := strings.IndexByte(s, '/')
	if i < 0 {
		i = len(s)
	}
	e.host, e.path = strings.ToLower(s[:i]), s[i:]
	return e
}

func (e endpoint) valid() bool {
	_, err := path.Match(strings.TrimSuffix(e.path, "*"), "/")
	_, hostErr := path.Match(e.host, "a")
	return err == nil && hostErr == nil && e.path != "" && !strings.ContainsAny(e.host+e.path, " ")
}

// matches says whether a valid rule's endpoint covers a request to the host.
func (e endpoint) matches(method, host, p string) bool {
	if e == (endpoint{}) {
		return true
	}
	if e.method != "" && e.method != method {
		return false
	}
	if e.host != "" {
		host = strings.ToLower(host)
		if i := strings.LastIndexByte(host, ':'); i > 0 && !strings.Contains(e.host, ":") {
			host = host[:i]
		}
		if ok, err := path.Match(e.host, host); !ok || err != nil {
			return false
		}
	}
	if rest, open := strings.CutSuffix(e.path, "*"); open && !strings.ContainsAny(rest, "*?[\\") {
		return strings.HasPrefix(p, rest)
	}
	ok, err := path.Match(e.path, p)
	return ok && err == nil
}

// inForce says whether the rule is, so long after the start.
func (r Rule) inForce(elapsed time.Duration) bool {
	if r.Every > 0 {
		elapsed %= r.Every
	}
	return elapsed >= r.From && (r.Until == 0 || elapsed < r.Until)
}
