package importer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// Apply stores records that were brought by other means than a listing: by a webhook, or read by id. sent is when
// the request was sent, of a webhook when it was made. Each record is a *driver.Resource, *driver.Transaction or
// *driver.Media, which belongs to Apply from then on. They go the way of a page: Process, validation, comparison
// and one transaction per kind. Of several records that cannot be stored each is kept as a rejection, as
// [KindResult.Counts] says; an error means that what the result does not name is not stored, and that the same call
// may be made again. No watermark moves, for a record proves the freshness of itself only. Of cfg, Integration,
// Store, Process and OnChanges are used.
//
// A sent before 1970 or more than a day ahead is refused, for it would win over all that comes later: give the time
// of arrival instead.
func Apply(ctx context.Context, cfg Config, sent time.Time, records ...any) (Result, error) {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("importer: "+format, a...)) }
	if cfg.Integration.ID == "" || !storable(cfg.Integration.ID) {
		bad("Config.Integration has no ID that can be stored")
	}
	if cfg.Store == nil {
		bad("Config.Store is nil")
	}
	switch now := time.Now(); {
	case sent.IsZero():
		bad("Apply without the time at which the records were sent for")
	case sent.Unix() <= 0 || sent.After(now.Add(ahead)):
		bad("Apply of records that were sent for at a time before 1970 or more than a day ahead")
	}
	batches := map[driver.Kind]*batch{}
	for i, rec := range records {
		switch kind := kindOf(rec); {
		case kind == "":
			bad("record %d is a %T", i, rec)
		case recordOf(rec) == nil:
			bad("record %d is nil", i)
		default:
			batches[kind] = &batch{}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Result{}, err
	}
	r := newRun(cfg)
	for _, rec := range records {
		c := Collection{cfg.Integration.ID, kindOf(rec)}
		r.prepare(ctx, batches[c.Kind], c, rec, sent)
	}
	var err error
	for _, kind := range []driver.Kind{driver.KindResource, driver.KindTransaction, driver.KindMedia} {
		if batches[kind] == nil {
			continue
		}
		kr := KindResult{Kind: kind}
		if err = r.apply(ctx, Collection{cfg.Integration.ID, kind}, batches[kind], &kr); err != nil {
			err = fmt.Errorf("importer: integration %s: %s: %w", cfg.Integration.ID, kind, err)
			break
		}
		r.result.Kinds = append(r.result.Kinds, kr)
	}
	r.sample()
	r.result.Duration = time.Since(r.began)
	return r.result, err
}

// apply stores the records of one kind.
func (r *run) apply(ctx context.Context, c Collection, b *batch, kr *KindResult) error {
	began := time.Now()
	err := r.Store.Update(ctx, func(ctx context.Context, tx Tx) error {
		counts, changes, err := write(ctx, tx, c, b, 0, r.result.Run, wall(time.Now()))
		if err != nil {
			return err
		}
		kr.Counts = counts
		return r.changed(ctx, tx, c, changes)
	})
	kr.Pass, kr.Complete, kr.Duration = kr.Counts, true, time.Since(began)
	return err
}
