package airbnb

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
)

// Every row of whatever comes is a valid record or rejected with a reason; none is lost, nothing private is kept.
func FuzzPage(f *testing.F) {
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"listings": [{"id": 1, "wifi_password": "x", "nested": {"house_manual": "y"}}, 7, null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var p page
		if json.Unmarshal(body, &p) != nil {
			p.rows = []json.RawMessage{body}
		}
		a := adapters[v1]
		check(t, p.rows, a.listing, func(r driver.Resource) json.RawMessage { return r.Raw })
		check(t, p.rows, a.reservation, func(r driver.Transaction) json.RawMessage { return r.Raw })
		check(t, p.rows, a.photo("1"), func(r driver.Media) json.RawMessage { return r.Raw })
		check(t, p.rows, a.day("1", driver.Some("EUR")), func(r driver.Day) json.RawMessage { return r.Raw })
		var r one
		if json.Unmarshal(body, &r) == nil && wire.TypeOf(r.raw) != '{' {
			t.Fatal("a record that is no object")
		}
		code, message := explain(400, body)
		if strings.ContainsAny(code+message, "@\n/") {
			t.Fatalf("%q, %q", code, message)
		}
	})
}

func check[T any](t *testing.T, rows []json.RawMessage, d wire.Decoder[T], raw func(T) json.RawMessage) {
	t.Helper()
	b := d.Each(t.Context(), nil, rows)
	if len(b.Items)+len(b.Rejected) != len(rows) {
		t.Fatalf("%d rows, %d items, %d rejected", len(rows), len(b.Items), len(b.Rejected))
	}
	for _, r := range b.Rejected {
		if strings.Contains(r.Err.Error(), "panic") {
			t.Fatal(r.Err)
		}
	}
	for _, it := range b.Items {
		if err := driver.Validate(it); err != nil {
			t.Fatalf("%v", err)
		}
		if kept := raw(it); !json.Valid(kept) || d.Kind == driver.KindResource &&
			bytes.Contains(kept, []byte(`"wifi_password":`)) {
			t.Fatalf("kept: %s", kept)
		}
	}
}
