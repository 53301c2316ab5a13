package importer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

// queueHistory is two reads of a queue, the second of which is disturbed. It returns the store, and how many
// transactions and calls the second took.
func queueHistory(t *testing.T, destructive bool, disturb func(cfg importer.QueueConfig, q *importertest.QueueDriver) error) (*importer.Memory, int, int) {
	t.Helper()
	q, s := queue(destructive), importer.NewMemory()
	cfg := queueConfig(q, s)
	for i := range 5 {
		q.Send(fmt.Sprintf("a%d", i%3+1), fmt.Sprintf("t%d", i), 1)
	}
	readQueue(t, cfg)
	time.Sleep(time.Minute)
	for i := range 8 {
		q.Send(fmt.Sprintf("a%d", i%3+1), fmt.Sprintf("t%d", i), 2)
	}
	q.SendPoison("a1", "garbage", "garbage")
	q.SendPoison("a2", "reject", "reject")
	q.Send("a9", "unknown", 1)
	before, _ := q.Calls()
	if disturb == nil {
		counting := &importertest.Kill{Store: s}
		cfg.Store = counting
		readQueue(t, cfg)
		after, _ := q.Calls()
		return s, counting.Transactions(), after - before
	}
	if err := disturb(cfg, q); err != nil {
		t.Fatal(err)
	}
	q.Before, q.After = nil, nil
	cfg.Store = s
	for range 2 { // a lease has to run out
		time.Sleep(3 * time.Minute)
		readQueue(t, cfg)
	}
	if n := q.Waiting(); n != 0 {
		t.Errorf("%d messages wait", n)
	}
	return s, 0, 0
}

// TestPromise1_QueueKilledAtEveryTransaction: whatever transaction the process dies in, before or after the commit,
// nothing is lost and nothing is there twice.
func TestPromise1_QueueKilledAtEveryTransaction(t *testing.T) {
	for _, destructive := range []bool{false, true} {
		bubble(t, fmt.Sprintf("destructive %v", destructive), func(t *testing.T) {
			undisturbed, n, _ := queueHistory(t, destructive, nil)
			want := dump(t, undisturbed)
			if n < 8 {
				t.Fatalf("%d transactions", n)
			}
			for at := 1; at <= n; at++ {
				for _, after := range []bool{false, true} {
					s, _, _ := queueHistory(t, destructive, func(cfg importer.QueueConfig, _ *importertest.QueueDriver) error {
						cfg.Store = &importertest.Kill{Store: cfg.Store, At: at, After: after}
						if _, err := importer.ReadQueue(t.Context(), cfg); !errors.Is(err, importertest.ErrKilled) {
							return fmt.Errorf("transaction %d: got %w, want ErrKilled", at, err)
						}
						return nil
					})
					if got := dump(t, s); got != want {
						t.Fatalf("killed at transaction %d of %d, after the commit: %v:\n%s", at, n, after, difference(got, want))
					}
				}
			}
		})
	}
}

// TestPromise1_QueueFailsAtEveryCall: whatever call fails, before the partner saw it or after it answered, nothing is
// lost and nothing is there twice. Of a destructive read the answer is lost, and what it took is recovered.
func TestPromise1_QueueFailsAtEveryCall(t *testing.T) {
	for _, destructive := range []bool{false, true} {
		bubble(t, fmt.Sprintf("destructive %v", destructive), func(t *testing.T) {
			undisturbed, _, n := queueHistory(t, destructive, nil)
			want := dump(t, undisturbed)
			for at := 1; at <= n; at++ {
				for _, after := range []bool{false, true} {
					s, _, _ := queueHistory(t, destructive, func(cfg importer.QueueConfig, q *importertest.QueueDriver) error {
						first, _ := q.Calls()
						fail := func(context.Context, string) error {
							if i, _ := q.Calls(); i-first == at {
								return errPage
							}
							return nil
						}
						if q.Before = fail; after {
							q.Before, q.After = nil, fail
						}
						if _, err := importer.ReadQueue(t.Context(), cfg); !errors.Is(err, errPage) {
							return fmt.Errorf("call %d: got %w, want the driver's error", at, err)
						}
						return nil
					})
					if got := dump(t, s); got != want {
						t.Fatalf("failed at call %d of %d, after the answer: %v:\n%s", at, n, after, difference(got, want))
					}
				}
			}
		})
	}
}

// TestPromise1_QueueKilledAgainAndAgain: no process lives for more than a few transactions.
func TestPromise1_QueueKilledAgainAndAgain(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		undisturbed, _, _ := queueHistory(t, false, nil)
		want := dump(t, undisturbed)
		for seed := range 6 {
			s, _, _ := queueHistory(t, false, func(cfg importer.QueueConfig, _ *importertest.QueueDriver) error {
				s := cfg.Store
				for i := range 100 {
					cfg.Store = &importertest.Kill{Store: s, At: 2 + (i+seed)%4, After: (i+seed)%3 == 0}
					time.Sleep(3 * time.Minute)
					if _, err := importer.ReadQueue(t.Context(), cfg); !errors.Is(err, importertest.ErrKilled) {
						return err
					}
				}
				return nil // what is left is done by the next reads
			})
			if got := dump(t, s); got != want {
				t.Fatalf("seed %d:\n%s", seed, difference(got, want))
			}
		}
	})
}
