package importer_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/retry"
)

// TestPromise9_OneStoreManyIntegrations: a revoked token, a storm of 429s, poison records, a driver and a host that
// panic: none of them leaves a trace in the import of another integration, at the same time into the same store.
func TestPromise9_OneStoreManyIntegrations(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		import1 := func(s importer.Store, id string, change func(d *importertest.Driver, cfg *importer.Config)) (importer.Result, error) {
			d := &importertest.Driver{Account: account(60, 40, 2), PageSize: 10}
			cfg := importer.Config{Driver: d, Integration: importertest.Integration(id), Store: s}
			if change != nil {
				change(d, &cfg)
			}
			return importer.Run(t.Context(), cfg)
		}
		only := func(s *importer.Memory, id string) string {
			var lines []string
			for line := range strings.Lines(dump(t, s)) {
				if strings.Contains(line, `"integration":"`+id+`"`) {
					lines = append(lines, line)
				}
			}
			return strings.Join(lines, "")
		}
		alone := importer.NewMemory()
		if _, err := import1(alone, "d", nil); err != nil {
			t.Fatal(err)
		}
		want := only(alone, "d")

		shared := importer.NewMemory()
		fails := func(at string, err error) func(*importertest.Driver, *importer.Config) {
			return func(d *importertest.Driver, _ *importer.Config) {
				d.Before = func(_ context.Context, op, after string) error {
					if strings.HasPrefix(op, at) && (after != "" || strings.HasPrefix(op, "media")) {
						return err
					}
					return nil
				}
			}
		}
		others := map[string]struct {
			change func(*importertest.Driver, *importer.Config)
			class  retry.Class // of its error
		}{
			"a revoked": {fails("resources", verdict(retry.Auth, http.StatusUnauthorized)), retry.Auth},
			"b storm":   {fails("transactions", verdict(retry.RateLimit, http.StatusTooManyRequests)), retry.RateLimit},
			"c media":   {fails("media", verdict(retry.Client, http.StatusForbidden)), retry.Client},
			"e poison": {func(d *importertest.Driver, _ *importer.Config) {
				d.Account.Poison(errors.New("garbage"), true, "r0000003", "t0000003")
			}, retry.OK},
			"f process": {func(_ *importertest.Driver, c *importer.Config) {
				c.Process = func(context.Context, any) error { panic("x") }
			}, retry.OK},
			"g panics": {func(d *importertest.Driver, _ *importer.Config) {
				d.Before = func(context.Context, string, string) error { panic("x") }
			}, retry.Data},
			"h refuses": {func(_ *importertest.Driver, c *importer.Config) {
				c.OnChanges = func(context.Context, importer.ChangeSet) error { return errPage }
			}, retry.Transient},
		}
		var wg sync.WaitGroup
		for id, other := range others {
			wg.Go(func() {
				if _, err := import1(shared, id, other.change); retry.ClassOf(err) != other.class {
					t.Errorf("%s: got %v, want an error of class %v", id, err, other.class)
				}
			})
		}
		wg.Go(func() {
			res, err := import1(shared, "d", nil)
			if ok, why := res.Complete(); err != nil || !ok || res.Counts().Added != 60+40+120 {
				t.Errorf("d: got %v, %s, %+v", err, why, res.Counts())
			}
		})
		wg.Wait()
		if got := only(shared, "d"); got != want {
			t.Errorf("d is not as if it were alone:\n%s", difference(got, want))
		}
		// One poison record hurts not even its own kind.
		if n := live(t, shared, importer.Collection{Integration: "e poison", Kind: driver.KindResource}); n != 59 {
			t.Errorf("beside a poison record: %d of 59", n)
		}
	})
}
