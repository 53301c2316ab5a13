package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// queueRun is one read of a queue.
type queueRun struct {
	QueueConfig
	source driver.QueueSource
	queue  driver.Queue
	holder string
	fence  int64
	began  time.Time
	expire *time.Timer // ends the context when the lease has run out
	state  QueueState  // as committed last
	result QueueResult

	suspected bool // a destructive read before this one was lost, and what it took is not recovered
	routes    map[string]routed
	failed    map[string]bool // integrations whose transaction failed
	problems  []error         // that concern a part
}

var errLease = fmt.Errorf("importer: the lease of the queue has run out: %w", ErrSuperseded)

func readQueue(ctx context.Context, cfg QueueConfig, holder string) (QueueResult, error) {
	r := &queueRun{QueueConfig: cfg, source: cfg.Driver.(driver.QueueSource), holder: holder, began: time.Now()}
	r.queue = r.source.Queue()
	r.result = QueueResult{Run: holder, Queue: r.queue.Name, Integrations: map[string]Counts{}}
	err := r.acquire(ctx)
	if err == nil {
		err = r.read(ctx)
	}
	r.result.Duration = time.Since(r.began)
	if err != nil {
		err = fmt.Errorf("importer: queue %s: %w", r.queue.Name, err)
	}
	return r.result, err
}

// acquire takes the lease.
func (r *queueRun) acquire(ctx context.Context) error {
	return r.update(ctx, func(ctx context.Context, tx QueueTx, s *QueueState) error {
		now := wall(time.Now())
		var at time.Time
		if !s.Polled.After(now) { // a time to come is another clock's
			at = s.Polled.Add(r.Poll)
		}
		if s.Holder != r.holder && s.Until.After(now) {
			at = s.Until
		}
		if at.After(now) {
			return &retry.Error{
				Verdict: retry.Verdict{Class: retry.Unavailable, Scope: retry.Endpoint, At: at, Sent: retry.Never},
				Partner: r.Driver.Info().Partner, Op: "queue", Err: ErrQueueBusy,
			}
		}
		if s.Holder != r.holder || s.Until.IsZero() {
			s.Holder = r.holder
			s.Fence++
		}
		s.Until = now.Add(r.Lease)
		r.fence = s.Fence
		return nil
	})
}

// update runs f in a transaction with the state of the queue, and stores the state as f left it.
func (r *queueRun) update(ctx context.Context, f func(ctx context.Context, tx QueueTx, s *QueueState) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var state QueueState
	err := r.Store.Update(ctx, func(ctx context.Context, tx Tx) error {
		q, ok := tx.(QueueTx)
		if !ok {
			return errNoQueueTx
		}
		var err error
		if state, err = q.QueueState(ctx, r.queue.Name); err != nil {
			return err
		}
		if err := f(ctx, q, &state); err != nil {
			return err
		}
		return q.PutQueueState(ctx, state)
	})
	if err == nil {
		r.state = state
	}
	return err
}

// commit is update for who holds the lease, which it extends.
func (r *queueRun) commit(ctx context.Context, f func(ctx context.Context, tx QueueTx, s *QueueState) error) error {
	err := r.update(ctx, func(ctx context.Context, tx QueueTx, s *QueueState) error {
		if s.Fence != r.fence || s.Holder != r.holder {
			return ErrSuperseded
		}
		s.Until = wall(time.Now()).Add(r.Lease)
		return f(ctx, tx, s)
	})
	if err == nil && r.expire != nil {
		r.expire.Reset(r.Lease)
	}
	return err
}

// releaseTime is how long giving back the lease may take.
const releaseTime = 5 * time.Second

func (r *queueRun) read(ctx context.Context) error {
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.expire = time.AfterFunc(r.Lease, func() { cancel(errLease) })
	err := r.drain(ctx)
	if err == nil {
		err = r.receive(ctx)
	}
	r.expire.Stop()
	r.expire = nil
	return errors.Join(append([]error{err, r.release(outer)}, r.problems...)...)
}

// release gives the lease back. What it cannot give back runs out.
func (r *queueRun) release(ctx context.Context) error {
	late := errors.New("importer: giving back the lease took too long")
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), releaseTime, late)
	defer cancel()
	err := r.commit(ctx, func(_ context.Context, _ QueueTx, s *QueueState) error {
		s.Until = time.Time{}
		return nil
	})
	if errors.Is(err, ErrSuperseded) {
		return nil
	}
	return err
}

// receive reads what the queue does not deliver, if it is time, and then the queue.
func (r *queueRun) receive(ctx context.Context) error {
	now := wall(time.Now())
	if rec, ok := r.source.(driver.QueueRecoverer); ok && r.lost(now) {
		missed := func() pagination.Pages[driver.Message] { return rec.Recover(ctx, r.state.Drained) }
		err := r.pages(ctx, missed, &r.result.Recovered)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			err = r.commit(ctx, func(_ context.Context, _ QueueTx, s *QueueState) error {
				s.Recovered, s.Suspect = now, false
				return nil
			})
		}
		if err != nil { // the queue is read all the same
			r.problems = append(r.problems, fmt.Errorf("recover: %w", err))
		}
	}
	if r.queue.Destructive {
		// Noted before the read, for whoever finds out later that its answer was lost.
		err := r.commit(ctx, func(_ context.Context, _ QueueTx, s *QueueState) error {
			r.suspected = s.Suspect
			s.Suspect = true
			return nil
		})
		if err != nil {
			return err
		}
	}
	began := wall(time.Now())
	receive := func() pagination.Pages[driver.Message] { return r.source.Receive(ctx) }
	err := r.pages(ctx, receive, nil)
	// Polled counts also when it failed: the partner wants to be left alone.
	return errors.Join(err, r.commit(context.WithoutCancel(ctx), func(_ context.Context, _ QueueTx, s *QueueState) error {
		s.Polled = wall(time.Now())
		if err == nil && !r.suspected {
			s.Drained, s.Suspect = began, false
		}
		return nil
	}))
}

// lost reports whether it is time to ask for what the queue does not deliver.
func (r *queueRun) lost(now time.Time) bool {
	s, q := r.state, r.queue
	switch {
	case s.Suspect:
		return true
	case q.Recover > 0 && !s.Recovered.Add(q.Recover).After(now):
		return true
	}
	return q.OutageAfter > 0 && !s.Drained.IsZero() && now.Sub(s.Drained) >= q.OutageAfter
}

// pages stores, acknowledges and imports page after page.
func (r *queueRun) pages(ctx context.Context, open func() pagination.Pages[driver.Message], count *int) error {
	asked := time.Now()
	for page, err := range guarded(open) {
		if err != nil {
			return err
		}
		r.result.Pages++
		r.result.Messages += len(page.Items) + len(page.Rejected)
		if count != nil {
			*count += len(page.Items) + len(page.Rejected)
		}
		if kept := r.keep(page, sentAt(page.Sent, asked)); len(kept) > 0 {
			err := r.commit(ctx, func(ctx context.Context, tx QueueTx, _ *QueueState) error {
				return tx.PutMessages(ctx, kept)
			})
			if err != nil {
				return err
			}
			r.report(ctx, kept)
		}
		if page.Receipt != nil {
			if err := r.source.Acknowledge(ctx, page.Receipt); err != nil {
				// They are kept, and will be received again.
				return errors.Join(fmt.Errorf("acknowledge: %w", err), r.drain(ctx))
			}
		}
		if err := r.drain(ctx); err != nil {
			return err
		}
		asked = time.Now()
	}
	return context.Cause(ctx)
}

// keep returns the messages of a page, as they are kept.
func (r *queueRun) keep(page pagination.Page[driver.Message], sent time.Time) []KeptMessage {
	kept := make([]KeptMessage, 0, len(page.Items)+len(page.Rejected))
	at := map[string]int{}
	add := func(m KeptMessage) {
		m.Queue = r.queue.Name
		if m.Received.IsZero() || m.Received.After(time.Now()) {
			m.Received = sent
		}
		m.Received = wall(m.Received)
		if !storable(m.ID) {
			m.ID = ""
		}
		if !storable(m.Account) {
			m.Account = ""
		}
		m.Key = messageKey(m.Message)
		if i, twice := at[m.Key]; twice {
			kept[i] = m
			return
		}
		at[m.Key] = len(kept)
		kept = append(kept, m)
	}
	for _, m := range page.Items {
		add(KeptMessage{Message: m, State: MessagePending})
	}
	for _, rej := range page.Rejected {
		err := rej.Err
		if err == nil {
			err = errors.New("could not be understood")
		}
		add(KeptMessage{Message: driver.Message{ID: rej.ID, Body: rej.Raw}, State: MessageDead, Reason: reason(err)})
	}
	return kept
}

// messageKey is a hash of all that makes a message.
func messageKey(m driver.Message) string {
	return hashOf(fmt.Appendf(nil, "%q %q %s", m.Account, m.ID, m.Body))
}

// report tells the host of the dead ones of messages.
func (r *queueRun) report(ctx context.Context, messages []KeptMessage) {
	for _, m := range messages {
		if m.State != MessageDead {
			continue
		}
		r.result.Dead++
		if r.OnDead != nil {
			r.OnDead(ctx, m)
		}
	}
}

// drain imports the messages that are pending. What fails for one integration is a problem of its own.
func (r *queueRun) drain(ctx context.Context) error {
	for after := int64(0); ; {
		waiting, err := r.Store.Messages(ctx, r.queue.Name, MessagePending, after, messageBatch)
		if err != nil || len(waiting) == 0 {
			return err
		}
		after = waiting[len(waiting)-1].Seq
		byIntegration := map[string][]KeptMessage{}
		routes := map[string]driver.Integration{}
		var lost []KeptMessage
		for _, m := range waiting {
			in, err := r.route(ctx, m.Account)
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case err == nil:
				routes[in.ID] = in
				byIntegration[in.ID] = append(byIntegration[in.ID], m)
			case errors.Is(err, driver.ErrNotFound):
				m.State, m.Reason = MessageDead, "no integration has its account"
				lost = append(lost, m)
			}
		}
		if len(lost) > 0 {
			err := r.commit(ctx, func(ctx context.Context, tx QueueTx, _ *QueueState) error {
				return tx.PutMessages(ctx, lost)
			})
			if err != nil {
				return err
			}
			r.report(ctx, lost)
		}
		for _, id := range slices.Sorted(maps.Keys(byIntegration)) {
			if err := r.process(ctx, routes[id], byIntegration[id]); err != nil {
				return err
			}
		}
	}
}

// routed is what Route said of an account.
type routed struct {
	in  driver.Integration
	err error
}

// route asks for the integration of an account, once in a read.
func (r *queueRun) route(ctx context.Context, account string) (driver.Integration, error) {
	if account == "" {
		return driver.Integration{}, driver.ErrNotFound
	}
	if known, ok := r.routes[account]; ok {
		return known.in, known.err
	}
	in, err := r.Route(ctx, account)
	if err == nil && (in.ID == "" || !storable(in.ID)) {
		err = errors.New("it has no ID that can be stored")
	}
	if r.routes == nil {
		r.routes = map[string]routed{}
	}
	if ctx.Err() == nil {
		r.routes[account] = routed{in, err}
		if err != nil && !errors.Is(err, driver.ErrNotFound) {
			r.problems = append(r.problems, fmt.Errorf("route: %w", err))
		}
	}
	return in, err
}

// process imports messages of one integration. Those of which nothing more is to be done are not kept.
func (r *queueRun) process(ctx context.Context, in driver.Integration, messages []KeptMessage) error {
	if r.failed[in.ID] { // in this read; what is behind it waits, too
		return nil
	}
	c := Collection{in.ID, driver.KindTransaction}
	run := newRun(Config{Integration: in, Store: r.Store, OnChanges: r.OnChanges})
	run.result.Run = r.result.Run
	if r.Process != nil {
		run.Process = func(ctx context.Context, rec any) error { return r.Process(ctx, in, rec) }
	}
	b := &batch{}
	var done []string
	var dead []KeptMessage
	for _, m := range messages {
		rejected := len(b.rejections)
		parsed, err := r.parse(m.Message, in.AdapterVersion)
		if err == nil {
			for i := range parsed.Items {
				run.prepare(ctx, b, c, any(&parsed.Items[i]), m.Received)
			}
			b.reject(c, parsed.Rejected, m.Received)
			if len(b.rejections) > rejected {
				err = errors.New(b.rejections[rejected].Reason)
			}
		}
		if err == nil {
			done = append(done, m.Key)
			continue
		}
		m.State, m.Integration, m.Reason = MessageDead, in.ID, reason(err)
		dead = append(dead, m)
	}
	var counts Counts
	err := r.commit(ctx, func(ctx context.Context, tx QueueTx, _ *QueueState) error {
		var changes []Change
		var err error
		if counts, changes, err = write(ctx, tx, c, b, 0, r.result.Run, wall(time.Now())); err != nil {
			return err
		}
		if err := errors.Join(tx.DeleteMessages(ctx, r.queue.Name, done), tx.PutMessages(ctx, dead)); err != nil {
			return err
		}
		return run.changed(ctx, tx, c, changes)
	})
	switch {
	case ctx.Err() != nil || errors.Is(err, ErrSuperseded):
		return cmp.Or(err, context.Cause(ctx))
	case err != nil:
		if r.failed == nil {
			r.failed = map[string]bool{}
		}
		r.failed[in.ID] = true
		r.problems = append(r.problems, fmt.Errorf("integration %s: %w", in.ID, err))
		return nil
	}
	total := r.result.Integrations[in.ID]
	total.add(counts)
	r.result.Integrations[in.ID] = total
	r.report(ctx, dead)
	return nil
}

// parse turns a panic of the driver's into an error: it is about one message.
func (r *queueRun) parse(m driver.Message, version string) (b pagination.Batch[driver.Transaction], err error) {
	defer func() {
		if p := recover(); p != nil {
			err = driverPanic(p)
		}
	}()
	return r.source.Parse(m, version)
}
