package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

//go:embed quota.lua
var source string

var script = redis.NewScript(source)

// Options configures a [Quota].
type Options struct {
	// Name is what the processes that share the quota call it, such as "guesty". Required.
	Name string
	// Prefix begins the name of every key in Redis; "" means "ik:ratelimit:".
	Prefix string
	// Timeout bounds each call to Redis; 0 means 250 ms.
	Timeout time.Duration
	// Lease is how long a request in flight is held for a process that is not heard of; 0 means 15 s. It is renewed every third
	// of it. All processes use the same.
	Lease time.Duration
	// Away is what happens while Redis cannot be asked; the zero value is FailClosed.
	Away Policy
	// AwayFor bounds LocalShare and FailOpen: an outage that lasts longer goes on as FailClosed. 0 means a minute.
	AwayFor time.Duration
	// OnEvent, if set, is told of outages and of lost data. It is called without locks held, one call at a time in
	// the order of the events, and must not block.
	OnEvent func(Event)
}

// Errors of this package, to be tested with errors.Is.
var (
	// ErrAway: Redis cannot be asked, and the policy does not admit without it.
	ErrAway = errors.New("redisstore: Redis is away")
	// ErrTiers: other processes count other tiers under the same Name. Use another Name for other tiers.
	ErrTiers = errors.New("redisstore: other processes count other tiers under this name; use another name for other tiers")
	// ErrClosed: the Quota was closed.
	ErrClosed = errors.New("redisstore: the quota is closed")
)

// Quota is a [ratelimit.Quota] in Redis. It is safe for concurrent use. Make it with [New], end it with Close.
type Quota struct {
	o      Options
	client redis.UniversalClient
	tiers  ratelimit.Tiers
	share  ratelimit.Tiers // of LocalShare
	header []any           // ARGV 6 and on: the tiers
	print  string          // fingerprint of the tiers
	nonce  string          // of this process
	flying bool            // a tier limits the requests in flight
	most   int64           // that one call may cost
	window time.Duration   // the longest

	ctx    context.Context // of calls to Redis; ends when Close gives up
	cancel context.CancelFunc
	stop   chan struct{} // closed by Close
	wg     sync.WaitGroup

	told    sync.Mutex // guards the fields below; not held while OnEvent is called
	pending []Event    // not yet told
	telling bool       // a goroutine is telling them

	mu      sync.Mutex // guards the fields below; not held during I/O
	closed  bool
	keys    map[string]*key
	flights map[uint64]*flight
	last    uint64 // id of the newest flight
	shards  [shards]shard
	hold    time.Duration // how long requests are in flight, smoothed
	outage
}

// shards is into how many hash slots of a Cluster the keys of a quota are spread. Each knows on its own whether data were lost.
const shards = 16

// shard is what this process knows of one.
type shard struct {
	seen  int64 // time of the last write, by its clock
	epoch int64 // when data were lost last, by its clock
}

// flight is a request that was admitted and is not yet released.
type flight struct {
	key     string
	cost    int64
	since   time.Time
	arrived bool
	// Of a request that was admitted by a local share:
	memory *ratelimit.Memory
	grant  ratelimit.Grant
}

const maxDuration = 10 * 365 * 24 * time.Hour

// New returns a Quota, or an error that names everything that is wrong. It does not ask Redis: a host starts without it.
//
// The client stays the caller's, who closes it after the Quota. It needs ContextTimeoutEnabled, because without it go-redis does not
// keep to a deadline.
func New(client redis.UniversalClient, tiers ratelimit.Tiers, o Options) (*Quota, error) {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("redisstore: "+format, args...))
		}
	}
	if o.Prefix == "" {
		o.Prefix = "ik:ratelimit:"
	}
	fill := func(d *time.Duration, def time.Duration, name string, least time.Duration) {
		if *d == 0 {
			*d = def
		}
		bad(*d >= least && *d <= maxDuration, "%s is %v, want %v or more", name, *d, least)
	}
	fill(&o.Timeout, 250*time.Millisecond, "Timeout", time.Millisecond)
	fill(&o.Lease, 15*time.Second, "Lease", 2*o.Timeout)
	fill(&o.AwayFor, time.Minute, "AwayFor", time.Millisecond)
	bad(o.Name != "", "Name is empty")
	bad(!strings.ContainsAny(o.Prefix+o.Name, "{}"), "Prefix and Name have no braces: they are for the hash tag")
	bad(o.Away.share >= 0 && o.Away.share != 1, "LocalShare(%d): want the number of processes, 2 or more", o.Away.share)
	switch c := client.(type) {
	case nil:
		bad(false, "no client")
	case *redis.Client:
		bad(c.Options().ContextTimeoutEnabled, "the client needs ContextTimeoutEnabled")
	case *redis.ClusterClient:
		bad(c.Options().ContextTimeoutEnabled, "the client needs ContextTimeoutEnabled")
	}
	err := tiers.Validate()
	if err != nil {
		errs = append(errs, err)
	}
	q := &Quota{
		o: o, client: client, tiers: slices.Clone(tiers), most: 1 << 52, stop: make(chan struct{}),
		keys: make(map[string]*key), flights: make(map[uint64]*flight), hold: 20 * time.Millisecond,
	}
	if err == nil {
		for _, t := range tiers {
			bad(t.Concurrent != 0 || t.Per >= 64*time.Microsecond, "tier %s: windows below 64 µs are not counted", t)
		}
		q.compile()
		if n := int64(o.Away.share); n > 1 {
			q.share, err = divide(tiers, n)
			bad(err == nil, "%v", err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var nonce [8]byte
	rand.Read(nonce[:]) // never fails
	q.nonce = hex.EncodeToString(nonce[:])
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.wg.Go(q.renewals)
	return q, nil
}

// The kinds of tier in the script.
const (
	kindWindow = iota + 1
	kindBucket
	kindFlight
	kindFixed
)

// compile puts the tiers into the script's terms.
func (q *Quota) compile() {
	var print strings.Builder
	q.header = append(q.header, len(q.tiers))
	for _, t := range q.tiers {
		kind, limit, ceiling := kindWindow, t.Requests, t.Requests
		switch {
		case t.Concurrent != 0:
			kind, limit, ceiling, q.flying = kindFlight, t.Concurrent, q.most, true
		case t.Kind == ratelimit.Fixed:
			kind = kindFixed
		case t.Kind == ratelimit.TokenBucket:
			kind = kindBucket
			if t.Burst != 0 {
				limit, ceiling = t.Burst, t.Burst
			}
		}
		q.most = min(q.most, ceiling)
		q.window = max(q.window, t.Per)
		per := (t.Per + time.Microsecond - 1) / time.Microsecond
		q.header = append(q.header, kind, limit, int64(per), t.Requests)
		fmt.Fprintf(&print, "%d %d %d %d;", kind, limit, per, t.Requests)
	}
	h := fnv.New64a()
	h.Write([]byte(print.String()))
	q.print = hex.EncodeToString(h.Sum(nil))
}

// Begin says that nobody has spent anything yet, so that the first use of a new Redis or a new Name has not to sit out a window. It is for
// the first deployment, by hand or by a migration; said at each start, it would undo what protects against lost data. Where
// something is counted already, or lost data are being sat out, it changes nothing.
func (q *Quota) Begin(ctx context.Context) error {
	for n := range shards {
		if err := q.begin(ctx, n); err != nil {
			return fmt.Errorf("redisstore: begin: %w", err)
		}
	}
	return nil
}

func (q *Quota) begin(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, q.o.Timeout)
	defer cancel()
	q.mu.Lock()
	args := q.args(n, true)
	q.mu.Unlock()
	got, err := script.Run(ctx, q.client, q.names(n, ""), args...).Int64Slice()
	if err == nil && got[0] < 0 {
		return ErrTiers
	}
	return err
}

// args are the arguments before the operations. q is locked.
func (q *Quota) args(n int, fresh bool) []any {
	seen, first := q.shards[n].seen, 0
	if fresh && seen == 0 {
		first = 1
	}
	return append([]any{q.print, seen, q.o.Lease.Microseconds(), first}, q.header...)
}

// names are the keys in Redis, all in one hash slot.
func (q *Quota) names(n int, key string) []string {
	base := fmt.Sprintf("%s{%s:%d}", q.o.Prefix, q.o.Name, n)
	return []string{base + ":epoch", base + ":state:" + key, base + ":flights:" + key}
}

func shardOf(key string) int {
	h := fnv.New32a()
	h.Write([]byte(key))
	return int(h.Sum32() % shards)
}

// Tiers implements [ratelimit.Quota].
func (q *Quota) Tiers() ratelimit.Tiers { return q.tiers }

// Take implements [ratelimit.Quota]. It goes by Redis' clock, not by now. Its errors, but for a cost that no tier can admit, are of class
// Unavailable and wrap [ErrAway], [ErrTiers] or [ErrClosed], or are the cause of ctx's end.
func (q *Quota) Take(ctx context.Context, key string, cost, ahead int64, now time.Time) (ratelimit.Grant, error) {
	return q.grant(ctx, &op{kind: opTake, cost: cost, ahead: ahead}, key, now)
}

// Ask implements [ratelimit.Quota].
func (q *Quota) Ask(ctx context.Context, key string, cost, ahead int64, now time.Time) (ratelimit.Grant, error) {
	return q.grant(ctx, &op{kind: opAsk, cost: cost, ahead: ahead}, key, now)
}

func (q *Quota) grant(ctx context.Context, o *op, key string, now time.Time) (ratelimit.Grant, error) {
	if o.cost < 1 || o.cost > q.most {
		return ratelimit.Grant{}, clientError("cost is %d, want 1 to %d", o.cost, q.most)
	}
	if err := q.do(ctx, key, o); err != nil {
		if errors.Is(err, ErrAway) {
			return q.alone(ctx, o, key, now, err)
		}
		return ratelimit.Grant{}, err
	}
	g := ratelimit.Grant{Cost: o.cost}
	switch code, wait, tier := o.answer[0], o.answer[1], o.answer[2]; code {
	case 1:
		g.OK, g.Slot, g.Gen = true, uint32(o.id), uint32(o.id>>32)
	case 4:
		return g, clientError("cost %d is above the limit that the partner now sets for tier %s", o.cost, q.tiers[tier-1])
	default:
		g.Tier = "parked"
		if tier > 0 {
			g.Tier = q.tiers[tier-1].String()
		}
		g.At = time.Now().Add(time.Duration(wait) * time.Microsecond)
		if code == 3 { // perhaps a request of another process: nobody will tell
			g.At = time.Now().Add(q.poll())
		}
	}
	return g, nil
}

// Settle implements [ratelimit.Quota]. It returns at once: Redis is told in the order of the calls, with the next operations on the
// key. What cannot be told now is told when Redis is back.
func (q *Quota) Settle(ctx context.Context, key string, g ratelimit.Grant, s ratelimit.Settlement) error {
	id := uint64(g.Gen)<<32 | uint64(g.Slot)
	q.mu.Lock()
	f := q.flights[id]
	if f == nil || f.key != key {
		q.mu.Unlock()
		return nil
	}
	if arrives := !s.Arrived.IsZero() && !f.arrived; arrives {
		f.arrived = true
		q.push(key, &op{kind: opArrive, id: id, cost: f.cost, at: s.Arrived, ended: s.Release})
	} else if s.Release && (!f.arrived || q.flying) {
		q.push(key, &op{kind: opEnd, id: id, cost: f.cost})
	}
	if s.Release {
		delete(q.flights, id)
		q.hold += (min(time.Since(f.since), time.Minute) - q.hold) / 8
	}
	q.mu.Unlock()
	if f.memory != nil {
		return f.memory.Settle(ctx, key, f.grant, s)
	}
	return nil
}

// Observe implements [ratelimit.Quota]. It returns at once, as Settle does; while Redis is away nothing is learnt.
func (q *Quota) Observe(_ context.Context, key string, sentAt, now time.Time, obs []ratelimit.Observation) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.since.IsZero() {
		for i, t := range q.tiers {
			for _, o := range obs {
				if t.Concurrent == 0 && o.Per == t.Per {
					q.push(key, &op{kind: opObserve, at: sentAt, seen: o, tier: i + 1, until: o.Reset})
				}
			}
		}
	}
	return nil
}

// Park implements [ratelimit.Quota]. While Redis is away it returns an error and parks this process's local share; the others are parked when
// Redis is back.
func (q *Quota) Park(ctx context.Context, key string, until time.Time) error {
	err := q.do(ctx, key, &op{kind: opPark, until: until})
	if errors.Is(err, ErrAway) {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.push(key, &op{kind: opPark, until: until})
		if m := q.local(); m != nil {
			err = errors.Join(err, m.Park(ctx, key, until))
		}
	}
	return err
}

// Usage implements [ratelimit.Quota]. Where no tier limits the requests in flight, InFlight counts those that have not arrived.
func (q *Quota) Usage(ctx context.Context, key string, _ time.Time) (ratelimit.Usage, error) {
	o := &op{kind: opUsage}
	if err := q.do(ctx, key, o); err != nil {
		return ratelimit.Usage{}, err
	}
	u := ratelimit.Usage{InFlight: o.answer[0], Tiers: make([]ratelimit.TierUsage, len(q.tiers))}
	if wait := o.answer[1]; wait > 0 {
		u.ParkedUntil = time.Now().Add(time.Duration(wait) * time.Microsecond)
	}
	for i, t := range q.tiers {
		u.Tiers[i] = ratelimit.TierUsage{Tier: t, Limit: o.answer[2+2*i], Used: o.answer[3+2*i]}
	}
	return u, nil
}

func clientError(format string, args ...any) error {
	return &retry.Error{
		Verdict: retry.Verdict{Class: retry.Client, Scope: retry.Request, Sent: retry.Never},
		Err:     fmt.Errorf("redisstore: "+format, args...),
	}
}

// unavailable is the error of a call that cannot be decided now.
func unavailable(err error, wait time.Duration) error {
	return &retry.Error{
		Verdict: retry.Verdict{Class: retry.Unavailable, Scope: retry.Partner, Sent: retry.Never, At: time.Now().Add(wait)},
		Err:     err,
	}
}
