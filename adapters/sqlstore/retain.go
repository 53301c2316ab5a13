package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// pruneBatch is how many rows one transaction removes, so that imports go on meanwhile.
const pruneBatch = 1000

// prunes remove what is old, so many rows at a time.
var prunes = [...]string{
	"DELETE FROM ik_events WHERE seq IN (SELECT seq FROM ik_events WHERE at < ? LIMIT ?)",
	"DELETE FROM ik_rejections WHERE (integration, kind, key) IN " +
		"(SELECT integration, kind, key FROM ik_rejections WHERE last_seen < ? LIMIT ?)",
	"DELETE FROM ik_records WHERE (integration, kind, id) IN " +
		"(SELECT integration, kind, id FROM ik_records WHERE deleted_at <> 0 AND deleted_at < ? AND erased = 0 LIMIT ?)",
	pruneMessages,
	"DELETE FROM ik_deliveries WHERE key IN (SELECT key FROM ik_deliveries WHERE until < ? LIMIT ?)",
	"DELETE FROM ik_failed_webhooks WHERE key IN (SELECT key FROM ik_failed_webhooks WHERE failed_at < ? LIMIT ?)",
	"DELETE FROM ik_heard WHERE (integration, kind, id, at) IN " +
		"(SELECT integration, kind, id, at FROM ik_heard WHERE at < ? LIMIT ?)",
	"DELETE FROM ik_found WHERE (integration, kind, id, version) IN " +
		"(SELECT integration, kind, id, version FROM ik_found WHERE at < ? LIMIT ?)",
}

// Prune implements importer.Store. It works in transactions of a thousand rows: what it removed before an error stays
// removed, and is counted. Events of records that live are removed as well; Version and ChangedAt of the records stay.
// So are webhooks that failed last before the time, and what is known of webhooks that came before it.
func (s *Store) Prune(ctx context.Context, before time.Time) (int64, error) {
	var e encoder
	at := e.time(before)
	if e.err != nil {
		return 0, s.failed(ctx, "prune", e.err)
	}
	if before.IsZero() {
		return 0, nil
	}
	var total int64
	for _, text := range prunes {
		for more := true; more; {
			err := s.write(ctx, "prune", func(ctx context.Context, q *session) error {
				res, err := q.tx.ExecContext(ctx, s.dialect.rebind(text), at, pruneBatch)
				if err != nil {
					return s.failed(ctx, "prune", err)
				}
				n, err := res.RowsAffected()
				total += n
				more = n == pruneBatch
				return s.failed(ctx, "prune", err)
			})
			if err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

// Erase implements importer.Store. What is deleted is overwritten with zeros in the file (secure_delete), and the
// write-ahead log is emptied after it. That waits for nobody: while another connection still reads what was there
// before, the log keeps it until it is emptied next, and Options.Logger is told. Backups are the host's to look
// after. Webhooks that failed are not read for it: see webhook.Router's Forget.
func (s *Store) Erase(ctx context.Context, c importer.Collection, id string) error {
	err := s.write(ctx, of("erase a record", c), func(ctx context.Context, q *session) error {
		known, err := q.Records(ctx, c, []string{id})
		if err != nil {
			return err
		}
		tomb := importer.Tombstone(c, id, time.Now().UTC())
		if len(known) > 0 {
			tomb.Version = known[0].Version + 1
		}
		if len(known) == 0 || !known[0].Erased {
			if err := (&storeTx{q}).PutRecords(ctx, []importer.Stored{tomb}); err != nil {
				return err
			}
		}
		const rejected = "DELETE FROM ik_rejections WHERE integration = ? AND kind = ? AND (key = ? OR id = ?)"
		_, err = q.tx.ExecContext(ctx, s.dialect.rebind(rejected), c.Integration, string(c.Kind), id, id)
		if err == nil {
			err = q.eraseMessages(ctx, c, id)
		}
		return s.failed(ctx, of("erase a record", c), err)
	})
	if err != nil {
		return err
	}
	if err := s.emptyLog(ctx); err != nil {
		s.log.WarnContext(ctx, "sqlstore: erased, but the write-ahead log still holds what was there before", "err", err)
	}
	return nil
}

// emptyLog moves the write-ahead log into the database and cuts it to nothing.
func (s *Store) emptyLog(ctx context.Context) error {
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// Readers are not waited for; the timeout is put back in any case, because the connection is used again.
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 100"); err != nil {
		return err
	}
	var busy, pages, moved int
	err = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	if _, err := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA busy_timeout = "+busyTimeout); err != nil {
		return err
	}
	if err == nil && busy != 0 {
		err = fmt.Errorf("a reader is in the way: %d of %d pages moved", moved, pages)
	}
	return err
}

// Reseal seals everything that another key sealed with the first of Options.Keys, after which the others are not
// needed any more: open the store with the new key before the old ones, Reseal, and from then on open it with the new
// one alone. All processes that share the database must have the new key by then. It works in transactions of a
// thousand rows and can be run again.
func (s *Store) Reseal(ctx context.Context) error {
	if s.keys == nil {
		return fmt.Errorf("%w (reseal)", ErrNoKeys)
	}
	name, _, err := s.canary()
	if err != nil {
		return fmt.Errorf("sqlstore: reseal: %w", err)
	}
	current := name[len(canaryName):]
	for _, table := range []struct {
		read, write string
		place       func(row *sealedRow) string
	}{
		{
			"SELECT '', '', key, record FROM ik_tokens WHERE key > ? AND ? = '' AND ? = '' ORDER BY key LIMIT ?",
			"UPDATE ik_tokens SET record = ? WHERE key = ? AND ? = '' AND ? = ''", nil,
		},
		{
			"SELECT integration, kind, key, raw FROM ik_rejections " +
				"WHERE raw IS NOT NULL AND (key, integration, kind) > (?, ?, ?) ORDER BY key, integration, kind LIMIT ?",
			"UPDATE ik_rejections SET raw = ? WHERE key = ? AND integration = ? AND kind = ?",
			func(r *sealedRow) string { return rejectionPlace(r.integration, driver.Kind(r.kind), r.key) },
		},
		{
			"SELECT '', '', key, event FROM ik_failed_webhooks WHERE key > ? AND ? = '' AND ? = '' ORDER BY key LIMIT ?",
			"UPDATE ik_failed_webhooks SET event = ? WHERE key = ? AND ? = '' AND ? = ''",
			func(r *sealedRow) string { return failurePlace(r.key) },
		},
		{
			"SELECT '', '', key, document FROM ik_registrations " +
				"WHERE document IS NOT NULL AND key > ? AND ? = '' AND ? = '' ORDER BY key LIMIT ?",
			"UPDATE ik_registrations SET document = ? WHERE key = ? AND ? = '' AND ? = ''",
			func(r *sealedRow) string { return registrationPlace(r.key) },
		},
	} {
		var last sealedRow
		for more := true; more; {
			err := s.write(ctx, "reseal", func(ctx context.Context, q *session) error {
				rows, err := sealedRows(ctx, q, table.read, last)
				if err != nil {
					return s.failed(ctx, "reseal", err)
				}
				more = len(rows) == pruneBatch
				for i := range rows {
					r := &rows[i]
					last = *r
					fresh, err := s.reseal(r, current, table.place)
					if err == nil && fresh != nil {
						_, err = q.tx.ExecContext(ctx, s.dialect.rebind(table.write), fresh, r.key, r.integration, r.kind)
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
	}
	if err := s.resealMessages(ctx, current); err != nil {
		return err
	}
	return s.write(ctx, "reseal", func(ctx context.Context, q *session) error {
		const others = "DELETE FROM ik_meta WHERE name LIKE ? AND name <> ?"
		_, err := q.tx.ExecContext(ctx, s.dialect.rebind(others), canaryName+"%", name)
		return s.failed(ctx, "reseal", err)
	})
}

// sealedRow is something sealed, and where it is.
type sealedRow struct {
	integration, kind, key string
	sealed                 []byte
}

func sealedRows(ctx context.Context, q *session, text string, after sealedRow) ([]sealedRow, error) {
	rows, err := q.adHoc(ctx, text, after.key, after.integration, after.kind, pruneBatch)
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

// reseal returns what is sealed in r, sealed anew; nil if the current key sealed it. place is nil for a token.
func (s *Store) reseal(r *sealedRow, current string, place func(*sealedRow) string) ([]byte, error) {
	if id, err := auth.KeyID(r.sealed); err != nil || id == current {
		return nil, err
	}
	if place == nil {
		rec, err := s.keys.OpenRecord(r.key, r.sealed)
		if err != nil {
			return nil, err
		}
		return s.keys.SealRecord(r.key, rec)
	}
	plain, err := s.keys.Open(place(r), r.sealed)
	if err != nil {
		return nil, err
	}
	return s.keys.Seal(place(r), plain)
}
