package importertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver/importer"
)

// awkward are ids that stores have confused: by case, by trailing space, by composition, as patterns, as numbers,
// and in the order of characters beyond the basic plane, which differs between UTF-8 and UTF-16.
var awkward = []string{
	"\x01", "\t", " ", " a", "%", "'; drop table records;--", "10", "9", "A", "B", "Z", "_", "a", "a ", "a\nb", "a%", "aa", "b", `b"\c`,
	"b/c?d=e&f", strings.Repeat("long", 50), "ss", "z", "e\u0301", "\u00e9", "ß", "ÿ", "Ā", "I", "ı", "İ", "i", "東京", "\ufb01", "\uffee", "😀", "😁",
	"null", "NULL", "0", "-1", "1e3", "01", "1",
}

func testIDs(t *testing.T, s importer.Store) {
	var records []importer.Stored
	for i := range awkward {
		r := record(resources, awkward[i])
		r.Parent = awkward[len(awkward)-1-i]
		records = append(records, r)
	}
	put(t, s, records...)
	want := slices.Sorted(slices.Values(awkward))
	if got := ids(list(t, s, resources, importer.Filter{})); !slices.Equal(got, want) {
		t.Errorf("order:\n got %q\nwant %q", got, want)
	}
	got, err := s.Records(t.Context(), resources, awkward)
	if err != nil || len(got) != len(awkward) {
		t.Errorf("Records: got %d, %v, want %d", len(got), err, len(awkward))
	}
	for i, id := range awkward {
		same(t, get(t, s, resources, id), unraw(records[i]))
		if got := raw(t, s, resources, id); got != string(records[i].Raw) {
			t.Errorf("Raw of %q: got %s", id, got)
		}
		if got := ids(list(t, s, resources, importer.Filter{Parents: []string{records[i].Parent}})); !slices.Equal(got, []string{id}) {
			t.Errorf("children of %q: got %q, want %q", records[i].Parent, got, id)
		}
	}
	for i, id := range want {
		if got := ids(list(t, s, resources, importer.Filter{After: id, Limit: 1})); !slices.Equal(got, want[i+1:min(i+2, len(want))]) {
			t.Errorf("after %q: got %q", id, got)
		}
	}
}

// testFilters tries every combination of filters against Filter.Matches.
func testFilters(t *testing.T, s importer.Store) {
	day := 24 * time.Hour
	var records []importer.Stored
	for i := range 64 {
		r := record(resources, fmt.Sprintf("r%02d", i))
		r.Generation = int64(i % 3)
		r.LastFetched = noon.Add(time.Duration(i%2) * day)
		r.ChangedAt = noon.Add(time.Duration(i/2%2) * day)
		r.Parent = []string{"", "p", "q", "P"}[i/4%4]
		if i/16%2 == 1 {
			r.DeletedAt = noon
		}
		records = append(records, r)
	}
	erased := importer.Tombstone(resources, "r03e", noon)
	put(t, s, append(slices.Clone(records), erased, record(others, "r05"))...)

	filters := []importer.Filter{{}}
	with := func(set ...func(*importer.Filter)) {
		var more []importer.Filter
		for _, f := range filters {
			for _, set := range set {
				g := f
				set(&g)
				more = append(more, g)
			}
		}
		filters = append(filters, more...)
	}
	with(func(f *importer.Filter) { f.Live = true })
	with(func(f *importer.Filter) { f.Unseen = 1 })
	with(func(f *importer.Filter) { f.FetchedBefore = noon.Add(day) }, func(f *importer.Filter) { f.FetchedBefore = noon })
	with(func(f *importer.Filter) { f.ChangedSince = noon.Add(day) }, func(f *importer.Filter) { f.ChangedSince = noon.Add(day + 1) })
	with(func(f *importer.Filter) { f.Parents = []string{"p"} }, func(f *importer.Filter) { f.Parents = []string{"q", "p", "q", "none"} },
		func(f *importer.Filter) { f.Parents = []string{""} })
	with(func(f *importer.Filter) { f.After = "r20" }, func(f *importer.Filter) { f.After = "r20x" }, func(f *importer.Filter) { f.After = "s" })
	with(func(f *importer.Filter) { f.Limit = 1 }, func(f *importer.Filter) { f.Limit = 5 }, func(f *importer.Filter) { f.Limit = 1000 })
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		for i, f := range filters {
			var want []string
			for j := range records {
				if f.Matches(&records[j]) {
					want = append(want, records[j].ID)
				}
			}
			n := len(want)
			if f.Limit > 0 {
				want = want[:min(f.Limit, len(want))]
			}
			reader := importer.Reader(tx)
			if got := count(t, reader, resources, f); got != n {
				t.Errorf("Count %+v: got %d, want %d", f, got, n)
			}
			if got := ids(list(t, reader, resources, f)); !slices.Equal(got, want) {
				t.Errorf("List %+v:\n got %q\nwant %q", f, got, want)
			}
			if t.Failed() && i > 50 {
				return nil
			}
		}
		return nil
	})
	// The same outside a transaction, for a store that reads another way there.
	for _, f := range filters[:48] {
		n := 0
		for j := range records {
			if f.Matches(&records[j]) {
				n++
			}
		}
		if got := len(list(t, s, resources, f)); got != n || count(t, s, resources, f) != n {
			t.Errorf("outside a transaction: %+v: got %d, want %d", f, got, n)
		}
	}
}

func testPaging(t *testing.T, s importer.Store) {
	var records []importer.Stored
	for i := range 101 {
		records = append(records, record(resources, fmt.Sprint(i)))
	}
	put(t, s, records...)
	var got []string
	for after := ""; ; {
		page := list(t, s, resources, importer.Filter{After: after, Limit: 10})
		if len(page) == 0 {
			break
		}
		got = append(got, ids(page)...)
		after = page[len(page)-1].ID
	}
	want := slices.Sorted(slices.Values(ids(records)))
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// testManyRows uses more rows in one call than databases take parameters.
func testManyRows(t *testing.T, s importer.Store) {
	const n = 10_000
	records := make([]importer.Stored, n)
	asked := make([]string, 0, 4*n)
	rejections := make([]importer.Rejection, n)
	events := make([]importer.Event, n)
	for i := range n {
		id := fmt.Sprintf("%05d", i)
		records[i] = record(resources, id)
		records[i].Parent = fmt.Sprintf("p%d", i%3000)
		asked = append(asked, id, "not "+id, id, "nor "+id)
		rejections[i] = importer.Rejection{Collection: resources, Key: id, ID: id, Reason: "r", First: noon, Last: noon, Count: 1}
		events[i] = importer.Event{Collection: resources, ID: id, Version: 1, Change: importer.Added, At: noon}
	}
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		if err := tx.PutRecords(ctx, records); err != nil {
			return err
		}
		for i := range records {
			records[i].Generation = 2
		}
		if err := tx.TouchRecords(ctx, records); err != nil {
			return err
		}
		if err := tx.PutRejections(ctx, rejections); err != nil {
			return err
		}
		return tx.AppendEvents(ctx, events)
	})
	got, err := s.Records(t.Context(), resources, asked)
	if err != nil || len(got) != n {
		t.Fatalf("Records: got %d, %v, want %d", len(got), err, n)
	}
	for i := range got {
		if got[i].Generation != 2 {
			t.Fatalf("%q was not touched", got[i].ID)
		}
	}
	if got := list(t, s, resources, importer.Filter{}); len(got) != n || got[n-1].ID != "09999" {
		t.Errorf("List: got %d", len(got))
	}
	var parents []string
	for i := range 2000 {
		parents = append(parents, fmt.Sprintf("p%d", i))
	}
	want := 0
	for i := range n {
		if i%3000 < 2000 {
			want++
		}
	}
	if got := count(t, s, resources, importer.Filter{Parents: parents}); got != want {
		t.Errorf("Count with %d parents: got %d, want %d", len(parents), got, want)
	}
	log, err := s.Events(t.Context(), resources.Integration, 0, 2*n)
	if err != nil || len(log) != n {
		t.Errorf("Events: got %d, %v", len(log), err)
	}
	update(t, s, func(ctx context.Context, tx importer.Tx) error { return tx.DeleteRejections(ctx, resources, asked) })
	if got, err := s.Rejections(t.Context(), resources, "", n); err != nil || len(got) != 0 {
		t.Errorf("Rejections: got %d, %v, want none", len(got), err)
	}
}
