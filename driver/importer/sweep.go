package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

// unseen selects the records that the pass did not show and that nobody saw since it began.
func (p *Pass) unseen() Filter {
	return Filter{Live: true, Unseen: p.Generation, FetchedBefore: p.Started}
}

// sweep marks records that a whole and complete listing did not show as deleted, batch by batch.
func (k *kindRun) sweep(ctx context.Context) error {
	if !k.pass.Whole || slices.Contains(k.Driver.Info().Windowed, k.c.Kind) {
		return nil
	}
	n, err := k.Store.Count(ctx, k.c, k.pass.unseen())
	if err != nil {
		return err
	}
	confirm := k.confirmer()
	// What the partner does not know by its id is gone, whatever the listing showed. A few can be asked for.
	few := confirm != nil && n <= maxUnlisted
	switch done := k.pass.Counts.Deleted; {
	case n == 0:
		return nil
	case k.pass.Incomplete != "" && !few:
		k.result.Kept = fmt.Sprintf("%d records were not seen, but the listing is incomplete", n)
		return nil
	case k.pass.Nameless > 0 && !few:
		k.result.Kept = fmt.Sprintf("%d records were not seen, but %d rejected ones have no id", n, k.pass.Nameless)
		return nil
	case !k.mayDelete(n+done, k.pass.Live, k.pass.Counts.Items):
		k.result.Kept = fmt.Sprintf("%d of %d records were not seen: more than MaxDeleteFraction allows to delete at once",
			n, k.pass.Live)
		return nil
	}
	size := sweepBatch
	if confirm != nil || k.c.Kind == driver.KindResource { // whose media go with them
		size = confirmBatch
	}
	for calls := 0; ; calls++ {
		f := k.pass.unseen()
		f.After, f.Limit = k.pass.After, size
		candidates, err := k.Store.List(ctx, k.c, f)
		if err != nil || len(candidates) == 0 {
			return err
		}
		if confirm != nil && calls == maxConfirmations {
			k.result.Kept = "more records than can be read back at once: the rest is left to the next pass"
			return nil
		}
		ids := make([]string, len(candidates))
		for i := range candidates {
			ids[i] = candidates[i].ID
		}
		b := &batch{}
		if confirm != nil {
			if b, err = confirm(ctx, ids); err != nil {
				return err
			}
		}
		if err := k.sweepBatch(ctx, ids, b); err != nil {
			return err
		}
	}
}

// sweepBatch writes what was read back and deletes the rest of ids.
func (k *kindRun) sweepBatch(ctx context.Context, ids []string, b *batch) error {
	if b.nameless > 0 {
		k.result.Kept = "some records could not be understood when they were read back"
	}
	drifted := 0
	err := k.commit(ctx, func(ctx context.Context, tx Tx, _ *Checkpoint, p *Pass) (Counts, []Change, error) {
		now := wall(time.Now())
		done, changes, err := write(ctx, tx, k.c, b, p.Generation, k.run.result.Run, now)
		p.After = ids[len(ids)-1]
		drifted = b.items
		if err != nil || b.nameless > 0 {
			return done, changes, err
		}
		known, err := tx.Records(ctx, k.c, ids)
		if err != nil {
			return done, changes, err
		}
		f := p.unseen()
		var gone []Stored
		for i := range known {
			if f.Matches(&known[i]) && !known[i].Erased {
				known[i].DeletedAt = p.Started
				gone = append(gone, known[i])
			}
		}
		removed, more, err := remove(ctx, tx, k.c, gone, k.run.result.Run, now)
		if err != nil {
			return done, changes, err
		}
		done.add(removed)
		if k.c.Kind == driver.KindResource && len(gone) > 0 {
			if err := k.orphans(ctx, tx, gone, now); err != nil {
				return done, changes, err
			}
		}
		return done, append(changes, more...), nil
	})
	if err == nil {
		k.result.Drifted += drifted
	}
	return err
}

// orphans deletes the media of deleted resources, in the same transaction. They are logged, and not counted with
// the resources.
func (k *kindRun) orphans(ctx context.Context, tx Tx, resources []Stored, now time.Time) error {
	c := Collection{k.c.Integration, driver.KindMedia}
	parents := make([]string, len(resources))
	for i := range resources {
		parents[i] = resources[i].ID
	}
	media, err := tx.List(ctx, c, Filter{Live: true, Parents: parents})
	if err != nil {
		return err
	}
	for i := range media {
		media[i].DeletedAt = resources[0].DeletedAt // they have it in common
	}
	_, changes, err := remove(ctx, tx, c, media, k.run.result.Run, now)
	if err != nil {
		return err
	}
	return k.changed(ctx, tx, c, changes)
}

// confirmer returns what reads records back by id; nil when the driver cannot.
func (k *kindRun) confirmer() func(ctx context.Context, ids []string) (*batch, error) {
	switch k.c.Kind {
	case driver.KindResource:
		if g, ok := k.Driver.(driver.ResourceGetter); ok {
			return func(ctx context.Context, ids []string) (*batch, error) {
				return readBack(ctx, k, func() pagination.Pages[driver.Resource] { return g.ResourcesByID(ctx, ids) })
			}
		}
	case driver.KindTransaction:
		if g, ok := k.Driver.(driver.TransactionGetter); ok {
			return func(ctx context.Context, ids []string) (*batch, error) {
				return readBack(ctx, k, func() pagination.Pages[driver.Transaction] { return g.TransactionsByID(ctx, ids) })
			}
		}
	}
	return nil
}

func readBack[T any](ctx context.Context, k *kindRun, open func() pagination.Pages[T]) (*batch, error) {
	b := &batch{}
	last := false
	asked := time.Now()
	for page, err := range guarded(open) {
		if err != nil {
			return nil, err
		}
		page.Sent = sentAt(page.Sent, asked)
		for i := range page.Items {
			k.prepare(ctx, b, k.c, any(&page.Items[i]), page.Sent)
		}
		b.reject(k.c, page.Rejected, page.Sent)
		if page.Incomplete != "" {
			return nil, fmt.Errorf("reading back what the listing did not show: %s", page.Incomplete)
		}
		last = page.Last()
		asked = time.Now()
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if !last {
		return nil, errors.New("reading back what the listing did not show: the stream ended before its last page")
	}
	return b, nil
}
