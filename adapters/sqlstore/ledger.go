package sqlstore

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// Ledger returns the store as an importer.Ledger, whose Find is a part of the [Store.Update] that it is called in.
// [Store.Prune] removes what is older than its time.
func (s *Store) Ledger() importer.Ledger { return ledger{s} }

type ledger struct{ s *Store }

// Hear implements importer.Ledger.
func (l ledger) Hear(ctx context.Context, c importer.Collection, id string, at time.Time) error {
	what := of("note a webhook about a record", c)
	if c.Integration == "" || c.Kind == "" || id == "" || at.IsZero() {
		return errors.New("sqlstore: a webhook about nothing, or without a time, cannot be noted")
	}
	var enc encoder
	ns := enc.time(at)
	if enc.err != nil {
		return l.s.failed(ctx, what, enc.err)
	}
	return l.s.within(ctx, what, func(ctx context.Context, q *session) error {
		_, err := q.exec(ctx, qHear, c.Integration, string(c.Kind), id, ns)
		return l.s.failed(ctx, what, err)
	})
}

// Find implements importer.Ledger.
func (l ledger) Find(ctx context.Context, found []importer.Found) error {
	const what = "note what changed"
	return l.s.within(ctx, what, func(ctx context.Context, q *session) error {
		for _, f := range found {
			var enc encoder
			since, at := enc.time(f.Since), enc.time(f.At)
			err := enc.err
			if err == nil {
				_, err = q.exec(ctx, qFind, f.Integration, string(f.Kind), f.ID, f.Version, enc.flag(f.ByWebhook), since, at)
			}
			if err != nil {
				return l.s.failed(ctx, of(what, f.Collection), err)
			}
		}
		return nil
	})
}

// tally counts by collection. A change is told of if a webhook about its record came in the time.
const tally = `SELECT integration, kind,
	count(CASE WHEN by_webhook = 1 THEN 1 END),
	count(CASE WHEN by_webhook = 0 AND told THEN 1 END),
	count(CASE WHEN by_webhook = 0 AND NOT told AND at < ? THEN 1 END),
	count(CASE WHEN by_webhook = 0 AND NOT told AND at >= ? THEN 1 END)
FROM (SELECT integration, kind, by_webhook, at, by_webhook = 0 AND EXISTS (SELECT 1 FROM ik_heard h
	WHERE h.integration = f.integration AND h.kind = f.kind AND h.id = f.id
	AND h.at BETWEEN f.since - ? AND f.at + ?) AS told
	FROM ik_found f WHERE f.at >= ? AND f.at < ?) AS counted
GROUP BY integration, kind ORDER BY integration, kind`

// Tally implements importer.Ledger.
func (l ledger) Tally(ctx context.Context, q importer.TallyQuery) ([]importer.Tally, error) {
	const what = "count what webhooks told"
	q = q.WithDefaults()
	var enc encoder
	from, to, settled := enc.time(q.From), enc.time(q.To), enc.time(q.Now.Add(-q.Grace))
	if q.From.IsZero() {
		from = math.MinInt64
	}
	if q.To.IsZero() {
		to = math.MaxInt64
	}
	if enc.err != nil {
		return nil, l.s.failed(ctx, what, enc.err)
	}
	rows, err := l.s.reader().adHoc(ctx, tally, settled, settled, int64(importer.Skew), int64(q.Grace), from, to)
	if err != nil {
		return nil, l.s.failed(ctx, what, err)
	}
	defer rows.Close()
	var all []importer.Tally
	for rows.Next() {
		var t importer.Tally
		var kind string
		if err := rows.Scan(&t.Integration, &kind, &t.ByWebhook, &t.Raced, &t.Missed, &t.Pending); err != nil {
			return nil, l.s.failed(ctx, what, err)
		}
		t.Kind = driver.Kind(kind)
		all = append(all, t)
	}
	return all, l.s.failed(ctx, what, rows.Err())
}
