package auth_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

func warm(tb testing.TB) *auth.Source {
	is := newIssuer()
	is.slow, is.lifetime = 0, 24*time.Hour
	s := newSource(tb, auth.SourceConfig{Exchanger: is})
	wantToken(tb, s, "token-1")
	return s
}

func BenchmarkCachedToken(b *testing.B) {
	s := warm(b)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Token(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func TestCachedTokenDoesNotAllocate(t *testing.T) {
	s := warm(t)
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		if _, _, err := s.Token(ctx); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// good answers all requests with the same answer.
type good struct{ resp *http.Response }

func (g good) RoundTrip(*http.Request) (*http.Response, error) { return g.resp, nil }

func goodRequest(tb testing.TB) *http.Request {
	ctx, _ := retry.WithAttempt(tb.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, apiURL, nil)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header = http.Header{"Accept": {"application/json"}, "User-Agent": {"bench"}}
	return req
}

func wraps(tb testing.TB) map[string]http.RoundTripper {
	next := good{&http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}}
	key, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "Authorization", Prefix: "Bearer ", Key: "token-1", Origins: apiOrigins})
	if err != nil {
		tb.Fatal(err)
	}
	return map[string]http.RoundTripper{
		"source": warm(tb).Wrap(next),
		"key":    key.Wrap(next),
		"oauth2": &oauth2.Transport{Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "token-1"}), Base: next},
		"oauth2-reuse": &oauth2.Transport{
			Source: oauth2.ReuseTokenSource(&oauth2.Token{AccessToken: "token-1", Expiry: time.Now().Add(24 * time.Hour)}, nil), Base: next,
		},
	}
}

func BenchmarkWrap(b *testing.B) {
	for name, rt := range wraps(b) {
		b.Run(name, func(b *testing.B) {
			req := goodRequest(b)
			b.ReportAllocs()
			for b.Loop() {
				resp, err := rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				resp.Body.Close()
			}
		})
	}
}

func TestWrapAllocatesNoMoreThanOAuth2(t *testing.T) {
	allocs := map[string]float64{}
	for name, rt := range wraps(t) {
		req := goodRequest(t)
		allocs[name] = testing.AllocsPerRun(1000, func() {
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		})
	}
	if allocs["source"] > allocs["oauth2"] || allocs["key"] > allocs["oauth2"] {
		t.Errorf("allocations: %v, want no more than oauth2's", allocs)
	}
}
