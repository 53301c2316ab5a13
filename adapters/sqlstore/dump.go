package sqlstore

import (
	"context"
	"database/sql"
	"io"

	"github.com/integrationkit/integrationkit/driver/importer"
)

// Dump writes the content of the store in the canonical form of importer.DumpRecord, by which two stores are
// compared: one state, as of the beginning, row by row. Tokens, limits and checkpoints are not in it.
func (s *Store) Dump(ctx context.Context, w io.Writer) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.failed(ctx, "dump", err)
	}
	defer func() { _ = tx.Rollback() }() // it has read only
	q := &session{s: s, db: s.read, stmt: &s.readStmts, tx: tx}
	var r recordRow
	var rec importer.Stored
	err = q.dump(ctx, w, "SELECT integration, kind, "+columns+
		" FROM ik_records WHERE erased = 0 ORDER BY integration, kind, id",
		func(rows *sql.Rows) ([]byte, error) {
			v, err := r.scan(rows, &rec.Integration, &rec.Kind)
			v.Collection = rec.Collection
			return importer.DumpRecord(v), err
		})
	if err != nil {
		return err
	}
	err = q.dump(ctx, w, "SELECT integration, kind, key, reason FROM ik_rejections ORDER BY integration, kind, key",
		func(rows *sql.Rows) ([]byte, error) {
			var v importer.Rejection
			err := rows.Scan(&v.Integration, &v.Kind, &v.Key, &v.Reason)
			return importer.DumpRejection(v), err
		})
	if err != nil {
		return err
	}
	err = q.dump(ctx, w, "SELECT seq, integration, kind, id, version, change, at, run FROM ik_events "+
		"ORDER BY integration, kind, id, version, seq",
		func(rows *sql.Rows) ([]byte, error) {
			v, err := scanEvent(rows)
			return importer.DumpEvent(v), err
		})
	if err != nil {
		return err
	}
	return q.dump(ctx, w, dumpMessages, func(rows *sql.Rows) ([]byte, error) {
		var m importer.KeptMessage
		err := rows.Scan(&m.Queue, &m.Key, &m.ID, &m.Account, &m.State, &m.Integration, &m.Reason)
		return importer.DumpMessage(m), err
	})
}

// dump writes a line for each row. An error of w is returned as it is.
func (q *session) dump(ctx context.Context, w io.Writer, text string, line func(*sql.Rows) ([]byte, error)) error {
	rows, err := q.adHoc(ctx, text)
	if err != nil {
		return q.s.failed(ctx, "dump", err)
	}
	defer rows.Close()
	for rows.Next() {
		b, err := line(rows)
		if err != nil {
			return q.s.failed(ctx, "dump", err)
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return q.s.failed(ctx, "dump", rows.Err())
}
