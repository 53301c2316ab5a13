package importer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// MemoryLedger is a [Ledger] of this process, bounded: the oldest is forgotten for the newest, and what it would have
// counted is not. The zero value is ready.
type MemoryLedger struct {
	Max int // webhooks, and changes; 0: 100 000 of each

	mu    sync.Mutex           // guards the fields below
	heard map[mark][]time.Time // in their order
	order []notice             // of heard, as they came
	found []Found
	known map[version]bool // of found
}

type mark struct {
	Collection
	id string
}

type notice struct {
	mark
	at time.Time
}

type version struct {
	mark
	n int64
}

func (l *MemoryLedger) max() int {
	if l.Max <= 0 {
		return 100_000
	}
	return l.Max
}

// Hear implements [Ledger].
func (l *MemoryLedger) Hear(_ context.Context, c Collection, id string, at time.Time) error {
	if c.Integration == "" || c.Kind == "" || id == "" || at.IsZero() {
		return errors.New("importer: a webhook about nothing, or without a time, cannot be noted")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	m := mark{c, id}
	if _, known := slices.BinarySearchFunc(l.heard[m], at, time.Time.Compare); known {
		return nil
	}
	if len(l.order) >= l.max() {
		l.forget(l.order[0])
		l.order = l.order[1:]
	}
	if l.heard == nil {
		l.heard = map[mark][]time.Time{}
	}
	times := l.heard[m]
	i, _ := slices.BinarySearchFunc(times, at, time.Time.Compare)
	l.heard[m] = slices.Insert(times, i, at) // at the end, mostly
	l.order = append(l.order, notice{m, at})
	return nil
}

// forget removes one of heard; mu is held.
func (l *MemoryLedger) forget(n notice) {
	times := l.heard[n.mark]
	i, _ := slices.BinarySearchFunc(times, n.at, time.Time.Compare)
	switch {
	case len(times) == 1:
		delete(l.heard, n.mark)
	case i == 0: // mostly
		l.heard[n.mark] = times[1:]
	default:
		l.heard[n.mark] = slices.Delete(times, i, i+1)
	}
}

// Find implements [Ledger].
func (l *MemoryLedger) Find(_ context.Context, found []Found) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = map[version]bool{}
	}
	for _, f := range found {
		v := version{mark{f.Collection, f.ID}, f.Version}
		if l.known[v] {
			continue
		}
		if len(l.found) >= l.max() {
			old := l.found[0]
			l.found = l.found[1:]
			delete(l.known, version{mark{old.Collection, old.ID}, old.Version})
		}
		l.known[v] = true
		l.found = append(l.found, f)
	}
	return nil
}

// Tally implements [Ledger].
func (l *MemoryLedger) Tally(_ context.Context, q TallyQuery) ([]Tally, error) {
	q = q.WithDefaults()
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := map[Collection]*Tally{}
	for _, f := range l.found {
		if !q.From.IsZero() && f.At.Before(q.From) || !q.To.IsZero() && !f.At.Before(q.To) {
			continue
		}
		t := counts[f.Collection]
		if t == nil {
			t = &Tally{Collection: f.Collection}
			counts[f.Collection] = t
		}
		from, to := f.Since.Add(-Skew), f.At.Add(q.Grace)
		times := l.heard[mark{f.Collection, f.ID}]
		next, _ := slices.BinarySearchFunc(times, from, time.Time.Compare)
		switch {
		case f.ByWebhook:
			t.ByWebhook++
		case next < len(times) && !times[next].After(to):
			t.Raced++
		case q.Now.After(to):
			t.Missed++
		default:
			t.Pending++
		}
	}
	var all []Tally
	for _, t := range counts {
		all = append(all, *t)
	}
	slices.SortFunc(all, func(a, b Tally) int {
		if c := strings.Compare(a.Integration, b.Integration); c != 0 {
			return c
		}
		return strings.Compare(string(a.Kind), string(b.Kind))
	})
	return all, nil
}
