package sqlstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// Deliveries returns the store as a webhook.Dedupe: for the Handlers of all processes that share it. Each hand-over
// costs two transactions; one that comes again costs a look. What is over is forgotten as others come, and by
// [Store.Prune].
func (s *Store) Deliveries() webhook.Dedupe { return deliveries{s} }

// FailedWebhooks returns the store as a webhook.Failures. Events are sealed: without Options.Keys they are refused with
// [ErrNoKeys]. [Store.Prune] removes those that failed last before its time.
func (s *Store) FailedWebhooks() webhook.Failures { return failures{s} }

// Registrations returns the store as a webhook.Registrations. They are sealed: without Options.Keys they are refused
// with [ErrNoKeys].
func (s *Store) Registrations() webhook.Registrations { return registrations{s} }

type deliveries struct{ s *Store }

// Claim implements webhook.Dedupe.
func (d deliveries) Claim(
	ctx context.Context, key string, lease time.Duration,
) (token string, state webhook.State, err error) {
	const what = "claim a delivery"
	// A look first, so that what comes again does not keep the writers waiting.
	now := time.Now()
	if state, known, err := d.look(ctx, d.s.reader(), key, now); err != nil || known {
		return "", state, d.s.failed(ctx, what, err)
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	claim := hex.EncodeToString(b[:])
	err = d.s.write(ctx, what, func(ctx context.Context, q *session) error {
		now := time.Now()
		_, err := q.exec(ctx, qForget, now.UnixNano())
		if err != nil {
			return d.s.failed(ctx, what, err)
		}
		n, err := affected(q.exec(ctx, qClaim, key, claim, now.Add(lease).UnixNano(), now.UnixNano()))
		if err == nil && n == 1 {
			token, state = claim, webhook.Claimed
			return nil
		}
		if err == nil {
			state, _, err = d.look(ctx, q, key, now)
		}
		return d.s.failed(ctx, what, err)
	})
	if err != nil {
		return "", webhook.InProgress, err
	}
	return token, state, nil
}

// look returns what is known of a delivery.
func (d deliveries) look(
	ctx context.Context, q *session, key string, now time.Time,
) (state webhook.State, known bool, err error) {
	var token string
	var until int64
	found, err := q.one(ctx, qDelivery, []any{&token, &until}, key)
	if err != nil || !found || until <= now.UnixNano() {
		return webhook.InProgress, false, err
	}
	if token == "" {
		return webhook.Done, true, nil
	}
	return webhook.InProgress, true, nil
}

// Done implements webhook.Dedupe.
func (d deliveries) Done(ctx context.Context, key, token string, keep time.Duration) error {
	return d.change(ctx, "note a delivery that is done", func(now time.Time) (query, []any) {
		return qDone, []any{key, now.Add(keep).UnixNano(), token, now.UnixNano()}
	})
}

// Release implements webhook.Dedupe.
func (d deliveries) Release(ctx context.Context, key, token string) error {
	return d.change(ctx, "release a delivery", func(time.Time) (query, []any) { return qRelease, []any{key, token} })
}

// change runs a statement that changes one delivery; if it changes none the claim is lost.
func (d deliveries) change(ctx context.Context, what string, statement func(now time.Time) (query, []any)) error {
	return d.s.write(ctx, what, func(ctx context.Context, q *session) error {
		text, args := statement(time.Now())
		n, err := affected(q.exec(ctx, text, args...))
		if err == nil && n == 0 {
			return webhook.ErrClaimLost
		}
		return d.s.failed(ctx, what, err)
	})
}

type result interface{ RowsAffected() (int64, error) }

func affected(r result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

type failures struct{ s *Store }

// failurePlace is where a failure's event is sealed to.
func failurePlace(key string) string { return "sqlstore/webhook/" + key }

// Keep implements webhook.Failures.
func (f failures) Keep(ctx context.Context, e webhook.Event, reason string, at time.Time) error {
	const what = "keep a webhook that failed"
	if f.s.keys == nil {
		return fmt.Errorf("%w (%s)", ErrNoKeys, what)
	}
	if e.Key == "" {
		return errors.New("sqlstore: " + what + ": it has no key")
	}
	doc, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("sqlstore: %s: %w", what, err)
	}
	sealed, err := f.s.keys.Seal(failurePlace(e.Key), doc)
	if err != nil {
		return fmt.Errorf("sqlstore: %s: %w", what, err)
	}
	var enc encoder
	received, failed := enc.time(e.ReceivedAt), enc.time(at)
	if enc.err != nil {
		return f.s.failed(ctx, what, enc.err)
	}
	return f.s.write(ctx, what, func(ctx context.Context, q *session) error {
		_, err := q.exec(ctx, qKeepFailure, e.Key, e.Integration, received, failed, reason, sealed)
		return f.s.failed(ctx, what, err)
	})
}

// failuresAtOnce is how many rows are read at a time, so that none is being read while the caller writes.
const failuresAtOnce = 100

// List implements webhook.Failures.
func (f failures) List(ctx context.Context, integration string, from, to time.Time) iter.Seq2[webhook.Failure, error] {
	return func(yield func(webhook.Failure, error) bool) {
		const what = "list webhooks that failed"
		if f.s.keys == nil {
			yield(webhook.Failure{}, fmt.Errorf("%w (%s)", ErrNoKeys, what))
			return
		}
		var enc encoder
		after, before, last := enc.time(from), enc.time(to), ""
		if from.IsZero() {
			after = math.MinInt64
		}
		if to.IsZero() {
			before = math.MaxInt64
		}
		if enc.err != nil {
			yield(webhook.Failure{}, f.s.failed(ctx, what, enc.err))
			return
		}
		for more := true; more; {
			page, err := f.page(ctx, integration, after, before, last)
			if err != nil {
				yield(webhook.Failure{}, f.s.failed(ctx, what, err))
				return
			}
			more = len(page) == failuresAtOnce
			for _, r := range page {
				if !yield(r.Failure, nil) {
					return
				}
				after, last = r.received, r.Event.Key
			}
		}
	}
}

// failureRow is a failure and its place in the order.
type failureRow struct {
	webhook.Failure
	received int64
}

// page reads those received at the time after and with a key beyond last, or later, and before a time.
func (f failures) page(
	ctx context.Context, integration string, after, before int64, last string,
) ([]failureRow, error) {
	text, args := "SELECT key, received_at, failed_at, attempts, reason, event FROM ik_failed_webhooks WHERE ", []any{}
	if integration != "" {
		text, args = text+"integration = ? AND ", append(args, integration)
	}
	text += "(received_at, key) > (?, ?) AND received_at < ? ORDER BY received_at, key LIMIT ?"
	rows, err := f.s.reader().adHoc(ctx, text, append(args, after, last, before, failuresAtOnce)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []failureRow
	for rows.Next() {
		var r failureRow
		var key string
		var failed int64
		var sealed []byte
		if err := rows.Scan(&key, &r.received, &failed, &r.Attempts, &r.Reason, &sealed); err != nil {
			return nil, err
		}
		doc, err := f.s.keys.Open(failurePlace(key), sealed)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKeys, err)
		}
		if json.Unmarshal(doc, &r.Event) != nil {
			return nil, errors.New("a stored event cannot be read") // the decoder's text could quote it
		}
		r.FailedAt = instant(failed)
		page = append(page, r)
	}
	return page, rows.Err()
}

// Remove implements webhook.Failures.
func (f failures) Remove(ctx context.Context, key string) error {
	const what = "remove a webhook that failed"
	return f.s.write(ctx, what, func(ctx context.Context, q *session) error {
		_, err := q.exec(ctx, qDropFailure, key)
		return f.s.failed(ctx, what, err)
	})
}

type registrations struct{ s *Store }

// registrationPlace is where a registration is sealed to.
func registrationPlace(key string) string { return "sqlstore/registration/" + key }

// Load implements webhook.Registrations.
func (r registrations) Load(ctx context.Context, key string) (webhook.Registration, error) {
	what := "load the registration of " + key
	reg := webhook.Registration{Key: key}
	if r.s.keys == nil {
		return reg, fmt.Errorf("%w (%s)", ErrNoKeys, what)
	}
	var version int64
	var sealed []byte
	found, err := r.s.reader().one(ctx, qRegistration, []any{&version, &sealed}, key)
	if err != nil || !found || len(sealed) == 0 {
		return reg, r.s.failed(ctx, what, err)
	}
	doc, err := r.s.keys.Open(registrationPlace(key), sealed)
	if err != nil {
		return reg, fmt.Errorf("sqlstore: %s: %w: %w", what, ErrKeys, err)
	}
	if err := reg.UnmarshalBinary(doc); err != nil {
		return reg, fmt.Errorf("sqlstore: %s: %w", what, err)
	}
	reg.Version = version
	return reg, nil
}

// Save implements webhook.Registrations.
func (r registrations) Save(ctx context.Context, reg webhook.Registration) (version int64, err error) {
	what := "save the registration of " + reg.Key
	if r.s.keys == nil {
		return 0, fmt.Errorf("%w (%s)", ErrNoKeys, what)
	}
	if reg.Key == "" {
		return 0, errors.New("sqlstore: a registration without a key cannot be saved")
	}
	doc, err := reg.MarshalBinary()
	if err != nil {
		return 0, fmt.Errorf("sqlstore: %s: %w", what, err)
	}
	sealed, err := r.s.keys.Seal(registrationPlace(reg.Key), doc)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: %s: %w", what, err)
	}
	err = r.s.write(ctx, what, func(ctx context.Context, q *session) error {
		var at int64
		var there []byte
		_, err := q.one(ctx, qRegistration, []any{&at, &there}, reg.Key)
		if err != nil {
			return r.s.failed(ctx, what, err)
		}
		if current := at; len(there) == 0 && reg.Version != 0 || len(there) > 0 && reg.Version != current {
			return webhook.ErrConflict
		}
		version = at + 1
		_, err = q.exec(ctx, qPutRegistration, reg.Key, version, sealed)
		return r.s.failed(ctx, what, err)
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

// Delete implements webhook.Registrations.
func (r registrations) Delete(ctx context.Context, key string, version int64) error {
	what := "delete the registration of " + key
	return r.s.write(ctx, what, func(ctx context.Context, q *session) error {
		n, err := affected(q.exec(ctx, qDropRegistration, key, version))
		if err == nil && n == 0 {
			return webhook.ErrConflict
		}
		return r.s.failed(ctx, what, err)
	})
}
