package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Failure is an event that could not be dealt with. It prints as its event does.
type Failure struct {
	Event    Event
	Reason   string    // for a person to read; the host's words
	FailedAt time.Time // the last time
	Attempts int       // how often it was kept here
}

// Format prints the event's key, whatever the verb.
func (f Failure) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "webhook.Failure("+f.Event.Key+")")
}

// Failures keeps events that could not be dealt with until they are replayed. Its methods may be called by several
// goroutines.
type Failures interface {
	// Keep stores e under its Key, or counts another attempt if it is there. Nil means that it is where it survives
	// what the store survives.
	Keep(ctx context.Context, e Event, reason string, at time.Time) error
	// List yields those of an integration, "" for all, that were received from from on and before to, the earliest
	// first; a zero time is no limit. After an error nothing more is yielded. Keep and Remove may be called
	// meanwhile.
	List(ctx context.Context, integration string, from, to time.Time) iter.Seq2[Failure, error]
	// Remove forgets the event with that Key; no error if it is not there.
	Remove(ctx context.Context, key string) error
}

// Replayed is how a replay went.
type Replayed struct {
	Handled int     // and removed
	Failed  []error // one of each event that failed again, and stays
}

// Replay gives the failures of an integration that were received in a time to handle, as [Failures].List selects
// them, the earliest first, and removes those that go well. It stops when ctx ends or the store fails, with what was
// done by then.
func Replay(ctx context.Context, s Failures, integration string, from, to time.Time,
	handle func(context.Context, Event) error) (Replayed, error) {
	var done Replayed
	for f, err := range s.List(ctx, integration, from, to) {
		if err != nil {
			return done, fmt.Errorf("webhook: list failures: %w", err)
		}
		if ctx.Err() != nil {
			return done, context.Cause(ctx)
		}
		if err := handle(ctx, f.Event); err != nil {
			done.Failed = append(done.Failed, fmt.Errorf("webhook: replay %s: %w", f.Event.Key, err))
			if err := s.Keep(ctx, f.Event, err.Error(), time.Now()); err != nil {
				return done, fmt.Errorf("webhook: keep a failure: %w", err)
			}
			continue
		}
		done.Handled++
		if err := s.Remove(ctx, f.Event.Key); err != nil {
			return done, fmt.Errorf("webhook: remove what was replayed: %w", err)
		}
	}
	return done, nil
}

// MemoryFailures is a [Failures] of this process, bounded: one more than it holds is [ErrFull], and nothing is
// dropped for it. The zero value is ready.
type MemoryFailures struct {
	Max int // events; 0: 10 000

	mu   sync.Mutex // guards keys
	keys map[string]Failure
}

// Keep implements [Failures].
func (s *MemoryFailures) Keep(_ context.Context, e Event, reason string, at time.Time) error {
	if e.Key == "" {
		return errors.New("webhook: an event without a key cannot be kept")
	}
	limit := s.Max
	if limit <= 0 {
		limit = 10_000
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, there := s.keys[e.Key]
	if !there && len(s.keys) >= limit {
		return ErrFull
	}
	if s.keys == nil {
		s.keys = map[string]Failure{}
	}
	s.keys[e.Key] = Failure{Event: e, Reason: reason, FailedAt: at, Attempts: f.Attempts + 1}
	return nil
}

// List implements [Failures]. It yields what is there when ranging begins.
func (s *MemoryFailures) List(ctx context.Context, integration string, from, to time.Time) iter.Seq2[Failure, error] {
	return func(yield func(Failure, error) bool) {
		s.mu.Lock()
		var list []Failure
		for _, f := range s.keys {
			at := f.Event.ReceivedAt
			theirs := integration == "" || f.Event.Integration == integration
			if theirs && (from.IsZero() || !at.Before(from)) && (to.IsZero() || at.Before(to)) {
				list = append(list, f)
			}
		}
		s.mu.Unlock()
		slices.SortFunc(list, func(a, b Failure) int {
			if c := a.Event.ReceivedAt.Compare(b.Event.ReceivedAt); c != 0 {
				return c
			}
			return strings.Compare(a.Event.Key, b.Event.Key)
		})
		for _, f := range list {
			if ctx.Err() != nil {
				yield(Failure{}, context.Cause(ctx))
				return
			}
			if !yield(f, nil) {
				return
			}
		}
	}
}

// Remove implements [Failures].
func (s *MemoryFailures) Remove(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, key)
	return nil
}

// Format prints the type's name, whatever the verb.
func (s *MemoryFailures) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "webhook.MemoryFailures")
}
