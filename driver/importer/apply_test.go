package importer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

func TestApply(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(10, 10, 1)
		s := importer.NewMemory()
		cfg := config(nil, s)
		r1, r2, tr := a.Resource(1), a.Resource(2), a.Transaction(3)
		m := a.Media("r0000001")[0]
		bad := a.Resource(4)
		bad.Capacity = driver.Some(-1)
		var told []importer.Collection
		cfg.OnChanges = func(_ context.Context, c importer.ChangeSet) error { told = append(told, c.Collection); return nil }
		res, err := importer.Apply(t.Context(), cfg, time.Now(), &tr, &r1, &m, &r2, &bad)
		if err != nil || len(res.Kinds) != 3 || res.Counts().Added != 4 || res.Counts().Rejected != 1 || res.Kinds[0].Kind != driver.KindResource {
			t.Errorf("got %v, %+v", err, res)
		}
		if ok, why := res.Complete(); !ok || len(told) != 3 || len(rejections(t, s, resources)) != 1 {
			t.Errorf("got %v %q, told of %v", ok, why, told)
		}
		if got := get(t, s, resources, "r0000001"); got.Generation != 0 {
			t.Errorf("a webhook is no listing: got generation %d", got.Generation)
		}
		if cp := checkpoint(t, s, resources); cp.Generation != 0 || cp.Full != nil || !cp.Watermark.IsZero() {
			t.Errorf("got %+v", cp)
		}
		if res, err := importer.Apply(t.Context(), cfg, time.Now()); err != nil || len(res.Kinds) != 0 {
			t.Errorf("no records: got %v, %+v", err, res)
		}
		// The first kind is stored, the second refused: the result names what is stored.
		refused := errors.New("the queue is full")
		cfg.OnChanges = func(_ context.Context, c importer.ChangeSet) error {
			if c.Kind == driver.KindTransaction {
				return refused
			}
			return nil
		}
		r5, t5 := a.Resource(5), a.Transaction(5)
		res, err = importer.Apply(t.Context(), cfg, time.Now(), &t5, &r5)
		if !errors.Is(err, refused) || !strings.Contains(err.Error(), "in-1: transaction") || len(res.Kinds) != 1 || live(t, s, transactions) != 1 {
			t.Errorf("got %v, %+v", err, res)
		}
	})
}

func TestApplyRefuses(t *testing.T) {
	s := importer.NewMemory()
	cfg := config(nil, s)
	var none *driver.Media
	r := account(1, 0, 0).Resource(0)
	_, err := importer.Apply(t.Context(), importer.Config{}, time.Time{}, r, nil, none, &r, "x")
	for _, want := range []string{"no ID", "Store is nil", "sent for", "record 0 is a driver.Resource", "record 1 is a <nil>", "record 2 is nil", "record 4 is a string"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q named", err, want)
		}
	}
	for _, sent := range []time.Time{time.Now().Add(25 * time.Hour), time.Unix(0, 0), time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if _, err := importer.Apply(t.Context(), cfg, sent, &r); err == nil || live(t, s, resources) != 0 {
			t.Errorf("sent for %v: got %v", sent, err)
		}
	}
	if _, err := importer.Apply(t.Context(), cfg, time.Now().Add(23*time.Hour), &r); err != nil {
		t.Errorf("a clock that is ahead: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := importer.Apply(ctx, cfg, time.Now(), &r); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: got %v", err)
	}
}

// failing fails in one method of a transaction.
type failing struct {
	importer.Store
	method string
}

type failingTx struct {
	importer.Tx
	method string
}

var errStore = errors.New("the database is away")

func (s failing) Update(ctx context.Context, f func(ctx context.Context, tx importer.Tx) error) error {
	return s.Store.Update(ctx, func(ctx context.Context, tx importer.Tx) error { return f(ctx, failingTx{tx, s.method}) })
}

func (s failing) Count(ctx context.Context, c importer.Collection, f importer.Filter) (int, error) {
	if s.method == "Store.Count" {
		return 0, errStore
	}
	return s.Store.Count(ctx, c, f)
}

func (s failing) List(ctx context.Context, c importer.Collection, f importer.Filter) ([]importer.Stored, error) {
	if s.method == "Store.List" {
		return nil, errStore
	}
	return s.Store.List(ctx, c, f)
}

func (tx failingTx) fail(method string) error {
	if tx.method == method {
		return errStore
	}
	return nil
}

func (tx failingTx) Records(ctx context.Context, c importer.Collection, ids []string) ([]importer.Stored, error) {
	if err := tx.fail("Records"); err != nil {
		return nil, err
	}
	return tx.Tx.Records(ctx, c, ids)
}

func (tx failingTx) List(ctx context.Context, c importer.Collection, f importer.Filter) ([]importer.Stored, error) {
	if err := tx.fail("List"); err != nil {
		return nil, err
	}
	return tx.Tx.List(ctx, c, f)
}

func (tx failingTx) Count(ctx context.Context, c importer.Collection, f importer.Filter) (int, error) {
	if err := tx.fail("Count"); err != nil {
		return 0, err
	}
	return tx.Tx.Count(ctx, c, f)
}

func (tx failingTx) PutRecords(ctx context.Context, r []importer.Stored) error {
	return errors.Join(tx.fail("PutRecords"), tx.Tx.PutRecords(ctx, r))
}

func (tx failingTx) TouchRecords(ctx context.Context, r []importer.Stored) error {
	return errors.Join(tx.fail("TouchRecords"), tx.Tx.TouchRecords(ctx, r))
}

func (tx failingTx) PutRejections(ctx context.Context, r []importer.Rejection) error {
	return errors.Join(tx.fail("PutRejections"), tx.Tx.PutRejections(ctx, r))
}

func (tx failingTx) DeleteRejections(ctx context.Context, c importer.Collection, keys []string) error {
	return errors.Join(tx.fail("DeleteRejections"), tx.Tx.DeleteRejections(ctx, c, keys))
}

func (tx failingTx) AppendEvents(ctx context.Context, e []importer.Event) error {
	return errors.Join(tx.fail("AppendEvents"), tx.Tx.AppendEvents(ctx, e))
}

func (tx failingTx) Checkpoint(ctx context.Context, c importer.Collection) (importer.Checkpoint, error) {
	cp, err := tx.Tx.Checkpoint(ctx, c)
	return cp, errors.Join(tx.fail("Checkpoint"), err)
}

func (tx failingTx) PutCheckpoint(ctx context.Context, cp importer.Checkpoint) error {
	return errors.Join(tx.fail("PutCheckpoint"), tx.Tx.PutCheckpoint(ctx, cp))
}

// TestPromise1_StoreFails: an error of the store ends the run with that error, and the next run makes up for it.
func TestPromise1_StoreFails(t *testing.T) {
	for _, method := range []string{
		"Records", "List", "Count", "PutRecords", "TouchRecords", "PutRejections", "DeleteRejections", "AppendEvents", "Checkpoint", "PutCheckpoint",
		"Store.Count", "Store.List",
	} {
		bubble(t, method, func(t *testing.T) {
			want, _, _ := history(t, importer.Full, true, nil)
			s, _, _ := history(t, importer.Full, true, func(cfg importer.Config, _ *importertest.Driver) error {
				whole := cfg.Store
				cfg.Store = failing{whole, method}
				res, err := importer.Run(t.Context(), cfg)
				if !errors.Is(err, errStore) {
					t.Errorf("got %v", err)
				}
				if ok, _ := res.Complete(); ok {
					t.Error("complete in spite of an error")
				}
				cfg.Store = whole
				time.Sleep(time.Minute)
				_, err = importer.Run(t.Context(), cfg)
				return err
			})
			if got, want := dump(t, s), dump(t, want); got != want {
				t.Error(difference(got, want))
			}
		})
	}
}
