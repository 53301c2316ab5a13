package redisstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/adapters/redisstore"
	"github.com/integrationkit/integrationkit/internal/services"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
)

const slots = 16384

// node is one of a Cluster.
type node struct {
	*redis.Client
	addr, id string
}

// cluster starts a Cluster of three nodes.
func cluster(t *testing.T) (*redis.ClusterClient, []node) {
	t.Helper()
	ctx := t.Context()
	nodes := make([]node, 3)
	var addrs []string
	for i := range nodes {
		s := services.Redis(t, "--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
		n := node{client(t, s.Addr), s.Addr, ""}
		var err error
		if n.id, err = n.ClusterMyID(ctx).Result(); err != nil {
			t.Fatal(err)
		}
		from, to := i*slots/len(nodes), (i+1)*slots/len(nodes)-1
		if err := n.ClusterAddSlotsRange(ctx, from, to).Err(); err != nil {
			t.Fatal(err)
		}
		nodes[i], addrs = n, append(addrs, s.Addr)
	}
	for _, n := range nodes[1:] {
		host, port, err := net.SplitHostPort(n.addr)
		if err == nil {
			err = nodes[0].ClusterMeet(ctx, host, port).Err()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		eventually(t, func() bool {
			info, err := n.ClusterInfo(ctx).Result()
			if err != nil {
				t.Fatal(err)
			}
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_slots_assigned:%d", slots))
		})
	}
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, ContextTimeoutEnabled: true})
	t.Cleanup(func() { c.Close() })
	return c, nodes
}

// Three nodes: scripts and commands whose keys are of several slots are refused there, and keys are spread.
func TestQuotaOnCluster(t *testing.T) {
	c, nodes := cluster(t)
	suite(t, c)
	q := begun(t, c, hourly, redisstore.Options{Name: "spread"})
	for i := range 64 {
		if g, err := q.Take(t.Context(), fmt.Sprint("key", i), 1, 0, time.Now()); err != nil || !g.OK {
			t.Fatalf("got %+v, %v", g, err)
		}
	}
	for _, n := range nodes {
		if keys, err := n.Keys(t.Context(), "*{spread:*}:key:*").Result(); err != nil || len(keys) < 4 {
			t.Errorf("a node has %d of 64 keys, %v", len(keys), err)
		}
	}
}

// With a tag, quotas are taken of together; without, they are not joined, and a host takes of one after the other.
func TestTagOnCluster(t *testing.T) {
	c, _ := cluster(t)
	app, account := twoQuotas(t, c, redisstore.Options{Tag: "acme"})
	testTakeAll(t, app, account, func() (n int) {
		err := c.ForEachMaster(context.WithoutCancel(t.Context()), func(_ context.Context, one *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			n += scripts(t, one)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	})
	app, account = twoQuotas(t, c, redisstore.Options{})
	if app.Joins(account) {
		t.Error("quotas of several slots are joined")
	}
	// Who waits is told whichever node he listens at.
	if err := app.Park(t.Context(), "k", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	other := redis.NewClusterClient(c.Options())
	t.Cleanup(func() { other.Close() })
	b := open(t, other, app.Tiers(), redisstore.Options{Name: "application"})
	done := waiting(t, limiter(t, b))
	eventually(t, func() bool {
		g, err := b.Take(t.Context(), "k", 1, 0, time.Now())
		if err != nil || g.OK {
			t.Fatalf("got %+v, %v, want a refusal", g, err)
		}
		n := 0
		err = c.ForEachMaster(t.Context(), func(ctx context.Context, one *redis.Client) error {
			channels, err := one.PubSubChannels(ctx, "*wake:*").Result()
			mu.Lock()
			defer mu.Unlock()
			n += len(channels)
			return err
		})
		return err == nil && n > 0
	})
	if err := app.Park(t.Context(), "k", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

var mu sync.Mutex // guards what ForEachMaster counts

// A slot is moved from node to node, and back, while it is in use: nothing that was counted is lost.
func TestPromise3_SlotMoves(t *testing.T) {
	c, nodes := cluster(t)
	tiers := ratelimit.Tiers{{Requests: 25, Per: 250 * time.Millisecond}, {Requests: 1000, Per: time.Hour}, {Concurrent: 12}}
	ev := newEvents()
	q := begun(t, c, tiers, redisstore.Options{Name: "moving", Tag: "moving", OnEvent: ev.add})
	ledger := ratelimittest.NewLedger(tiers)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				g, err := q.Take(ctx, "k", 1, 0, time.Now())
				if err != nil || !g.OK { // the slot is on its way, or there is no room
					time.Sleep(rand.N(5 * time.Millisecond))
					continue
				}
				ledger.Arrive(time.Now(), 1)
				time.Sleep(rand.N(5 * time.Millisecond))
				ledger.Leave()
				if err := q.Settle(ctx, "k", g, ratelimit.Settlement{Arrived: time.Now(), Release: true, Now: time.Now()}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	slot, err := c.ClusterKeySlot(ctx, "{moving}").Result()
	if err != nil {
		t.Fatal(err)
	}
	from := int(slot) * len(nodes) / slots
	for i := range 4 {
		to := (from + 1) % len(nodes)
		time.Sleep(300 * time.Millisecond)
		move(t, nodes, slot, from, to)
		from = to
		taken := ledger.Report()[1].Worst
		eventually(t, func() bool { return ledger.Report()[1].Worst > taken })
		if i == 0 {
			if keys, err := nodes[to].Keys(ctx, "*{moving}*:key:k").Result(); err != nil || len(keys) != 1 {
				t.Errorf("the new node has %q, %v", keys, err)
			}
		}
	}
	time.Sleep(300 * time.Millisecond)
	cancel()
	wg.Wait()
	if err := ledger.Check(); err != nil {
		t.Error(err)
	}
	if worst := ledger.Report()[0].Worst; worst < 20 {
		t.Errorf("%d at worst: nothing was put to the test", worst)
	}
	ev.mu.Lock()
	defer ev.mu.Unlock()
	for _, e := range ev.all {
		t.Logf("%v: %v", e.Kind, e.Err)
		if e.Kind == redisstore.Lost {
			t.Error("it was taken for lost data")
		}
	}
}

// move moves a slot as redis-cli does.
func move(t *testing.T, nodes []node, slot int64, from, to int) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a, b := nodes[from], nodes[to]
	must(b.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", a.id).Err())
	must(a.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", b.id).Err())
	host, port, err := net.SplitHostPort(b.addr)
	must(err)
	for {
		keys, err := a.ClusterGetKeysInSlot(ctx, int(slot), 100).Result()
		must(err)
		if len(keys) == 0 {
			break
		}
		for _, k := range keys { // one by one: calls meet a slot that is half here and half there
			must(a.Migrate(ctx, host, port, k, 0, 5*time.Second).Err())
			time.Sleep(20 * time.Millisecond)
		}
	}
	for _, n := range []node{b, a, nodes[3-from-to]} {
		must(n.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", b.id).Err())
	}
}
