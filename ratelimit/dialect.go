package ratelimit

import (
	"net/http"
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

// number reads the first value as a number of at most 15 digits; -1 if it is none.
func number(values []string) int64 {
	if len(values) == 0 || len(values[0]) == 0 || len(values[0]) > 15 {
		return -1
	}
	var n int64
	for _, c := range []byte(values[0]) {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int64(c-'0')
	}
	return n
}
