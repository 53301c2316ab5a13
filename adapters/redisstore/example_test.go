package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/auth"
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
		p.Answered(200, nil)
		p.Release()
		admitted++
	}
	fmt.Println(admitted, "calls")
	// Unordered output:
	// Redis is away
	// 5 calls
}

// Receivers on several machines hand each delivery over once.
func ExampleNewDedupe() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	dedupe, err := redisstore.NewDedupe(client, redisstore.DedupeOptions{Timeout: 500 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	// webhook.Config{Dedupe: dedupe, ...}. There is no Redis at this address: the partner is asked to send again.
	_, _, err = dedupe.Claim(context.Background(), "guesty/hotel-1/msg_1", time.Minute)
	fmt.Println(errors.Is(err, redisstore.ErrAway))
	// Output: true
}

// Tokens are read through Redis; where it is away, from the store behind alone.
func ExampleNewTokens() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	keys, err := auth.NewKeys(auth.Key{ID: "2026-11", Secret: auth.KeyBytes{31: 1}}) // 32 random bytes, from where secrets are kept
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := redisstore.NewTokens(client, auth.NewMemoryStore(), redisstore.TokensOptions{ // the database's store, in earnest
		Keys: keys, For: time.Millisecond,
		OnError: func(err error) { fmt.Println("passed by:", errors.Is(err, redisstore.ErrAway)) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// auth.Config{Store: store, ...}
	r, err := store.LoadToken(context.Background(), "guesty/hotel-1")
	fmt.Println(r.Version, err)
	// Output:
	// passed by: true
	// 0 <nil>
}

// One call charged to the application's quota and to the account's, both shared by all processes, in one round trip. The Tag is
// for a Cluster.
func ExampleQuota_TakeAll() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	limiter := func(name string, tier ratelimit.Tier) (*ratelimit.Limiter, *redisstore.Quota) {
		tiers := ratelimit.Tiers{tier}
		quota, err := redisstore.New(client, tiers, redisstore.Options{Name: name, Tag: "guesty", Away: redisstore.LocalShare(4)})
		if err != nil {
			panic(err)
		}
		lim, err := ratelimit.New(tiers, ratelimit.Options{Name: name, Quota: quota})
		if err != nil {
			panic(err)
		}
		return lim, quota
	}
	application, a := limiter("application", ratelimit.Tier{Requests: 1000, Per: time.Minute})
	defer a.Close()
	account, b := limiter("account", ratelimit.Tier{Requests: 120, Per: time.Minute})
	defer b.Close()
	set, err := ratelimit.NewSet(
		ratelimit.Rule{Name: "application", Limiter: application, Key: func(ratelimit.Call) string { return "" }},
		ratelimit.Rule{Name: "account", Limiter: account},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := set.Acquire(context.Background(), ratelimit.Call{Key: "account-7"})
	fmt.Println(a.Joins(b), err)
	p.Release()
	// Output: true <nil>
}
