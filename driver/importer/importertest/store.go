// Package importertest holds what proves a store, and what tests of imports are made of: [Store], the conformance
// suite of importer.Store, and [QueueStore]; [Account] and [Driver], a generated partner of any size that changes and
// fails on demand; [QueueDriver], a partner with a queue; [Kill], which ends an import at any transaction.
package importertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// Store runs the conformance suite. open returns an empty store for each test, which the suite leaves to it to close
// (t.Cleanup). A store that passes may be given to importer.Run.
func Store(t *testing.T, open func(t *testing.T) importer.Store) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, s importer.Store)
	}{
		{"empty", testEmpty},
		{"records round trip", testRoundTrip},
		{"put replaces", testPutReplaces},
		{"put without raw keeps it", testPutKeepsRaw},
		{"put and get share nothing", testOwnership},
		{"touch", testTouch},
		{"collections apart", testCollections},
		{"ids and their order", testIDs},
		{"filters", testFilters},
		{"paging", testPaging},
		{"many rows", testManyRows},
		{"commit and rollback", testRollback},
		{"panic rolls back", testPanic},
		{"reads its own writes", testOwnWrites},
		{"isolation", testIsolation},
		{"one after the other", testSerial},
		{"no write skew", testWriteSkew},
		{"context", testContext},
		{"context while waiting", testContextWaiting},
		{"concurrent use", testConcurrent},
		{"checkpoints", testCheckpoints},
		{"events", testEvents},
		{"events are never skipped", testEventsTail},
		{"rejections", testRejections},
		{"prune", testPrune},
		{"erase", testErase},
		{"dump", testDump},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

// noon is when the suite takes place; its times have nanoseconds, which a store must keep.
var noon = time.Date(2026, 11, 25, 12, 0, 0, 123456789, time.UTC)

var (
	resources = importer.Collection{Integration: "in-1", Kind: driver.KindResource}
	others    = importer.Collection{Integration: "in-2", Kind: driver.KindResource}
)

// record makes a record as the importer would.
func record(c importer.Collection, id string) importer.Stored {
	name, err := json.Marshal(id)
	if err != nil {
		panic(err) // a string is always encoded
	}
	return importer.Stored{
		Collection: c, ID: id, Document: json.RawMessage(`{"id":` + string(name) + `}`), Hash: "hash of " + id,
		Raw: json.RawMessage(`{ "_id" : ` + string(name) + ` }`), RawHash: "raw hash of " + id, Version: 1, Generation: 1,
		Stamp:     importer.Stamp{Updated: noon.UnixNano(), Sent: noon.UnixNano() + 1},
		UpdatedAt: noon, FirstFetched: noon.Add(1), LastFetched: noon.Add(2), ChangedAt: noon.Add(3), AdapterVersion: "v1",
	}
}

// unraw is a record as a Reader returns it.
func unraw(s importer.Stored) importer.Stored {
	s.Raw = nil
	return s
}

func update(t *testing.T, s importer.Store, f func(ctx context.Context, tx importer.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), f); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func put(t *testing.T, s importer.Store, records ...importer.Stored) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx importer.Tx) error { return tx.PutRecords(ctx, records) })
}

// get returns the one record, which must be there.
func get(t *testing.T, r importer.Reader, c importer.Collection, id string) importer.Stored {
	t.Helper()
	got, err := r.Records(t.Context(), c, []string{id})
	if err != nil || len(got) != 1 {
		t.Fatalf("Records of %q: got %d, %v, want one", id, len(got), err)
	}
	return got[0]
}

func raw(t *testing.T, r importer.Reader, c importer.Collection, id string) string {
	t.Helper()
	b, err := r.Raw(t.Context(), c, id)
	if err != nil {
		t.Fatalf("Raw of %q: %v", id, err)
	}
	return string(b)
}

func list(t *testing.T, r importer.Reader, c importer.Collection, f importer.Filter) []importer.Stored {
	t.Helper()
	got, err := r.List(t.Context(), c, f)
	if err != nil {
		t.Fatalf("List %+v: %v", f, err)
	}
	return got
}

func count(t *testing.T, r importer.Reader, c importer.Collection, f importer.Filter) int {
	t.Helper()
	n, err := r.Count(t.Context(), c, f)
	if err != nil {
		t.Fatalf("Count %+v: %v", f, err)
	}
	return n
}

func ids(records []importer.Stored) []string {
	out := make([]string, len(records))
	for i := range records {
		out[i] = records[i].ID
	}
	return out
}

// same compares records as a Reader returns them; nil and empty maps and slices are the same.
func same(t *testing.T, got, want importer.Stored) {
	t.Helper()
	if len(got.Raw) > 0 {
		t.Errorf("%q: a Reader returned Raw", got.ID)
	}
	if !bytes.Equal(got.Document, want.Document) {
		t.Errorf("%q: document: got %s, want %s", want.ID, got.Document, want.Document)
	}
	if (len(got.Older) > 0 || len(want.Older) > 0) && !reflect.DeepEqual(got.Older, want.Older) {
		t.Errorf("%q: Older: got %v, want %v", want.ID, got.Older, want.Older)
	}
	for name, times := range map[string][2]time.Time{
		"UpdatedAt": {got.UpdatedAt, want.UpdatedAt}, "FirstFetched": {got.FirstFetched, want.FirstFetched},
		"LastFetched": {got.LastFetched, want.LastFetched}, "ChangedAt": {got.ChangedAt, want.ChangedAt},
		"DeletedAt": {got.DeletedAt, want.DeletedAt},
	} {
		if !times[0].Equal(times[1]) || times[0].IsZero() != times[1].IsZero() || times[0].Location() != time.UTC {
			t.Errorf("%q: %s: got %v, want %v", want.ID, name, times[0], times[1])
		}
	}
	plain := func(s importer.Stored) importer.Stored {
		s.Raw, s.Document, s.Older = nil, nil, nil
		s.UpdatedAt, s.FirstFetched, s.LastFetched, s.ChangedAt, s.DeletedAt = noon, noon, noon, noon, noon
		return s
	}
	if got, want := plain(got), plain(want); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func testEmpty(t *testing.T, s importer.Store) {
	check := func(r importer.Reader) {
		t.Helper()
		for _, asked := range [][]string{nil, {}, {"a"}, {"a", "a", ""}} {
			if got, err := r.Records(t.Context(), resources, asked); err != nil || len(got) != 0 {
				t.Errorf("Records %q: got %v, %v", asked, got, err)
			}
		}
		if got := list(t, r, resources, importer.Filter{}); len(got) != 0 {
			t.Errorf("List: got %v", got)
		}
		if got := count(t, r, resources, importer.Filter{}); got != 0 {
			t.Errorf("Count: got %d", got)
		}
		if got := raw(t, r, resources, "a"); got != "" {
			t.Errorf("Raw: got %s", got)
		}
	}
	check(s)
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		check(tx)
		cp, err := tx.Checkpoint(ctx, resources)
		if !reflect.DeepEqual(cp, importer.Checkpoint{Collection: resources}) {
			t.Errorf("Checkpoint: got %+v", cp)
		}
		return errors.Join(err, tx.PutRecords(ctx, nil), tx.TouchRecords(ctx, nil), tx.PutRejections(ctx, nil),
			tx.DeleteRejections(ctx, resources, nil), tx.DeleteRejections(ctx, resources, []string{"a"}), tx.AppendEvents(ctx, nil))
	})
	if got, err := s.Events(t.Context(), "", 0, 10); err != nil || len(got) != 0 {
		t.Errorf("Events: got %v, %v", got, err)
	}
	if got, err := s.Rejections(t.Context(), resources, "", 10); err != nil || len(got) != 0 {
		t.Errorf("Rejections: got %v, %v", got, err)
	}
	if n, err := s.Prune(t.Context(), noon); err != nil || n != 0 {
		t.Errorf("Prune: got %d, %v", n, err)
	}
}

func testRoundTrip(t *testing.T, s importer.Store) {
	full := record(resources, "full")
	full.Parent = "the parent"
	full.Document = json.RawMessage(`{"a":1.0,"b":"é\u0000</","b2":"  ","c":{"z":1,"a":[null,1e400]},"id":"full"}`)
	full.Raw = json.RawMessage("{\n\t\"z\": 1.50, \"a\": \"\u2028\" }")
	full.Version, full.Generation = math.MaxInt64, math.MaxInt64-1
	full.Stamp = importer.Stamp{Updated: math.MinInt64, Sent: math.MaxInt64}
	full.Older = map[string]importer.Stamp{"a": {Updated: 1, Sent: -1}, "ü \\u0041\"": {Updated: math.MaxInt64, Sent: 2}}
	full.DeletedAt = noon.Add(-time.Hour)
	bare := importer.Stored{Collection: resources, ID: "bare", Document: json.RawMessage(`{}`), Version: 1}
	early := record(resources, "early")
	early.UpdatedAt = time.Unix(1, 1).UTC()
	late := record(resources, "late")
	late.UpdatedAt = time.Date(2262, 1, 1, 0, 0, 0, 1, time.UTC)
	erased := importer.Tombstone(resources, "erased", noon)
	for _, want := range []importer.Stored{full, bare, early, late, erased} {
		put(t, s, want)
		same(t, get(t, s, resources, want.ID), unraw(want))
		if got := raw(t, s, resources, want.ID); got != string(want.Raw) {
			t.Errorf("Raw of %q: got %q, want %q", want.ID, got, want.Raw)
		}
	}
	// Records returns each once, whatever is asked for twice or unknown.
	got, err := s.Records(t.Context(), resources, []string{"full", "nope", "bare", "full"})
	if err != nil || len(got) != 2 {
		t.Errorf("Records: got %q, %v", ids(got), err)
	}
	for _, got := range list(t, s, resources, importer.Filter{}) {
		same(t, got, unraw(map[string]importer.Stored{"full": full, "bare": bare, "early": early, "late": late}[got.ID]))
	}
}

func testPutReplaces(t *testing.T, s importer.Store) {
	put(t, s, record(resources, "a"), record(resources, "b"))
	want := record(resources, "a")
	want.Parent, want.Document, want.Hash, want.Version = "p", json.RawMessage(`{"id":"a","name":"new"}`), "other", 2
	want.Raw, want.RawHash, want.Generation = json.RawMessage(`{"raw":2}`), "other raw", 9
	want.Stamp, want.Older = importer.Stamp{Updated: 7, Sent: 8}, map[string]importer.Stamp{"id": {Updated: 1, Sent: 2}}
	want.UpdatedAt, want.FirstFetched, want.LastFetched = noon.Add(time.Hour), noon.Add(-time.Hour), noon.Add(2*time.Hour)
	want.ChangedAt, want.DeletedAt, want.AdapterVersion = noon.Add(3*time.Hour), noon.Add(4*time.Hour), "v2"
	put(t, s, want)
	same(t, get(t, s, resources, "a"), unraw(want))
	if got := raw(t, s, resources, "a"); got != `{"raw":2}` {
		t.Errorf("Raw: got %s", got)
	}
	same(t, get(t, s, resources, "b"), unraw(record(resources, "b")))

	// And back: what was set is unset.
	put(t, s, importer.Stored{Collection: resources, ID: "a", Document: json.RawMessage(`{}`), Version: 3})
	same(t, get(t, s, resources, "a"), importer.Stored{Collection: resources, ID: "a", Document: json.RawMessage(`{}`), Version: 3})
}

func testPutKeepsRaw(t *testing.T, s importer.Store) {
	want := record(resources, "a")
	put(t, s, want)
	for _, step := range []struct {
		raw  json.RawMessage
		want string
	}{
		{nil, string(want.Raw)}, {json.RawMessage(`{"n":1}`), `{"n":1}`}, {nil, `{"n":1}`}, {json.RawMessage{}, ""}, {nil, ""},
	} {
		r := record(resources, "a")
		r.Raw = step.raw
		put(t, s, r)
		if got := raw(t, s, resources, "a"); got != step.want {
			t.Errorf("after Raw %q: got %q, want %q", step.raw, got, step.want)
		}
	}
	// Twice in one transaction.
	first, second := record(resources, "b"), record(resources, "b")
	second.Raw, second.Version = nil, 2
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		return errors.Join(tx.PutRecords(ctx, []importer.Stored{first}), tx.PutRecords(ctx, []importer.Stored{second}))
	})
	if got := raw(t, s, resources, "b"); got != string(first.Raw) || get(t, s, resources, "b").Version != 2 {
		t.Errorf("put twice in a transaction: raw %q", got)
	}
}

func testOwnership(t *testing.T, s importer.Store) {
	scribble := func(r *importer.Stored) {
		for _, b := range [][]byte{r.Document, r.Raw} {
			for i := range b {
				b[i] = '#'
			}
		}
		if r.Older != nil {
			r.Older["a"] = importer.Stamp{Updated: 99}
		}
	}
	want := record(resources, "a")
	want.Older = map[string]importer.Stamp{"a": {Updated: 1}}
	given := record(resources, "a")
	given.Older = map[string]importer.Stamp{"a": {Updated: 1}}
	put(t, s, given)
	scribble(&given)
	got := get(t, s, resources, "a")
	same(t, got, unraw(want))
	scribble(&got)
	listed := list(t, s, resources, importer.Filter{})
	scribble(&listed[0])
	same(t, get(t, s, resources, "a"), unraw(want))
	b, err := s.Raw(t.Context(), resources, "a")
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = '#'
	}
	if got := raw(t, s, resources, "a"); got != string(want.Raw) {
		t.Errorf("Raw: got %s", got)
	}
}

func testTouch(t *testing.T, s importer.Store) {
	was := record(resources, "a")
	was.Older = map[string]importer.Stamp{"x": {Updated: 1}}
	was.Parent, was.DeletedAt = "p", noon.Add(time.Minute)
	put(t, s, was, record(resources, "b"))

	touch := importer.Stored{
		Collection: resources, ID: "a", Parent: "not", Document: json.RawMessage(`{"not":1}`), Hash: "not", Raw: json.RawMessage(`"not"`),
		RawHash: "not", Version: 77, Generation: 5, Stamp: importer.Stamp{Updated: 3, Sent: 4},
		Older: map[string]importer.Stamp{"y": {Sent: 2}}, UpdatedAt: noon.Add(time.Hour), FirstFetched: noon.Add(-time.Hour),
		LastFetched: noon.Add(2 * time.Hour), ChangedAt: noon.Add(9 * time.Hour), DeletedAt: noon.Add(9 * time.Hour), Erased: true, AdapterVersion: "v3",
	}
	want := was
	want.Generation, want.Stamp, want.Older, want.UpdatedAt = touch.Generation, touch.Stamp, touch.Older, touch.UpdatedAt
	want.FirstFetched, want.LastFetched, want.AdapterVersion = touch.FirstFetched, touch.LastFetched, touch.AdapterVersion
	unknown := touch
	unknown.ID = "unknown"
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		if err := tx.TouchRecords(ctx, []importer.Stored{touch, unknown}); err != nil {
			return err
		}
		same(t, get(t, tx, resources, "a"), unraw(want))
		return nil
	})
	same(t, get(t, s, resources, "a"), unraw(want))
	same(t, get(t, s, resources, "b"), unraw(record(resources, "b")))
	if got := raw(t, s, resources, "a"); got != string(was.Raw) {
		t.Errorf("Raw: got %s", got)
	}
	if got, err := s.Records(t.Context(), resources, []string{"unknown"}); err != nil || len(got) != 0 {
		t.Errorf("a record that is not there was touched into being: %v, %v", got, err)
	}
	touch.Older, touch.UpdatedAt = nil, time.Time{}
	want.Older, want.UpdatedAt = nil, time.Time{}
	update(t, s, func(ctx context.Context, tx importer.Tx) error { return tx.TouchRecords(ctx, []importer.Stored{touch}) })
	same(t, get(t, s, resources, "a"), unraw(want))
}

func testCollections(t *testing.T, s importer.Store) {
	var all []importer.Collection
	for _, integration := range []string{"in-1", "in-2", "In-1", "in-1 "} {
		for _, kind := range []driver.Kind{driver.KindResource, driver.KindTransaction, driver.KindMedia} {
			all = append(all, importer.Collection{Integration: integration, Kind: kind})
		}
	}
	for i, c := range all {
		r := record(c, "a")
		r.Document = fmt.Appendf(nil, `{"n":%d}`, i)
		put(t, s, r)
	}
	for i, c := range all {
		if got, want := get(t, s, c, "a"), fmt.Sprintf(`{"n":%d}`, i); string(got.Document) != want || got.Collection != c {
			t.Errorf("%+v: got %+v %s, want %s", c, got.Collection, got.Document, want)
		}
		if got := count(t, s, c, importer.Filter{}); got != 1 {
			t.Errorf("%+v: count %d, want 1", c, got)
		}
		if got := list(t, s, c, importer.Filter{}); len(got) != 1 || got[0].Collection != c {
			t.Errorf("%+v: listed %v", c, got)
		}
	}
}
