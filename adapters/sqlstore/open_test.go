package sqlstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver/importer"
)

func TestOpenRefusesPaths(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, want string }{
		{"empty", "", "is empty"},
		{"memory", ":memory:", "not the name of a file"},
		{"uri", "file:kit.db?mode=memory", "not the name of a file"},
		{"nul", "kit\x00.db", "NUL"},
		{"no directory", filepath.Join(dir, "none", "kit.db"), "its directory cannot be used: no such file"},
		{"file as directory", filepath.Join(file, "kit.db"), "should be its directory is a file"},
		{"directory", dir, "is not a regular file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := sqlstore.Open(t.Context(), tt.path, sqlstore.Options{})
			if err == nil {
				_ = s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want something with %q", err, tt.want)
			}
		})
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("files were made: %v, %v", entries, err)
	}
}

// snapshot returns the names and contents of the files in dir.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		all[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// refused checks that a database is not opened, and not touched.
func refused(t *testing.T, path string, k *auth.Keys, want ...error) {
	t.Helper()
	before := snapshot(t, filepath.Dir(path))
	s, err := sqlstore.Open(t.Context(), path, sqlstore.Options{Keys: k})
	if err == nil {
		_ = s.Close()
		t.Fatal("opened")
	}
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Errorf("got %v, want also %v", err, w)
		}
	}
	after := snapshot(t, filepath.Dir(path))
	for _, name := range []string{filepath.Base(path)} {
		if before[name] != after[name] {
			t.Errorf("%s was written to", name)
		}
	}
	for name, content := range after {
		if before[name] != content && content != "" && !strings.HasSuffix(name, "-shm") {
			t.Errorf("%s was written to", name)
		}
	}
}

func TestOpenRefusesOtherFiles(t *testing.T) {
	for name, content := range map[string]string{
		"text":      "this is no database, and it is longer than a header would be",
		"short":     "SQLite",
		"nearly":    "SQLite format 4\x00" + strings.Repeat("x", 4096),
		"encrypted": strings.Repeat("\x93\x01", 4096),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kit.db")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, path, nil, sqlstore.ErrNotDatabase)
		})
	}
}

// execSQL runs a statement on the database at path, past the store.
func execSQL(t testing.TB, path, text string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), text, args...); err != nil {
		t.Fatal(err)
	}
}

// closed makes a database and closes it.
func closed(t *testing.T, k *auth.Keys) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kit.db")
	s, err := sqlstore.Open(t.Context(), path, sqlstore.Options{Keys: k})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenRefusesNewerSchema(t *testing.T) {
	path := closed(t, keys(t, "k1"))
	execSQL(t, path, "INSERT INTO ik_schema (version_id, is_applied) VALUES (99, 1)")
	refused(t, path, keys(t, "k1"), sqlstore.ErrNewer)
	// Everything that is wrong is named at once.
	refused(t, path, keys(t, "k2"), sqlstore.ErrNewer, sqlstore.ErrKeys)
}

func TestOpenRefusesWrongKeys(t *testing.T) {
	path := closed(t, keys(t, "k1"))
	refused(t, path, keys(t, "k2"), sqlstore.ErrKeys)
	refused(t, path, nil, sqlstore.ErrKeys)
	impostor := key("k2")
	impostor.ID = "k1"
	k, err := auth.NewKeys(impostor)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, path, k, sqlstore.ErrKeys)

	open(t, path, keys(t, "k2", "k1")) // seals with k2 from now on
	refused(t, path, keys(t, "k1"), sqlstore.ErrKeys)
	refused(t, path, keys(t, "k2"), sqlstore.ErrKeys) // what k1 sealed is still there
}

func TestOpenDamaged(t *testing.T) {
	path := closed(t, nil)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 100; i < len(b); i++ {
		b[i] = 0xa5
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = sqlstore.Open(t.Context(), path, sqlstore.Options{})
	if err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
		t.Errorf("got %v, want what to do about a damaged database", err)
	}
}

func TestOpenPermissions(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "a?b#c%20 d.db"), nil) // a name is a name
	benchPut(t, s)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 2 {
		t.Fatalf("got %v, %v, want the database and its log", entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 || !strings.HasPrefix(e.Name(), "a?b#c%20 d.db") {
			t.Errorf("%s: got mode %o, want 600", e.Name(), got)
		}
	}
}

func benchPut(t testing.TB, s *sqlstore.Store) {
	t.Helper()
	err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error { return tx.PutRecords(ctx, page(0, 3)) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	var log bytes.Buffer
	for i := range 3 {
		s, err := sqlstore.Open(t.Context(), path, sqlstore.Options{Keys: keys(t, "k1"), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.Count(t.Context(), resources, importer.Filter{}); err != nil || n != min(3, 3*i) {
			t.Errorf("got %d records, %v, want %d", n, err, min(3, 3*i))
		}
		benchPut(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
	if got := strings.Count(log.String(), "schema migrated"); got != 3 {
		t.Errorf("got %d migrations, want 3:\n%s", got, log.String())
	}
}

// A database may be shared with others, a queue say.
func TestOpenBesideOtherTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host.db")
	execSQL(t, path, "CREATE TABLE goose_db_version (version_id INTEGER, is_applied INTEGER); INSERT INTO goose_db_version VALUES (77, 1)")
	benchPut(t, open(t, path, keys(t, "k1")))
}

func TestOpenAtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	k := keys(t, "k1")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := sqlstore.Open(t.Context(), path, sqlstore.Options{Keys: k})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.SaveLimit(t.Context(), "l", []byte("x")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpenContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("shutting down")
	cancel(cause)
	path := filepath.Join(t.TempDir(), "kit.db")
	if _, err := sqlstore.Open(ctx, path, sqlstore.Options{}); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
}

func TestClosed(t *testing.T) {
	s, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "kit.db"), sqlstore.Options{Keys: keys(t, "k1")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, err1 := s.Records(ctx, resources, []string{"a"})
	_, err2 := s.LoadToken(ctx, "k")
	err3 := s.SaveLimit(ctx, "l", nil)
	_, err4 := s.LockToken(ctx, "k", 1)
	_, err5 := s.List(ctx, resources, importer.Filter{})
	for i, err := range []error{err1, err2, err3, err4, err5, s.Dump(ctx, &bytes.Buffer{})} {
		if !errors.Is(err, sqlstore.ErrClosed) {
			t.Errorf("call %d: got %v, want ErrClosed", i, err)
		}
	}
}
