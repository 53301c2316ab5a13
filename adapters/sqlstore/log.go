package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// Events implements importer.Store. There is one writer at a time, so that events appear in the order of their Seq.
func (s *Store) Events(ctx context.Context, integration string, after int64, limit int) ([]importer.Event, error) {
	if limit <= 0 {
		return nil, nil
	}
	n, args := qEvents, []any{after, limit}
	if integration != "" {
		n, args = qEventsOf, []any{integration, after, limit}
	}
	rows, err := s.reader().query(ctx, n, args...)
	if err != nil {
		return nil, s.failed(ctx, "read events", err)
	}
	defer rows.Close()
	var out []importer.Event
	for rows.Next() {
		e, err := scanEvent(rows)
		if err != nil {
			return nil, s.failed(ctx, "read events", err)
		}
		out = append(out, e)
	}
	return out, s.failed(ctx, "read events", rows.Err())
}

func scanEvent(rows *sql.Rows) (e importer.Event, err error) {
	var at int64
	err = rows.Scan(&e.Seq, &e.Integration, &e.Kind, &e.ID, &e.Version, &e.Change, &at, &e.Run)
	e.At = instant(at)
	return e, err
}

// Rejections implements importer.Store. What was stored while the store had no keys comes without Raw.
func (s *Store) Rejections(
	ctx context.Context, c importer.Collection, after string, limit int,
) ([]importer.Rejection, error) {
	if limit <= 0 {
		return nil, nil
	}
	n := qRejections
	if after == "" {
		n = qRejectionsFrom
	}
	rows, err := s.reader().query(ctx, n, c.Integration, string(c.Kind), after, limit)
	if err != nil {
		return nil, s.failed(ctx, of("read rejections", c), err)
	}
	defer rows.Close()
	var out []importer.Rejection
	for rows.Next() {
		r := importer.Rejection{Collection: c}
		var first, last int64
		var sealed []byte
		err := rows.Scan(&r.Key, &r.ID, &r.Reason, &sealed, &first, &last, &r.Count)
		if err == nil {
			r.First, r.Last = instant(first), instant(last)
			r.Raw, err = s.openRaw(&r, sealed)
		}
		if err != nil {
			return nil, s.failed(ctx, of("read rejections", c), err)
		}
		out = append(out, r)
	}
	return out, s.failed(ctx, of("read rejections", c), rows.Err())
}

// rejectionPlace is what the raw bytes of a rejection are bound to.
func rejectionPlace(integration string, kind driver.Kind, key string) string {
	return fmt.Sprintf("sqlstore/rejection/%q/%q/%q", integration, string(kind), key)
}

func (s *Store) sealRaw(r *importer.Rejection) ([]byte, error) {
	if s.keys == nil || len(r.Raw) == 0 {
		return nil, nil
	}
	return s.keys.Seal(rejectionPlace(r.Integration, r.Kind, r.Key), r.Raw)
}

func (s *Store) openRaw(r *importer.Rejection, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || s.keys == nil {
		return nil, nil
	}
	return s.keys.Open(rejectionPlace(r.Integration, r.Kind, r.Key), sealed)
}
