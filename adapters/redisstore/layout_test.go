package redisstore_test

import (
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/internal/services"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// What another version of the script has stored counts as lost: a window is sat out, and nothing fails.
func TestStateOfAnotherVersion(t *testing.T) {
	c := client(t, services.Redis(t).Addr)
	tiers := ratelimit.Tiers{{Requests: 100, Per: 24 * time.Hour}}
	q := begun(t, c, tiers, redisstore.Options{})
	g, err := q.Take(t.Context(), "k", 1, 0, time.Now())
	if err != nil || !g.OK {
		t.Fatal(g, err)
	}
	if err := q.Settle(t.Context(), "k", g, ratelimit.Settlement{Arrived: time.Now(), Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	keys, err := c.Keys(t.Context(), "*:key:k").Result()
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	older := `local s = cmsgpack.unpack(redis.call('HGET', KEYS[1], 's'))
for _, t in ipairs(s[7]) do table.remove(t, 5) end
redis.call('HSET', KEYS[1], 's', cmsgpack.pack({s[1], s[2], s[3], s[4], s[5], s[6], s[7]}))
return 'ok'`
	if err := c.Eval(t.Context(), older, keys).Err(); err != nil {
		t.Fatal(err)
	}
	q = open(t, c, tiers, redisstore.Options{})
	for range 2 {
		g, err := q.Take(t.Context(), "k", 1, 0, time.Now())
		if err != nil || g.OK || time.Until(g.At) < 23*time.Hour {
			t.Errorf("ok %v at %v (%v), want a window to be sat out", g.OK, g.At, err)
		}
	}
}

// A wait is no longer than a time can tell.
func TestLongestWait(t *testing.T) {
	c := client(t, services.Redis(t).Addr)
	for _, kind := range []ratelimit.Kind{ratelimit.Sliding, ratelimit.TokenBucket} {
		q := begun(t, c, ratelimit.Tiers{{Kind: kind, Requests: 1, Per: 30 * 24 * time.Hour}}, redisstore.Options{Name: kind.String()})
		for _, ahead := range []int64{10, 4000, 100_000} {
			g, err := q.Ask(t.Context(), "k", 1, ahead, time.Now())
			if err != nil || g.OK || time.Until(g.At) < time.Hour {
				t.Errorf("%s, behind %d: ok %v at %v (%v)", kind, ahead, g.OK, g.At, err)
			}
		}
	}
}
