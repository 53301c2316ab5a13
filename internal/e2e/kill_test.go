package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// A process that imports is killed with SIGKILL again and again, at random points between and within its transactions,
// until one gets to the end. The database is then what an undisturbed import leaves.
func TestPromise1_KilledAgainAndAgain(t *testing.T) {
	listings, kills := 1200, 25
	if testing.Short() {
		listings, kills = 150, 3
	}
	sim := account(t, guestytest.Config{
		Listings: listings, ReservationsPerListing: 3, PhotosPerListing: 3,
		Scale: scale, Latency: 60 * time.Millisecond, Jitter: 60 * time.Millisecond, Seed: 7,
	})
	dir := t.TempDir()
	undisturbed := filepath.Join(dir, "undisturbed.db")
	if err := importInto(t.Context(), undisturbed, integration(sim.BaseURL()), importer.Config{}); err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(dir, "killed.db")
	untilDone(t, sim, killed, kills)
	if got, want := dump(t, killed), dump(t, undisturbed); !bytes.Equal(got, want) {
		t.Errorf("the database differs from that of an undisturbed import: %s", difference(got, want))
	}
}

// The partner never sees more than its limits, although each process knows of those before it, which were killed while their
// requests were on the way, only what they had stored.
func TestPromise3_AcrossKills(t *testing.T) {
	listings, kills := 400, 6
	if testing.Short() {
		listings, kills = 100, 2
	}
	sim := account(t, guestytest.Config{
		Listings: listings, ReservationsPerListing: 1, PhotosPerListing: 1,
		Scale: scale, Latency: 300 * time.Millisecond, Jitter: 600 * time.Millisecond, Seed: 8,
	})
	untilDone(t, sim, filepath.Join(t.TempDir(), "killed.db"), kills)
	report := sim.Report()
	within(t, report)
	if minute, ok := report.Tier("api", 120); !ok || minute.Worst < 60 {
		t.Errorf("the minute's worst window held %d of 120: the limit was never near", minute.Worst)
	}
}

// untilDone lets processes import until one has ended by itself and so many were killed.
func untilDone(t *testing.T, sim *guestytest.Server, db string, kills int) {
	t.Helper()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	killed := 0
	for finished := false; !finished; {
		after := 1 + r.IntN(4) // transactions
		if killed >= kills+kills/5 {
			after = 1 << 30 // it is proved; let it end
		}
		died, err := runAndKill(t.Context(), sim.BaseURL(), db, after, time.Duration(r.IntN(20_000))*time.Microsecond)
		if err != nil {
			t.Fatalf("seed %d, after %d kills: %v", seed, killed, err)
		}
		if finished = !died; died {
			killed++
		}
	}
	if killed < kills {
		t.Errorf("seed %d: the import ended after %d kills, want at least %d", seed, killed, kills)
	}
	t.Logf("seed %d: %d kills, %d requests", seed, killed, sim.Report().Requests)
}

// account is a simulated account on loopback.
func account(t *testing.T, c guestytest.Config) *guestytest.Server {
	t.Helper()
	sim, err := guestytest.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	return sim
}

// within checks that the partner never saw more than its limits.
func within(t *testing.T, r partnersim.Report) {
	t.Helper()
	if r.Violations != 0 || r.Throttled != 0 || len(r.Unexpected) != 0 {
		t.Errorf("the partner counts %d violations and %d 429s, and notes %q; first violations: %+v", r.Violations, r.Throttled, r.Unexpected,
			r.Ledger[:min(3, len(r.Ledger))])
	}
	for _, tier := range r.Tiers {
		if limit := tier.Tier.Requests + tier.Tier.Concurrent; tier.Worst > limit {
			t.Errorf("%s %s: %d in the worst window", tier.Quota, tier.Tier, tier.Worst)
		}
	}
}

// runAndKill runs a process that imports, and kills it some time after it has told of so many transactions. died is false when it
// came to its end before.
func runAndKill(ctx context.Context, url, db string, after int, then time.Duration) (died bool, err error) {
	exe, err := os.Executable()
	if err != nil {
		return false, err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), envURL+"="+url, envDB+"="+db)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	var timer *time.Timer
	lines := bufio.NewScanner(out)
	for n := 1; lines.Scan(); n++ {
		if n == after {
			timer = time.AfterFunc(then, func() { _ = cmd.Process.Kill() }) // it may have ended
		}
	}
	_, _ = io.Copy(io.Discard, out) // a line that is too long ends the scan, not the process
	err = cmd.Wait()
	if timer != nil {
		timer.Stop()
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == -1 {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return false, nil
}

func dump(t *testing.T, db string) []byte {
	t.Helper()
	store, err := openStore(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var b bytes.Buffer
	if err := store.Dump(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if b.Len() == 0 {
		t.Fatal("the dump is empty")
	}
	return b.Bytes()
}

// difference shows the first line that differs.
func difference(got, want []byte) string {
	g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			return fmt.Sprintf("line %d:\n got %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}
