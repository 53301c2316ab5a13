package webhooktest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

func TestMemoryStores(t *testing.T) {
	t.Run("Registrations", func(t *testing.T) {
		Registrations(t, func(testing.TB) webhook.Registrations { return &webhook.MemoryRegistrations{} })
	})
	t.Run("Failures", func(t *testing.T) {
		Failures(t, func(testing.TB) webhook.Failures { return &webhook.MemoryFailures{} })
	})
}

// brokenRegistrations is wrong in one way.
type brokenRegistrations struct {
	webhook.MemoryRegistrations
	load func(webhook.Registration) webhook.Registration
	save func(b *brokenRegistrations, r webhook.Registration) (int64, error)
	del  func(b *brokenRegistrations, key string, version int64) error
}

func (b *brokenRegistrations) Load(ctx context.Context, key string) (webhook.Registration, error) {
	r, err := b.MemoryRegistrations.Load(ctx, key)
	if b.load != nil {
		r = b.load(r)
	}
	return r, err
}

func (b *brokenRegistrations) Save(ctx context.Context, r webhook.Registration) (int64, error) {
	if b.save != nil {
		return b.save(b, r)
	}
	return b.MemoryRegistrations.Save(ctx, r)
}

func (b *brokenRegistrations) Delete(ctx context.Context, key string, version int64) error {
	if b.del != nil {
		return b.del(b, key, version)
	}
	return b.MemoryRegistrations.Delete(ctx, key, version)
}

// fails reports whether a part finds something.
func fails(t *testing.T, run func(testing.TB)) bool {
	rec := &recorder{TB: t}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		run(rec)
	}()
	<-ended
	return rec.failed.Load()
}

func TestRegistrations_FindsWhatIsBroken(t *testing.T) {
	ctx := context.Background()
	shared := registration("a").Generations
	for _, tc := range []struct {
		name  string
		store *brokenRegistrations
		part  string
	}{
		{"a secret is not stored", &brokenRegistrations{load: func(r webhook.Registration) webhook.Registration {
			for i := range r.Generations {
				r.Generations[i].Secret = ""
			}
			return r
		}}, "RoundTrip"},
		{"times are cut", &brokenRegistrations{load: func(r webhook.Registration) webhook.Registration {
			r.Until = r.Until.Truncate(time.Second)
			return r
		}}, "RoundTrip"},
		{"keys in small letters", &brokenRegistrations{save: func(b *brokenRegistrations, r webhook.Registration) (int64, error) {
			r.Key = strings.ToLower(r.Key)
			return b.MemoryRegistrations.Save(ctx, r)
		}}, "RoundTrip"},
		{"versions are not compared", &brokenRegistrations{save: func(b *brokenRegistrations, r webhook.Registration) (int64, error) {
			now, _ := b.MemoryRegistrations.Load(ctx, r.Key)
			r.Version = now.Version
			return b.MemoryRegistrations.Save(ctx, r)
		}}, "Versions"},
		{"whatever is deleted", &brokenRegistrations{del: func(b *brokenRegistrations, key string, _ int64) error {
			now, _ := b.MemoryRegistrations.Load(ctx, key)
			return b.MemoryRegistrations.Delete(ctx, key, now.Version)
		}}, "Versions"},
		{"one slice for all", &brokenRegistrations{load: func(r webhook.Registration) webhook.Registration {
			if r.Version != 0 {
				r.Generations = shared
			}
			return r
		}}, "Owned"},
		{"two saves at the same time", &brokenRegistrations{save: func(b *brokenRegistrations, r webhook.Registration) (int64, error) {
			v, err := b.MemoryRegistrations.Save(ctx, r)
			if errors.Is(err, webhook.ErrConflict) {
				return r.Version + 1, nil
			}
			return v, err
		}}, "AtTheSameTime"},
	} {
		for _, p := range registrationParts {
			if p.name == tc.part && !fails(t, func(t testing.TB) { p.run(t, func(testing.TB) webhook.Registrations { return tc.store }) }) {
				t.Errorf("%s: %s does not find it", tc.name, p.name)
			}
		}
	}
}

// brokenFailures is wrong in one way.
type brokenFailures struct {
	webhook.MemoryFailures
	keep func(b *brokenFailures, e webhook.Event, reason string, at time.Time) error
	list func(list []webhook.Failure) []webhook.Failure
	drop func(b *brokenFailures, key string) error
}

func (b *brokenFailures) Keep(ctx context.Context, e webhook.Event, reason string, at time.Time) error {
	if b.keep != nil {
		return b.keep(b, e, reason, at)
	}
	return b.MemoryFailures.Keep(ctx, e, reason, at)
}

func (b *brokenFailures) List(ctx context.Context, integration string, from, to time.Time) iter.Seq2[webhook.Failure, error] {
	if b.list == nil {
		return b.MemoryFailures.List(ctx, integration, from, to)
	}
	return func(yield func(webhook.Failure, error) bool) {
		var list []webhook.Failure
		for f := range b.MemoryFailures.List(ctx, integration, from, to) {
			list = append(list, f)
		}
		for _, f := range b.list(list) {
			if !yield(f, nil) {
				return
			}
		}
	}
}

func (b *brokenFailures) Remove(ctx context.Context, key string) error {
	if b.drop != nil {
		return b.drop(b, key)
	}
	return b.MemoryFailures.Remove(ctx, key)
}

func TestFailures_FindsWhatIsBroken(t *testing.T) {
	ctx := context.Background()
	for _, tc := range []struct {
		name  string
		store *brokenFailures
		part  string
	}{
		{"bodies are texts", &brokenFailures{keep: func(b *brokenFailures, e webhook.Event, reason string, at time.Time) error {
			e.Body = []byte(strings.ToValidUTF8(string(e.Body), "?"))
			return b.MemoryFailures.Keep(ctx, e, reason, at)
		}}, "Keep"},
		{"attempts are not counted", &brokenFailures{keep: func(b *brokenFailures, e webhook.Event, reason string, at time.Time) error {
			_ = b.MemoryFailures.Remove(ctx, e.Key)
			return b.MemoryFailures.Keep(ctx, e, reason, at)
		}}, "Keep"},
		{"what is not there is an error", &brokenFailures{drop: func(b *brokenFailures, key string) error {
			for f := range b.MemoryFailures.List(ctx, "", time.Time{}, time.Time{}) {
				if f.Event.Key == key {
					return b.MemoryFailures.Remove(ctx, key)
				}
			}
			return errors.New("not there")
		}}, "Keep"},
		{"the latest first", &brokenFailures{list: func(list []webhook.Failure) []webhook.Failure {
			slices.Reverse(list)
			return list
		}}, "List"},
		{"some are listed twice", &brokenFailures{list: func(list []webhook.Failure) []webhook.Failure {
			return append(list, list...)
		}}, "Meanwhile"},
		{"nothing is removed", &brokenFailures{drop: func(*brokenFailures, string) error { return nil }}, "Replay"},
	} {
		for _, p := range failureParts {
			if p.name == tc.part && !fails(t, func(t testing.TB) { p.run(t, func(testing.TB) webhook.Failures { return tc.store }) }) {
				t.Errorf("%s: %s does not find it", tc.name, p.name)
			}
		}
	}
}
