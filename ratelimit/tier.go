package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Kind is how a tier counts.
type Kind uint8

// The kinds of tier.
const (
	// Sliding: at most Requests in every window of length Per, wherever it starts (the start belongs to the window,
	// the end does not). The strictest reading, and the default: what holds for it holds for a partner that counts in
	// fixed windows too.
	Sliding Kind = iota
	// Fixed: at most Requests in each window of length Per, windows aligned to multiples of Per since the Unix epoch
	// by this machine's clock. It admits twice as much around a boundary and stands or falls with the two clocks
	// agreeing: use it only where the partner says that it counts so. The clock is read when the limiter is made, and carried on
	// monotonically: a step of the machine's clock after that moves no boundary until a new limiter is made.
	Fixed
	// TokenBucket: Requests per Per on average with bursts of up to Burst; counted by golang.org/x/time/rate.
	TokenBucket
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Sliding:
		return "sliding"
	case Fixed:
		return "fixed"
	case TokenBucket:
		return "token_bucket"
	}
	return "unknown"
}

// Bounds of a tier's numbers: sums of a few of them fit in an int64, and counts are exact in a float64.
const (
	maxRequests = 1 << 52
	maxPer      = 10 * 365 * 24 * time.Hour
)

// Tier is one limit. A tier with Concurrent set limits requests in flight and has no other field but Name.
type Tier struct {
	// Name appears in errors, waits and metrics; "" means one made from the limit, such as "120/1m0s".
	Name     string
	Kind     Kind
	Requests int64         // requests (or their cost) per Per
	Per      time.Duration // length of the window
	Burst    int64         // TokenBucket only; 0 means Requests
	// Concurrent is the number of requests in flight: admitted and not yet released. A request counts as one whatever
	// it costs.
	Concurrent int64

	scaled time.Duration // Per before Scale: what the partner's headers call the window; 0 means Per
}

// Tiers are the limits of one quota. A call is admitted by all of them or spends none.
type Tiers []Tier

// Validate returns an error that names everything that is wrong with the tiers, nil if nothing is.
func (t Tiers) Validate() error {
	var errs []error
	if len(t) == 0 {
		errs = append(errs, errors.New("ratelimit: no tiers"))
	}
	seen := make(map[string]int, len(t))
	for i, tier := range t {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("ratelimit: tier %d (%s): "+format, append([]any{i, tier}, args...)...))
		}
		if j, dup := seen[tier.String()]; dup {
			bad("has the name of tier %d", j)
		} else {
			seen[tier.String()] = i
		}
		if tier.Concurrent != 0 {
			if tier.Concurrent < 0 || tier.Concurrent > math.MaxInt32 {
				bad("Concurrent is %d, want 1 to %d", tier.Concurrent, math.MaxInt32)
			}
			if tier.Kind != Sliding || tier.Requests != 0 || tier.Per != 0 || tier.Burst != 0 {
				bad("Concurrent goes with no other limit; make it a tier of its own")
			}
			continue
		}
		if tier.Kind > TokenBucket {
			bad("Kind is %d, want Sliding, Fixed or TokenBucket", tier.Kind)
		}
		if tier.Requests < 1 || tier.Requests > maxRequests {
			bad("Requests is %d, want 1 to %d", tier.Requests, int64(maxRequests))
		}
		if tier.Per <= 0 || tier.Per > maxPer {
			bad("Per is %v, want more than 0 and at most %v", tier.Per, maxPer)
		}
		if tier.Burst < 0 || tier.Burst > maxRequests {
			bad("Burst is %d, want 0 to %d", tier.Burst, int64(maxRequests))
		}
		if tier.Burst != 0 && tier.Kind != TokenBucket {
			bad("Burst goes with TokenBucket only")
		}
	}
	return errors.Join(errs...)
}

// Scale returns the tiers with every Per divided by f: for simulated partners whose time runs faster. Requests stay as
// they are, and so do names, and the windows under which the partner's headers report. An f that is not a positive
// number makes tiers that [Tiers.Validate] refuses.
func (t Tiers) Scale(f float64) Tiers {
	out := make(Tiers, len(t))
	for i, tier := range t {
		if tier.Concurrent == 0 {
			tier.Name = tier.String()
			tier.scaled = tier.nominal()
			switch per := float64(tier.Per) / f; {
			case !(f > 0) || math.IsInf(f, 0):
				tier.Per = 0
			case per > float64(maxPer):
				tier.Per = maxPer + 1
			default:
				tier.Per = time.Duration(math.Ceil(per))
			}
		}
		out[i] = tier
	}
	return out
}

// nominal is the window as the partner names it.
func (t Tier) nominal() time.Duration {
	if t.scaled != 0 {
		return t.scaled
	}
	return t.Per
}

// String returns the tier's name.
func (t Tier) String() string {
	switch {
	case t.Name != "":
		return t.Name
	case t.Concurrent != 0:
		return strconv.FormatInt(t.Concurrent, 10) + " in flight"
	}
	return strconv.FormatInt(t.Requests, 10) + "/" + t.Per.String()
}

// ceiling is the most that one call may cost.
func (t Tier) ceiling() int64 {
	switch {
	case t.Concurrent != 0:
		return maxRequests
	case t.Kind == TokenBucket && t.Burst != 0:
		return t.Burst
	}
	return t.Requests
}
