package retry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Policy says how calls are repeated. The zero Policy is ready to use: four attempts with full jitter between
// 500 ms and 20 s, safe requests only. A Policy is a value without state (its Budget is shared on purpose) and is safe for
// concurrent use.
type Policy struct {
	// MaxAttempts counts the first try; 0 means 4, 1 never repeats.
	MaxAttempts int
	// BaseDelay and MaxDelay bound the backoff: the wait after failed attempt n is random between 0 and
	// min(MaxDelay, BaseDelay·2ⁿ⁻¹), unless the verdict says when to come back. A time that has come already ("Retry-After:
	// 0") says nothing: the backoff applies. 0 means 500 ms and 20 s.
	BaseDelay, MaxDelay time.Duration
	// MaxWait is the longest wait that is slept through; for a longer one the call returns at once with the answer it has.
	// 0 means 1 minute; negative: no wait is too long. [WithMaxWait] takes precedence.
	MaxWait time.Duration
	// IdempotencyHeader is the header in which the partner takes an idempotency key; "" when it takes none, and then
	// a key does not make a write repeatable.
	IdempotencyHeader string
	// Classifiers know the partner's dialect; they are asked in order, then [Default].
	Classifiers []Classifier
	// Budget limits repetitions over all calls that share it. Nil: no limit.
	Budget *Budget
	// OnRetry, if set, is told before each wait that leads to another attempt.
	OnRetry func(ctx context.Context, r Retrying)
}

// Retrying is what [Policy.OnRetry] is told.
type Retrying struct {
	Attempt int // the attempt that failed
	Verdict Verdict
	Wait    time.Duration
}

const (
	defaultAttempts  = 4
	defaultBaseDelay = 500 * time.Millisecond
	defaultMaxDelay  = 20 * time.Second
	defaultMaxWait   = time.Minute
)

// Validate returns an error that names everything that is wrong with p, nil if nothing is. [Policy.Wrap] takes an
// unusable field as if it were zero.
func (p Policy) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("retry: Policy."+format, args...)) }
	if p.MaxAttempts < 0 {
		bad("MaxAttempts is negative")
	}
	if p.BaseDelay < 0 {
		bad("BaseDelay is negative")
	}
	if p.MaxDelay < 0 {
		bad("MaxDelay is negative")
	}
	if q := p.withDefaults(); p.BaseDelay >= 0 && p.MaxDelay > 0 && p.MaxDelay < q.BaseDelay {
		bad("MaxDelay %v is less than BaseDelay, %v", p.MaxDelay, q.BaseDelay)
	}
	if !validToken(p.IdempotencyHeader) {
		bad("IdempotencyHeader is no name of a header")
	}
	for i, c := range p.Classifiers {
		if c.Classify == nil {
			bad("Classifiers[%d] has no Classify", i)
		}
	}
	if p.Budget != nil && p.Budget.c.Capacity == 0 {
		bad("Budget was not made by NewBudget")
	}
	return errors.Join(errs...)
}

func validToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

func (p Policy) withDefaults() Policy {
	if p.MaxAttempts <= 0 {
		p.MaxAttempts = defaultAttempts
	}
	if p.BaseDelay <= 0 {
		p.BaseDelay = defaultBaseDelay
	}
	if p.MaxDelay <= 0 {
		p.MaxDelay = max(defaultMaxDelay, p.BaseDelay)
	}
	if !validToken(p.IdempotencyHeader) {
		p.IdempotencyHeader = ""
	}
	if p.MaxWait == 0 {
		p.MaxWait = defaultMaxWait
	}
	return p
}

// Delay returns the longest wait after failed attempt n, counted from 1; the wait taken is random between 0 and it.
func (p Policy) Delay(n int) time.Duration {
	p = p.withDefaults()
	d := p.BaseDelay
	for i := 1; i < n && d < p.MaxDelay; i++ {
		if d > p.MaxDelay/2 {
			return p.MaxDelay
		}
		d *= 2
	}
	return min(d, p.MaxDelay)
}

// idempotent reports whether a request may be repeated although it may have had its effect.
func (p *Policy) idempotent(req *http.Request) bool {
	if v, ok := req.Context().Value(idempotentKey{}).(bool); ok {
		return v
	}
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return p.IdempotencyHeader != "" && IdempotencyKey(req.Context()) != ""
}
