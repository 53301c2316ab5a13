package webhooktest

import (
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// registrationParts are the tests of a store of registrations, by name.
var registrationParts = []struct {
	name string
	run  func(testing.TB, func(testing.TB) webhook.Registrations)
}{
	{"RoundTrip", roundTrip},
	{"Versions", versions},
	{"Owned", owned},
	{"AtTheSameTime", saveAtTheSameTime},
}

// Registrations runs the conformance tests of a [webhook.Registrations]. open returns an empty store; two calls in one
// test return stores that share nothing.
func Registrations(t *testing.T, open func(t testing.TB) webhook.Registrations) {
	for _, p := range registrationParts {
		t.Run(p.name, func(t *testing.T) { p.run(t, open) })
	}
}

// registration has something in every field.
func registration(key string) webhook.Registration {
	at := time.Date(2026, 11, 25, 8, 30, 0, 123456789, time.UTC)
	return webhook.Registration{
		Key: key, Next: 2, Holder: "h", Until: at.Add(time.Minute),
		Generations: []webhook.Generation{
			{ID: "g1", URL: "https://hooks.example.com/a/t1", Secret: "s1", Stage: webhook.Retired, CreatedAt: at, NotAfter: at.Add(time.Hour)},
			{ID: "g2", URL: "https://hooks.example.com/a/t2?x=é", Secret: "whsec_\x00\"", Stage: webhook.Current, CreatedAt: at},
		},
	}
}

func save(t testing.TB, s webhook.Registrations, r webhook.Registration) webhook.Registration {
	t.Helper()
	v, err := s.Save(t.Context(), r)
	if err != nil {
		t.Fatalf("save: %v", err)
	}
	if v <= 0 || v == r.Version {
		t.Fatalf("save: got version %d after %d", v, r.Version)
	}
	r.Version = v
	return r
}

func load(t testing.TB, s webhook.Registrations, key string) webhook.Registration {
	t.Helper()
	r, err := s.Load(t.Context(), key)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if r.Key != key {
		t.Errorf("load %q: got key %q", key, r.Key)
	}
	return r
}

func roundTrip(t testing.TB, open func(testing.TB) webhook.Registrations) {
	s := open(t)
	if r := load(t, s, "a"); r.Version != 0 || len(r.Generations) != 0 {
		t.Errorf("nothing is stored: got %v, version %d", r, r.Version)
	}
	for _, key := range []string{"a", "A", "a ", "a/b", "%", "é", ""} {
		r := registration(key)
		if key == "" {
			if _, err := s.Save(t.Context(), r); err == nil {
				t.Error("a registration without a key is saved")
			}
			continue
		}
		want := save(t, s, r)
		if got := load(t, s, key); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got something else than was saved: %v, want %v", key, got, want)
		}
	}
	if got := load(t, s, "b"); got.Version != 0 {
		t.Errorf("another key: got %v", got)
	}
}

func versions(t testing.TB, open func(testing.TB) webhook.Registrations) {
	s := open(t)
	conflict := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("%s: got %v, want ErrConflict", what, err)
		}
	}
	first := save(t, s, registration("a"))
	_, err := s.Save(t.Context(), registration("a"))
	conflict("saved as new twice", err)
	changed := first
	changed.Generations, changed.Next = first.Generations[:1], 3
	second := save(t, s, changed)
	lost := first
	lost.Next = 99
	_, err = s.Save(t.Context(), lost)
	conflict("saved over another's", err)
	if got := load(t, s, "a"); !reflect.DeepEqual(got, second) {
		t.Errorf("after a conflict: got %v, want %v", got, second)
	}
	gone := registration("b")
	gone.Version = 1
	_, err = s.Save(t.Context(), gone)
	conflict("saved over nothing", err)
	conflict("deleted by another version", s.Delete(t.Context(), "a", first.Version))
	conflict("deleted, and not there", s.Delete(t.Context(), "b", 1))
	if err := s.Delete(t.Context(), "a", second.Version); err != nil {
		t.Errorf("delete: %v", err)
	}
	conflict("deleted twice", s.Delete(t.Context(), "a", second.Version))
	_, err = s.Save(t.Context(), second)
	conflict("saved after it was deleted", err)
	if got := load(t, s, "a"); got.Version != 0 || len(got.Generations) != 0 {
		t.Errorf("after it was deleted: got %v", got)
	}
	// Whoever still has what was deleted must not take its successor for it.
	if again := save(t, s, registration("a")); again.Version == first.Version || again.Version == second.Version {
		t.Errorf("a version came back: %d after %d and %d", again.Version, first.Version, second.Version)
	}
}

// owned: what was loaded or saved is the caller's.
func owned(t testing.TB, open func(testing.TB) webhook.Registrations) {
	s := open(t)
	r := save(t, s, registration("a"))
	r.Generations[0].Secret = "scribbled on"
	loaded := load(t, s, "a")
	if loaded.Generations[0].Secret != "s1" {
		t.Error("what was saved changes with the caller's copy")
	}
	loaded.Generations[0].Secret = "scribbled on"
	if load(t, s, "a").Generations[0].Secret != "s1" {
		t.Error("what is stored changes with what was loaded")
	}
}

// saveAtTheSameTime: of those that save over the same version one does.
func saveAtTheSameTime(t testing.TB, open func(testing.TB) webhook.Registrations) {
	s := open(t)
	const rounds, racers = 10, 4
	for round := range rounds {
		r := load(t, s, "a")
		r.Next++
		var wg sync.WaitGroup
		var saved, lost atomic.Int32
		for range racers {
			wg.Go(func() {
				switch _, err := s.Save(t.Context(), r); {
				case err == nil:
					saved.Add(1)
				case errors.Is(err, webhook.ErrConflict):
					lost.Add(1)
				default:
					t.Errorf("save: %v", err)
				}
			})
		}
		wg.Wait()
		if saved.Load() != 1 || lost.Load() != racers-1 {
			t.Fatalf("round %d: %d of %d saved, %d met a conflict", round, saved.Load(), racers, lost.Load())
		}
	}
	if got := load(t, s, "a").Next; got != rounds {
		t.Errorf("%d of %d updates are there", got, rounds)
	}
}
