package sqlstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

// A token is there again after a restart, and sealed meanwhile.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "sqlstore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "kit.db")

	secret := auth.KeyBytes{1, 2, 3} // from the host's secret manager
	keys, err := auth.NewKeys(auth.Key{ID: "2026-11", Secret: secret})
	if err != nil {
		log.Fatal(err)
	}
	store, err := sqlstore.Open(ctx, path, sqlstore.Options{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := store.SaveToken(ctx, "guesty/acct-17", auth.Record{Token: auth.Token{Access: "s3cret"}, Generation: 1}); err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	store, err = sqlstore.Open(ctx, path, sqlstore.Options{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	r, err := store.LoadToken(ctx, "guesty/acct-17")
	fmt.Println(r.Generation, r.Token.Access == "s3cret", r.Token.Access, err)
	// Output: 1 true [redacted] <nil>
}

// The host's jobs are committed with the records that they are about.
func ExampleTxFrom() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "sqlstore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := sqlstore.Open(ctx, filepath.Join(dir, "kit.db"), sqlstore.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	onChanges := func(ctx context.Context, c importer.ChangeSet) error {
		tx, ok := sqlstore.TxFrom(ctx)
		if !ok {
			return fmt.Errorf("no transaction")
		}
		if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS jobs (record TEXT NOT NULL)"); err != nil {
			return err
		}
		for _, change := range c.Changes {
			if _, err := tx.ExecContext(ctx, "INSERT INTO jobs (record) VALUES (?)", change.ID); err != nil {
				return err
			}
		}
		fmt.Println("enqueued", len(c.Changes))
		return nil
	}
	_, err = importer.Run(ctx, importer.Config{
		Driver:      &importertest.Driver{Account: &importertest.Account{Resources: 3}}, // a real one in real life
		Integration: importertest.Integration("acct-17"), Store: store, OnChanges: onChanges,
		Kinds: []driver.Kind{driver.KindResource},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: enqueued 3
}
