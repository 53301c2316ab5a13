package ratelimit

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// perWindow are the headers that PerWindowHeaders reads, by their canonical keys.
var perWindow = [...]struct {
	limit, remaining string
	per              time.Duration
}{
	{"X-Ratelimit-Limit-Second", "X-Ratelimit-Remaining-Second", time.Second},
	{"X-Ratelimit-Limit-Minute", "X-Ratelimit-Remaining-Minute", time.Minute},
	{"X-Ratelimit-Limit-Hour", "X-Ratelimit-Remaining-Hour", time.Hour},
	{"X-Ratelimit-Limit-Day", "X-Ratelimit-Remaining-Day", 24 * time.Hour},
}

// PerWindowHeaders is a [Dialect]. It reads X-RateLimit-Limit-{Second,Minute,Hour,Day} and X-RateLimit-Remaining-…, as Guesty
// and gateways built on Kong send them. A value that is not a plain number is taken as absent. (Retry-After is no matter of dialect: it
// is always heeded.)
func PerWindowHeaders(h http.Header, now time.Time, obs []Observation) []Observation {
	if len(h) == 0 {
		return obs
	}
	for i := range perWindow {
		w := &perWindow[i]
		limit, remaining := number(h[w.limit]), number(h[w.remaining])
		if limit >= 0 || remaining >= 0 {
			obs = append(obs, Observation{Per: w.per, Limit: limit, Remaining: remaining})
		}
	}
	return obs
}

// LimitHeaders says in which headers a partner reports one limit. Names have no case; "" means that it is not sent. A value that
// does not look as declared is taken as absent.
type LimitHeaders struct {
	// Per is the window that the limit is for, as the partner's manual says; it selects the tier.
	Per time.Duration
	// Limit, Remaining and Used hold plain numbers. Used needs Limit, and goes without Remaining.
	Limit, Remaining, Used string
	// UsedOfLimit holds both numbers in one value, as "32/40". It goes with none of the three above.
	UsedOfLimit string
	// Reset holds the time when Remaining is Limit again, written as ResetAs says.
	Reset   string
	ResetAs ResetFormat
}

// ResetFormat is how a partner writes when a window ends.
type ResetFormat uint8

// The ways of writing a reset. A point in time is read on the partner's clock: if the answer has a Date, what counts is how long after
// it the reset is. One that is not after now, or further away than the window is long, is taken as absent; so a wrong unit or clock costs
// accuracy, and never makes the limiter forget early what others spent.
const (
	ResetSeconds   ResetFormat = iota + 1 // in so many seconds: "41", "0.75"
	ResetMillis                           // in so many milliseconds: "750"
	ResetUnix                             // at so many seconds since the Unix epoch: "1372700873", "1470173023.123"
	ResetUnixMilli                        // at so many milliseconds since the Unix epoch: "1372700873000"
	ResetTime                             // at an HTTP date or an ISO 8601 time of RFC 3339's profile
	ResetDuration                         // in a time with units: "6m0s", "1s", "20ms"
)

// NewDialect returns a [Dialect] that reads the limits as they are described, or an error that names everything that is wrong with
// the descriptions. GitHub's, for example:
//
//	ratelimit.NewDialect(ratelimit.LimitHeaders{Per: time.Hour, Limit: "X-RateLimit-Limit",
//		Remaining: "X-RateLimit-Remaining", Reset: "X-RateLimit-Reset", ResetAs: ratelimit.ResetUnix})
//
// Limits on different things (requests and tokens, say) belong to limiters of their own, each with its own dialect.
func NewDialect(limits ...LimitHeaders) (Dialect, error) {
	if len(limits) == 0 {
		return nil, errors.New("ratelimit: a dialect without limits")
	}
	var errs []error
	read := make([]LimitHeaders, len(limits))
	seen := make(map[time.Duration]int)
	for i, d := range limits {
		bad := func(wrong bool, format string, args ...any) {
			if wrong {
				errs = append(errs, fmt.Errorf("ratelimit: headers of limit %d: "+format, append([]any{i}, args...)...))
			}
		}
		bad(d.Per <= 0 || d.Per > maxPer, "Per is %v, want more than 0 and at most %v", d.Per, maxPer)
		if j, dup := seen[d.Per]; dup {
			bad(true, "Per is that of limit %d", j)
		}
		seen[d.Per] = i
		bad(d.Limit == "" && d.Remaining == "" && d.UsedOfLimit == "", "none of Limit, Remaining and UsedOfLimit is set")
		bad(d.UsedOfLimit != "" && (d.Limit != "" || d.Remaining != "" || d.Used != ""), "UsedOfLimit goes with no other number")
		bad(d.Used != "" && (d.Limit == "" || d.Remaining != ""), "Used needs Limit and goes without Remaining")
		bad(d.ResetAs > ResetDuration, "ResetAs is %d, want ResetSeconds to ResetDuration", d.ResetAs)
		bad((d.Reset == "") != (d.ResetAs == 0), "Reset and ResetAs go together")
		for _, name := range []*string{&d.Limit, &d.Remaining, &d.Used, &d.UsedOfLimit, &d.Reset} {
			bad(*name != "" && !isName(*name), "%q is no header's name", *name)
			*name = http.CanonicalHeaderKey(*name)
		}
		read[i] = d
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return func(h http.Header, now time.Time, obs []Observation) []Observation {
		if len(h) == 0 {
			return obs
		}
		for i := range read {
			if o, ok := read[i].read(h, now); ok {
				obs = append(obs, o)
			}
		}
		return obs
	}, nil
}

func (d *LimitHeaders) read(h http.Header, now time.Time) (Observation, bool) {
	o := Observation{Per: d.Per, Limit: -1, Remaining: -1}
	if d.UsedOfLimit != "" {
		used, limit, ok := strings.Cut(first(h[d.UsedOfLimit]), "/")
		if u, l := digits(used), digits(limit); ok && u >= 0 && l >= 0 {
			o.Limit, o.Remaining = l, max(0, l-u)
		}
	} else {
		o.Limit, o.Remaining = number(h[d.Limit]), number(h[d.Remaining])
		if used := number(h[d.Used]); used >= 0 && o.Limit >= 0 {
			o.Remaining = max(0, o.Limit-used)
		}
	}
	if o.Limit < 0 && o.Remaining < 0 {
		return o, false
	}
	if d.ResetAs != 0 {
		o.Reset = d.ResetAs.read(first(h[d.Reset]), h, now, d.Per)
	}
	return o, true
}

// read returns when the window ends on our clock; the zero time if s does not say.
func (f ResetFormat) read(s string, h http.Header, now time.Time, per time.Duration) time.Time {
	if s == "" || len(s) > 64 {
		return time.Time{}
	}
	var in time.Duration
	switch f {
	case ResetSeconds:
		in, _ = decimal(s, time.Second)
	case ResetMillis:
		in, _ = decimal(s, time.Millisecond)
	case ResetUnix:
		if at, ok := decimal(s, time.Second); ok {
			in = time.Unix(0, int64(at)).Sub(partnerTime(h, now))
		}
	case ResetUnixMilli:
		if at, ok := decimal(s, time.Millisecond); ok {
			in = time.Unix(0, int64(at)).Sub(partnerTime(h, now))
		}
	case ResetTime:
		if at, ok := pointInTime(s); ok {
			in = at.Sub(partnerTime(h, now))
		}
	case ResetDuration:
		if d, err := time.ParseDuration(s); err == nil {
			in = d
		}
	}
	if in <= 0 || in > per {
		return time.Time{}
	}
	return now.Add(in)
}

// partnerTime is the partner's clock as it wrote the answer, ours if it does not say.
func partnerTime(h http.Header, now time.Time) time.Time {
	if s := first(h["Date"]); s != "" && len(s) <= 64 {
		if at, err := http.ParseTime(s); err == nil {
			return at
		}
	}
	return now
}

func pointInTime(s string) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339, s); err == nil { // a fraction is read too
		return at, true
	}
	if at, err := time.Parse("2006-01-02T15:04:05Z0700", s); err == nil {
		return at, true
	}
	at, err := http.ParseTime(s)
	return at, err == nil
}

// PairedWindows returns a [Dialect] for partners that report several windows in one header, as "100:10,1000:60": 100 in ten seconds
// and 1,000 in sixty. limit names the header with the limits; used the one with what is spent, of the same form, "" if there is
// none. Riot's, for example: PairedWindows("X-App-Rate-Limit", "X-App-Rate-Limit-Count"). A header that is not of this form
// throughout is taken as absent.
func PairedWindows(limit, used string) (Dialect, error) {
	var errs []error
	if !isName(limit) {
		errs = append(errs, fmt.Errorf("ratelimit: paired windows: %q is no header's name", limit))
	}
	if used != "" && !isName(used) {
		errs = append(errs, fmt.Errorf("ratelimit: paired windows: %q is no header's name", used))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	limit, used = http.CanonicalHeaderKey(limit), http.CanonicalHeaderKey(used)
	return func(h http.Header, _ time.Time, obs []Observation) []Observation {
		limits, spent := first(h[limit]), first(h[used])
		if !pairs(limits, nil) {
			return obs
		}
		known := pairs(spent, nil)
		pairs(limits, func(n int64, per time.Duration) {
			o := Observation{Per: per, Limit: n, Remaining: -1}
			if known {
				pairs(spent, func(u int64, p time.Duration) {
					if p == per {
						o.Remaining = max(0, n-u)
					}
				})
			}
			obs = append(obs, o)
		})
		return obs
	}, nil
}

// maxWindows bounds how many windows an answer can report.
const maxWindows = 8

// pairs calls f for each pair in s, and reports whether s is of the form throughout.
func pairs(s string, f func(n int64, per time.Duration)) bool {
	for i := 0; ; i++ {
		pair, rest, more := strings.Cut(s, ",")
		a, b, ok := strings.Cut(strings.Trim(pair, " \t"), ":")
		n, per := digits(a), digits(b)
		if i == maxWindows || !ok || n < 0 || per < 1 || per > int64(maxPer/time.Second) {
			return false
		}
		if f != nil {
			f(n, time.Duration(per)*time.Second)
		}
		if !more {
			return true
		}
		s = rest
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// number reads the first value as a number of at most 15 digits; -1 if it is none.
func number(values []string) int64 { return digits(first(values)) }

func digits(s string) int64 {
	if s == "" || len(s) > 15 {
		return -1
	}
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int64(c-'0')
	}
	return n
}

// decimal reads digits and perhaps a fraction as so many units, rounded up to nanoseconds.
func decimal(s string, unit time.Duration) (time.Duration, bool) {
	whole, fraction, dot := strings.Cut(s, ".")
	n := digits(whole)
	if n < 0 || n > int64((1<<63-1)/unit)-1 {
		return 0, false
	}
	d := time.Duration(n) * unit
	if !dot {
		return d, true
	}
	if digits(fraction) < 0 { // of at most 15 digits
		return 0, false
	}
	part := unit
	for _, c := range []byte(fraction) {
		if part /= 10; part == 0 && c != '0' {
			return d + 1, true
		}
		d += time.Duration(c-'0') * part
	}
	return d, true
}

// isName reports whether s is a token, as the name of a header is (RFC 9110, 5.6.2).
func isName(s string) bool {
	for _, c := range []byte(s) {
		if !isTokenChar(c) {
			return false
		}
	}
	return s != ""
}

func isTokenChar(c byte) bool {
	return c >= '0' && c <= '9' || isAlpha(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isAlpha(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
