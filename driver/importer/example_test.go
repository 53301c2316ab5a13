package importer_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/pagination"
)

// hotel is a driver of a partner with two rooms. A real one fetches pages with driver.Client.
type hotel struct{ rooms []driver.Resource }

func (h *hotel) Info() driver.Info {
	return driver.Info{Partner: "hotel", Title: "Hotel", Incremental: []driver.Kind{driver.KindResource}}
}

func (h *hotel) Check(ctx context.Context) error { return ctx.Err() }

func (h *hotel) Resources(_ context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	var rooms []driver.Resource
	for _, r := range h.rooms {
		if !r.UpdatedAt.Before(q.UpdatedSince) {
			rooms = append(rooms, r)
		}
	}
	return pagination.Of(rooms...)
}

func room(id, name string, updated time.Time) driver.Resource {
	return driver.Resource{Record: driver.Record{ID: id, UpdatedAt: updated}, Name: driver.Some(name)}
}

// newHotel returns the driver, and a configuration for it.
func newHotel() (*hotel, importer.Config) {
	monday := time.Date(2025, 11, 24, 9, 0, 0, 0, time.UTC)
	h := &hotel{rooms: []driver.Resource{room("1", "Sea view", monday), room("2", "Garden view", monday)}}
	return h, importer.Config{
		Driver: h, Integration: driver.Integration{ID: "hotel-7", Partner: "hotel"}, Store: importer.NewMemory(),
	}
}

// A full run lists everything, writes what differs, and finds what is gone.
func ExampleRun() {
	ctx := context.Background()
	h, cfg := newHotel()
	show := func() {
		res, err := importer.Run(ctx, cfg)
		if err != nil {
			fmt.Println("come back later:", err) // retry.At(err) says when; what was committed is kept
			return
		}
		if complete, why := res.Complete(); !complete {
			fmt.Println("not all was seen:", why)
		}
		c := res.Counts()
		fmt.Println(c.Added, "added,", c.Updated, "updated,", c.Unchanged, "unchanged,", c.Deleted, "deleted")
	}
	show()
	show()
	h.rooms = h.rooms[1:]
	h.rooms[0].Name = driver.Some("Courtyard")
	show()

	stored, err := cfg.Store.List(ctx, importer.Collection{Integration: "hotel-7", Kind: driver.KindResource}, importer.Filter{Live: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range stored {
		r, err := importer.Decode[driver.Resource](s)
		fmt.Println(s.ID, r.Name.Or("?"), "version", s.Version, err)
	}
	// Output:
	// 2 added, 0 updated, 0 unchanged, 0 deleted
	// 0 added, 0 updated, 2 unchanged, 0 deleted
	// 0 added, 1 updated, 0 unchanged, 1 deleted
	// 2 Courtyard version 2 <nil>
}

// An incremental run asks for what changed since the last one. The first lists everything, because there is none.
func ExampleRun_incremental() {
	ctx := context.Background()
	h, cfg := newHotel()
	cfg.Mode = importer.Incremental
	for range 2 {
		res, err := importer.Run(ctx, cfg)
		if err != nil {
			fmt.Println(err)
			return
		}
		k := res.Kinds[0]
		fmt.Println("everything:", k.Whole, "items:", k.Counts.Items, "watermark:", k.Watermark.Format(time.DateTime))
		h.rooms[0] = room("1", "Sea view, renovated", time.Date(2025, 11, 25, 8, 0, 0, 0, time.UTC))
	}
	// Output:
	// everything: true items: 2 watermark: 2025-11-24 09:00:00
	// everything: false items: 2 watermark: 2025-11-25 08:00:00
}

// OnChanges is told of what a transaction changes, inside it: what it enqueues in the same transaction exists
// exactly if the change does.
func ExampleRun_onChanges() {
	h, cfg := newHotel()
	var queue []string // in real life: river.Client.InsertTx with the transaction that ctx carries
	cfg.OnChanges = func(_ context.Context, c importer.ChangeSet) error {
		for _, ch := range c.Changes {
			queue = append(queue, fmt.Sprint(ch.Change, " ", ch.Kind, " ", ch.ID, " version ", ch.Version, " ", ch.Fields))
		}
		return nil
	}
	for range 2 {
		if _, err := importer.Run(context.Background(), cfg); err != nil {
			fmt.Println(err)
			return
		}
		h.rooms[0].Name = driver.Some("Harbour view")
	}
	for _, job := range queue {
		fmt.Println(job)
	}
	// Output:
	// added resource 1 version 1 []
	// added resource 2 version 1 []
	// updated resource 1 version 2 [name]
}

// Process applies the host's own rules: it changes records, leaves some out, and rejects those that break a rule.
func ExampleRun_process() {
	ctx := context.Background()
	h, cfg := newHotel()
	h.rooms = append(h.rooms, driver.Resource{Record: driver.Record{ID: "3"}})
	cfg.Process = func(_ context.Context, record any) error {
		r, ok := record.(*driver.Resource)
		if !ok {
			return nil
		}
		switch name, ok := r.Name.Get(); {
		case !ok:
			return errors.New("a room must have a name")
		case name == "Garden view":
			return importer.ErrSkip
		default:
			r.Tags = driver.Some([]string{"imported"})
			return nil
		}
	}
	res, err := importer.Run(ctx, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	c := res.Counts()
	fmt.Println(c.Added, "added,", c.Skipped, "skipped,", c.Rejected, "rejected")
	rejected, err := cfg.Store.Rejections(ctx, importer.Collection{Integration: "hotel-7", Kind: driver.KindResource}, "", 10)
	for _, r := range rejected {
		fmt.Println(r.ID, r.Reason)
	}
	fmt.Println(err)
	// Output:
	// 1 added, 1 skipped, 1 rejected
	// 3 a room must have a name
	// <nil>
}

// A webhook's record goes the way of a page. It does not matter which comes first: the newest observation of each
// field wins.
func ExampleApply() {
	ctx := context.Background()
	h, cfg := newHotel()
	news := room("1", "Closed for repair", time.Date(2025, 11, 25, 8, 0, 0, 0, time.UTC))
	res, err := importer.Apply(ctx, cfg, news.UpdatedAt.Add(time.Second), &news)
	fmt.Println(res.Counts().Added, err)
	res, err = importer.Run(ctx, cfg) // the listing comes from a replica that lags
	fmt.Println(res.Counts().Stale, "stale of", len(h.rooms), err)
	// Output:
	// 1 <nil>
	// 1 stale of 2 <nil>
}

func ExampleEstimate() {
	_, cfg := newHotel()
	e, err := importer.Estimate(context.Background(), cfg)
	fmt.Println(e.Calls, "call for", e.Kinds[0].Items, "rooms", err)
	// Output: 1 call for 2 rooms <nil>
}
