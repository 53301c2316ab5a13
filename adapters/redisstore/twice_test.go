package redisstore_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/internal/services"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// repeats is a hook that sends scripts twice and loses the first answer, as a client does that tries again.
type repeats struct{ left atomic.Int32 }

func (r *repeats) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *repeats) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (r *repeats) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" && r.left.Add(-1) >= 0 {
			if err := next(ctx, redis.NewCmd(ctx, cmd.Args()...)); err != nil {
				return err
			}
		}
		return next(ctx, cmd)
	}
}

// What is sent twice is done once: requests are admitted, charged and given back as if it had been sent once.
func TestSentTwice(t *testing.T) {
	c := client(t, services.Redis(t).Addr)
	hook := &repeats{}
	c.AddHook(hook)
	q := begun(t, c, hourly, redisstore.Options{})
	for range 3 {
		hook.left.Store(1)
		g := take(t, q, true)
		if u := usage(t, q); u.Tiers[0].Used != 1 || u.InFlight != 1 {
			t.Errorf("taken: got %+v, want 1", u)
		}
		hook.left.Store(1)
		settle(t, q, g, false)
		if u := usage(t, q); u.Tiers[0].Used != 0 || u.InFlight != 0 {
			t.Errorf("given back: got %+v, want 0", u)
		}
	}
	g := take(t, q, true)
	hook.left.Store(1)
	settle(t, q, g, true)
	for range 2 {
		if u := usage(t, q); u.Tiers[0].Used != 1 || u.InFlight != 0 {
			t.Errorf("arrived: got %+v, want 1 used, once", u)
		}
	}
	hook.left.Store(1)
	if err := q.Park(t.Context(), "k", time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if g := take(t, q, false); g.Tier != "parked" {
		t.Errorf("got %+v, want parked", g)
	}
	if err := q.Park(t.Context(), "k", time.Time{}); err != nil {
		t.Error(err)
	}

	// Twice in a row it is given up, and nothing of it stays.
	hook.left.Store(2)
	if _, err := q.Take(t.Context(), "k", 1, 0, time.Now()); retry.ClassOf(err) != retry.Unavailable {
		t.Errorf("got %v, want class unavailable", err)
	}
	if u := usage(t, q); u.Tiers[0].Used != 1 || u.InFlight != 0 {
		t.Errorf("given up: got %+v, want 1 used", u)
	}
	other := begun(t, c, hourly, redisstore.Options{Name: "other"})
	hook.left.Store(1)
	takes := []ratelimit.Take{{Quota: q, Key: "k", Cost: 1}, {Quota: other, Key: "k", Cost: 1}}
	if _, err := q.TakeAll(t.Context(), takes, time.Now()); retry.ClassOf(err) != retry.Unavailable {
		t.Errorf("got %v, want class unavailable", err)
	}
	for what, q := range map[string]*redisstore.Quota{"one": q, "other": other} {
		eventually(t, func() bool { return usage(t, q).InFlight == 0 })
		if u := usage(t, q); what == "other" && u.Tiers[0].Used != 0 {
			t.Errorf("%s: got %+v", what, u)
		}
	}
	gs, err := q.TakeAll(t.Context(), takes, time.Now())
	if err != nil || !gs[0].OK || !gs[1].OK {
		t.Errorf("got %+v, %v", gs, err)
	}
}
