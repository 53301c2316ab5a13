package guesty

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

func TestEnvelopes(t *testing.T) {
	for _, c := range []struct {
		name, in string
		rows     int
		total    int
		more     pagination.More
	}{
		{"results", `{"results":[{},{}],"count":7,"limit":25,"skip":0}`, 2, 7, pagination.Unsaid},
		{"results without a count", `{"results":[{}]}`, 1, 0, pagination.Unsaid},
		{"data", `{"data":[{}],"limit":25}`, 1, 0, pagination.Unsaid},
		{"a bare array", `[{},{},{}]`, 3, 0, pagination.Unsaid},
		{"an empty array", `[]`, 0, 0, pagination.Unsaid},
		{"v3", `{"results":[{}],"pagination":{"limit":25,"skip":0,"hasMore":true,"total":9}}`, 1, 9, pagination.Yes},
		{"v3, the end", `{"data":[{}],"pagination":{"hasMore":false}}`, 1, 0, pagination.No},
		{"hasMore as a text", `{"data":[{}],"hasMore":"true"}`, 1, 0, pagination.Yes},
		{"wrapped in data", `{"status":200,"data":{"results":[{}],"count":1},"message":"OK"}`, 1, 1, pagination.Unsaid},
		{"a count as a text", `{"results":[],"count":"0"}`, 0, 0, pagination.Unsaid},
		{"null for none", `{"results":null,"count":0}`, 0, 0, pagination.Unsaid},
		{"one row without an array", `{"results":{"_id":"1"}}`, 1, 0, pagination.Unsaid},
		{"a byte-order mark", "\xef\xbb\xbf" + `{"results":[{}]}`, 1, 0, pagination.Unsaid},
		{"raw control characters", "{\"results\":[{\"title\":\"a\nb\\\tc\x01\"}]}", 1, 0, pagination.Unsaid},
		{"a negative count", `{"results":[{}],"count":-1}`, 1, 0, pagination.Unsaid},
	} {
		p, err := readPage([]byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(p.rows) != c.rows || p.total != c.total || p.more != c.more {
			t.Errorf("%s: %d rows, total %d, more %d", c.name, len(p.rows), p.total, p.more)
		}
	}
}

// An answer without rows is an error and never an empty page: what an empty page does not list is taken for deleted.
func TestNoPageWithoutRows(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":           ``,
		"space":             " \n",
		"a page":            `<html><body>CANARY</body></html>`,
		"a message":         `{"message":"CANARY"}`,
		"an error":          `{"error":{"code":"UNAUTHORIZED","message":"CANARY"}}`,
		"a text":            `"CANARY"`,
		"null":              `null`,
		"null rows":         `{"results":null}`,
		"null rows, though": `{"results":null,"count":3}`,
		"a text for rows":   `{"results":"CANARY"}`,
		"an object without": `{"data":{"message":"CANARY"}}`,
		"cut off":           `{"results":[{"_id":"CANARY"},{"_id":`,
		"two documents":     `{"results":[]}{"results":[]}`,
		"only a mark":       "\xef\xbb\xbf",
		"too deep":          `{"data":{"data":{"data":{"results":[]}}}}`,
	} {
		_, err := readPage([]byte(in))
		if !errors.Is(err, driver.ErrUndecodable) {
			t.Errorf("%s: error %v", name, err)
		} else if strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: a value in %q", name, err)
		}
	}
}

// A server that applies a lower limit than was asked for does not end the stream.
func TestLimitOfTheServer(t *testing.T) {
	for _, c := range []struct {
		in   string
		want pagination.More
	}{
		{`{"results":[{"_id":"1"},{"_id":"2"}],"limit":2}`, pagination.Yes},
		{`{"results":[{"_id":"1"}],"limit":2}`, pagination.Unsaid},
		{`{"results":[{"_id":"1"},{"_id":"2"}],"limit":2,"count":2}`, pagination.Unsaid},
		{`{"results":[{"_id":"1"},{"_id":"2"}],"limit":100}`, pagination.Unsaid},
	} {
		p, err := readPage([]byte(c.in))
		if err != nil {
			t.Fatal(err)
		}
		b := batch(p, 100, pagination.Batch[int]{})
		if b.More != c.want || b.Rows != len(p.rows) {
			t.Errorf("%s: more %d, rows %d", c.in, b.More, b.Rows)
		}
		if want := "1 " + rowID(p.rows[len(p.rows)-1]); b.Fingerprint != want {
			t.Errorf("fingerprint %q, want %q", b.Fingerprint, want)
		}
	}
}

func TestRepair(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":"b"}`:              `{"a":"b"}`,
		"{\n\"a\":\t\"b\"}":      "{\n\"a\":\t\"b\"}",
		"{\"a\":\"1\n2\"}":       `{"a":"1\u000a2"}`,
		"{\"a\":\"1\\\"\x1f\"}":  `{"a":"1\"\u001f"}`,
		"{\"a\":\"1\\\n\"}":      `{"a":"1\u000a"}`,
		"\xef\xbb\xbf[\"\x00\"]": `["\u0000"]`,
	} {
		if got := string(repair([]byte(in))); got != want || !json.Valid([]byte(got)) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func samples(f *testing.F) [][]byte {
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	var all [][]byte
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".json") {
			continue
		}
		b, err := os.ReadFile("testdata/" + file.Name())
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// Whatever comes, every row of a page is normalized or rejected, what is normalized is valid, and what is kept holds no
// private field.
func FuzzPage(f *testing.F) {
	for _, b := range samples(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := readPage(body)
		if err != nil {
			if !errors.Is(err, driver.ErrUndecodable) || p.rows != nil {
				t.Fatalf("error %v with %d rows", err, len(p.rows))
			}
			p.rows = []json.RawMessage{repair(body)}
		}
		resources := driver.Each(p.rows, func(raw json.RawMessage) (driver.Resource, error) { return normalizeListing(raw, new([]oddity)) })
		transactions := driver.Each(p.rows, func(raw json.RawMessage) (driver.Transaction, error) {
			return normalizeReservation(raw, new([]oddity))
		})
		media := driver.Each(p.rows, func(raw json.RawMessage) (driver.Media, error) { return normalizePhoto(raw, "l", new([]oddity)) })
		check(t, len(p.rows), resources, func(r driver.Resource) driver.Record { return r.Record })
		check(t, len(p.rows), transactions, func(r driver.Transaction) driver.Record { return r.Record })
		check(t, len(p.rows), media, func(r driver.Media) driver.Record { return r.Record })
		batch(p, 100, resources)
	})
}

func check[T any](t *testing.T, rows int, b pagination.Batch[T], record func(T) driver.Record) {
	t.Helper()
	if len(b.Items)+len(b.Rejected) != rows {
		t.Fatalf("%d rows became %d records and %d rejected", rows, len(b.Items), len(b.Rejected))
	}
	for _, r := range b.Rejected {
		if strings.Contains(r.Err.Error(), "panic") {
			t.Fatal(r.Err)
		}
	}
	for _, item := range b.Items {
		if err := driver.Validate(item); err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(item); err != nil {
			t.Fatal(err)
		}
		var raw any
		if err := json.Unmarshal(record(item).Raw, &raw); err != nil {
			t.Fatalf("what is kept is no JSON: %v", err)
		}
		if secret(raw) {
			t.Fatalf("a private field is kept: %s", record(item).Raw)
		}
	}
}

func secret(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if name == "integrations" || name == "privateDescription" || secret(inner) {
				return true
			}
		}
	case []any:
		for _, inner := range v {
			if secret(inner) {
				return true
			}
		}
	}
	return false
}

// FuzzRepair: valid JSON stays as it is but for a mark, and repairing again changes nothing.
func FuzzRepair(f *testing.F) {
	for _, b := range samples(f) {
		f.Add(b)
	}
	f.Add([]byte("\xef\xbb\xbf{\"a\":\"b\x01\\\x02\"}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		once := repair(append([]byte(nil), body...))
		if json.Valid(body) && string(once) != string(body) {
			t.Fatalf("valid JSON was changed: %q", once)
		}
		if !strings.HasPrefix(string(once), "\xef\xbb\xbf") && string(repair(append([]byte(nil), once...))) != string(once) {
			t.Fatalf("repaired twice: %q", once)
		}
	})
}

// Pages of odd items: none stops the page, none is lost, and the good ones are read.
func TestOddPages(t *testing.T) {
	d := &Driver{integration: "a", adapt: adapters[v1], log: slog.New(slog.DiscardHandler)}
	read := func(name string) page {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := readPage(b)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := read("odd-listings.json")
	b := each(t.Context(), d, "listings.list", p.rows, d.adapt.listing)
	if len(b.Items) != 3 || len(b.Rejected) != 3 || p.total != 6 || p.limit != 100 {
		t.Errorf("listings: %d items, %d rejected, total %d, limit %d", len(b.Items), len(b.Rejected), p.total, p.limit)
	}
	p = read("odd-reservations.json")
	r := each(t.Context(), d, "reservations.list", p.rows, d.adapt.reservation)
	if len(r.Items) != 3 || len(r.Rejected) != 1 || r.Rejected[0].ID != "r3" || p.more != pagination.No || p.total != 4 {
		t.Errorf("reservations: %d items, %d rejected, more %d, total %d", len(r.Items), len(r.Rejected), p.more, p.total)
	}
}

// A rejected row keeps its id under any of its names, and nothing private.
func TestRejectedRowsKeepNothingPrivate(t *testing.T) {
	d := &Driver{log: slog.New(slog.DiscardHandler)}
	rows := []json.RawMessage{[]byte(`{"reservationId":"r1","checkInDateLocalized":"x","integrations":[{"token":"CANARY"}]}`), []byte(`{"_id":"r2"}`)}
	b := each(t.Context(), d, "op", rows, normalizeReservation)
	if len(b.Items) != 1 || len(b.Rejected) != 1 || b.Rejected[0].ID != "r1" {
		t.Fatalf("%d items, rejected %v", len(b.Items), b.Rejected)
	}
	if strings.Contains(string(b.Rejected[0].Raw), "CANARY") {
		t.Errorf("kept: %s", b.Rejected[0].Raw)
	}
}

// What came in an undocumented form is reported by its name, once a page, without its value.
func TestOdditiesAreLogged(t *testing.T) {
	var log strings.Builder
	d := &Driver{integration: "acct", log: slog.New(slog.NewJSONHandler(&log, nil))}
	rows := []json.RawMessage{[]byte(`{"_id":"1","timezone":{"CANARY":1}}`), []byte(`{"_id":"2","timezone":["CANARY"]}`)}
	each(t.Context(), d, "listings.list", rows, normalizeListing)
	for _, want := range []string{`"timezone: not a text":2`, `"integration":"acct"`, `"op":"listings.list"`} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("%s is not in %s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "CANARY") || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("log: %s", log.String())
	}
}
