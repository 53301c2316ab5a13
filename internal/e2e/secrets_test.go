package e2e

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// A whole import, with a partner that fails in many ways, leaves no credential in the log or in the database's files.
func TestPromise8_NothingInLogOrDatabase(t *testing.T) {
	faults, err := partnersim.ParseFaults("500:0.05,429:0.02,reset:0.02,cut:0.02,html:0.01,malformed:0.01,revoke;after=30;count=1")
	if err != nil {
		t.Fatal(err)
	}
	sim := account(t, guestytest.Config{Listings: 60, ReservationsPerListing: 3, PhotosPerListing: 2, Scale: scale, Seed: 3, Faults: faults})
	db := filepath.Join(t.TempDir(), "kit.db")
	store, err := openStore(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var log buffer
	tokens := &overheard{Store: store}
	reg := driver.NewRegistry(driver.Options{
		Tokens: tokens, Limits: store, Tiers: map[string]ratelimit.Tiers{"guesty/api": guestytest.Tiers.Scale(scale)},
		Telemetry: driver.Telemetry{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))},
	})
	if err := guesty.Register(reg); err != nil {
		t.Fatal(err)
	}
	in := integration(sim.BaseURL())
	d, err := reg.OpenIntegration(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for range 20 {
		result, err := importer.Run(t.Context(), importer.Config{Driver: d, Integration: in, Store: store})
		if complete, why := result.Complete(); err == nil && complete {
			break
		} else if err == nil {
			told = append(told, why)
		} else {
			told = append(told, err.Error())
		}
	}
	if err := reg.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(tokens.tokens) < 2 {
		t.Fatalf("%d tokens were stored, want one before and one after the revocation", len(tokens.tokens))
	}

	files := map[string][]byte{"log": log.bytes(), "errors": []byte(strings.Join(told, "\n"))}
	for _, name := range []string{db, db + "-wal"} {
		if b, err := os.ReadFile(name); err == nil {
			files[filepath.Base(name)] = b
		}
	}
	if len(files["log"]) < 1000 || len(files["kit.db"]) < 1000 {
		t.Fatalf("%d bytes of log and %d of database: nothing was looked at", len(files["log"]), len(files["kit.db"]))
	}
	for i, secret := range append([]string{guestytest.ClientSecret, guestytest.SecretInListing}, tokens.tokens...) {
		for name, b := range files {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("secret %d (client's, other system's, then tokens) is in the %s", i, name)
			}
		}
	}
}

// overheard is a store that notes the tokens it is given.
type overheard struct {
	auth.Store

	mu     sync.Mutex // guards the field below
	tokens []string
}

// SaveToken implements auth.Store.
func (o *overheard) SaveToken(ctx context.Context, key string, r auth.Record) (uint64, error) {
	if r.Token.Access != "" {
		o.mu.Lock()
		o.tokens = append(o.tokens, string(r.Token.Access))
		o.mu.Unlock()
	}
	return o.Store.SaveToken(ctx, key, r)
}

// buffer is a log.
type buffer struct {
	mu sync.Mutex // guards the field below
	b  bytes.Buffer
}

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}
