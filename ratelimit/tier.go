package ratelimit

import "time"

// Kind is how a tier counts.
type Kind uint8

// The kinds of tier.
const (
	// Sliding: at most Requests in every window of length Per, wherever it starts. The strictest reading, and the
	// default: what holds for it holds for a partner that counts in fixed windows too.
	Sliding Kind = iota
	// Fixed: at most Requests in each window of length Per, windows aligned to multiples of Per since the Unix epoch.
	Fixed
	// TokenBucket: Requests per Per on average with bursts of up to Burst; counted by golang.org/x/time/rate.
	TokenBucket
)

// Tier is one limit. A tier with Concurrent set limits requests in flight and has no other field.
type Tier struct {
	// Name appears in errors, waits and metrics; "" means one made from the limit, such as "120/1m0s".
	Name     string
	Kind     Kind
	Requests int64         // requests (or their cost) per Per
	Per      time.Duration // length of the window
	Burst    int64         // TokenBucket only; 0 means Requests
	// Concurrent is the number of requests in flight: admitted and not yet released.
	Concurrent int64
}

// Tiers are the limits of one quota. A call is admitted by all of them or spends none.
type Tiers []Tier

// Validate returns an error that names everything that is wrong with the tiers, nil if nothing is.
func (t Tiers) Validate() error { panic("spike") }

// Scale returns the tiers with every Per divided by f: for simulated partners whose time runs faster.
func (t Tiers) Scale(f float64) Tiers { panic("spike") }

// String returns the tier's name.
func (t Tier) String() string { panic("spike") }
