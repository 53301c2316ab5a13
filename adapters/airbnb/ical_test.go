package airbnb

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
)

func mustDate(t testing.TB, s string) driver.Date {
	t.Helper()
	d, err := driver.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSampleFeed(t *testing.T) {
	f, err := ReadFeed(bytes.NewReader(sample(t, "feed.ics")))
	if err != nil || len(f.Bookings) != 1 || len(f.Blocks) != 1 || f.Rejected != 0 {
		t.Fatalf("%+v, %v", f, err)
	}
	want := FeedEvent{UID: "1418fb94e984-0123456789abcdef0123456789abcdef@airbnb.com",
		Start: mustDate(t, "2026-07-03"), End: mustDate(t, "2026-07-06"),
		Code: "HMEXAMPLE1", Phone: "0000"}
	if got := f.Bookings[0]; got != want {
		t.Errorf("%+v %q %q, want %+v", got, got.Code, got.Phone, want)
	}
	if got := f.Blocks[0]; got.Start != mustDate(t, "2026-07-20") || got.End != mustDate(t, "2026-07-22") ||
		got.Code != "" {
		t.Errorf("block %+v", got)
	}
}

// feed makes a calendar of events, each the lines of one.
func feed(events ...string) string {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\r\nPRODID:-//Airbnb Inc//Hosting Calendar 0.8.8//EN\r\nVERSION:2.0\r\n")
	for _, e := range events {
		b.WriteString("BEGIN:VEVENT\r\n" + strings.ReplaceAll(e, "\n", "\r\n") + "\r\nEND:VEVENT\r\n")
	}
	return b.String() + "END:VCALENDAR\r\n"
}

const (
	june  = "DTSTART;VALUE=DATE:20260610\nDTEND;VALUE=DATE:20260612"
	july  = "DTSTART;VALUE=DATE:20260710\nDTEND;VALUE=DATE:20260712"
	codeA = "\nSUMMARY:Reserved\nDESCRIPTION:Reservation URL: https://www.airbnb.com/hosting/reservations/details/HMAAAAAAAA"
)

func TestOddFeeds(t *testing.T) {
	for _, tt := range []struct {
		name, text                 string
		bookings, blocks, rejected int
		err                        bool
	}{
		{name: "empty", text: feed()},
		{name: "a byte order mark and empty lines", text: "\xef\xbb\xbf" + feed(june+codeA) + "\r\n\r\n", bookings: 1},
		{name: "cut off", text: strings.TrimSuffix(feed(june+codeA), "END:VCALENDAR\r\n"), err: true},
		{name: "a page", text: "<html></html>", err: true},
		{name: "nothing", text: "", err: true},
		{name: "too large", text: feed(june + "\nDESCRIPTION:" + strings.Repeat("x", MaxFeed)), err: true},
		{name: "no end", text: feed("DTSTART;VALUE=DATE:20260610\nSUMMARY:Reserved"), rejected: 1},
		{name: "ends before it starts", text: feed("DTSTART;VALUE=DATE:20260610\nDTEND;VALUE=DATE:20260609"),
			rejected: 1},
		{name: "no date", text: feed("DTSTART;VALUE=DATE:soon\nDTEND;VALUE=DATE:20260609"), rejected: 1},
		{name: "times", text: feed("DTSTART:20260610T150000Z\nDTEND:20260612T100000Z" + codeA), bookings: 1},
		{name: "another word", text: feed(june + "\nSUMMARY:Lea (HMAAAAAAAA)"), bookings: 1},
		{name: "blocked", text: feed(june + "\nSUMMARY:Airbnb (Not available)"), blocks: 1},
	} {
		f, err := ReadFeed(strings.NewReader(tt.text))
		if tt.err != errors.Is(err, ErrFeed) || tt.err == (err == nil) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if len(f.Bookings) != tt.bookings || len(f.Blocks) != tt.blocks || f.Rejected != tt.rejected {
			t.Errorf("%s: %d bookings, %d blocks, %d rejected", tt.name, len(f.Bookings), len(f.Blocks), f.Rejected)
		}
	}
}

func TestVanished(t *testing.T) {
	read := func(events ...string) Feed {
		f, err := ReadFeed(strings.NewReader(feed(events...)))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	before := read(june+codeA, july+"\nUID:b@airbnb.com\nSUMMARY:Reserved")
	for _, tt := range []struct {
		name  string
		after Feed
		today string
		want  int
	}{
		{"nothing changed", before, "2026-06-01", 0},
		{"days changed", read(july+codeA, july+"\nUID:b@airbnb.com\nSUMMARY:Reserved"), "2026-06-01", 0},
		{"one gone", read(june + codeA), "2026-06-01", 1},
		{"both gone", read(), "2026-06-01", 2},
		{"one is over", read(), "2026-06-12", 1},
		{"all are over", read(), "2026-08-01", 0},
		{"not understood", Feed{Rejected: 1}, "2026-06-01", 0},
	} {
		if got := Vanished(before, tt.after, mustDate(t, tt.today)); len(got) != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, len(got), tt.want)
		}
	}
}

type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFetchFeed(t *testing.T) {
	const secret = "canary-secret"
	text := feed(june + codeA)
	reply := func(status int, body, location string) answers {
		return func(r *http.Request) (*http.Response, error) {
			h := http.Header{}
			if location != "" && r.URL.Host == "www.airbnb.com" {
				h.Set("Location", location)
			} else if location != "" {
				return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader(text)),
					Request: r}, nil
			}
			return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)),
				Request: r}, nil
		}
	}
	const address = "https://www.airbnb.com/calendar/ical/1.ics?s=" + secret
	for _, tt := range []struct {
		name, address string
		transport     answers
		class         retry.Class // "" of one that succeeds
		ok            bool
	}{
		{"whole", address, reply(200, text, ""), 0, true},
		{"a country's domain", "https://www.airbnb.co.uk/calendar/ical/1.ics?s=" + secret, reply(200, text, ""), 0,
			true},
		{"moved to another country", address, reply(302, "", "https://www.airbnb.de/calendar/ical/1.ics?s="+secret),
			0, true},
		{"moved elsewhere", address, reply(302, "", "https://airbnb.example.com/calendar/ical/1.ics"), retry.Client,
			false},
		{"a name that anybody can have", "https://www.airbnb.xyz/calendar/ical/1.ics?s=" + secret, nil, retry.Client,
			false},
		{"not Airbnb's", "https://airbnb.example.com/calendar/ical/1.ics?s=" + secret, nil, retry.Client, false},
		{"not encrypted", "http://www.airbnb.com/calendar/ical/1.ics?s=" + secret, nil, retry.Client, false},
		{"no URL", "::" + secret, nil, retry.Client, false},
		{"gone", address, reply(404, "x", ""), retry.Client, false},
		{"throttled", address, reply(429, "", ""), retry.RateLimit, false},
		{"cut off", address, reply(200, text[:len(text)-20], ""), retry.Data, false},
		{"no network", address, func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") },
			retry.Transient, false},
	} {
		f, err := FetchFeed(t.Context(), &http.Client{Transport: tt.transport}, auth.Secret(tt.address))
		if tt.ok {
			if err != nil || len(f.Bookings) != 1 {
				t.Errorf("%s: %+v, %v", tt.name, f, err)
			}
			continue
		}
		if err == nil || retry.ClassOf(err) != tt.class || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, want class %v", tt.name, err, tt.class)
		}
	}
}

// Whatever comes: an event is a booking, a block or rejected, and what is there has a first night before its end.
func FuzzFeed(f *testing.F) {
	b, err := os.ReadFile("testdata/feed.ics")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(feed(june+codeA, july)))
	f.Fuzz(func(t *testing.T, b []byte) {
		feed, err := ReadFeed(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrFeed) || len(feed.Bookings)+len(feed.Blocks) > 0 {
				t.Fatalf("%v with %d events", err, len(feed.Bookings)+len(feed.Blocks))
			}
			return
		}
		for _, e := range append(feed.Bookings, feed.Blocks...) {
			if !e.Start.Valid() || !e.End.Valid() || e.Start.Days(e.End) < 1 {
				t.Fatalf("%v", e)
			}
		}
		if got := Vanished(feed, feed, driver.Date{Year: 1, Month: 1, Day: 1}); len(got) > 0 {
			t.Fatalf("%d vanished from a feed that did not change", len(got))
		}
	})
}
