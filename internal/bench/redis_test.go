package bench

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/internal/services"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// flights is how many calls are made at once.
const flights = 64

// BenchmarkRedisThreeTiers is the price of three limits shared through Redis, with 64 calls in flight: the kit's take, its whole cycle
// (take, arrived, released), three calls of redis_rate, and a bare script that does the least for three tiers, one call each. Limits never bind.
// "cpu-ns/op" is the processor time of this process and of Redis together. "keys" spreads the calls over 64 keys.
func BenchmarkRedisThreeTiers(b *testing.B) {
	for _, c := range []struct {
		name string
		run  func(b *testing.B, c *redis.Client) func(ctx context.Context, key string) error
	}{
		{"kit-take", kitTake}, {"kit-cycle", kitCycle}, {"redis_rate", redisRate}, {"bare", bare},
	} {
		for _, keys := range []int{1, flights} {
			b.Run(c.name+"/keys="+strconv.Itoa(keys), func(b *testing.B) {
				client := redis.NewClient(&redis.Options{
					Addr: services.Redis(b).Addr, ContextTimeoutEnabled: true, PoolSize: flights,
				})
				b.Cleanup(func() { client.Close() })
				call := c.run(b, client)
				var next atomic.Int64
				names := make([]string, keys)
				for i := range names {
					names[i] = "account-" + strconv.Itoa(i)
				}
				ctx := b.Context()
				b.ReportAllocs()
				b.SetParallelism(flights / 2) // times GOMAXPROCS, 2 on the machine of reference
				before := cpu(b, client)
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					key := names[int(next.Add(1))%keys]
					for pb.Next() {
						if err := call(ctx, key); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.StopTimer()
				b.ReportMetric(float64(cpu(b, client)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// cpu is the processor time that this process and Redis have used: unlike the time per call it can be compared when the machine is busy with
// something else.
func cpu(b *testing.B, c *redis.Client) (used time.Duration) {
	b.Helper()
	var ours syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ours); err != nil {
		b.Fatal(err)
	}
	used = time.Duration(ours.Utime.Nano() + ours.Stime.Nano())
	info, err := c.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			used += time.Duration(seconds * float64(time.Second))
		}
	}
	return used
}

var redisTiers = ratelimit.Tiers{
	{Requests: many, Per: time.Second}, {Requests: many, Per: time.Minute}, {Requests: many, Per: time.Hour},
}

func kitQuota(b *testing.B, c *redis.Client) *redisstore.Quota {
	b.Helper()
	q, err := redisstore.New(c, redisTiers, redisstore.Options{Name: "bench", Timeout: 5 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { q.Close() })
	if err := q.Begin(b.Context()); err != nil {
		b.Fatal(err)
	}
	return q
}

// kitTake refunds nothing and tells of nothing: as redis_rate does. The leases are renewed in the background like any others.
func kitTake(b *testing.B, c *redis.Client) func(context.Context, string) error {
	q := kitQuota(b, c)
	return func(ctx context.Context, key string) error {
		_, err := q.Take(ctx, key, 1, 0, time.Now())
		return err
	}
}

func kitCycle(b *testing.B, c *redis.Client) func(context.Context, string) error {
	q := kitQuota(b, c)
	return func(ctx context.Context, key string) error {
		g, err := q.Take(ctx, key, 1, 0, time.Now())
		if err != nil {
			return err
		}
		now := time.Now()
		if err := q.Settle(ctx, key, g, ratelimit.Settlement{Arrived: now, Now: now}); err != nil {
			return err
		}
		return q.Settle(ctx, key, g, ratelimit.Settlement{Release: true, Now: now})
	}
}

func redisRate(_ *testing.B, c *redis.Client) func(context.Context, string) error {
	lim := redis_rate.NewLimiter(c)
	return func(ctx context.Context, key string) error {
		for _, l := range []redis_rate.Limit{redis_rate.PerSecond(many), redis_rate.PerMinute(many), redis_rate.PerHour(many)} {
			if _, err := lim.Allow(ctx, key+l.String(), l); err != nil {
				return err
			}
		}
		return nil
	}
}

// bareScript reads the counters of three fixed windows, and counts in all of them or in none.
var bareScript = redis.NewScript(`
local now = tonumber(redis.call('TIME')[1])
local names = {}
for i = 1, 3 do
  local limit, per = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  names[i] = KEYS[1] .. ':' .. i .. ':' .. math.floor(now / per)
  if tonumber(redis.call('GET', names[i]) or 0) >= limit then return 0 end
end
for i = 1, 3 do
  if redis.call('INCR', names[i]) == 1 then redis.call('EXPIRE', names[i], ARGV[2 * i] * 2) end
end
return 1`)

func bare(_ *testing.B, c *redis.Client) func(context.Context, string) error {
	return func(ctx context.Context, key string) error {
		return bareScript.Run(ctx, c, []string{key}, many, 1, many, 60, many, 3600).Err()
	}
}
