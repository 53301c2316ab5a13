package retry

import (
	"context"
	"net/http"
	"time"
)

// Policy says how calls are repeated. The zero Policy is ready to use: four attempts with full jitter between
// 500 ms and 20 s, safe requests only. A Policy is a value without state (its Budget is shared on purpose) and is safe for
// concurrent use.
type Policy struct {
	// MaxAttempts counts the first try; 0 means 4, 1 never repeats.
	MaxAttempts int
	// BaseDelay and MaxDelay bound the backoff: the n-th wait is random between 0 and min(MaxDelay, BaseDelay·2ⁿ).
	// 0 means 500 ms and 20 s.
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

// Wrap returns a RoundTripper that sends each request through next (nil: http.DefaultTransport) until it
// succeeds, must not be repeated, or its attempts, its budget or the caller's patience are used up. It returns the last
// response with a nil error, or the last error.
func (p Policy) Wrap(next http.RoundTripper) http.RoundTripper { panic("spike") }

// Delay returns the longest wait after failed attempt n, counted from 1; the wait taken is random between 0 and it.
func (p Policy) Delay(n int) time.Duration { panic("spike") }

// AttemptTimeout is the time one attempt may take from when it is sent until its body is read. It belongs
// innermost, so that waiting for the limiter or for a token does not use it up. 0 sets no limit.
type AttemptTimeout time.Duration

// Wrap returns a RoundTripper that ends an attempt with a cause that names the timeout and wraps
// context.DeadlineExceeded; it is judged Transient, not Canceled.
func (d AttemptTimeout) Wrap(next http.RoundTripper) http.RoundTripper { panic("spike") }

// Budget is a token bucket that bounds how much of the traffic may be repetitions, so that retries cannot
// multiply an outage. A repetition costs tokens that come back when it succeeds; each first success adds one.
// It is safe for concurrent use.
type Budget struct{}

// BudgetConfig configures a [Budget]; zero fields take the defaults.
type BudgetConfig struct {
	Capacity int // tokens when full, and at the start; 0 means 500
	Cost     int // of a repetition; 0 means 5
	Timeout  int // of a repetition after a timeout; 0 means 10
}

// NewBudget returns a full budget. It returns an error that names every unusable field.
func NewBudget(c BudgetConfig) (*Budget, error) { panic("spike") }
