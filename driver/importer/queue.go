package importer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
)

// QueueConfig says which queue to read, and where its records go. Driver, Store and Route are required.
type QueueConfig struct {
	// Driver is a driver.QueueSource, opened for any of the integrations that share the queue.
	Driver driver.Driver
	Store  QueueStore
	// Route returns the integration that a message's account belongs to; an error that wraps driver.ErrNotFound when
	// there is none. Its AdapterVersion chooses the normalization. See [ByAccount]. An account that it fails for
	// otherwise is tried again by the next read.
	Route func(ctx context.Context, account string) (driver.Integration, error)
	// Process and OnChanges are as in [Config], for all integrations.
	Process   func(ctx context.Context, in driver.Integration, record any) error
	OnChanges func(ctx context.Context, c ChangeSet) error
	// OnDead is told of each message that is kept because nothing else can be done with it. It is called after the
	// message was marked.
	OnDead func(ctx context.Context, m KeptMessage)
	// Poll is how long to leave the partner alone between two reads; 0: what the source says.
	Poll time.Duration
	// Lease is for how long the queue is this reader's after each step of its work; a process that died is replaced
	// after it. 0 means 2 min. The processes' clocks must agree to a fraction of it.
	Lease time.Duration
	// OnRound is told of each read that [FollowQueue] makes.
	OnRound func(QueueResult, error)
}

// QueueResult is what one read of a queue did.
type QueueResult struct {
	Run, Queue string
	// Pages and Messages were received, Recovered of the messages by asking for what the queue does not deliver (any
	// more).
	Pages, Messages, Recovered int
	// Integrations has what became of the records, by integration.
	Integrations map[string]Counts
	// Dead messages are kept and were reported.
	Dead     int
	Duration time.Duration
}

// Counts adds up the integrations.
func (r QueueResult) Counts() Counts {
	var c Counts
	for _, n := range r.Integrations {
		c.add(n)
	}
	return c
}

const (
	defaultQueueLease = 2 * time.Minute
	messageBatch      = 50
)

func (c QueueConfig) withDefaults() (QueueConfig, error) {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("importer: QueueConfig."+format, a...)) }
	src, ok := c.Driver.(driver.QueueSource)
	switch {
	case c.Driver == nil:
		bad("Driver is nil")
	case !ok:
		bad("Driver is no driver.QueueSource")
	default:
		q := src.Queue()
		if q.Name == "" || !storable(q.Name) {
			bad("Driver's queue has no name that can be stored")
		}
		if c.Poll == 0 {
			c.Poll = q.Poll
		}
	}
	if c.Store == nil {
		bad("Store is nil")
	}
	if c.Route == nil {
		bad("Route is nil")
	}
	if c.Poll < 0 {
		bad("Poll is negative")
	}
	if c.Lease < 0 {
		bad("Lease is negative")
	}
	if c.Lease == 0 {
		c.Lease = defaultQueueLease
	}
	return c, errors.Join(errs...)
}

// ByAccount is a [QueueConfig].Route: the one integration with the partner whose Account is the message's. Two of one
// account are an error.
func ByAccount(all driver.Integrations, partner string) func(context.Context, string) (driver.Integration, error) {
	return func(ctx context.Context, account string) (driver.Integration, error) {
		var found *driver.Integration
		for in, err := range all.Integrations(ctx, driver.Filter{Partner: partner}) {
			switch {
			case err != nil:
				return driver.Integration{}, err
			case account == "" || in.Account != account:
			case found != nil:
				err := fmt.Errorf("importer: the integrations %s and %s have the same account", found.ID, in.ID)
				return driver.Integration{}, err
			default:
				found = &in
			}
		}
		if found == nil {
			return driver.Integration{}, fmt.Errorf("%w: no integration has the account", driver.ErrNotFound)
		}
		return *found, nil
	}
}

// ReadQueue reads a queue once, to its end. Only one reader at a time does, over all processes that share the store,
// and not more often than the source wants; at other times the error wraps [ErrQueueBusy], and nothing was done.
//
// Each page goes this way: the messages are stored, then the page is acknowledged, then each message is parsed and its
// records go the way of those of [Apply], in one transaction with the removal of the message. So a process that is
// killed at any point loses nothing, and what is delivered twice changes nothing: the time of the request that brought
// a message decides which is newer. What an earlier read left behind is done first. A message that cannot be
// understood, whose records cannot be stored, or whose account nobody knows, is kept and reported
// ([QueueConfig.OnDead], [Requeue]). After an outage, and as often as the source wants, what the queue does not deliver
// any more is asked for ([driver.QueueRecoverer]).
//
// When it stops early, the error comes with the result so far. A failure of one integration's transaction leaves its
// messages for the next read, and holds back no other's. When ctx ends, the error wraps context.Cause(ctx).
func ReadQueue(ctx context.Context, cfg QueueConfig) (QueueResult, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return QueueResult{}, err
	}
	return readQueue(ctx, cfg, rand.Text())
}

// FollowQueue reads a queue again and again until ctx ends, and returns context.Cause(ctx), or what is wrong with cfg.
// Any number of processes may follow the same queue: one of them reads it, and another takes over when that one dies.
// Errors are told to OnRound, and the queue is read again when they say, at the earliest after Poll.
func FollowQueue(ctx context.Context, cfg QueueConfig) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	holder := rand.Text()
	for {
		res, err := readQueue(ctx, cfg, holder)
		if cfg.OnRound != nil && !errors.Is(err, ErrQueueBusy) {
			cfg.OnRound(res, err)
		}
		now := time.Now()
		wait := max(cfg.Poll, time.Millisecond)
		at := retry.At(err)
		switch {
		case errors.Is(err, ErrQueueBusy): // to look again at least as often as is polled, in case the holder gives it up
			wait = max(min(wait, at.Sub(now)), time.Millisecond)
		case at.Sub(now) > wait:
			wait = at.Sub(now)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}
