package sqlstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

var (
	resources = importer.Collection{Integration: "acct-1", Kind: driver.KindResource}
	noon      = time.Date(2026, 11, 25, 12, 0, 0, 1, time.UTC)
)

// page makes n records of about 1.5 kB with raw items of about 3 kB, numbered from first.
func page(first, n int) []importer.Stored {
	text := bytes.Repeat([]byte("lorem ipsum "), 120)
	out := make([]importer.Stored, n)
	for i := range out {
		id := fmt.Sprintf("res-%08d", first+i)
		out[i] = importer.Stored{
			Collection: resources, ID: id, Hash: "0123456789abcdef0123456789abcdef", RawHash: "0123456789abcdef0123456789abcdef",
			Document: fmt.Appendf(nil, `{"id":%q,"text":%q}`, id, text), Raw: fmt.Appendf(nil, `{"_id":%q,"a":%q,"b":%q}`, id, text, text),
			Version: 1, Generation: 1, Stamp: importer.NewStamp(noon, noon), UpdatedAt: noon, FirstFetched: noon, LastFetched: noon,
			ChangedAt: noon, AdapterVersion: "v1",
		}
	}
	return out
}

func benchUpdate(b *testing.B, s *sqlstore.Store, f func(ctx context.Context, tx importer.Tx) error) {
	b.Helper()
	if err := s.Update(b.Context(), f); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPutRecords commits a page of 100 new records.
func BenchmarkPutRecords(b *testing.B) {
	s := fresh(b)
	records, n := page(0, 100), 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range records {
			records[i].ID = fmt.Sprintf("res-%08d", n*100+i)
		}
		n++
		benchUpdate(b, s, func(ctx context.Context, tx importer.Tx) error { return tx.PutRecords(ctx, records) })
	}
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkUnchangedPage does what an import does with a page of 100 records that are as they were, of 20,000.
func BenchmarkUnchangedPage(b *testing.B) {
	s := fresh(b)
	for i := range 20 {
		benchUpdate(b, s, func(ctx context.Context, tx importer.Tx) error { return tx.PutRecords(ctx, page(i*1000, 1000)) })
	}
	ids := make([]string, 100)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range ids {
			ids[i] = fmt.Sprintf("res-%08d", (n*100+i)%20000)
		}
		n++
		benchUpdate(b, s, func(ctx context.Context, tx importer.Tx) error {
			cp, err := tx.Checkpoint(ctx, resources)
			if err != nil {
				return err
			}
			records, err := tx.Records(ctx, resources, ids)
			if err != nil {
				return err
			}
			for i := range records {
				records[i].Generation++
				records[i].LastFetched = records[i].LastFetched.Add(1)
			}
			if err := tx.TouchRecords(ctx, records); err != nil {
				return err
			}
			if err := tx.DeleteRejections(ctx, resources, ids); err != nil {
				return err
			}
			return tx.PutCheckpoint(ctx, cp)
		})
	}
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkImport imports 2,000 resources, 6,000 transactions and 10,000 media from a partner that costs nothing:
// "new" into an empty database, "unchanged" once more.
func BenchmarkImport(b *testing.B) {
	run := func(s *sqlstore.Store) {
		d := &importertest.Driver{Account: &importertest.Account{Resources: 2000, Transactions: 6000, MediaPer: 5}}
		res, err := importer.Run(b.Context(), importer.Config{Driver: d, Integration: importertest.Integration("acct-1"), Store: s})
		if ok, why := res.Complete(); err != nil || !ok || res.Counts().Items != 18000 {
			b.Fatal(res.Counts(), why, err)
		}
	}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			run(fresh(b))
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		s := fresh(b)
		run(s)
		for b.Loop() {
			run(s)
		}
	})
}

func BenchmarkRecords(b *testing.B) {
	s := fresh(b)
	benchUpdate(b, s, func(ctx context.Context, tx importer.Tx) error { return tx.PutRecords(ctx, page(0, 1000)) })
	ids := make([]string, 100)
	for i := range ids {
		ids[i] = fmt.Sprintf("res-%08d", i*7)
	}
	b.ReportAllocs()
	for b.Loop() {
		if got, err := s.Records(b.Context(), resources, ids); err != nil || len(got) != 100 {
			b.Fatal(len(got), err)
		}
	}
}

func BenchmarkLoadToken(b *testing.B) {
	s := fresh(b)
	if _, err := s.SaveToken(b.Context(), "guesty/acct-1", auth.Record{Token: auth.Token{Access: "a", Refresh: "r", Expiry: noon}, Generation: 1}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.LoadToken(b.Context(), "guesty/acct-1"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSaveLimit(b *testing.B) {
	s := fresh(b)
	state, err := json.Marshal(make([]int, 100))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.SaveLimit(b.Context(), "guesty/acct-1", state); err != nil {
			b.Fatal(err)
		}
	}
}
