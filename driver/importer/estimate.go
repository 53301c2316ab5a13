package importer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// Estimated is what a run is expected to cost.
type Estimated struct {
	Kinds []KindEstimate
	// Calls and Duration add up the kinds whose calls are known: they are lower bounds when Unknown names any.
	// Duration is the longer of what the declared limits and the measured answers allow, when nobody else spends the
	// quota.
	Calls    int
	Duration time.Duration
	// Unknown names the kinds whose calls are not known, in their order; nil when all are.
	Unknown []driver.Kind
	// Tier names the limit that takes longest, "" when the answers do.
	Tier string
}

// KindEstimate is what one kind is expected to cost.
type KindEstimate struct {
	Kind driver.Kind
	// Items is the partner's count, of media that of the resources; PageSize how many came with the first page. -1:
	// unknown.
	Items, PageSize int
	// Calls includes the one that the estimate made. -1: unknown.
	Calls int
	// Guessed says that the partner does not say how many there are, and that Items is how many were there when they
	// were last listed whole: what is live in the store.
	Guessed bool
}

// Estimate asks for the first page of each kind, at most one call for each, and works out what [Run] would cost. It
// stores nothing.
func Estimate(ctx context.Context, cfg Config) (Estimated, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return Estimated{}, err
	}
	var e Estimated
	var latency time.Duration
	var resources *KindEstimate // when the run lists them all
	for _, kind := range cfg.Kinds {
		k := &kindRun{run: newRun(cfg), c: Collection{cfg.Integration.ID, kind}}
		q, stored, err := k.query(ctx)
		if err != nil {
			return e, fmt.Errorf("importer: integration %s: %s: %w", cfg.Integration.ID, kind, err)
		}
		whole := q.UpdatedSince.IsZero()
		began := time.Now()
		ke := KindEstimate{Kind: kind, Items: -1, PageSize: -1, Calls: -1}
		switch kind {
		case driver.KindResource:
			err = first(func() pagination.Pages[driver.Resource] {
				return cfg.Driver.(driver.ResourceLister).Resources(ctx, q)
			}, &ke)
		case driver.KindTransaction:
			err = first(func() pagination.Pages[driver.Transaction] {
				return cfg.Driver.(driver.TransactionLister).Transactions(ctx, q)
			}, &ke)
		case driver.KindMedia:
			if whole && resources != nil {
				ke.Items, ke.Guessed = resources.Items, resources.Guessed
			} else {
				c := Collection{cfg.Integration.ID, driver.KindResource}
				ke.Items, err = cfg.Store.Count(ctx, c, Filter{Live: true, ChangedSince: q.UpdatedSince})
			}
			ke.Calls = ke.Items
		}
		if err != nil {
			return e, fmt.Errorf("importer: integration %s: %s: %w", cfg.Integration.ID, kind, err)
		}
		took := time.Since(began)
		if whole && ke.Items < 0 && stored > 0 && ke.PageSize > 0 {
			// More than the first page there is, as another follows.
			ke.Items, ke.Guessed = max(stored, ke.PageSize+1), true
			ke.Calls = ke.pages()
		}
		if whole && kind == driver.KindResource {
			resources = &ke
		}
		e.Kinds = append(e.Kinds, ke)
		if ke.Calls < 0 {
			e.Unknown = append(e.Unknown, kind)
			continue
		}
		e.Calls += ke.Calls
		if kind != driver.KindMedia {
			latency = max(latency, took)
			e.Duration += time.Duration(ke.Calls) * latency
		} else {
			e.Duration += time.Duration((ke.Calls+cfg.Parallel-1)/cfg.Parallel) * latency
		}
	}
	for _, l := range cfg.Driver.Info().Limits {
		if l.Name == driver.TokenLimit {
			continue // tokens outlive many calls
		}
		if d, tier := atLimit(l.Tiers, int64(e.Calls)); d > e.Duration {
			e.Duration, e.Tier = d, l.Name+" "+tier
		}
	}
	return e, nil
}

// pages returns how many pages of the first one's size the items fill.
func (ke *KindEstimate) pages() int { return (ke.Items + ke.PageSize - 1) / ke.PageSize }

// query returns what a new pass would ask for, and how many records are live when they have been listed whole before.
func (k *kindRun) query(ctx context.Context) (q driver.Query, live int, err error) {
	err = k.Store.Update(ctx, func(ctx context.Context, tx Tx) error {
		cp, err := tx.Checkpoint(ctx, k.c)
		if err != nil {
			return err
		}
		q.UpdatedSince = k.since(&cp)
		if live = 0; !cp.Watermark.IsZero() {
			live, err = tx.Count(ctx, k.c, Filter{Live: true})
		}
		return err
	})
	return q, live, err
}

// since returns from when on a new pass asks for changes; zero: everything.
func (k *kindRun) since(cp *Checkpoint) time.Time {
	filters := k.c.Kind == driver.KindMedia || slices.Contains(k.Driver.Info().Incremental, k.c.Kind)
	if k.Mode != Incremental || !filters || cp.Watermark.IsZero() {
		return time.Time{}
	}
	if k.c.Kind == driver.KindMedia {
		return cp.Watermark // since when our own store changed, which commits nothing late
	}
	return cp.Watermark.Add(-k.Lookback)
}

// first looks at the first page of a stream.
func first[T any](open func() pagination.Pages[T], ke *KindEstimate) error {
	for page, err := range guarded(open) {
		if err != nil {
			return err
		}
		ke.PageSize = len(page.Items) + len(page.Rejected)
		ke.Items = page.Total
		switch {
		case page.Last():
			ke.Items, ke.Calls = ke.PageSize, 1
		case page.Total >= 0 && ke.PageSize > 0:
			ke.Calls = ke.pages()
		}
		return nil
	}
	return nil
}

// atLimit returns how long calls take at full use of the tiers, and which of them is the slowest.
func atLimit(tiers ratelimit.Tiers, calls int64) (longest time.Duration, name string) {
	for _, t := range tiers {
		if t.Requests <= 0 || t.Per <= 0 || calls <= 0 {
			continue
		}
		windows := (calls - 1) / t.Requests
		if d := time.Duration(min(windows, int64(1<<62)/int64(t.Per))) * t.Per; d > longest {
			longest, name = d, t.Name
			if name == "" {
				name = fmt.Sprintf("%d/%v", t.Requests, t.Per)
			}
		}
	}
	return longest, name
}
