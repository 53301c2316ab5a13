package webhook

import (
	"cmp"
	"container/list"
	"context"
	"sync"
	"time"
)

// Version says which state of a record an event is about, as far as its partner tells.
type Version struct {
	At      time.Time // when the record was changed, by the partner's clock; zero: it does not tell
	Seq     int64     // breaks ties: a sequence number
	Rank    int       // breaks what ties remain: new 0, confirmed 1, cancelled 2
	Deleted bool
}

// Compare returns -1 if v is older than w, 1 if it is newer, and 0 if it cannot be told.
func (v Version) Compare(w Version) int {
	if v.At.IsZero() || w.At.IsZero() {
		return 0
	}
	return cmp.Or(v.At.Compare(w.At), cmp.Compare(v.Seq, w.Seq), cmp.Compare(v.Rank, w.Rank))
}

// Order keeps the events of a record in order: one at a time, and none that is older than one that was dealt with. It
// remembers the newest version of each record, that of a deleted one too, so that an old event does not bring it
// back. It is of this process, and bounded: the records that were longest not heard of are forgotten. Where records
// go through driver/importer, its store does all this durably, and Order only saves work.
//
// The zero Order is ready. It may be used by several goroutines at once.
type Order struct {
	Max int // records; 0: 100 000

	mu      sync.Mutex // guards the fields below
	records map[string]*list.Element
	heard   list.List // of *record, the latest at the back
	dropped int64
	late    int64
}

type record struct {
	name    string
	version Version
	known   bool          // version is set
	turn    chan struct{} // holds one value while nobody has the record
	users   int           // that have it or wait for it
}

// Do calls f, alone for this record, unless v is older than what was dealt with: then it returns false. Versions that
// cannot be compared, or are equal, are dealt with; a deleted record stays so for an event of the same version. What
// f returned without an error is what was dealt with. Do waits for its turn until ctx ends.
func (o *Order) Do(
	ctx context.Context, name string, v Version, f func(ctx context.Context) error,
) (done bool, err error) {
	r := o.enter(name)
	defer o.leave(r)
	select {
	case <-r.turn:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	defer func() { r.turn <- struct{}{} }()
	o.mu.Lock()
	age := v.Compare(r.version)
	late := r.known && (age < 0 || age == 0 && r.version.Deleted && !v.Deleted && !v.At.IsZero())
	if late {
		o.late++
	}
	o.mu.Unlock()
	if late {
		return false, nil
	}
	if err := f(ctx); err != nil {
		return false, err
	}
	if !v.At.IsZero() {
		o.mu.Lock()
		r.version, r.known = v, true
		o.mu.Unlock()
	}
	return true, nil
}

// Counts says how many records are remembered, how many were forgotten for others, and how many events came too late.
func (o *Order) Counts() (held int, forgotten, late int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.records), o.dropped, o.late
}

func (o *Order) enter(name string) *record {
	o.mu.Lock()
	defer o.mu.Unlock()
	if el, ok := o.records[name]; ok {
		o.heard.MoveToBack(el)
		r := el.Value.(*record)
		r.users++
		return r
	}
	limit := o.Max
	if limit <= 0 {
		limit = 100_000
	}
	for el := o.heard.Front(); el != nil && len(o.records) >= limit; {
		next := el.Next()
		if r := el.Value.(*record); r.users == 0 {
			delete(o.records, r.name)
			o.heard.Remove(el)
			o.dropped++
		}
		el = next
	}
	if o.records == nil {
		o.records = map[string]*list.Element{}
	}
	r := &record{name: name, turn: make(chan struct{}, 1), users: 1}
	r.turn <- struct{}{}
	o.records[name] = o.heard.PushBack(r)
	return r
}

func (o *Order) leave(r *record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.users--; r.users == 0 && !r.known { // nothing to remember
		if el := o.records[r.name]; el != nil {
			o.heard.Remove(el)
			delete(o.records, r.name)
		}
	}
}
