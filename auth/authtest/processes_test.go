package authtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/auth/authtest"
)

// folder is a store of files, for the tests of Processes: plain, slow, and broken on purpose as kind says.
type folder struct{ dir, kind string }

// alone runs f while no other process does.
func (d folder) alone(ctx context.Context, f func() error) error {
	guard := filepath.Join(d.dir, "guard")
	for errors.Is(os.Mkdir(guard, 0o700), fs.ErrExist) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return errors.Join(f(), os.Remove(guard))
}

func (d folder) read(name string, into any) error {
	b, err := os.ReadFile(filepath.Join(d.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

func (d folder) write(name string, from any) error {
	b, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.dir, name), b, 0o600)
}

// stored is a record as it is written.
type stored struct {
	Version uint64
	Sealed  []byte
}

func (d folder) LoadToken(ctx context.Context, key string) (r auth.Record, err error) {
	var s stored
	err = d.alone(ctx, func() error { return d.read(key, &s) })
	if err == nil && s.Version > 0 {
		r, err = sealing.OpenRecord(key, s.Sealed)
		r.Version = s.Version
	}
	return r, err
}

func (d folder) SaveToken(ctx context.Context, key string, r auth.Record) (uint64, error) {
	sealed, err := sealing.SealRecord(key, r)
	if err != nil {
		return 0, err
	}
	err = d.alone(ctx, func() error {
		var old stored
		if err := d.read(key, &old); err != nil {
			return err
		}
		if old.Version != r.Version && d.kind != "does not compare" {
			return auth.ErrConflict
		}
		return d.write(key, stored{r.Version + 1, sealed})
	})
	return r.Version + 1, err
}

var sealing = func() *auth.Keys {
	k, err := auth.NewKeys(auth.Key{ID: "k", Secret: auth.KeyBytes([]byte("thirty-two bytes for these tests"))})
	if err != nil {
		panic(err)
	}
	return k
}()

func (d folder) LockToken(ctx context.Context, key string, ttl time.Duration) (func(), error) {
	if d.kind == "does not lock" {
		return func() {}, nil
	}
	for {
		took := false
		err := d.alone(ctx, func() error {
			var until time.Time
			if err := d.read("lock "+key, &until); err != nil || time.Now().Before(until) {
				return err
			}
			took = true
			return d.write("lock "+key, time.Now().Add(ttl))
		})
		if err != nil {
			return nil, err
		}
		if took {
			return func() {
				_ = d.alone(context.WithoutCancel(ctx), func() error { return d.write("lock "+key, time.Time{}) }) // it expires
			}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func inFolder(kind string) (func(t *testing.T) string, func(t *testing.T, place string) auth.Store) {
	return func(t *testing.T) string { return t.TempDir() },
		func(_ *testing.T, place string) auth.Store { return folder{place, kind} }
}

func TestProcesses(t *testing.T) {
	place, open := inFolder("")
	authtest.Processes(t, place, open)
}

// TestBrokenProcesses runs the suite on the store that the environment names; it is run by
// TestTheSuiteFindsStoresThatMixProcesses.
func TestBrokenProcesses(t *testing.T) {
	kind := os.Getenv(kindVar)
	if kind == "" {
		t.Skip("run by TestTheSuiteFindsStoresThatMixProcesses")
	}
	place, open := inFolder(kind)
	authtest.Processes(t, place, open)
}

func TestTheSuiteFindsStoresThatMixProcesses(t *testing.T) {
	for kind, test := range map[string]string{
		"does not compare": "OneOfManyWins", "does not lock": "KilledHolder",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBrokenProcesses$/^"+test+"$")
			cmd.Env = append(os.Environ(), kindVar+"="+kind)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestBrokenProcesses/"+test) {
				t.Errorf("the suite on a store that %s: %v\n%s", kind, err, out)
			}
		})
	}
}
