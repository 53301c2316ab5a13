package importer_test

import (
	"context"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

// BenchmarkRun imports 1,000 resources in pages of 100 over Memory: all new, none changed, all changed.
func BenchmarkRun(b *testing.B) {
	const n = 1000
	for _, tt := range []struct {
		name    string
		prepare func(a *importertest.Account, round int) bool // whether the store is to be a new one
	}{
		{"added", func(*importertest.Account, int) bool { return true }},
		{"unchanged", func(*importertest.Account, int) bool { return false }},
		{"updated", func(a *importertest.Account, round int) bool {
			a.Updated = time.Unix(1_700_000_000+int64(round), 0).UTC()
			a.Touch(a.Updated, numbered("r", 0, n)...)
			return false
		}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			a := account(n, 0, 0)
			cfg := config(&importertest.Driver{Account: a}, importer.NewMemory())
			cfg.Kinds = []driver.Kind{driver.KindResource}
			if _, err := importer.Run(b.Context(), cfg); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for round := 0; b.Loop(); round++ {
				if tt.prepare(a, round) {
					cfg.Store = importer.NewMemory()
				}
				res, err := importer.Run(b.Context(), cfg)
				if err != nil || res.Counts().Items != n {
					b.Fatal(err, res.Counts())
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkRunWhilePartnerAnswers imports 1,000 new resources in pages of 100, each of which the partner takes 3 ms for.
func BenchmarkRunWhilePartnerAnswers(b *testing.B) {
	d := &importertest.Driver{Account: account(1000, 0, 0)}
	d.Before = func(context.Context, string, string) error { time.Sleep(3 * time.Millisecond); return nil }
	for b.Loop() {
		cfg := config(d, importer.NewMemory())
		cfg.Kinds = []driver.Kind{driver.KindResource}
		if _, err := importer.Run(b.Context(), cfg); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkDriver is the part of BenchmarkRun that the generated partner takes.
func BenchmarkDriver(b *testing.B) {
	d := &importertest.Driver{Account: account(1000, 0, 0)}
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range d.Resources(b.Context(), driver.Query{}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
