package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/auth/authtest"
	"github.com/integrationkit/integrationkit/internal/services"
)

// Processes that share a database and a Redis before it lose no update of each other's tokens, and a lock of one that
// was killed is free when its time is over: what is cached never stands for what is stored.
func TestPromise4_TokensOfProcessesThatShareRedis(t *testing.T) {
	authtest.Processes(t, func(t *testing.T) string {
		return services.Redis(t).Addr + " " + filepath.Join(t.TempDir(), "kit.db")
	}, func(t *testing.T, place string) auth.Store {
		addr, path, _ := strings.Cut(place, " ")
		store, err := openStore(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
		t.Cleanup(func() { client.Close() })
		keys, err := auth.NewKeys(auth.Key{ID: "cache", Secret: auth.KeyBytes{4, 5, 6}})
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := redisstore.NewTokens(client, store, redisstore.TokensOptions{
			Keys: keys, Timeout: 2 * time.Second, OnError: func(err error) { t.Errorf("Redis was passed by: %v", err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return tokens
	})
}
