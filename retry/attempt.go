package retry

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// Attempt is what the layers around one call know in common: which attempt it is, the verdict on it, and where its
// time went. It travels in the request's context. It belongs to the goroutine that runs the call: RoundTrippers may
// use it until they return, nobody may use it concurrently.
type Attempt struct {
	context.Context
	// Number counts from 1. [Policy.Wrap] advances it.
	Number int
	// Waits is the sum over all attempts so far.
	Waits Waits

	classifiers []Classifier
	call        *call // the loop's, nil without one

	resp    *http.Response
	err     error
	verdict Verdict
	judged  bool
}

type attemptKey struct{}

// Value implements context.Context.
func (a *Attempt) Value(key any) any {
	if key == (attemptKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// WithAttempt returns a context that carries a new [Attempt], whose verdicts come from the classifiers in order and
// then from [Default]. A context that has one already keeps its number and waits and gets the classifiers only.
func WithAttempt(ctx context.Context, classifiers ...Classifier) (context.Context, *Attempt) {
	a := &Attempt{Context: ctx, Number: 1, classifiers: classifiers}
	if old := AttemptFrom(ctx); old != nil {
		a.Number, a.Waits = old.Number, old.Waits
		a.Waits.Tiers = slices.Clone(old.Waits.Tiers)
		if len(classifiers) == 0 {
			a.classifiers = old.classifiers
		}
	}
	return a, a
}

// add counts the waits of an attempt inside this one.
func (a *Attempt) add(inner *Attempt) {
	for _, t := range inner.Waits.Tiers {
		a.Waits.AddTier(t.Tier, t.Wait)
	}
	a.Waits.Backoff += inner.Waits.Backoff
	a.Waits.Auth += inner.Waits.Auth
	a.Waits.Partner += inner.Waits.Partner
}

// AttemptFrom returns the Attempt that ctx carries, nil if none.
func AttemptFrom(ctx context.Context) *Attempt {
	a, _ := ctx.Value(attemptKey{}).(*Attempt)
	return a
}

type (
	maxWaitKey        struct{}
	idempotencyKeyKey struct{}
	idempotentKey     struct{}
)

// WithMaxWait says how long the caller is willing to be held back by one wait (for the limiter, for a backoff, for
// a token) before it wants its goroutine back: a longer one returns at once with an [*Error] that says in At when to
// come back. Zero refuses every wait. It replaces the limits that the layers were configured with.
func WithMaxWait(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, maxWaitKey{}, d)
}

// MaxWait returns what [WithMaxWait] said, and whether it did.
func MaxWait(ctx context.Context) (time.Duration, bool) {
	d, ok := ctx.Value(maxWaitKey{}).(time.Duration)
	return d, ok
}

// WithIdempotencyKey gives the write made with ctx the key under which the partner recognises a repetition. The same
// key must be used for the same write whoever repeats it, in this process or another. [Policy] sends it in the
// header that the partner takes ([Policy.IdempotencyHeader]); with a partner that takes none, the key has no effect
// on what may be repeated.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, idempotencyKeyKey{}, key)
}

// IdempotencyKey returns the key set by [WithIdempotencyKey], "" if none.
func IdempotencyKey(ctx context.Context) string {
	k, _ := ctx.Value(idempotencyKeyKey{}).(string)
	return k
}

// WithIdempotent overrides what the method says about a request made with ctx: true for a POST that only reads,
// false for a GET that takes what it reads out of a queue and must not be repeated when its answer was lost.
func WithIdempotent(ctx context.Context, idempotent bool) context.Context {
	return context.WithValue(ctx, idempotentKey{}, idempotent)
}
