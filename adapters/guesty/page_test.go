package guesty

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

func read(body string) (page, error) {
	var p page
	err := driver.Decode([]byte(body), "application/json", &p)
	return p, err
}

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
		p, err := read(c.in)
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
		_, err := read(in)
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
		p, err := read(c.in)
		if err != nil {
			t.Fatal(err)
		}
		if b := batch(p, 100); b.More != c.want || len(b.Items) != len(p.rows) {
			t.Errorf("%s: more %d, %d rows", c.in, b.More, len(b.Items))
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
		p, err := read(string(body))
		if err != nil {
			if !errors.Is(err, driver.ErrUndecodable) || p.rows != nil {
				t.Fatalf("error %v with %d rows", err, len(p.rows))
			}
			p.rows = []json.RawMessage{body}
		}
		a := adapters[v1]
		resources, transactions := a.listing.Each(t.Context(), nil, p.rows), a.reservation.Each(t.Context(), nil,
			p.rows)
		media := a.photo("l").Each(t.Context(), nil, p.rows)
		check(t, len(p.rows), resources, func(r driver.Resource) driver.Record { return r.Record })
		check(t, len(p.rows), transactions, func(r driver.Transaction) driver.Record { return r.Record })
		check(t, len(p.rows), media, func(r driver.Media) driver.Record { return r.Record })
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
			if slices.Contains(private, name) || secret(inner) {
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

// Pages of odd items: none stops the page, none is lost, and the good ones are read.
func TestOddPages(t *testing.T) {
	a := adapters[v1]
	file := func(name string) page {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := read(string(b))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := file("odd-listings.json")
	b := a.listing.Each(t.Context(), nil, p.rows)
	if len(b.Items) != 3 || len(b.Rejected) != 3 || p.total != 6 || p.limit != 100 {
		t.Errorf("listings: %d items, %d rejected, total %d, limit %d", len(b.Items), len(b.Rejected), p.total, p.limit)
	}
	p = file("odd-reservations.json")
	r := a.reservation.Each(t.Context(), nil, p.rows)
	if len(r.Items) != 3 || len(r.Rejected) != 1 || r.Rejected[0].ID != "r3" || p.more != pagination.No ||
		p.total != 4 {
		t.Errorf("reservations: %d items, %d rejected, more %d, total %d", len(r.Items), len(r.Rejected), p.more,
			p.total)
	}
}

// A rejected row keeps its id under any of its names, and nothing private.
func TestRejectedRowsKeepNothingPrivate(t *testing.T) {
	rows := []json.RawMessage{[]byte(`{"reservationId":"r1","checkInDateLocalized":"x","integrations":[{"token":"CANARY"}]}`), []byte(`{"_id":"r2"}`)}
	b := adapters[v1].reservation.Each(t.Context(), nil, rows)
	if len(b.Items) != 1 || len(b.Rejected) != 1 || b.Rejected[0].ID != "r1" {
		t.Fatalf("%d items, rejected %v", len(b.Items), b.Rejected)
	}
	if strings.Contains(string(b.Rejected[0].Raw), "CANARY") {
		t.Errorf("kept: %s", b.Rejected[0].Raw)
	}
}
