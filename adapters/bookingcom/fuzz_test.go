package bookingcom

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/webhook"
)

// seeds adds the samples with the ending.
func seeds(f *testing.F, ending string) {
	names, err := filepath.Glob(filepath.Join("testdata", "*"+ending))
	if err != nil || len(names) == 0 {
		f.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

const seedCard = "4111111111111111"

// FuzzSplit: a document of reservations is taken apart without a panic; no card is left in a message, each message is
// what Parse reads again to the same id, and nothing that was well-formed is lost.
func FuzzSplit(f *testing.F) {
	seeds(f, ".xml")
	f.Add([]byte(`<a><HotelReservations><HotelReservation><ResGlobalInfo><Guarantee><PaymentCard CardNumber='` +
		seedCard + `'/></Guarantee></ResGlobalInfo></HotelReservation>`))
	f.Add([]byte(`<reservations><reservation><cc_number>` + seedCard + `</cc_number><customer><remarks>` + seedCard +
		`</remarks></customer></reservation>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := utf8Document(body)
		if err != nil {
			return
		}
		for _, path := range [][]string{{"HotelReservations", otaNew}, {"HotelResModifies", otaModified},
			{bxmlReservation}} {
			pieces, root, rest := split(doc, path...)
			if root != nil && len(rest) > 0 {
				t.Fatal("a document that was read has a rest")
			}
			if root != nil && len(pieces) != len(root.all(path...)) {
				t.Fatalf("%d pieces of %d", len(pieces), len(root.all(path...)))
			}
			for _, p := range pieces {
				if bytes.Contains(p.message.Body, []byte(seedCard)) {
					t.Fatalf("a card is left in %q", p.message.Body)
				}
				if !p.whole {
					continue
				}
				n, err := parseXML(p.message.Body)
				if err != nil {
					t.Fatalf("what was scrubbed is no XML: %v: %q", err, p.message.Body)
				}
				if got := reservationID(n); got != p.message.ID && p.message.ID != "" {
					t.Fatalf("scrubbing changed the id from %q to %q", p.message.ID, got)
				}
			}
		}
	})
}

// FuzzParse: a message is a record that is its message's and can be written, or an error that holds nothing of it;
// twice the same.
func FuzzParse(f *testing.F) {
	names, err := filepath.Glob(filepath.Join("testdata", "*.xml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		doc, err := utf8Document(b)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range [][]string{{"HotelReservations", otaNew}, {"HotelResModifies", otaModified},
			{bxmlReservation}} {
			pieces, _, _ := split(doc, path...)
			for _, p := range pieces {
				f.Add(p.message.Body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		tx, odd, err := parse(body, "")
		if err != nil {
			for _, word := range strings.Fields(string(body)) { // none of ours is that long
				if len(word) > 12 && strings.Contains(err.Error(), word) {
					t.Fatalf("the error quotes the message: %v", err)
				}
			}
			return
		}
		if tx.ID == "" || len(tx.Raw) == 0 || tx.AdapterVersion != v1 || !tx.UpdatedAt.IsZero() {
			t.Fatalf("a record without id, raw form or version")
		}
		start, ok1 := tx.Start.Get()
		end, ok2 := tx.End.Get()
		if ok1 && ok2 && tx.Nights.Or(-1) != start.Days(end) {
			t.Fatalf("%d nights from %v to %v", tx.Nights.Or(-1), start, end)
		}
		b, err := json.Marshal(tx)
		if err != nil {
			t.Fatal(err)
		}
		again, odd2, err := parse(body, v1)
		b2, _ := json.Marshal(again)
		if err != nil || !bytes.Equal(b, b2) || len(odd) != len(odd2) {
			t.Fatalf("not the same again: %v", err)
		}
		_ = driver.Validate(tx) // refuses or not, without a panic: what is refused is kept as it is
	})
}

// FuzzAnswers: what looks at answers before they are read neither panics nor repeats them.
func FuzzAnswers(f *testing.F) {
	seeds(f, ".xml")
	seeds(f, ".json")
	f.Fuzz(func(t *testing.T, body []byte) {
		c, m := explain(400, body)
		if len(c) > 60 || strings.ContainsAny(c, " <>@") {
			t.Fatalf("the code is %q", c)
		}
		known := m == ""
		for _, k := range []string{wrongType, "access denied for hotel", "not found",
			"last_change is older than 30 minutes"} {
			known = known || m == k
		}
		if !known {
			t.Fatalf("the message is %q", m)
		}
		if id := ruid(body); len(id) > 200 || !bytes.Contains(body, []byte(id)) {
			t.Fatalf("the RUID is %q", id)
		}
		if _, failed := failure(body); failed && !bytes.Contains(bytes.ToLower(body), []byte("err")) &&
			!bytes.Contains(body, []byte("fault")) {
			t.Fatal("a failure that nothing says")
		}
	})
}

// FuzzContent: properties, room types and photos are records that are valid, or rejected with their raw form.
func FuzzContent(f *testing.F) {
	seeds(f, ".json")
	for _, name := range []string{"property.json", "units.json", "photos.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		var env struct {
			Data json.RawMessage
		}
		if err := json.Unmarshal(b, &env); err != nil {
			f.Fatal(err)
		}
		var rows []json.RawMessage
		if json.Unmarshal(env.Data, &rows) != nil {
			rows = []json.RawMessage{env.Data}
		}
		for _, r := range rows {
			f.Add([]byte(r))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := propertyV1.Each(t.Context(), nil, []json.RawMessage{raw})
		u := unitV1("7004411").Each(t.Context(), nil, []json.RawMessage{raw})
		m := photoV1("7004411").Each(t.Context(), nil, []json.RawMessage{raw})
		for _, r := range append(p.Items, u.Items...) {
			if err := driver.Validate(r); err != nil {
				t.Fatalf("%v: %s", err, raw)
			}
		}
		for _, r := range m.Items {
			if err := driver.Validate(r); err != nil {
				t.Fatalf("%v: %s", err, raw)
			}
		}
		if len(p.Items)+len(p.Rejected) != 1 || len(u.Items)+len(u.Rejected) != 1 || len(m.Items)+len(m.Rejected) != 1 {
			t.Fatal("an item is lost")
		}
	})
}

// FuzzNotices: a notification is a notice or an error.
func FuzzNotices(f *testing.F) {
	seeds(f, ".json")
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := Notices(webhook.Event{Body: body, ContentType: "application/json"})
		if err == nil && (len(got) != 1 || got[0].Kind == "" || got[0].Record != "" && !digits(got[0].Record)) {
			t.Fatalf("%v", got)
		}
	})
}

// BenchmarkSplit is what taking a damaged document apart costs; it grows with its length and no faster.
func BenchmarkSplit(b *testing.B) {
	doc := bytes.Repeat([]byte("<reservation><id>1</id>"), 20_000)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if pieces, _, rest := split(doc, bxmlReservation); len(pieces) != 19_999 || len(rest) == 0 {
			b.Fatal(len(pieces))
		}
	}
}
