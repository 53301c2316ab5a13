package driver_test

import (
	"encoding/json"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
)

func TestOptTellsMissingFromNullFromEmpty(t *testing.T) {
	type record struct {
		Name driver.Opt[string]   `json:"name,omitzero"`
		Tags driver.Opt[[]string] `json:"tags,omitzero"`
	}
	for _, tt := range []struct {
		text           string
		observed, null bool
		or             string
		back           string
	}{
		{`{}`, false, false, "default", `{}`},
		{`{"name":null}`, true, true, "default", `{"name":null}`},
		{`{"name": null }`, true, true, "default", `{"name":null}`},
		{`{"name":""}`, true, false, "", `{"name":""}`},
		{`{"name":"a","tags":[]}`, true, false, "a", `{"name":"a","tags":[]}`},
		{`{"name":"a","tags":["x"]}`, true, false, "a", `{"name":"a","tags":["x"]}`},
	} {
		var r record
		if err := json.Unmarshal([]byte(tt.text), &r); err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if r.Name.Observed() != tt.observed || r.Name.IsNull() != tt.null || r.Name.Or("default") != tt.or || r.Name.IsZero() == tt.observed {
			t.Errorf("%s: observed %v, null %v, or %q, zero %v", tt.text, r.Name.Observed(), r.Name.IsNull(), r.Name.Or("default"), r.Name.IsZero())
		}
		if v, ok := r.Name.Get(); ok != (tt.observed && !tt.null) || ok && v != tt.or {
			t.Errorf("%s: Get %q, %v", tt.text, v, ok)
		}
		if back, err := json.Marshal(r); err != nil || string(back) != tt.back {
			t.Errorf("%s: back as %s, %v", tt.text, back, err)
		}
	}
}

func TestOptKeepsWhatItWasWhenReadingFails(t *testing.T) {
	o := driver.Some(3)
	if err := json.Unmarshal([]byte(`"three"`), &o); err == nil || o != driver.Some(3) {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestOptInAnArrayIsNull(t *testing.T) {
	if b, err := json.Marshal([]driver.Opt[int]{{}, driver.Null[int](), driver.Some(0)}); err != nil || string(b) != "[null,null,0]" {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestSomePtr(t *testing.T) {
	n := 7
	if got := driver.SomePtr(&n); got != driver.Some(7) {
		t.Errorf("got %+v", got)
	}
	if got := driver.SomePtr[int](nil); got != driver.Null[int]() {
		t.Errorf("got %+v", got)
	}
}
