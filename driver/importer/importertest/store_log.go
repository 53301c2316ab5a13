package importertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

func testCheckpoints(t *testing.T, s importer.Store) {
	pass := importer.Pass{
		Run: "run-1", Mode: importer.Incremental, Whole: true, Generation: 7, Started: noon, Since: noon.Add(-1), Cursor: "c-ü\"\\",
		Sweeping: true, After: "é\t😀", Newest: noon.Add(5), Undated: true, Incomplete: "why", Nameless: 3, Live: 9, Guarded: true,
		Counts: importer.Counts{
			Pages: 1, Items: 2, Added: 3, Updated: 4, Unchanged: 5, Restored: 6, Deleted: 7, Rejected: 8, Skipped: 9, Stale: 10,
		},
	}
	other := pass
	other.Run, other.Mode = "run-2", importer.Full
	state := importer.RunState{Run: "run-1", Kinds: []driver.Kind{driver.KindResource, driver.KindMedia}, Done: []importer.DonePass{{
		Started: noon, Finished: noon.Add(7), Whole: true, Incomplete: "why", Counts: pass.Counts,
	}}}
	for _, want := range []importer.Checkpoint{
		{Collection: resources, Watermark: noon, Generation: 1 << 40, Full: &other, Incremental: &pass},
		{Collection: resources, Generation: 4, Full: &other, FullRun: &state, IncrementalRun: &importer.RunState{Run: "r"}},
		{Collection: resources, Generation: 2, Incremental: &importer.Pass{Run: "r"}},
		{Collection: resources, Generation: 3, Full: &importer.Pass{Run: "r"}},
		{Collection: resources},
	} {
		update(t, s, func(ctx context.Context, tx importer.Tx) error {
			given := want
			if given.Full != nil {
				full := *given.Full
				given.Full = &full
			}
			if given.FullRun != nil {
				run := *given.FullRun
				run.Done = slices.Clone(run.Done)
				given.FullRun = &run
			}
			if err := tx.PutCheckpoint(ctx, given); err != nil {
				return err
			}
			if given.Full != nil {
				given.Full.Run = "changed by the caller"
			}
			if given.FullRun != nil {
				given.FullRun.Run, given.FullRun.Done[0].Whole = "changed by the caller", false
			}
			return nil
		})
		update(t, s, func(ctx context.Context, tx importer.Tx) error {
			got, err := tx.Checkpoint(ctx, resources)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			if got.Full != nil {
				got.Full.Run = "changed by the reader"
			}
			if got.FullRun != nil {
				got.FullRun.Run, got.FullRun.Done[0].Whole = "changed by the reader", false
			}
			again, err2 := tx.Checkpoint(ctx, resources)
			if !reflect.DeepEqual(again, want) {
				t.Errorf("the second time: got %+v\nwant %+v", again, want)
			}
			apart, err3 := tx.Checkpoint(ctx, importer.Collection{Integration: resources.Integration, Kind: driver.KindMedia})
			if apart.Generation != 0 {
				t.Errorf("another collection has it: %+v", apart)
			}
			return errors.Join(err, err2, err3)
		})
	}
}

func event(c importer.Collection, id string, version int64, what importer.ChangeKind, at time.Time) importer.Event {
	return importer.Event{Collection: c, ID: id, Version: version, Change: what, At: at, Run: "run"}
}

func testEvents(t *testing.T, s importer.Store) {
	var want []importer.Event
	add := func(events ...importer.Event) {
		update(t, s, func(ctx context.Context, tx importer.Tx) error { return tx.AppendEvents(ctx, events) })
		want = append(want, events...)
	}
	add(event(resources, "b", 1, importer.Added, noon), event(resources, "a", 1, importer.Added, noon.Add(-1)))
	add(event(others, "b", 2, importer.Updated, noon), event(resources, "b", 1, importer.Added, noon)) // repetitions are the caller's
	add(event(resources, "é😀", 3, importer.Restored, noon), event(others, "a", 1<<40, importer.Deleted, noon))
	withSeq := event(others, "c", 1, importer.Added, noon)
	withSeq.Seq = 999 // is the store's to give
	add(withSeq)

	read := func(integration string, after int64, limit int) []importer.Event {
		t.Helper()
		got, err := s.Events(t.Context(), integration, after, limit)
		if err != nil {
			t.Fatalf("Events: %v", err)
		}
		return got
	}
	all := read("", 0, 100)
	if len(all) != len(want) {
		t.Fatalf("got %d events, want %d", len(all), len(want))
	}
	for i, got := range all {
		if i > 0 && got.Seq <= all[i-1].Seq || got.Seq <= 0 || got.Seq == 999 {
			t.Errorf("event %d has Seq %d", i, got.Seq)
		}
		w := want[i]
		w.Seq = got.Seq
		if !got.At.Equal(w.At) || got.At.Location() != time.UTC {
			t.Errorf("event %d: at %v, want %v", i, got.At, w.At)
		}
		got.At = w.At
		if !reflect.DeepEqual(got, w) {
			t.Errorf("event %d: got %+v, want %+v", i, got, w)
		}
	}
	for i := range all {
		for limit := range 3 {
			if got := read("", all[i].Seq, limit); !slices.Equal(got, all[i+1:min(i+1+limit, len(all))]) {
				t.Errorf("%d after %d: got %v", limit, i, got)
			}
		}
	}
	for _, integration := range []string{"in-1", "in-2", "none", "IN-1"} {
		var want []importer.Event
		for _, e := range all {
			if e.Integration == integration {
				want = append(want, e)
			}
		}
		if got := read(integration, 0, 100); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", integration, got, want)
		}
	}
	if got := read("", -5, 100); len(got) != len(all) {
		t.Errorf("after -5: got %d, want %d", len(got), len(all))
	}
	if got := read("", 0, -1); len(got) != 0 {
		t.Errorf("limit -1: got %d, want none", len(got))
	}
}

// testEventsTail reads the log while several commit: a reader that goes on from the last Seq it has seen must see
// every event.
func testEventsTail(t *testing.T, s importer.Store) {
	const workers, times, each = 4, 30, 3
	var wg sync.WaitGroup
	done := make(chan struct{})
	for w := range workers {
		wg.Go(func() {
			for i := range times {
				if err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
					for j := range each {
						if err := tx.AppendEvents(ctx, []importer.Event{event(resources, fmt.Sprint(w), int64(i*each+j), importer.Updated, noon)}); err != nil {
							return err
						}
					}
					if i%5 == 4 {
						return errStop // what is rolled back is not in the log
					}
					return nil
				}); err != nil && !errors.Is(err, errStop) {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	var seen []importer.Event
	for last := false; ; {
		select {
		case <-done:
			last = true
		default:
		}
		after := int64(0)
		if len(seen) > 0 {
			after = seen[len(seen)-1].Seq
		}
		got, err := s.Events(t.Context(), "", after, 7)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, got...)
		if last && len(got) == 0 {
			break
		}
	}
	next := map[string]int64{}
	for i, e := range seen {
		if i > 0 && e.Seq <= seen[i-1].Seq {
			t.Fatalf("Seq %d after %d", e.Seq, seen[i-1].Seq)
		}
		for next[e.ID]/each%5 == 4 {
			next[e.ID] += each
		}
		if e.Version != next[e.ID] {
			t.Fatalf("worker %s: got %d, want %d: an event was skipped or came out of order", e.ID, e.Version, next[e.ID])
		}
		next[e.ID]++
	}
	if want := workers * times * each * 4 / 5; len(seen) != want {
		t.Errorf("saw %d events, want %d", len(seen), want)
	}
}

var errStop = errors.New("stop")

func rejection(c importer.Collection, key, reason string, at time.Time) importer.Rejection {
	return importer.Rejection{Collection: c, Key: key, ID: key, Reason: reason, Raw: []byte("raw of " + key + " \x00\xff"), First: at, Last: at, Count: 1}
}

func testRejections(t *testing.T, s importer.Store) {
	read := func(c importer.Collection, after string, limit int) []importer.Rejection {
		t.Helper()
		got, err := s.Rejections(t.Context(), c, after, limit)
		if err != nil {
			t.Fatalf("Rejections: %v", err)
		}
		return got
	}
	keysOf := func(list []importer.Rejection) []string {
		keys := []string{}
		for _, r := range list {
			keys = append(keys, r.Key)
		}
		return keys
	}
	write := func(list ...importer.Rejection) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx importer.Tx) error { return tx.PutRejections(ctx, list) })
	}
	nameless := rejection(resources, "sha256:00", "has no id", noon)
	nameless.ID, nameless.Raw = "", nil
	write(rejection(resources, "b", "first", noon), rejection(others, "b", "elsewhere", noon), nameless)
	again := rejection(resources, "b", "sécond", noon.Add(time.Hour))
	again.Raw, again.Count = []byte("new"), 2
	write(again)
	update(t, s, func(ctx context.Context, tx importer.Tx) error { // twice in a transaction
		return errors.Join(tx.PutRejections(ctx, []importer.Rejection{again}), tx.PutRejections(ctx, []importer.Rejection{again}))
	})
	want := again
	want.First, want.Count = noon, 1+2+2+2
	for i, want := range []importer.Rejection{want, nameless} {
		got := read(resources, "", 10)
		if len(got) != 2 {
			t.Fatalf("got %+v", got)
		}
		if g := got[i]; !g.First.Equal(want.First) || !g.Last.Equal(want.Last) || !bytes.Equal(g.Raw, want.Raw) || g.Count != want.Count ||
			g.Reason != want.Reason || g.ID != want.ID || g.Key != want.Key || g.Collection != want.Collection || g.First.Location() != time.UTC {
			t.Errorf("got %+v\nwant %+v", g, want)
		}
	}
	if got := read(others, "", 10); len(got) != 1 || got[0].Count != 1 || got[0].Reason != "elsewhere" || string(got[0].Raw) != "raw of b \x00\xff" {
		t.Errorf("another collection's: got %+v", got)
	}

	// Deleted, and rejected again in the same transaction: it begins anew.
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		return errors.Join(tx.DeleteRejections(ctx, resources, []string{"b", "b", "none"}),
			tx.PutRejections(ctx, []importer.Rejection{rejection(resources, "b", "third", noon.Add(2*time.Hour))}),
			tx.PutRejections(ctx, []importer.Rejection{rejection(resources, "x", "x", noon)}), tx.DeleteRejections(ctx, resources, []string{"x"}))
	})
	if got := read(resources, "", 10); len(got) != 2 || got[0].Count != 1 || !got[0].First.Equal(noon.Add(2*time.Hour)) {
		t.Errorf("after deletion: got %+v", got)
	}

	for _, id := range awkward {
		write(rejection(resources, id, "r", noon))
	}
	sorted := slices.Sorted(slices.Values(append(slices.Clone(awkward), "sha256:00")))
	if got := keysOf(read(resources, "", 1000)); !slices.Equal(got, sorted) {
		t.Errorf("order:\n got %q\nwant %q", got, sorted)
	}
	for i, key := range sorted {
		for _, limit := range []int{-1, 0, 1, 3} {
			want := sorted[i+1 : min(i+1+max(limit, 0), len(sorted))]
			if got := keysOf(read(resources, key, limit)); !slices.Equal(got, want) {
				t.Errorf("%d after %q: got %q, want %q", limit, key, got, want)
			}
		}
	}
}

func testPrune(t *testing.T, s importer.Store) {
	old, at := noon.Add(-time.Nanosecond), noon
	dead := func(id string, when time.Time) importer.Stored {
		r := record(resources, id)
		r.DeletedAt = when
		return r
	}
	fresh := rejection(resources, "seen again", "r", old)
	fresh.Last = at
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		return errors.Join(
			tx.PutRecords(ctx, []importer.Stored{record(resources, "lives"), dead("old", old), dead("recent", at), importer.Tombstone(resources, "erased", old), dead("old too", old)}),
			tx.AppendEvents(ctx, []importer.Event{event(resources, "a", 1, importer.Added, old), event(resources, "b", 1, importer.Added, at)}),
			tx.PutRejections(ctx, []importer.Rejection{rejection(resources, "old", "r", old), rejection(resources, "recent", "r", at), fresh}),
			tx.PutCheckpoint(ctx, importer.Checkpoint{Collection: resources, Watermark: old, Generation: 1}))
	})
	n, err := s.Prune(t.Context(), noon)
	if err != nil || n != 4 { // two records, an event, a rejection
		t.Errorf("Prune: got %d, %v, want 4", n, err)
	}
	got, err := s.Records(t.Context(), resources, []string{"lives", "old", "recent", "erased", "old too"})
	if left := slices.Sorted(slices.Values(ids(got))); err != nil || !slices.Equal(left, []string{"erased", "lives", "recent"}) {
		t.Errorf("records left: %q, %v", left, err)
	}
	if got := ids(list(t, s, resources, importer.Filter{})); !slices.Equal(got, []string{"lives", "recent"}) {
		t.Errorf("records listed: %q", got)
	}
	if got := raw(t, s, resources, "old"); got != "" {
		t.Errorf("raw of a pruned record: %s", got)
	}
	if got, err := s.Events(t.Context(), "", 0, 10); err != nil || len(got) != 1 || got[0].ID != "b" {
		t.Errorf("events left: %v, %v", got, err)
	}
	if got, err := s.Rejections(t.Context(), resources, "", 10); err != nil || len(got) != 2 || got[0].Key != "recent" || got[1].Key != "seen again" {
		t.Errorf("rejections left: %v, %v", got, err)
	}
	if n, err := s.Prune(t.Context(), noon); err != nil || n != 0 {
		t.Errorf("Prune again: got %d, %v", n, err)
	}
	// A number that was given is not given again, even when its event is gone.
	if _, err := s.Prune(t.Context(), noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		cp, err := tx.Checkpoint(ctx, resources)
		if cp.Generation != 1 {
			t.Error("Prune removed a checkpoint")
		}
		return errors.Join(err, tx.AppendEvents(ctx, []importer.Event{event(resources, "c", 1, importer.Added, noon)}))
	})
	if got, err := s.Events(t.Context(), "", 0, 10); err != nil || len(got) != 1 || got[0].Seq <= 2 {
		t.Errorf("after everything was pruned: got %v, %v, want Seq above 2", got, err)
	}
}

func testErase(t *testing.T, s importer.Store) {
	secret := record(resources, "a")
	secret.Document, secret.Raw = []byte(`{"id":"a","name":"Erika Mustermann"}`), []byte(`{"name":"Erika Mustermann"}`)
	secret.Parent, secret.Version, secret.Hash = "p", 7, "h"
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		return errors.Join(tx.PutRecords(ctx, []importer.Stored{secret, record(resources, "b"), record(others, "a")}),
			tx.PutRejections(ctx, []importer.Rejection{rejection(resources, "a", "r", noon), rejection(resources, "b", "r", noon), rejection(others, "a", "r", noon)}))
	})
	for range 2 { // again does no harm
		if err := s.Erase(t.Context(), resources, "a"); err != nil {
			t.Fatal(err)
		}
	}
	got := get(t, s, resources, "a")
	if !got.Erased || string(got.Document) != "{}" || got.Hash != "" || got.RawHash != "" || got.Parent != "" || len(got.Older) != 0 ||
		!got.UpdatedAt.IsZero() || got.DeletedAt.IsZero() || got.Version <= 7 {
		t.Errorf("got %+v", got)
	}
	if got := raw(t, s, resources, "a"); got != "" {
		t.Errorf("Raw: got %s", got)
	}
	if got := ids(list(t, s, resources, importer.Filter{})); !slices.Equal(got, []string{"b"}) || count(t, s, resources, importer.Filter{}) != 1 {
		t.Errorf("listed: %q", got)
	}
	if got, err := s.Rejections(t.Context(), resources, "", 10); err != nil || len(got) != 1 || got[0].Key != "b" {
		t.Errorf("rejections left: %v, %v", got, err)
	}
	same(t, get(t, s, others, "a"), unraw(record(others, "a")))
	if got, err := s.Rejections(t.Context(), others, "", 10); err != nil || len(got) != 1 {
		t.Errorf("another collection's rejections: %v, %v", got, err)
	}
	if err := s.Erase(t.Context(), resources, "never seen"); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, resources, "never seen"); !got.Erased || got.Version < 1 {
		t.Errorf("a record that was not there: got %+v", got)
	}
	if _, err := s.Prune(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !get(t, s, resources, "a").Erased {
		t.Error("Prune forgot that a record was erased")
	}
}

// testDump compares the dump of a store that has one, as a method Dump(ctx, io.Writer) error, with that of importer.Memory: rows
// and their order.
func testDump(t *testing.T, s importer.Store) {
	type dumper interface {
		Dump(ctx context.Context, w io.Writer) error
	}
	if _, ok := s.(dumper); !ok {
		t.Skip("the store has no method Dump")
	}
	reference := importer.NewMemory()
	var dumps [2]bytes.Buffer
	for i, s := range []importer.Store{reference, s} {
		for _, c := range []importer.Collection{others, resources, {Integration: "in-1", Kind: driver.KindMedia}, {Integration: "In-1", Kind: resources.Kind}} {
			update(t, s, func(ctx context.Context, tx importer.Tx) error {
				var records []importer.Stored
				var rejected []importer.Rejection
				var events []importer.Event
				for j, id := range awkward {
					r := record(c, id)
					r.Version, r.Parent = int64(j+1), awkward[j/2]
					if j%3 == 0 {
						r.DeletedAt, r.UpdatedAt = noon, time.Time{}
					}
					records = append(records, r)
					rejected = append(rejected, rejection(c, id, "<reason>", noon))
					events = append(events, event(c, id, 2, importer.Updated, noon), event(c, id, 1, importer.Added, noon))
				}
				return errors.Join(tx.PutRecords(ctx, records), tx.PutRejections(ctx, rejected), tx.AppendEvents(ctx, events))
			})
		}
		if err := s.Erase(t.Context(), resources, "a"); err != nil {
			t.Fatal(err)
		}
		if err := s.(dumper).Dump(t.Context(), &dumps[i]); err != nil {
			t.Fatal(err)
		}
	}
	want, got := bytes.Split(dumps[0].Bytes(), []byte("\n")), bytes.Split(dumps[1].Bytes(), []byte("\n"))
	if len(got) != len(want) || len(got) < 4*4*len(awkward)-1 {
		t.Errorf("got %d lines, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("line %d:\n got %s\nwant %s", i+1, got[i], want[i])
		}
	}
}
