package redisstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/internal/services"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

var hourly = ratelimit.Tiers{{Requests: 10, Per: time.Hour}, {Concurrent: 10}}

// refused checks that a call fails because Redis is away.
func refused(t testing.TB, q *redisstore.Quota) {
	t.Helper()
	before := time.Now()
	g, err := q.Take(t.Context(), "k", 1, 0, time.Now())
	if !errors.Is(err, redisstore.ErrAway) || retry.ClassOf(err) != retry.Unavailable || !retry.At(err).After(before) {
		t.Fatalf("got %+v, %v, want a refusal of class unavailable that says when to come back", g, err)
	}
}

// The default: nothing is admitted while Redis is away, and when it comes back with nothing in it, each tier sits out.
func TestPromise3_FailClosed(t *testing.T) {
	s, ev := services.Redis(t), newEvents()
	q := begun(t, client(t, s.Addr), hourly, redisstore.Options{OnEvent: ev.add})
	held := take(t, q, true)
	s.Stop()
	refused(t, q)
	refused(t, q)
	if e := ev.until(t, redisstore.Away); e.Err == nil || e.At.IsZero() {
		t.Errorf("got %+v, want to be told why", e)
	}
	if _, err := q.Usage(t.Context(), "k", time.Now()); !errors.Is(err, redisstore.ErrAway) {
		t.Errorf("usage: got %v", err)
	}
	if err := q.Observe(t.Context(), "k", time.Now(), time.Now(), nil); err != nil {
		t.Errorf("observe: got %v", err)
	}
	if err := q.Park(t.Context(), "k", time.Now().Add(time.Minute)); !errors.Is(err, redisstore.ErrAway) {
		t.Errorf("park: got %v", err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if e := ev.until(t, redisstore.Back); e.Since.IsZero() {
		t.Errorf("got %+v, want to be told since when", e)
	}
	if e := ev.until(t, redisstore.Lost); time.Until(e.Until) < 59*time.Minute {
		t.Errorf("got %+v, want an hour", e)
	}
	g := take(t, q, false)
	if left := time.Until(g.At); left < 59*time.Minute || left > time.Hour+time.Minute {
		t.Errorf("refused for %v, want a window and a lease", left)
	}
	u := usage(t, q)
	if u.ParkedUntil.IsZero() {
		t.Error("what was parked while Redis was away is not")
	}
	eventually(t, func() bool { return usage(t, q).InFlight == 1 }) // what it did not know of
	settle(t, q, held, true)
	eventually(t, func() bool { return usage(t, q).InFlight == 0 })
}

func TestStartsWithoutRedis(t *testing.T) {
	s, ev := services.Redis(t), newEvents()
	s.Stop()
	q := open(t, client(t, s.Addr), hourly, redisstore.Options{OnEvent: ev.add})
	if err := q.Begin(t.Context()); err == nil {
		t.Error("Begin succeeded")
	}
	refused(t, q)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	ev.until(t, redisstore.Back)
	take(t, q, false) // it never knew, or lost it: who can tell
	if err := q.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	take(t, q, false) // Begin does not undo that
}

// Each of n processes has an n-th, for a time; what it spent is told when Redis is back.
func TestLocalShare(t *testing.T) {
	s, ev := services.Redis(t), newEvents()
	q := begun(t, client(t, s.Addr), hourly, redisstore.Options{
		Away: redisstore.LocalShare(3), AwayFor: 3 * time.Second, OnEvent: ev.add,
	})
	take(t, q, true)
	s.Stop()
	var gs []ratelimit.Grant
	for range 3 {
		gs = append(gs, take(t, q, true))
	}
	take(t, q, false)
	if g, err := q.Ask(t.Context(), "k", 1, 0, time.Now()); err != nil || g.OK {
		t.Errorf("ask: got %+v, %v", g, err)
	}
	settle(t, q, gs[0], false)
	if g, err := q.Ask(t.Context(), "k", 1, 0, time.Now()); err != nil || !g.OK {
		t.Errorf("ask after a refund: got %+v, %v", g, err)
	}
	settle(t, q, gs[1], true)
	if err := q.Park(t.Context(), "k", time.Now().Add(time.Hour)); !errors.Is(err, redisstore.ErrAway) {
		t.Errorf("park: got %v", err)
	}
	if g := take(t, q, false); g.Tier != "parked" {
		t.Errorf("got %+v, want parked here", g)
	}
	ev.until(t, redisstore.Overdue)
	refused(t, q)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	ev.until(t, redisstore.Back)
	eventually(t, func() bool { return usage(t, q).InFlight == 2 }) // the first one, and gs[2]
}

// What a local share spent counts in a Redis that kept what it knew.
func TestLocalShareIsTold(t *testing.T) {
	s, ev := services.Redis(t), newEvents()
	c := client(t, s.Addr)
	q := begun(t, c, hourly, redisstore.Options{Timeout: 200 * time.Millisecond, Away: redisstore.LocalShare(2), OnEvent: ev.add})
	take(t, q, true)
	if err := c.ClientPause(t.Context(), 2*time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		settle(t, q, take(t, q, true), true)
	}
	ev.until(t, redisstore.Back)
	eventually(t, func() bool { u := usage(t, q); return u.Tiers[0].Used >= 5 && u.InFlight == 1 })
}

func TestFailOpen(t *testing.T) {
	s, ev := services.Redis(t), newEvents()
	q := begun(t, client(t, s.Addr), hourly, redisstore.Options{
		Away: redisstore.FailOpen, AwayFor: 2 * time.Second, OnEvent: ev.add,
	})
	s.Stop()
	for range 5000 {
		settle(t, q, take(t, q, true), true)
	}
	if g, err := q.Ask(t.Context(), "k", 1, 0, time.Now()); err != nil || !g.OK {
		t.Errorf("ask: got %+v, %v", g, err)
	}
	ev.until(t, redisstore.Overdue)
	refused(t, q)
}

// A call that Redis does not answer in time is refused in time, and nothing of it stays.
func TestSlowRedis(t *testing.T) {
	s, ev := services.Redis(t), newEvents()
	c := client(t, s.Addr)
	q := begun(t, c, hourly, redisstore.Options{Timeout: 200 * time.Millisecond, OnEvent: ev.add})
	take(t, q, true)
	if err := c.ClientPause(t.Context(), 1500*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := q.Take(ctx, "k", 1, 0, time.Now()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the caller's own end", err)
	}
	ev.until(t, redisstore.Away)
	refused(t, q)
	ev.until(t, redisstore.Back)
	eventually(t, func() bool { u := usage(t, q); return u.InFlight == 1 && u.Tiers[0].Used == 1 })
}

// Redis that came back with an older copy of its data is found out.
func TestPromise3_OlderCopy(t *testing.T) {
	s, ev := services.Redis(t), newEvents()
	c := client(t, s.Addr)
	q := begun(t, c, hourly, redisstore.Options{OnEvent: ev.add})
	take(t, q, true)
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	copies := make(map[string]string)
	for _, k := range keys {
		if copies[k], err = c.Dump(t.Context(), k).Result(); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		take(t, q, true)
	}
	for k, v := range copies {
		if err := c.RestoreReplace(t.Context(), k, time.Hour, v).Err(); err != nil {
			t.Fatal(err)
		}
	}
	take(t, q, false)
	ev.until(t, redisstore.Lost)
}

// A process that dies leaves its requests for a lease; then they are charged, and their slots are free.
func TestLeaseOfADeadProcess(t *testing.T) {
	c := client(t, services.Redis(t).Addr)
	tiers := ratelimit.Tiers{{Requests: 10, Per: time.Hour}, {Concurrent: 1}}
	o := redisstore.Options{Timeout: 300 * time.Millisecond, Lease: 600 * time.Millisecond}
	q, other := begun(t, c, tiers, o), open(t, c, tiers, o)
	take(t, q, true)
	for end := time.Now().Add(2 * o.Lease); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		take(t, other, false) // it lives
	}
	q.Close()
	if _, err := q.Take(t.Context(), "k", 1, 0, time.Now()); !errors.Is(err, redisstore.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, func() bool { g, err := other.Take(t.Context(), "k", 1, 0, time.Now()); return err == nil && g.OK })
	if u := usage(t, other); u.Tiers[0].Used != 2 || u.InFlight != 1 {
		t.Errorf("got %+v, want the dead one's charged and no longer in flight", u)
	}
}

func TestOtherTiers(t *testing.T) {
	c := client(t, services.Redis(t).Addr)
	take(t, begun(t, c, hourly, redisstore.Options{}), true)
	q := open(t, c, ratelimit.Tiers{{Requests: 11, Per: time.Hour}}, redisstore.Options{Away: redisstore.FailOpen})
	for range 2 {
		if _, err := q.Take(t.Context(), "k", 1, 0, time.Now()); !errors.Is(err, redisstore.ErrTiers) {
			t.Errorf("got %v, want ErrTiers whatever the policy", err)
		}
	}
	if err := q.Begin(t.Context()); !errors.Is(err, redisstore.ErrTiers) {
		t.Errorf("begin: got %v", err)
	}
}

func TestNewNamesAllThatIsWrong(t *testing.T) {
	c := redis.NewClient(&redis.Options{})
	defer c.Close()
	_, err := redisstore.New(c, ratelimit.Tiers{{Requests: 1, Per: time.Microsecond}, {Concurrent: 4}}, redisstore.Options{
		Prefix: "{", Timeout: 1, Lease: -1, AwayFor: -1, Away: redisstore.LocalShare(2),
	})
	for _, want := range []string{"Name", "brace", "Timeout", "Lease", "AwayFor", "ContextTimeoutEnabled", "too small", "64 µs"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	cluster := redis.NewClusterClient(&redis.ClusterOptions{})
	defer cluster.Close()
	type wrapped struct {
		redis.UniversalClient
		_ []string // what cannot be compared
	}
	for _, c := range []redis.UniversalClient{nil, cluster, (*redis.Client)(nil), wrapped{c, nil}} {
		if _, err := redisstore.New(c, nil, redisstore.Options{Away: redisstore.LocalShare(0)}); err == nil {
			t.Error("no error")
		}
	}
}

func TestEventKindString(t *testing.T) {
	for kind, want := range map[redisstore.EventKind]string{0: "unknown", redisstore.Away: "away", redisstore.Lost: "lost", 9: "unknown"} {
		if got := kind.String(); got != want {
			t.Errorf("%d: got %q, want %q", kind, got, want)
		}
	}
}
