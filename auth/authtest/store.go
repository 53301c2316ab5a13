package authtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/auth"
)

// patience bounds waits that are expected to end by themselves; a test that passes does not use it up.
const patience = 30 * time.Second

// Store tests that a store is an [auth.Store]. open makes an empty storage and returns a function that opens handles
// on it, each with nothing in common with the others but the storage, as another process would; it closes them by
// t.Cleanup. A store that lives in one process only returns the same handle each time.
func Store(t *testing.T, open func(t *testing.T) func() auth.Store) {
	for _, test := range []struct {
		name string
		f    func(t *testing.T, open func() auth.Store)
	}{
		{"Empty", empty}, {"RoundTrip", roundTrip}, {"CompareAndSet", compareAndSet}, {"OneOfManyWins", oneOfManyWins},
		{"KeysAreApart", keysAreApart}, {"Memory", memory},
		{"LockExcludes", lockExcludes}, {"LocksOfKeysAreApart", locksOfKeysAreApart},
		{"LockExpires", lockExpires}, {"LateUnlock", lateUnlock}, {"Fencing", fencing}, {"ContextEnds", contextEnds},
		{"LockedIncrements", lockedIncrements},
	} {
		t.Run(test.name, func(t *testing.T) { test.f(t, open(t)) })
	}
}

// AtRest tests that what a store keeps outside the process is sealed. raw returns all bytes that the storage holds.
func AtRest(t *testing.T, s auth.Store, raw func() []byte) {
	canaries := []string{"canary-access-3f9c", "canary-refresh-81aa"}
	save(t, s, "key", auth.Record{
		Token: auth.Token{Access: auth.Secret(canaries[0]), Refresh: auth.Secret(canaries[1])}, Generation: 1,
	})
	for _, c := range canaries {
		if bytes.Contains(raw(), []byte(c)) {
			t.Errorf("the storage holds %q in clear", c)
		}
	}
	if r := load(t, s, "key"); string(r.Token.Access) != canaries[0] || string(r.Token.Refresh) != canaries[1] {
		t.Error("the token did not come back")
	}
}

func ctxFor(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func load(t *testing.T, s auth.Store, key string) auth.Record {
	t.Helper()
	r, err := s.LoadToken(ctxFor(t), key)
	if err != nil {
		t.Fatalf("LoadToken(%.40q): %v", key, err)
	}
	return r
}

func save(t *testing.T, s auth.Store, key string, r auth.Record) uint64 {
	t.Helper()
	v, err := s.SaveToken(ctxFor(t), key, r)
	if err != nil {
		t.Fatalf("SaveToken(%.40q) with version %d: %v", key, r.Version, err)
	}
	if v == 0 || v == r.Version {
		t.Fatalf("SaveToken(%.40q) returned version %d after %d, want another one", key, v, r.Version)
	}
	return v
}

func lock(t *testing.T, s auth.Store, key string, ttl time.Duration) func() {
	t.Helper()
	unlock, err := s.LockToken(ctxFor(t), key, ttl)
	if err != nil {
		t.Fatalf("LockToken(%.40q): %v", key, err)
	}
	return unlock
}

// busy reports that key is locked.
func busy(t *testing.T, s auth.Store, key string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	unlock, err := s.LockToken(ctx, key, patience)
	if err == nil {
		unlock()
		t.Fatalf("LockToken(%.40q) was granted while another held it", key)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("LockToken(%.40q) when its context ends: %v, want one that wraps context.DeadlineExceeded", key, err)
	}
}

func full(n int) auth.Record {
	at := time.Date(2026, 2, 28, 23, 59, 59, 123e6, time.UTC)
	return auth.Record{
		Token: auth.Token{
			Access: auth.Secret(fmt.Sprint("access ☂ ' \" ", n)), Refresh: "refresh", Type: "Bearer", Scope: "a b",
			Expiry: at.Add(time.Hour), Obtained: at,
		},
		Generation: auth.Generation(n), NeedsReauth: "because", Credentials: "0123abcd",
		CoolDown: at.Add(time.Minute), Failure: "503 ☂", Requests: []time.Time{at, at.Add(time.Second)},
	}
}

// same compares records, their times as instants to the millisecond.
func same(t *testing.T, what string, got, want auth.Record) {
	t.Helper()
	if g, w := canonical(got), canonical(want); !reflect.DeepEqual(g, w) {
		t.Errorf("%s: the record differs from what was saved (secrets compared, not shown)\n got %+v\nwant %+v", what, g, w)
	}
}

func canonical(r auth.Record) auth.Record {
	at := func(x time.Time) time.Time {
		if x.IsZero() {
			return time.Time{}
		}
		return x.UTC().Truncate(time.Millisecond)
	}
	r.Token.Expiry, r.Token.Obtained, r.CoolDown = at(r.Token.Expiry), at(r.Token.Obtained), at(r.CoolDown)
	var reqs []time.Time
	for _, x := range r.Requests {
		reqs = append(reqs, at(x))
	}
	r.Requests = reqs
	return r
}

func empty(t *testing.T, open func() auth.Store) {
	if r := load(t, open(), "nobody"); !reflect.DeepEqual(r, auth.Record{}) {
		t.Errorf("LoadToken of an unknown key: %+v, want the zero Record", r)
	}
}

func roundTrip(t *testing.T, open func() auth.Store) {
	a, b := open(), open()
	long := strings.Repeat("x", 64<<10)
	records := map[string]auth.Record{
		"full":                   full(1),
		"zero":                   {},
		"long":                   {Token: auth.Token{Access: auth.Secret(long), Refresh: "r"}, Generation: 1<<63 - 1},
		"a/b c:%'":               {Token: auth.Token{Access: "t"}},
		strings.Repeat("k", 500): full(2),
	}
	for key, r := range records {
		r.Version = save(t, a, key, r)
		same(t, "same handle", load(t, a, key), r)
		same(t, "other handle", load(t, b, key), r)
	}
}

func compareAndSet(t *testing.T, open func() auth.Store) {
	a, b := open(), open()
	first := full(1)
	first.Version = save(t, a, "key", first)
	for _, version := range []uint64{0, first.Version + 1, first.Version + 1000} {
		r := full(9)
		r.Version = version
		if _, err := b.SaveToken(ctxFor(t), "key", r); !errors.Is(err, auth.ErrConflict) {
			t.Errorf("SaveToken with version %d, when it is %d: %v, want ErrConflict", version, first.Version, err)
		}
	}
	if _, err := b.SaveToken(ctxFor(t), "other", first); !errors.Is(err, auth.ErrConflict) {
		t.Errorf("SaveToken with version %d, when there is no record: %v, want ErrConflict", first.Version, err)
	}
	same(t, "after the conflicts", load(t, b, "key"), first)

	second := full(2)
	second.Version = first.Version
	second.Version = save(t, b, "key", second)
	third := first // back to the same content: the version is another one all the same
	third.Version = second.Version
	third.Version = save(t, a, "key", third)
	if third.Version == first.Version {
		t.Errorf("version %d came back", first.Version)
	}
	if _, err := b.SaveToken(ctxFor(t), "key", first); !errors.Is(err, auth.ErrConflict) {
		t.Errorf("SaveToken with an old version, content as then: %v, want ErrConflict", err)
	}
}

func oneOfManyWins(t *testing.T, open func() auth.Store) {
	handles := []auth.Store{open(), open(), open()}
	base := full(1)
	base.Version = save(t, handles[0], "key", base)
	won := make(chan int, 24)
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			r := full(100 + i)
			r.Version = base.Version
			switch _, err := handles[i%3].SaveToken(ctxFor(t), "key", r); {
			case err == nil:
				won <- i
			case !errors.Is(err, auth.ErrConflict):
				t.Errorf("SaveToken: %v, want nil or ErrConflict", err)
			}
		})
	}
	wg.Wait()
	close(won)
	var winners []int
	for i := range won {
		winners = append(winners, i)
	}
	if len(winners) != 1 {
		t.Fatalf("%d of 24 writers of one version won: %v, want 1", len(winners), winners)
	}
	if got, want := load(t, handles[1], "key").Generation, auth.Generation(100+winners[0]); got != want {
		t.Errorf("the record is of writer %d, want the winner's, %d", got, want)
	}
}

func keysAreApart(t *testing.T, open func() auth.Store) {
	s := open()
	a, b := full(1), full(2)
	a.Version = save(t, s, "guesty/a", a)
	b.Version = save(t, s, "guesty/A", b)
	same(t, "guesty/a", load(t, s, "guesty/a"), a)
	same(t, "guesty/A", load(t, s, "guesty/A"), b)
	same(t, "guesty/", load(t, s, "guesty/"), auth.Record{})
}

func memory(t *testing.T, open func() auth.Store) {
	s := open()
	r := full(1)
	r.Version = save(t, s, "key", r)
	want := full(1)
	want.Version = r.Version
	r.Requests[0] = time.Time{}
	got := load(t, s, "key")
	same(t, "after a change of what was saved", got, want)
	got.Requests[0] = time.Time{}
	same(t, "after a change of what was loaded", load(t, s, "key"), want)
}

func lockExcludes(t *testing.T, open func() auth.Store) {
	a, b := open(), open()
	unlock := lock(t, a, "key", patience)
	busy(t, a, "key")
	busy(t, b, "key")
	granted := make(chan error, 1)
	ctx := ctxFor(t)
	go func() {
		u, err := b.LockToken(ctx, "key", patience)
		if err == nil {
			u()
		}
		granted <- err
	}()
	unlock()
	if err := <-granted; err != nil {
		t.Errorf("LockToken after the unlock: %v", err)
	}
	unlock() // once more does nothing
	lock(t, a, "key", patience)()
}

func locksOfKeysAreApart(t *testing.T, open func() auth.Store) {
	s := open()
	defer lock(t, s, "a", patience)()
	defer lock(t, s, "b", patience)()
	save(t, s, "a", full(1)) // a lock is no lock on the record
}

func lockExpires(t *testing.T, open func() auth.Store) {
	a, b := open(), open()
	lock(t, a, "key", 100*time.Millisecond) // its holder is gone
	defer lock(t, b, "key", patience)()
	busy(t, a, "key")
}

func lateUnlock(t *testing.T, open func() auth.Store) {
	a, b := open(), open()
	late := lock(t, a, "key", 50*time.Millisecond)
	defer lock(t, b, "key", patience)()
	late()
	busy(t, a, "key")
	busy(t, b, "key")
}

func fencing(t *testing.T, open func() auth.Store) {
	a, b := open(), open()
	lock(t, a, "key", 50*time.Millisecond)
	stale := load(t, a, "key")
	defer lock(t, b, "key", patience)()
	mine := load(t, b, "key")
	mine.Generation = 1
	mine.Version = save(t, b, "key", mine)
	stale.Generation = 99
	if _, err := a.SaveToken(ctxFor(t), "key", stale); !errors.Is(err, auth.ErrConflict) {
		t.Errorf("SaveToken by a holder whose lock passed on: %v, want ErrConflict", err)
	}
	same(t, "after it", load(t, b, "key"), mine)
}

func contextEnds(t *testing.T, open func() auth.Store) {
	s := open()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.LoadToken(ended, "key"); !errors.Is(err, context.Canceled) {
		t.Errorf("LoadToken with an ended context: %v, want one that wraps context.Canceled", err)
	}
	if _, err := s.SaveToken(ended, "key", full(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("SaveToken with an ended context: %v, want one that wraps context.Canceled", err)
	}
	if u, err := s.LockToken(ended, "key", patience); !errors.Is(err, context.Canceled) {
		t.Errorf("LockToken with an ended context: %v, want one that wraps context.Canceled", err)
		if err == nil {
			u()
		}
	}
	defer lock(t, s, "key", patience)()
	waiting, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.LockToken(waiting, "key", patience)
		done <- err
	}()
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("LockToken when its context ends: %v, want one that wraps context.Canceled", err)
	}
	if r := load(t, s, "key"); r.Version != 0 {
		t.Error("SaveToken with an ended context saved")
	}
}

// lockedIncrements does what sources do, from many goroutines and handles: no update may be lost.
func lockedIncrements(t *testing.T, open func() auth.Store) {
	const handles, each, rounds = 3, 4, 3
	var wg sync.WaitGroup
	for range handles {
		s := open()
		for range each {
			wg.Go(func() {
				for range rounds {
					ctx := ctxFor(t)
					unlock, err := s.LockToken(ctx, "key", patience)
					if err != nil {
						t.Errorf("LockToken: %v", err)
						return
					}
					r, err := s.LoadToken(ctx, "key")
					if err == nil {
						r.Generation++
						_, err = s.SaveToken(ctx, "key", r)
					}
					unlock()
					if err != nil {
						t.Errorf("under the lock: %v", err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	if got := load(t, open(), "key").Generation; got != handles*each*rounds {
		t.Errorf("%d increments under the lock are left, want %d", got, handles*each*rounds)
	}
}
