package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/retry"
)

// sync imports everything and shows it. It returns the exit code, and the error if the import could not be finished.
func sync(ctx context.Context, o options, env func(string) string, out io.Writer) (code int, err error) {
	p, err := open(o, env)
	if err != nil {
		return exitUsage, err
	}
	store, err := sqlstore.Open(ctx, o.db, sqlstore.Options{Keys: p.keys})
	if err != nil {
		return exitFailed, err
	}
	defer func() { code, err = closing(code, err, store.Close()) }()
	if err := p.remember(); err != nil {
		return exitFailed, err
	}

	m := newMetrics()
	reg := driver.NewRegistry(driver.Options{
		Integrations: directory{p.integration},
		Tokens:       store, // sealed; a token outlives the process
		Limits:       store, // so does what was spent
		Tiers:        p.tiers,
		Transport:    p.transport,
		Telemetry:    driver.Telemetry{Meter: m.provider},
	})
	if err := guesty.Register(reg); err != nil {
		return exitFailed, err
	}
	// The last thing that is saved is what the limiters spent, also when the run was stopped.
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		code, err = closing(code, err, reg.Close(end))
	}()
	d, err := reg.Open(ctx, p.integration.ID)
	if err != nil {
		return exitFailed, err
	}

	cfg := importer.Config{
		Driver: d, Integration: p.integration, Store: store,
		Calls: func() int64 {
			c, err := m.counts(context.WithoutCancel(ctx)) // also at the end of a run that was stopped
			if err != nil {
				return 0 // only a reader that was shut down says no
			}
			return c.requests
		},
	}
	if o.incremental {
		cfg.Mode = importer.Incremental
	}
	fmt.Fprintf(out, "%s (%s), %s import into %s%s\n", p.title, p.integration.ID, cfg.Mode, o.db, speed(o))
	began := time.Now()
	estimate, err := importer.Estimate(ctx, cfg)
	if err != nil {
		return stopped(ctx, out, err)
	}
	if estimate.Tier != "" { // the driver declares the partner's limits by the partner's clock
		estimate.Duration = time.Duration(float64(estimate.Duration) / o.scale)
	}
	fmt.Fprintln(out, "estimate:", describe(estimate))

	show := newProgress(out, o.plain)
	cfg.OnProgress = show.update
	result, runErr := importer.Run(ctx, cfg)
	show.done()

	total, err := m.counts(context.WithoutCancel(ctx))
	if err != nil {
		return exitFailed, err
	}
	r := report{p: p, d: d, o: o, result: result, total: total, took: time.Since(began), plan: estimate}
	r.print(out)
	if runErr != nil {
		return stopped(ctx, out, runErr)
	}
	if complete, _ := result.Complete(); !complete {
		return exitFailed, nil // the table says why
	}
	return exitDone, nil
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

// stopped tells how a run that was not finished goes on.
func stopped(ctx context.Context, out io.Writer, err error) (int, error) {
	if ctx.Err() != nil {
		fmt.Fprintln(out, "stopped. What was imported is kept; the same command goes on from there.")
		return exitStopped, nil //nolint:nilerr // it was asked for
	}
	if at := retry.At(err); !at.IsZero() {
		fmt.Fprintf(out, "the partner is worth trying again at %s; the same command goes on from here.\n", at.Local().Format(time.RFC3339))
	}
	return exitFailed, err
}

func speed(o options) string {
	if o.live != "" {
		return ""
	}
	return fmt.Sprintf("; the partner's time runs %g times as fast", o.scale)
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
