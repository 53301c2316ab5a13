package retry_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

const tenYears = 10 * 365 * 24 * time.Hour

func TestParseRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		value, date string
		want        time.Duration
		ok          bool
	}{
		{value: "0", ok: true},
		{value: "120", want: 2 * time.Minute, ok: true},
		{value: " 7\t", want: 7 * time.Second, ok: true},
		{value: "1.5", want: 1500 * time.Millisecond, ok: true},
		{value: ".25", want: 250 * time.Millisecond, ok: true},
		{value: "3.", want: 3 * time.Second, ok: true},
		{value: "0.0000000001", want: 1, ok: true}, // never too early
		{value: "007", want: 7 * time.Second, ok: true},
		{value: "99999999", want: 99999999 * time.Second, ok: true},
		{value: "315360000", want: tenYears, ok: true},
		{value: "315360001", want: tenYears, ok: true},
		{value: strings.Repeat("9", 400), want: tenYears, ok: true},
		{value: "Sun, 01 Mar 2026 12:01:30 GMT", want: 90 * time.Second, ok: true},
		{value: "Sunday, 01-Mar-26 12:01:30 GMT", want: 90 * time.Second, ok: true},
		{value: "Sun Mar  1 12:01:30 2026", want: 90 * time.Second, ok: true},
		{value: "Sun, 01 Mar 2026 11:00:00 GMT", ok: true}, // gone by
		{value: "Fri, 31 Dec 9999 23:59:59 GMT", want: tenYears, ok: true},
		{value: "Sun, 01 Mar 2026 12:01:30 GMT", date: "Sun, 01 Mar 2026 12:01:00 GMT", want: 30 * time.Second, ok: true},
		{value: "Sun, 01 Mar 2026 12:01:30 GMT", date: "yesterday", want: 90 * time.Second, ok: true},
		{value: "60", date: "Sun, 01 Mar 2020 12:01:00 GMT", want: time.Minute, ok: true},
		{value: strings.Repeat("9", 401)},
		{value: ""}, {value: "."}, {value: "-1"}, {value: "+1"}, {value: "1e3"}, {value: "0x10"}, {value: "1_000"}, {value: "1.2.3"},
		{value: "inf"}, {value: "NaN"}, {value: "1,5"}, {value: "5 s"}, {value: "soon"}, {value: "2026-03-01T12:01:30Z"},
	} {
		h := http.Header{}
		h.Set("Retry-After", tt.value)
		if tt.date != "" {
			h.Set("Date", tt.date)
		}
		got, ok := retry.ParseRetryAfter(h, start)
		want := time.Time{}
		if tt.ok {
			want = start.Add(tt.want)
		}
		if ok != tt.ok || !got.Equal(want) {
			t.Errorf("%.40q (Date %q): got %v, %v, want %v, %v", tt.value, tt.date, got, ok, want, tt.ok)
		}
	}
	for _, h := range []http.Header{nil, {}, {"Retry-After": nil}} {
		if got, ok := retry.ParseRetryAfter(h, start); ok || !got.IsZero() {
			t.Errorf("%v: got %v, %v", h, got, ok)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "0", "120", "1.5", "1e9", "-1", "99999999999999999999", "Sun, 01 Mar 2026 12:01:30 GMT",
		"Sunday, 01-Mar-26 12:01:30 GMT", "Sun Mar  1 12:01:30 2026", "inf", "NaN", "0x1p-2", "."} {
		f.Add(s, "", int64(1772366400))
		f.Add(s, "Sun, 01 Mar 2026 12:00:00 GMT", int64(0))
	}
	f.Fuzz(func(t *testing.T, value, date string, unix int64) {
		now := time.Unix(unix%(1<<40), 0)
		got, ok := retry.ParseRetryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, now)
		if !ok {
			if !got.IsZero() {
				t.Fatalf("%q: got %v and false", value, got)
			}
			return
		}
		if got.Before(now) || got.After(now.Add(tenYears)) {
			t.Fatalf("%q at %v (Date %q): got %v", value, now, date, got)
		}
	})
}
