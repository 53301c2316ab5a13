package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/webhook"
)

// DedupeOptions configures a [Dedupe]; its zero value is ready.
type DedupeOptions struct {
	// Prefix begins the name of every key in Redis; "" means "ik:webhook:". Receivers that share deliveries use the same.
	Prefix string
	// Timeout bounds each call to Redis; 0 means a second. Keep it well below the partner's patience.
	Timeout time.Duration
}

// Dedupe is a [webhook.Dedupe] in Redis, for receivers on several machines. It is safe for concurrent use. Make it with [NewDedupe]; it has
// no goroutines and is not closed.
//
// Each operation is one atomic command on one key, by Redis' clock, and whatever it writes expires. While Redis is away they return errors that
// wrap [ErrAway], and the receiver answers that the partner is to send again. A Redis that lost its data has forgotten what was done: what comes
// twice then is handed over twice, which a unique key in the Sink makes harmless.
type Dedupe struct {
	client redis.UniversalClient
	o      DedupeOptions
}

// NewDedupe returns a Dedupe, or an error that names everything that is wrong. It does not ask Redis. The client stays the caller's; it needs
// ContextTimeoutEnabled.
func NewDedupe(client redis.UniversalClient, o DedupeOptions) (*Dedupe, error) {
	if o.Prefix == "" {
		o.Prefix = "ik:webhook:"
	}
	errs := []error{checkClient(client), fill(&o.Timeout, time.Second, "Timeout", time.Millisecond)}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Dedupe{client: client, o: o}, nil
}

// A delivery is "c" and the token of the claim while it is claimed, and "d" and the token once it is done.
const (
	claimedBy = "c"
	doneBy    = "d"
)

// doneScript answers whether the delivery is done by the token, or nobody had it.
var doneScript = redis.NewScript(`
local v = redis.call('GET', KEYS[1])
if v and v ~= 'c' .. ARGV[1] and v ~= 'd' .. ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'd' .. ARGV[1], 'PX', ARGV[2])
return 1`)

// releaseScript answers whether the claim was the token's.
var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= 'c' .. ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)

// Claim implements [webhook.Dedupe]. A lease is a millisecond at least.
func (d *Dedupe) Claim(ctx context.Context, key string, lease time.Duration) (string, webhook.State, error) {
	token := rand.Text()
	var was string
	err := d.ask(ctx, "claim", func(ctx context.Context) (err error) {
		args := redis.SetArgs{Mode: "NX", Get: true, TTL: max(lease, time.Millisecond)}
		was, err = d.client.SetArgs(ctx, d.o.Prefix+key, claimedBy+token, args).Result()
		if errors.Is(err, redis.Nil) {
			was, err = claimedBy+token, nil
		}
		return err
	})
	switch {
	case err != nil:
		return "", webhook.InProgress, err
	case was == claimedBy+token: // also if the client asked twice, because the first answer was lost
		return token, webhook.Claimed, nil
	case was[:1] == doneBy:
		return "", webhook.Done, nil
	}
	return "", webhook.InProgress, nil
}

// Done implements [webhook.Dedupe].
func (d *Dedupe) Done(ctx context.Context, key, token string, keep time.Duration) error {
	return d.fenced(ctx, "done", doneScript, key, token, max(keep, time.Millisecond).Milliseconds())
}

// Release implements [webhook.Dedupe].
func (d *Dedupe) Release(ctx context.Context, key, token string) error {
	if token == "" {
		return webhook.ErrClaimLost
	}
	return d.fenced(ctx, "release", releaseScript, key, token)
}

func (d *Dedupe) fenced(ctx context.Context, what string, s *redis.Script, key string, args ...any) error {
	ours := 0
	err := d.ask(ctx, what, func(ctx context.Context) (err error) {
		ours, err = s.Run(ctx, d.client, []string{d.o.Prefix + key}, args...).Int()
		return err
	})
	if err == nil && ours == 0 {
		err = webhook.ErrClaimLost
	}
	return err
}

func (d *Dedupe) ask(ctx context.Context, what string, f func(ctx context.Context) error) error {
	return within(ctx, d.o.Timeout, "dedupe: "+what, f)
}

// within asks Redis, for so long. The caller's own end is told as such.
func within(ctx context.Context, timeout time.Duration, what string, f func(ctx context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := f(bounded)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("redisstore: %s: %w", what, context.Cause(ctx))
	}
	return fmt.Errorf("%w: %s: %w", ErrAway, what, err)
}
