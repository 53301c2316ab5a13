package wire_test

import (
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver/wire"
)

// Whatever a field holds and whatever method reads it: missing is missing and null is null, without an oddity; what
// is there and could not be read is reported as lost; and what is reported neither lost nor odd came in the form that
// the method's name says.
func FuzzGetters(f *testing.F) {
	for _, s := range []string{`1`, `"1"`, `""`, `null`, `true`, `[]`, `[{}]`, `{"a":{}}`, `"2026-10-25 02:30:00"`,
		`"2026-12-02"`, `1e400`, `["a",1]`, `"//x/y"`, `"EUR"`, `-0`} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	forms := map[string]string{"Number": "-", "Amount": "-", "Int": "-", "Count": "-", "Flag": "tf", "Text": `"`,
		"Word": `"`, "Date": `"`, "Instant": `"`, "Texts": "[",
		"Objects": "[", "Object": "{", "Map": "{", "Money": "-", "Currency": `"`, "Clock": `"`, "Ref": `"`, "Zone": `"`, "URL": `"`, "Local": `"`, "UTC": `"`, "Enum": `"`}
	f.Fuzz(func(t *testing.T, value []byte, loose bool) {
		if !json.Valid(value) {
			return
		}
		k := wire.TypeOf(value)
		for method := range reads {
			got, odd := read(t, method, string(value), loose)
			lost := false
			for _, o := range odd {
				lost = lost || o.Lost
			}
			switch {
			case k == 'n':
				if len(odd) > 0 || got != "null" && method != "Degrees" && method != "Free" {
					t.Fatalf("%s of null: %s, %v", method, got, odd)
				}
			case got == "missing" && !lost && method != "Free":
				// "" is null, and a nil *float64 does not tell.
				if method != "Degrees" || k != '"' {
					t.Fatalf("%s of %s is missing, and nothing is lost: %v", method, value, odd)
				}
			case got != "missing" && len(odd) == 0 && !loose && forms[method] != "":
				ok := false
				for i := range len(forms[method]) {
					ok = ok || forms[method][i] == k
				}
				if !ok {
					t.Fatalf("%s of %s is %s, and nothing is odd", method, value, got)
				}
			}
		}
	})
}

// What is kept is the item without its private fields, at whatever depth, and nothing else changes.
func FuzzPublic(f *testing.F) {
	for _, s := range []string{`{"a":1,"secret":2}`, `[{"secret":{}},{"\u0073ecret":1}]`, `"secret"`, `{"secret":`,
		`{"a":["secret",{"b":{"secret":[]}}]}`, `{"a":1.50,"a":2}`, ` 7 `, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		kept := wire.Public(raw, "secret")
		var v, k any
		if json.Unmarshal(raw, &v) != nil {
			if kept != nil && json.Unmarshal(kept, &k) == nil {
				t.Fatalf("%q became JSON: %q", raw, kept)
			}
			return
		}
		if err := json.Unmarshal(kept, &k); err != nil {
			t.Fatalf("%q became %q: %v", raw, kept, err)
		}
		if want := without(v); !reflect.DeepEqual(k, want) {
			t.Fatalf("%q became %q", raw, kept)
		}
	})
}

// What stands deep costs no more than what stands at the top: a partner's nesting is its own choice.
func TestPublicOfNested(t *testing.T) {
	const depth = 5000
	raw := []byte(strings.Repeat(`{"secret":[],"a":[`, depth/2) + `"` + strings.Repeat("x", 1<<20) + `"` +
		strings.Repeat(`]}`, depth/2))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	kept := wire.Public(raw, "secret")
	runtime.ReadMemStats(&after)
	if want := len(raw) - depth/2*len(`"secret":[],`); len(kept) != want {
		t.Errorf("%d bytes are kept, want %d", len(kept), want)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 32*uint64(len(raw)) {
		t.Errorf("%d bytes were allocated for an item of %d", used, len(raw))
	}
}

func without(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "secret")
		for name := range v {
			v[name] = without(v[name])
		}
	case []any:
		for i := range v {
			v[i] = without(v[i])
		}
	}
	return v
}
