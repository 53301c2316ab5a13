package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/integrationkit/integrationkit/auth"
)

// LoadToken implements auth.Store.
func (s *Store) LoadToken(ctx context.Context, key string) (auth.Record, error) {
	what := "load token " + key
	if s.keys == nil {
		return auth.Record{}, fmt.Errorf("%w (%s)", ErrNoKeys, what)
	}
	var version uint64
	var sealed []byte
	found, err := s.reader().one(ctx, qLoadToken, []any{&version, &sealed}, key)
	if err != nil || !found {
		return auth.Record{}, s.failed(ctx, what, err)
	}
	r, err := s.keys.OpenRecord(key, sealed)
	if err != nil {
		return auth.Record{}, fmt.Errorf("sqlstore: %s: %w: %w", what, ErrKeys, err)
	}
	r.Version = version
	return r, nil
}

// SaveToken implements auth.Store.
func (s *Store) SaveToken(ctx context.Context, key string, r auth.Record) (uint64, error) {
	what := "save token " + key
	if s.keys == nil {
		return 0, fmt.Errorf("%w (%s)", ErrNoKeys, what)
	}
	sealed, err := s.keys.SealRecord(key, r)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: %s: %w", what, err)
	}
	err = s.write(ctx, what, func(ctx context.Context, q *session) error {
		n, args := qUpdateToken, []any{sealed, key, r.Version}
		if r.Version == 0 {
			n, args = qInsertToken, []any{key, sealed}
		}
		res, err := q.exec(ctx, n, args...)
		if err != nil {
			return s.failed(ctx, what, err)
		}
		rows, err := res.RowsAffected()
		if err == nil && rows == 0 {
			err = auth.ErrConflict
		}
		return s.failed(ctx, what, err)
	})
	if err != nil {
		return 0, err
	}
	return r.Version + 1, nil
}

const (
	lockPoll   = 20 * time.Millisecond // doubled while waiting, up to
	lockPolled = 320 * time.Millisecond
	unlockTime = 5 * time.Second
)

// LockToken implements auth.Store. The lock is a row of the database with a time after which it is anybody's, by the
// clock of the machine that the processes share. Each taking has a number of its own, so that the unlock of one that
// has lost the lock does not free its successor's; what it would still save meets SaveToken's comparison of versions.
func (s *Store) LockToken(ctx context.Context, key string, ttl time.Duration) (unlock func(), err error) {
	what := "lock token " + key
	if ttl <= 0 {
		return nil, fmt.Errorf("sqlstore: %s: ttl is %v, want more than 0", what, ttl)
	}
	poll := lockPoll
	for {
		fence, until, err := s.tryLock(ctx, what, key, ttl)
		if err != nil {
			return nil, err
		}
		if fence != 0 {
			return sync.OnceFunc(func() { s.unlock(ctx, what, key, fence) }), nil
		}
		wait := min(poll/2+rand.N(poll), max(time.Until(until), time.Millisecond))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, s.failed(ctx, what, ctx.Err())
		case <-timer.C:
		}
		poll = min(2*poll, lockPolled)
	}
}

// tryLock returns the number of the lock that was taken, or 0 and when the one that holds it loses it.
func (s *Store) tryLock(
	ctx context.Context, what, key string, ttl time.Duration,
) (fence int64, until time.Time, err error) {
	// A look first, so that those who wait do not keep the writers waiting.
	const text = "SELECT fence, expires_at FROM ik_locks WHERE key = ?"
	if _, until, err = lockRow(ctx, s.reader(), text, key); err != nil {
		return 0, until, s.failed(ctx, what, err)
	}
	if time.Now().Before(until) {
		return 0, until, nil
	}
	err = s.write(ctx, what, func(ctx context.Context, q *session) error {
		last, expires, err := lockRow(ctx, q, text+s.dialect.forUpdate, key)
		if err != nil {
			return s.failed(ctx, what, err)
		}
		now := time.Now()
		if until = expires; now.Before(until) {
			return nil
		}
		const take = "INSERT INTO ik_locks (key, fence, expires_at) VALUES (?, ?, ?) " +
			"ON CONFLICT (key) DO UPDATE SET fence = excluded.fence, expires_at = excluded.expires_at"
		_, err = q.tx.ExecContext(ctx, s.dialect.rebind(take), key, last+1, now.Add(ttl).UnixNano())
		fence = last + 1
		return s.failed(ctx, what, err)
	})
	if err != nil {
		return 0, until, err
	}
	return fence, until, nil
}

func lockRow(ctx context.Context, q *session, text, key string) (fence int64, until time.Time, err error) {
	rows, err := q.adHoc(ctx, text, key)
	if err != nil {
		return 0, time.Time{}, err
	}
	defer rows.Close()
	var expires int64
	for rows.Next() {
		if err := rows.Scan(&fence, &expires); err != nil {
			return 0, time.Time{}, err
		}
	}
	return fence, instant(expires), rows.Err()
}

// unlock frees the lock if it is still the one with the number. What it cannot free expires.
func (s *Store) unlock(ctx context.Context, what, key string, fence int64) {
	late := errors.New("sqlstore: unlocking took too long")
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), unlockTime, late)
	defer cancel()
	err := s.write(ctx, "un"+what, func(ctx context.Context, q *session) error {
		const free = "UPDATE ik_locks SET expires_at = 0 WHERE key = ? AND fence = ?"
		_, err := q.tx.ExecContext(ctx, s.dialect.rebind(free), key, fence)
		return s.failed(ctx, "un"+what, err)
	})
	if err != nil {
		s.log.WarnContext(ctx, "sqlstore: a lock could not be given back and expires by itself", "key", key, "err", err)
	}
}

// LoadLimit implements ratelimit.StateStore.
func (s *Store) LoadLimit(ctx context.Context, key string) ([]byte, error) {
	var state []byte
	_, err := s.reader().one(ctx, qLoadLimit, []any{&state}, key)
	return state, s.failed(ctx, "load limits of "+key, err)
}

// SaveLimit implements ratelimit.StateStore.
func (s *Store) SaveLimit(ctx context.Context, key string, state []byte) error {
	what := "save limits of " + key
	if state == nil {
		state = []byte{}
	}
	return s.write(ctx, what, func(ctx context.Context, q *session) error {
		_, err := q.exec(ctx, qPutLimit, key, state)
		return s.failed(ctx, what, err)
	})
}
