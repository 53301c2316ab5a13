package ratelimit

import (
	"context"
	"time"
)

// Quota is what a backend implements: the counting of one set of tiers for many keys, atomic over all tiers. A
// [Limiter] adds to it the waiting, and everything that a process does on its own. The memory backend is [NewMemory]; a
// shared one (Redis) passes the same suite, ratelimittest.Quota.
//
// A charge has two phases because the partner counts a request when it arrives, some time between send and answer:
// Take holds room for it in every tier, without end; Settle turns that into a charge that starts at the last moment the
// partner can have counted the request. Implementations are safe for concurrent use, hold no lock during I/O, and
// judge time by the now they are given or by a clock of their own that all processes share.
type Quota interface {
	// Tiers returns the tiers that are counted. The caller does not change them.
	Tiers() Tiers
	// Take admits the request in all tiers, or in none and says when to ask again. It does not wait. ahead is the
	// cost of the callers that wait before this one: it is admitted only if there is room for theirs too.
	//
	// A cost above a tier's limit is an error of class Client. Other errors say that the backend cannot tell; they
	// are *retry.Error when it knows when to come back.
	Take(ctx context.Context, key string, cost, ahead int64, now time.Time) (Grant, error)
	// Ask answers as Take would, and takes nothing.
	Ask(ctx context.Context, key string, cost, ahead int64, now time.Time) (Grant, error)
	// Settle says what became of an admitted request. Each part (arrival, release) has effect once; repeating it is
	// harmless, and so is a grant that is not known, or no longer. A backend that cannot reach its store takes care of it
	// later and returns an error only to report that.
	Settle(ctx context.Context, key string, g Grant, s Settlement) error
	// Observe corrects the count by what the partner reported with an answer that was sent for at sentAt, and which is settled after. What is in flight
	// besides is taken as counted by the partner until a report shows that others spend from the quota, and for a window after as still to come. Reports
	// never make room beyond the tiers' own limits. Observations of windows that are no tier's are ignored, as are those
	// sent for before the ones seen last.
	Observe(ctx context.Context, key string, sentAt, now time.Time, obs []Observation) error
	// Park admits nothing for the key before until; an earlier until than the one in force has no effect,
	// the zero time lifts it.
	Park(ctx context.Context, key string, until time.Time) error
	// Usage returns the state of the key's tiers; Waiting and Pace are left to the [Limiter].
	Usage(ctx context.Context, key string, now time.Time) (Usage, error)
}

// Joiner is what a [Quota] may also implement: taking from several quotas of the same backend in one atomic step, and one
// round trip. A [Set] uses it. Of quotas that cannot be joined it takes one after the other, and gives back what it has by Settle with
// Release when one refuses: as exact, but slower, and meanwhile others find less room than there is.
type Joiner interface {
	Quota
	// Joins reports whether TakeAll can take from other too. It is symmetric, cheap, and answers the same every time.
	Joins(other Quota) bool
	// TakeAll admits the request in the tiers of all takes, or in none, as Take would. There are two or more takes; the first one's Quota is
	// the receiver, each other one joins it, and no two have both Quota and Key in common. The answer has a Grant for each,
	// in the same order. When all are OK everything was taken, and each grant is settled on its own, with its own Quota. When one
	// is not, nothing was taken: those that are not OK say in At and Tier what holds the call back, and those that are say only that
	// there is room. An error, of any of them, means that nothing was taken, or that what was will be given back by the backend.
	TakeAll(ctx context.Context, takes []Take, now time.Time) ([]Grant, error)
}

// Take is what one call takes of one quota; see [Quota] for its parts.
type Take struct {
	Quota       Quota
	Key         string
	Cost, Ahead int64
}

// Grant is the answer to Take.
type Grant struct {
	// OK says that the request is admitted.
	OK bool
	// At, of a refusal, is the earliest time worth asking again; the zero time: when a request that this process has in
	// flight is settled or released, which nobody can date.
	At time.Time
	// Tier, of a refusal, is the name of the tier that holds the request back longest; "parked" when the key is parked.
	Tier string
	// Early, of a refusal by Take, is closed when it is worth asking again before At, because somebody else gave room
	// back. A message can be lost, so At holds all the same; nil: nobody tells.
	Early <-chan struct{}
	// Slot and Gen identify an admitted request to the backend.
	Slot, Gen uint32
	Cost      int64
}

// Settlement says what became of an admitted request.
type Settlement struct {
	// Arrived is the last moment at which the partner can have counted the request: when its answer was read, or
	// later when the answer was lost. Zero: not known yet, or never sent when Release is set before any arrival.
	Arrived time.Time
	// Release frees the slot in flight; without an arrival before or with it, everything is refunded.
	Release bool
	Now     time.Time
}

// Observation is what a partner's answer says of one tier.
type Observation struct {
	// Per is the tier's window; it selects the tier. A [Dialect] gives the window as the partner names it, and the
	// [Limiter] that of the tier, which is shorter when the tiers are scaled.
	Per time.Duration
	// Limit and Remaining are the partner's numbers; -1 where it did not say.
	Limit, Remaining int64
	// Reset is when Remaining is Limit again; zero when the partner did not say.
	Reset time.Time
}

// Usage is the state of a key, for health pages and metrics.
type Usage struct {
	Tiers       []TierUsage
	InFlight    int64
	ParkedUntil time.Time // zero: not parked
	Waiting     int       // callers waiting in this process
	Pace        float64   // the share of the limits that [Adaptive] has learnt; 0 without
}

// TierUsage is the state of one tier.
type TierUsage struct {
	Tier  Tier
	Limit int64 // in force now: the tier's, or less where the partner said less
	Used  int64 // charged now, requests in flight included, and what others spent as far as the partner told
}
