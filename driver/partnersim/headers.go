package partnersim

import (
	"net/http"
	"strconv"
	"time"
)

// windowHeaders are the canonical names of the X-RateLimit-…-Second family.
var windowHeaders = map[time.Duration][2]string{
	time.Second:    {"X-Ratelimit-Limit-Second", "X-Ratelimit-Remaining-Second"},
	time.Minute:    {"X-Ratelimit-Limit-Minute", "X-Ratelimit-Remaining-Minute"},
	time.Hour:      {"X-Ratelimit-Limit-Hour", "X-Ratelimit-Remaining-Hour"},
	24 * time.Hour: {"X-Ratelimit-Limit-Day", "X-Ratelimit-Remaining-Day"},
}

// PerWindowHeaders sets X-RateLimit-Limit-… and X-RateLimit-Remaining-… for the windows that are a second, a minute,
// an hour or a day long by the clock on the wall. They stay true when time is scaled: at 60, a partner's 120 a minute
// are announced as 120 a second, and a window that is no such unit any more is left out.
func PerWindowHeaders(h http.Header, counts []Count) {
	for _, c := range counts {
		if names, ok := windowHeaders[c.Tier.Per]; ok {
			h[names[0]] = []string{strconv.FormatInt(c.Limit, 10)}
			h[names[1]] = []string{strconv.FormatInt(c.Remaining, 10)}
		}
	}
}
