package importer

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// decoded makes observations from bytes: for each a time of update, a time of sending and up to four fields.
func decoded(t *testing.T, b []byte) []observation {
	t.Helper()
	var out []observation
	for len(b) >= 4 && len(out) < 12 {
		base := time.Unix(1_700_000_000, 0)
		rec := &driver.Record{ID: "r", AdapterVersion: string('a' + rune(b[0]>>6))}
		if b[0]&7 != 0 {
			rec.UpdatedAt = base.Add(time.Duration(b[0]&7) * time.Second)
		}
		if b[2]&8 != 0 {
			rec.Raw = fmt.Appendf(nil, "%d", b[2]>>4)
		}
		doc := map[string]any{"id": "r"}
		for i, name := range []string{"a", "b", "c", "resource_id"} {
			switch (b[3] >> (2 * i)) & 3 {
			case 1:
				doc[name] = nil
			case 2:
				doc[name] = fmt.Sprint(b[2] & 3)
			case 3:
				doc[name] = fmt.Sprint(b[0])
			}
		}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		o, err := newObservation(rec, text, base.Add(time.Duration(b[1]&15)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
		b = b[4:]
	}
	return out
}

// mergeAll applies the observations in groups of the sizes, storing as a Store does after each group.
func mergeAll(t *testing.T, obs []observation, size int) *Stored {
	t.Helper()
	var cur *Stored
	var raw json.RawMessage
	for group := range slices.Chunk(obs, size) {
		s, what, _, err := merge(cur, group, time.Unix(1, 0))
		if err != nil {
			t.Fatal(err)
		}
		if s.Raw != nil {
			raw = s.Raw
		}
		if (what == unchanged || what == stale) && (cur == nil || !bytes.Equal(cur.Document, s.Document) || cur.Version != s.Version) {
			t.Fatalf("%v, but the document was %s and is %s", what, cur.Document, s.Document)
		}
		if s.Hash != hashOf(s.Document) {
			t.Fatalf("hash %s of %s", s.Hash, s.Document)
		}
		s.Raw = nil
		cur = &s
	}
	if cur != nil {
		cur.Raw = raw
		if len(raw) == 0 {
			cur.Raw = nil
		}
		cur.Version, cur.ChangedAt = 0, time.Time{}
		if len(cur.Older) == 0 {
			cur.Older = nil
		}
	}
	return cur
}

// FuzzMerge: the result does not depend on order, repetition or grouping, and is again a document that can be split.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0xff, 2, 1, 8, 0x55, 0, 5, 0xf8, 0xaa, 1, 2, 9, 0x0f}, uint64(1))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0}, uint64(7))
	f.Add(bytes.Repeat([]byte{7, 3, 0x1b, 0xe4, 7, 3, 0x2b, 0x4e}, 6), uint64(99))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		obs := decoded(t, b)
		want := mergeAll(t, obs, 1)
		for i := range 4 {
			other := slices.Clone(obs)
			for j := len(other) - 1; j > 0; j-- { // a permutation from the seed
				seed = seed*6364136223846793005 + 1442695040888963407
				k := int(seed >> 33 % uint64(j+1))
				other[j], other[k] = other[k], other[j]
			}
			if i%2 == 1 && len(other) > 0 {
				other = append(other, other[0], other[len(other)/2])
			}
			if got := mergeAll(t, other, i+1); !reflect.DeepEqual(got, want) {
				t.Fatalf("\n got %+v\nwant %+v", got, want)
			}
		}
		if want != nil {
			fields, err := splitFields(want.Document)
			if err != nil || !slices.IsSortedFunc(fields, func(a, b field) int { return bytes.Compare([]byte(a.name), []byte(b.name)) }) {
				t.Fatalf("%s: %v", want.Document, err)
			}
		}
	})
}

// FuzzFields: what encoding/json writes is split into members and joined again to the same bytes; of anything else,
// what is accepted comes back byte for byte. Nothing panics.
func FuzzFields(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":1}`, `{"a":"}","b\"":[{"c":"]"},null],"d":{"e":{}}}`, `{"a":"\\","b":-1.5e+3}`, `{"a" : 1}`, `{"a":1,}`, `{"a":}`, `{"a":1}}`, `{`, `[]`,
		`{"é😀\u0000":"<&>"}`, `{"a":"\ud800"}`, `{,}`, `{"a":1 "b":2}`, `{"":""}`, `{"a":"b`, `{"a":[1,2}`, `null`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if fields, err := splitFields(b); err == nil {
			if got := joinFields(fields); !bytes.Equal(got, b) {
				t.Fatalf("%q comes back as %q", b, got)
			}
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(b, &object) != nil || object == nil {
			return
		}
		compact, err := json.Marshal(object)
		if err != nil {
			return
		}
		fields, err := splitFields(compact)
		if err != nil || len(fields) != len(object) {
			t.Fatalf("%s: %d fields, %v, want %d", compact, len(fields), err, len(object))
		}
		for _, field := range fields {
			var name string
			if err := json.Unmarshal([]byte(`"`+field.name+`"`), &name); err != nil {
				t.Fatalf("name %q: %v", field.name, err)
			}
			var got, want any
			if e1, e2 := json.Unmarshal(field.value, &got), json.Unmarshal(object[name], &want); e1 != nil || e2 != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%q: got %s, want %s", name, field.value, object[name])
			}
		}
	})
}

func TestStampJSON(t *testing.T) {
	for _, s := range []Stamp{{}, {1, -2}, {1 << 62, -(1 << 62)}} {
		b, err := json.Marshal(s)
		var got Stamp
		if err != nil || json.Unmarshal(b, &got) != nil || got != s {
			t.Errorf("%v: %s, %v, %v", s, b, got, err)
		}
	}
	var s Stamp
	if err := json.Unmarshal([]byte(`"x"`), &s); err == nil {
		t.Error("a stamp was read from a string")
	}
}

func TestDamagedDocuments(t *testing.T) {
	o, err := newObservation(&driver.Record{ID: "r"}, []byte(`{"id":"r"}`), time.Unix(5, 0))
	if err != nil {
		t.Fatal(err)
	}
	old := &Stored{ID: "r", Document: json.RawMessage(`{"id" `)}
	if _, _, _, err := merge(old, []observation{o}, time.Unix(6, 0)); err == nil {
		t.Error("a damaged document was merged with")
	}
	if _, err := newObservation(&driver.Record{ID: "r"}, []byte(`[]`), time.Unix(5, 0)); err == nil {
		t.Error("an array was taken for a document")
	}
	if _, err := Decode[driver.Resource](*old); err == nil {
		t.Error("a damaged document was decoded")
	}
	if got := string(DumpRecord(*old)); !bytes.Contains([]byte(got), []byte("error")) {
		t.Errorf("got %s", got)
	}
	for doc, want := range map[string]string{`{"resource_id":null}`: "", `{"resource_id":7}`: "", `{"resource_id":"p"}`: "p", `{}`: ""} {
		fields, err := splitFields([]byte(doc))
		if got := parentOf(fields); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", doc, got, err, want)
		}
	}
	if recordOf("x") != nil || recordOf((*driver.Media)(nil)) != nil {
		t.Error("what is no record was taken for one")
	}
}

// BenchmarkMerge is what a record that has not changed costs, and one of which a field has.
func BenchmarkMerge(b *testing.B) {
	name := func(s string) []observation {
		r := &driver.Resource{
			Record: driver.Record{ID: "r", UpdatedAt: time.Unix(100, 0)}, Name: driver.Some(s), Capacity: driver.Some(4),
			Description: driver.Some(string(bytes.Repeat([]byte("words "), 100))), Address: driver.Some(driver.Address{City: "Porto"}),
		}
		o, err := observe(r, time.Unix(200, 0))
		if err != nil {
			b.Fatal(err)
		}
		return []observation{o}
	}
	stored, _, _, err := merge(nil, name("a"), time.Unix(300, 0))
	if err != nil {
		b.Fatal(err)
	}
	for label, obs := range map[string][]observation{"unchanged": name("a"), "changed": name("b")} {
		b.Run(label, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, _, err := merge(&stored, obs, time.Unix(300, 0)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestRecordsAreEncodedByValue: no type of the model is encoded in another way where it can be addressed.
func TestRecordsAreEncodedByValue(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		for _, marshaler := range []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()} {
			if reflect.PointerTo(typ).Implements(marshaler) && !typ.Implements(marshaler) {
				t.Errorf("only *%v is a %v", typ, marshaler)
			}
		}
		switch typ.Kind() {
		case reflect.Struct:
			for f := range typ.Fields() {
				walk(f.Type)
			}
		case reflect.Slice, reflect.Array, reflect.Map:
			walk(typ.Elem())
		}
	}
	walk(reflect.TypeFor[driver.Resource]())
	walk(reflect.TypeFor[driver.Transaction]())
	walk(reflect.TypeFor[driver.Media]())
	if !seen[reflect.TypeFor[driver.Opt[driver.Money]]()] || !seen[reflect.TypeFor[driver.Money]()] {
		t.Errorf("looked at %d types only", len(seen))
	}
}
