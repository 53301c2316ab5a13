package driver_test

import (
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		wall, zone, want string
		ambiguity        driver.Ambiguity
	}{
		{"2026-07-01 15:00:00", "Europe/Madrid", "2026-07-01T13:00:00Z", driver.Unambiguous},
		{"2026-10-25 02:30:00", "Europe/Madrid", "2026-10-25T00:30:00Z", driver.Repeated},
		{"2026-10-25 03:00:00", "Europe/Madrid", "2026-10-25T02:00:00Z", driver.Unambiguous},
		{"2026-03-29 02:30:00", "Europe/Madrid", "2026-03-29T01:30:00Z", driver.Skipped}, // shown as 03:30
		{"2026-03-29 01:59:59", "Europe/Madrid", "2026-03-29T00:59:59Z", driver.Unambiguous},
		{"2026-03-08 02:15:00", "America/New_York", "2026-03-08T07:15:00Z", driver.Skipped},
		{"2026-11-01 01:15:00", "America/New_York", "2026-11-01T05:15:00Z", driver.Repeated},
		{"2026-04-05 01:45:00", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", driver.Repeated}, // by half an hour
		{"2011-12-30 12:00:00", "Pacific/Apia", "2011-12-30T22:00:00Z", driver.Skipped},         // by a whole day
		{"2026-01-01 12:00:00", "Asia/Kathmandu", "2026-01-01T06:15:00Z", driver.Unambiguous},
	} {
		loc, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		wall, err := time.Parse(time.DateTime, c.wall)
		if err != nil {
			t.Fatal(err)
		}
		got, ambiguity := driver.Resolve(wall, loc)
		if s := got.Format(time.RFC3339); s != c.want || ambiguity != c.ambiguity || got.Location() != time.UTC {
			t.Errorf("%s in %s: %s, %q, want %s, %q", c.wall, c.zone, s, ambiguity, c.want, c.ambiguity)
		}
	}
	// A day's arrival time is taken the same way.
	if got, err := (driver.Date{Year: 2026, Month: 10, Day: 25}).In("Europe/Madrid", "02:30"); err != nil || got.Format(time.RFC3339) != "2026-10-25T00:30:00Z" {
		t.Errorf("%v, %v", got, err)
	}
}

// The instant of a local time shows that time on the clocks there, unless it is said to be skipped; of a repeated one it is the earlier.
func FuzzResolve(f *testing.F) {
	for _, zone := range []string{"Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "America/St_Johns", "Africa/Casablanca"} {
		for _, at := range []int64{1774751400, 1792895400, 1767225600, 1325203200, 1772935200} {
			f.Add(at, zone)
		}
	}
	f.Fuzz(func(t *testing.T, unix int64, zone string) {
		loc, err := time.LoadLocation(zone)
		wall := time.Unix(unix, 0).UTC()
		if err != nil || wall.Year() < 1971 || wall.Year() > 2037 {
			return
		}
		at, ambiguity := driver.Resolve(wall, loc)
		const layout = "2006-01-02 15:04:05"
		shown := at.In(loc).Format(layout) == wall.Format(layout)
		if shown == (ambiguity == driver.Skipped) {
			t.Fatalf("%s in %s is %s, %q", wall.Format(layout), zone, at.In(loc), ambiguity)
		}
		if ambiguity == driver.Repeated {
			again := false
			for d := 15 * time.Minute; d <= 26*time.Hour; d += 15 * time.Minute {
				again = again || at.Add(d).In(loc).Format(layout) == wall.Format(layout)
				if at.Add(-d).In(loc).Format(layout) == wall.Format(layout) {
					t.Fatalf("%s in %s is %s, and %s before", wall.Format(layout), zone, at.In(loc), d)
				}
			}
			if !again {
				t.Fatalf("%s in %s is %s alone", wall.Format(layout), zone, at.In(loc))
			}
		}
	})
}
