package importer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

// discard is a store that counts what it is given and keeps nothing but checkpoints. The resources of its account are
// listed as if they were there.
type discard struct {
	account     *importertest.Account
	checkpoints map[importer.Collection]importer.Checkpoint
	put, events int
}

func (s *discard) Update(ctx context.Context, f func(ctx context.Context, tx importer.Tx) error) error {
	return f(ctx, s)
}

func (s *discard) Records(_ context.Context, c importer.Collection, ids []string) ([]importer.Stored, error) {
	if c.Kind != driver.KindResource || s.checkpoints[c].Full != nil { // the listing: all is new
		return nil, nil
	}
	out := make([]importer.Stored, len(ids))
	for i, id := range ids {
		out[i] = importer.Stored{Collection: c, ID: id, Version: 1}
	}
	return out, nil
}

func (s *discard) List(_ context.Context, c importer.Collection, f importer.Filter) ([]importer.Stored, error) {
	if c.Kind != driver.KindResource || f.Unseen != 0 {
		return nil, nil
	}
	first := 0
	if _, err := fmt.Sscanf(f.After, "r%d", &first); err == nil {
		first++
	}
	var out []importer.Stored
	for i := first; i < min(first+f.Limit, s.account.Resources); i++ {
		out = append(out, importer.Stored{Collection: c, ID: fmt.Sprintf("r%07d", i), Version: 1})
	}
	return out, nil
}

func (s *discard) Count(context.Context, importer.Collection, importer.Filter) (int, error) {
	return 0, nil
}
func (s *discard) Raw(context.Context, importer.Collection, string) (json.RawMessage, error) {
	return nil, nil
}
func (s *discard) PutRecords(_ context.Context, r []importer.Stored) error {
	s.put += len(r)
	return nil
}
func (s *discard) TouchRecords(context.Context, []importer.Stored) error                 { return nil }
func (s *discard) PutRejections(context.Context, []importer.Rejection) error             { return nil }
func (s *discard) DeleteRejections(context.Context, importer.Collection, []string) error { return nil }
func (s *discard) AppendEvents(_ context.Context, e []importer.Event) error {
	s.events += len(e)
	return nil
}
func (s *discard) Events(context.Context, string, int64, int) ([]importer.Event, error) {
	return nil, nil
}
func (s *discard) Prune(context.Context, time.Time) (int64, error)          { return 0, nil }
func (s *discard) Erase(context.Context, importer.Collection, string) error { return nil }
func (s *discard) Checkpoint(_ context.Context, c importer.Collection) (importer.Checkpoint, error) {
	cp := s.checkpoints[c]
	cp.Collection = c
	return cp, nil
}
func (s *discard) PutCheckpoint(_ context.Context, cp importer.Checkpoint) error {
	s.checkpoints[cp.Collection] = cp
	return nil
}
func (s *discard) Rejections(context.Context, importer.Collection, string, int) ([]importer.Rejection, error) {
	return nil, nil
}

// TestPromise6_AMillionRecords imports 200,000 resources, 400,000 transactions and 400,000 media, and looks at the
// live heap on the way: what it holds does not grow with what was imported.
func TestPromise6_AMillionRecords(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("takes long")
	}
	a := account(200_000, 400_000, 2)
	d := &importertest.Driver{Account: a}
	s := &discard{account: a, checkpoints: map[importer.Collection]importer.Checkpoint{}}
	cfg := config(d, s)
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	base := live()
	var peak uint64
	steps := 0
	cfg.OnProgress = func(importer.Progress) {
		if steps++; steps%100 == 0 {
			peak = max(peak, live())
		}
	}
	began := time.Now()
	res, err := importer.Run(t.Context(), cfg)
	if ok, why := res.Complete(); err != nil || !ok {
		t.Fatalf("got %v, incomplete: %s", err, why)
	}
	if got := res.Counts().Added; got != 1_000_000 || s.put != got || s.events != got || steps < 10_000 {
		t.Errorf("got %d records in %d transactions, %d put", got, steps, s.put)
	}
	const limit = 8 << 20
	if peak > base+limit || res.PeakHeap > base+8*limit {
		t.Errorf("live heap: at first %d, at most %d, with garbage %d: it grows by more than %d bytes", base, peak, res.PeakHeap, limit)
	}
	t.Logf("%d samples, live heap %.1f MB at first, %.1f MB at most, %.1f MB with garbage, %.0f records/s",
		steps/100, float64(base)/1e6, float64(peak)/1e6, float64(res.PeakHeap)/1e6, 1e6/time.Since(began).Seconds())
}
