package importer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/pagination"
)

// sighting is one showing of a record to somebody: the fields that were in it, with the values of a version.
type sighting struct {
	res  driver.Resource
	sent time.Time
}

// sightings makes observations of resources as listings, replicas that lag and webhooks with parts of a record show
// them.
func sightings(rnd *rand.Rand, records, each int, undated bool) []sighting {
	base := time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC)
	var out []sighting
	for i := range records {
		for range each {
			version := rnd.IntN(6)
			s := sighting{
				res:  driver.Resource{Record: driver.Record{ID: fmt.Sprint("r", i), AdapterVersion: "v1"}},
				sent: base.Add(time.Duration(version*10+rnd.IntN(30)) * time.Minute),
			}
			if !undated {
				s.res.UpdatedAt = base.Add(time.Duration(version) * 10 * time.Minute)
			}
			text := fmt.Sprintf("v%d", version)
			if rnd.IntN(3) > 0 {
				s.res.Name = driver.Some(text)
			}
			switch rnd.IntN(3) {
			case 0:
				s.res.Description = driver.Null[string]()
			case 1:
				s.res.Description = driver.Some(text)
			}
			if rnd.IntN(4) == 0 {
				s.res.Capacity = driver.Some(version*10 + rnd.IntN(2)) // two answers to one question, with the same stamp
			}
			if rnd.IntN(5) > 0 {
				s.res.Raw = fmt.Appendf(nil, `{"v":%d}`, version)
			}
			out = append(out, s)
		}
	}
	return out
}

// final is what of a record must not depend on the order: everything but the versions, which count what happened on
// the way.
func final(t *testing.T, s importer.Store) []string {
	t.Helper()
	list, err := s.List(t.Context(), resources, importer.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range list {
		raw, err := s.Raw(t.Context(), resources, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %s raw %s %s stamp %v older %v updated %v fetched %v %v adapter %s deleted %v",
			r.ID, r.Document, raw, r.RawHash, r.Stamp, r.Older, r.UpdatedAt, r.FirstFetched, r.LastFetched, r.AdapterVersion, r.DeletedAt))
	}
	return out
}

// apply brings a sighting in by a webhook.
func apply(t *testing.T, s importer.Store, o sighting) {
	r := o.res
	if _, err := importer.Apply(t.Context(), importer.Config{Integration: importertest.Integration("in-1"), Store: s}, o.sent, &r); err != nil {
		t.Error(err)
	}
}

// listing brings sightings in by a run, which shows them in pages.
func listing(t *testing.T, s importer.Store, mode importer.Mode, group []sighting) {
	cfg := config(custom{func(driver.Query) pagination.Pages[driver.Resource] {
		return func(yield func(pagination.Page[driver.Resource], error) bool) {
			for i, o := range group {
				p := pagination.Page[driver.Resource]{Items: []driver.Resource{o.res, o.res}, Sent: o.sent, Total: -1, Next: "x"}
				if i == len(group)-1 {
					p.Next = ""
				}
				if !yield(p, nil) {
					return
				}
			}
		}
	}}, s)
	cfg.Mode, cfg.MaxDeleteFraction = mode, -1
	if _, err := importer.Run(t.Context(), cfg); err != nil {
		t.Error(err)
	}
}

// TestPromise2_AnyOrder: whatever the order, the repetitions, the mixture of listings and webhooks and the number
// of workers, the stored state is the same.
func TestPromise2_AnyOrder(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		all := sightings(rnd, 5, 12, seed%4 == 3)
		one := importer.NewMemory()
		for _, o := range all {
			apply(t, one, o)
		}
		want := final(t, one)

		for range 3 {
			shuffled := slices.Clone(all)
			for range rnd.IntN(20) { // delivered twice
				shuffled = append(shuffled, all[rnd.IntN(len(all))])
			}
			rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			s := importer.NewMemory()
			listed := shuffled[:rnd.IntN(len(shuffled)/2)]
			rest := shuffled[len(listed):]
			var wg sync.WaitGroup
			if len(listed) > 0 {
				wg.Go(func() { listing(t, s, importer.Full, listed) })
			}
			for w := range 3 {
				wg.Go(func() {
					for i := w; i < len(rest); i += 3 {
						apply(t, s, rest[i])
					}
				})
			}
			wg.Wait()
			got := final(t, s)
			for i := range want {
				if len(got) != len(want) || got[i] != want[i] {
					t.Fatalf("seed %d: %d records:\n got %s\nwant %s", seed, len(got), got[min(i, len(got)-1)], want[i])
				}
			}
		}
	}
}

// TestPromise2_NewestOfEachField computes by hand what must be stored: of each field the newest value that was shown.
func TestPromise2_NewestOfEachField(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 22))
		all := sightings(rnd, 1, 15, false)
		s := importer.NewMemory()
		for _, o := range all {
			apply(t, s, o)
		}
		newest := func(observed func(driver.Resource) (string, bool)) (string, bool) {
			value, found, at := "", false, importer.Stamp{}
			for _, o := range all {
				v, ok := observed(o.res)
				stamp := importer.NewStamp(o.res.UpdatedAt, o.sent)
				if c := stamp.Compare(at); ok && (!found || c > 0 || c == 0 && v > value) {
					value, found, at = v, true, stamp
				}
			}
			return value, found
		}
		got, err := importer.Decode[driver.Resource](get(t, s, resources, "r0"))
		if err != nil {
			t.Fatal(err)
		}
		for name, field := range map[string]func(driver.Resource) (string, bool){
			"name":        func(r driver.Resource) (string, bool) { return fmt.Sprint(r.Name), r.Name.Observed() },
			"description": func(r driver.Resource) (string, bool) { return text(r.Description), r.Description.Observed() },
			"capacity":    func(r driver.Resource) (string, bool) { return fmt.Sprint(r.Capacity.Or(-1)), r.Capacity.Observed() },
		} {
			want, shown := newest(field)
			if v, ok := field(got); ok != shown || ok && v != want {
				t.Errorf("seed %d: %s: got %q %v, want %q %v", seed, name, v, ok, want, shown)
			}
		}
	}
}

// text orders as the encoded values do: a string begins with a quote, which is before null.
func text(o driver.Opt[string]) string {
	if o.IsNull() {
		return "null"
	}
	return `"` + o.Or("") + `"`
}

func TestPromise2_Examples(t *testing.T) {
	at := func(min int) time.Time { return time.Date(2025, 11, 25, 10, min, 0, 0, time.UTC) }
	of := func(updated, sent int, name string, capacity driver.Opt[int]) sighting {
		s := sighting{res: driver.Resource{Record: driver.Record{ID: "r"}, Capacity: capacity}, sent: at(sent)}
		if updated >= 0 {
			s.res.UpdatedAt = at(updated)
		}
		if name != "" {
			s.res.Name = driver.Some(name)
		}
		return s
	}
	missing, null := driver.Opt[int]{}, driver.Null[int]()
	for _, tt := range []struct {
		name string
		seen []sighting
		want string
	}{
		{"a replica that lags", []sighting{of(5, 6, "new", missing), of(1, 8, "old", missing)}, `{"id":"r","name":"new"}`},
		{"a listing that began before the webhook", []sighting{of(5, 7, "webhook", missing), of(5, 3, "listing", missing)}, `{"id":"r","name":"webhook"}`},
		{"a field not shown is left alone", []sighting{of(1, 1, "a", driver.Some(4)), of(5, 5, "b", missing)}, `{"capacity":4,"id":"r","name":"b"}`},
		{"null erases", []sighting{of(1, 1, "a", driver.Some(4)), of(5, 5, "", null)}, `{"capacity":null,"id":"r","name":"a"}`},
		{"an older null does not", []sighting{of(5, 5, "a", driver.Some(4)), of(1, 9, "", null)}, `{"capacity":4,"id":"r","name":"a"}`},
		{"an older observation fills in what nobody showed", []sighting{of(5, 5, "a", missing), of(1, 1, "old", driver.Some(4))}, `{"capacity":4,"id":"r","name":"a"}`},
		{"undated: by the time of sending", []sighting{of(-1, 5, "later", missing), of(-1, 1, "earlier", missing)}, `{"id":"r","name":"later"}`},
		{"the future is not believed", []sighting{of(60*24*3, 1, "nonsense", missing), of(2, 3, "sane", missing)}, `{"id":"r","name":"sane"}`},
	} {
		for _, seen := range [][]sighting{tt.seen, {tt.seen[1], tt.seen[0]}} {
			s := importer.NewMemory()
			for _, o := range seen {
				apply(t, s, o)
			}
			if got := string(get(t, s, resources, "r").Document); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
			}
		}
	}
}

// TestPromise2_StaleChangesNothing: an observation that is older in all it shows makes no version, no event and no
// change.
func TestPromise2_StaleChangesNothing(t *testing.T) {
	s := importer.NewMemory()
	now := time.Date(2025, 11, 25, 10, 0, 0, 0, time.UTC)
	r := driver.Resource{Record: driver.Record{ID: "r", UpdatedAt: now}, Name: driver.Some("new")}
	apply(t, s, sighting{r, now})
	old := r
	old.UpdatedAt, old.Name = now.Add(-time.Hour), driver.Some("old")
	cfg := importer.Config{Integration: importertest.Integration("in-1"), Store: s}
	cfg.OnChanges = func(context.Context, importer.ChangeSet) error { t.Error("told of a change"); return nil }
	res, err := importer.Apply(t.Context(), cfg, now.Add(time.Minute), &old)
	if err != nil || res.Counts().Stale != 1 || len(events(t, s)) != 1 {
		t.Errorf("got %v, %+v", err, res.Counts())
	}
	if got := get(t, s, resources, "r"); got.Version != 1 || !got.LastFetched.Equal(now.Add(time.Minute)) || !got.UpdatedAt.Equal(now) {
		t.Errorf("got %+v", got)
	}
}
