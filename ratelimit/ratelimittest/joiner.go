package ratelimittest

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// Joiner checks that a backend keeps the contract of [ratelimit.Joiner], beside that of [Quota]. open returns backends
// that can be joined, one for each of the tiers, that have counted nothing yet; it may be called often and cleans up
// after itself by t.Cleanup. It works on real time, as Quota does.
func Joiner(t *testing.T, open func(t *testing.T, tiers ...ratelimit.Tiers) []ratelimit.Joiner) {
	wide := []ratelimit.Tiers{
		{{Requests: 10, Per: time.Hour}}, {{Requests: 3, Per: time.Hour, Name: "narrow"}, {Concurrent: 5}},
	}
	for _, c := range []struct {
		name  string
		tiers []ratelimit.Tiers
		test  func(t *testing.T, j *joint)
	}{
		{"Joins", wide, testJoins},
		{"AllOrNone", wide, testAllOrNone},
		{"GrantsAreApart", wide, testGrantsAreApart},
		{"ParkedIsRefused", wide, testParkedIsRefused},
		{"CostAboveALimit", wide, testJointCostAboveALimit},
		{"Ledgers", busyTiers, testLedgers},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := &joint{T: t, q: open(t, c.tiers...)}
			if len(j.q) != len(c.tiers) {
				t.Fatalf("%d backends for %d sets of tiers", len(j.q), len(c.tiers))
			}
			c.test(t, j)
		})
	}
}

// joint is an application's quota, and that of its accounts.
type joint struct {
	*testing.T
	q []ratelimit.Joiner
}

// takes are of the application, and of two of its accounts.
func (j *joint) takes(app, a, b int64) []ratelimit.Take {
	return []ratelimit.Take{
		{Quota: j.q[0], Key: "app", Cost: app}, {Quota: j.q[1], Key: "a", Cost: a}, {Quota: j.q[1], Key: "b", Cost: b},
	}
}

func (j *joint) takeAll(takes []ratelimit.Take) []ratelimit.Grant {
	j.Helper()
	gs, err := j.q[0].TakeAll(j.Context(), takes, time.Now())
	if err != nil {
		j.Fatal(err)
	}
	if len(gs) != len(takes) {
		j.Fatalf("%d grants for %d takes", len(gs), len(takes))
	}
	return gs
}

// ok reports whether all are admitted.
func ok(gs []ratelimit.Grant) bool {
	for _, g := range gs {
		if !g.OK {
			return false
		}
	}
	return true
}

func (j *joint) settle(take ratelimit.Take, g ratelimit.Grant, s ratelimit.Settlement) {
	j.Helper()
	s.Now = time.Now()
	if err := take.Quota.Settle(j.Context(), take.Key, g, s); err != nil {
		j.Fatal(err)
	}
}

// used checks what was spent of the first tiers.
func (j *joint) used(what string, app, a, b int64) {
	j.Helper()
	want := []int64{app, a, b}
	for i, take := range j.takes(1, 1, 1) {
		u, err := take.Quota.Usage(j.Context(), take.Key, time.Now())
		if err != nil {
			j.Fatal(err)
		}
		if got := u.Tiers[0].Used; got != want[i] {
			j.Errorf("%s: %d used of %s, want %d", what, got, take.Key, want[i])
		}
	}
}

func testJoins(t *testing.T, j *joint) {
	for i, a := range j.q {
		for k, b := range j.q {
			if i != k && !a.Joins(b) {
				t.Errorf("backend %d does not join backend %d", i, k)
			}
		}
		if a.Joins(struct{ ratelimit.Quota }{j.q[0]}) {
			t.Errorf("backend %d joins what it does not know", i)
		}
	}
}

func testAllOrNone(t *testing.T, j *joint) {
	takes := j.takes(2, 1, 2)
	first := j.takeAll(takes)
	if !ok(first) {
		t.Fatalf("got %+v, want all admitted", first)
	}
	j.used("taken", 2, 1, 2)
	for range 20 { // b has room for one more
		got := j.takeAll(takes)
		if !got[0].OK || !got[1].OK || got[2].OK || got[2].Tier != "narrow" {
			t.Fatalf("got %+v, want a refusal by the narrow tier of the third", got)
		}
	}
	j.used("refused", 2, 1, 2)
	takes[2].Cost = 1
	if got := j.takeAll(takes); !ok(got) {
		t.Errorf("got %+v, want room for what fits", got)
	}
	j.used("taken again", 4, 2, 3)
	takes[1].Ahead, takes[2].Key = 1, "c"
	if got := j.takeAll(takes); got[1].OK || !got[2].OK {
		t.Errorf("got %+v, want the room of those ahead left to them", got)
	}
}

func testGrantsAreApart(t *testing.T, j *joint) {
	takes := j.takes(1, 1, 1)
	gs := j.takeAll(takes)
	if !ok(gs) {
		t.Fatalf("got %+v, want all admitted", gs)
	}
	j.settle(takes[0], gs[0], ratelimit.Settlement{Arrived: time.Now()})
	j.settle(takes[0], gs[0], ratelimit.Settlement{Release: true})
	for range 2 {
		j.settle(takes[1], gs[1], ratelimit.Settlement{Release: true}) // never sent, as far as this one is concerned
	}
	j.used("one settled, one given back, one in flight", 1, 0, 1)
	j.settle(takes[2], gs[2], ratelimit.Settlement{Release: true})
	j.used("all ended", 1, 0, 0)
	u, err := j.q[1].Usage(t.Context(), "b", time.Now())
	if err != nil || u.InFlight != 0 {
		t.Errorf("%d in flight, %v; want none", u.InFlight, err)
	}
}

func testParkedIsRefused(t *testing.T, j *joint) {
	until := time.Now().Add(time.Hour)
	if err := j.q[1].Park(t.Context(), "a", until); err != nil {
		t.Fatal(err)
	}
	got := j.takeAll(j.takes(1, 1, 1))
	a := got[1]
	if !got[0].OK || a.OK || a.Tier != "parked" || a.At.Sub(until).Abs() > 20*time.Millisecond || !got[2].OK {
		t.Errorf("got %+v, want the second parked until %v", got, until)
	}
	j.used("parked", 0, 0, 0)
}

func testJointCostAboveALimit(t *testing.T, j *joint) {
	if _, err := j.q[0].TakeAll(t.Context(), j.takes(1, 1, 4), time.Now()); retry.ClassOf(err) != retry.Client {
		t.Errorf("got %v, want class client", err)
	}
	j.used("refused", 0, 0, 0)
}

// busyTiers are of an application that admits less than its three accounts together.
var busyTiers = []ratelimit.Tiers{
	{{Requests: 30, Per: window / 2}, {Concurrent: 12}},
	{{Requests: 12, Per: window / 2}, {Requests: 30, Per: 2 * window}},
}

// testLedgers has many callers, who name the quotas in either order, and a strict partner for each.
func testLedgers(t *testing.T, j *joint) {
	accounts := []string{"a", "b", "c"}
	app := NewLedger(busyTiers[0])
	each := make([]*Ledger, len(accounts))
	for i := range each {
		each[i] = NewLedger(busyTiers[1])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*window)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(2, uint64(i)))
			n := i % len(accounts)
			takes := []ratelimit.Take{{Quota: j.q[0], Cost: 1}, {Quota: j.q[1], Key: accounts[n], Cost: 1}}
			by := j.q[0]
			if i%2 == 1 {
				takes[0], takes[1], by = takes[1], takes[0], j.q[1]
			}
			for ctx.Err() == nil {
				gs, err := by.TakeAll(ctx, takes, time.Now())
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				if err != nil || !ok(gs) {
					time.Sleep(time.Duration(1+r.IntN(5)) * time.Millisecond)
					continue
				}
				time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
				s := ratelimit.Settlement{Release: true}
				if r.IntN(10) > 0 {
					for _, l := range []*Ledger{app, each[n]} {
						l.Arrive(time.Now(), 1)
						l.Leave()
					}
					time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
					s.Arrived = time.Now()
				}
				s.Now = time.Now()
				for k, g := range gs {
					if err := takes[k].Quota.Settle(context.WithoutCancel(ctx), takes[k].Key, g, s); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for i, l := range append(each, app) {
		if err := l.Check(); err != nil {
			t.Errorf("ledger %d: %v", i, err)
		}
	}
	if got := app.Report()[0].Worst; got < 15 {
		t.Errorf("only %d arrived in the busiest window: the test shows nothing", got)
	}
}
