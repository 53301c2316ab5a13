package redisstore_test

import (
	"context"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/internal/services"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// scripts is how many calls of the script Redis has served.
func scripts(t testing.TB, c *redis.Client) int {
	t.Helper()
	info, err := c.Info(context.WithoutCancel(t.Context()), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`cmdstat_evalsha:calls=(\d+)`).FindStringSubmatch(info)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// listeners waits until so many processes are told of room.
func listeners(t testing.TB, c *redis.Client, n int) {
	t.Helper()
	eventually(t, func() bool {
		channels, err := c.PubSubChannels(t.Context(), "ik:ratelimit:wake:*").Result()
		if err != nil {
			t.Fatal(err)
		}
		return len(channels) >= n
	})
}

func limiter(t testing.TB, q ratelimit.Quota) *ratelimit.Limiter {
	t.Helper()
	lim, err := ratelimit.New(q.Tiers(), ratelimit.Options{Quota: q})
	if err != nil {
		t.Fatal(err)
	}
	return lim
}

// waiting acquires and releases in the background, and tells when that was done.
func waiting(t testing.TB, lim *ratelimit.Limiter) <-chan error {
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		p, err := lim.Acquire(ctx, ratelimit.Call{Key: "k"})
		p.Release()
		done <- err
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return done
}

// A wait whose end is told to be an hour away ends as soon as another process gives the room back: a park is lifted, a request is
// refunded, a report of the partner says that there is more.
func TestWokenBeforeTheTime(t *testing.T) {
	s := services.Redis(t)
	here, there := client(t, s.Addr), client(t, s.Addr) // as in two processes
	for name, c := range map[string]struct {
		tiers ratelimit.Tiers
		take  func(t *testing.T, q *redisstore.Quota) func()
	}{
		"a park is lifted": {hourly, func(t *testing.T, q *redisstore.Quota) func() {
			park := func(until time.Time) {
				if err := q.Park(t.Context(), "k", until); err != nil {
					t.Error(err)
				}
			}
			park(time.Now().Add(time.Hour))
			return func() { park(time.Time{}) }
		}},
		"a report": {hourly, func(t *testing.T, q *redisstore.Quota) func() {
			sent := time.Now()
			observe := func(remaining int64, at time.Time) {
				obs := []ratelimit.Observation{{Per: time.Hour, Limit: 10, Remaining: remaining}}
				if err := q.Observe(t.Context(), "k", at, time.Now(), obs); err != nil {
					t.Error(err)
				}
			}
			observe(0, sent)
			usage(t, q)
			return func() { observe(5, time.Now()) }
		}},
		"a refund": {ratelimit.Tiers{{Requests: 2, Per: time.Hour}}, func(t *testing.T, q *redisstore.Quota) func() {
			settle(t, q, take(t, q, true), true)
			held := take(t, q, true)
			return func() { settle(t, q, held, false) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := redisstore.Options{Name: name}
			a, b := begun(t, here, c.tiers, o), open(t, there, c.tiers, o)
			back := c.take(t, a)
			done := waiting(t, limiter(t, b))
			listeners(t, here, 1)
			select {
			case err := <-done:
				t.Fatalf("it did not wait: %v", err)
			default:
			}
			back()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// takeSoon takes what another process is giving back.
func takeSoon(t testing.TB, q *redisstore.Quota) (g ratelimit.Grant) {
	t.Helper()
	eventually(t, func() bool {
		var err error
		if g, err = q.Take(t.Context(), "k", 1, 0, time.Now()); err != nil {
			t.Fatal(err)
		}
		return g.OK
	})
	return g
}

// Waiting costs Redis next to nothing, and room is passed on from process to process as it is given back.
func TestWaitingWithoutPolling(t *testing.T) {
	s := services.Redis(t)
	c := client(t, s.Addr)
	tiers := ratelimit.Tiers{{Concurrent: 1}}
	holder := begun(t, c, tiers, redisstore.Options{})
	held := take(t, holder, true)
	const processes = 4
	var done []<-chan error
	for range processes {
		q := open(t, client(t, s.Addr), tiers, redisstore.Options{})
		done = append(done, waiting(t, limiter(t, q)))
	}
	listeners(t, c, processes)
	const span = 3 * time.Second
	time.Sleep(span / 3) // for all to have asked again since they listen
	before := scripts(t, c)
	time.Sleep(span)
	waited := scripts(t, c) - before
	// Once a second or less often each; two processes polling every 5 to 250 ms would ask 24 times at least.
	t.Logf("%d calls of the script in %v by %d processes that wait", waited, span, processes)
	if most := processes*int(span/time.Second) + processes; waited > most {
		t.Errorf("%d calls while waiting, want %d or fewer", waited, most)
	}
	before = scripts(t, c)
	settle(t, holder, held, true)
	for _, d := range done {
		if err := <-d; err != nil {
			t.Error(err)
		}
	}
	passed := scripts(t, c) - before
	t.Logf("%d calls of the script to pass one place through %d processes", passed, processes)
	// Of each process a take and a release, and perhaps one that was told in vain or asked at its time.
	if most := 1 + 4*processes; passed > most {
		t.Errorf("%d calls to pass the place on, want %d or fewer", passed, most)
	}
}

// A message that is lost costs a second.
func TestLostMessage(t *testing.T) {
	s := services.Redis(t)
	c := client(t, s.Addr)
	tiers := ratelimit.Tiers{{Concurrent: 1}}
	a, b := begun(t, c, tiers, redisstore.Options{}), open(t, client(t, s.Addr), tiers, redisstore.Options{})
	held := take(t, a, true)
	done := waiting(t, limiter(t, b))
	listeners(t, c, 1)
	if err := c.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	settle(t, a, held, true)
	if err := <-done; err != nil {
		t.Error(err)
	}
	held = takeSoon(t, a)
	done = waiting(t, limiter(t, b))
	listeners(t, c, 1) // the connection is made again
	settle(t, a, held, true)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A user who may neither publish nor subscribe has a limiter all the same.
func TestUserWithoutChannels(t *testing.T) {
	s := services.Redis(t)
	admin := client(t, s.Addr)
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "limited", "on", ">pw", "~*", "+@all", "resetchannels").Err(); err != nil {
		t.Fatal(err)
	}
	limited := func() *redis.Client {
		c := redis.NewClient(&redis.Options{
			Addr: s.Addr, Username: "limited", Password: "pw", ContextTimeoutEnabled: true, DialerRetries: 1,
		})
		t.Cleanup(func() { c.Close() })
		return c
	}
	tiers := ratelimit.Tiers{{Concurrent: 1}}
	a, b := begun(t, limited(), tiers, redisstore.Options{}), open(t, limited(), tiers, redisstore.Options{})
	for range 3 {
		held := takeSoon(t, a)
		done := waiting(t, limiter(t, b))
		time.Sleep(50 * time.Millisecond)
		settle(t, a, held, true)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}
