package driver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

func TestEachRejectsOneItemAlone(t *testing.T) {
	errBad := errors.New("bad")
	type item struct {
		ID string    `json:"_id"`
		N  int8      `json:"n"`
		At time.Time `json:"at"`
	}
	long := `{"_id":"long","n":"` + strings.Repeat("x", 2*pagination.MaxRaw) + `"}`
	items := []json.RawMessage{
		[]byte(`{"_id":"a","n":1}`),
		[]byte(`{"_id":"b","n":"canary"}`),
		[]byte(`{"id":17,"n":31337}`),
		[]byte(`{"_id":"c","at":"canary"}`),
		[]byte(`{"_id":"panic"}`),
		[]byte(`{"_id":{"$oid":"x"},"id":"d","n":[]}`),
		[]byte(`"canary"`),
		[]byte(`{"_id":"cut`),
		[]byte(`{"_id":"atoi"}`),
		[]byte(`{"_id":"own"}`),
		[]byte(long),
		[]byte(`{"_id":"z","n":2}`),
	}
	b := driver.Each(items, func(raw json.RawMessage) (item, error) {
		var it item
		if err := json.Unmarshal(raw, &it); err != nil {
			return it, fmt.Errorf("item: %w", err)
		}
		switch it.ID {
		case "panic":
			panic("canary")
		case "atoi":
			_, err := strconv.Atoi("canary")
			return it, err
		case "own":
			return it, errBad
		}
		return it, nil
	})
	if len(b.Items) != 2 || b.Items[0].ID != "a" || b.Items[1].ID != "z" {
		t.Errorf("items %+v", b.Items)
	}
	var ids []string
	for i, r := range b.Rejected {
		ids = append(ids, r.ID)
		if r.Err == nil || strings.Contains(r.Err.Error(), "canary") || strings.Contains(r.Err.Error(), "31337") {
			t.Errorf("%s: %v", r.ID, r.Err)
		}
		if len(r.Raw) > pagination.MaxRaw || !strings.HasPrefix(string(items[i+1]), string(r.Raw)) {
			t.Errorf("%s: raw of %d bytes", r.ID, len(r.Raw))
		}
	}
	if got, want := fmt.Sprint(ids), "[b 17 c panic d   atoi own long]"; got != want {
		t.Errorf("ids %s, want %s", got, want)
	}
	if !errors.Is(b.Rejected[8].Err, errBad) {
		t.Errorf("%v does not wrap the driver's error", b.Rejected[8].Err)
	}
}

func TestEachCatchesRuntimePanics(t *testing.T) {
	b := driver.Each([]json.RawMessage{[]byte(`{"id":"x"}`)}, func(json.RawMessage) (int, error) {
		none := []int{}
		return none[len(none)], nil
	})
	if len(b.Rejected) != 1 || !strings.Contains(b.Rejected[0].Err.Error(), "index out of range") {
		t.Errorf("got %+v", b)
	}
}

func TestPath(t *testing.T) {
	for _, tt := range []struct {
		template string
		values   []string
		want     string
	}{
		{"/listings", nil, "/listings"},
		{"/listings/{}/photos", []string{"a1"}, "/listings/a1/photos"},
		{"/a/{}/b/{}", []string{"x/y", "?#%"}, "/a/x%2Fy/b/%3F%23%25"},
		{"/a/{}", []string{"..."}, "/a/..."},
		{"/a/{}", []string{"{}"}, "/a/%7B%7D"},
		{"/a/{}", []string{"ü b"}, "/a/%C3%BC%20b"},
	} {
		if got := driver.Path(tt.template, tt.values...); got != tt.want {
			t.Errorf("Path(%q, %q) = %q, want %q", tt.template, tt.values, got, tt.want)
		}
	}
	for _, values := range [][]string{{""}, {"."}, {".."}, {}, {"a", "b"}} {
		if got := driver.Path("/a/{}", values...); !strings.HasPrefix(got, "\x00") {
			t.Errorf("Path of %q = %q, want one that no client accepts", values, got)
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"a", "", ".", "..", "a/b", "a?b", "%2e%2e", "\x00", "{}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		p := driver.Path("/listings/{}/photos", id)
		if strings.HasPrefix(p, "\x00") {
			if id != "" && id != "." && id != ".." {
				t.Fatalf("%q was refused", id)
			}
			return
		}
		u, err := url.Parse("https://api.example.com" + p)
		if err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		if parts := strings.Split(u.EscapedPath(), "/"); len(parts) != 4 || u.RawQuery != "" || u.Fragment != "" || u.Host != "api.example.com" {
			t.Fatalf("%q leaves its segment: %v", id, u)
		}
		if got := strings.TrimSuffix(strings.TrimPrefix(u.Path, "/listings/"), "/photos"); got != id {
			t.Fatalf("%q comes back as %q", id, got)
		}
	})
}
