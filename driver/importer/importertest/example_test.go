package importertest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

// An import that dies at its third transaction, and goes on where it was.
func ExampleKill() {
	ctx := context.Background()
	store := importer.NewMemory()
	cfg := importer.Config{
		Driver:      &importertest.Driver{Account: &importertest.Account{Resources: 250}, PageSize: 50},
		Integration: importertest.Integration("in-1"),
		Store:       &importertest.Kill{Store: store, At: 3},
	}
	_, err := importer.Run(ctx, cfg)
	fmt.Println("killed:", errors.Is(err, importertest.ErrKilled))

	cfg.Store = store // the process that comes after it
	res, err := importer.Run(ctx, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	resources := res.Kinds[0]
	fmt.Println("resumed:", resources.Resumed, "records:", resources.Pass.Added, "complete:", resources.Complete)
	// Output:
	// killed: true
	// resumed: true records: 250 complete: true
}
