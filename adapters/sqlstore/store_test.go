package sqlstore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/auth/authtest"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

// key makes a sealing key; different ids make different keys.
func key(id string) auth.Key {
	k := auth.Key{ID: id}
	copy(k.Secret[:], "secret of "+id)
	return k
}

func keys(t testing.TB, ids ...string) *auth.Keys {
	t.Helper()
	all := make([]auth.Key, len(ids))
	for i, id := range ids {
		all[i] = key(id)
	}
	k, err := auth.NewKeys(all...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// open opens the database at path until the test ends.
func open(t testing.TB, path string, k *auth.Keys) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), path, sqlstore.Options{Keys: k})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// fresh opens a new database.
func fresh(t testing.TB) *sqlstore.Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "kit.db"), keys(t, "k1"))
}

func TestImporterStore(t *testing.T) {
	importertest.Store(t, func(t *testing.T) importer.Store { return fresh(t) })
}

func TestImporterQueueStore(t *testing.T) {
	importertest.QueueStore(t, func(t *testing.T) importer.QueueStore { return fresh(t) })
}

func TestAuthStoreOfProcesses(t *testing.T) {
	authtest.Processes(t, func(t *testing.T) string { return filepath.Join(t.TempDir(), "kit.db") },
		func(t *testing.T, path string) auth.Store { return open(t, path, keys(t, "k1")) })
}

func TestAuthStore(t *testing.T) {
	authtest.Store(t, func(t *testing.T) func() auth.Store {
		path := filepath.Join(t.TempDir(), "kit.db")
		return func() auth.Store { return open(t, path, keys(t, "k1")) }
	})
}

func TestTokensAreSealedAtRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	authtest.AtRest(t, open(t, path, keys(t, "k1")), func() []byte { return files(t, path) })
}

// files returns the bytes of the database and of the files beside it.
func files(t testing.TB, path string) []byte {
	t.Helper()
	names, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}
