package importer_test

import (
	"context"
	"fmt"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

// Messages of one queue go to the integrations whose accounts they name; what is of nobody is kept until somebody has it.
func ExampleReadQueue() {
	ctx := context.Background()
	store := importer.NewMemory()
	partner := &importertest.QueueDriver{Describes: driver.Queue{Name: "acme/orders"}}
	partner.Send("north", "order-1", 1)
	partner.Send("south", "order-2", 1)

	owners := map[string]driver.Integration{"north": {ID: "customer-17", Account: "north"}}
	cfg := importer.QueueConfig{
		Driver: partner, Store: store,
		Route: func(_ context.Context, account string) (driver.Integration, error) {
			in, ok := owners[account]
			if !ok {
				return in, driver.ErrNotFound
			}
			return in, nil
		},
		OnDead: func(_ context.Context, m importer.KeptMessage) { fmt.Println("kept:", m.ID, "because", m.Reason) },
	}
	res, err := importer.ReadQueue(ctx, cfg)
	fmt.Println(res.Messages, "messages,", res.Counts().Added, "added,", res.Dead, "dead,", err)

	owners["south"] = driver.Integration{ID: "customer-18", Account: "south"}
	n, err := importer.Requeue(ctx, store, "acme/orders")
	fmt.Println("again:", n, err)
	res, err = importer.ReadQueue(ctx, cfg)
	fmt.Println(res.Counts().Added, "added,", err)
	// Output:
	// kept: order-2 because no integration has its account
	// 2 messages, 1 added, 1 dead, <nil>
	// again: 1 <nil>
	// 1 added, <nil>
}
