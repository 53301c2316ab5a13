package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/sethvargo/go-limiter"
	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
	"golang.org/x/time/rate"

	"github.com/integrationkit/integrationkit/ratelimit"
)

const keyedKeys = 10_000

// keyedWindows are the windows of the limits, the first of them or all.
var keyedWindows = []time.Duration{time.Minute, time.Second, time.Hour}

// keyed is a limiter for many keys with one limit or several each, which never bind.
type keyed struct {
	name string
	open func(tb testing.TB, windows []time.Duration) func(ctx context.Context, key string) error
}

// keyedLimiters are the kit and the peers. What a peer does is less: it counts when it is asked, not when the partner can
// have counted, and spends of one limit what another refuses. The kit's is the whole cycle: acquire, answered, release.
var keyedLimiters = []keyed{
	{"kit", openKit},
	{"xtime-rwmutex", openRWMutex},
	{"xtime-syncmap", openSyncMap},
	{"go-limiter", openMemoryStore},
	{"throttled", openThrottled},
}

func openKit(tb testing.TB, windows []time.Duration) func(context.Context, string) error {
	var tiers ratelimit.Tiers
	for _, w := range windows {
		tiers = append(tiers, ratelimit.Tier{Requests: many, Per: w})
	}
	lim, err := ratelimit.New(tiers, ratelimit.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return func(ctx context.Context, key string) error {
		p, err := lim.Acquire(ctx, ratelimit.Call{Key: key})
		if err != nil {
			return err
		}
		p.Answered(200, nil)
		p.Release()
		return nil
	}
}

func newLimiters(windows []time.Duration) []*rate.Limiter {
	all := make([]*rate.Limiter, len(windows))
	for i, w := range windows {
		all[i] = rate.NewLimiter(rate.Limit(many/w.Seconds()), many)
	}
	return all
}

func waitAll(ctx context.Context, all []*rate.Limiter) error {
	for _, l := range all {
		if err := l.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// openRWMutex is the map that services write by hand. It forgets no key.
func openRWMutex(_ testing.TB, windows []time.Duration) func(context.Context, string) error {
	var mu sync.RWMutex
	all := make(map[string][]*rate.Limiter)
	return func(ctx context.Context, key string) error {
		mu.RLock()
		l := all[key]
		mu.RUnlock()
		if l == nil {
			mu.Lock()
			if l = all[key]; l == nil {
				l = newLimiters(windows)
				all[key] = l
			}
			mu.Unlock()
		}
		return waitAll(ctx, l)
	}
}

// openSyncMap is the other way to write it.
func openSyncMap(_ testing.TB, windows []time.Duration) func(context.Context, string) error {
	var all sync.Map
	return func(ctx context.Context, key string) error {
		v, ok := all.Load(key)
		if !ok {
			v, _ = all.LoadOrStore(key, newLimiters(windows))
		}
		l, ok := v.([]*rate.Limiter)
		if !ok {
			return fmt.Errorf("a %T", v)
		}
		return waitAll(ctx, l)
	}
}

func openMemoryStore(tb testing.TB, windows []time.Duration) func(context.Context, string) error {
	var stores []limiter.Store
	for _, w := range windows {
		store, err := memorystore.New(&memorystore.Config{Tokens: 1_000_000, Interval: w}) // of more it has none in the second window
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := store.Close(context.Background()); err != nil {
				tb.Error(err)
			}
		})
		stores = append(stores, store)
	}
	return func(ctx context.Context, key string) error {
		for _, store := range stores {
			if _, _, _, ok, err := store.Take(ctx, key); err != nil || !ok {
				return fmt.Errorf("%s: refused: %w", key, err)
			}
		}
		return nil
	}
}

func openThrottled(tb testing.TB, windows []time.Duration) func(context.Context, string) error {
	var all []*throttled.GCRARateLimiterCtx
	for range windows {
		store, err := memstore.NewCtx(0) // no bound on keys, none forgotten
		if err != nil {
			tb.Fatal(err)
		}
		quota := throttled.RateQuota{MaxRate: throttled.PerSec(1_000_000), MaxBurst: 1_000_000}
		l, err := throttled.NewGCRARateLimiterCtx(store, quota)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, l)
	}
	return func(ctx context.Context, key string) error {
		for _, l := range all {
			if limited, _, err := l.RateLimitCtx(ctx, key, 1); err != nil || limited {
				return fmt.Errorf("%s: refused: %w", key, err)
			}
		}
		return nil
	}
}

// BenchmarkKeyed is the price of a call under one of 10,000 keys, in no order, by one goroutine and by as many as there are
// cores, and what a key costs in memory (B/key: one that was used once, its name included).
func BenchmarkKeyed(b *testing.B) {
	names := make([]string, keyedKeys)
	for i := range names {
		names[i] = fmt.Sprintf("account-%08d", i)
	}
	order := rand.New(rand.NewPCG(1, 1)).Perm(keyedKeys)
	for _, tiers := range []int{1, 3} {
		for _, l := range keyedLimiters {
			b.Run(fmt.Sprintf("tiers=%d/%s", tiers, l.name), func(b *testing.B) {
				do, perKey := opened(b, l, tiers, names)
				ctx := b.Context()
				i := 0
				b.ReportAllocs()
				for b.Loop() {
					if err := do(ctx, names[order[i]]); err != nil {
						b.Fatal(err)
					}
					if i++; i == keyedKeys {
						i = 0
					}
				}
				b.ReportMetric(perKey, "B/key")
			})
			b.Run(fmt.Sprintf("tiers=%d/%s-parallel", tiers, l.name), func(b *testing.B) {
				do, _ := opened(b, l, tiers, names)
				ctx := b.Context()
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					i := rand.IntN(keyedKeys)
					for pb.Next() {
						if err := do(ctx, names[order[i]]); err != nil {
							b.Error(err)
							return
						}
						if i++; i == keyedKeys {
							i = 0
						}
					}
				})
			})
		}
	}
}

// opened uses each key once, and returns what that took of memory for each.
func opened(b *testing.B, l keyed, tiers int, names []string) (do func(context.Context, string) error, perKey float64) {
	b.Helper()
	before := heap()
	do = l.open(b, keyedWindows[:tiers])
	for _, name := range names {
		if err := do(b.Context(), name); err != nil {
			b.Fatal(err)
		}
	}
	return do, float64(heap()-before) / float64(len(names))
}

// heap is what is in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
