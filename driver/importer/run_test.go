package importer_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

func TestFull(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(250, 120, 3)
		d := &importertest.Driver{Account: a, Total: true}
		s := importer.NewMemory()
		cfg := config(d, s)
		cfg.Calls = d.Calls
		res := run(t, cfg)
		if ok, why := res.Complete(); !ok || res.Calls != 3+2+250 || res.PeakHeap == 0 || res.Run == "" || res.Integration != "in-1" {
			t.Errorf("got %+v, incomplete: %s", res, why)
		}
		for _, want := range []importer.KindResult{
			{Kind: driver.KindResource, Counts: importer.Counts{Pages: 3, Items: 250, Added: 250}},
			{Kind: driver.KindTransaction, Counts: importer.Counts{Pages: 2, Items: 120, Added: 120}},
			{Kind: driver.KindMedia, Counts: importer.Counts{Pages: 250, Items: 750, Added: 750}},
		} {
			got := only(t, res, want.Kind)
			if got.Counts != want.Counts || got.Pass != want.Counts || !got.Whole || got.Resumed || got.Restarted || got.Kept != "" || got.Failed != 0 {
				t.Errorf("%s: got %+v", want.Kind, got)
			}
		}
		stored := get(t, s, resources, "r0000007")
		r, err := importer.Decode[driver.Resource](stored)
		if err != nil {
			t.Fatal(err)
		}
		want := a.Resource(7)
		if want.Raw, err = s.Raw(t.Context(), resources, "r0000007"); err != nil || string(want.Raw) != `{"_id":"r0000007","v":0}` {
			t.Errorf("Raw: got %s, %v", want.Raw, err)
		}
		if want.Raw = nil; !reflect.DeepEqual(r, want) {
			t.Errorf("got  %#v\nwant %#v", r, want)
		}
		if stored.Version != 1 || stored.Generation != 1 || !stored.UpdatedAt.Equal(a.Updated) || stored.AdapterVersion != "v1" {
			t.Errorf("got %+v", stored)
		}
		if got := get(t, s, media, "r0000007-m01"); got.Parent != "r0000007" {
			t.Errorf("parent of media: got %q", got.Parent)
		}

		// Again: nothing has changed, and nothing is told.
		before, seqs := dump(t, s), len(events(t, s))
		again := run(t, cfg)
		if c := again.Counts(); c.Unchanged != 1120 || c.Items != 1120 || c.Added+c.Updated+c.Deleted+c.Stale != 0 {
			t.Errorf("second run: got %+v", c)
		}
		if dump(t, s) != before || len(events(t, s)) != seqs {
			t.Error("a run over the same data changed the store")
		}

		a.Touch(time.Now(), "r0000003", "t0000004", "r0000009-m02")
		a.Delete("r0000005", "t0000006", "r0000009-m00")
		third := run(t, cfg)
		if c := third.Counts(); c.Updated != 3 || c.Deleted != 3 || c.Added != 0 {
			t.Errorf("third run: got %+v", c)
		}
		if got := get(t, s, resources, "r0000003"); got.Version != 2 || !strings.Contains(string(got.Document), "v1") {
			t.Errorf("got %+v", got)
		}
		if got := get(t, s, media, "r0000005-m00"); got.DeletedAt.IsZero() {
			t.Error("media of a deleted resource live on")
		}
		a.Touch(time.Now(), "r0000005", "t0000006", "r0000009-m00")
		fourth := run(t, cfg)
		if c := fourth.Counts(); c.Restored != 3+3 || c.Deleted != 0 { // the resource's media with it
			t.Errorf("fourth run: got %+v", c)
		}
	})
}

func events(t *testing.T, s importer.Store) []importer.Event {
	t.Helper()
	got, err := s.Events(t.Context(), "", 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// nothing is a driver that lists nothing.
type nothing struct{}

func (nothing) Info() driver.Info           { return driver.Info{Partner: "nothing"} }
func (nothing) Check(context.Context) error { return nil }

func TestConfig(t *testing.T) {
	d := &importertest.Driver{Account: account(1, 1, 0)}
	for name, tt := range map[string]struct {
		cfg  importer.Config
		want []string
	}{
		"zero": {importer.Config{}, []string{"Driver is nil", "no ID", "Store is nil"}},
		"everything": {
			importer.Config{
				Driver: nothing{}, Mode: 7, MaxDeleteFraction: notANumber(), Parallel: -1, Kinds: []driver.Kind{"x", "x"},
				Integration: driver.Integration{ID: "a\x00", Partner: "other"},
			},
			[]string{"cannot be stored", "Store is nil", "Mode 7", "not a number", "Parallel is negative", `"x" twice`, `does not list "x"`, `"other"`},
		},
		"nothing to list": {importer.Config{Driver: nothing{}, Integration: driver.Integration{ID: "i"}, Store: importer.NewMemory()}, []string{"lists nothing"}},
		"kind": {
			importer.Config{Driver: d, Integration: driver.Integration{ID: "i"}, Store: importer.NewMemory(), Kinds: []driver.Kind{"guest"}},
			[]string{`does not list "guest"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := importer.Run(t.Context(), tt.cfg)
			_, err2 := importer.Estimate(t.Context(), tt.cfg)
			if err == nil || err2 == nil || err.Error() != err2.Error() {
				t.Fatalf("got %v and %v", err, err2)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q named", err, want)
				}
			}
		})
	}
	if got, want := importer.Full.String()+importer.Incremental.String(), "fullincremental"; got != want {
		t.Errorf("got %s", got)
	}
	if d.Calls() != 0 {
		t.Error("a wrong configuration reached the partner")
	}
}

func notANumber() float64 { zero := 0.0; return zero / zero }

func TestKindsAreImportedInOrderUntilOneFails(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		d := &importertest.Driver{Account: account(10, 10, 1)}
		s := importer.NewMemory()
		cfg := config(d, s)
		cfg.Kinds = []driver.Kind{driver.KindTransaction, driver.KindResource, driver.KindMedia}
		down := &retry.Error{Verdict: retry.Verdict{Class: retry.RateLimit, At: time.Now().Add(3 * time.Hour)}}
		d.Before = func(_ context.Context, op, _ string) error {
			if op == "resources" {
				return down
			}
			return nil
		}
		res, err := importer.Run(t.Context(), cfg)
		if !errors.Is(err, down) || !retry.At(err).Equal(down.At) || !strings.Contains(err.Error(), "integration in-1: resource") {
			t.Errorf("got %v", err)
		}
		if len(res.Kinds) != 2 || !res.Kinds[0].Complete || res.Kinds[1].Complete || res.Kinds[1].Why == "" {
			t.Errorf("got %+v", res.Kinds)
		}
		if ok, why := res.Complete(); ok || !strings.Contains(why, "resource: stopped by an error") {
			t.Errorf("got %v, %q", ok, why)
		}
		if live(t, s, transactions) != 10 || live(t, s, resources) != 0 {
			t.Error("what went before the failure is not kept")
		}
	})
}

func TestContextEnds(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		d := &importertest.Driver{Account: account(50, 0, 0), PageSize: 10}
		s := importer.NewMemory()
		cfg := config(d, s)
		why := errors.New("the worker is told to stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		pages := 0
		cfg.OnProgress = func(importer.Progress) {
			if pages++; pages == 2 {
				cancel(why)
			}
		}
		res, err := importer.Run(ctx, cfg)
		if !errors.Is(err, why) || len(res.Kinds) != 1 || res.Kinds[0].Counts.Added != 20 || live(t, s, resources) != 20 {
			t.Errorf("got %v, %+v", err, res)
		}
		cfg.OnProgress = nil
		if res := run(t, cfg); !only(t, res, driver.KindResource).Resumed || res.Kinds[0].Counts.Added != 30 || res.Kinds[0].Pass.Added != 50 {
			t.Errorf("got %+v", res)
		}
		if _, err := importer.Run(ctx, cfg); !errors.Is(err, why) {
			t.Errorf("ended before: got %v", err)
		}
	})
}

func TestProgress(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(95, 42, 2)
		d := &importertest.Driver{Account: a, PageSize: 10, Total: true}
		cfg := config(d, importer.NewMemory())
		cfg.Calls = d.Calls
		run(t, cfg)
		a.Delete("r0000001")
		var seen []importer.Progress
		cfg.OnProgress = func(p importer.Progress) { seen = append(seen, p) }
		res := run(t, cfg)
		var last importer.Progress
		for i, p := range seen {
			if p.Kind != last.Kind {
				last = importer.Progress{Kind: p.Kind, Calls: last.Calls, Total: -1}
			}
			if p.Counts.Items < last.Counts.Items || p.Counts.Pages < last.Counts.Pages || p.Calls < last.Calls || last.Sweeping && !p.Sweeping ||
				p.HeapLive == 0 || last.Total >= 0 && p.Total != last.Total {
				t.Errorf("step %d goes back: %+v after %+v", i, p, last)
			}
			last = p
		}
		if got, want := last.Counts, only(t, res, driver.KindMedia).Counts; got != want || last.Total != 94 || last.Calls != res.Calls {
			t.Errorf("the last: got %+v, want %+v of 94", last, want)
		}
	})
}

func TestEmptyStreamIsNotComplete(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := importer.NewMemory()
		for name, pages := range map[string]pagination.Pages[driver.Resource]{
			"no page": func(func(pagination.Page[driver.Resource], error) bool) {},
			"no last page": func(yield func(pagination.Page[driver.Resource], error) bool) {
				yield(pagination.Page[driver.Resource]{Next: "x"}, nil)
			},
		} {
			res, err := importer.Run(t.Context(), config(custom{list: func(driver.Query) pagination.Pages[driver.Resource] { return pages }}, s))
			if ok, why := res.Complete(); err != nil || ok || !strings.Contains(why, "before its last page") {
				t.Errorf("%s: got %v, %q, %v", name, ok, why, err)
			}
		}
	})
}

// custom lists resources as a function does.
type custom struct {
	list func(q driver.Query) pagination.Pages[driver.Resource]
}

func (custom) Info() driver.Info           { return driver.Info{Partner: importertest.Partner} }
func (custom) Check(context.Context) error { return nil }
func (c custom) Resources(_ context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	return c.list(q)
}

func TestDriverPanics(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		one := pagination.Page[driver.Resource]{Items: []driver.Resource{{Record: driver.Record{ID: "a"}}}, Next: "x", Total: -1}
		for name, list := range map[string]func(driver.Query) pagination.Pages[driver.Resource]{
			"at once": func(driver.Query) pagination.Pages[driver.Resource] { panic("s3cret of Erika") },
			"nil":     func(driver.Query) pagination.Pages[driver.Resource] { return nil },
			"in the stream": func(driver.Query) pagination.Pages[driver.Resource] {
				return func(yield func(pagination.Page[driver.Resource], error) bool) {
					yield(one, nil)
					panic(errors.New("s3cret of Erika"))
				}
			},
			"runtime error": func(driver.Query) pagination.Pages[driver.Resource] {
				return func(func(pagination.Page[driver.Resource], error) bool) { _ = []int{}[len(name(t))] }
			},
		} {
			_, err := importer.Run(t.Context(), config(custom{list}, importer.NewMemory()))
			if retry.ClassOf(err) != retry.Data || !strings.Contains(err.Error(), "panic in the driver") || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: got %v", name, err)
			}
			if _, err := importer.Estimate(t.Context(), config(custom{list}, importer.NewMemory())); name != "in the stream" && retry.ClassOf(err) != retry.Data {
				t.Errorf("Estimate: %s: got %v", name, err)
			}
		}
		// The host's own panics are the host's.
		cfg := config(&importertest.Driver{Account: account(3, 0, 0)}, importer.NewMemory())
		cfg.OnProgress = func(importer.Progress) { panic("host") }
		func() {
			defer func() {
				if p := recover(); p != "host" {
					t.Errorf("recovered %v, want the host's panic", p)
				}
			}()
			_, _ = importer.Run(t.Context(), cfg)
		}()
		cfg.OnProgress = nil
		run(t, cfg) // and the store is not stuck
	})
}

func name(t *testing.T) string { return t.Name() }

func TestSuperseded(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		d := &importertest.Driver{Account: account(60, 0, 0), PageSize: 10}
		s := importer.NewMemory()
		first := config(d, s)
		first.Kinds = []driver.Kind{driver.KindResource}
		var second importer.Result
		first.OnProgress = func(p importer.Progress) {
			if p.Counts.Pages != 2 {
				return
			}
			cfg := config(d, s)
			cfg.Kinds = first.Kinds
			second = run(t, cfg) // another worker, meanwhile
		}
		res, err := importer.Run(t.Context(), first)
		if !errors.Is(err, importer.ErrSuperseded) || res.Kinds[0].Counts.Added != 20 {
			t.Errorf("the first: got %v, %+v", err, res)
		}
		if k := only(t, second, driver.KindResource); !k.Complete || !k.Resumed || k.Counts.Added != 40 || k.Pass.Added != 60 {
			t.Errorf("the second: got %+v", k)
		}
		// The other is not done yet, and stops half-way: the pass is the other's all the same.
		first.OnProgress = func(p importer.Progress) {
			if p.Counts.Pages != 2 {
				return
			}
			other := &importertest.Driver{Account: d.Account, PageSize: 10}
			failAt(other, 2)
			cfg := config(other, s)
			cfg.Kinds = first.Kinds
			if _, err := importer.Run(t.Context(), cfg); !errors.Is(err, errPage) {
				t.Errorf("the other: got %v", err)
			}
		}
		if _, err := importer.Run(t.Context(), first); !errors.Is(err, importer.ErrSuperseded) {
			t.Errorf("got %v, want ErrSuperseded", err)
		}
		first.OnProgress = nil
		if k := only(t, run(t, first), driver.KindResource); !k.Resumed || !k.Complete || k.Pass.Items != 60 {
			t.Errorf("after both: got %+v", k)
		}
		// An incremental run beside a full one takes nothing over.
		d.Account.Touch(time.Now(), "r0000003")
		first.OnProgress = func(p importer.Progress) {
			if p.Counts.Pages == 2 {
				cfg := config(d, s)
				cfg.Kinds, cfg.Mode = first.Kinds, importer.Incremental
				second = run(t, cfg)
			}
		}
		if res := run(t, first); !only(t, res, driver.KindResource).Complete || live(t, s, resources) != 60 {
			t.Errorf("got %+v", res)
		}
	})
}
