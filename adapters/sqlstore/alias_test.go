package sqlstore_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

// A record that goes on under another id keeps what is known of it, and the log says that it was merged, not deleted and added.
func TestRecordUnderAnotherID(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "kit.db"), nil)
	cfg := importer.Config{Integration: importertest.Integration("acct-17"), Store: s}
	began := time.Now().Add(-time.Hour)
	old := &driver.Resource{Record: driver.Record{ID: "a", Raw: []byte(`{}`)}, Name: driver.Some("Harbour"), Capacity: driver.Some(4)}
	if _, err := importer.Apply(t.Context(), cfg, began, old); err != nil {
		t.Fatal(err)
	}
	renamed := &driver.Resource{Record: driver.Record{ID: "c", Aliases: []string{"a"}, Raw: []byte(`{"of":"c"}`)}, Name: driver.Some("Harbour loft")}
	if _, err := importer.Apply(t.Context(), cfg, began.Add(time.Minute), renamed); err != nil {
		t.Fatal(err)
	}
	c := importer.Collection{Integration: "acct-17", Kind: driver.KindResource}
	all, err := s.Records(t.Context(), c, []string{"a", "c"})
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, r := range all {
		want, lives := `{"aliases":["c"],"id":"a"}`, false
		if r.ID == "c" {
			want, lives = `{"aliases":["a"],"capacity":4,"id":"c","name":"Harbour loft"}`, true
		}
		if string(r.Document) != want || r.DeletedAt.IsZero() != lives {
			t.Errorf("%s: %s, deleted %v", r.ID, r.Document, r.DeletedAt)
		}
	}
	if raw, err := s.Raw(t.Context(), c, "c"); err != nil || string(raw) != `{"of":"c"}` {
		t.Errorf("raw %s, %v", raw, err)
	}
	events, err := s.Events(t.Context(), "acct-17", 1, 10)
	if err != nil || len(events) != 2 || events[0].Change != importer.Merged || events[0].ID != "a" || events[1].Change != importer.Updated || events[1].ID != "c" {
		t.Errorf("%+v, %v", events, err)
	}
}
