package guestytest

import (
	"encoding/json"
	"testing"
)

// What is quoted reads as what it was, invalid UTF-8 as replacement characters.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "plain", `"quoted\\"`, "line\nend\x00\x1f", "Bogotá \u2028", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var w writer
		w.quote(s)
		var got string
		if err := json.Unmarshal(w.b, &got); err != nil || got != string([]rune(s)) {
			t.Errorf("%q: wrote %s, read %q, %v", s, w.b, got, err)
		}
	})
}

func TestMoney(t *testing.T) {
	for cents, want := range map[int]string{0: "0", 5: "0.05", 50: "0.5", 100: "1", 45750: "457.5", 1539: "15.39",
		-205: "-2.05"} {
		var w writer
		w.money(nil, "x", cents)
		if got := string(w.b); got != `"x":`+want {
			t.Errorf("%d: got %s, want %s", cents, got, want)
		}
	}
}

func TestProjection(t *testing.T) {
	p := project("a.b a.c d d.e f f")
	for name, want := range map[string]bool{"a": true, "b": false, "d": true, "f": true, "x": false} {
		if _, ok := p.of(name); ok != want {
			t.Errorf("%s: selected %v, want %v", name, ok, want)
		}
	}
	a, _ := p.of("a")
	if _, ok := a.of("b"); !ok {
		t.Error("a.b is not selected")
	}
	if _, ok := a.of("x"); ok {
		t.Error("a.x is selected")
	}
	if d, _ := p.of("d"); d != nil {
		t.Error("d.e narrows d, which was selected whole")
	}
	if _, ok := (*projection)(nil).of("anything"); !ok {
		t.Error("no projection selects nothing")
	}
}
