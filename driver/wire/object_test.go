package wire_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
)

// show writes an Opt: the value, null or missing.
func show[T any](o driver.Opt[T]) string {
	if v, ok := o.Get(); ok {
		switch v := any(v).(type) {
		case time.Time:
			return v.Format(time.RFC3339Nano)
		case wire.Object:
			return fmt.Sprint(v.Names())
		case []wire.Object:
			all := make([]string, len(v))
			for i := range v {
				all[i] = fmt.Sprint(v[i].Names())
			}
			return strings.Join(all, "+")
		case map[string]wire.Object:
			return fmt.Sprint(len(v), " by name")
		default:
			return fmt.Sprintf("%v", v)
		}
	}
	if o.IsNull() {
		return "null"
	}
	return "missing"
}

var eur = driver.Some("EUR")

var reads = map[string]func(o wire.Object) string{
	"Text":     func(o wire.Object) string { return show(o.Text("f")) },
	"Word":     func(o wire.Object) string { return show(o.Word("f")) },
	"Ref":      func(o wire.Object) string { return show(o.Ref("f")) },
	"Zone":     func(o wire.Object) string { return show(o.Zone("f")) },
	"Number":   func(o wire.Object) string { return show(o.Number("f")) },
	"Amount":   func(o wire.Object) string { return show(o.Amount("f")) },
	"Int":      func(o wire.Object) string { return show(o.Int("f")) },
	"Count":    func(o wire.Object) string { return show(o.Count("f")) },
	"Flag":     func(o wire.Object) string { return show(o.Flag("f")) },
	"Texts":    func(o wire.Object) string { return show(o.Texts("f")) },
	"URL":      func(o wire.Object) string { return show(o.URL("f")) },
	"Instant":  func(o wire.Object) string { return show(o.Instant("f")) },
	"UTC":      func(o wire.Object) string { return show(o.Instant("f", time.DateTime)) },
	"Local":    func(o wire.Object) string { return show(o.Local("f", "Europe/Madrid", time.DateTime)) },
	"Nowhere":  func(o wire.Object) string { return show(o.Local("f", "Mars/Olympus", time.DateTime)) },
	"Date":     func(o wire.Object) string { return show(o.Date("f")) },
	"Clock":    func(o wire.Object) string { return show(o.Clock("f")) },
	"Currency": func(o wire.Object) string { return show(o.Currency("f")) },
	"Money":    func(o wire.Object) string { return show(o.Money("f", eur)) },
	"Free":     func(o wire.Object) string { return show(o.Money("f", driver.Opt[string]{})) },
	"Object":   func(o wire.Object) string { return show(o.Object("f")) },
	"Objects":  func(o wire.Object) string { return show(o.Objects("f")) },
	"Map":      func(o wire.Object) string { return show(o.Map("f")) },
	"Enum":     func(o wire.Object) string { return show(wire.Enum(o, "f", map[string]int{"on": 1}, 9)) },
	"Degrees": func(o wire.Object) string {
		if d := o.Degrees("f", 90); d != nil {
			return fmt.Sprint(*d)
		}
		return "missing"
	},
}

// read decodes {"id": "1", "f": in} with one method.
func read(t testing.TB, method, in string, loose bool) (string, []driver.Oddity) {
	t.Helper()
	d := wire.Decoder[string]{Kind: "thing", ID: []string{"id"}, Loose: loose,
		Read: func(o wire.Object) (string, error) { return reads[method](o), nil }}
	if in != "" {
		in = `, "f": ` + in
	}
	got, odd, err := d.One([]byte(`{"id": "1"` + in + `}`))
	if err != nil {
		t.Fatalf("%s of %s: %v", method, in, err)
	}
	return got, odd
}

func details(odd []driver.Oddity) string {
	all := make([]string, len(odd))
	for i, o := range odd {
		all[i] = string(o.Change) + " " + o.Field + ": " + o.Detail
		if o.Lost {
			all[i] += ", lost"
		}
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

func TestGetters(t *testing.T) {
	long := `"` + strings.Repeat("x", 300) + `"`
	for _, c := range []struct{ method, in, want, odd string }{
		{"Text", `"a "`, "a ", ""},
		{"Text", `""`, "", ""},
		{"Text", `7.50`, "7.50", "type f: a number in place of a text"},
		{"Text", `true`, "true", "type f: a boolean in place of a text"},
		{"Text", `{"a":1}`, "missing", "type f: not a text, lost"},
		{"Word", `" a "`, "a", ""},
		{"Word", `" "`, "null", ""},
		{"Word", `[]`, "missing", "type f: not a text, lost"},
		{"Ref", `17`, "17", "type f: a number in place of a text"},
		{"Ref", long, "missing", "value f: too long for an id, lost"},
		{"Zone", `"Europe/Madrid"`, "Europe/Madrid", ""},
		{"Zone", long, "missing", "value f: too long for a time zone, lost"},
		{"Number", `1.5`, "1.5", ""},
		{"Number", `"1.5"`, "1.5", "type f: a text in place of a number"},
		{"Number", `""`, "null", "type f: an empty text in place of a number"},
		{"Number", `"NaN"`, "missing", "type f: not a number, lost"},
		{"Number", `1e999`, "missing", "type f: not a number, lost"},
		{"Amount", `-1`, "missing", "value f: out of range, lost"},
		{"Amount", `2.5`, "2.5", ""},
		{"Int", `4.0`, "4", ""},
		{"Int", `" -4 "`, "-4", "type f: a text in place of a whole number"},
		{"Int", `4.5`, "missing", "type f: not a whole number, lost"},
		{"Int", `1e300`, "missing", "type f: not a whole number, lost"},
		{"Count", `-1`, "missing", "value f: negative, lost"},
		{"Count", `3`, "3", ""},
		{"Degrees", `41.5`, "41.5", ""},
		{"Degrees", `91`, "missing", "value f: out of range, lost"},
		{"Flag", `true`, "true", ""},
		{"Flag", `"No"`, "false", "type f: a text in place of a boolean"},
		{"Flag", `1`, "true", "type f: a number in place of a boolean"},
		{"Flag", `"maybe"`, "missing", "type f: not a boolean, lost"},
		{"Texts", `["a","b"]`, "[a b]", ""},
		{"Texts", `[]`, "[]", ""},
		{"Texts", `"a"`, "[a]", "type f: a text in place of an array"},
		{"Texts", `""`, "[]", "type f: a text in place of an array"},
		{"Texts", `[1,"b",{},{}]`, "[1 b]", "type f[]: a number in place of a text; type f[]: not a text, lost"},
		{"Texts", `7`, "missing", "type f: not an array, lost"},
		{"URL", `"//i.example.com/1.jpg"`, "https://i.example.com/1.jpg", ""},
		{"URL", `"javascript:alert(1)"`, "missing", "type f: not a URL, lost"},
		{"URL", `""`, "null", ""},
		{"Instant", `"2026-10-28T20:40:01.5+03:00"`, "2026-10-28T17:40:01.5Z", ""},
		{"Instant", `"2026-10-28 17:40:01"`, "missing", "type f: not an instant, lost"},
		{"Instant", `"2026-08-10T15:00:00+02:00[Europe/Brussels]"`, "2026-08-10T13:00:00Z", ""},
		{"Instant", `"9999-12-31T23:00:00-02:00[Etc/GMT+2]"`, "missing", "type f: not an instant, lost"},
		{"Instant", `"[Europe/Brussels]"`, "missing", "type f: not an instant, lost"},
		{"Instant", `""`, "null", "type f: an empty text in place of an instant"},
		{"Instant", `"0000-01-01T00:00:00Z"`, "missing", "type f: not an instant, lost"},
		{"UTC", `"2026-10-28 17:40:01"`, "2026-10-28T17:40:01Z", ""},
		{"UTC", `"2026-10-28T17:40:01Z"`, "2026-10-28T17:40:01Z", ""},
		{"Local", `"2026-07-01 15:00:00"`, "2026-07-01T13:00:00Z", ""},
		{"Local", `"2026-10-25 02:30:00"`, "2026-10-25T00:30:00Z", "value f: a time that a change of clocks repeats"},
		{"Local", `"2026-03-29 02:30:00"`, "2026-03-29T01:30:00Z", "value f: a time that a change of clocks skips"},
		{"Local", `"2026-03-29"`, "missing", "type f: not a local time, lost"},
		{"Nowhere", `"2026-07-01 15:00:00"`, "missing", "type f: not a local time, lost"},
		{"Date", `"2026-12-02"`, "2026-12-02", ""},
		{"Date", `"2026-12-02T00:00:00.000Z"`, "2026-12-02", ""},
		{"Date", `"2026-12-02T23:00:00.000Z"`, "missing", "type f: not a date, lost"},
		{"Date", `20261202`, "missing", "type f: not a date, lost"},
		{"Date", `""`, "null", "type f: an empty text in place of a date"},
		{"Clock", `"9:30"`, "09:30", ""},
		{"Clock", `"15:00:00"`, "15:00", ""},
		{"Clock", `"noon"`, "missing", "type f: not a time of day, lost"},
		{"Currency", `"eur"`, "EUR", ""},
		{"Currency", `"ZZZ"`, "missing", "type f: not a currency, lost"},
		{"Money", `0.285`, "0.29 EUR", ""},
		{"Money", `"12.34"`, "12.34 EUR", "type f: a text in place of an amount"},
		{"Money", `"free"`, "missing", "type f: not an amount, lost"},
		{"Free", `12`, "missing", ""},
		{"Object", `{"a":1,"b":2}`, "[a b]", ""},
		{"Object", `[]`, "[]", "type f: an array in place of an object"},
		{"Object", `[{"a":1}]`, "[a]", "type f: an array in place of an object"},
		{"Object", `[{},{}]`, "missing", "type f: not an object, lost"},
		{"Object", `"x"`, "missing", "type f: not an object, lost"},
		{"Objects", `[{"a":1},{"b":1}]`, "[a]+[b]", ""},
		{"Objects", `{"a":1}`, "[a]", "type f: an object in place of an array"},
		{"Objects", `{"1":{"a":1},"2":{"b":1}}`, "[1 2]", "type f: an object in place of an array"},
		{"Objects", `[{"a":1},7,8]`, "[a]", "type f[]: not an object, lost"},
		{"Objects", `7`, "missing", "type f: not an array, lost"},
		{"Map", `{"g1":{"a":1},"g2":{}}`, "2 by name", ""},
		{"Map", `{"g1":{"a":1},"g2":7}`, "1 by name", "type f.*: not an object, lost"},
		{"Map", `"x"`, "missing", "type f: not an object, lost"},
		{"Enum", `"ON"`, "1", ""},
		{"Enum", `"off"`, "9", "value f: a value that is not known"},
		{"Enum", `""`, "null", ""},
	} {
		got, odd := read(t, c.method, c.in, false)
		if got != c.want || details(odd) != c.odd {
			t.Errorf("%s of %s: %s, %q, want %s, %q", c.method, c.in, got, details(odd), c.want, c.odd)
		}
	}
	for method := range reads {
		if got, odd := read(t, method, "", false); got != "missing" || len(odd) > 0 {
			t.Errorf("%s of nothing: %s, %v", method, got, odd)
		}
		want := "null"
		if method == "Degrees" || method == "Free" {
			want = "missing"
		}
		if got, odd := read(t, method, "null", false); got != want || len(odd) > 0 {
			t.Errorf("%s of null: %s, %v", method, got, odd)
		}
	}
}

// What a loose partner is known to do is no news; what cannot be understood still is.
func TestLoose(t *testing.T) {
	for _, c := range []struct{ method, in, want, odd string }{
		{"Number", `"1.5"`, "1.5", ""},
		{"Number", `""`, "null", ""},
		{"Number", `"x"`, "missing", "type f: not a number, lost"},
		{"Text", `7`, "7", ""},
		{"Flag", `1`, "true", ""},
		{"Date", `""`, "null", ""},
		{"Texts", `"a"`, "[a]", ""},
		{"Object", `[]`, "[]", ""},
		{"Objects", `{"2":{"b":1},"1":{"a":1}}`, "[a]+[b]", ""},
		{"Objects", `{"a":1}`, "[a]", ""},
		{"Objects", `{}`, "", ""},
		{"Enum", `"off"`, "9", "value f: a value that is not known"},
	} {
		got, odd := read(t, c.method, c.in, true)
		if got != c.want || details(odd) != c.odd {
			t.Errorf("%s of %s: %s, %q, want %s, %q", c.method, c.in, got, details(odd), c.want, c.odd)
		}
	}
}

func TestObjectHelps(t *testing.T) {
	d := wire.Decoder[string]{ID: []string{"id"}, Read: func(o wire.Object) (string, error) {
		o.Require("a", "b")
		in, _ := o.Object("in").Get()
		in.Odd("x", driver.ChangeValue, "odd")
		in.Date("day")
		if err := o.Lost("nothing"); err != nil {
			t.Error(err)
		}
		level, err := wire.Parse(in, "level", "a level", func(s string) (int, error) { return len(s), nil }).Get()
		return fmt.Sprint(o.Has("a"), o.Has("b"), o.Len(), in.Names(), string(o.Raw("a")), o.Type("in"), o.Type("b"),
			len(o.Elements("list")), level, err), o.Lost("day")
	}}
	_, odd, err := d.One([]byte(`{"id": 1, "a": 7, "list": [1, 2], "in": {"level": "abc", "day": "CANARY"}}`))
	if err == nil || err.Error() != "in.day: not a date" {
		t.Errorf("error %v", err)
	}
	if got, want := details(odd), "missing b: missing; type id: a number in place of a text; type in.day: not a date, lost; value in.x: odd"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, o := range odd {
		if o.ID != "1" {
			t.Errorf("%+v", o)
		}
	}
	got, _, err := d.One([]byte(`{"id": "1", "a": 7, "list": [1, 2], "in": {"level": "abc"}}`))
	if want := "true false 4 [level]7123 0 2 3 true"; got != want || err != nil {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	var zero wire.Object
	zero.Odd("x", driver.ChangeType, "x")
	zero.Require("x")
	if zero.Text("x").Observed() || zero.Has("x") || zero.Lost("x") != nil ||
		zero.Record("v1").AdapterVersion != "v1" || zero.Objects("x").Observed() {
		t.Error("the zero Object has something")
	}
}

func TestItemsWithoutID(t *testing.T) {
	d := wire.Decoder[string]{Kind: "thing", ID: []string{"_id", "id"}, Read: func(o wire.Object) (string,
		error) {
		return o.Record("v").ID, nil
	}}
	for in, want := range map[string]string{
		`{"_id": "1"}`:                "1 <nil>",
		`{"_id": "", "id": "2"}`:      "2 <nil>",
		`{"id": 3}`:                   "3 <nil>",
		`{}`:                          " _id: missing",
		`{"_id": {"$oid": "CANARY"}}`: " _id: missing",
		`{"id": "` + strings.Repeat("CANARY", 40) + `"}`: " _id: longer than 200 bytes",
		`[]`:              " not a JSON object",
		`{"_id": "CANARY`: " not valid JSON",
		``:                " not a JSON object",
	} {
		got, odd, err := d.One(json.RawMessage(in))
		if s := got + " " + fmt.Sprint(err); s != want {
			t.Errorf("%s: %q, want %q", in, s, want)
		}
		if err != nil && (len(odd) == 0 || odd[0].Kind != "thing") {
			t.Errorf("%s: rejected, and nothing is odd: %v", in, odd)
		}
	}
}
