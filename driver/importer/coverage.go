package importer

import (
	"context"
	"errors"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/webhook"
)

// Ledger remembers which records webhooks told of, and which records changed, so that it can be counted what webhooks
// missed. Its methods may be called by several goroutines, and processes where it is shared. importertest.Ledger tells
// whether an implementation keeps to this.
type Ledger interface {
	// Hear notes that a webhook which arrived at the time told of a record. Twice is once.
	Hear(ctx context.Context, c Collection, id string, at time.Time) error
	// Find notes changes that were stored. Within [Store.Update] of a store that keeps both, it is a part of the
	// transaction. The same collection, ID and version twice is once.
	Find(ctx context.Context, found []Found) error
	// Tally counts, for each collection in order, what was found from q.From on and before q.To.
	Tally(ctx context.Context, q TallyQuery) ([]Tally, error)
}

// Found is one change that was stored.
type Found struct {
	Collection
	ID      string
	Version int64
	// ByWebhook says that it was stored because of a webhook ([Apply]); otherwise a listing showed it first.
	ByWebhook bool
	// Since is the earliest time at which the record can have changed. A webhook that arrived before was about
	// something else.
	Since time.Time
	At    time.Time // when it was stored
}

// TallyQuery says what is counted.
type TallyQuery struct {
	From, To time.Time // of Found.At; zero: no limit
	// Grace is how long after a listing showed a change its webhook may still arrive: what partners' first few repeats
	// take. 0: an hour.
	Grace time.Duration
	Now   time.Time // zero: now
}

// Skew is how far the clocks of a partner and of this process may be apart: a webhook counts that arrived so long
// before the change it is about.
const Skew = time.Minute

// Tally says how the changes of one collection came to be known.
type Tally struct {
	Collection
	ByWebhook int64 // a webhook brought them
	Raced     int64 // a listing showed them first, and their webhook arrived too, before it or within the grace after it
	Missed    int64 // a listing showed them, and no webhook came
	Pending   int64 // a listing showed them, no webhook has come, and it still may
}

// Share is the part of the changes known so far that webhooks told of, from 0 to 1; 1 if there was none.
func (t Tally) Share() float64 {
	told, all := t.ByWebhook+t.Raced, t.ByWebhook+t.Raced+t.Missed
	if all == 0 {
		return 1
	}
	return float64(told) / float64(all)
}

// WithDefaults returns q with what is zero filled in: for implementations of [Ledger].
func (q TallyQuery) WithDefaults() TallyQuery {
	if q.Grace == 0 {
		q.Grace = time.Hour
	}
	if q.Now.IsZero() {
		q.Now = time.Now()
	}
	return q
}

// Coverage measures, for one integration, how much of what changes its webhooks tell, and how much is known only
// because imports go on: what webhooks missed, by [Ledger.Tally]. Imports and webhooks overtake each other, so that a
// listing showed a change first is no miss in itself. One is that no webhook about the record arrived from when the
// record changed, by the partner's time of update, until the grace after the listing showed it. A webhook about an
// earlier change of the record does not count, nor does one that failed, or waits in a queue, count as a miss: it
// arrived. A hint, which anybody may have sent, counts from when it was confirmed.
//
// A record whose time of update did not move, and one that is gone, changed some time after it was seen last
// ([Change.Earliest]): any webhook since then counts.
type Coverage struct {
	Ledger Ledger // required
	// Since is when the integration's webhooks were registered; where the partner has no times of update, when the first
	// import after that was done. What changed before is not counted. Zero: all is.
	Since time.Time
	// Next is told of the changes, too, as [Config].OnChanges is. Nil: nobody is.
	Next func(ctx context.Context, c ChangeSet) error
}

// Listed is the [Config].OnChanges of a [Run].
func (v Coverage) Listed(ctx context.Context, c ChangeSet) error { return v.changed(ctx, c, false) }

// Brought is the [Config].OnChanges of an [Apply] that a webhook caused.
func (v Coverage) Brought(ctx context.Context, c ChangeSet) error { return v.changed(ctx, c, true) }

func (v Coverage) changed(ctx context.Context, c ChangeSet, byWebhook bool) error {
	if v.Ledger == nil {
		return errors.New("importer: Coverage.Ledger is nil")
	}
	var found []Found
	for _, ch := range c.Changes {
		since := ch.Earliest
		switch {
		case since.IsZero():
			since = v.Since // a new one: whatever was told of it
		case since.After(ch.At):
			since = ch.At // by a clock that is ahead
		}
		if !since.Before(v.Since) && !ch.At.Before(v.Since) {
			found = append(found, Found{
				Collection: c.Collection, ID: ch.ID, Version: ch.Version, ByWebhook: byWebhook, Since: since, At: ch.At,
			})
		}
	}
	if len(found) > 0 {
		if err := v.Ledger.Find(ctx, found); err != nil {
			return err
		}
	}
	if v.Next == nil {
		return nil
	}
	return v.Next(ctx, c)
}

// Hear returns a webhook.Router's OnNotice: it notes in the ledger which records webhooks told of, whatever becomes of
// them afterwards. The router tells of a hint when it was confirmed, so that a stranger who sends some does not make
// missing webhooks look as if they had come.
func Hear(l Ledger) func(ctx context.Context, n webhook.Notice) error {
	return func(ctx context.Context, n webhook.Notice) error {
		for _, kind := range []driver.Kind{driver.KindResource, driver.KindTransaction, driver.KindMedia} {
			if n.Of(string(kind)) && n.Record != "" && n.Event.Integration != "" {
				return l.Hear(ctx, Collection{n.Event.Integration, kind}, n.Record, n.Event.ReceivedAt)
			}
		}
		return nil
	}
}
