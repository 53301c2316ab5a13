package importertest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver/importer"
)

// everything writes one of everything, numbered.
func everything(ctx context.Context, tx importer.Tx, n int) error {
	id := fmt.Sprint(n)
	return errors.Join(
		tx.PutRecords(ctx, []importer.Stored{record(resources, id)}),
		tx.PutRejections(ctx, []importer.Rejection{{Collection: resources, Key: id, ID: id, Reason: "r", First: noon, Last: noon, Count: 1}}),
		tx.AppendEvents(ctx, []importer.Event{{Collection: resources, ID: id, Version: 1, Change: importer.Added, At: noon}}),
		tx.PutCheckpoint(ctx, importer.Checkpoint{Collection: resources, Generation: int64(n)}),
	)
}

// holds checks that what everything wrote is there for the numbers, and nothing else.
func holds(t *testing.T, s importer.Store, numbers ...int) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if got, err := s.Count(ctx, resources, importer.Filter{}); err != nil || got != len(numbers) {
		t.Errorf("records: got %d, %v, want %d", got, err, len(numbers))
	}
	if got, err := s.Rejections(ctx, resources, "", 1000); err != nil || len(got) != len(numbers) {
		t.Errorf("rejections: got %d, %v, want %d", len(got), err, len(numbers))
	}
	if got, err := s.Events(ctx, "", 0, 1000); err != nil || len(got) != len(numbers) {
		t.Errorf("events: got %d, %v, want %d", len(got), err, len(numbers))
	}
	want := int64(0)
	for _, n := range numbers {
		want = int64(n)
	}
	if err := s.Update(ctx, func(ctx context.Context, tx importer.Tx) error {
		cp, err := tx.Checkpoint(ctx, resources)
		if cp.Generation != want {
			t.Errorf("checkpoint: got %d, want %d", cp.Generation, want)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func testRollback(t *testing.T, s importer.Store) {
	update(t, s, func(ctx context.Context, tx importer.Tx) error { return everything(ctx, tx, 1) })
	holds(t, s, 1)
	stop := errors.New("stop")
	err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
		changed := record(resources, "1")
		changed.Version = 2
		return errors.Join(everything(ctx, tx, 2), tx.PutRecords(ctx, []importer.Stored{changed}),
			tx.TouchRecords(ctx, []importer.Stored{{Collection: resources, ID: "1", Generation: 99}}),
			tx.DeleteRejections(ctx, resources, []string{"1"}), fmt.Errorf("wrapped: %w", stop))
	})
	if !errors.Is(err, stop) {
		t.Errorf("Update: got %v, want f's error", err)
	}
	holds(t, s, 1)
	same(t, get(t, s, resources, "1"), unraw(record(resources, "1")))
	update(t, s, func(ctx context.Context, tx importer.Tx) error { return everything(ctx, tx, 3) })
	holds(t, s, 1, 3)
}

func testPanic(t *testing.T, s importer.Store) {
	update(t, s, func(ctx context.Context, tx importer.Tx) error { return everything(ctx, tx, 1) })
	func() {
		defer func() {
			if p := recover(); p != "boom" {
				t.Errorf("recovered %v, want f's panic", p)
			}
		}()
		_ = s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
			if err := everything(ctx, tx, 2); err != nil {
				return err
			}
			panic("boom")
		})
	}()
	holds(t, s, 1) // and the store is not stuck
}

func testOwnWrites(t *testing.T, s importer.Store) {
	put(t, s, record(resources, "b"), record(resources, "d"))
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		changed := record(resources, "b")
		changed.Version, changed.DeletedAt = 2, noon
		if err := errors.Join(everything(ctx, tx, 1), tx.PutRecords(ctx, []importer.Stored{record(resources, "a"), record(resources, "c"), changed})); err != nil {
			return err
		}
		same(t, get(t, tx, resources, "b"), unraw(changed))
		if got := ids(list(t, tx, resources, importer.Filter{})); !reflect.DeepEqual(got, []string{"1", "a", "b", "c", "d"}) {
			t.Errorf("List: got %q", got)
		}
		if got := ids(list(t, tx, resources, importer.Filter{Live: true, After: "1", Limit: 2})); !reflect.DeepEqual(got, []string{"a", "c"}) {
			t.Errorf("List of the live: got %q", got)
		}
		if got := count(t, tx, resources, importer.Filter{Live: true}); got != 4 {
			t.Errorf("Count: got %d, want 4", got)
		}
		if got := raw(t, tx, resources, "c"); got != string(record(resources, "c").Raw) {
			t.Errorf("Raw: got %s", got)
		}
		cp, err := tx.Checkpoint(ctx, resources)
		if cp.Generation != 1 {
			t.Errorf("Checkpoint: got %d, want 1", cp.Generation)
		}
		return err
	})
}

func testIsolation(t *testing.T, s importer.Store) {
	update(t, s, func(ctx context.Context, tx importer.Tx) error { return everything(ctx, tx, 1) })
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		changed := record(resources, "1")
		changed.Version = 2
		if err := errors.Join(everything(ctx, tx, 2), tx.PutRecords(ctx, []importer.Stored{changed})); err != nil {
			return err
		}
		done := make(chan struct{})
		go func() { // another goroutine's reads see what is committed, and do not wait for the transaction
			defer close(done)
			ctx := t.Context()
			if got, err := s.Records(ctx, resources, []string{"1", "2"}); err != nil || len(got) != 1 || got[0].Version != 1 {
				t.Errorf("Records during a transaction: got %v, %v", got, err)
			}
			if got, err := s.List(ctx, resources, importer.Filter{}); err != nil || len(got) != 1 {
				t.Errorf("List during a transaction: got %d, %v", len(got), err)
			}
			if got, err := s.Count(ctx, resources, importer.Filter{}); err != nil || got != 1 {
				t.Errorf("Count during a transaction: got %d, %v", got, err)
			}
			if got, err := s.Raw(ctx, resources, "2"); err != nil || len(got) != 0 {
				t.Errorf("Raw during a transaction: got %s, %v", got, err)
			}
			if got, err := s.Events(ctx, "", 0, 10); err != nil || len(got) != 1 {
				t.Errorf("Events during a transaction: got %d, %v", len(got), err)
			}
			if got, err := s.Rejections(ctx, resources, "", 10); err != nil || len(got) != 1 {
				t.Errorf("Rejections during a transaction: got %d, %v", len(got), err)
			}
		}()
		wait(t, done, "a read waits for a transaction")
		return nil
	})
	holds(t, s, 1, 2)
}

// wait fails the test when done is not closed for very long.
func wait(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		t.Fatal(what)
	}
}

// testSerial counts up in many transactions at once: none may be lost. A store may run f again; only the run that is
// committed counts.
func testSerial(t *testing.T, s importer.Store) {
	const workers, times = 8, 25
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range times {
				if err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
					cp, err := tx.Checkpoint(ctx, resources)
					if err != nil {
						return err
					}
					cp.Generation++
					got, err := tx.Records(ctx, resources, []string{"n"})
					if err != nil {
						return err
					}
					r := record(resources, "n")
					r.Version = 1
					if len(got) > 0 {
						r.Version = got[0].Version + 1
					}
					return errors.Join(tx.PutCheckpoint(ctx, cp), tx.PutRecords(ctx, []importer.Stored{r}))
				}); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		cp, err := tx.Checkpoint(ctx, resources)
		if cp.Generation != workers*times || get(t, tx, resources, "n").Version != workers*times {
			t.Errorf("got %d and %d, want %d", cp.Generation, get(t, tx, resources, "n").Version, workers*times)
		}
		return err
	})
}

// testWriteSkew: each of two transactions writes only when the other has written nothing, so only one may.
func testWriteSkew(t *testing.T, s importer.Store) {
	for round := range 20 {
		var wg sync.WaitGroup
		a, b := importer.Collection{Integration: fmt.Sprint("a", round), Kind: "resource"}, importer.Collection{Integration: fmt.Sprint("b", round), Kind: "resource"}
		for _, c := range [][2]importer.Collection{{a, b}, {b, a}} {
			wg.Go(func() {
				if err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
					n, err := tx.Count(ctx, c[1], importer.Filter{})
					if err != nil || n > 0 {
						return err
					}
					return tx.PutRecords(ctx, []importer.Stored{record(c[0], "x")})
				}); err != nil {
					t.Errorf("Update: %v", err)
				}
			})
		}
		wg.Wait()
		if n := count(t, s, a, importer.Filter{}) + count(t, s, b, importer.Filter{}); n != 1 {
			t.Fatalf("round %d: both of two transactions that exclude each other wrote", round)
		}
	}
}

func testContext(t *testing.T, s importer.Store) {
	update(t, s, func(ctx context.Context, tx importer.Tx) error { return everything(ctx, tx, 1) })
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	err := s.Update(ended, func(ctx context.Context, tx importer.Tx) error { ran = true; return everything(ctx, tx, 2) })
	if !errors.Is(err, context.Canceled) || ran {
		t.Errorf("Update with an ended context: got %v, f run: %v", err, ran)
	}
	_, e1 := s.Records(ended, resources, []string{"1"})
	_, e2 := s.List(ended, resources, importer.Filter{})
	_, e3 := s.Count(ended, resources, importer.Filter{})
	_, e4 := s.Raw(ended, resources, "1")
	_, e5 := s.Events(ended, "", 0, 10)
	_, e6 := s.Rejections(ended, resources, "", 10)
	_, e7 := s.Prune(ended, noon.Add(time.Hour))
	e8 := s.Erase(ended, resources, "1")
	for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("method %d with an ended context: got %v", i+1, err)
		}
	}
	holds(t, s, 1)

	// Ended during the transaction: nothing of it is there, and Update says so.
	ctx, cancel := context.WithCancel(t.Context())
	err = s.Update(ctx, func(ctx context.Context, tx importer.Tx) error {
		if err := everything(ctx, tx, 2); err != nil {
			return err
		}
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Update whose context ends before the commit: got %v", err)
	}
	holds(t, s, 1)

	type key struct{}
	carried := context.WithValue(t.Context(), key{}, "value")
	if err := s.Update(carried, func(ctx context.Context, _ importer.Tx) error {
		if ctx.Value(key{}) != "value" {
			t.Error("the context that f is given has lost the caller's values")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// testContextWaiting: an Update that has to wait for another stops waiting when its context ends. (One that need
// not wait commits.)
func testContextWaiting(t *testing.T, s importer.Store) {
	inside, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	first := make(chan error, 1)
	go func() {
		first <- s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
			once.Do(func() { close(inside) })
			<-leave
			return everything(ctx, tx, 1)
		})
	}()
	wait(t, inside, "the first transaction does not begin")
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan struct{})
	var err error
	go func() {
		defer close(cancelled)
		err = s.Update(ctx, func(ctx context.Context, tx importer.Tx) error {
			return tx.PutCheckpoint(ctx, importer.Checkpoint{Collection: others, Generation: 1})
		})
	}()
	cancel()
	wait(t, cancelled, "an Update goes on waiting after its context has ended")
	close(leave)
	if err := <-first; err != nil {
		t.Errorf("the first Update: %v", err)
	}
	update(t, s, func(c context.Context, tx importer.Tx) error {
		cp, e := tx.Checkpoint(c, others)
		if wrote := cp.Generation == 1; wrote != (err == nil) {
			t.Errorf("Update returned %v, and its write is there: %v", err, wrote)
		}
		return e
	})
	holds(t, s, 1)
}

// testConcurrent uses everything at once, for the race detector and for deadlocks.
func testConcurrent(t *testing.T, s importer.Store) {
	ctx := t.Context()
	var wg sync.WaitGroup
	for w := range 4 {
		c := importer.Collection{Integration: fmt.Sprint("w", w), Kind: resources.Kind}
		wg.Go(func() {
			for i := range 20 {
				if err := s.Update(ctx, func(ctx context.Context, tx importer.Tx) error {
					id := fmt.Sprint(i)
					_, err := tx.List(ctx, resources, importer.Filter{})
					return errors.Join(err, tx.PutRecords(ctx, []importer.Stored{record(c, id), record(resources, id)}),
						tx.AppendEvents(ctx, []importer.Event{{Collection: c, ID: id, Version: 1, Change: importer.Added, At: noon}}),
						tx.PutRejections(ctx, []importer.Rejection{{Collection: resources, Key: id, Count: 1, First: noon, Last: noon}}))
				}); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
		wg.Go(func() {
			for i := range 20 {
				_, e1 := s.List(ctx, c, importer.Filter{})
				_, e2 := s.Records(ctx, resources, []string{fmt.Sprint(i)})
				_, e3 := s.Events(ctx, "", 0, 100)
				_, e4 := s.Rejections(ctx, resources, "", 100)
				_, e5 := s.Prune(ctx, noon.Add(-time.Hour))
				e6 := s.Erase(ctx, importer.Collection{Integration: "gone", Kind: resources.Kind}, fmt.Sprint(i))
				if err := errors.Join(e1, e2, e3, e4, e5, e6); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := count(t, s, resources, importer.Filter{}); got != 20 {
		t.Errorf("got %d records, want 20", got)
	}
	got, err := s.Rejections(ctx, resources, "", 100)
	if err != nil || len(got) != 20 || got[0].Count != 4 {
		t.Errorf("rejections: got %d, %v", len(got), err)
	}
}
