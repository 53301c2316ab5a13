package importer

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
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
	messages    map[messageID]KeptMessage
	messageSeq  int64
	queues      map[string]QueueState
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{
		turn: make(chan struct{}, 1), records: map[Collection]map[string]Stored{}, order: map[Collection][]string{},
		rejections: map[Collection]map[string]Rejection{}, checkpoints: map[Collection]Checkpoint{},
		messages: map[messageID]KeptMessage{}, queues: map[string]QueueState{},
	}
}

// memoryTx collects what a transaction writes.
type memoryTx struct {
	m           *Memory
	records     map[Collection]map[string]Stored
	rejections  map[Collection]map[string]*Rejection // nil: deleted
	checkpoints map[Collection]Checkpoint
	events      []Event
	messages    map[messageID]*KeptMessage // nil: deleted
	queues      map[string]QueueState
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
		m: m, records: map[Collection]map[string]Stored{}, rejections: map[Collection]map[string]*Rejection{},
		checkpoints: map[Collection]Checkpoint{}, messages: map[messageID]*KeptMessage{}, queues: map[string]QueueState{},
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
	m.commitQueues(tx)
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
	for _, s := range []**RunState{&cp.FullRun, &cp.IncrementalRun} {
		if *s != nil {
			*s = &RunState{Run: (*s).Run, Kinds: slices.Clone((*s).Kinds), Done: slices.Clone((*s).Done)}
		}
	}
	return cp
}

func (tx *memoryTx) PutCheckpoint(_ context.Context, cp Checkpoint) error {
	tx.checkpoints[cp.Collection] = cp.copied()
	return nil
}
