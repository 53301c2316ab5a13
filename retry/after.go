package retry

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAfter bounds what is made of a Retry-After: nobody waits for longer, and times stay representable.
const maxAfter = 10 * 365 * 24 * time.Hour

// ParseRetryAfter reads a Retry-After header (RFC 9110 section 10.2.3): seconds, which may have a fraction, or an
// HTTP date in any of its three forms. It returns the time to come back at, never before now, and false for anything else. A date
// is judged by the answer's own Date header when it has one, so that a clock that is off does not matter. A wait of
// more than ten years is cut to that.
func ParseRetryAfter(h http.Header, now time.Time) (time.Time, bool) {
	values := h["Retry-After"]
	if len(values) == 0 {
		return time.Time{}, false
	}
	s := strings.TrimSpace(values[0])
	if d, ok := seconds(s); ok {
		return now.Add(d), true
	}
	t, err := http.ParseTime(s)
	if err != nil {
		return time.Time{}, false
	}
	from := now
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		from = date
	}
	return now.Add(min(max(t.Sub(from), 0), maxAfter)), true
}

// seconds reads decimal seconds, in plain notation.
func seconds(s string) (time.Duration, bool) {
	if s == "" || len(s) > 400 || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 1) {
		return 0, false
	}
	if f >= maxAfter.Seconds() {
		return maxAfter, true
	}
	return time.Duration(math.Ceil(f * float64(time.Second))), true
}
