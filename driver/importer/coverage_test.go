package importer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/webhook"
)

// TestCoverage: of an account that changes all the time, some changes are told by webhooks, at once, late, twice, after an
// import that had shown them already, or in a queue for long; others are not told. What is counted as missed is what was
// not told, exactly.
func TestCoverage(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{1, 2, 3} {
		bubble(t, fmt.Sprint("seed ", seed), func(t *testing.T) { coverage(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func coverage(t *testing.T, dice *rand.Rand) {
	const n = 300
	acc := account(n, 0, 0)
	d := importertest.Getter{Driver: &importertest.Driver{Account: acc}}
	store, ledger := importer.NewMemory(), &importer.MemoryLedger{}
	cfg := config(d, store)
	seenBefore := importer.Coverage{Ledger: ledger, Since: time.Now().Add(30 * time.Minute)} // webhooks are registered then
	cfg.OnChanges = seenBefore.Listed
	run(t, cfg)
	if got, err := ledger.Tally(t.Context(), importer.TallyQuery{}); err != nil || len(got) != 0 {
		t.Fatalf("what was there before webhooks were registered is counted: %+v, %v", got, err)
	}

	router := &webhook.Router{
		Translate: func(e webhook.Event) ([]webhook.Notice, error) {
			return []webhook.Notice{{Kind: webhook.ResourceChanged, Record: string(e.Body), Thin: true}}, nil
		},
		OnNotice: importer.Hear(ledger),
		Confirm:  driver.Confirm(d),
		Default: func(ctx context.Context, n webhook.Notice) error {
			c := n.Confirmed.(driver.Confirmed)
			by := config(d, store)
			by.OnChanges = seenBefore.Brought
			_, err := importer.Apply(ctx, by, c.Sent, c.Record)
			return err
		},
	}
	var wg sync.WaitGroup
	missed := 0
	for i := range n {
		lost := dice.IntN(5) == 0
		if lost {
			missed++
		}
		at := time.Duration(dice.Int64N(int64(8 * time.Hour)))
		delay := time.Duration(dice.Int64N(int64(2 * time.Second)))
		if dice.IntN(4) == 0 { // the partner repeats it until it is taken
			delay = time.Duration(dice.Int64N(int64(50 * time.Minute)))
		}
		queued := time.Duration(0)
		if dice.IntN(4) == 0 {
			queued = time.Duration(dice.Int64N(int64(5 * time.Hour)))
		}
		wg.Go(func() {
			time.Sleep(at)
			acc.Touch(time.Now(), fmt.Sprintf("r%07d", i))
			if lost {
				return
			}
			time.Sleep(delay)
			e := webhook.Event{Key: fmt.Sprint(i), Integration: "in-1", ReceivedAt: time.Now(), Trust: webhook.Hint, Body: fmt.Appendf(nil, "r%07d", i)}
			time.Sleep(queued)
			for range 1 + i%2 {
				if err := router.Handle(t.Context(), e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	cfg.Mode = importer.Incremental
	for range 12 {
		run(t, cfg)
	}
	wg.Wait()
	run(t, cfg)
	time.Sleep(2 * time.Hour)
	got, err := ledger.Tally(t.Context(), importer.TallyQuery{})
	if err != nil || len(got) != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	g := got[0]
	if g.Collection != resources || g.Missed != int64(missed) || g.Pending != 0 || g.ByWebhook+g.Raced != int64(n-missed) || g.Raced == 0 || g.ByWebhook == 0 {
		t.Errorf("got %+v, want %d missed of %d", g, missed, n)
	}
	if want := float64(n-missed) / n; g.Share() != want {
		t.Errorf("got a share of %v, want %v", g.Share(), want)
	}
	if (importer.Tally{}).Share() != 1 {
		t.Error("nothing changed, and not all was told")
	}
}

// TestCoverage_Changes: what is noted of each change.
func TestCoverage_Changes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		ledger := &recordingLedger{}
		next := 0
		v := importer.Coverage{
			Ledger: ledger, Since: now.Add(-50 * time.Hour),
			Next: func(context.Context, importer.ChangeSet) error { next++; return nil },
		}
		change := func(id string, kind importer.ChangeKind, earliest time.Time) importer.Change {
			return importer.Change{Event: importer.Event{Collection: resources, ID: id, Version: 3, Change: kind, At: now}, Earliest: earliest}
		}
		set := importer.ChangeSet{Collection: resources, Changes: []importer.Change{
			change("dated", importer.Updated, now.Add(-2*time.Hour)),
			change("ahead", importer.Updated, now.Add(time.Hour)),
			change("undated", importer.Added, time.Time{}),
			change("deleted", importer.Deleted, now.Add(-30*time.Hour)),
			change("before webhooks", importer.Added, now.Add(-51*time.Hour)),
		}}
		if err := v.Listed(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		if err := v.Brought(t.Context(), importer.ChangeSet{Collection: resources, Changes: set.Changes[:1]}); err != nil {
			t.Fatal(err)
		}
		found := func(id string, since time.Duration, byWebhook bool) importer.Found {
			return importer.Found{Collection: resources, ID: id, Version: 3, ByWebhook: byWebhook, Since: now.Add(since), At: now}
		}
		want := []importer.Found{
			found("dated", -2*time.Hour, false), found("ahead", 0, false), found("undated", -50*time.Hour, false),
			found("deleted", -30*time.Hour, false), found("dated", -2*time.Hour, true),
		}
		if !slices.EqualFunc(ledger.found, want, func(a, b importer.Found) bool {
			same := a.Since.Equal(b.Since) && a.At.Equal(b.At)
			a.Since, b.Since, a.At, b.At = time.Time{}, time.Time{}, time.Time{}, time.Time{}
			return same && a == b
		}) || next != 2 {
			t.Errorf("got %v, want %v; the next was told %d times", ledger.found, want, next)
		}
		ledger.err = errors.New("disk full")
		if err := v.Listed(t.Context(), set); !errors.Is(err, ledger.err) || next != 2 {
			t.Errorf("got %v, and the next was told", err)
		}
		if err := (importer.Coverage{}).Listed(t.Context(), set); err == nil {
			t.Error("without a ledger nothing is measured, and nobody is told")
		}
	})
}

// recordingLedger keeps what it is told.
type recordingLedger struct {
	importer.MemoryLedger
	found []importer.Found
	heard []string
	err   error
}

func (l *recordingLedger) Find(_ context.Context, found []importer.Found) error {
	if l.err == nil {
		l.found = append(l.found, found...)
	}
	return l.err
}

func (l *recordingLedger) Hear(_ context.Context, c importer.Collection, id string, _ time.Time) error {
	l.heard = append(l.heard, c.Integration+" "+string(c.Kind)+" "+id)
	return l.err
}

func TestHear(t *testing.T) {
	t.Parallel()
	l := &recordingLedger{}
	for _, n := range []webhook.Notice{
		{Kind: webhook.ResourceChanged, Record: "r"}, {Kind: webhook.TransactionDeleted, Record: "t"}, {Kind: "media.changed", Record: "m"},
		{Kind: webhook.AuthRevoked}, {Kind: webhook.ResourceChanged}, {Kind: webhook.CalendarChanged, Record: "r"}, {Kind: "resources", Record: "r"},
	} {
		n.Event = webhook.Event{Integration: "in-1", ReceivedAt: time.Now()}
		if err := importer.Hear(l)(t.Context(), n); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"in-1 resource r", "in-1 transaction t", "in-1 media m"}; !slices.Equal(l.heard, want) {
		t.Errorf("got %q, want %q", l.heard, want)
	}
	l.err = errors.New("disk full")
	if err := importer.Hear(l)(t.Context(), webhook.Notice{Kind: webhook.ResourceChanged, Record: "r", Event: webhook.Event{Integration: "i"}}); !errors.Is(err, l.err) {
		t.Errorf("got %v", err)
	}
}

// A ledger in memory forgets the oldest.
func TestMemoryLedger_Bounded(t *testing.T) {
	t.Parallel()
	l := &importer.MemoryLedger{Max: 3}
	at := time.Now()
	for i := range 10 {
		id := fmt.Sprint("r", i%5)
		if err := l.Hear(t.Context(), resources, id, at.Add(time.Duration(i))); err != nil {
			t.Fatal(err)
		}
		f := importer.Found{Collection: resources, ID: id, Version: int64(i), Since: at, At: at.Add(time.Duration(i))}
		if err := l.Find(t.Context(), []importer.Found{f, f}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := l.Tally(t.Context(), importer.TallyQuery{Now: at.Add(2 * time.Hour)})
	if err != nil || len(got) != 1 || got[0].Raced+got[0].Missed != 3 || got[0].Raced != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Webhooks of one record that come in any order: once each, and the ones that came first are forgotten first.
func TestMemoryLedger_AnyOrder(t *testing.T) {
	t.Parallel()
	l, start := &importer.MemoryLedger{Max: 4}, time.Now()
	at := func(hour int) time.Time { return start.Add(time.Duration(hour) * time.Hour) }
	version := int64(0)
	for _, tt := range []struct {
		hears []int
		want  []int
	}{
		{[]int{5, 1, 9, 1, 5, 3}, []int{1, 3, 5, 9}}, {[]int{7}, []int{1, 3, 7, 9}}, {[]int{2}, []int{2, 3, 7, 9}},
		{[]int{4, 6, 8}, []int{2, 4, 6, 8}}, {[]int{0}, []int{0, 4, 6, 8}},
	} {
		for _, hour := range tt.hears {
			if err := l.Hear(t.Context(), resources, "r", at(hour)); err != nil {
				t.Fatal(err)
			}
		}
		var told []int
		for hour := range 12 {
			version++
			f := importer.Found{Collection: resources, ID: "r", Version: version, Since: at(hour), At: at(hour)}
			if err := l.Find(t.Context(), []importer.Found{f}); err != nil {
				t.Fatal(err)
			}
			got, err := l.Tally(t.Context(), importer.TallyQuery{From: at(hour), To: at(hour).Add(1), Grace: 1, Now: at(99)})
			if err != nil || len(got) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			if got[0].Raced > 0 {
				told = append(told, hour)
			}
		}
		if !slices.Equal(told, tt.want) {
			t.Errorf("after %v: of the hours %v, want %v", tt.hears, told, tt.want)
		}
	}
}

// BenchmarkMemoryLedger_Hear: many webhooks about one record, when as many are known.
func BenchmarkMemoryLedger_Hear(b *testing.B) {
	l, at := &importer.MemoryLedger{}, time.Now()
	hear := func(i int) {
		if err := l.Hear(b.Context(), resources, "r", at.Add(time.Duration(i))); err != nil {
			b.Fatal(err)
		}
	}
	const known = 100_000
	for i := range known {
		hear(i)
	}
	b.ReportAllocs()
	for i := known; b.Loop(); i++ {
		hear(i)
	}
}

// A stranger's hints do not make a webhook that never came look as if it had, as far as they are found to be wrong.
func TestHearIsToldOfConfirmedHintsOnly(t *testing.T) {
	t.Parallel()
	l := &recordingLedger{}
	r := &webhook.Router{
		OnNotice: importer.Hear(l),
		Translate: func(e webhook.Event) ([]webhook.Notice, error) {
			return []webhook.Notice{{Kind: webhook.ResourceChanged, Record: string(e.Body), Thin: true}}, nil
		},
		Confirm: func(_ context.Context, n webhook.Notice) (any, error) {
			switch n.Record {
			case "wrong":
				return nil, webhook.ErrUnconfirmed
			case "unknown":
				return nil, errPage
			}
			return driver.Confirmed{}, nil
		},
		Default: func(context.Context, webhook.Notice) error { return nil },
	}
	for _, trust := range []webhook.Trust{webhook.Hint, webhook.Signed} {
		for _, record := range []string{"right", "wrong", "unknown"} {
			e := webhook.Event{Key: record, Integration: "in-1", Trust: trust, Body: []byte(record), ReceivedAt: time.Now()}
			if err := r.Handle(t.Context(), e); errors.Is(err, errPage) != (record == "unknown") {
				t.Errorf("%s: %v", record, err)
			}
		}
	}
	want := []string{"in-1 resource right", "in-1 resource right", "in-1 resource wrong", "in-1 resource unknown"}
	if !slices.Equal(l.heard, want) {
		t.Errorf("got %q, want %q", l.heard, want)
	}
	l.err = errors.New("disk full")
	if err := r.Handle(t.Context(), webhook.Event{Integration: "in-1", Body: []byte("right")}); !errors.Is(err, l.err) {
		t.Errorf("got %v", err)
	}
}

// TestChangeEarliest: by the partner's time of update if it moved, else by when the record was seen last as it was.
func TestChangeEarliest(t *testing.T) {
	t.Parallel()
	for _, undated := range []bool{false, true} {
		bubble(t, fmt.Sprint("undated ", undated), func(t *testing.T) {
			acc := account(20, 0, 0)
			acc.Undated = undated
			cfg := config(importertest.Getter{Driver: &importertest.Driver{Account: acc}}, importer.NewMemory())
			got := map[string]time.Time{}
			cfg.OnChanges = func(_ context.Context, c importer.ChangeSet) error {
				for _, ch := range c.Changes {
					got[string(ch.Change)+" "+ch.ID] = ch.Earliest
				}
				return nil
			}
			run(t, cfg)
			first := time.Now()
			time.Sleep(time.Hour)
			acc.Touch(time.Now(), "r0000001")
			acc.Delete("r0000002")
			changed := time.Now()
			run(t, cfg)
			want := map[string]time.Time{"added r0000001": acc.Updated, "updated r0000001": changed, "deleted r0000002": first}
			if undated {
				want["added r0000001"], want["updated r0000001"] = time.Time{}, first
			}
			for what, at := range want {
				if earliest, ok := got[what]; !ok || !earliest.Equal(at) {
					t.Errorf("%s: got %v, want %v", what, earliest, at)
				}
			}
		})
	}
}
