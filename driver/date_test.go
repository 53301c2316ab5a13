package driver_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

func TestParseDate(t *testing.T) {
	for _, s := range []string{"2026-12-02", "0001-01-01", "9999-12-31", "2024-02-29"} {
		d, err := driver.ParseDate(s)
		if err != nil || d.String() != s || !d.Valid() {
			t.Errorf("%q: %v, %v", s, d, err)
		}
	}
	for _, s := range []string{"", "2026-02-29", "2026-2-3", "0000-01-01", "2026-12-02T00:00:00Z", "02/12/2026", "20261202", "2026-13-01", " 2026-12-02"} {
		if d, err := driver.ParseDate(s); !errors.Is(err, driver.ErrDate) || d != (driver.Date{}) {
			t.Errorf("%q: %v, %v", s, d, err)
		}
	}
}

func TestDateJSON(t *testing.T) {
	type stay struct {
		Start driver.Date             `json:"start"`
		End   driver.Opt[driver.Date] `json:"end,omitzero"`
	}
	for _, tt := range []struct{ in, out string }{
		{`{"start":"2026-12-02","end":"2026-12-05"}`, `{"start":"2026-12-02","end":"2026-12-05"}`},
		{`{"start":"","end":null}`, `{"start":"","end":null}`},
		{`{}`, `{"start":""}`},
	} {
		var s stay
		if err := json.Unmarshal([]byte(tt.in), &s); err != nil {
			t.Errorf("%s: %v", tt.in, err)
		}
		if b, err := json.Marshal(s); err != nil || string(b) != tt.out {
			t.Errorf("%s: back as %s, %v", tt.in, b, err)
		}
	}
	var s stay
	if err := json.Unmarshal([]byte(`{"start":"2026-02-30"}`), &s); !errors.Is(err, driver.ErrDate) {
		t.Errorf("got %v", err)
	}
	if _, err := json.Marshal(driver.Date{Year: 2026, Month: 2, Day: 30}); err == nil {
		t.Error("a day that there is not was written")
	}
}

func TestDateArithmetic(t *testing.T) {
	a, b := driver.Date{Year: 2026, Month: 3, Day: 28}, driver.Date{Year: 2026, Month: 4, Day: 2}
	if got := a.Days(b); got != 5 { // over a change of clocks
		t.Errorf("%d nights, want 5", got)
	}
	if got := b.Days(a); got != -5 {
		t.Errorf("%d, want -5", got)
	}
	if got := a.AddDays(5); got != b {
		t.Errorf("%v, want %v", got, b)
	}
	if got := driver.DateOf(time.Date(2026, 3, 28, 23, 30, 0, 0, time.FixedZone("", -3600))); got != a {
		t.Errorf("%v, want %v", got, a)
	}
}

func TestDateIn(t *testing.T) {
	d := driver.Date{Year: 2026, Month: 7, Day: 1}
	got, err := d.In("Europe/Lisbon", "15:00")
	if want := time.Date(2026, 7, 1, 14, 0, 0, 0, time.UTC); err != nil || !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, tt := range []struct {
		d          driver.Date
		zone, hhmm string
	}{
		{driver.Date{}, "UTC", "15:00"}, {d, "", "15:00"}, {d, "Local", "15:00"}, {d, "Mars/Olympus", "15:00"}, {d, "UTC", "25:00"}, {d, "UTC", ""},
	} {
		if got, err := tt.d.In(tt.zone, tt.hhmm); err == nil {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"2026-12-02", "2024-02-29", "0001-01-01", "9999-12-31", "2026-2-3", ""} {
		f.Add(s, 40)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		d, err := driver.ParseDate(s)
		if err != nil {
			if d != (driver.Date{}) {
				t.Fatalf("%q: %v with an error", s, d)
			}
			return
		}
		if d.String() != s || !d.Valid() {
			t.Fatalf("%q reads as %q, valid %v", s, d, d.Valid())
		}
		if n %= 1_000_000; n != 0 {
			if e := d.AddDays(n); d.Days(e) != n {
				t.Fatalf("%v and %d days is %v, which is %d days on", d, n, e, d.Days(e))
			}
		}
	})
}
