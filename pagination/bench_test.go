package pagination_test

import (
	"context"
	"testing"

	"github.com/integrationkit/integrationkit/pagination"
)

// BenchmarkToken is what a page costs beside its fetch: guards and cursor.
func BenchmarkToken(b *testing.B) {
	b.ReportAllocs()
	const next = "opaque-token"
	fetch := func(_ context.Context, token string) (pagination.Batch[int], error) {
		return pagination.Batch[int]{Next: next, Fingerprint: token}, nil
	}
	for b.Loop() {
		for _, err := range pagination.Token(b.Context(), pagination.Start{Stream: "acme/orders/1", MaxPages: 2},
			fetch) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
