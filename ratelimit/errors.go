package ratelimit

import (
	"context"
	"errors"
	"fmt"

	"github.com/integrationkit/integrationkit/retry"
)

// ErrClosed is wrapped by the refusals of a [Limiter] that is closed.
var ErrClosed = errors.New("limiter is closed")

// ErrTooManyWaiting is wrapped by the refusal, of class RateLimit, of a call that would have waited behind [Options.MaxWaiting] others,
// or whose place in line was given to a more urgent one.
var ErrTooManyWaiting = errors.New("too many calls are waiting")

// limited is the cause of a refusal. Refusals can come in storms: the text is made when somebody reads it.
type limited struct {
	name, tier string
	why        string
	err        error // what it is an instance of; nil: of nothing
}

func (e *limited) Unwrap() error { return e.err }

func (e *limited) Error() string {
	s := "ratelimit"
	if e.name != "" {
		s += " " + e.name
	}
	s += ": "
	if e.tier != "" {
		s += "tier " + e.tier + " "
	}
	return s + e.why
}

// reason names what a verdict says holds a call back.
func (p *plan) reason(tier int) string {
	switch tier {
	case byPark:
		return "parked"
	case byProbe:
		return "probe"
	}
	return p.specs[tier].name
}

func clientError(format string, args ...any) error {
	return &retry.Error{
		Verdict: retry.Verdict{Class: retry.Client, Scope: retry.Request, Sent: retry.Never},
		Err:     fmt.Errorf("ratelimit: "+format, args...),
	}
}

// checkCost refuses a cost that no amount of waiting can admit.
func (p *plan) checkCost(cost int64) error {
	if cost < 1 {
		return clientError("cost is %d, want at least 1", cost)
	}
	if cost > p.maxCost {
		return clientError("cost %d is above the limit of tier %s", cost, p.maxTier)
	}
	return nil
}

// overCost is checkCost's refusal when the partner has cut the limit.
func (p *plan) overCost(tier int, cost int64) error {
	return clientError("cost %d is above the limit that the partner now sets for tier %s", cost, p.specs[tier].name)
}

// canceled is the error of a call whose context ended while it waited for tier.
func (l *Limiter) canceled(ctx context.Context, tier string, w retry.Waits) error {
	cause := &limited{name: l.o.Name, tier: tier, why: "was waited for in vain"}
	if tier == "" {
		cause.why = "not asked"
	}
	return &retry.Error{
		Verdict: retry.Verdict{Class: retry.Canceled, Scope: retry.Request, Sent: retry.Never},
		Waits:   w,
		Err:     fmt.Errorf("%w: %w", cause, context.Cause(ctx)),
	}
}

func (l *Limiter) unavailable(err error) error {
	return &retry.Error{
		Verdict: retry.Verdict{Class: retry.Unavailable, Scope: retry.Partner, Sent: retry.Never},
		Err:     fmt.Errorf("%w: %w", &limited{name: l.o.Name, why: "refused"}, err),
	}
}
