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
)

// drain imports the messages that an earlier read left pending. It is done once in a read: what stays pending after it,
// or after its page, waits for the next one.
func (r *queueRun) drain(ctx context.Context) error {
	for after := int64(0); ; {
		waiting, err := r.Store.Messages(ctx, r.queue.Name, MessagePending, after, messageBatch)
		if err != nil || len(waiting) == 0 {
			return err
		}
		after = waiting[len(waiting)-1].Seq
		if err := r.work(ctx, waiting); err != nil {
			return err
		}
	}
}

// work imports the pending ones of messages, which are kept. What fails for one integration is a problem of its own.
func (r *queueRun) work(ctx context.Context, messages []KeptMessage) error {
	for some := range slices.Chunk(messages, messageBatch) {
		byIntegration := map[string][]KeptMessage{}
		routes := map[string]driver.Integration{}
		var lost []KeptMessage
		for _, m := range some {
			if m.State != MessagePending {
				continue
			}
			in, err := r.route(ctx, m.Account)
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case err == nil:
				routes[in.ID] = in
				byIntegration[in.ID] = append(byIntegration[in.ID], m)
			case errors.Is(err, driver.ErrNotFound):
				m.State, m.Reason = MessageDead, "no integration has its account"
				if m.Account == "" {
					m.Reason = "it has no account, so that nobody can tell whose it is"
				}
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
	return nil
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
	var left []KeptMessage // of the dead
	err := r.commit(ctx, func(ctx context.Context, tx QueueTx, _ *QueueState) error {
		var changes []Change
		var err error
		if counts, changes, err = write(ctx, tx, c, b, 0, r.result.Run, wall(time.Now())); err != nil {
			return err
		}
		gone := slices.Clone(done)
		var erased []string
		if left, erased, err = unerased(ctx, tx, c, dead); err != nil {
			return err
		}
		gone = append(gone, erased...)
		if err := errors.Join(tx.DeleteMessages(ctx, r.queue.Name, gone), tx.PutMessages(ctx, left)); err != nil {
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
	r.report(ctx, left)
	return nil
}

// unerased parts messages: those to be kept, and the keys of those about records that were erased, of which nothing is.
func unerased(
	ctx context.Context, tx Tx, c Collection, messages []KeptMessage,
) (left []KeptMessage, erased []string, err error) {
	var ids []string
	for _, m := range messages {
		if m.ID != "" && !slices.Contains(ids, m.ID) {
			ids = append(ids, m.ID)
		}
	}
	if len(ids) == 0 {
		return messages, nil, nil
	}
	known, err := tx.Records(ctx, c, ids)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range messages {
		if slices.ContainsFunc(known, func(s Stored) bool { return s.ID == m.ID && s.Erased }) {
			erased = append(erased, m.Key)
		} else {
			left = append(left, m)
		}
	}
	return left, erased, nil
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
