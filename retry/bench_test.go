package retry_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/integrationkit/integrationkit/retry"
)

// One good call: nothing around the transport, go-retryablehttp alone, our policy around the same.
func BenchmarkGoodCall(b *testing.B) {
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}
	bare := roundTripper(func(*http.Request) (*http.Response, error) { return resp, nil })
	rc := retryablehttp.NewClient()
	rc.Logger, rc.HTTPClient = nil, &http.Client{Transport: bare}
	budget, err := retry.NewBudget(retry.BudgetConfig{})
	if err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		name string
		rt   http.RoundTripper
	}{
		{"bare", bare},
		{"retryablehttp", &retryablehttp.RoundTripper{Client: rc}},
		{"policy", retry.Policy{Budget: budget}.Wrap(bare)},
		{"timeout", retry.AttemptTimeout(time.Minute).Wrap(bare)},
		{"policy+timeout", retry.Policy{Budget: budget}.Wrap(retry.AttemptTimeout(time.Minute).Wrap(bare))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			req := newRequest(b, b.Context(), "GET", "")
			req.Header = http.Header{"Accept": {"application/json"}, "User-Agent": {"acme"}, "Authorization": {"Bearer token"}}
			b.ReportAllocs()
			for b.Loop() {
				if resp, err := bb.rt.RoundTrip(req); err != nil {
					b.Fatal(resp, err)
				}
			}
		})
	}
	b.Run("policy, attempt given", func(b *testing.B) {
		rt := retry.Policy{Budget: budget}.Wrap(bare)
		b.ReportAllocs()
		for b.Loop() {
			ctx, _ := retry.WithAttempt(b.Context())
			req := newRequest(b, ctx, "GET", "")
			if resp, err := rt.RoundTrip(req); err != nil {
				b.Fatal(resp, err)
			}
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	resp := reply(429, "Retry-After", "3")
	req := newRequest(b, b.Context(), "GET", "")
	b.ReportAllocs()
	for b.Loop() {
		if v := retry.Judge(req, resp, nil); v.Class != retry.RateLimit {
			b.Fatal(v)
		}
	}
}
