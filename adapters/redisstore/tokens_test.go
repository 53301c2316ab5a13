package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/auth/authtest"
	"github.com/integrationkit/integrationkit/internal/services"
)

func sealing(t testing.TB, id string) *auth.Keys {
	t.Helper()
	keys, err := auth.NewKeys(auth.Key{ID: id, Secret: auth.KeyBytes{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func tokens(t testing.TB, c redis.UniversalClient, behind auth.Store, o redisstore.TokensOptions) *redisstore.Tokens {
	t.Helper()
	if o.Keys == nil {
		o.Keys = sealing(t, "k")
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	s, err := redisstore.NewTokens(c, behind, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// behind is a store that counts, and can be held up after it has read.
type behind struct {
	auth.Store
	loads atomic.Int32
	hold  func() // called after a load, if set
}

func (b *behind) LoadToken(ctx context.Context, key string) (auth.Record, error) {
	b.loads.Add(1)
	r, err := b.Store.LoadToken(ctx, key)
	if b.hold != nil {
		b.hold()
	}
	return r, err
}

func mustSave(t testing.TB, s auth.Store, r auth.Record) auth.Record {
	t.Helper()
	r.Generation++
	v, err := s.SaveToken(t.Context(), "key", r)
	if err != nil {
		t.Fatal(err)
	}
	r.Version = v
	return r
}

func loads(t testing.TB, s auth.Store, want auth.Record) {
	t.Helper()
	got, err := s.LoadToken(t.Context(), "key")
	if err != nil || got.Version != want.Version || got.Generation != want.Generation {
		t.Errorf("got version %d of generation %d, %v; want %d and %d", got.Version, got.Generation, err, want.Version, want.Generation)
	}
}

// nowhere is a client of a Redis that is not there.
func nowhere(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { c.Close() })
	return c
}

func TestTokens(t *testing.T) {
	authtest.Store(t, func(t *testing.T) func() auth.Store {
		s, store := services.Redis(t), auth.NewMemoryStore()
		return func() auth.Store { return tokens(t, client(t, s.Addr), store, redisstore.TokensOptions{}) }
	})
}

// Without Redis, it is as if the store behind were alone.
func TestTokensWithoutRedis(t *testing.T) {
	authtest.Store(t, func(t *testing.T) func() auth.Store {
		store := auth.NewMemoryStore()
		return func() auth.Store {
			return tokens(t, nowhere(t), store, redisstore.TokensOptions{For: time.Millisecond})
		}
	})
}

func TestTokensAtRest(t *testing.T) {
	c := client(t, services.Redis(t).Addr)
	s := tokens(t, c, auth.NewMemoryStore(), redisstore.TokensOptions{})
	authtest.AtRest(t, s, func() []byte {
		var all bytes.Buffer
		keys, err := c.Keys(t.Context(), "*").Result()
		if err != nil || len(keys) == 0 {
			t.Fatalf("%q, %v", keys, err)
		}
		for _, k := range keys {
			v, err := c.Get(t.Context(), k).Result()
			if err != nil {
				t.Fatal(err)
			}
			all.WriteString(k + v)
		}
		return all.Bytes()
	})
	pass(t, c, time.Millisecond) // everything expires
}

// Many processes that look cost the store one look, until the record expires or is replaced. Who has the lock looks for himself.
func TestTokensAreCached(t *testing.T) {
	srv := services.Redis(t)
	c := client(t, srv.Addr)
	store := &behind{Store: auth.NewMemoryStore()}
	a, b := tokens(t, c, store, redisstore.TokensOptions{}), tokens(t, client(t, srv.Addr), store, redisstore.TokensOptions{})
	count := func(what string, want int32) {
		t.Helper()
		if got := store.loads.Swap(0); got != want {
			t.Errorf("%s: the store was asked %d times, want %d", what, got, want)
		}
	}
	loads(t, a, auth.Record{})
	count("there is none", 1)
	r := mustSave(t, a, auth.Record{})
	for range 10 {
		loads(t, a, r)
		loads(t, b, r)
	}
	count("after a save", 0)
	pass(t, c, time.Minute)
	for range 10 {
		loads(t, a, r)
		loads(t, b, r)
	}
	count("after it has expired", 1)
	unlock, err := a.LockToken(t.Context(), "key", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	loads(t, a, r)
	count("with the lock", 1)
	loads(t, b, r)
	count("without the lock", 0)
	unlock()
	unlock()
	loads(t, a, r)
	count("after the lock", 0)
	if unlock, err = a.LockToken(t.Context(), "key", time.Millisecond); err != nil { // and it is never unlocked
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
	unlock2, err := a.LockToken(t.Context(), "other", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock2()
	loads(t, a, r)
	count("after the lock's time", 0)
	unlock()
}

// A look that began before a save and ends after it does not bring the old record back, nor after a save that came too late.
func TestSupersededTokenIsNotServed(t *testing.T) {
	srv := services.Redis(t)
	memory := auth.NewMemoryStore()
	other := func(b auth.Store) *redisstore.Tokens {
		return tokens(t, client(t, srv.Addr), b, redisstore.TokensOptions{})
	}
	writer := other(memory)
	old := mustSave(t, writer, auth.Record{})
	for _, late := range []bool{false, true} {
		pass(t, client(t, srv.Addr), 2*time.Minute)
		read, goOn := make(chan struct{}), make(chan struct{})
		slow := other(&behind{Store: memory, hold: func() { close(read); <-goOn }})
		done := make(chan struct{})
		go func() {
			defer close(done)
			loads(t, slow, old)
		}()
		<-read
		now := mustSave(t, writer, old)
		if late {
			if _, err := other(memory).SaveToken(t.Context(), "key", old); !errors.Is(err, auth.ErrConflict) {
				t.Errorf("got %v, want a conflict", err)
			}
		}
		close(goOn)
		<-done
		loads(t, other(memory), now)
		old = now
	}
}

// Where the saver cannot reach Redis, and others can, the old record has expired by the time that SaveToken returns.
func TestSupersededTokenIsNotServedByRedisThatCouldNotBeTold(t *testing.T) {
	srv := services.Redis(t)
	memory := auth.NewMemoryStore()
	o := redisstore.TokensOptions{For: 150 * time.Millisecond}
	reader := tokens(t, client(t, srv.Addr), memory, o)
	var told atomic.Int32
	o.OnError = func(error) { told.Add(1) }
	cut := tokens(t, nowhere(t), memory, o)
	old := mustSave(t, reader, auth.Record{})
	loads(t, reader, old)
	ctx, cancel := context.WithCancel(t.Context())
	old.Generation++
	v, err := cut.SaveToken(ctx, "key", old)
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	old.Version = v
	loads(t, reader, old)
	if told.Load() != 2 {
		t.Errorf("told %d times, want 2", told.Load())
	}
}

// Readers never see less than what was saved before they began.
func TestTokensUnderLoad(t *testing.T) {
	srv := services.Redis(t)
	store := &behind{Store: auth.NewMemoryStore(), hold: func() { time.Sleep(rand.N(2 * time.Millisecond)) }}
	o := redisstore.TokensOptions{For: 3 * time.Millisecond}
	var latest atomic.Uint64
	end := time.Now().Add(time.Second)
	var wg sync.WaitGroup
	for range 2 {
		s := tokens(t, client(t, srv.Addr), store, o)
		wg.Go(func() {
			for time.Now().Before(end) {
				r, err := store.Store.LoadToken(t.Context(), "key")
				if err != nil {
					t.Error(err)
				}
				r.Generation++
				v, err := s.SaveToken(t.Context(), "key", r)
				if err != nil && !errors.Is(err, auth.ErrConflict) {
					t.Error(err)
				}
				for err == nil {
					if now := latest.Load(); now >= v || latest.CompareAndSwap(now, v) {
						break
					}
				}
				time.Sleep(rand.N(6 * time.Millisecond))
			}
		})
	}
	for range 4 {
		s := tokens(t, client(t, srv.Addr), store, o)
		wg.Go(func() {
			for time.Now().Before(end) {
				least := latest.Load()
				r, err := s.LoadToken(t.Context(), "key")
				if err != nil {
					t.Error(err)
				}
				if r.Version < least {
					t.Errorf("version %d was served after %d was saved", r.Version, least)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d versions; the store was asked %d times", latest.Load(), store.loads.Load())
}

// What cannot be opened is as good as not cached.
func TestTokensThatCannotBeOpened(t *testing.T) {
	c := client(t, services.Redis(t).Addr)
	memory := auth.NewMemoryStore()
	r := mustSave(t, tokens(t, c, memory, redisstore.TokensOptions{}), auth.Record{})
	var told []error
	o := redisstore.TokensOptions{OnError: func(err error) { told = append(told, err) }}
	s := tokens(t, c, memory, o)
	entry, err := c.Get(t.Context(), "ik:token:key").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, altered := range []string{
		entry[:len(entry)-1], strings.Replace(entry, "0001K", "0002K", 1), "v", "v" + strings.Repeat("x", 20) + entry[21:], "", "?",
	} {
		if err := c.Set(t.Context(), "ik:token:key", altered, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		loads(t, s, r)
	}
	if len(told) != 3 {
		t.Errorf("told %v, want of 3 that were altered", told)
	}
	if err := c.Set(t.Context(), "ik:token:key", entry, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	o.Keys = sealing(t, "another")
	loads(t, tokens(t, c, memory, o), r)
	if err := c.Del(t.Context(), "ik:token:key").Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.HSet(t.Context(), "ik:token:key", "a", "b").Err(); err != nil {
		t.Fatal(err)
	}
	loads(t, s, r)
}

func TestNewTokensNamesAllThatIsWrong(t *testing.T) {
	_, err := redisstore.NewTokens(nil, nil, redisstore.TokensOptions{Timeout: -1, For: time.Hour})
	for _, want := range []string{"no client", "Timeout", "For", "no store", "no Keys"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
