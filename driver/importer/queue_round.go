package importer

import (
	"context"
	"errors"
	"fmt"
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

// releaseTime is how long a commit may take that is made although ctx has ended.
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
	err := r.afterwards(ctx, func(s *QueueState) { s.Until = time.Time{} })
	if errors.Is(err, ErrSuperseded) {
		return nil
	}
	return err
}

// receive reads what the queue does not deliver, if it is time, and then the queue.
func (r *queueRun) receive(ctx context.Context) error {
	now := wall(time.Now())
	outage := r.outage(now)
	// During an outage that goes on it is not asked for at each read, but as often as an outage would make it.
	due := r.lost(now) || outage && now.Sub(r.state.Recovered) >= r.queue.OutageAfter
	recovered := false
	if due {
		var err error
		if recovered, err = r.recover(ctx); err != nil {
			return err
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
	if err == nil && outage && !due {
		// The outage is over, and what it made the queue drop since the last recovery is not known of yet.
		recovered, err = r.recover(ctx)
	}
	missed := outage && !recovered
	// Polled counts also when it failed: the partner wants to be left alone.
	return errors.Join(err, r.afterwards(ctx, func(s *QueueState) {
		s.Polled = wall(time.Now())
		if err == nil && !r.suspected && !missed {
			s.Drained, s.Suspect = began, false
		}
	}))
}

// afterwards commits what is known of the queue, also when ctx has ended. It waits for nobody for long.
func (r *queueRun) afterwards(ctx context.Context, f func(s *QueueState)) error {
	late := errors.New("importer: noting how far the queue was read took too long")
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), releaseTime, late)
	defer cancel()
	return r.commit(ctx, func(_ context.Context, _ QueueTx, s *QueueState) error {
		f(s)
		return nil
	})
}

// recover reads what the queue does not deliver, where the source can, and reports whether it came to its end. What
// keeps it from that is a problem, and an error only when nothing more is to be done.
func (r *queueRun) recover(ctx context.Context) (bool, error) {
	rec, ok := r.source.(driver.QueueRecoverer)
	if !ok {
		return true, nil
	}
	began := wall(time.Now())
	missed := func() pagination.Pages[driver.Message] { return rec.Recover(ctx, r.state.Drained) }
	err := r.pages(ctx, missed, &r.result.Recovered)
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if err == nil {
		err = r.commit(ctx, func(_ context.Context, _ QueueTx, s *QueueState) error {
			s.Recovered, s.Suspect = began, false
			return nil
		})
	}
	if err != nil { // the queue is read all the same
		r.problems = append(r.problems, fmt.Errorf("recover: %w", err))
	}
	return err == nil, nil
}

// outage reports whether the queue was not read to its end for so long that it may have dropped something.
func (r *queueRun) outage(now time.Time) bool {
	s, q := r.state, r.queue
	return q.OutageAfter > 0 && !s.Drained.IsZero() && now.Sub(s.Drained) >= q.OutageAfter
}

// lost reports whether it is time to ask for what the queue does not deliver, outage or not.
func (r *queueRun) lost(now time.Time) bool {
	s, q := r.state, r.queue
	return s.Suspect || q.Recover > 0 && !s.Recovered.Add(q.Recover).After(now)
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
		kept := r.keep(page, sentAt(page.Sent, asked))
		if len(kept) > 0 {
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
				return errors.Join(fmt.Errorf("acknowledge: %w", err), r.work(ctx, kept))
			}
		}
		if err := r.work(ctx, kept); err != nil {
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
