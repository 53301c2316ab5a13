package sqlstore

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// Every query finds its rows by an index that narrows them down: none reads a collection, or all of them, where it
// need not.
func TestPlans(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "kit.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := importer.Collection{Integration: "a", Kind: driver.KindMedia}
	list := func(f importer.Filter) string {
		text, _, err := listing(c, f, f.Parents)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, tt := range map[string]struct{ text, want string }{
		"by id":         {statements[qRecords16], "(integration=? AND kind=? AND id=?)"},
		"page":          {list(importer.Filter{After: "x", Limit: 10, Live: true, Unseen: 3}), "(integration=? AND kind=? AND id>?)"},
		"of parents":    {list(importer.Filter{Parents: []string{"a", "b", "c"}, Live: true}), "(integration=? AND kind=? AND parent=?)"},
		"raw":           {statements[qRaw], "(integration=? AND kind=? AND id=?)"},
		"events":        {statements[qEvents], "USING INTEGER PRIMARY KEY (rowid>?)"},
		"events of one": {statements[qEventsOf], "(integration=? AND seq>?)"},
		"rejections":    {statements[qRejections], "(integration=? AND kind=? AND key>?)"},
		"touch":         {statements[qTouch], "(integration=? AND kind=? AND id=?)"},
		"reject":        {statements[qDropRejection], "(integration=? AND kind=? AND key=?)"},
		"messages":      {statements[qMessages], "(queue=? AND state=? AND seq>?)"},
		"message":       {statements[qDropMessage], "(queue=? AND key=?)"},
		"requeue":       {statements[qRequeue], "(queue=? AND key=?)"},
		"erase":         {statements[qEraseMessages], "(integration=? AND id=?)"},
		"old messages":  {prunes[3], "(received<?)"},
		"old events":    {prunes[0], "(at<?)"},
		"old records":   {prunes[2], "(deleted_at<?)"},
		"old claims":    {prunes[4], "(until<?)"},
		"old failures":  {prunes[5], "(failed_at<?)"},
		"old webhooks":  {prunes[6], "(at<?)"},
		"old changes":   {prunes[7], "(at<?)"},
		"claims over":   {statements[qForget], "(until<?)"},
		"told":          {tally, "(integration=? AND kind=? AND id=? AND at>? AND at<?)"},
	} {
		t.Run(name, func(t *testing.T) {
			marks := make([]any, strings.Count(tt.text, "?"))
			for i := range marks {
				marks[i] = time.Now().UnixNano()
			}
			rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+tt.text, marks...)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			var plan []string
			for rows.Next() {
				var id, parent, unused int
				var detail string
				if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
					t.Fatal(err)
				}
				plan = append(plan, detail)
			}
			got := strings.Join(plan, "; ")
			if err := rows.Err(); err != nil || !strings.Contains(got, tt.want) || strings.Contains(got, "SCAN") {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}
