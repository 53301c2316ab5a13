package partnersim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// Report is what a simulated partner saw.
type Report struct {
	// Requests arrived and were counted, whatever became of them: those to the token endpoint and those that were
	// refused included.
	Requests int
	// TokenRequests are those of them that went to the token endpoint.
	TokenRequests int
	// Throttled were answered 429 because a tier was full. 429s that a fault rule made are in Faults["429"] alone.
	Throttled int
	// Violations arrived although a tier was full: one for each request, however many tiers were. It equals
	// Throttled; Ledger says more of the first hundred, one entry for each full tier.
	Violations int
	Ledger     []Violation
	// Abandoned were given up by their client before their answer was read.
	Abandoned int
	// Tiers is the use of every tier of every quota, in the order they were declared.
	Tiers []TierReport
	// Faults counts by kind what the rules made go wrong.
	Faults map[string]int
	// Unexpected are the notes of the partner's handlers on requests that its documentation does not cover, such as an
	// unknown parameter: each once, in the order they came, at most a hundred.
	Unexpected []string
	// Elapsed is the time from the first arrival to the last.
	Elapsed time.Duration
}

// TierReport is the use of one tier by the key that used it most.
type TierReport struct {
	Quota string
	// Tier is the tier as the clock on the wall sees it: scaled.
	Tier ratelimit.Tier
	// Worst is the most arrivals that any window held, or the most requests in flight, refused ones included; beyond
	// twice the limit it is no longer exact.
	Worst int64
	// Share is the part of the tier that was used, 1 being all of it: of a sliding tier the mean occupancy of the
	// window from one window after the first arrival to the last arrival. A client that waits out a latency L in each
	// window of length W can reach W/(W+L).
	Share float64
	// Counted is how many arrivals the tier counted, of all keys.
	Counted int64
}

// sums are the server's plain counts.
type sums struct {
	requests, tokens, throttled, violations, abandoned int
	first, last                                        time.Duration
	faults                                             map[string]int
}

// Report returns what the server saw so far.
func (s *Server) Report() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Report{
		Requests: s.sum.requests, TokenRequests: s.sum.tokens, Throttled: s.sum.throttled, Violations: s.sum.violations,
		Ledger: slices.Clone(s.ledger), Abandoned: s.sum.abandoned, Faults: maps.Clone(s.sum.faults),
		Unexpected: slices.Clone(s.noteList), Elapsed: s.sum.last - s.sum.first,
	}
	for _, q := range s.quotas {
		for i, t := range q.scaled {
			tr := TierReport{Quota: q.Name, Tier: t}
			for _, b := range q.books {
				worst, share := b.counters[i].use()
				tr.Worst, tr.Share = max(tr.Worst, worst), max(tr.Share, share)
				tr.Counted += b.counters[i].counted()
			}
			r.Tiers = append(r.Tiers, tr)
		}
	}
	return r
}

// Tier returns the report on the tier of the quota with that many requests per window, or in flight. ok is false when
// there is none.
func (r Report) Tier(quota string, limit int64) (t TierReport, ok bool) {
	for _, t := range r.Tiers {
		if t.Quota == quota && t.Tier.Requests+t.Tier.Concurrent == limit {
			return t, true
		}
	}
	return TierReport{}, false
}

// Note records that a request was not as the partner's documentation has it, for [Report.Unexpected]. Handlers call
// it for what the real partner would swallow in silence.
func (s *Server) Note(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.notes[note] && len(s.noteList) < maxLedger {
		s.notes[note] = true
		s.noteList = append(s.noteList, note)
	}
}

// Params notes every query parameter of r that is none of the known ones.
func (s *Server) Params(r *http.Request, known ...string) {
	if r.URL.RawQuery == "" {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(r.URL.Query())) {
		if !slices.Contains(known, name) {
			s.Note("%s %s: unknown parameter %q", r.Method, r.URL.Path, name)
		}
	}
}
