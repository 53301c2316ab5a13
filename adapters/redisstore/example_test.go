package redisstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// A limiter whose quota is shared by all processes; while Redis is away, each of up to four admits a quarter for two minutes.
func Example() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	tiers := ratelimit.Tiers{{Requests: 120, Per: time.Minute}, {Requests: 5000, Per: time.Hour}, {Concurrent: 16}}
	quota, err := redisstore.New(client, tiers, redisstore.Options{
		Name:    "guesty",
		Away:    redisstore.LocalShare(4),
		AwayFor: 2 * time.Minute,
		OnEvent: func(e redisstore.Event) { fmt.Println("Redis is", e.Kind) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer quota.Close()
	lim, err := ratelimit.New(tiers, ratelimit.Options{Name: "guesty", Quota: quota})
	if err != nil {
		fmt.Println(err)
		return
	}
	// There is no Redis at this address: the host works all the same.
	admitted := 0
	for range 5 {
		p, err := lim.Acquire(context.Background(), ratelimit.Call{Key: "account-7"})
		if err != nil {
			fmt.Println(err)
			return
		}
		p.Answered(time.Now(), 200, nil)
		p.Release()
		admitted++
	}
	fmt.Println(admitted, "calls")
	// Unordered output:
	// Redis is away
	// 5 calls
}
