package ratelimit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
	"github.com/integrationkit/integrationkit/retry"
)

func newSet(t testing.TB, rules ...ratelimit.Rule) *ratelimit.Set {
	t.Helper()
	s, err := ratelimit.NewSet(rules...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func all(ratelimit.Call) string { return "" }

// memoryBacked counts in a Quota; joined says whether it can be joined with others.
func memoryBacked(t testing.TB, joined bool, o ratelimit.Options, tiers ...ratelimit.Tier) *ratelimit.Limiter {
	t.Helper()
	m, err := ratelimit.NewMemory(tiers)
	if err != nil {
		t.Fatal(err)
	}
	if o.Quota = m; !joined {
		o.Quota = struct{ ratelimit.Quota }{m}
	}
	return newLimiter(t, o, tiers...)
}

// makers are the ways in which a limiter can count.
var makers = map[string]func(t testing.TB, tiers ...ratelimit.Tier) *ratelimit.Limiter{
	"memory": func(t testing.TB, tiers ...ratelimit.Tier) *ratelimit.Limiter {
		return newLimiter(t, ratelimit.Options{}, tiers...)
	},
	"joined": func(t testing.TB, tiers ...ratelimit.Tier) *ratelimit.Limiter {
		return memoryBacked(t, true, ratelimit.Options{}, tiers...)
	},
	"apart": func(t testing.TB, tiers ...ratelimit.Tier) *ratelimit.Limiter {
		return memoryBacked(t, false, ratelimit.Options{}, tiers...)
	},
	"state": func(t testing.TB, tiers ...ratelimit.Tier) *ratelimit.Limiter {
		return newLimiter(t, ratelimit.Options{Name: fmt.Sprint(tiers), State: &memState{}}, tiers...)
	},
	"mixed": func(t testing.TB, tiers ...ratelimit.Tier) *ratelimit.Limiter {
		if tiers[0].Requests%2 == 0 {
			return newLimiter(t, ratelimit.Options{}, tiers...)
		}
		return memoryBacked(t, true, ratelimit.Options{}, tiers...)
	},
}

// inAll runs a test with each of the makers, in a bubble.
func inAll(t *testing.T, f func(t *testing.T, open func(tiers ...ratelimit.Tier) *ratelimit.Limiter)) {
	for name, open := range makers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f(t, func(tiers ...ratelimit.Tier) *ratelimit.Limiter { return open(t, tiers...) })
			})
		})
	}
}

func TestSetTakesFromAllOrNone(t *testing.T) {
	inAll(t, func(t *testing.T, open func(tiers ...ratelimit.Tier) *ratelimit.Limiter) {
		app, acct, one := open(ratelimit.Tier{Requests: 100, Per: time.Hour}), open(ratelimit.Tier{Requests: 11, Per: time.Hour}), open(ratelimit.Tier{Concurrent: 1})
		set := newSet(t,
			ratelimit.Rule{Name: "app", Limiter: app, Key: all, Cost: 2},
			ratelimit.Rule{Name: "account", Limiter: acct},
			ratelimit.Rule{Name: "one", Limiter: one, Ops: []string{"one"}},
		)
		used := func(op string) string {
			t.Helper()
			us, err := set.Usage(t.Context(), ratelimit.Call{Key: "a", Op: op})
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, u := range us {
				out = append(out, fmt.Sprintf("%s%s=%d", u.Rule, u.Key, u.Tiers[0].Used))
			}
			return strings.Join(out, " ")
		}
		p, err := set.Acquire(t.Context(), ratelimit.Call{Key: "a", Op: "one", Cost: 5})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := used("one"), "app=10 accounta=5 onea=1"; got != want {
			t.Errorf("used %s, want %s", got, want)
		}
		ctx := retry.WithMaxWait(t.Context(), 0)
		for _, c := range []ratelimit.Call{{Key: "a", Op: "one"}, {Key: "a", Cost: 7}} {
			if at := set.Ready(t.Context(), c); !at.After(time.Now()) {
				t.Errorf("Ready says %v of %+v", at, c)
			}
			if _, err := set.Acquire(ctx, c); retry.ClassOf(err) != retry.RateLimit || !retry.At(err).After(time.Now()) {
				t.Errorf("%+v: %v, want a refusal", c, err)
			}
		}
		if got, want := used("one"), "app=10 accounta=5 onea=1"; got != want {
			t.Errorf("after refusals %s, want %s", got, want)
		}
		p.Release() // never sent
		if got, want := used("one"), "app=0 accounta=0 onea=0"; got != want {
			t.Errorf("after a refund %s, want %s", got, want)
		}
		for _, c := range []ratelimit.Call{{Cost: 51}, {Cost: -1}, {Cost: 1 << 52}, {Weight: -1}} {
			if _, err := set.Acquire(t.Context(), c); retry.ClassOf(err) != retry.Client {
				t.Errorf("%+v: %v, want class client", c, err)
			}
		}
	})
}

// partner is several ledgers, one for each limiter and key.
type partner struct {
	mu      sync.Mutex
	ledgers map[string]*ratelimittest.Ledger
	tiers   map[string]ratelimit.Tiers
	got     map[string]int // by operation and by caller
}

func (p *partner) arrive(i int, op string, keys ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range keys {
		l := p.ledgers[k]
		if l == nil {
			rule, _, _ := strings.Cut(k, ":")
			l = ratelimittest.NewLedger(p.tiers[rule])
			p.ledgers[k] = l
		}
		l.Arrive(time.Now(), 1)
		l.Leave()
	}
	p.got[op]++
	p.got[fmt.Sprint(i)]++
}

func (p *partner) check(t *testing.T) {
	t.Helper()
	for k, l := range p.ledgers {
		if err := l.Check(); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
}

// Scopes that contain each other and scopes that cross, hundreds of callers, latency, cancellation: no window of any scope is exceeded, what binds is
// used, and everybody gets on.
func TestPromise3_ScopesChargedTogether(t *testing.T) {
	inAll(t, func(t *testing.T, open func(tiers ...ratelimit.Tier) *ratelimit.Limiter) {
		tiers := map[string]ratelimit.Tiers{
			"app":     {{Requests: 100, Per: 10 * time.Second}, {Concurrent: 60}},
			"account": {{Requests: 15, Per: time.Second}, {Requests: 301, Per: time.Minute}},
			"write":   {{Requests: 20, Per: 10 * time.Second}},
			"region":  {{Requests: 33, Per: 5 * time.Second, Kind: ratelimit.TokenBucket, Burst: 7}},
		}
		w := &partner{ledgers: map[string]*ratelimittest.Ledger{}, tiers: tiers, got: map[string]int{}}
		set := newSet(t,
			ratelimit.Rule{Name: "account", Limiter: open(tiers["account"]...)},
			ratelimit.Rule{Name: "app", Limiter: open(tiers["app"]...), Key: all, Scope: retry.Partner},
			ratelimit.Rule{Name: "write", Limiter: open(tiers["write"]...), Key: all, Ops: []string{"write", "both"}},
			ratelimit.Rule{Name: "region", Limiter: open(tiers["region"]...), Key: all, Ops: []string{"region", "both"}},
		)
		const minutes, callers = 15, 200
		ctx, cancel := context.WithTimeout(t.Context(), minutes*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(3, uint64(i)))
				op := []string{"read", "write", "region", "both"}[i%4]
				account := fmt.Sprint(i % 5)
				keys := []string{"app:", "account:" + account}
				if op == "write" || op == "both" {
					keys = append(keys, "write:")
				}
				if op == "region" || op == "both" {
					keys = append(keys, "region:")
				}
				for ctx.Err() == nil {
					c, stop := ctx, context.CancelFunc(func() {})
					if r.IntN(20) == 0 {
						c, stop = context.WithTimeout(ctx, time.Duration(r.Int64N(int64(time.Minute))))
					}
					p, err := set.Acquire(c, ratelimit.Call{Key: account, Op: op, Tenant: fmt.Sprint(i)})
					stop()
					if err != nil {
						if at := retry.At(err); !at.IsZero() {
							time.Sleep(min(time.Second, time.Until(at)))
						}
						continue
					}
					time.Sleep(time.Duration(r.Int64N(int64(200 * time.Millisecond))))
					switch r.IntN(20) {
					case 0: // never sent
					case 1:
						w.arrive(i, op, keys...)
						p.Lost()
					default:
						w.arrive(i, op, keys...)
						time.Sleep(time.Duration(r.Int64N(int64(200 * time.Millisecond))))
						p.Answered(200, nil)
					}
					p.Release()
				}
			})
		}
		wg.Wait()
		w.check(t)
		share := w.ledgers["app:"].Report()[0].Share
		if share < 0.93 {
			t.Errorf("%.3f of what the application may send was used, want 0.93", share)
		}
		for i := range callers {
			if w.got[fmt.Sprint(i)] < 2 {
				t.Errorf("caller %d got %d turns, want 2 or more", i, w.got[fmt.Sprint(i)])
			}
		}
		if n := w.got["write"] + w.got["both"]; n < 90*minutes {
			t.Errorf("%d writes, want %d", n, 90*minutes)
		}
	})
}

// Two limits that open in turns, each wanted by somebody who needs no other: who needs both gets on.
func TestSetStarvesNobody(t *testing.T) {
	inAll(t, func(t *testing.T, open func(tiers ...ratelimit.Tier) *ratelimit.Limiter) {
		a, b := open(ratelimit.Tier{Requests: 1, Per: time.Second}), open(ratelimit.Tier{Requests: 1, Per: time.Second, Name: "b"})
		set := newSet(t,
			ratelimit.Rule{Name: "a", Limiter: a, Ops: []string{"a", "both"}},
			ratelimit.Rule{Name: "b", Limiter: b, Ops: []string{"b", "both"}},
		)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		var mu sync.Mutex
		got := map[string]int{}
		var wg sync.WaitGroup
		for i, op := range []string{"a", "a", "b", "b", "both"} {
			wg.Go(func() {
				if op == "b" {
					time.Sleep(500 * time.Millisecond)
				}
				for ctx.Err() == nil {
					p, err := set.Acquire(ctx, ratelimit.Call{Op: op, Tenant: fmt.Sprint(i)})
					if err != nil {
						return
					}
					mu.Lock()
					got[op]++
					mu.Unlock()
					p.Answered(200, nil)
					p.Release()
				}
			})
		}
		wg.Wait()
		t.Log(got)
		// Its share of each is a third: 100 turns. It waits for the two to come together.
		if got["both"] < 40 || got["a"] < 100 || got["b"] < 100 || got["a"]+got["both"] < 220 || got["b"]+got["both"] < 220 {
			t.Errorf("got %v", got)
		}
	})
}

// A call that one limit holds back for an hour takes nothing from the others' room meanwhile.
func TestSetWastesNoRoom(t *testing.T) {
	inAll(t, func(t *testing.T, open func(tiers ...ratelimit.Tier) *ratelimit.Limiter) {
		app, hourly := open(ratelimit.Tier{Requests: 2, Per: time.Second}), open(ratelimit.Tier{Requests: 1, Per: time.Hour})
		set := newSet(t, ratelimit.Rule{Name: "app", Limiter: app}, ratelimit.Rule{Name: "hourly", Limiter: hourly, Ops: []string{"report"}})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[string]int{}
		for i := range 50 {
			op := "read"
			if i%2 == 0 {
				op = "report"
			}
			wg.Go(func() {
				for ctx.Err() == nil {
					// Without a deadline, or it would be refused at once.
					p, err := set.Acquire(context.WithoutCancel(ctx), ratelimit.Call{Op: op, Priority: ratelimit.Priority(1 - i%2)})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					got[op]++
					mu.Unlock()
					p.Answered(200, nil)
					p.Release()
				}
			})
		}
		wg.Wait()
		if got["read"]+1 < 2*20*60*99/100 {
			t.Errorf("%v, want 2 each second", got)
		}
	})
}

// Tenants share the limit that binds them by their weights, whatever else their calls are charged to.
func TestSetIsFair(t *testing.T) {
	inAll(t, func(t *testing.T, open func(tiers ...ratelimit.Tier) *ratelimit.Limiter) {
		app, acct := open(ratelimit.Tier{Requests: 20, Per: time.Second}), open(ratelimit.Tier{Requests: 5, Per: time.Second})
		set := newSet(t, ratelimit.Rule{Name: "app", Limiter: app, Key: all}, ratelimit.Rule{Name: "account", Limiter: acct})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var mu sync.Mutex
		got := make([]float64, 10)
		var wg sync.WaitGroup
		for i := range got {
			for range 4 + 5*i { // some have many callers
				wg.Go(func() {
					for {
						p, err := set.Acquire(ctx, ratelimit.Call{Key: fmt.Sprint(i), Tenant: fmt.Sprint(i)})
						if err != nil {
							return
						}
						mu.Lock()
						got[i]++
						mu.Unlock()
						p.Answered(200, nil)
						p.Release()
					}
				})
			}
		}
		wg.Wait()
		if j := jain(got); j < 0.98 {
			t.Errorf("Jain's index is %.3f: %v", j, got)
		}
	})
}

// Calls below Interactive are held to a limit of their own beside the one for all: what is above it is there whenever a person comes, however
// much waits. It is so in every way of counting.
func TestSetKeepsAReserve(t *testing.T) {
	for name, open := range makers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const limit, reserve = 30, 6
				set := newSet(t,
					ratelimit.Rule{Name: "all", Limiter: open(t, ratelimit.Tier{Requests: limit, Per: time.Minute})},
					ratelimit.Rule{
						Name: "rest", Limiter: open(t, ratelimit.Tier{Requests: limit - reserve, Per: time.Minute}),
						Priorities: []ratelimit.Priority{ratelimit.FollowUp, ratelimit.Scheduled, ratelimit.Background},
					},
				)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				var wg sync.WaitGroup
				var mu sync.Mutex
				spent := 0
				for i := range 12 {
					wg.Go(func() {
						for {
							p, err := set.Acquire(ctx, ratelimit.Call{Priority: ratelimit.Priority(i%3 - 1)})
							if err != nil {
								return
							}
							p.Answered(200, nil)
							p.Release()
							mu.Lock()
							spent++
							mu.Unlock()
						}
					})
				}
				for ctx.Err() == nil {
					time.Sleep(time.Minute / reserve)
					start := time.Now()
					p, err := set.Acquire(t.Context(), ratelimit.Call{Priority: ratelimit.Interactive})
					if err != nil {
						t.Fatal(err)
					}
					p.Answered(200, nil)
					p.Release()
					if wait := time.Since(start); wait > 0 {
						t.Errorf("a person waited for %v", wait)
					}
				}
				wg.Wait()
				if want := (limit - reserve) * 10; spent < want || spent > want+limit-reserve {
					t.Errorf("the others got %d in ten minutes, want %d", spent, want)
				}
			})
		})
	}
}

// Rules for priorities: who is charged, and what can never be.
func TestSetPriorities(t *testing.T) {
	tier := ratelimit.Tier{Requests: 50, Per: time.Minute}
	limiter := func() *ratelimit.Limiter { return newLimiter(t, ratelimit.Options{}, tier) }
	people := []ratelimit.Priority{ratelimit.Interactive}
	set := newSet(t,
		ratelimit.Rule{Name: "people", Limiter: limiter(), Priorities: people},
		ratelimit.Rule{Name: "list", Limiter: limiter(), Ops: []string{"list"}, Unless: []string{"people"}},
		ratelimit.Rule{Name: "others", Limiter: limiter(), Unless: []string{"people", "list"}},
	)
	for _, c := range []struct {
		call ratelimit.Call
		want string
	}{
		{ratelimit.Call{Op: "list", Priority: ratelimit.Interactive}, "[people]"},
		{ratelimit.Call{Op: "list"}, "[list]"},
		{ratelimit.Call{Op: "get", Priority: ratelimit.Background}, "[others]"},
	} {
		if got := fmt.Sprint(set.Rules(c.call)); got != c.want {
			t.Errorf("%+v is charged by %s, want %s", c.call, got, c.want)
		}
	}
	for p, want := range map[ratelimit.Priority]string{3: "[people]", -2: "[others]"} { // beyond the ends is at the end
		if got := fmt.Sprint(set.Rules(ratelimit.Call{Op: "get", Priority: p})); got != want {
			t.Errorf("priority %d is charged by %s, want %s", p, got, want)
		}
	}
	_, err := ratelimit.NewSet(
		ratelimit.Rule{Name: "people", Limiter: limiter(), Priorities: []ratelimit.Priority{2, 3, 2}},
		ratelimit.Rule{Name: "person", Limiter: limiter(), Priorities: people, Unless: []string{"people"}},
	)
	checkNames(t, err, "has the priority 3, want -1 to 2", "has the priority 2 twice", "Unless names people, which is for all calls: this one is for none")
}
