package partnersim_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// What one request costs: a simulated partner must not be what is measured. Wide tiers, so that none is refused.
func BenchmarkTransport(b *testing.B) {
	tiers := ratelimit.Tiers{{Requests: 1 << 14, Per: time.Millisecond}, {Requests: 1 << 16,
		Per: 10 * time.Millisecond}, {Concurrent: 15}}
	for _, bb := range []struct {
		name string
		c    partnersim.Config
	}{
		{"bare", partnersim.Config{}},
		{"tiers", partnersim.Config{Tiers: tiers}},
		{"tiers+faults", partnersim.Config{Tiers: tiers, Faults: []partnersim.Rule{{Kind: "500", Rate: 1e-9},
			{Kind: "429", Rate: 1e-9}}}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s := newServer(b, bb.c)
			rt := s.Transport()
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "https://partner.example/things", nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				resp, err := rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			if r := s.Report(); r.Violations > 0 {
				b.Fatalf("%d violations", r.Violations)
			}
		})
	}
}
