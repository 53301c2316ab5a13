package sqlstore_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// Whatever writes from within a transaction would wait for itself.
func TestNestedWritesFail(t *testing.T) {
	s := fresh(t)
	other := fresh(t)
	for name, call := range map[string]func(ctx context.Context) error{
		"Update":    func(ctx context.Context) error { return s.Update(ctx, nil) },
		"Prune":     func(ctx context.Context) error { _, err := s.Prune(ctx, noon); return err },
		"Erase":     func(ctx context.Context) error { return s.Erase(ctx, resources, "a") },
		"Reseal":    s.Reseal,
		"SaveToken": func(ctx context.Context) error { _, err := s.SaveToken(ctx, "k", auth.Record{}); return err },
		"LockToken": func(ctx context.Context) error { _, err := s.LockToken(ctx, "k", time.Second); return err },
		"SaveLimit": func(ctx context.Context) error { return s.SaveLimit(ctx, "l", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			err := s.Update(t.Context(), func(ctx context.Context, _ importer.Tx) error { return call(ctx) })
			if !errors.Is(err, sqlstore.ErrNested) {
				t.Errorf("got %v, want ErrNested", err)
			}
		})
	}
	// Another store's transaction is another matter.
	err := s.Update(t.Context(), func(ctx context.Context, _ importer.Tx) error { return other.SaveLimit(ctx, "l", []byte("x")) })
	if err != nil {
		t.Error(err)
	}
}

func TestTxFrom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	execSQL(t, path, "CREATE TABLE jobs (record TEXT NOT NULL)")
	s := open(t, path, nil)
	if _, ok := sqlstore.TxFrom(t.Context()); ok {
		t.Error("there is a transaction outside of Update")
	}
	enqueue := func(fail error) error {
		return s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
			q, ok := sqlstore.TxFrom(ctx)
			if !ok {
				return errors.New("no transaction")
			}
			if err := tx.PutRecords(ctx, page(0, 1)); err != nil {
				return err
			}
			if _, err := q.ExecContext(ctx, "INSERT INTO jobs (record) SELECT id FROM ik_records"); err != nil {
				return err
			}
			return fail
		})
	}
	for _, tt := range []struct {
		fail error
		want int
	}{{errors.New("changed my mind"), 0}, {nil, 1}} {
		if err := enqueue(tt.fail); !errors.Is(err, tt.fail) {
			t.Fatalf("got %v, want %v", err, tt.fail)
		}
		records, err := s.Count(t.Context(), resources, importer.Filter{})
		if jobs := count(t, path, "SELECT count(*) FROM jobs"); err != nil || jobs != tt.want || records != tt.want {
			t.Errorf("got %d jobs and %d records, %v, want %d", jobs, records, err, tt.want)
		}
	}
}

// count reads a number past the store.
func count(t testing.TB, path, text string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), text).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTxAfterUpdate(t *testing.T) {
	s := fresh(t)
	var kept importer.Tx
	if err := s.Update(t.Context(), func(_ context.Context, tx importer.Tx) error { kept = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := kept.PutRecords(t.Context(), page(0, 1)); err == nil || !strings.Contains(err.Error(), "a Tx is not kept after Update") {
		t.Errorf("got %v", err)
	}
	if _, err := kept.Records(t.Context(), resources, []string{"a"}); err == nil {
		t.Error("read from a transaction that is over")
	}
}

// Times that cannot be kept are refused rather than changed, and what comes out as text names no content of records.
func TestRefusedRecords(t *testing.T) {
	s := fresh(t)
	far := page(0, 1)
	far[0].UpdatedAt = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	r := importer.Rejection{Collection: resources, Key: "k", Reason: "secret reason", First: far[0].UpdatedAt, Last: noon, Count: 1}
	e := importer.Event{Collection: resources, ID: "e", At: far[0].UpdatedAt}
	for name, f := range map[string]func(ctx context.Context, tx importer.Tx) error{
		"put":    func(ctx context.Context, tx importer.Tx) error { return tx.PutRecords(ctx, far) },
		"touch":  func(ctx context.Context, tx importer.Tx) error { return tx.TouchRecords(ctx, far) },
		"reject": func(ctx context.Context, tx importer.Tx) error { return tx.PutRejections(ctx, []importer.Rejection{r}) },
		"event":  func(ctx context.Context, tx importer.Tx) error { return tx.AppendEvents(ctx, []importer.Event{e}) },
		"list": func(ctx context.Context, tx importer.Tx) error {
			_, err := tx.List(ctx, resources, importer.Filter{FetchedBefore: far[0].UpdatedAt})
			return err
		},
		"count": func(ctx context.Context, tx importer.Tx) error {
			_, err := tx.Count(ctx, resources, importer.Filter{ChangedSince: far[0].UpdatedAt})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.Update(t.Context(), f)
			if err == nil || !strings.Contains(err.Error(), "out of range") || !strings.Contains(err.Error(), "acct-1") {
				t.Errorf("got %v, want the collection and what is wrong", err)
			}
			if err != nil && (strings.Contains(err.Error(), "lorem") || strings.Contains(err.Error(), "secret")) {
				t.Errorf("the error quotes the record: %v", err)
			}
		})
	}
	if _, err := s.Prune(t.Context(), far[0].UpdatedAt); err == nil {
		t.Error("Prune before a time that cannot be stored")
	}
}

// More parents than one query names are split, and put together again in order.
func TestManyParents(t *testing.T) {
	s := fresh(t)
	records := page(0, 1200)
	parents := make([]string, 0, 2*len(records))
	for i := range records {
		records[i].Parent = records[len(records)-1-i].ID // the order of parents is not that of ids
		parents = append(parents, records[i].Parent, records[i].Parent)
	}
	if err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error { return tx.PutRecords(ctx, records) }); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ limit, want int }{{0, 1200}, {700, 700}} {
		got, err := s.List(t.Context(), resources, importer.Filter{Parents: parents, Limit: tt.limit})
		if err != nil || len(got) != tt.want {
			t.Fatalf("got %d, %v, want %d", len(got), err, tt.want)
		}
		for i := range got {
			if got[i].ID != records[i].ID {
				t.Fatalf("at %d: got %s, want %s", i, got[i].ID, records[i].ID)
			}
		}
	}
	if n, err := s.Count(t.Context(), resources, importer.Filter{Parents: parents}); err != nil || n != len(records) {
		t.Errorf("counted %d, %v", n, err)
	}
}

// Rows that were damaged by other hands are errors, not other records.
func TestDamagedRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	s := open(t, path, keys(t, "k1"))
	benchPut(t, s)
	err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
		if err := tx.PutCheckpoint(ctx, importer.Checkpoint{Collection: resources}); err != nil {
			return err
		}
		return tx.PutRejections(ctx, []importer.Rejection{{Collection: resources, Key: "k", Raw: []byte("raw"), First: noon, Last: noon, Count: 1}})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SaveToken(t.Context(), "k", auth.Record{Generation: 1}); err != nil {
		t.Fatal(err)
	}
	execSQL(t, path, `UPDATE ik_records SET older = '{'; UPDATE ik_checkpoints SET state = '{"Generation":"secret"}'`)
	execSQL(t, path, "UPDATE ik_rejections SET raw = x'00'; UPDATE ik_tokens SET record = x'00'")
	ctx := t.Context()
	_, err1 := s.List(ctx, resources, importer.Filter{})
	_, err2 := s.Rejections(ctx, resources, "", 10)
	_, err3 := s.LoadToken(ctx, "k")
	err4 := s.Update(ctx, func(ctx context.Context, tx importer.Tx) error { _, err := tx.Checkpoint(ctx, resources); return err })
	for i, err := range []error{err1, err2, err3, err4, s.Reseal(ctx)} {
		if err == nil || strings.Contains(err.Error(), "lorem") || !strings.HasPrefix(err.Error(), "sqlstore: ") {
			t.Errorf("call %d: got %v, want an error that says where", i, err)
		}
	}
	if !errors.Is(err3, sqlstore.ErrKeys) {
		t.Errorf("got %v, want ErrKeys", err3)
	}
}

func TestLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	s := open(t, path, nil) // spent quota is no secret
	if got, err := s.LoadLimit(t.Context(), "guesty/a"); got != nil || err != nil {
		t.Errorf("got %v, %v, want nothing", got, err)
	}
	for _, state := range []string{"one", "two", ""} {
		if err := s.SaveLimit(t.Context(), "guesty/a", []byte(state)); err != nil {
			t.Fatal(err)
		}
		if err := s.SaveLimit(t.Context(), "guesty/b", []byte("b")); err != nil {
			t.Fatal(err)
		}
		if got, err := open(t, path, nil).LoadLimit(t.Context(), "guesty/a"); string(got) != state || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, state)
		}
	}
	if err := s.SaveLimit(t.Context(), "guesty/c", nil); err != nil {
		t.Error(err)
	}
}

// Without keys a store keeps records, and nothing that has to be sealed.
func TestWithoutKeys(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "kit.db"), nil)
	if _, err := s.LoadToken(t.Context(), "k"); !errors.Is(err, sqlstore.ErrNoKeys) {
		t.Errorf("LoadToken: got %v, want ErrNoKeys", err)
	}
	if _, err := s.SaveToken(t.Context(), "k", auth.Record{}); !errors.Is(err, sqlstore.ErrNoKeys) {
		t.Errorf("SaveToken: got %v, want ErrNoKeys", err)
	}
	if err := s.Reseal(t.Context()); !errors.Is(err, sqlstore.ErrNoKeys) {
		t.Errorf("Reseal: got %v, want ErrNoKeys", err)
	}
	r := importer.Rejection{Collection: resources, Key: "k", ID: "k", Reason: "why", Raw: json.RawMessage("raw"), First: noon, Last: noon, Count: 1}
	err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error { return tx.PutRejections(ctx, []importer.Rejection{r}) })
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Rejections(t.Context(), resources, "", 2); err != nil || len(got) != 1 || got[0].Reason != "why" || got[0].Raw != nil {
		t.Errorf("got %+v, %v, want the reason without the raw bytes", got, err)
	}
}
