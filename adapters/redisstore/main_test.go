package redisstore_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/ratelimit"
)

func TestMain(m *testing.M) {
	logging.Disable() // of servers that are stopped on purpose
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}

func client(t testing.TB, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, DialerRetries: 1})
	t.Cleanup(func() { c.Close() })
	return c
}

// open returns a quota that is closed at the end of the test.
func open(t testing.TB, c redis.UniversalClient, tiers ratelimit.Tiers, o redisstore.Options) *redisstore.Quota {
	t.Helper()
	if o.Name == "" {
		o.Name = "partner"
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second // the machine may be busy
	}
	q, err := redisstore.New(c, tiers, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// begun is open for a Redis that is new.
func begun(t testing.TB, c redis.UniversalClient, tiers ratelimit.Tiers, o redisstore.Options) *redisstore.Quota {
	t.Helper()
	q := open(t, c, tiers, o)
	if err := q.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	return q
}

// events collects what a quota tells.
type events struct {
	mu  sync.Mutex
	all []redisstore.Event
	c   chan redisstore.EventKind
}

func newEvents() *events { return &events{c: make(chan redisstore.EventKind, 100)} }

func (e *events) add(ev redisstore.Event) {
	e.mu.Lock()
	e.all = append(e.all, ev)
	e.mu.Unlock()
	e.c <- ev.Kind
}

// until waits for an event of the kind.
func (e *events) until(t testing.TB, kind redisstore.EventKind) redisstore.Event {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case got := <-e.c:
			if got == kind {
				e.mu.Lock()
				defer e.mu.Unlock()
				for i := len(e.all) - 1; i >= 0; i-- {
					if e.all[i].Kind == kind {
						return e.all[i]
					}
				}
			}
		case <-late:
			t.Fatalf("no event %v", kind)
		}
	}
}
