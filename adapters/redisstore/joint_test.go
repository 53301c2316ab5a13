package redisstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/internal/services"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
	"github.com/integrationkit/integrationkit/retry"
)

var _ ratelimit.Joiner = (*redisstore.Quota)(nil)

// twoQuotas returns a quota of an application and one of its accounts.
func twoQuotas(t *testing.T, c redis.UniversalClient, o redisstore.Options) (app, account *redisstore.Quota) {
	t.Helper()
	o.Name = "application"
	app = begun(t, c, ratelimit.Tiers{{Requests: 10, Per: time.Hour}}, o)
	o.Name = "account"
	account = begun(t, c, ratelimit.Tiers{{Requests: 3, Per: time.Hour}, {Concurrent: 5}}, o)
	return app, account
}

func used(t *testing.T, q *redisstore.Quota, key string) int64 {
	t.Helper()
	u, err := q.Usage(t.Context(), key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return u.Tiers[0].Used
}

// All quotas admit a call, or none spends anything: in one round trip.
func TestTakeAll(t *testing.T) {
	s := services.Redis(t)
	c := client(t, s.Addr)
	app, account := twoQuotas(t, c, redisstore.Options{})
	testTakeAll(t, app, account, func() int { return scripts(t, c) })

	other, _ := twoQuotas(t, client(t, s.Addr), redisstore.Options{Prefix: "other:"})
	slower := open(t, c, hourly, redisstore.Options{Name: "slower", Timeout: time.Second})
	memory, err := ratelimit.NewMemory(hourly)
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]ratelimit.Quota{"another client's": other, "another timeout": slower, "memory": memory} {
		if app.Joins(q) {
			t.Errorf("%s quota is joined", name)
		}
		if _, err := app.TakeAll(t.Context(), []ratelimit.Take{{Quota: app, Cost: 1}, {Quota: q, Cost: 1}}, time.Now()); err == nil {
			t.Errorf("%s quota: no error", name)
		}
	}
}

func TestJoiner(t *testing.T) {
	c := client(t, services.Redis(t).Addr)
	n := 0
	ratelimittest.Joiner(t, func(t *testing.T, tiers ...ratelimit.Tiers) (all []ratelimit.Joiner) {
		for _, ts := range tiers {
			n++
			all = append(all, begun(t, c, ts, redisstore.Options{Name: fmt.Sprint("joint", n)}))
		}
		return all
	})
}

func testTakeAll(t *testing.T, app, account *redisstore.Quota, scripts func() int) {
	if !app.Joins(account) || !account.Joins(app) {
		t.Fatal("they are not joined")
	}
	check := func(what string, one, a, b int64) {
		t.Helper()
		gotOne, gotA, gotB := used(t, app, "app"), used(t, account, "a"), used(t, account, "b")
		if gotOne != one || gotA != a || gotB != b {
			t.Errorf("%s: used %d, %d, %d; want %d, %d, %d", what, gotOne, gotA, gotB, one, a, b)
		}
	}
	takes := []ratelimit.Take{{Quota: app, Key: "app", Cost: 2}, {Quota: account, Key: "a", Cost: 1}, {Quota: account, Key: "b", Cost: 2}}
	check("before", 0, 0, 0)
	before := scripts()
	first, err := app.TakeAll(t.Context(), takes, time.Now())
	if err != nil || len(first) != 3 || !first[0].OK || !first[1].OK || !first[2].OK {
		t.Fatalf("got %+v, %v; want all admitted", first, err)
	}
	if n := scripts() - before; n != 1 {
		t.Errorf("%d calls of the script, want 1", n)
	}
	check("taken", 2, 1, 2)
	got, err := account.TakeAll(t.Context(), takes, time.Now()) // b has room for one more
	if err != nil || len(got) != 3 || !got[0].OK || !got[1].OK || got[2].OK || got[2].Tier != "3/1h0m0s" || got[2].Early == nil {
		t.Fatalf("got %+v, %v; want a refusal by the third", got, err)
	}
	check("refused", 2, 1, 2)
	for i, g := range got[:2] { // nothing was taken
		if err := takes[i].Quota.Settle(t.Context(), takes[i].Key, g, ratelimit.Settlement{Release: true, Now: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	check("nothing given back", 2, 1, 2)
	for i, g := range first {
		if err := takes[i].Quota.Settle(t.Context(), takes[i].Key, g, ratelimit.Settlement{Release: true, Now: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	check("given back", 0, 0, 0)
	for name, wrong := range map[string]ratelimit.Take{
		"a cost above the limit": {Quota: account, Key: "b", Cost: 4}, "twice": takes[0],
	} {
		if _, err := app.TakeAll(t.Context(), append(takes[:2:2], wrong), time.Now()); retry.ClassOf(err) != retry.Client {
			t.Errorf("%s: got %v, want class client", name, err)
		}
	}
	check("at the end", 0, 0, 0)
}

// Many callers of two processes who take of two quotas each, and a strict partner for each of them.
func TestPromise3_TakeAll(t *testing.T) {
	s := services.Redis(t)
	const per = 250 * time.Millisecond
	both := ratelimit.Tiers{{Requests: 40, Per: per}, {Concurrent: 20}}
	each := ratelimit.Tiers{{Requests: 25, Per: per}}
	ledger := ratelimittest.NewLedger(both)
	ledgers := map[string]*ratelimittest.Ledger{"a": ratelimittest.NewLedger(each), "b": ratelimittest.NewLedger(each)}
	end := time.Now().Add(7 * per)
	var wg sync.WaitGroup
	for i := range 2 {
		c := client(t, s.Addr)
		make := begun
		if i > 0 {
			make = open
		}
		app := make(t, c, both, redisstore.Options{Name: "application"})
		account := make(t, c, each, redisstore.Options{Name: "account"})
		for i := range 16 {
			key := string("ab"[i%2])
			wg.Go(func() {
				takes := []ratelimit.Take{{Quota: app, Key: "app", Cost: 1}, {Quota: account, Key: key, Cost: 1}}
				for time.Now().Before(end) {
					gs, err := app.TakeAll(t.Context(), takes, time.Now())
					if err != nil {
						t.Error(err)
						return
					}
					if !gs[0].OK || !gs[1].OK {
						time.Sleep(rand.N(4 * time.Millisecond))
						continue
					}
					how := ratelimit.Settlement{Release: true}
					if rand.IntN(10) > 0 {
						time.Sleep(rand.N(3 * time.Millisecond))
						now := time.Now()
						ledger.Arrive(now, 1)
						ledgers[key].Arrive(now, 1)
						ledger.Leave()
						ledgers[key].Leave()
						time.Sleep(rand.N(3 * time.Millisecond))
						how.Arrived = time.Now()
					}
					for i, g := range gs {
						if err := takes[i].Quota.Settle(t.Context(), takes[i].Key, g, how); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
	}
	wg.Wait()
	for name, l := range map[string]*ratelimittest.Ledger{"both": ledger, "a": ledgers["a"], "b": ledgers["b"]} {
		if err := l.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := l.Report()[0]; got.Worst < 15 {
			t.Errorf("%s: %d at worst: nothing was put to the test", name, got.Worst)
		}
	}
}

// While Redis is away each quota's policy holds, and what one of them refuses is given back to the others.
func TestTakeAllWithoutRedis(t *testing.T) {
	s := services.Redis(t)
	c := client(t, s.Addr)
	share := redisstore.LocalShare(3)
	app := begun(t, c, ratelimit.Tiers{{Requests: 30, Per: time.Hour}}, redisstore.Options{Name: "application", Away: share})
	account := begun(t, c, ratelimit.Tiers{{Requests: 3, Per: time.Hour}}, redisstore.Options{Name: "account", Away: share})
	closed := begun(t, c, hourly, redisstore.Options{Name: "closed"})
	takes := []ratelimit.Take{{Quota: app, Key: "app", Cost: 1}, {Quota: account, Key: "a", Cost: 1}}
	s.Stop()
	gs, err := app.TakeAll(t.Context(), takes, time.Now())
	if err != nil || !gs[0].OK || !gs[1].OK {
		t.Fatalf("got %+v, %v, want a share of each", gs, err)
	}
	for range 20 { // more than the share of the application, if they were not given back
		if gs, err = app.TakeAll(t.Context(), takes, time.Now()); err != nil || gs[1].OK {
			t.Fatalf("got %+v, %v, want a refusal by the account", gs, err)
		}
	}
	takes[1].Quota = closed
	if _, err := app.TakeAll(t.Context(), takes, time.Now()); !errors.Is(err, redisstore.ErrAway) {
		t.Errorf("got %v, want ErrAway", err)
	}
	closed.Close()
	if _, err := app.TakeAll(t.Context(), takes, time.Now()); !errors.Is(err, redisstore.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}
