package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// Erased data are in none of the files any more.
func TestEraseLeavesNoTrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	s := open(t, path, nil)
	records := page(0, 50)
	for i := range records {
		records[i].Document = fmt.Appendf(nil, `{"guest":"Ada-%02d","pad":%q}`, i, strings.Repeat("x", 100*i))
		records[i].Raw = fmt.Appendf(nil, `{"_guest":"Ada-%02d","pad":%q}`, i, strings.Repeat("y", 300*i))
	}
	for range 2 { // once inserted, once replaced
		err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
			if err := tx.PutRejections(ctx, []importer.Rejection{{
				Collection: resources, Key: "other key", ID: records[7].ID, Reason: "Ada-07 is wrong", First: noon, Last: noon, Count: 1,
			}}); err != nil {
				return err
			}
			return tx.PutRecords(ctx, records)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Contains(files(t, path), []byte("Ada-07")) {
		t.Fatal("the data are not in the files to begin with")
	}
	if err := s.Erase(t.Context(), resources, records[7].ID); err != nil {
		t.Fatal(err)
	}
	all := files(t, path)
	if n := bytes.Count(all, []byte("Ada-07")); n != 0 {
		t.Errorf("found the erased data in %d places", n)
	}
	if !bytes.Contains(all, []byte("Ada-08")) {
		t.Error("more was erased than was asked for")
	}
	if raw, err := s.Raw(t.Context(), resources, records[7].ID); err != nil || len(raw) != 0 {
		t.Errorf("raw item: got %q, %v, want none", raw, err)
	}
	if left, err := s.Rejections(t.Context(), resources, "", 5); err != nil || len(left) != 0 {
		t.Errorf("rejections: got %d, %v, want none", len(left), err)
	}
}

// A reader that is in the way neither stops Erase nor keeps later writers waiting.
func TestEraseWhileReading(t *testing.T) {
	s := fresh(t)
	benchPut(t, s)
	reading, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.Dump(t.Context(), writerFunc(func(p []byte) (int, error) {
			select {
			case <-reading:
			default:
				close(reading)
			}
			<-release
			return len(p), nil
		}))
	}()
	<-reading
	if err := s.Erase(t.Context(), resources, page(0, 1)[0].ID); err != nil {
		t.Error(err)
	}
	benchPut(t, s)
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Prune works in batches; what is more than one of them goes all the same.
func TestPruneInBatches(t *testing.T) {
	s := fresh(t)
	const n = 2500
	records := page(0, n)
	events := make([]importer.Event, n)
	rejections := make([]importer.Rejection, n)
	for i := range records {
		at := noon.Add(time.Duration(i%2) * time.Hour)
		records[i].DeletedAt = at
		events[i] = importer.Event{Collection: resources, ID: records[i].ID, Version: 1, Change: importer.Deleted, At: at, Run: "r"}
		rejections[i] = importer.Rejection{Collection: resources, Key: records[i].ID, Reason: "why", First: noon, Last: at, Count: 1}
	}
	err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
		return errors.Join(tx.PutRecords(ctx, records), tx.AppendEvents(ctx, events), tx.PutRejections(ctx, rejections))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		before time.Time
		want   int64
	}{{time.Time{}, 0}, {noon, 0}, {noon.Add(time.Minute), 3 * n / 2}, {noon.Add(time.Minute), 0}, {noon.Add(2 * time.Hour), 3 * n / 2}} {
		if got, err := s.Prune(t.Context(), tt.before); err != nil || got != tt.want {
			t.Errorf("before %v: got %d, %v, want %d", tt.before, got, err, tt.want)
		}
	}
	if raw, err := s.Raw(t.Context(), resources, records[0].ID); err != nil || len(raw) != 0 {
		t.Errorf("the raw item of a pruned record: got %d bytes, %v", len(raw), err)
	}
}

func TestReseal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	s := open(t, path, keys(t, "old"))
	const n = 1500 // more than a batch
	for i := range 3 {
		if _, err := s.SaveToken(t.Context(), fmt.Sprint("token", i), auth.Record{Token: auth.Token{Access: "a"}, Generation: 7}); err != nil {
			t.Fatal(err)
		}
	}
	media := importer.Collection{Integration: "acct-1", Kind: driver.KindMedia}
	err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
		for _, c := range []importer.Collection{resources, media} { // the same keys twice
			rejections := make([]importer.Rejection, n)
			for i := range rejections {
				rejections[i] = importer.Rejection{Collection: c, Key: fmt.Sprint(i), Raw: []byte("raw " + c.Kind), First: noon, Last: noon, Count: 1}
			}
			rejections[0].Raw = nil
			if err := tx.PutRejections(ctx, rejections); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	both := open(t, path, keys(t, "new", "old"))
	for range 2 {
		if err := both.Reseal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	renewed := open(t, path, keys(t, "new"))
	for i := range 3 {
		if r, err := renewed.LoadToken(t.Context(), fmt.Sprint("token", i)); err != nil || r.Generation != 7 || r.Version != 1 || r.Token.Access != "a" {
			t.Errorf("token %d: got generation %d, version %d, %v", i, r.Generation, r.Version, err)
		}
	}
	for _, c := range []importer.Collection{resources, media} {
		got, err := renewed.Rejections(t.Context(), c, "", 2*n)
		if err != nil || len(got) != n {
			t.Fatalf("got %d rejections, %v, want %d", len(got), err, n)
		}
		for _, r := range got {
			if want := "raw " + string(c.Kind); string(r.Raw) != want && r.Key != "0" {
				t.Fatalf("%s %s: got %q, want %q", c.Kind, r.Key, r.Raw, want)
			}
		}
	}
	refused(t, path, keys(t, "old"), sqlstore.ErrKeys)
}

// The dump is that of the store in memory.
func TestDump(t *testing.T) {
	memory, s := importer.NewMemory(), fresh(t)
	for _, store := range []importer.Store{memory, s} {
		err := store.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
			for _, c := range []importer.Collection{{Integration: "b", Kind: driver.KindMedia}, {Integration: "a b", Kind: driver.KindResource}, resources} {
				records := page(0, 20)
				var events []importer.Event
				var rejections []importer.Rejection
				for i := range records {
					records[i].Collection = c
					events = append(events, importer.Event{Collection: c, ID: records[19-i].ID, Version: 1, Change: importer.Added, At: noon, Run: "r"})
					rejections = append(rejections, importer.Rejection{Collection: c, Key: records[19-i].ID, Reason: "why", First: noon, Last: noon, Count: 1})
				}
				records[3].DeletedAt = noon
				records[4].Erased = true
				if err := errors.Join(tx.PutRecords(ctx, records), tx.AppendEvents(ctx, events), tx.PutRejections(ctx, rejections)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var want, got bytes.Buffer
	if err := memory.Dump(t.Context(), &want); err != nil {
		t.Fatal(err)
	}
	if err := s.Dump(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(got.Bytes(), []byte("\n")); lines != 3*(19+20+20) {
		t.Errorf("got %d lines", lines)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("dumps differ:\n%.2000s\nwant\n%.2000s", got.String(), want.String())
	}
	full := errors.New("disk full")
	if err := s.Dump(t.Context(), writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Errorf("got %v, want the writer's error", err)
	}
}
