package auth

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Budget is how many token requests the partner grants in a sliding window.
type Budget struct {
	Requests int
	Per      time.Duration
}

// maxCoolDown bounds what a partner's Retry-After can do.
const maxCoolDown = 24 * time.Hour

// inWindow returns the requests that count at now, oldest first. A time further ahead than a request can be on its
// way was written by a clock that was wrong; it is taken for the furthest that can be.
func (b Budget) inWindow(reqs []time.Time, now time.Time, ahead time.Duration) []time.Time {
	var kept []time.Time
	for _, t := range reqs {
		if limit := now.Add(ahead); t.After(limit) {
			t = limit
		}
		if b.Requests == 0 || t.After(now.Add(-b.Per)) {
			kept = append(kept, t)
		}
	}
	slices.SortFunc(kept, time.Time.Compare)
	if b.Requests == 0 && len(kept) > 1 { // unbounded: the last one is enough to tell what happened
		kept = kept[len(kept)-1:]
	}
	return kept
}

// next returns when another request fits, zero when it does now. reqs are those in the window.
func (b Budget) next(reqs []time.Time) time.Time {
	if b.Requests == 0 || len(reqs) < b.Requests {
		return time.Time{}
	}
	return reqs[len(reqs)-b.Requests].Add(b.Per)
}

// pace is how long to leave alone a token endpoint that granted few requests, when spent of them are gone: hardly at
// all while most are left, an even share of the window when none is.
func (b Budget) pace(spent int) time.Duration {
	if b.Requests == 0 {
		return 0
	}
	share := float64(b.Per) / float64(b.Requests)
	return time.Duration(share * math.Pow(6, float64(min(spent, b.Requests)-b.Requests)))
}

// coolDown is how long to wait after the n-th failure in a row, counted from 1, with spent requests in the window.
func (b Budget) coolDown(n, spent int) time.Duration {
	d := min(time.Second<<min(n-1, 10), 5*time.Minute)
	d = max(d, b.pace(spent))
	return d - d/4 + rand.N(d/2+1) // 75 % to 125 %: processes that failed together do not come back together
}
