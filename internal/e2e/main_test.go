package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// The test binary is also the process that is killed: with these variables set it imports, and does nothing else.
const (
	envURL = "E2E_IMPORT_FROM"
	envDB  = "E2E_IMPORT_INTO"
)

const (
	scale = 60 // how fast the simulated partner's time runs
	id    = "guesty-1"
)

func TestMain(m *testing.M) {
	if os.Getenv(envURL) != "" {
		os.Exit(child())
	}
	if os.Getenv(envSubscribe) != "" {
		os.Exit(subscribe())
	}
	goleak.VerifyTestMain(m)
}

// child imports everything, and writes a line for each transaction.
func child() int {
	ctx := context.Background()
	in := integration(os.Getenv(envURL))
	err := importInto(ctx, os.Getenv(envDB), in, importer.Config{
		OnProgress: func(p importer.Progress) { fmt.Println(p.Kind, p.Counts.Items) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// integration is the one with the simulated account at the URL.
func integration(url string) driver.Integration {
	return driver.Integration{
		ID: id, Partner: guesty.Partner, BaseURL: url,
		Credentials: map[string]auth.Secret{"client_id": guestytest.ClientID, "client_secret": guestytest.ClientSecret},
	}
}

func openStore(ctx context.Context, db string) (*sqlstore.Store, error) {
	keys, err := auth.NewKeys(auth.Key{ID: "test", Secret: auth.KeyBytes{1, 2, 3}})
	if err != nil {
		return nil, err
	}
	return sqlstore.Open(ctx, db, sqlstore.Options{Keys: keys})
}

// importInto runs one import into the database, all with what a host would give it: what was spent, and the token, are in the
// database too.
func importInto(ctx context.Context, db string, in driver.Integration, cfg importer.Config) (err error) {
	store, err := openStore(ctx, db)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := store.Close(); err == nil {
			err = cerr
		}
	}()
	reg := driver.NewRegistry(driver.Options{
		Tokens: store, Limits: store, Tiers: map[string]ratelimit.Tiers{"guesty/api": guestytest.Tiers.Scale(scale)},
	})
	if err := guesty.Register(reg); err != nil {
		return err
	}
	defer func() {
		if cerr := reg.Close(context.WithoutCancel(ctx)); err == nil {
			err = cerr
		}
	}()
	d, err := reg.OpenIntegration(ctx, in)
	if err != nil {
		return err
	}
	cfg.Driver, cfg.Integration, cfg.Store = d, in, store
	result, err := importer.Run(ctx, cfg)
	if err != nil {
		return err
	}
	if complete, why := result.Complete(); !complete {
		return fmt.Errorf("incomplete: %s", why)
	}
	return nil
}
