package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

//go:embed count.lua
var countSource string

//go:embed batch.lua
var batchSource string

var script = redis.NewScript(countSource + batchSource)

// Options configures a [Quota].
type Options struct {
	// Name is what the processes that share the quota call it, such as "guesty". Required.
	Name string
	// Prefix begins the name of every key in Redis; "" means "ik:ratelimit:".
	Prefix string
	// Tag, if set, puts all keys of all quotas with this Prefix and Tag in one hash slot of a Cluster, so that calls can be charged to
	// several of them at once. "" spreads the keys of each quota over 16 slots. All processes use the same. Without a Cluster it
	// makes no difference.
	Tag string
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
	h      *hub
	order  int64 // of quotas within a batch
	base   string
	tiers  ratelimit.Tiers
	share  ratelimit.Tiers // of LocalShare
	header []int64         // the tiers, for the script
	print  string          // fingerprint of the tiers
	nonce  string          // of this process
	flying bool            // a tier limits the requests in flight
	most   int64           // that one call may cost
	window time.Duration   // the longest

	ctx    context.Context // of the probe; ends when Close gives up
	cancel context.CancelFunc
	stop   chan struct{} // closed by Close
	wg     sync.WaitGroup

	told    sync.Mutex // guards the fields below; not held while OnEvent is called
	pending []Event    // not yet told
	telling bool       // a goroutine is telling them

	// Guarded by the hub's mu:
	closed    bool
	quiet     chan struct{} // of Close: closed when there is nothing more to tell
	dead      bool          // Redis is told no more
	keys      map[string]*key
	flights   map[uint64]*flight
	last      uint64 // id of the newest flight
	shards    []shard
	hold      time.Duration // how long requests are in flight, smoothed
	asked     bool          // to be told of room that was given back
	listening bool          // it is told
	outage
}

// shards is into how many hash slots of a Cluster the keys of a quota are spread. Each knows on its own whether data were lost.
const shards = 16

// shard is what this process knows of one.
type shard struct {
	seen  int64 // time of the last write, by its clock
	epoch int64 // when data were lost last, by its clock
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
	errs = append(errs,
		fill(&o.Timeout, 250*time.Millisecond, "Timeout", time.Millisecond),
		fill(&o.Lease, 15*time.Second, "Lease", 2*o.Timeout),
		fill(&o.AwayFor, time.Minute, "AwayFor", time.Millisecond),
		checkClient(client))
	bad(o.Name != "", "Name is empty")
	bad(!strings.ContainsAny(o.Prefix+o.Name+o.Tag, "{}"), "Prefix, Name and Tag have no braces: they are for the hash tag")
	bad(o.Away.share >= 0 && o.Away.share != 1, "LocalShare(%d): want the number of processes, 2 or more", o.Away.share)
	err := tiers.Validate()
	errs = append(errs, err)
	q := &Quota{
		o: o, tiers: slices.Clone(tiers), most: 1 << 52, order: orders.Add(1), stop: make(chan struct{}), shards: make([]shard, shards),
		keys: make(map[string]*key), flights: make(map[uint64]*flight), hold: 20 * time.Millisecond,
	}
	if o.Tag != "" {
		q.shards = q.shards[:1]
	}
	q.base = o.Prefix + "{" + o.Tag + "}" + o.Name
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
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var nonce [8]byte
	rand.Read(nonce[:]) // never fails
	q.nonce = hex.EncodeToString(nonce[:])
	q.ctx, q.cancel = context.WithCancel(context.Background())
	join(client, q)
	q.wg.Go(q.renewals)
	return q, nil
}

// fill sets a duration that is zero, and says what is wrong with it.
func fill(d *time.Duration, def time.Duration, name string, least time.Duration) error {
	if *d == 0 {
		*d = def
	}
	if *d < least || *d > maxDuration {
		return fmt.Errorf("redisstore: %s is %v, want %v or more", name, *d, least)
	}
	return nil
}

// checkClient says what is wrong with a client.
func checkClient(client redis.UniversalClient) error {
	v := reflect.ValueOf(client)
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return errors.New("redisstore: no client")
	}
	ok := true
	switch c := client.(type) {
	case *redis.Client:
		ok = c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		ok = c.Options().ContextTimeoutEnabled
	}
	switch {
	case !ok:
		return errors.New("redisstore: the client needs ContextTimeoutEnabled")
	case !v.Comparable(): // quotas of the same client travel together
		return errors.New("redisstore: the client is of a type that cannot be compared: pass a pointer to it")
	}
	return nil
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
	for _, t := range q.tiers {
		kind, limit, ceiling := int64(kindWindow), t.Requests, t.Requests
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
	for n := range q.shards {
		ctx, cancel := context.WithTimeout(ctx, q.o.Timeout)
		err := q.askShard(ctx, n, true)
		cancel()
		if err != nil {
			return fmt.Errorf("redisstore: begin: %w", err)
		}
	}
	return nil
}

var orders atomic.Int64

// tag is the hash tag of a shard.
func (q *Quota) tag(n int) string {
	if q.o.Tag != "" {
		return q.o.Tag
	}
	return q.o.Name + ":" + strconv.Itoa(n)
}

// The names in Redis: all of a shard in one hash slot.
func (q *Quota) epochKey(n int) string {
	return q.o.Prefix + "{" + q.tag(n) + "}" + q.suffix() + ":epoch"
}
func (q *Quota) redisKey(n int, key string) string {
	return q.o.Prefix + "{" + q.tag(n) + q.infix() + key
}

// infix is what comes between the hash tag and the key.
func (q *Quota) infix() string { return "}" + q.suffix() + ":key:" }

func (q *Quota) suffix() string {
	if q.o.Tag != "" {
		return q.o.Name
	}
	return ""
}

// channel is where a process is told of room.
func (q *Quota) channel(nonce string) string { return q.o.Prefix + "wake:" + nonce }

func (q *Quota) shardOf(key string) int {
	h := fnv.New32a()
	h.Write([]byte(key))
	return int(h.Sum32() % uint32(len(q.shards)))
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
	return q.granted(o.cost, o.id, o.answer, o.at, o.early)
}

// granted is what the script's answer to a take or a question means, which came at the time.
func (q *Quota) granted(cost int64, id uint64, answer []int64, at time.Time, early chan struct{}) (ratelimit.Grant, error) {
	g := ratelimit.Grant{Cost: cost}
	switch code, wait, tier := answer[0], answer[1], answer[2]; code {
	case 1:
		g.OK, g.Slot, g.Gen = true, uint32(id), uint32(id>>32)
	case 4:
		return g, clientError("cost %d is above the limit that the partner now sets for tier %s", cost, q.tiers[tier-1])
	default:
		g.Tier = "parked"
		if tier > 0 {
			g.Tier = q.tiers[tier-1].String()
		}
		g.At = at.Add(time.Duration(wait) * time.Microsecond)
		if code == 3 { // perhaps a request of another process
			g.At = at.Add(q.poll())
		}
		g.Early = early
	}
	return g, nil
}

// Settle implements [ratelimit.Quota]. It returns at once: Redis is told in the order of the calls, with the next operations. What cannot
// be told now is told when Redis is back.
func (q *Quota) Settle(ctx context.Context, key string, g ratelimit.Grant, s ratelimit.Settlement) error {
	id := uint64(g.Gen)<<32 | uint64(g.Slot)
	q.h.mu.Lock()
	f := q.flights[id]
	if f == nil || f.key.name != key {
		q.h.mu.Unlock()
		return nil
	}
	if !s.Arrived.IsZero() && !f.arrived {
		q.arrive(f, s.Arrived)
	}
	if s.Release {
		q.end(id)
		q.hold += (min(time.Since(f.since), time.Minute) - q.hold) / 8
	}
	q.h.mu.Unlock()
	if f.memory != nil {
		return f.memory.Settle(ctx, key, f.grant, s)
	}
	return nil
}

// Observe implements [ratelimit.Quota]. It returns at once, as Settle does; while Redis is away nothing is learnt. While others spend from the quota
// and little of a tier is left, calls of all processes go one by one, evenly until the window's end.
func (q *Quota) Observe(_ context.Context, key string, sentAt, now time.Time, obs []ratelimit.Observation) error {
	q.h.mu.Lock()
	defer q.h.mu.Unlock()
	if q.since.IsZero() && !q.closed {
		for i, t := range q.tiers {
			for _, o := range obs {
				if t.Concurrent == 0 && o.Per == t.Per {
					k := q.key(key)
					k.push(&op{kind: opObserve, sent: sentAt, seen: o, tier: i + 1, until: o.Reset, flying: k.held})
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
		q.h.mu.Lock()
		defer q.h.mu.Unlock()
		q.key(key).push(&op{kind: opPark, until: until})
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
