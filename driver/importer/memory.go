package importer

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a [Store] in memory, for tests and for imports that need not outlive the process. Use [NewMemory].
type Memory struct {
	turn chan struct{} // held by the one transaction that runs

	mu          sync.Mutex // guards the fields below
	records     map[Collection]map[string]Stored
	order       map[Collection][]string // sorted ids; absent after an insertion
	rejections  map[Collection]map[string]Rejection
	checkpoints map[Collection]Checkpoint
	events      []Event
	seq         int64
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{
		turn: make(chan struct{}, 1), records: map[Collection]map[string]Stored{}, order: map[Collection][]string{},
		rejections: map[Collection]map[string]Rejection{}, checkpoints: map[Collection]Checkpoint{},
	}
}

// memoryTx collects what a transaction writes.
type memoryTx struct {
	m           *Memory
	records     map[Collection]map[string]Stored
	rejections  map[Collection]map[string]*Rejection // nil: deleted
	checkpoints map[Collection]Checkpoint
	events      []Event
}

func (m *Memory) begin(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	select {
	case m.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Update implements [Store].
func (m *Memory) Update(ctx context.Context, f func(ctx context.Context, tx Tx) error) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	defer func() { <-m.turn }()
	tx := &memoryTx{
		m: m, records: map[Collection]map[string]Stored{}, rejections: map[Collection]map[string]*Rejection{}, checkpoints: map[Collection]Checkpoint{},
	}
	if err := f(ctx, tx); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for c, records := range tx.records {
		if m.records[c] == nil {
			m.records[c] = map[string]Stored{}
		}
		before := len(m.records[c])
		maps.Copy(m.records[c], records)
		if len(m.records[c]) != before {
			delete(m.order, c)
		}
	}
	for c, rejections := range tx.rejections {
		if m.rejections[c] == nil {
			m.rejections[c] = map[string]Rejection{}
		}
		for key, r := range rejections {
			if r == nil {
				delete(m.rejections[c], key)
			} else {
				m.rejections[c][key] = *r
			}
		}
	}
	maps.Copy(m.checkpoints, tx.checkpoints)
	for _, e := range tx.events {
		m.seq++
		e.Seq = m.seq
		m.events = append(m.events, e)
	}
	return nil
}

// view returns what a reader outside a transaction sees.
func (m *Memory) view() *memoryTx { return &memoryTx{m: m} }

// Records implements [Reader].
func (m *Memory) Records(ctx context.Context, c Collection, ids []string) ([]Stored, error) {
	return m.view().Records(ctx, c, ids)
}

// List implements [Reader].
func (m *Memory) List(ctx context.Context, c Collection, f Filter) ([]Stored, error) {
	return m.view().List(ctx, c, f)
}

// Count implements [Reader].
func (m *Memory) Count(ctx context.Context, c Collection, f Filter) (int, error) {
	return m.view().Count(ctx, c, f)
}

// Raw implements [Reader].
func (m *Memory) Raw(ctx context.Context, c Collection, id string) (json.RawMessage, error) {
	return m.view().Raw(ctx, c, id)
}

// get returns a record as the transaction sees it. m.mu is held.
func (tx *memoryTx) get(c Collection, id string) (Stored, bool) {
	if s, ok := tx.records[c][id]; ok {
		return s, true
	}
	s, ok := tx.m.records[c][id]
	return s, ok
}

func (tx *memoryTx) Records(ctx context.Context, c Collection, ids []string) ([]Stored, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	tx.m.mu.Lock()
	defer tx.m.mu.Unlock()
	var out []Stored
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if s, ok := tx.get(c, id); ok && !seen[id] {
			seen[id] = true
			out = append(out, s.copied())
		}
	}
	return out, nil
}

// copied returns s without Raw, sharing nothing with it.
func (s Stored) copied() Stored {
	s.Raw, s.Document, s.Older = nil, slices.Clone(s.Document), maps.Clone(s.Older)
	return s
}

func (tx *memoryTx) each(c Collection, f Filter, yield func(*Stored)) {
	tx.m.mu.Lock()
	defer tx.m.mu.Unlock()
	ids, ok := tx.m.order[c]
	if !ok {
		ids = slices.Sorted(maps.Keys(tx.m.records[c]))
		tx.m.order[c] = ids
	}
	var fresh []string
	for id := range tx.records[c] {
		if _, old := tx.m.records[c][id]; !old {
			fresh = append(fresh, id)
		}
	}
	if len(fresh) > 0 {
		ids = slices.Concat(ids, fresh)
		slices.Sort(ids)
	}
	if f.After != "" {
		i, found := slices.BinarySearch(ids, f.After)
		if found {
			i++
		}
		ids = ids[i:]
	}
	n := 0
	for _, id := range ids {
		if s, ok := tx.get(c, id); ok && !s.Erased && f.Matches(&s) {
			yield(&s)
			if n++; n == f.Limit {
				return
			}
		}
	}
}

func (tx *memoryTx) List(ctx context.Context, c Collection, f Filter) ([]Stored, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	var out []Stored
	tx.each(c, f, func(s *Stored) { out = append(out, s.copied()) })
	return out, nil
}

func (tx *memoryTx) Count(ctx context.Context, c Collection, f Filter) (int, error) {
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	n := 0
	f.Limit = 0
	tx.each(c, f, func(*Stored) { n++ })
	return n, nil
}

func (tx *memoryTx) Raw(ctx context.Context, c Collection, id string) (json.RawMessage, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	tx.m.mu.Lock()
	defer tx.m.mu.Unlock()
	s, _ := tx.get(c, id)
	return slices.Clone(s.Raw), nil
}

func (tx *memoryTx) PutRecords(_ context.Context, records []Stored) error {
	tx.m.mu.Lock()
	defer tx.m.mu.Unlock()
	for _, s := range records {
		if s.Raw == nil {
			old, _ := tx.get(s.Collection, s.ID)
			s.Raw = old.Raw
		} else {
			s.Raw = slices.Clone(s.Raw)
		}
		s.Document = slices.Clone(s.Document)
		tx.put(s)
	}
	return nil
}

func (tx *memoryTx) put(s Stored) {
	s.Older = maps.Clone(s.Older)
	if tx.records[s.Collection] == nil {
		tx.records[s.Collection] = map[string]Stored{}
	}
	tx.records[s.Collection][s.ID] = s
}

func (tx *memoryTx) TouchRecords(_ context.Context, records []Stored) error {
	tx.m.mu.Lock()
	defer tx.m.mu.Unlock()
	for _, t := range records {
		s, ok := tx.get(t.Collection, t.ID)
		if !ok {
			continue
		}
		s.Generation, s.Stamp, s.Older, s.UpdatedAt = t.Generation, t.Stamp, t.Older, t.UpdatedAt
		s.FirstFetched, s.LastFetched, s.AdapterVersion = t.FirstFetched, t.LastFetched, t.AdapterVersion
		tx.put(s)
	}
	return nil
}

func (tx *memoryTx) PutRejections(_ context.Context, rejections []Rejection) error {
	tx.m.mu.Lock()
	defer tx.m.mu.Unlock()
	for _, r := range rejections {
		old, ok := tx.m.rejections[r.Collection][r.Key]
		if p, written := tx.rejections[r.Collection][r.Key]; written {
			if ok = p != nil; ok {
				old = *p
			}
		}
		if ok {
			r.First, r.Count = old.First, r.Count+old.Count
		}
		if tx.rejections[r.Collection] == nil {
			tx.rejections[r.Collection] = map[string]*Rejection{}
		}
		r.Raw = slices.Clone(r.Raw)
		tx.rejections[r.Collection][r.Key] = &r
	}
	return nil
}

func (tx *memoryTx) DeleteRejections(_ context.Context, c Collection, keys []string) error {
	if tx.rejections[c] == nil {
		tx.rejections[c] = map[string]*Rejection{}
	}
	for _, key := range keys {
		tx.rejections[c][key] = nil
	}
	return nil
}

func (tx *memoryTx) AppendEvents(_ context.Context, events []Event) error {
	tx.events = append(tx.events, events...)
	return nil
}

func (tx *memoryTx) Checkpoint(_ context.Context, c Collection) (Checkpoint, error) {
	tx.m.mu.Lock()
	defer tx.m.mu.Unlock()
	cp, ok := tx.checkpoints[c]
	if !ok {
		if cp, ok = tx.m.checkpoints[c]; !ok {
			return Checkpoint{Collection: c}, nil
		}
	}
	return cp.copied(), nil
}

func (cp Checkpoint) copied() Checkpoint {
	for _, p := range []**Pass{&cp.Full, &cp.Incremental} {
		if *p != nil {
			pass := **p
			*p = &pass
		}
	}
	return cp
}

func (tx *memoryTx) PutCheckpoint(_ context.Context, cp Checkpoint) error {
	tx.checkpoints[cp.Collection] = cp.copied()
	return nil
}

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
	return m.Update(ctx, func(ctx context.Context, tx Tx) error {
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
	slices.SortFunc(cs, func(a, b Collection) int {
		return strings.Compare(a.Integration+"\x00"+string(a.Kind), b.Integration+"\x00"+string(b.Kind))
	})
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
	slices.SortFunc(rejections, func(a, b Rejection) int { return strings.Compare(string(DumpRejection(a)), string(DumpRejection(b))) })
	for _, r := range rejections {
		if _, err := w.Write(DumpRejection(r)); err != nil {
			return err
		}
	}
	slices.SortFunc(events, func(a, b Event) int { return strings.Compare(string(DumpEvent(a)), string(DumpEvent(b))) })
	for _, e := range events {
		if _, err := w.Write(DumpEvent(e)); err != nil {
			return err
		}
	}
	return nil
}
