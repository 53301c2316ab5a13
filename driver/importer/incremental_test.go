package importer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/pagination"
)

// asked records what the driver is asked for.
type asked struct {
	*importertest.Driver
	since []time.Time
}

func (a *asked) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	a.since = append(a.since, q.UpdatedSince)
	return a.Driver.Resources(ctx, q)
}

func TestIncremental(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(120, 0, 1)
		d := &asked{Driver: &importertest.Driver{Account: a}}
		s := importer.NewMemory()
		cfg := config(d, s)
		cfg.Mode, cfg.Kinds = importer.Incremental, []driver.Kind{driver.KindResource, driver.KindMedia}
		cfg.OnProgress = func(importer.Progress) { time.Sleep(time.Millisecond) }
		newest := time.Now().Add(-time.Minute)
		a.Touch(newest, "r0000001")
		k := only(t, run(t, cfg), driver.KindResource)
		if !k.Whole || k.Counts.Added != 120 || !k.Watermark.Equal(newest) || !d.since[0].IsZero() {
			t.Errorf("the first lists everything: got %+v, since %v", k, d.since)
		}
		// Late commits: a change from before the watermark that shows up only now. And rows at the boundary.
		late := newest.Add(-9 * time.Minute)
		a.Touch(late, "r0000002")
		a.Touch(newest, "r0000003")
		a.Touch(newest.Add(time.Second), "r0000004")
		a.Delete("r0000005") // not to be seen without a whole listing
		res := run(t, cfg)
		k = only(t, res, driver.KindResource)
		if k.Whole || k.Counts.Updated != 3 || k.Counts.Unchanged != 1 || k.Counts.Deleted != 0 || !k.Watermark.Equal(newest.Add(time.Second)) {
			t.Errorf("got %+v", k)
		}
		if want := newest.Add(-10 * time.Minute); !d.since[1].Equal(want) {
			t.Errorf("asked since %v, want %v", d.since[1], want)
		}
		if m := only(t, res, driver.KindMedia); m.Counts.Items != 3 {
			t.Errorf("media of changed resources: got %+v", m.Counts)
		}
		// Nothing new: the watermark stands still, the lookback does not eat into it.
		for range 3 {
			if k := only(t, run(t, cfg), driver.KindResource); !k.Watermark.Equal(newest.Add(time.Second)) || k.Counts.Updated != 0 {
				t.Errorf("got %+v", k)
			}
		}
		if want := newest.Add(time.Second - 10*time.Minute); !d.since[4].Equal(want) {
			t.Errorf("asked since %v, want %v", d.since[4], want)
		}
		cfg.Lookback = -1
		run(t, cfg)
		if !d.since[5].Equal(newest.Add(time.Second)) {
			t.Errorf("without lookback: asked since %v", d.since[5])
		}
		// A partner whose clock is ahead, or who says nonsense, does not move the watermark beyond the pass.
		a.Touch(time.Now().Add(5*time.Hour), "r0000006")
		for range 2 {
			time.Sleep(time.Hour)
			began := time.Now()
			res, err := importer.Run(t.Context(), cfg)
			if err != nil || !res.Kinds[0].Watermark.Equal(began) || res.Kinds[0].Counts.Updated != 1 {
				t.Errorf("got %v, %+v, want the pass's beginning %v", err, res.Kinds, began)
			}
			a.Touch(time.Now().AddDate(90, 0, 0), "r0000007")
		}
		// The full run finds what is gone.
		cfg.Mode = importer.Full
		if k := only(t, run(t, cfg), driver.KindResource); k.Counts.Deleted != 1 {
			t.Errorf("got %+v", k)
		}
	})
}

func TestIncrementalThatFailsMovesNoWatermark(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(50, 0, 0)
		d := &asked{Driver: &importertest.Driver{Account: a, PageSize: 10}}
		s := importer.NewMemory()
		cfg := config(d, s)
		cfg.Mode, cfg.Kinds = importer.Incremental, []driver.Kind{driver.KindResource}
		run(t, cfg)
		before := checkpoint(t, s, resources).Watermark
		a.Touch(time.Now(), numbered("r", 0, 40)...)
		failAt(d.Driver, 3)
		time.Sleep(time.Hour)
		if _, err := importer.Run(t.Context(), cfg); !errors.Is(err, errPage) {
			t.Fatalf("got %v", err)
		}
		if got := checkpoint(t, s, resources).Watermark; !got.Equal(before) {
			t.Errorf("watermark: got %v, want %v", got, before)
		}
		// A webhook's record in between moves none either.
		r := a.Resource(49)
		r.UpdatedAt = time.Now()
		if _, err := importer.Apply(t.Context(), cfg, time.Now(), &r); err != nil {
			t.Fatal(err)
		}
		if got := checkpoint(t, s, resources).Watermark; !got.Equal(before) {
			t.Errorf("watermark after Apply: got %v, want %v", got, before)
		}
		k := only(t, run(t, cfg), driver.KindResource)
		if !k.Resumed || k.Pass.Updated != 40 || !k.Watermark.After(before) || !d.since[2].Equal(d.since[1]) {
			t.Errorf("got %+v, asked since %v", k, d.since)
		}
	})
}

func TestUndated(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(20, 0, 0)
		a.Undated = true
		d := &asked{Driver: &importertest.Driver{Account: a}}
		s := importer.NewMemory()
		cfg := config(d, s)
		cfg.Mode, cfg.Kinds = importer.Incremental, []driver.Kind{driver.KindResource}
		time.Sleep(time.Hour)
		began := time.Now()
		res, err := importer.Run(t.Context(), cfg)
		if err != nil || !res.Kinds[0].Watermark.Equal(began) {
			t.Errorf("got %v, %+v, want the pass's beginning", err, res.Kinds)
		}
		a.Touch(time.Now(), "r0000003")
		if k := only(t, run(t, cfg), driver.KindResource); k.Counts.Updated != 1 || !d.since[1].Equal(began.Add(-10*time.Minute)) {
			t.Errorf("got %+v, asked since %v", k, d.since)
		}
		if got := get(t, s, resources, "r0000003"); !got.UpdatedAt.IsZero() || got.Version != 2 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestPartnerThatCannotFilter(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(20, 0, 0)
		d := &asked{Driver: &importertest.Driver{Account: a, NoFilter: true}}
		cfg := config(d, importer.NewMemory())
		cfg.Mode, cfg.Kinds = importer.Incremental, []driver.Kind{driver.KindResource}
		run(t, cfg)
		a.Delete("r0000003")
		if k := only(t, run(t, cfg), driver.KindResource); !k.Whole || k.Counts.Deleted != 1 || !d.since[1].IsZero() {
			t.Errorf("an incremental run lists everything, and finds what is gone: got %+v", k)
		}
	})
}

func TestCursorRefused(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(50, 0, 0)
		d := &importertest.Driver{Account: a, PageSize: 10}
		s := importer.NewMemory()
		cfg := config(d, s)
		cfg.Kinds = []driver.Kind{driver.KindResource}
		failAt(d, 3)
		if _, err := importer.Run(t.Context(), cfg); !errors.Is(err, errPage) {
			t.Fatalf("got %v", err)
		}
		d.Before, d.Epoch = nil, 1 // a new version of the driver
		a.Delete("r0000001")
		k := only(t, run(t, cfg), driver.KindResource)
		if !k.Restarted || !k.Resumed || !k.Complete || k.Counts.Added != 30-1+1 || k.Pass.Items != 49 || live(t, s, resources) != 49 {
			t.Errorf("got %+v, %d live", k, live(t, s, resources))
		}
		// Refused again and again: an error, and the next run begins anew.
		refused := 0
		cfg.Driver = custom{func(q driver.Query) pagination.Pages[driver.Resource] {
			if !q.Cursor.IsZero() {
				refused++
				return pagination.Fail[driver.Resource]("", pagination.ErrCursor)
			}
			return func(yield func(pagination.Page[driver.Resource], error) bool) {
				_ = yield(pagination.Page[driver.Resource]{Next: "token", Total: -1}, nil) &&
					yield(pagination.Page[driver.Resource]{Next: pagination.Beginning}, pagination.ErrCursor)
			}
		}}
		time.Sleep(time.Hour)
		if _, err := importer.Run(t.Context(), cfg); !errors.Is(err, pagination.ErrCursor) || refused != 0 {
			t.Errorf("got %v after %d", err, refused)
		}
		if cp := checkpoint(t, s, resources); cp.Full != nil {
			t.Errorf("a pass that cannot go on is kept: %+v", cp.Full)
		}
	})
}

// TestLoopBeginsAnew: a stream that went in a circle leads nowhere from where it is, and the next run must not be
// stuck there.
func TestLoopBeginsAnew(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		next := map[string]string{"": "a", "a": "b", "b": "a"}
		s := importer.NewMemory()
		cfg := config(custom{func(q driver.Query) pagination.Pages[driver.Resource] {
			return pagination.Token(t.Context(), pagination.From("loop", q.Cursor), func(_ context.Context, token string) (pagination.Batch[driver.Resource], error) {
				return pagination.Batch[driver.Resource]{Items: []driver.Resource{{Record: driver.Record{ID: "r" + token}}}, Next: next[token]}, nil
			})
		}}, s)
		if _, err := importer.Run(t.Context(), cfg); !errors.Is(err, pagination.ErrLoop) {
			t.Fatalf("got %v, want ErrLoop", err)
		}
		next["b"] = "" // the partner has mended it
		if k := only(t, run(t, cfg), driver.KindResource); !k.Complete || k.Resumed || k.Counts.Items != 3 {
			t.Errorf("got %+v", k)
		}
	})
}

// TestRestartTakesNothingOver: a run whose cursor is refused after another run has taken its pass over stops, and does not
// begin anew under it.
func TestRestartTakesNothingOver(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := importer.NewMemory()
		d := &importertest.Driver{Account: account(30, 0, 0), PageSize: 10}
		cfg := config(d, s)
		cfg.Kinds = []driver.Kind{driver.KindResource}
		failAt(d, 2)
		if _, err := importer.Run(t.Context(), cfg); !errors.Is(err, errPage) {
			t.Fatalf("got %v", err)
		}
		d.Before = nil
		cfg.Driver = custom{func(q driver.Query) pagination.Pages[driver.Resource] {
			other := config(d, s)
			other.Kinds = cfg.Kinds
			run(t, other)
			return pagination.Fail[driver.Resource]("", pagination.ErrCursor)
		}}
		if _, err := importer.Run(t.Context(), cfg); !errors.Is(err, importer.ErrSuperseded) {
			t.Errorf("got %v, want ErrSuperseded", err)
		}
		if cp := checkpoint(t, s, resources); cp.Full != nil || cp.Generation != 1 {
			t.Errorf("got %+v", cp)
		}
	})
}

// TestPagesFromTheFuture: a stream that says it was asked for at a time to come does not freeze what it brings.
func TestPagesFromTheFuture(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := importer.NewMemory()
		page := pagination.Page[driver.Resource]{
			Items: []driver.Resource{{Record: driver.Record{ID: "r"}, Name: driver.Some("first")}}, Sent: time.Now().AddDate(1, 0, 0),
		}
		cfg := config(custom{func(driver.Query) pagination.Pages[driver.Resource] {
			return func(yield func(pagination.Page[driver.Resource], error) bool) { yield(page, nil) }
		}}, s)
		run(t, cfg)
		page.Items, page.Sent = []driver.Resource{{Record: driver.Record{ID: "r"}, Name: driver.Some("second")}}, time.Time{}
		if k := only(t, run(t, cfg), driver.KindResource); k.Counts.Updated != 1 {
			t.Errorf("got %+v", k)
		}
		page.Items = nil
		cfg.MaxDeleteFraction = 1
		if k := only(t, run(t, cfg), driver.KindResource); k.Counts.Deleted != 1 {
			t.Errorf("got %+v", k)
		}
	})
}
