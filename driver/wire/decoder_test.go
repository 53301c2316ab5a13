package wire_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/pagination"
)

type answer string

func (a answer) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a))),
		Request: req}, nil
}

func newClient(t *testing.T, a answer, d *driver.Drift) *driver.Client {
	t.Helper()
	c, err := driver.NewClient(driver.ClientConfig{Partner: "acme", Integration: "17",
		BaseURL: "https://acme.example", Transport: a, Telemetry: driver.Telemetry{Drift: d}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// One item that cannot be read, or panics, is rejected alone, with its id and nothing private; what is odd is counted.
func TestEach(t *testing.T) {
	drift := &driver.Drift{}
	d := wire.Decoder[driver.Resource]{
		Kind: driver.KindResource, ID: []string{"key"}, Private: []string{"secret"},
		Read: func(o wire.Object) (driver.Resource, error) {
			switch o.Text("title").Or("") {
			case "panic":
				panic("CANARY")
			case "bad":
				return driver.Resource{}, errors.New("title: bad")
			}
			return driver.Resource{Record: o.Record("v1"), Name: o.Text("title")}, nil
		},
	}
	var rows []json.RawMessage
	for _, s := range []string{
		`{"key": "1", "title": "a", "secret": "CANARY", "deep": [{"secret": "CANARY"}]}`, `{"key": "2", "title": 7}`,
		`{"key": "3", "title": 8}`,
		`{"key": "4", "title": "panic", "secret": "CANARY"}`, `{"key": "5", "title": "bad", "secret": "CANARY"}`,
		`"CANARY"`, `{"title": "no key"}`,
		`{"key": "6", "title": "bad", "text": "` + strings.Repeat("x", 2*pagination.MaxRaw) + `"}`,
	} {
		rows = append(rows, json.RawMessage(s))
	}
	b := d.Each(t.Context(), newClient(t, "", drift), rows)
	if len(b.Items) != 3 || string(b.Items[0].Raw) != `{"key":"1","title":"a","deep":[{}]}` ||
		b.Items[1].Name.Or("") != "7" {
		t.Errorf("items %v", b.Items)
	}
	got := ""
	for _, r := range b.Rejected {
		got += r.ID + " " + r.Err.Error() + "; "
		if strings.Contains(string(r.Raw)+r.Err.Error(), "secret") || len(r.Raw) > pagination.MaxRaw {
			t.Errorf("rejected with %s, %v", r.Raw, r.Err)
		}
	}
	if want := "4 driver: normalizing panicked with a string; 5 title: bad;  not a JSON object;  key: missing; 6 title: bad; "; got != want {
		t.Errorf("rejected %q, want %q", got, want)
	}
	got = ""
	for _, c := range drift.Snapshot() {
		got += fmt.Sprintf("%s %s %s %s %d; ", c.Partner, c.Kind, c.Field, c.Change, c.Count)
	}
	if want := "acme resource  type 1; acme resource key missing 1; acme resource title type 2; "; got != want {
		t.Errorf("drift %q, want %q", got, want)
	}
}

type page struct {
	Rows []json.RawMessage `json:"rows" wire:"required"`
}

// An envelope of another shape is an error, whatever its status, and a signal.
func TestEnvelopeOfAnotherShape(t *testing.T) {
	for body, ok := range map[string]bool{
		`{"rows": []}`: true, `{"rows": [{}]}`: true,
		`{"rows": null}`: false, `{"error": "CANARY"}`: false, `{}`: false, `null`: false, `[]`: false,
		`{"rows": {}}`: false,
	} {
		var told []driver.Oddity
		c := newClient(t, answer(body), &driver.Drift{OnOddity: func(_ context.Context, partner string,
			o driver.Oddity) {
			told = append(told, o)
		}})
		_, err := driver.Get[page](t.Context(), c, "things.list", "/things", nil)
		if (err == nil) != ok || err != nil && (!errors.Is(err, driver.ErrUndecodable) ||
			strings.Contains(err.Error(), "CANARY")) {
			t.Errorf("%s: %v", body, err)
		}
		if missing := body == `{}` || strings.Contains(body, "CANARY") || strings.Contains(body, "null"); missing &&
			(len(told) != 1 || told[0].Kind != "things.list" || told[0].Field != "rows") {
			t.Errorf("%s: told %+v", body, told)
		}
	}
}

func TestFieldsAndID(t *testing.T) {
	if wire.Fields([]byte(`[]`)).Len() != 0 || wire.Fields([]byte(`{"a":`)).Has("a") ||
		!wire.Fields([]byte(`{"a":1}`)).Has("a") {
		t.Error("Fields")
	}
	for in, want := range map[string]string{
		`{"a": "1"}`: "1", `{"a": " ", "b": 2}`: "2", `{}`: "", `7`: "", `{"a": "` + strings.Repeat("x", 201) +
			`"}`: "",
	} {
		if got := wire.ID([]byte(in), "a", "b"); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]byte{` {`: '{', `7`: '-', `-1`: '-', `t`: 't', ``: 0} {
		if got := wire.TypeOf([]byte(in)); got != want {
			t.Errorf("%q: %c", in, got)
		}
	}
}

func TestNumericID(t *testing.T) {
	for _, numeric := range []bool{false, true} {
		d := wire.Decoder[driver.Resource]{
			Kind: driver.KindResource, ID: []string{"id"}, NumericID: numeric,
			Read: func(o wire.Object) (driver.Resource, error) { return driver.Resource{Record: o.Record("v1")}, nil },
		}
		for _, raw := range []string{`{"id":17}`, `{"id":"17"}`} {
			r, odd, err := d.One(json.RawMessage(raw))
			if want := raw == `{"id":17}` && !numeric; err != nil || r.ID != "17" || (len(odd) > 0) != want {
				t.Errorf("%s, numeric %v: %q, %v, %v", raw, numeric, r.ID, odd, err)
			}
		}
	}
}
