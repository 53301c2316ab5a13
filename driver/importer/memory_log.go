package importer

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"time"
)

// Events implements [Store].
func (m *Memory) Events(ctx context.Context, integration string, after int64, limit int) ([]Event, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Event
	i, found := slices.BinarySearchFunc(m.events, after, func(e Event, seq int64) int { return cmp.Compare(e.Seq, seq) })
	if found {
		i++
	}
	for _, e := range m.events[i:] {
		if len(out) >= limit {
			break
		}
		if integration == "" || e.Integration == integration {
			out = append(out, e)
		}
	}
	return out, nil
}

// Rejections implements [Store].
func (m *Memory) Rejections(ctx context.Context, c Collection, after string, limit int) ([]Rejection, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Rejection
	for _, key := range slices.Sorted(maps.Keys(m.rejections[c])) {
		if (key > after || after == "") && len(out) < limit {
			r := m.rejections[c][key]
			r.Raw = slices.Clone(r.Raw)
			out = append(out, r)
		}
	}
	return out, nil
}

// Prune implements [Store].
func (m *Memory) Prune(ctx context.Context, before time.Time) (int64, error) {
	if err := m.begin(ctx); err != nil {
		return 0, err
	}
	defer func() { <-m.turn }()
	m.mu.Lock()
	defer m.mu.Unlock()
	var n int64
	kept := slices.DeleteFunc(m.events, func(e Event) bool { return e.At.Before(before) })
	n += int64(len(m.events) - len(kept))
	m.events = kept
	n += m.dropMessages(func(k KeptMessage) bool { return k.Received.Before(before) })
	for _, rejections := range m.rejections {
		maps.DeleteFunc(rejections, func(_ string, r Rejection) bool {
			old := r.Last.Before(before)
			if old {
				n++
			}
			return old
		})
	}
	for c, records := range m.records {
		maps.DeleteFunc(records, func(_ string, s Stored) bool {
			old := !s.Erased && !s.DeletedAt.IsZero() && s.DeletedAt.Before(before)
			if old {
				n++
			}
			return old
		})
		delete(m.order, c)
	}
	return n, nil
}

// Erase implements [Store].
func (m *Memory) Erase(ctx context.Context, c Collection, id string) error {
	err := m.Update(ctx, func(ctx context.Context, tx Tx) error {
		known, err := tx.Records(ctx, c, []string{id})
		if err != nil {
			return err
		}
		s := Tombstone(c, id, wall(time.Now()))
		if len(known) > 0 {
			s.Version = known[0].Version + 1
		}
		if len(known) == 0 || !known[0].Erased {
			if err := tx.PutRecords(ctx, []Stored{s}); err != nil {
				return err
			}
		}
		return tx.DeleteRejections(ctx, c, []string{id})
	})
	if err == nil {
		m.eraseMessages(c, id)
	}
	return err
}

// Dump writes the content of the store in a canonical form; see [DumpRecord].
func (m *Memory) Dump(ctx context.Context, w io.Writer) error {
	m.mu.Lock()
	cs := slices.Collect(maps.Keys(m.records))
	var rejections []Rejection
	for _, r := range m.rejections {
		rejections = slices.AppendSeq(rejections, maps.Values(r))
	}
	events := slices.Clone(m.events)
	m.mu.Unlock()
	slices.SortFunc(cs, compareCollections)
	for _, c := range cs {
		list, err := m.List(ctx, c, Filter{})
		if err != nil {
			return err
		}
		for _, s := range list {
			if _, err := w.Write(DumpRecord(s)); err != nil {
				return err
			}
		}
	}
	slices.SortFunc(rejections, func(a, b Rejection) int {
		return cmp.Or(compareCollections(a.Collection, b.Collection), cmp.Compare(a.Key, b.Key))
	})
	for _, r := range rejections {
		if _, err := w.Write(DumpRejection(r)); err != nil {
			return err
		}
	}
	slices.SortFunc(events, func(a, b Event) int {
		return cmp.Or(compareCollections(a.Collection, b.Collection), cmp.Compare(a.ID, b.ID),
			cmp.Compare(a.Version, b.Version), cmp.Compare(a.Seq, b.Seq))
	})
	for _, e := range events {
		if _, err := w.Write(DumpEvent(e)); err != nil {
			return err
		}
	}
	return m.dumpMessages(w)
}

func compareCollections(a, b Collection) int {
	return cmp.Or(cmp.Compare(a.Integration, b.Integration), cmp.Compare(a.Kind, b.Kind))
}
