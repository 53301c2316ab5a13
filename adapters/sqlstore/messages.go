package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

var (
	_ importer.QueueStore = (*Store)(nil)
	_ importer.QueueTx    = (*storeTx)(nil)
)

// Messages implements importer.QueueStore.
func (s *Store) Messages(
	ctx context.Context, queue string, state importer.MessageState, after int64, limit int,
) ([]importer.KeptMessage, error) {
	if limit <= 0 {
		return nil, nil
	}
	what := "read messages of " + queue
	rows, err := s.reader().query(ctx, qMessages, queue, string(state), after, limit)
	if err != nil {
		return nil, s.failed(ctx, what, err)
	}
	defer rows.Close()
	var out []importer.KeptMessage
	for rows.Next() {
		m := importer.KeptMessage{Queue: queue, State: state}
		var received int64
		var sealed []byte
		err := rows.Scan(&m.Seq, &m.Key, &m.ID, &m.Account, &m.Integration, &m.Reason, &received, &sealed)
		if err == nil && s.keys == nil {
			err = ErrKeys
		}
		if err == nil {
			m.Received = instant(received)
			m.Body, err = s.keys.Open(messagePlace(queue, m.Key), sealed)
		}
		if err != nil {
			return nil, s.failed(ctx, what, err)
		}
		out = append(out, m)
	}
	return out, s.failed(ctx, what, rows.Err())
}

// messagePlace is what the body of a message is bound to.
func messagePlace(queue, key string) string { return fmt.Sprintf("sqlstore/message/%q/%q", queue, key) }

// PutMessages implements importer.QueueTx. Without Options.Keys it fails with [ErrNoKeys]: a message cannot be kept
// without its body, and that is stored sealed or not at all.
func (t *storeTx) PutMessages(ctx context.Context, messages []importer.KeptMessage) error {
	for i := range messages {
		m := &messages[i]
		what := "put messages of " + m.Queue
		if t.s.keys == nil {
			return fmt.Errorf("%w (%s)", ErrNoKeys, what)
		}
		var e encoder
		received, err := e.time(m.Received), e.err
		var sealed []byte
		if err == nil {
			sealed, err = t.s.keys.Seal(messagePlace(m.Queue, m.Key), m.Body)
		}
		if err == nil {
			_, err = t.exec(ctx, qPutMessage,
				m.Queue, m.Key, string(m.State), m.ID, m.Account, m.Integration, m.Reason, received, sealed)
		}
		if err != nil {
			return t.s.failed(ctx, what, err)
		}
	}
	return nil
}

// DeleteMessages implements importer.QueueTx.
func (t *storeTx) DeleteMessages(ctx context.Context, queue string, keys []string) error {
	for _, key := range keys {
		if _, err := t.exec(ctx, qDropMessage, queue, key); err != nil {
			return t.s.failed(ctx, "delete messages of "+queue, err)
		}
	}
	return nil
}

// RequeueMessages implements importer.QueueTx. Their bodies stay as they are sealed.
func (t *storeTx) RequeueMessages(ctx context.Context, queue string, keys []string) (int, error) {
	total := 0
	for _, key := range keys {
		n, err := affected(t.exec(ctx, qRequeue, queue, key))
		if err != nil {
			return total, t.s.failed(ctx, "requeue messages of "+queue, err)
		}
		total += int(n)
	}
	return total, nil
}

// QueueState implements importer.QueueTx.
func (t *storeTx) QueueState(ctx context.Context, queue string) (importer.QueueState, error) {
	var text string
	var out importer.QueueState
	found, err := t.one(ctx, qQueue, []any{&text}, queue)
	if err == nil && found {
		if err = json.Unmarshal([]byte(text), &out); err != nil {
			err = fmt.Errorf("it was written by another version: %w", err)
		}
	}
	out.Queue = queue
	return out, t.s.failed(ctx, "read the state of "+queue, err)
}

// PutQueueState implements importer.QueueTx.
func (t *storeTx) PutQueueState(ctx context.Context, q importer.QueueState) error {
	var e encoder
	text, err := e.json(q), e.err
	if err == nil {
		_, err = t.exec(ctx, qPutQueue, q.Queue, text)
	}
	return t.s.failed(ctx, "put the state of "+q.Queue, err)
}

// eraseMessages removes the dead messages about a record.
func (q *session) eraseMessages(ctx context.Context, c importer.Collection, id string) error {
	if c.Kind != driver.KindTransaction {
		return nil
	}
	_, err := q.exec(ctx, qEraseMessages, c.Integration, id)
	return err
}

// resealMessages seals anew what another key sealed.
func (s *Store) resealMessages(ctx context.Context, current string) error {
	for last, more := int64(0), true; more; {
		err := s.write(ctx, "reseal", func(ctx context.Context, q *session) error {
			rows, err := messageRows(ctx, q, last)
			if err != nil {
				return s.failed(ctx, "reseal", err)
			}
			more = len(rows) == pruneBatch
			for i := range rows {
				r := &rows[i]
				if last, err = strconv.ParseInt(r.kind, 10, 64); err != nil {
					return s.failed(ctx, "reseal", err)
				}
				fresh, err := s.reseal(r, current, func(r *sealedRow) string { return messagePlace(r.integration, r.key) })
				if err == nil && fresh != nil {
					_, err = q.tx.ExecContext(ctx, s.dialect.rebind("UPDATE ik_messages SET body = ? WHERE seq = ?"), fresh, last)
				}
				if err != nil {
					return s.failed(ctx, "reseal", err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// messageRows returns messages above a seq, which is in kind; the queue is in integration.
func messageRows(ctx context.Context, q *session, after int64) ([]sealedRow, error) {
	const text = "SELECT queue, seq, key, body FROM ik_messages WHERE seq > ? ORDER BY seq LIMIT ?"
	rows, err := q.adHoc(ctx, text, after, pruneBatch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []sealedRow
	for rows.Next() {
		var r sealedRow
		if err := rows.Scan(&r.integration, &r.kind, &r.key, &r.sealed); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// pruneMessages removes dead messages that were received before.
const pruneMessages = "DELETE FROM ik_messages WHERE seq IN " +
	"(SELECT seq FROM ik_messages WHERE state = 'dead' AND received < ? LIMIT ?)"

// dumpMessages are the messages, by queue and key.
const dumpMessages = "SELECT queue, key, id, account, state, integration, reason FROM ik_messages ORDER BY queue, key"
