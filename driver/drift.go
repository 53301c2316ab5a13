package driver

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Change is how a field differs from what a driver knows of it.
type Change string

// The changes.
const (
	// ChangeMissing: a field did not come that always came.
	ChangeMissing Change = "missing"
	// ChangeType: a field came in another form: a text in place of a number, one object in place of an array.
	ChangeType Change = "type"
	// ChangeValue: a field came in its form, with a value that the driver does not know or cannot be: a new status.
	ChangeValue Change = "value"
)

// Oddity is one field of one answer that is not as the driver's author knows it. It holds no value of the answer.
type Oddity struct {
	// Kind is what was decoded: [KindResource], [KindTransaction]; for an envelope the operation: "listings.list".
	Kind Kind
	// ID is the record's, "" when there is none.
	ID string
	// Field is the field's place by names of the driver's own: "money.invoiceItems[].amount". What a partner can name is "*" in it, so that
	// there are few of them.
	Field string
	// Change is what kind of difference it is.
	Change Change
	// Lost says that the field could not be understood and was left out of the record.
	Lost bool
	// Detail says it for people, in the driver's words: "a text in place of a number".
	Detail string
}

// DriftCount is how often one field was odd in one way since the process began.
type DriftCount struct {
	Partner string    `json:"partner"`
	Kind    Kind      `json:"kind"`
	Field   string    `json:"field"`
	Change  Change    `json:"change"`
	Lost    int64     `json:"lost"`   // how often the field could not be understood
	Detail  string    `json:"detail"` // of the last one, and so the next two
	ID      string    `json:"id,omitempty"`
	Of      string    `json:"integration,omitempty"`
	Count   int64     `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// MaxDrift bounds the fields that a [Drift] tells apart; what is beyond it is counted under the field [OtherFields] of its partner.
const (
	MaxDrift    = 1000
	OtherFields = "(others)"
)

// Drift counts oddities by partner, kind, field and change: the signal that a partner changed its answers. A [Registry] has one (see
// [Registry.Drift]); Telemetry.Drift replaces it. The zero Drift is ready, and safe for concurrent use. It must not be copied.
//
// Production is tolerant: an oddity is counted and the item goes on. A test is strict by OnOddity:
//
//	drift := &driver.Drift{OnOddity: func(_ context.Context, partner string, o driver.Oddity) { t.Errorf("%s: %+v", partner, o) }}
type Drift struct {
	// OnOddity, if set before first use, is told of each oddity, by the goroutine that decodes. It may be called by several at once.
	OnOddity func(ctx context.Context, partner string, o Oddity)

	mu sync.Mutex
	m  map[driftKey]*DriftCount
}

type driftKey struct {
	partner string
	kind    Kind
	field   string
	change  Change
}

// Snapshot returns what was counted, by partner, kind, field and change.
func (d *Drift) Snapshot() []DriftCount {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]DriftCount, 0, len(d.m))
	for _, c := range d.m {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b DriftCount) int {
		return cmp.Or(cmp.Compare(a.Partner, b.Partner), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Change, b.Change))
	})
	return all
}

// add counts o, and returns the field that it was counted under and whether it is the first of its kind.
func (d *Drift) add(partner, integration string, o Oddity, now time.Time) (field string, first bool) {
	key := driftKey{partner, o.Kind, o.Field, o.Change}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.m[key]
	if c == nil && len(d.m) >= MaxDrift {
		key = driftKey{partner: partner, kind: o.Kind, field: OtherFields, change: o.Change}
		c = d.m[key]
	}
	if c == nil {
		if d.m == nil {
			d.m = map[driftKey]*DriftCount{}
		}
		c = &DriftCount{Partner: partner, Kind: key.kind, Field: key.field, Change: key.change, First: now}
		d.m[key] = c
		first = true
	}
	c.Count++
	if o.Lost {
		c.Lost++
	}
	c.Detail, c.ID, c.Of, c.Last = o.Detail, o.ID, integration, now
	return key.field, first
}

// Report counts oddities of an answer: in the client's [Drift], in the metric integrationkit.decode.oddities, and in the log, where each
// field and change is told of once at level Warn and at level Debug from then on. Package wire calls it; a driver that decodes
// otherwise calls it itself.
func (c *Client) Report(ctx context.Context, found ...Oddity) {
	now := time.Now()
	for _, o := range found {
		field, first := c.drift.add(c.c.Partner, c.c.Integration, o, now)
		c.telemetry.oddity(ctx, c, o, field, first)
		if c.drift.OnOddity != nil {
			c.drift.OnOddity(ctx, c.c.Partner, o)
		}
	}
}
