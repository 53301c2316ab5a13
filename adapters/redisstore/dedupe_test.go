package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/internal/services"
	"github.com/integrationkit/integrationkit/webhook"
	"github.com/integrationkit/integrationkit/webhook/webhooktest"
)

// pass lets time pass for a Redis, as far as expiry goes.
func pass(t testing.TB, c *redis.Client, d time.Duration) {
	t.Helper()
	ctx := t.Context()
	keys, err := c.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		left, err := c.PTTL(ctx, k).Result()
		if err != nil || left <= 0 {
			t.Fatalf("%s does not expire: %v, %v", k, left, err)
		}
		if err := c.PExpire(ctx, k, left-d).Err(); err != nil { // it is deleted when that is not above 0
			t.Fatal(err)
		}
	}
}

func TestDedupe(t *testing.T) {
	c := client(t, services.Redis(t).Addr)
	var n atomic.Int32
	webhooktest.Dedupe(t, webhooktest.Harness{
		New: func(t testing.TB) webhook.Dedupe {
			d, err := redisstore.NewDedupe(c, redisstore.DedupeOptions{
				Prefix: fmt.Sprintf("suite%d:", n.Add(1)), Timeout: 5 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		Advance: func(d time.Duration) { pass(t, c, d) },
	})
}

// Receivers of several processes share what they know.
func TestDedupeIsShared(t *testing.T) {
	s := services.Redis(t)
	var both [2]*redisstore.Dedupe
	for i := range both {
		d, err := redisstore.NewDedupe(client(t, s.Addr), redisstore.DedupeOptions{Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		both[i] = d
	}
	ctx := t.Context()
	token, _, err := both[0].Claim(ctx, "a", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, state, err := both[1].Claim(ctx, "a", time.Minute); state != webhook.InProgress || err != nil {
		t.Errorf("got %v, %v, want in progress", state, err)
	}
	for range 2 { // an answer that was lost makes the client ask twice
		if err := both[0].Done(ctx, "a", token, time.Minute); err != nil {
			t.Error(err)
		}
	}
	if _, state, err := both[1].Claim(ctx, "a", time.Minute); state != webhook.Done || err != nil {
		t.Errorf("got %v, %v, want done", state, err)
	}
	pass(t, client(t, s.Addr), time.Second)
}

func TestDedupeWithoutRedis(t *testing.T) {
	s := services.Redis(t)
	d, err := redisstore.NewDedupe(client(t, s.Addr), redisstore.DedupeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	ctx := t.Context()
	if token, state, err := d.Claim(ctx, "a", time.Minute); !errors.Is(err, redisstore.ErrAway) || state != webhook.InProgress || token != "" {
		t.Errorf("claim: got %q, %v, %v", token, state, err)
	}
	if err := d.Done(ctx, "a", "token", time.Minute); !errors.Is(err, redisstore.ErrAway) {
		t.Errorf("done: got %v", err)
	}
	if err := d.Release(ctx, "a", "token"); !errors.Is(err, redisstore.ErrAway) {
		t.Errorf("release: got %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := d.Claim(ended, "a", time.Minute); !errors.Is(err, context.Canceled) || errors.Is(err, redisstore.ErrAway) {
		t.Errorf("got %v, want the caller's own end", err)
	}
	unbound := redis.NewClient(&redis.Options{})
	defer unbound.Close()
	_, err = redisstore.NewDedupe(unbound, redisstore.DedupeOptions{Timeout: -1})
	for _, want := range []string{"ContextTimeoutEnabled", "Timeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
