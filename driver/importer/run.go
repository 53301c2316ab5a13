package importer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// Run imports the kinds one after the other. An unfinished pass of the same mode is continued, and where a run of the
// same mode and kinds was stopped before its last kind was done, the kinds that it had finished recently are not done
// again (see [KindResult.DoneBefore]). When it stops early, the error (which wraps the driver's, usually a *retry.Error
// with the time to come back) comes with the result so far; what was committed is kept, and the next Run goes on from
// there. When ctx ends, the error wraps
// context.Cause(ctx). A configuration that is wrong is an error that names everything that is wrong with it.
//
// Of two runs of the same mode over the same collection, the one that started last goes on; the other stops with
// [ErrSuperseded].
func Run(ctx context.Context, cfg Config) (Result, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return Result{}, err
	}
	r := newRun(cfg)
	if r.result.Kinds, err = r.interrupted(ctx); err != nil {
		r.result.Kinds = []KindResult{{Kind: cfg.Kinds[0], Why: stopped}}
		err = fmt.Errorf("importer: integration %s: %w", cfg.Integration.ID, err)
	}
	for i := len(r.result.Kinds); i < len(cfg.Kinds) && err == nil; i++ {
		kind := cfg.Kinds[i]
		k := &kindRun{run: r, c: Collection{cfg.Integration.ID, kind}, total: -1}
		k.result.Kind = kind
		began := time.Now()
		err = k.do(ctx)
		k.result.Duration = time.Since(began)
		r.result.Kinds = append(r.result.Kinds, k.result)
		if err != nil {
			err = fmt.Errorf("importer: integration %s: %s: %w", cfg.Integration.ID, kind, err)
		}
	}
	r.sample()
	r.result.Duration = time.Since(r.began)
	return r.result, err
}

// run is what the kinds of one Run have in common.
type run struct {
	Config
	began  time.Time
	calls  int64
	chain  string // the run that this one goes on with, or itself
	result Result
}

func newRun(cfg Config) *run {
	r := &run{Config: cfg, began: time.Now()}
	r.result = Result{Run: rand.Text(), Integration: cfg.Integration.ID, Mode: cfg.Mode}
	if r.Calls != nil {
		r.calls = r.Calls()
	}
	return r
}

// sample brings the result's measurements up to date and returns the heap's size now.
func (r *run) sample() uint64 {
	if r.Calls != nil {
		r.result.Calls = r.Calls() - r.calls
	}
	live := heapLive()
	r.result.PeakHeap = max(r.result.PeakHeap, live)
	return live
}

// changed logs changes and tells the host, within the transaction.
func (r *run) changed(ctx context.Context, tx Tx, c Collection, changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	events := make([]Event, len(changes))
	for i := range changes {
		events[i] = changes[i].Event
	}
	if err := tx.AppendEvents(ctx, events); err != nil {
		return err
	}
	if r.OnChanges != nil {
		if err := r.OnChanges(ctx, ChangeSet{Collection: c, Run: r.result.Run, Changes: changes}); err != nil {
			return err
		}
	}
	return r.adopt(ctx, tx, c, changes)
}

// kindRun is the work on one kind.
type kindRun struct {
	*run
	c      Collection
	pass   Pass // as committed last
	total  int
	result KindResult
}

func (k *kindRun) do(ctx context.Context) error {
	if err := k.claim(ctx, false); err != nil {
		return err
	}
	if !k.pass.Sweeping {
		var err error
		switch k.c.Kind {
		case driver.KindResource:
			err = list(ctx, k, k.Driver.(driver.ResourceLister).Resources)
		case driver.KindTransaction:
			err = list(ctx, k, k.Driver.(driver.TransactionLister).Transactions)
		case driver.KindMedia:
			err = k.media(ctx)
		}
		if err != nil || !k.pass.Sweeping {
			k.why(err)
			return err
		}
	}
	if k.c.Kind != driver.KindMedia {
		if err := k.sweep(ctx); err != nil {
			k.why(err)
			return err
		}
	}
	return k.finish(ctx)
}

// why notes that the pass is not done.
func (k *kindRun) why(err error) {
	k.result.Why = "the stream ended before its last page"
	if err != nil {
		k.result.Why = stopped
	}
}

// stopped is why a pass is not done.
const stopped = "stopped by an error"

// claim takes over the unfinished pass of the mode, or begins a new one; afresh begins a new one in any case.
func (k *kindRun) claim(ctx context.Context, afresh bool) error {
	var pass Pass
	var resumed bool
	err := k.Store.Update(ctx, func(ctx context.Context, tx Tx) error {
		cp, err := tx.Checkpoint(ctx, k.c)
		if err != nil {
			return err
		}
		slot := cp.slot(k.Mode)
		resumed = *slot != nil && !afresh
		if afresh && (*slot == nil || (*slot).Run != k.run.result.Run) {
			return ErrSuperseded
		}
		if resumed {
			pass = **slot
			pass.Run = k.run.result.Run
		} else if pass, err = k.begin(ctx, tx, &cp); err != nil {
			return err
		}
		*slot = &pass
		k.result.Watermark = cp.Watermark
		return tx.PutCheckpoint(ctx, cp)
	})
	if err != nil {
		return err
	}
	k.pass = pass
	k.result.Resumed = k.result.Resumed || resumed
	k.result.Whole = pass.Whole
	k.result.Pass = pass.Counts
	return nil
}

// begin makes a new pass.
func (k *kindRun) begin(ctx context.Context, tx Tx, cp *Checkpoint) (Pass, error) {
	p := Pass{Run: k.run.result.Run, Mode: k.Mode, Started: wall(time.Now()), Since: k.since(cp)}
	if p.Whole = p.Since.IsZero(); p.Whole {
		cp.Generation++
		p.Generation = cp.Generation
	}
	live, err := tx.Count(ctx, k.c, Filter{Live: true})
	p.Live = live
	return p, err
}

// slot returns where the unfinished pass of the mode is kept.
func (cp *Checkpoint) slot(m Mode) **Pass {
	if m == Incremental {
		return &cp.Incremental
	}
	return &cp.Full
}

// commit runs f in a transaction with the pass, and stores the pass as f left it. It fails when another run took
// over. f returns what it did; only what is committed is counted.
func (k *kindRun) commit(
	ctx context.Context, f func(ctx context.Context, tx Tx, cp *Checkpoint, p *Pass) (Counts, []Change, error),
) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var done Counts
	var pass Pass
	err := k.Store.Update(ctx, func(ctx context.Context, tx Tx) error {
		cp, err := tx.Checkpoint(ctx, k.c)
		if err != nil {
			return err
		}
		slot := cp.slot(k.Mode)
		if *slot == nil || (*slot).Run != k.run.result.Run {
			return ErrSuperseded
		}
		pass = **slot
		var changes []Change
		if done, changes, err = f(ctx, tx, &cp, &pass); err != nil {
			return err
		}
		pass.Counts.add(done)
		if *slot != nil {
			*slot = &pass
		}
		if err := tx.PutCheckpoint(ctx, cp); err != nil {
			return err
		}
		return k.changed(ctx, tx, k.c, changes)
	})
	if err != nil {
		return err
	}
	k.pass = pass
	k.result.Counts.add(done)
	k.result.Pass = pass.Counts
	live := k.sample()
	if k.OnProgress != nil {
		k.OnProgress(Progress{
			Kind: k.c.Kind, Counts: k.result.Counts, Total: k.total, Sweeping: k.pass.Sweeping,
			Calls: k.run.result.Calls, HeapLive: live,
		})
	}
	return nil
}

// finish ends the pass.
func (k *kindRun) finish(ctx context.Context) error {
	complete := k.pass.Incomplete == ""
	var watermark time.Time
	err := k.commit(ctx, func(ctx context.Context, tx Tx, cp *Checkpoint, p *Pass) (Counts, []Change, error) {
		if complete {
			w := p.Newest
			if p.Undated || w.After(p.Started) {
				w = p.Started
			}
			if k.c.Kind == driver.KindMedia {
				w = p.Started
			}
			if w.After(cp.Watermark) {
				cp.Watermark = w
			}
		}
		watermark = cp.Watermark
		*cp.slot(k.Mode) = nil
		return Counts{}, nil, k.finished(ctx, tx, cp, p)
	})
	if err != nil {
		k.why(err)
		return err
	}
	k.result.Complete, k.result.Why, k.result.Watermark = complete, k.pass.Incomplete, watermark
	return nil
}

// list imports the pages of a listing, up to the end of which the pass is Sweeping.
func list[T any](ctx context.Context, k *kindRun, open func(context.Context, driver.Query) pagination.Pages[T]) error {
	for {
		again, err := listOnce(ctx, k, open)
		if err != nil || !again {
			return err
		}
		k.result.Restarted = true
		if err := k.claim(ctx, true); err != nil {
			return err
		}
	}
}

// listOnce reports whether the listing must begin again, because its cursor is not accepted.
func listOnce[T any](
	ctx context.Context, k *kindRun, open func(context.Context, driver.Query) pagination.Pages[T],
) (again bool, err error) {
	q := driver.Query{Cursor: k.pass.Cursor, UpdatedSince: k.pass.Since}
	for page, err := range guarded(func() pagination.Pages[T] { return fetchAhead(ctx, q, open) }) {
		if err != nil {
			if errors.Is(err, pagination.ErrCursor) && !k.pass.Cursor.IsZero() && !k.result.Restarted {
				return true, nil
			}
			if page.Next == pagination.Beginning && !k.pass.Cursor.IsZero() {
				err = errors.Join(err, k.forget(ctx))
			}
			return false, err
		}
		if page.Total >= 0 {
			k.total = page.Total
		}
		b := &batch{}
		for i := range page.Items {
			k.prepare(ctx, b, k.c, any(&page.Items[i]), page.Sent)
		}
		b.reject(k.c, page.Rejected, page.Sent)
		err := k.commit(ctx, func(ctx context.Context, tx Tx, _ *Checkpoint, p *Pass) (Counts, []Change, error) {
			done, changes, err := write(ctx, tx, k.c, b, p.Generation, k.run.result.Run, wall(time.Now()))
			done.Pages = 1
			p.Cursor = page.Next
			p.Sweeping = page.Last()
			p.Nameless += b.nameless
			p.Undated = p.Undated || b.undated
			if b.newest.After(p.Newest) {
				p.Newest = b.newest
			}
			if p.Incomplete == "" {
				p.Incomplete = page.Incomplete
			}
			return done, changes, err
		})
		if err != nil {
			return false, err
		}
		if page.Last() {
			return false, nil
		}
	}
	return false, context.Cause(ctx)
}

// fetchAhead lists with the next page being fetched while one is imported, and with Sent set on every page.
func fetchAhead[T any](
	ctx context.Context, q driver.Query, open func(context.Context, driver.Query) pagination.Pages[T],
) pagination.Pages[T] {
	return pagination.Prefetch(ctx, 1, func(ctx context.Context) pagination.Pages[T] {
		return func(yield func(pagination.Page[T], error) bool) {
			asked := time.Now()
			for page, err := range open(ctx, q) {
				page.Sent = sentAt(page.Sent, asked)
				if !yield(page, err) {
					return
				}
				asked = time.Now()
			}
		}
	})
}

// sentAt returns when a page was asked for: what the stream says, unless it says nothing or names a time to come,
// which would win over everything that comes before it.
func sentAt(said, asked time.Time) time.Time {
	if said.IsZero() || said.After(time.Now()) {
		return asked
	}
	return said
}

// forget drops the pass, of which the stream says that it cannot go on from where it is: the next run begins a new one.
func (k *kindRun) forget(ctx context.Context) error {
	return k.commit(ctx, func(_ context.Context, _ Tx, cp *Checkpoint, _ *Pass) (Counts, []Change, error) {
		*cp.slot(k.Mode) = nil
		return Counts{}, nil, nil
	})
}

// guarded is the stream that open returns, with a panic of the driver's turned into an error: it may be about one
// item, and ends neither the process nor the other integrations' imports. The panics of the loop's body pass.
func guarded[T any](open func() pagination.Pages[T]) pagination.Pages[T] {
	return func(yield func(pagination.Page[T], error) bool) {
		inside, left := false, false
		err := func() (err error) {
			defer func() {
				if inside {
					return
				}
				if p := recover(); p != nil {
					err = driverPanic(p)
				}
			}()
			for page, err := range open() {
				inside = true
				more := yield(page, err)
				inside = false
				if !more || err != nil {
					left = true
					return nil
				}
			}
			return nil
		}()
		if err != nil && !left {
			yield(pagination.Page[T]{Total: -1}, err)
		}
	}
}

// driverPanic is the error for a panic in the driver. A runtime error's text holds no data; what else was panicked
// with might.
func driverPanic(p any) error {
	err := fmt.Errorf("panic in the driver: %T", p)
	if re, ok := p.(runtime.Error); ok {
		err = fmt.Errorf("panic in the driver: %w", re)
	}
	return &retry.Error{Verdict: retry.Verdict{Class: retry.Data, Fault: true}, Err: err}
}
