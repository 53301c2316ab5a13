package drivertest

import "testing"

func TestSilent(t *testing.T) {
	days := []string{"p/u/r1/2026-12-01", "p/u/r1/2026-12-02", "p/u/r2/2026-12-01", "p/u/r2/2026-12-02"}
	for _, c := range []struct {
		name        string
		all, listed []string
		rejected    []string
		want        int
	}{
		{"whole", days, days, nil, 0},
		{"one lost", days, days[1:], nil, 1},
		{"a row of a rate that is rejected", days, days[2:], []string{"r1"}, 0},
		{"of a rate, and a day of another", days, days[3:], []string{"r1"}, 1},
		{"a row without an id", days, days[2:], []string{""}, 1},
		{"a day", days, days[1:], []string{""}, 0},
		{"a date is no id of a rate", days, days[1:], []string{"2026-12-09"}, 0},
		{"records", []string{"a", "b", "c"}, []string{"c"}, []string{"a", "b"}, 0},
		{"a record twice", []string{"a", "b", "c"}, []string{"c"}, []string{"a", "a"}, 1},
		{"records without ids", []string{"a", "b", "c"}, []string{"c"}, []string{"", ""}, 0},
	} {
		l := listing{ids: c.listed, pages: []page{{rejected: c.rejected}}}
		if got := l.silent(c.all); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
