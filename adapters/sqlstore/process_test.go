package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/auth/authtest"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// childKeys are the keys that processes share.
func childKeys() (*auth.Keys, error) { return auth.NewKeys(key("k1")) }

func childStore(ctx context.Context, path string) (*sqlstore.Store, error) {
	k, err := childKeys()
	if err != nil {
		return nil, err
	}
	return sqlstore.Open(ctx, path, sqlstore.Options{Keys: k})
}

// childOpen opens the database, writes a limit, and closes it.
func childOpen(ctx context.Context, args []string) error {
	s, err := childStore(ctx, args[0])
	if err != nil {
		return err
	}
	return errors.Join(s.SaveLimit(ctx, "l", []byte("x")), s.Close())
}

// childLock takes a lock for a time, says so, and waits to be killed.
func childLock(ctx context.Context, args []string) error {
	s, err := childStore(ctx, args[0])
	if err != nil {
		return err
	}
	ttl, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	if _, err := s.LockToken(ctx, "token", ttl); err != nil {
		return err
	}
	fmt.Println("locked")
	linger()
	return nil
}

// childCount adds one to a token's generation and to a record's version, n times, each under the lock and without it.
func childCount(ctx context.Context, args []string) error {
	s, err := childStore(ctx, args[0])
	if err != nil {
		return err
	}
	defer s.Close()
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for range n {
		if err := addOne(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func addOne(ctx context.Context, s *sqlstore.Store) error {
	unlock, err := s.LockToken(ctx, "token", time.Minute)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := s.LoadToken(ctx, "token")
	if err != nil {
		return err
	}
	r.Generation++
	if _, err := s.SaveToken(ctx, "token", r); err != nil { // a conflict would say that the lock let in two
		return err
	}
	return s.Update(ctx, func(ctx context.Context, tx importer.Tx) error {
		records, err := tx.Records(ctx, resources, []string{"counter"})
		if err != nil {
			return err
		}
		if len(records) == 0 {
			records = page(0, 1)
			records[0].ID, records[0].Version = "counter", 0
		}
		records[0].Version++
		return errors.Join(tx.PutRecords(ctx, records), tx.AppendEvents(ctx, []importer.Event{{
			Collection: resources, ID: "counter", Version: records[0].Version, Change: importer.Updated, At: noon, Run: "r",
		}}))
	})
}

// The suite of package authtest, with processes that share the database.
func TestPromise4_TokensOfProcesses(t *testing.T) {
	authtest.Processes(t, func(t *testing.T) string { return filepath.Join(t.TempDir(), "kit.db") },
		func(t *testing.T, place string) auth.Store { return open(t, place, keys(t, "k1")) })
}

// Processes and goroutines that share a database never do the same refresh, and lose no update of each other.
func TestPromise4_OneRefreshAcrossProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	s := open(t, path, keys(t, "k1"))
	const processes, goroutines, each = 3, 3, 12
	var all []*child
	for range processes {
		all = append(all, start(t, "count", path, strconv.Itoa(each)))
	}
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range each {
				if err := addOne(t.Context(), s); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, c := range all {
		c.wait(t)
	}
	const want = (processes + goroutines) * each
	if r, err := s.LoadToken(t.Context(), "token"); err != nil || r.Generation != want || r.Version != want {
		t.Errorf("got generation %d, version %d, %v, want %d", r.Generation, r.Version, err, want)
	}
	if got, err := s.Records(t.Context(), resources, []string{"counter"}); err != nil || len(got) != 1 || got[0].Version != want {
		t.Errorf("got %v, %v, want version %d", got, err, want)
	}
	events, err := s.Events(t.Context(), "", 0, 2*want)
	if err != nil || len(events) != want {
		t.Fatalf("got %d events, %v, want %d", len(events), err, want)
	}
	for i, e := range events {
		if e.Version != int64(i+1) || e.Seq != int64(i+1) {
			t.Fatalf("event %d has version %d and seq %d: not in the order of the commits", i, e.Version, e.Seq)
		}
	}
}

// The lock of a process that was killed is free when its time is over, not before, and nobody has to clean up.
func TestLockOfKilledProcess(t *testing.T) {
	for _, tt := range []struct {
		name          string
		ttl, patience time.Duration
		want          error
	}{
		{"not over", time.Hour, 100 * time.Millisecond, context.DeadlineExceeded},
		{"over", time.Millisecond, time.Minute, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kit.db")
			s := open(t, path, keys(t, "k1"))
			killed(t, path, tt.ttl)
			ctx, cancel := context.WithTimeout(t.Context(), tt.patience)
			defer cancel()
			unlock, err := s.LockToken(ctx, "token", time.Second)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil {
				unlock()
				unlock()
			}
		})
	}
}

// killed kills a process that holds the lock.
func killed(t *testing.T, path string, ttl time.Duration) {
	t.Helper()
	c := start(t, "lock", path, ttl.String())
	if !c.lines.Scan() || c.lines.Text() != "locked" {
		t.Fatalf("the child did not lock: %s", c.stderr.String())
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // killed
}

func TestLockBadTTL(t *testing.T) {
	for _, ttl := range []time.Duration{0, -1} {
		if _, err := fresh(t).LockToken(t.Context(), "token", ttl); err == nil {
			t.Errorf("locked for %v", ttl)
		}
	}
}

func TestProcessesOpenAtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	var all []*child
	for range 5 {
		all = append(all, start(t, "open", path))
	}
	for _, c := range all {
		c.wait(t)
	}
	open(t, path, keys(t, "k1"))
}
