package authtest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/auth/authtest"
)

// broken changes what one operation of a store in memory does.
type broken struct {
	auth.Store
	kind string
}

func (b broken) LoadToken(ctx context.Context, key string) (auth.Record, error) {
	switch b.kind {
	case "folds keys":
		key = strings.ToLower(key)
	case "ignores contexts":
		ctx = context.WithoutCancel(ctx)
	}
	r, err := b.Store.LoadToken(ctx, key)
	if b.kind == "loses refresh tokens" {
		r.Token.Refresh = ""
	}
	if b.kind == "keeps seconds" {
		r.CoolDown = r.CoolDown.Truncate(time.Second)
	}
	return r, err
}

func (b broken) SaveToken(ctx context.Context, key string, r auth.Record) (uint64, error) {
	switch b.kind {
	case "folds keys":
		key = strings.ToLower(key)
	case "ignores contexts":
		ctx = context.WithoutCancel(ctx)
	}
	v, err := b.Store.SaveToken(ctx, key, r)
	if b.kind == "does not compare" && errors.Is(err, auth.ErrConflict) {
		cur, loadErr := b.Store.LoadToken(ctx, key)
		if loadErr != nil {
			return 0, loadErr
		}
		r.Version = cur.Version
		return b.Store.SaveToken(ctx, key, r)
	}
	if b.kind == "hides conflicts" && errors.Is(err, auth.ErrConflict) {
		return 0, errors.New("busy")
	}
	return v, err
}

func (b broken) LockToken(ctx context.Context, key string, ttl time.Duration) (func(), error) {
	switch b.kind {
	case "does not lock":
		return func() {}, ctx.Err()
	}
	return b.Store.LockToken(ctx, key, ttl)
}

const kindVar = "AUTHTEST_BROKEN_STORE"

// TestBroken runs the suite on the store that the environment names; it is run by TestTheSuiteFindsBrokenStores.
func TestBroken(t *testing.T) {
	kind := os.Getenv(kindVar)
	if kind == "" {
		t.Skip("run by TestTheSuiteFindsBrokenStores")
	}
	authtest.Store(t, func(*testing.T) func() auth.Store {
		s := auth.NewMemoryStore()
		return func() auth.Store { return broken{s, kind} }
	})
	authtest.AtRest(t, auth.NewMemoryStore(), func() []byte {
		if kind == "keeps tokens in clear" {
			return []byte("…canary-access-3f9c…")
		}
		return nil
	})
}

func TestTheSuiteFindsBrokenStores(t *testing.T) {
	for _, kind := range []string{
		"none", "folds keys", "ignores contexts", "loses refresh tokens", "keeps seconds", "does not compare", "hides conflicts",
		"does not lock", "keeps tokens in clear",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), kindVar+"="+kind)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (kind == "none") {
				t.Errorf("the suite on a store that %s: %v\n%s", kind, err, out)
			}
			if err != nil && !strings.Contains(string(out), "--- FAIL: TestBroken") {
				t.Errorf("it did not fail by its tests: %v\n%s", err, out)
			}
		})
	}
}
