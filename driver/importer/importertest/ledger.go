package importertest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// Ledger runs the conformance tests of an [importer.Ledger]. open returns an empty one.
func Ledger(t *testing.T, open func(t *testing.T) importer.Ledger) {
	for _, p := range ledgerParts {
		t.Run(p.name, func(t *testing.T) { p.run(t, open(t)) })
	}
}

// ledgerParts are the tests, by name.
var ledgerParts = []struct {
	name string
	run  func(testing.TB, importer.Ledger)
}{
	{"Orders", ledgerOrders},
	{"Windows", ledgerWindows},
	{"Once", ledgerOnce},
	{"Refused", ledgerRefused},
	{"AtTheSameTime", ledgerAtTheSameTime},
}

var (
	hotel = importer.Collection{Integration: "hotel-1", Kind: driver.KindTransaction}
	// seen is when an import shows a change in these tests, and changed when the record changed.
	seen    = day.Add(90*time.Minute + 123456789)
	changed = day.Add(time.Hour)
)

func shown(id string) importer.Found {
	return importer.Found{Collection: hotel, ID: id, Version: 2, Since: changed, At: seen}
}

func find(t testing.TB, l importer.Ledger, found ...importer.Found) {
	t.Helper()
	if err := l.Find(t.Context(), found); err != nil {
		t.Fatalf("find: %v", err)
	}
}

func hear(t testing.TB, l importer.Ledger, id string, at time.Time) {
	t.Helper()
	if err := l.Hear(t.Context(), hotel, id, at); err != nil {
		t.Fatalf("hear: %v", err)
	}
}

func tally(t testing.TB, l importer.Ledger, q importer.TallyQuery) []importer.Tally {
	t.Helper()
	got, err := l.Tally(t.Context(), q)
	if err != nil {
		t.Fatalf("tally: %v", err)
	}
	return got
}

func counts(byWebhook, raced, missed, pending int64) importer.Tally {
	return importer.Tally{Collection: hotel, ByWebhook: byWebhook, Raced: raced, Missed: missed, Pending: pending}
}

// ledgerOrders: whichever came first.
func ledgerOrders(t testing.TB, l importer.Ledger) {
	const grace = time.Hour
	later := importer.TallyQuery{Grace: grace, Now: seen.Add(2 * time.Hour)}
	find(t, l, shown("missed"))
	hear(t, l, "earlier", changed.Add(-importer.Skew-1)) // about a change before this one
	find(t, l, shown("earlier"))
	hear(t, l, "skewed", changed.Add(-importer.Skew))
	find(t, l, shown("skewed"))
	hear(t, l, "waits in a queue", seen.Add(-1))
	find(t, l, shown("waits in a queue"))
	find(t, l, shown("overtaken"))
	hear(t, l, "overtaken", seen.Add(grace))
	find(t, l, shown("too late"))
	hear(t, l, "too late", seen.Add(grace+1))
	hear(t, l, "heard of twice", changed.Add(-time.Hour))
	hear(t, l, "heard of twice", changed.Add(time.Minute))
	hear(t, l, "heard of twice", seen.Add(3*grace))
	find(t, l, shown("heard of twice"))
	brought := shown("brought")
	brought.ByWebhook = true
	find(t, l, brought)
	if got, want := tally(t, l, later), []importer.Tally{counts(1, 4, 3, 0)}; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// Before the grace is over what is not told of is not missed yet.
	early := importer.TallyQuery{Grace: grace, Now: seen.Add(grace)}
	if got, want := tally(t, l, early), []importer.Tally{counts(1, 4, 0, 3)}; !slices.Equal(got, want) {
		t.Errorf("early: got %+v, want %+v", got, want)
	}
}

// ledgerWindows: what is counted, and for whom.
func ledgerWindows(t testing.TB, l importer.Ledger) {
	if got := tally(t, l, importer.TallyQuery{}); len(got) != 0 {
		t.Errorf("nothing was found: got %+v", got)
	}
	other := importer.Collection{Integration: "hotel-1", Kind: driver.KindResource}
	third := importer.Collection{Integration: "hotel-0", Kind: driver.KindTransaction}
	for i, c := range []importer.Collection{hotel, other, third, hotel} {
		f := shown("r")
		f.Collection, f.Version, f.At = c, int64(i), seen.Add(time.Duration(i))
		find(t, l, f)
	}
	hear(t, l, "r", changed) // of one collection
	now := seen.Add(24 * time.Hour)
	of := func(c importer.Collection, raced, missed int64) importer.Tally {
		return importer.Tally{Collection: c, Raced: raced, Missed: missed}
	}
	for _, tc := range []struct {
		from, to time.Time
		want     []importer.Tally
	}{
		{time.Time{}, time.Time{}, []importer.Tally{of(third, 0, 1), of(other, 0, 1), of(hotel, 2, 0)}},
		{seen.Add(1), seen.Add(3), []importer.Tally{of(third, 0, 1), of(other, 0, 1)}},
		{seen.Add(3), time.Time{}, []importer.Tally{of(hotel, 1, 0)}},
		{time.Time{}, seen, nil},
	} {
		if got := tally(t, l, importer.TallyQuery{From: tc.from, To: tc.to, Now: now}); !slices.Equal(got, tc.want) {
			t.Errorf("from %v to %v: got %+v, want %+v", tc.from, tc.to, got, tc.want)
		}
	}
}

// ledgerOnce: a transaction may be tried again, and a webhook be worked off twice.
func ledgerOnce(t testing.TB, l importer.Ledger) {
	for range 3 {
		find(t, l, shown("a"), shown("b"), shown("a"))
		hear(t, l, "a", seen)
	}
	find(t, l)
	want := []importer.Tally{counts(0, 1, 1, 0)}
	if got := tally(t, l, importer.TallyQuery{Now: seen.Add(2 * time.Hour)}); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func ledgerRefused(t testing.TB, l importer.Ledger) {
	for _, tc := range []struct {
		c  importer.Collection
		id string
		at time.Time
	}{{importer.Collection{Kind: driver.KindMedia}, "a", seen}, {importer.Collection{Integration: "i"}, "a", seen}, {hotel, "", seen}, {hotel, "a", time.Time{}}} {
		if err := l.Hear(t.Context(), tc.c, tc.id, tc.at); err == nil {
			t.Errorf("a webhook about %v %q at %v is noted", tc.c, tc.id, tc.at)
		}
	}
}

func ledgerAtTheSameTime(t testing.TB, l importer.Ledger) {
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 25 {
				name := fmt.Sprint(i, " ", j)
				if err := l.Hear(t.Context(), hotel, name, seen); err != nil {
					t.Errorf("hear: %v", err)
				}
				if err := l.Find(t.Context(), []importer.Found{shown(name)}); err != nil {
					t.Errorf("find: %v", err)
				}
				if _, err := l.Tally(t.Context(), importer.TallyQuery{}); err != nil {
					t.Errorf("tally: %v", err)
				}
			}
		})
	}
	wg.Wait()
	want := []importer.Tally{counts(0, 100, 0, 0)}
	if got := tally(t, l, importer.TallyQuery{Now: seen}); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
