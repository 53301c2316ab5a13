package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver/importer"
)

// maxParents is how many parents one query names.
const maxParents = 500

// Records implements importer.Reader.
func (s *Store) Records(ctx context.Context, c importer.Collection, ids []string) ([]importer.Stored, error) {
	return s.reader().Records(ctx, c, ids)
}

// List implements importer.Reader. Without a limit it holds all that f selects: give one for what may be large.
func (s *Store) List(ctx context.Context, c importer.Collection, f importer.Filter) ([]importer.Stored, error) {
	return s.reader().List(ctx, c, f)
}

// Count implements importer.Reader.
func (s *Store) Count(ctx context.Context, c importer.Collection, f importer.Filter) (int, error) {
	return s.reader().Count(ctx, c, f)
}

// Raw implements importer.Reader.
func (s *Store) Raw(ctx context.Context, c importer.Collection, id string) (json.RawMessage, error) {
	return s.reader().Raw(ctx, c, id)
}

// Records reads by id, in as few queries of three sizes as there are statements for.
func (q *session) Records(ctx context.Context, c importer.Collection, ids []string) ([]importer.Stored, error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	out := make([]importer.Stored, 0, len(ids))
	var args [2 + 128]any
	args[0], args[1] = c.Integration, string(c.Kind)
	for len(ids) > 0 {
		n, size := qRecords1, 1
		switch {
		case len(ids) > 16:
			n, size = qRecords128, 128
		case len(ids) > 1:
			n, size = qRecords16, 16
		}
		chunk := ids[:min(size, len(ids))]
		ids = ids[len(chunk):]
		for i := range size {
			args[2+i] = chunk[min(i, len(chunk)-1)]
		}
		rows, err := q.query(ctx, n, args[:2+size]...)
		if err == nil {
			out, err = scanRecords(out, rows, c)
		}
		if err != nil {
			return nil, q.s.failed(ctx, of("read records", c), err)
		}
	}
	return out, nil
}

// List puts the query together that f asks for.
func (q *session) List(ctx context.Context, c importer.Collection, f importer.Filter) ([]importer.Stored, error) {
	var out []importer.Stored
	chunks := parentChunks(f.Parents)
	for _, parents := range chunks {
		text, args, err := listing(c, f, parents)
		if err != nil {
			return nil, q.s.failed(ctx, of("list records", c), err)
		}
		rows, err := q.adHoc(ctx, text, args...)
		if err == nil {
			out, err = scanRecords(out, rows, c)
		}
		if err != nil {
			return nil, q.s.failed(ctx, of("list records", c), err)
		}
	}
	if len(chunks) > 1 {
		slices.SortFunc(out, func(a, b importer.Stored) int { return cmp.Compare(a.ID, b.ID) })
		if f.Limit > 0 && len(out) > f.Limit {
			out = out[:f.Limit]
		}
	}
	return out, nil
}

// listing is the query that lists what f selects.
func listing(c importer.Collection, f importer.Filter, parents []string) (string, []any, error) {
	where, args, err := conditions(c, f, parents)
	order := "id"
	if len(parents) > 0 {
		// Not by an index: one that gives the ids in order is read from end to end for a handful of parents.
		order = "id || ''"
	}
	text := "SELECT " + columns + " FROM ik_records WHERE " + where + " ORDER BY " + order
	if f.Limit > 0 {
		text += " LIMIT ?"
		args = append(args, f.Limit)
	}
	return text, args, err
}

// Count counts what List returns without a limit.
func (q *session) Count(ctx context.Context, c importer.Collection, f importer.Filter) (int, error) {
	total := 0
	for _, parents := range parentChunks(f.Parents) {
		where, args, err := conditions(c, f, parents)
		if err != nil {
			return 0, q.s.failed(ctx, of("count records", c), err)
		}
		n, err := q.count(ctx, "SELECT count(*) FROM ik_records WHERE "+where, args...)
		if err != nil {
			return 0, q.s.failed(ctx, of("count records", c), err)
		}
		total += n
	}
	return total, nil
}

func (q *session) count(ctx context.Context, text string, args ...any) (n int, err error) {
	rows, err := q.adHoc(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			return 0, err
		}
	}
	return n, rows.Err()
}

// Raw reads the item as the partner sent it.
func (q *session) Raw(ctx context.Context, c importer.Collection, id string) (json.RawMessage, error) {
	var raw []byte
	_, err := q.one(ctx, qRaw, []any{&raw}, c.Integration, string(c.Kind), id)
	return raw, q.s.failed(ctx, of("read a raw item", c), err)
}

// parentChunks splits parents into what one query can name, each once; no parents are one chunk of none.
func parentChunks(parents []string) [][]string {
	if len(parents) <= 1 {
		return [][]string{parents}
	}
	parents = slices.Clone(parents)
	slices.Sort(parents)
	return slices.Collect(slices.Chunk(slices.Compact(parents), maxParents))
}

// conditions translates a filter. It is importer.Filter.Matches in SQL, with erased records left out.
func conditions(c importer.Collection, f importer.Filter, parents []string) (string, []any, error) {
	var b strings.Builder
	b.WriteString("integration = ? AND kind = ? AND erased = 0")
	args := []any{c.Integration, string(c.Kind)}
	var e encoder
	add := func(text string, a ...any) {
		b.WriteString(" AND " + text)
		args = append(args, a...)
	}
	if f.After != "" {
		add("id > ?", f.After)
	}
	if f.Live {
		add("deleted_at = 0")
	}
	if f.Unseen != 0 {
		add("generation <> ?", f.Unseen)
	}
	if !f.FetchedBefore.IsZero() {
		add("last_fetched < ?", e.time(f.FetchedBefore))
	}
	if !f.ChangedSince.IsZero() {
		add("changed_at >= ?", e.time(f.ChangedSince))
	}
	if len(parents) > 0 {
		add("parent IN (" + marks(len(parents)) + ")")
		for _, p := range parents {
			args = append(args, p)
		}
	}
	return b.String(), args, e.err
}

// scanRecords appends the rows to out and closes them.
func scanRecords(out []importer.Stored, rows *sql.Rows, c importer.Collection) ([]importer.Stored, error) {
	defer rows.Close()
	var r recordRow
	for rows.Next() {
		stored, err := r.scan(rows)
		if err != nil {
			return nil, err
		}
		stored.Collection = c
		out = append(out, stored)
	}
	return out, rows.Err()
}

// recordRow is what one row is scanned into, before some values that are converted. It may be used again.
type recordRow struct {
	v       importer.Stored
	older   string
	updated int64
	first   int64
	last    int64
	changed int64
	deleted int64
	doc     string
	dest    []any
}

func (r *recordRow) scan(rows *sql.Rows, before ...any) (importer.Stored, error) {
	if r.dest == nil {
		r.dest = append(before, &r.v.ID, &r.v.Parent, &r.v.Hash, &r.v.RawHash, &r.v.Version, &r.v.Generation,
			&r.v.Stamp.Updated, &r.v.Stamp.Sent, &r.older, &r.updated, &r.first, &r.last, &r.changed, &r.deleted,
			&r.v.Erased, &r.v.AdapterVersion, &r.doc)
	}
	if err := rows.Scan(r.dest...); err != nil {
		return importer.Stored{}, err
	}
	s := r.v
	s.Document = json.RawMessage(r.doc)
	s.UpdatedAt, s.FirstFetched, s.LastFetched = instant(r.updated), instant(r.first), instant(r.last)
	s.ChangedAt, s.DeletedAt = instant(r.changed), instant(r.deleted)
	if r.older != "" {
		if err := json.Unmarshal([]byte(r.older), &s.Older); err != nil {
			return importer.Stored{}, errors.New("the stamps of a record cannot be read")
		}
	}
	return s, nil
}

// instant is the reverse of encoder.time.
func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// encoder turns values into what is stored. It keeps the first thing that went wrong.
type encoder struct{ err error }

// time returns t in nanoseconds since 1970, 0 for the zero time. The instant 1970-01-01T00:00:00Z itself is taken for
// no time.
func (e *encoder) time(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	ns := t.UnixNano()
	if !time.Unix(0, ns).Equal(t) && e.err == nil {
		e.err = errors.New("a time is out of range: stored are the years 1678 to 2261")
	}
	return ns
}

// json returns v encoded.
func (e *encoder) json(v any) string {
	b, err := json.Marshal(v)
	if err != nil && e.err == nil {
		e.err = err
	}
	return string(b)
}

func (e *encoder) flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
