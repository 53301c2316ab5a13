package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	gosync "sync"
	"time"

	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/retry"
)

// sync imports from all partners, side by side, and shows it. It returns the exit code, and what went wrong. What goes wrong with one
// partner is no other's business.
func sync(ctx context.Context, o options, env func(string) string, out io.Writer) (code int, err error) {
	h, err := open(o, env)
	if err != nil {
		return exitUsage, err
	}
	store, err := sqlstore.Open(ctx, o.db, sqlstore.Options{Keys: h.keys})
	if err != nil {
		return exitFailed, err
	}
	defer func() { code, err = closing(code, err, store.Close()) }()
	if err := h.remember(); err != nil {
		return exitFailed, err
	}

	m := newMetrics()
	reg := driver.NewRegistry(driver.Options{
		Integrations: directory(h.partners),
		Tokens:       store, // sealed; a token outlives the process
		Limits:       store, // so does what was spent
		Tiers:        h.tiers,
		Transport:    h.transport,
		Telemetry:    driver.Telemetry{Meter: m.provider},
	})
	for _, p := range h.partners {
		if err := p.register(reg); err != nil {
			return exitFailed, err
		}
	}
	// The last thing that is saved is what the limiters spent, also when the run was stopped.
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		code, err = closing(code, err, reg.Close(end))
	}()

	mode := importer.Full
	if o.incremental {
		mode = importer.Incremental
	}
	fmt.Fprintf(out, "%s, %s import into %s%s\n", title(h, o), mode, o.db, speed(o))
	began := time.Now()
	show := newProgress(out, o.plain, h.partners)
	runs := make([]*task, len(h.partners))
	var wg gosync.WaitGroup
	for i, p := range h.partners {
		r := &task{p: p, m: m, show: show, scale: o.scale}
		runs[i] = r
		wg.Go(func() { r.do(ctx, reg, store, mode) })
	}
	wg.Wait()
	show.done()
	if err := report(context.WithoutCancel(ctx), out, o, runs, time.Since(began)); err != nil {
		return exitFailed, err
	}
	return ended(ctx, out, runs)
}

// task is the import from one partner.
type task struct {
	p     *partner
	m     *metrics
	show  progress
	scale float64

	d      driver.Driver
	plan   importer.Estimated
	result importer.Result
	took   time.Duration
	err    error
}

// do estimates and imports.
func (r *task) do(ctx context.Context, reg *driver.Registry, store *sqlstore.Store, mode importer.Mode) {
	began := time.Now()
	r.err = func() (err error) {
		if r.d, err = reg.Open(ctx, r.p.integration.ID); err != nil {
			return err
		}
		cfg := importer.Config{
			Driver: r.d, Integration: r.p.integration, Store: store, Mode: mode,
			OnProgress: func(p importer.Progress) { r.show.update(r.p.name, p) },
			Calls: func() int64 {
				c, err := r.m.of(context.WithoutCancel(ctx), r.p.name) // also at the end of a run that was stopped
				if err != nil {
					return 0 // only a reader that was shut down says no
				}
				return c.requests
			},
		}
		if r.plan, err = importer.Estimate(ctx, cfg); err != nil {
			return err
		}
		if r.plan.Tier != "" { // the driver declares the partner's limits by the partner's clock
			r.plan.Duration = time.Duration(float64(r.plan.Duration) / r.scale)
		}
		r.show.say(r.p.name, "estimate: "+describe(r.plan))
		if r.result, err = importer.Run(ctx, cfg); err != nil {
			return err
		}
		return r.queue(ctx, store)
	}()
	r.took = time.Since(began)
	r.show.end(r.p.name, r.err)
}

// queue reads what a partner keeps in a queue, if it does: to its end, which a service would do all the time.
func (r *task) queue(ctx context.Context, store *sqlstore.Store) error {
	q, ok := r.d.(driver.QueueSource)
	if !ok {
		return nil
	}
	changed := 0
	cfg := importer.QueueConfig{
		Driver: r.d, Store: store,
		Route: func(context.Context, string) (driver.Integration, error) { return r.p.integration, nil },
		Poll:  time.Duration(float64(q.Queue().Poll) / r.scale),
		OnChanges: func(_ context.Context, c importer.ChangeSet) error {
			changed += len(c.Changes)
			r.show.update(r.p.name, importer.Progress{Kind: c.Kind, Counts: importer.Counts{Items: changed}, Total: -1})
			return nil
		},
	}
	got, err := importer.ReadQueue(ctx, cfg)
	// It was read a moment ago, by the run before. A worker would go home; a person waits for less than the poll.
	if wait := time.Until(retry.At(err)); errors.Is(err, importer.ErrQueueBusy) && wait <= cfg.Poll {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		got, err = importer.ReadQueue(ctx, cfg)
	}
	counts := got.Counts()
	r.result.Kinds = append(r.result.Kinds, importer.KindResult{
		Kind: driver.KindTransaction, Counts: counts, Pass: counts, Complete: err == nil, Duration: got.Duration, Why: "the queue was not read to its end",
	})
	return err
}

// complete reports whether everything was imported.
func (r *task) complete() bool {
	all, _ := r.result.Complete()
	return r.err == nil && all
}

// closing adds the error of closing something to how the program ended.
func closing(code int, err, closed error) (int, error) {
	if closed == nil {
		return code, err
	}
	if code == exitDone {
		code = exitFailed
	}
	return code, errors.Join(err, closed)
}

// ended tells how a run that was not finished goes on.
func ended(ctx context.Context, out io.Writer, runs []*task) (int, error) {
	if ctx.Err() != nil {
		fmt.Fprintln(out, "stopped. What was imported is kept; the same command goes on from there.")
		return exitStopped, nil //nolint:nilerr // it was asked for
	}
	code := exitDone
	var errs []error
	for _, r := range runs {
		if !r.complete() {
			code = exitFailed // the table says why, or the error
		}
		if r.err == nil {
			continue
		}
		errs = append(errs, fmt.Errorf("%s: %w", r.p.name, r.err))
		if at := retry.At(r.err); !at.IsZero() {
			fmt.Fprintf(out, "%s is worth trying again at %s; the same command goes on from here.\n", r.p.name, at.Local().Format(time.RFC3339))
		}
	}
	return code, errors.Join(errs...)
}

// title says whom is imported from.
func title(h *host, o options) string {
	var all []string
	for _, p := range h.partners {
		all = append(all, p.name)
	}
	s := strings.Join(all, ", ")
	if o.live == "" {
		return "simulated accounts at " + s
	}
	return s
}

func speed(o options) string {
	if o.live != "" {
		return ""
	}
	return fmt.Sprintf("; the partners' time runs %g times as fast", o.scale)
}

func describe(e importer.Estimated) string {
	least := "about"
	if len(e.Unknown) > 0 {
		least = "at least"
	}
	s := fmt.Sprintf("%s %d calls, %v", least, e.Calls, e.Duration.Round(100*time.Millisecond))
	if e.Tier != "" {
		s += " (limit: " + e.Tier + ")"
	}
	for _, kind := range e.Unknown {
		s += fmt.Sprintf("; the partner does not count its %s records", kind)
	}
	return s
}

// megabytes is for people.
func megabytes(n uint64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }
