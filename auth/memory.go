package auth

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// NewMemoryStore returns a Store in memory. Tokens are gone with the process.
func NewMemoryStore() Store { return &memory{entries: map[string]*entry{}} }

type memory struct {
	mu      sync.Mutex // guards the fields below
	entries map[string]*entry
}

type entry struct {
	rec Record
	// holder is who has the lock; nil: nobody. It is closed when given back.
	holder chan struct{}
	until  time.Time
}

func (m *memory) entry(key string) *entry {
	e := m.entries[key]
	if e == nil {
		e = &entry{}
		m.entries[key] = e
	}
	return e
}

// LoadToken implements [Store].
func (m *memory) LoadToken(ctx context.Context, key string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, fmt.Errorf("auth: memory store: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	if e == nil {
		return Record{}, nil
	}
	r := e.rec
	r.Requests = slices.Clone(r.Requests)
	return r, nil
}

// SaveToken implements [Store].
func (m *memory) SaveToken(ctx context.Context, key string, r Record) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("auth: memory store: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entry(key)
	if e.rec.Version != r.Version {
		return 0, ErrConflict
	}
	r.Version++
	r.Requests = slices.Clone(r.Requests)
	e.rec = r
	return r.Version, nil
}

// LockToken implements [Store].
func (m *memory) LockToken(ctx context.Context, key string, ttl time.Duration) (func(), error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("auth: memory store: %w", err)
		}
		m.mu.Lock()
		e := m.entry(key)
		now := time.Now()
		if e.holder == nil || !now.Before(e.until) {
			mine := make(chan struct{})
			e.holder, e.until = mine, now.Add(ttl)
			m.mu.Unlock()
			return func() { m.unlock(e, mine) }, nil
		}
		held, left := e.holder, e.until.Sub(now)
		m.mu.Unlock()
		timer := time.NewTimer(left)
		select {
		case <-held:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (m *memory) unlock(e *entry, mine chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-mine: // given back before
		return
	default:
	}
	close(mine)
	if e.holder == mine {
		e.holder = nil
	}
}
