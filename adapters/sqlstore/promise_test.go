package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

// account is a partner's account as it is in a round: some records cannot be read, and in the second round others
// have changed, come or gone.
func account(round int) *importertest.Driver {
	a := &importertest.Account{Resources: 300, Transactions: 200, MediaPer: 3}
	a.Poison(errors.New("cannot be read"), false, "r0000005", "r0000123", "t0000042", "r0000007-m01")
	if round > 1 {
		a.Change(0.2, round, noon)
	}
	return &importertest.Driver{Account: a, PageSize: 10}
}

// importConfig makes every change a row of the host's queue, in the transaction of the change. said is told what
// happens: "in" within a transaction, "ok" after its commit.
func importConfig(s importer.Store, round int, said func(string)) importer.Config {
	cfg := importer.Config{
		Driver: account(round), Integration: importertest.Integration("acct-1"), Store: s, MaxDeleteFraction: 1,
		OnProgress: func(importer.Progress) { said("ok") },
	}
	if _, ok := s.(*sqlstore.Store); ok {
		cfg.OnChanges = func(ctx context.Context, set importer.ChangeSet) error {
			tx, _ := sqlstore.TxFrom(ctx)
			for _, c := range set.Changes {
				if _, err := tx.ExecContext(ctx, "INSERT INTO jobs (kind, id, version, change) VALUES (?, ?, ?, ?)",
					string(c.Kind), c.ID, c.Version, string(c.Change)); err != nil {
					return err
				}
			}
			said("in")
			return nil
		}
	}
	return cfg
}

// childImport imports a round into the database, or that part of it during which so many lines are said.
func childImport(ctx context.Context, args []string) error {
	s, err := childStore(ctx, args[0])
	if err != nil {
		return err
	}
	defer s.Close()
	round, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	lines, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	cfg := importConfig(s, round, func(what string) {
		fmt.Println(what)
		if lines--; lines == 0 { // however slow the one that kills is
			linger()
		}
	})
	res, err := importer.Run(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Println("finished", res.Run)
	return nil
}

// The process is killed at random points of imports, again and again, and the store ends as after an undisturbed run:
// no record, event or job of the host's is missing, and none is there twice.
func TestPromise1_KilledAndResumed(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	path := filepath.Join(t.TempDir(), "kit.db")
	execSQL(t, path, "CREATE TABLE jobs (kind TEXT, id TEXT, version INTEGER, change TEXT, UNIQUE (kind, id, version))")
	memory := importer.NewMemory()
	kills, lines := 0, 12
	if testing.Short() { // under the race detector, say
		lines = 45
	}
	for round := 1; round <= 2; round++ {
		if _, err := importer.Run(t.Context(), importConfig(memory, round, func(string) {})); err != nil {
			t.Fatal(err)
		}
		for !importUntilKilled(t, path, round, rnd.IntN(lines)) {
			kills++
			consistent(t, path)
		}
	}
	t.Logf("killed %d times", kills)
	if kills < 25 && !testing.Short() {
		t.Errorf("killed %d times, want at least 25: the import is too short", kills)
	}
	s := open(t, path, keys(t, "k1"))
	var want, got bytes.Buffer
	if err := memory.Dump(t.Context(), &want); err != nil {
		t.Fatal(err)
	}
	if err := s.Dump(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("the dumps differ: %d and %d bytes, first at %q", got.Len(), want.Len(), firstDifference(got.String(), want.String()))
	}
}

// importUntilKilled imports in a child that is killed as soon as it has said so many lines. It reports whether the
// import is done.
func importUntilKilled(t *testing.T, path string, round, lines int) bool {
	t.Helper()
	c := start(t, "import", path, strconv.Itoa(round), strconv.Itoa(lines+1))
	for ; lines > 0 && c.lines.Scan(); lines-- {
		if strings.HasPrefix(c.lines.Text(), "finished") {
			c.wait(t)
			return true
		}
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // killed
	if c.stderr.Len() > 0 {
		t.Fatalf("the child failed: %s", c.stderr.String())
	}
	return false
}

// consistent checks what must hold whenever the process was killed: the database is sound, and every event has its
// job and its record.
func consistent(t *testing.T, path string) {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), path, sqlstore.Options{Keys: keys(t, "k1")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]int{
		"SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'":                                                                0,
		"SELECT count(*) FROM pragma_foreign_key_check":                                                                                            0,
		"SELECT (SELECT count(*) FROM jobs) - (SELECT count(*) FROM ik_events)":                                                                    0,
		"SELECT count(*) FROM ik_events e LEFT JOIN jobs j ON j.kind = e.kind AND j.id = e.id AND j.version = e.version WHERE j.id IS NULL":        0,
		"SELECT count(*) FROM ik_events e LEFT JOIN ik_records r ON r.kind = e.kind AND r.id = e.id AND r.version >= e.version WHERE r.id IS NULL": 0,
		"SELECT (SELECT coalesce(sum(version), 0) FROM ik_records) - (SELECT count(*) FROM ik_events)":                                             0,
	} {
		if got := count(t, path, text); got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
}

func firstDifference(a, b string) string {
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] + " / " + y[i]
		}
	}
	return "the end"
}

// The answer of a commit that was acknowledged holds after SIGKILL, and of one that was not nothing is there.
func TestPromise1_AcknowledgedIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	want := uint64(0)
	for range 5 {
		c := start(t, "ack", path)
		acked := uint64(0)
		for range 10 {
			if !c.lines.Scan() {
				t.Fatalf("the child ended: %s", c.stderr.String())
			}
			n, err := strconv.ParseUint(c.lines.Text(), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			acked = n
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for c.lines.Scan() { // said before it died
			if n, err := strconv.ParseUint(c.lines.Text(), 10, 64); err == nil && c.lines.Text() != "" {
				acked = n
			}
		}
		_ = c.Wait() // killed
		s, err := sqlstore.Open(t.Context(), path, sqlstore.Options{Keys: keys(t, "k1")})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.LoadToken(t.Context(), "token")
		if err != nil || uint64(r.Generation) < acked || uint64(r.Generation) > acked+1 || acked < want+10 {
			t.Errorf("got generation %d, %v, acknowledged %d, before %d", r.Generation, err, acked, want)
		}
		want = uint64(r.Generation)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// childAck saves a token again and again, and says which generation is saved.
func childAck(ctx context.Context, args []string) error {
	s, err := childStore(ctx, args[0])
	if err != nil {
		return err
	}
	for {
		r, err := s.LoadToken(ctx, "token")
		if err != nil {
			return err
		}
		r.Generation++
		if _, err := s.SaveToken(ctx, "token", r); err != nil {
			return err
		}
		fmt.Println(r.Generation)
	}
}
