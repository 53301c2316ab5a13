package redisstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/internal/services"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
)

func TestQuota(t *testing.T) {
	c := client(t, services.Redis(t).Addr)
	suite(t, c)
	keysExpire(t, c)
}

// suite runs the conformance suites, each test under a name of its own. The quotas of one test are in one hash slot of a Cluster.
func suite(t *testing.T, c redis.UniversalClient) {
	var n atomic.Int32
	ratelimittest.Joiner(t, func(t *testing.T, tiers ...ratelimit.Tiers) (all []ratelimit.Joiner) {
		tag := fmt.Sprint("joint", n.Add(1))
		for i, one := range tiers {
			all = append(all, begun(t, c, one, redisstore.Options{Name: fmt.Sprint(tag, i), Tag: tag}))
		}
		return all
	})
	ratelimittest.Quota(t, func(t *testing.T, tiers ratelimit.Tiers) ratelimit.Quota {
		return begun(t, c, tiers, redisstore.Options{Name: fmt.Sprint("suite", n.Add(1))})
	})
}

// keysExpire checks that nothing stays in Redis for ever.
func keysExpire(t *testing.T, c redis.Cmdable) {
	t.Helper()
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) < 30 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for _, k := range keys {
		if ttl, err := c.PTTL(t.Context(), k).Result(); err != nil || ttl <= 0 {
			t.Errorf("%s expires in %v, %v", k, ttl, err)
		}
	}
}

// Several quotas of one name are several processes: what one spends, the others have not.
func TestProcessesShare(t *testing.T) {
	c := client(t, services.Redis(t).Addr)
	tiers := ratelimit.Tiers{{Requests: 10, Per: time.Hour, Name: "hour"}, {Concurrent: 3, Name: "flight"}}
	a, b := begun(t, c, tiers, redisstore.Options{}), open(t, c, tiers, redisstore.Options{})
	var held []ratelimit.Grant
	for range 3 {
		held = append(held, take(t, a, true))
	}
	if g := take(t, b, false); g.Tier != "flight" || g.At.IsZero() || time.Until(g.At) > time.Second {
		t.Errorf("got %+v, want to be asked to come back soon: nobody tells when a's requests end", g)
	}
	settle(t, b, held[0], true) // not its own
	take(t, b, false)
	settle(t, a, held[0], true)
	eventually(t, func() bool { return usage(t, b).InFlight == 2 })
	take(t, b, true)
	if err := b.Park(t.Context(), "k", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if g := take(t, a, false); g.Tier != "parked" {
		t.Errorf("got %+v, want parked by the other", g)
	}
}

func take(t testing.TB, q *redisstore.Quota, ok bool) ratelimit.Grant {
	t.Helper()
	g, err := q.Take(t.Context(), "k", 1, 0, time.Now())
	if err != nil || g.OK != ok {
		t.Fatalf("got %+v, %v, want OK %v", g, err, ok)
	}
	return g
}

func settle(t testing.TB, q *redisstore.Quota, g ratelimit.Grant, arrived bool) {
	t.Helper()
	s := ratelimit.Settlement{Release: true, Now: time.Now()}
	if arrived {
		s.Arrived = s.Now
	}
	if err := q.Settle(t.Context(), "k", g, s); err != nil {
		t.Fatal(err)
	}
}

func usage(t testing.TB, q *redisstore.Quota) ratelimit.Usage {
	t.Helper()
	u, err := q.Usage(t.Context(), "k", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// eventually waits for what other goroutines bring about.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal("it does not come about")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
