package ratelimit

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// Memory is a [Quota] in this process's memory. A [Limiter] without a Quota counts the same way with less ado; Memory is for tests of
// code that takes a Quota, and shows what a backend has to do.
type Memory struct {
	plan *plan

	mu   sync.Mutex // guards the fields below, and what keys holds
	keys map[string]*counts
}

// NewMemory returns a Memory, or an error that names everything that is wrong with tiers. Keys that are idle are forgotten.
func NewMemory(tiers Tiers) (*Memory, error) {
	if err := tiers.Validate(); err != nil {
		return nil, err
	}
	return &Memory{plan: newPlan(tiers, time.Now()), keys: make(map[string]*counts)}, nil
}

// key returns the counts of a key; mu is held.
func (m *Memory) key(name string, now int64) *counts {
	c := m.keys[name]
	if c == nil {
		n := 0
		for other, oc := range m.keys { // from a random place on
			if oc.idle(now) {
				delete(m.keys, other)
			}
			if n++; n == looked {
				break
			}
		}
		fresh := newCounts(m.plan, nil)
		c = &fresh
		m.keys[name] = c
	}
	return c
}

// Tiers implements [Quota].
func (m *Memory) Tiers() Tiers { return m.plan.tiers }

// Take implements [Quota].
func (m *Memory) Take(_ context.Context, key string, cost, ahead int64, now time.Time) (Grant, error) {
	return m.grant(key, cost, now, taking(ahead))
}

// Ask implements [Quota].
func (m *Memory) Ask(_ context.Context, key string, cost, ahead int64, now time.Time) (Grant, error) {
	return m.grant(key, cost, now, asking(ahead))
}

func taking(ahead int64) func(*counts, *Grant, int64) verdict {
	return func(c *counts, g *Grant, now int64) verdict {
		v, slot, gen := c.take(g.Cost, ahead, false, now)
		g.Slot, g.Gen = uint32(slot), gen
		return v
	}
}

func asking(ahead int64) func(*counts, *Grant, int64) verdict {
	return func(c *counts, g *Grant, now int64) verdict { return c.ask(g.Cost, ahead, false, now) }
}

func (m *Memory) grant(key string, cost int64, now time.Time, ask func(*counts, *Grant, int64) verdict) (Grant, error) {
	if err := m.plan.checkCost(cost); err != nil {
		return Grant{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.granted(key, cost, now, ask)
}

// granted is grant with mu held, for a cost that was checked.
func (m *Memory) granted(key string, cost int64, now time.Time, ask func(*counts, *Grant, int64) verdict) (Grant, error) {
	g := Grant{Cost: cost}
	v := ask(m.key(key, m.plan.ns(now)), &g, m.plan.ns(now))
	if v.over {
		return Grant{}, m.plan.overCost(v.tier, cost)
	}
	if g.OK = v.ok; !v.ok {
		g.Tier = m.plan.reason(v.tier)
		if !v.open {
			g.At = now.Add(time.Duration(v.at - m.plan.ns(now)))
		}
	}
	return g, nil
}

// Settle implements [Quota].
func (m *Memory) Settle(_ context.Context, key string, g Grant, s Settlement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.keys[key]
	if c == nil {
		return nil
	}
	if !s.Arrived.IsZero() {
		c.arrive(int32(g.Slot), g.Gen, m.plan.ns(s.Arrived), m.plan.ns(s.Now), true)
	}
	if s.Release {
		c.release(int32(g.Slot), g.Gen)
	}
	return nil
}

// Observe implements [Quota].
func (m *Memory) Observe(_ context.Context, key string, sentAt, now time.Time, obs []Observation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.key(key, m.plan.ns(now)).observe(m.plan.ns(sentAt), m.plan.ns(now), obs)
	return nil
}

// Park implements [Quota].
func (m *Memory) Park(_ context.Context, key string, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until.IsZero() {
		if c := m.keys[key]; c != nil {
			c.unpark()
		}
		return nil
	}
	m.key(key, math.MinInt64).park(m.plan.ns(until))
	return nil
}

// Usage implements [Quota].
func (m *Memory) Usage(_ context.Context, key string, now time.Time) (Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.keys[key]
	if c == nil {
		fresh := newCounts(m.plan, nil)
		c = &fresh
	}
	return c.usage(m.plan.ns(now)), nil
}

// joins guards against two joint takes that lock the same quotas in different orders.
var joins sync.Mutex

// Joins implements [Joiner].
func (m *Memory) Joins(other Quota) bool {
	_, ok := other.(*Memory)
	return ok
}

// TakeAll implements [Joiner].
func (m *Memory) TakeAll(_ context.Context, takes []Take, now time.Time) ([]Grant, error) {
	quotas := make([]*Memory, len(takes))
	for i, t := range takes {
		q, ok := t.Quota.(*Memory)
		if !ok {
			return nil, clientError("a quota of another kind cannot be joined")
		}
		if err := q.plan.checkCost(t.Cost); err != nil {
			return nil, err
		}
		quotas[i] = q
	}
	joins.Lock()
	defer joins.Unlock()
	for i, q := range quotas {
		if !slices.Contains(quotas[:i], q) {
			q.mu.Lock()
			defer q.mu.Unlock()
		}
	}
	grants, all := make([]Grant, len(takes)), true
	for i, t := range takes {
		g, err := quotas[i].granted(t.Key, t.Cost, now, asking(t.Ahead))
		if err != nil {
			return nil, err
		}
		grants[i] = g
		all = all && g.OK
	}
	for i, t := range takes {
		if !all {
			break
		}
		grants[i], _ = quotas[i].granted(t.Key, t.Cost, now, taking(t.Ahead)) // as it was asked for under the same locks
	}
	return grants, nil
}
