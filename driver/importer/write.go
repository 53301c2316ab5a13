package importer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

// batch is what one transaction brings in.
type batch struct {
	observations []observation
	seen         []string // ids that were shown but are not imported: skipped or rejected
	rejections   []Rejection
	items        int
	skipped      int
	nameless     int
	sent         time.Time // the earliest
	newest       time.Time
	undated      bool
}

func kindOf(rec any) driver.Kind {
	switch rec.(type) {
	case *driver.Resource:
		return driver.KindResource
	case *driver.Transaction:
		return driver.KindTransaction
	case *driver.Media:
		return driver.KindMedia
	}
	return ""
}

// prepare applies the host's rules and the validation to rec, and adds what is left of it to b.
func (r *run) prepare(ctx context.Context, b *batch, c Collection, rec any, sent time.Time) {
	base := recordOf(rec)
	b.items++
	b.at(sent)
	id, raw := base.ID, base.Raw
	err := r.process(ctx, rec)
	if errors.Is(err, ErrSkip) {
		b.skipped++
		b.seen = append(b.seen, id)
		return
	}
	if err == nil {
		err = check(rec, id)
	}
	var o observation
	if err == nil {
		o, err = observe(rec, sent)
	}
	if err != nil {
		b.rejection(c, id, raw, err, sent)
		return
	}
	b.observations = append(b.observations, o)
	b.undated = b.undated || o.updatedAt.IsZero()
	if o.updatedAt.After(b.newest) {
		b.newest = o.updatedAt
	}
}

// process calls the host's hook.
func (r *run) process(ctx context.Context, rec any) (err error) {
	if r.Process == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in Process: %T", p) // its value may hold the record
		}
	}()
	return r.Process(ctx, rec)
}

// check refuses a record that cannot be stored.
func check(rec any, id string) error {
	if recordOf(rec).ID != id {
		return errors.New("its id was changed by Process")
	}
	if err := driver.Validate(rec); err != nil {
		return err
	}
	parent := ""
	switch r := rec.(type) {
	case *driver.Transaction:
		parent = r.ResourceID.Or("")
	case *driver.Media:
		parent = r.ResourceID
	}
	switch {
	case !storable(id):
		return errors.New("its id cannot be stored")
	case !storable(parent):
		return errors.New("its resource_id cannot be stored")
	}
	return nil
}

// maxID bounds what a store is asked to take as an id or key, in bytes.
const maxID = 1 << 10

// storable reports whether every store can take s as an id.
func storable(s string) bool {
	return len(s) <= maxID && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

func (b *batch) at(sent time.Time) {
	if b.sent.IsZero() || sent.Before(b.sent) {
		b.sent = sent
	}
}

// reject adds the items of a page that could not be understood.
func (b *batch) reject(c Collection, rejected []pagination.Rejected, sent time.Time) {
	for _, r := range rejected {
		b.items++
		b.at(sent)
		err := r.Err
		if err == nil {
			err = errors.New("could not be understood")
		}
		b.rejection(c, r.ID, r.Raw, err, sent)
	}
}

// maxReason bounds the text of a rejection.
const maxReason = 500

func (b *batch) rejection(c Collection, id string, raw []byte, why error, sent time.Time) {
	reason := reason(why)
	key := id
	switch {
	case id == "":
		b.nameless++
		key = "sha256:" + hashOf(append([]byte(reason), raw...))
	case !storable(id): // so nothing is stored under it that could be taken for gone
		key, id = "sha256:"+hashOf([]byte(id)), ""
	default:
		b.seen = append(b.seen, id)
	}
	if len(raw) > pagination.MaxRaw {
		raw = raw[:pagination.MaxRaw]
	}
	b.rejections = append(b.rejections, Rejection{
		Collection: c, Key: key, ID: id, Reason: reason, Raw: slices.Clone(raw),
		First: wall(sent), Last: wall(sent), Count: 1,
	})
}

// reason is the text of an error as it is stored.
func reason(err error) string {
	text := err.Error()
	if len(text) > maxReason {
		text = text[:maxReason]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
}

// write compares a batch with what is stored and writes the difference. generation 0 leaves the records' as it is.
func write(
	ctx context.Context, tx Tx, c Collection, b *batch, generation int64, run string, now time.Time,
) (Counts, []Change, error) {
	n := Counts{Items: b.items, Skipped: b.skipped, Rejected: len(b.rejections)}
	byID := make(map[string][]observation, len(b.observations))
	ids := make([]string, 0, len(b.observations)+len(b.seen))
	for _, o := range b.observations {
		if byID[o.id] == nil {
			ids = append(ids, o.id)
		} else {
			n.Unchanged++ // a second showing of the same record
		}
		byID[o.id] = append(byID[o.id], o)
	}
	imported := len(ids)
	for _, id := range b.seen {
		if byID[id] == nil {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 && len(b.rejections) == 0 {
		return n, nil, nil
	}
	known, err := tx.Records(ctx, c, append(named(byID), ids...))
	if err != nil {
		return n, nil, err
	}
	stored := make(map[string]*Stored, len(known))
	for i := range known {
		stored[known[i].ID] = &known[i]
	}
	var put, touch []Stored
	var changes []Change
	for _, id := range ids[:imported] {
		old := stored[id]
		from, gone := takeOver(id, byID[id], stored, ids, generation)
		if gone && (old == nil || !old.Erased) {
			put = append(put, Tombstone(c, id, now))
			n.Skipped++
			continue
		}
		isNew := old == nil && len(from) > 0
		if isNew {
			if old, err = from[0].renamed(id); err != nil {
				return n, nil, err
			}
		}
		s, what, fields, err := merge(old, byID[id], now)
		if err != nil {
			return n, nil, err
		}
		s.Collection = c
		rest := from // what is not in s yet
		if isNew {
			rest = from[1:]
		}
		if len(rest) > 0 && what != erased {
			if s, what, fields, err = s.absorb(rest, old, what, now); err != nil {
				return n, nil, err
			}
		}
		for _, m := range from {
			if err := m.merged(id, byID[id], now); err != nil {
				return n, nil, err
			}
			n.Merged++
			put = append(put, *m)
			changes = append(changes, Change{
				Event:    Event{Collection: c, ID: m.ID, Version: m.Version, Change: Merged, At: now, Run: run},
				Document: m.Document, Fields: []string{"aliases"}, Earliest: m.LastFetched, into: id,
			})
		}
		if isNew {
			// Whatever the observation is to what was there, the record is new under its id: all of it is written.
			what, fields = updated, append(fields, "id")
			newest := slices.MaxFunc(byID[id], func(a, b observation) int { return a.stamp.Compare(b.stamp) })
			s.Raw, s.RawHash = newest.raw, newest.rawHash
		}
		if generation != 0 && what != erased {
			s.Generation = generation
		}
		change := Updated
		switch what {
		case erased:
			n.Skipped++
			continue
		case unchanged, stale:
			if what == stale {
				n.Stale++
			} else {
				n.Unchanged++
			}
			if s.RawHash != old.RawHash {
				put = append(put, s)
			} else if !s.sameTouch(old) {
				touch = append(touch, s)
			}
			continue
		case added:
			n.Added++
			change = Added
		case restored:
			n.Restored++
			change = Restored
		case updated:
			n.Updated++
			if !isNew && !s.DeletedAt.IsZero() {
				// A late observation of a record that is gone: kept, and no news to anybody.
				put = append(put, s)
				continue
			}
		}
		if change == Added {
			fields = nil
		}
		put = append(put, s)
		changes = append(changes, Change{
			Event:    Event{Collection: c, ID: id, Version: s.Version, Change: change, At: now, Run: run},
			Document: s.Document, Fields: fields, Earliest: earliest(old, &s),
		})
	}
	done := map[string]bool{}
	for _, id := range b.seen {
		s := stored[id]
		if s == nil || s.Erased || byID[id] != nil || done[id] {
			continue
		}
		done[id] = true
		if generation != 0 {
			s.Generation = generation
		}
		if sent := wall(b.sent); sent.After(s.LastFetched) {
			s.LastFetched = sent
		}
		touch = append(touch, *s)
	}
	if len(put) > 0 {
		if err := tx.PutRecords(ctx, put); err != nil {
			return n, nil, err
		}
	}
	if len(touch) > 0 {
		if err := tx.TouchRecords(ctx, touch); err != nil {
			return n, nil, err
		}
	}
	if imported > 0 {
		if err := tx.DeleteRejections(ctx, c, ids[:imported]); err != nil {
			return n, nil, err
		}
	}
	if rejections := b.worth(byID, stored); len(rejections) > 0 {
		if err := tx.PutRejections(ctx, rejections); err != nil {
			return n, nil, err
		}
	}
	return n, changes, nil
}

// sameTouch reports whether TouchRecords would write what is there.
func (s *Stored) sameTouch(old *Stored) bool {
	return s.Generation == old.Generation && s.Stamp == old.Stamp && s.UpdatedAt.Equal(old.UpdatedAt) &&
		s.AdapterVersion == old.AdapterVersion && s.FirstFetched.Equal(old.FirstFetched) &&
		s.LastFetched.Equal(old.LastFetched) && maps.Equal(s.Older, old.Older)
}

// worth returns the rejections that are to be stored: not those of records that were imported from the same batch,
// nor of erased ones, and one for each key.
func (b *batch) worth(imported map[string][]observation, stored map[string]*Stored) []Rejection {
	var out []Rejection
	seen := map[string]int{}
	for _, r := range b.rejections {
		if imported[r.ID] != nil && r.ID != "" || stored[r.ID] != nil && stored[r.ID].Erased {
			continue
		}
		if i, ok := seen[r.Key]; ok {
			out[i].Count++
			continue
		}
		seen[r.Key] = len(out)
		out = append(out, r)
	}
	return out
}

// earliest is [Change.Earliest] of what s is after old.
func earliest(old, s *Stored) time.Time {
	switch {
	case old == nil:
		return s.UpdatedAt
	case s.UpdatedAt.After(old.UpdatedAt):
		return s.UpdatedAt
	}
	return old.LastFetched
}

// remove marks records as deleted; DeletedAt is set already.
func remove(
	ctx context.Context, tx Tx, c Collection, gone []Stored, run string, now time.Time,
) (Counts, []Change, error) {
	changes := make([]Change, 0, len(gone))
	for i := range gone {
		s := &gone[i]
		s.ChangedAt = now
		s.Version++
		changes = append(changes, Change{
			Event:    Event{Collection: c, ID: s.ID, Version: s.Version, Change: Deleted, At: now, Run: run},
			Document: s.Document, Earliest: s.LastFetched,
		})
	}
	if len(gone) == 0 {
		return Counts{}, nil, nil
	}
	return Counts{Deleted: len(gone)}, changes, tx.PutRecords(ctx, gone)
}
