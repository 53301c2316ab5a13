package importer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	resources    = importer.Collection{Integration: "in-1", Kind: driver.KindResource}
	transactions = importer.Collection{Integration: "in-1", Kind: driver.KindTransaction}
	media        = importer.Collection{Integration: "in-1", Kind: driver.KindMedia}
)

// bubble runs a test with a clock of its own, which begins on 1 January 2000.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// account is a small account whose records were changed before the bubble's clock began.
func account(resources, transactions, mediaPer int) *importertest.Account {
	return &importertest.Account{
		Resources: resources, Transactions: transactions, MediaPer: mediaPer, Updated: time.Date(1999, 6, 1, 0, 0, 0, 0, time.UTC),
	}
}

func config(d driver.Driver, s importer.Store) importer.Config {
	return importer.Config{Driver: d, Integration: importertest.Integration("in-1"), Store: s}
}

// run runs an import that must succeed, an hour after whatever was before.
func run(t *testing.T, cfg importer.Config) importer.Result {
	t.Helper()
	time.Sleep(time.Hour)
	res, err := importer.Run(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	return res
}

// only returns the result of a kind.
func only(t *testing.T, res importer.Result, kind driver.Kind) importer.KindResult {
	t.Helper()
	for _, k := range res.Kinds {
		if k.Kind == kind {
			return k
		}
	}
	t.Fatalf("no result for %s", kind)
	return importer.KindResult{}
}

func dump(t *testing.T, s *importer.Memory) string {
	t.Helper()
	var b strings.Builder
	if err := s.Dump(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// difference returns the first line in which dumps differ.
func difference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(as), len(bs)) {
		var x, y string
		if i < len(as) {
			x = as[i]
		}
		if i < len(bs) {
			y = bs[i]
		}
		if x != y {
			return "got  " + x + "\nwant " + y
		}
	}
	return "no difference"
}

func get(t *testing.T, s importer.Store, c importer.Collection, id string) importer.Stored {
	t.Helper()
	got, err := s.Records(t.Context(), c, []string{id})
	if err != nil || len(got) != 1 {
		t.Fatalf("%s: got %d records, %v", id, len(got), err)
	}
	return got[0]
}

func live(t *testing.T, s importer.Store, c importer.Collection) int {
	t.Helper()
	n, err := s.Count(t.Context(), c, importer.Filter{Live: true})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func rejections(t *testing.T, s importer.Store, c importer.Collection) []importer.Rejection {
	t.Helper()
	got, err := s.Rejections(t.Context(), c, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func checkpoint(t *testing.T, s importer.Store, c importer.Collection) (cp importer.Checkpoint) {
	t.Helper()
	if err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) (err error) {
		cp, err = tx.Checkpoint(ctx, c)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return cp
}

var errPage = errors.New("page cannot be read")

// failAt makes the driver fail once, at the call with the number.
func failAt(d *importertest.Driver, n int64) {
	first := d.Calls()
	d.Before = func(ctx context.Context, _, _ string) error {
		if d.Calls()-first == n {
			return errPage
		}
		return ctx.Err()
	}
}
