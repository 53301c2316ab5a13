package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/auth"
)

// TokensOptions configures [Tokens].
type TokensOptions struct {
	// Keys seal what is put in Redis. Required: those of the store behind will do.
	Keys *auth.Keys
	// Prefix begins the name of every key in Redis; "" means "ik:token:". Processes that share the store behind use the same.
	Prefix string
	// Timeout bounds each call to Redis; 0 means 250 ms.
	Timeout time.Duration
	// For is how long a record is kept in Redis, and how long SaveToken waits when Redis cannot be told; 0 means 5 s, the most is 30 s.
	// All processes use the same.
	For time.Duration
	// OnError, if set, is told why Redis was passed by. It must not block.
	OnError func(error)
}

// Tokens is an [auth.Store] with a cache in Redis before it, so that many processes that start or look up tokens do not all ask the database. It is safe for
// concurrent use. Make it with [NewTokens]; it has no goroutines and is not closed.
//
// The store behind has the truth: locks are its locks, and every save is its comparison of versions. Who holds the lock of a key reads
// there. What is in Redis is sealed, bound to its key, and short-lived; a Redis that loses it, or cannot be asked, costs a look at the store
// behind.
//
// A record that was superseded is not served once SaveToken of its successor has returned. SaveToken sees to it that nothing of the key is
// cached before it saves, and caches the new record after. Where Redis cannot be told that, it returns [TokensOptions.For] after the save,
// whatever ctx says: by then all that was cached has expired. The record is durable meanwhile. That supposes that all who save to the store behind do it through
// Tokens, that the clock of the Redis host is not set back, and that no fail-over to a replica loses the last writes: otherwise the old record can
// be served for as long as it is cached.
type Tokens struct {
	store  auth.Store
	client redis.UniversalClient
	o      TokensOptions

	mu     sync.Mutex           // guards locked
	locked map[string]time.Time // keys whose lock this process holds, and until when at most
}

const (
	mostCached = 30 * time.Second
	// barred is how long nothing is cached of a key whose saver is not heard of again. A save takes less.
	barred = time.Minute
)

// NewTokens returns Tokens before the store, or an error that names everything that is wrong. It does not ask Redis. The client stays the
// caller's; it needs ContextTimeoutEnabled.
func NewTokens(client redis.UniversalClient, store auth.Store, o TokensOptions) (*Tokens, error) {
	if o.Prefix == "" {
		o.Prefix = "ik:token:"
	}
	errs := []error{
		checkClient(client), fill(&o.Timeout, 250*time.Millisecond, "Timeout", time.Millisecond),
		fill(&o.For, 5*time.Second, "For", time.Millisecond),
	}
	if o.For > mostCached {
		errs = append(errs, fmt.Errorf("redisstore: For is %v, want %v at most", o.For, mostCached))
	}
	if store == nil {
		errs = append(errs, errors.New("redisstore: no store behind"))
	}
	if o.Keys == nil {
		errs = append(errs, errors.New("redisstore: no Keys to seal with"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Tokens{store: store, client: client, o: o, locked: make(map[string]time.Time)}, nil
}

// What is cached of a key is "v", its version and the sealed record; or, while it is being saved, "x" and a name of the save.
const (
	cached  = "v"
	saving  = "x"
	numbers = 20 // digits of a version
)

var (
	// loadScript answers what is cached, else the time in microseconds.
	loadScript = redis.NewScript(`
local v = redis.call('GET', KEYS[1])
if v then return v end
local t = redis.call('TIME')
return t[1] * 1000000 + t[2]`)

	// keepScript caches what the store had after the time, unless somebody saves or has cached.
	keepScript = redis.NewScript(`
local t = redis.call('TIME')
local left = ARGV[2] + ARGV[3] - (t[1] * 1000000 + t[2])
if left < 1000 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', math.floor(left / 1000))
return 1`)

	// savedScript caches what was saved in place of the save's own mark or of an older version. The mark of another save stays, for long
	// enough that nothing that was read before this one is cached after it.
	savedScript = redis.NewScript(`
local v = redis.call('GET', KEYS[1])
if v and v ~= ARGV[2] then
  if v:sub(1, 1) == 'x' then
    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
    return 0
  end
  if v:sub(2, 21) >= ARGV[1]:sub(2, 21) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1`)

	// endScript ends the mark of a save that saved nothing, as late as what was read before it expires: the mark may have
	// taken the place of what another save had cached.
	endScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)
)

// LoadToken implements [auth.Store].
func (s *Tokens) LoadToken(ctx context.Context, key string) (auth.Record, error) {
	if err := ctx.Err(); err != nil {
		return auth.Record{}, fmt.Errorf("redisstore: load token: %w", context.Cause(ctx))
	}
	if s.holds(key) {
		return s.store.LoadToken(ctx, key)
	}
	var got any
	err := s.ask(ctx, "load", func(ctx context.Context) (err error) {
		got, err = loadScript.Run(ctx, s.client, []string{s.o.Prefix + key}).Result()
		return err
	})
	if sealed, ok := got.(string); ok && err == nil {
		if r, ok := s.open(key, sealed); ok {
			return r, nil
		}
	}
	r, failed := s.store.LoadToken(ctx, key)
	at, missed := got.(int64)
	if failed != nil || err != nil || !missed || r.Version == 0 {
		return r, failed
	}
	if entry, err := s.seal(key, r); err == nil {
		_ = s.ask(ctx, "keep", func(ctx context.Context) error {
			return keepScript.Run(ctx, s.client, []string{s.o.Prefix + key}, entry, at, s.o.For.Microseconds()).Err()
		}) // told to OnError; the next one asks the store
	}
	return r, nil
}

// SaveToken implements [auth.Store].
func (s *Tokens) SaveToken(ctx context.Context, key string, r auth.Record) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("redisstore: save token: %w", context.Cause(ctx))
	}
	name, mark := s.o.Prefix+key, saving+rand.Text()
	_ = s.ask(ctx, "bar", func(ctx context.Context) error {
		return s.client.Set(ctx, name, mark, barred).Err()
	}) // told to OnError; what counts comes after the save
	version, err := s.store.SaveToken(ctx, key, r)
	later := context.WithoutCancel(ctx) // the record is saved, whatever becomes of the caller
	if err != nil {
		if errors.Is(err, auth.ErrConflict) { // else it may be saved yet: the mark stays until it expires
			_ = s.ask(later, "unbar", func(ctx context.Context) error {
				return endScript.Run(ctx, s.client, []string{name}, mark, s.o.For.Milliseconds()).Err()
			}) // told to OnError; the mark expires
		}
		return 0, err
	}
	saved := time.Now()
	r.Version = version
	entry, err := s.seal(key, r)
	if err == nil {
		err = s.ask(later, "cache", func(ctx context.Context) error {
			return savedScript.Run(ctx, s.client, []string{name}, entry, mark, s.o.For.Milliseconds()).Err()
		})
	}
	if err != nil {
		time.Sleep(time.Until(saved.Add(s.o.For)))
	}
	return version, nil
}

// LockToken implements [auth.Store]: it is the lock of the store behind.
func (s *Tokens) LockToken(ctx context.Context, key string, ttl time.Duration) (func(), error) {
	unlock, err := s.store.LockToken(ctx, key, ttl)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(ttl)
	s.mu.Lock()
	for other, end := range s.locked { // of those who did not unlock
		if time.Now().After(end) {
			delete(s.locked, other)
		}
	}
	s.locked[key] = until
	s.mu.Unlock()
	return sync.OnceFunc(func() {
		s.mu.Lock()
		if s.locked[key].Equal(until) {
			delete(s.locked, key)
		}
		s.mu.Unlock()
		unlock()
	}), nil
}

func (s *Tokens) holds(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.locked[key])
}

// place binds what is sealed to this cache, the version and the key.
func place(version, key string) string { return "redis/" + version + "/" + key }

// seal returns what is cached of a record.
func (s *Tokens) seal(key string, r auth.Record) (string, error) {
	version := fmt.Sprintf("%0*d", numbers, r.Version)
	sealed, err := s.o.Keys.SealRecord(place(version, key), r)
	if err != nil {
		s.report(fmt.Errorf("redisstore: tokens: %w", err))
		return "", err
	}
	return cached + version + string(sealed), nil
}

// open returns what is cached; false if it is the mark of a save, or not to be opened with the keys.
func (s *Tokens) open(key, entry string) (auth.Record, bool) {
	if len(entry) < 1+numbers || entry[:1] != cached {
		return auth.Record{}, false
	}
	version := entry[1 : 1+numbers]
	r, err := s.o.Keys.OpenRecord(place(version, key), []byte(entry[1+numbers:]))
	if err == nil {
		r.Version, err = strconv.ParseUint(version, 10, 64)
	}
	if err != nil {
		s.report(fmt.Errorf("redisstore: tokens: %w", err))
		return auth.Record{}, false
	}
	return r, true
}

// ask asks Redis, and tells why if it cannot.
func (s *Tokens) ask(ctx context.Context, what string, f func(ctx context.Context) error) error {
	err := within(ctx, s.o.Timeout, "tokens: "+what, f)
	if err != nil && ctx.Err() == nil {
		s.report(err)
	}
	return err
}

func (s *Tokens) report(err error) {
	if s.o.OnError != nil {
		s.o.OnError(err)
	}
}
