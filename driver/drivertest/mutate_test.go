package drivertest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"slices"
	"testing"
)

const (
	orders = `{"data":{"total":3,"orders":[{"id":"o1","n":7,"guest":{"name":"A"}},{"id":"o2","n":8},{"id":"o3","n":9}]},"page":{"x":1}}`
	stays  = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<OTA xmlns="http://www.opentravel.org/OTA/2003/05"><Stays><Stay id="s1"><Total amount="7">a &amp; b</Total></Stay>` +
		`<Stay id="s2"><Total amount="8">c</Total></Stay></Stays><Warning code="1"></Warning></OTA>`
)

func TestRowsAreFound(t *testing.T) {
	for body, want := range map[string]int{
		orders: 3, stays: 2, `[{"id":1},{"id":2}]`: 2, `{"a":[1,2],"b":{"c":[{"d":1}]}}`: 1, `{"a":[]}`: 0, `7`: 0, `<a><b/></a>`: 0, "\ufeff" + orders: 3,
	} {
		d, ok := readDocument([]byte(body))
		if !ok {
			t.Errorf("%s cannot be read", body)
			continue
		}
		got := 0
		if l := d.list(); l != nil {
			got = len(l.rows)
		}
		if got != want {
			t.Errorf("%s has %d rows, want %d", body, got, want)
		}
	}
	for _, body := range []string{"", "  ", "{", "<a>", "<a></a></b>", "hello"} {
		if d, ok := readDocument([]byte(body)); ok && d.list() != nil {
			t.Errorf("%q is read as a document", body)
		}
	}
}

// A document that is put together again says the same.
func TestDocumentsStay(t *testing.T) {
	for _, body := range []string{orders, stays, `[1.50,"<&>",null,true,{}]`} {
		d, ok := readDocument([]byte(body))
		if !ok {
			t.Fatalf("%s cannot be read", body)
		}
		again := d.bytes()
		if d.xml {
			if string(again) != body {
				t.Errorf("%s\nbecomes\n%s", body, again)
			}
			continue
		}
		var a, b any
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again, &b); err != nil {
			t.Fatal(err)
		}
		x, errX := json.Marshal(a)
		y, errY := json.Marshal(b)
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			t.Errorf("%s becomes %s", body, again)
		}
	}
}

func TestRowsOfXMLChange(t *testing.T) {
	d, ok := readDocument([]byte(stays))
	if !ok {
		t.Fatal("it cannot be read")
	}
	l := d.list()
	copied := copyRow(l.rows[0])
	if got, want := fields(copied), []string{"@amount", "@id", "Total"}; !slices.Equal(got, want) {
		t.Errorf("the fields are %v, want %v", got, want)
	}
	if mistype(copied, "@id", 0, map[string]bool{"s1": true}) {
		t.Error("an id that is to be kept was changed")
	}
	for n := range mistypes {
		if !mistype(copied, "@amount", n, nil) {
			t.Errorf("the amount was not changed, %d", n)
		}
	}
	if mistype(copied, "nothing", 0, nil) || mistype("text", "x", 0, nil) {
		t.Error("what is not there was changed")
	}
	rows := slices.Clone(l.rows)
	slices.Reverse(rows)
	l.put(append(rows, copied))
	type stay struct {
		ID string `xml:"id,attr"`
	}
	var got struct {
		Stays []stay `xml:"Stays>Stay"`
	}
	if err := xml.Unmarshal(d.bytes(), &got); err != nil || !slices.Equal(got.Stays, []stay{{"s2"}, {"s1"}, {"s1"}}) {
		t.Errorf("got %v, %v", got, err)
	}
	l.spoil(nil)
	got.Stays = nil
	if err := xml.Unmarshal(d.bytes(), &got); err != nil || len(got.Stays) != 0 {
		t.Errorf("without its list: %v, %v", got, err)
	}
}

func TestMistypedFields(t *testing.T) {
	for n := range mistypes {
		row := map[string]any{"id": "o1", "guest": map[string]any{"name": "A"}, "list": []any{map[string]any{"x": json.Number("1")}}}
		before, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		c, ok := copyRow(row).(map[string]any)
		if !ok {
			t.Fatal("the copy is no row")
		}
		if !mistype(c, "guest"+below+"name", n, nil) || mistype(c, "id", n, map[string]bool{"o1": true}) || mistype(c, "nothing"+below+"x", n, nil) {
			t.Errorf("%d: the name was not changed, or the id was", n)
		}
		after, err := json.Marshal(c)
		if err != nil || bytes.Equal(before, after) {
			t.Errorf("%d: nothing changed: %s, %v", n, after, err)
		}
		if same, err := json.Marshal(row); err != nil || !bytes.Equal(same, before) {
			t.Errorf("%d: the row that was copied changed: %s, %v", n, same, err)
		}
	}
}

// What is read can be written, and has as many rows again.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{orders, stays, `[{"a":[{"b":1}]}]`, "<a><b x='1'/><b x='2'/></a>", "<a:b xmlns:a='x'><!-- c --><a:c>1</a:c></a:b>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, ok := readDocument(body)
		if !ok {
			return
		}
		rows := func(d *document) int {
			if l := d.list(); l != nil {
				return len(l.rows)
			}
			return 0
		}
		n := rows(d)
		again, ok := readDocument(d.bytes())
		if !ok || rows(again) != n {
			t.Fatalf("%q has %d rows, and is written as %q", body, n, d.bytes())
		}
	})
}
