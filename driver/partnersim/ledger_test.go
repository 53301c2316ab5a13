package partnersim_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// ok answers every request with a small body.
var ok = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"name":"value"}`)
})

func newServer(t testing.TB, c partnersim.Config) *partnersim.Server {
	t.Helper()
	if c.Handler == nil {
		c.Handler = ok
	}
	s, err := partnersim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// get sends a GET through the in-memory transport and reads the answer.
func get(ctx context.Context, s *partnersim.Server, path string) (status int, h http.Header, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://partner.example"+path, nil)
	if err != nil {
		return 0, nil, "", err
	}
	resp, err := s.Transport().RoundTrip(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), err
}

// The ledger against the definition: for random arrivals, a request is refused exactly if some tier's window that
// ends with it holds its limit of requests that were not refused.
func TestLedgerAgainstBruteForce(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			var tiers ratelimit.Tiers
			for range 1 + rng.IntN(3) {
				tiers = append(tiers, ratelimit.Tier{Requests: 1 + rng.Int64N(8),
					Per: time.Duration(1+rng.IntN(40)) * 100 * time.Millisecond})
			}
			s := newServer(t, partnersim.Config{Tiers: tiers})
			var taken, all []time.Time
			worst := make([]int64, len(tiers))
			refused := 0
			for range 300 {
				time.Sleep(time.Duration(rng.IntN(8)) * 50 * time.Millisecond)
				now := time.Now()
				full := false
				all = append(all, now)
				for i, tier := range tiers {
					var held, arrived int64
					for _, at := range taken {
						if now.Sub(at) < tier.Per {
							held++
						}
					}
					for _, at := range all {
						if now.Sub(at) < tier.Per {
							arrived++
						}
					}
					full = full || held >= tier.Requests
					worst[i] = max(worst[i], arrived)
				}
				status, _, _, err := get(t.Context(), s, "/")
				if err != nil {
					t.Fatal(err)
				}
				if got := status == http.StatusTooManyRequests; got != full {
					t.Fatalf("seed %d, tiers %v: refused %v, want %v", seed, tiers, got, full)
				}
				if full {
					refused++
				} else {
					taken = append(taken, now)
				}
			}
			r := s.Report()
			if r.Violations != refused || r.Throttled != refused || r.Requests != 300 {
				t.Errorf("seed %d: report has %d violations, %d throttled, %d requests; want %d, %d, 300", seed,
					r.Violations, r.Throttled, r.Requests, refused, refused)
			}
			for i, tr := range r.Tiers {
				if tr.Worst != worst[i] || tr.Counted != int64(len(taken)) {
					t.Errorf("seed %d, tier %v: worst %d, counted %d; want %d, %d", seed, tr.Tier, tr.Worst,
						tr.Counted, worst[i], len(taken))
				}
				if tr.Share < 0 || tr.Share > 1+1e-9 {
					t.Errorf("seed %d, tier %v: share %v", seed, tr.Tier, tr.Share)
				}
			}
		})
	}
}

// The share is the mean occupancy of the window over the steady part, computed here by sampling.
func TestShareAgainstSampling(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			const step = 10 * time.Millisecond
			per := time.Duration(20+rng.IntN(80)) * step
			s := newServer(t, partnersim.Config{Tiers: ratelimit.Tiers{{Requests: 1000, Per: per}}})
			var at []time.Time
			for range 20 + rng.IntN(100) {
				at = append(at, time.Now())
				if _, _, _, err := get(t.Context(), s, "/"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Duration(rng.IntN(8)) * step)
			}
			first, last := at[0], at[len(at)-1]
			if last.Sub(first) <= per {
				t.Skip("the run is shorter than the window")
			}
			var sum, n float64
			for now := first.Add(per); now.Before(last); now = now.Add(step) {
				for _, a := range at {
					if !a.After(now) && now.Sub(a) < per {
						sum++
					}
				}
				n++
			}
			want := sum / n / 1000
			if got := s.Report().Tiers[0].Share; got < want-1e-9 || got > want+1e-9 {
				t.Errorf("seed %d: share %v, want %v", seed, got, want)
			}
		})
	}
}

func TestBurstsThatWaitOutTheLatencyUseWhatCanBeUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, partnersim.Config{Tiers: ratelimit.Tiers{{Requests: 10, Per: time.Second}}})
		for range 50 { // a burst each 1.25 s
			for range 10 {
				if _, _, _, err := get(t.Context(), s, "/"); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(1250 * time.Millisecond)
		}
		r := s.Report()
		if got := r.Tiers[0].Share; got < 0.795 || got > 0.805 || r.Violations != 0 {
			t.Errorf("share %v, %d violations; want 0.8, 0", got, r.Violations)
		}
	})
}

func TestRetryAfterIsWhenThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, partnersim.Config{Tiers: ratelimit.Tiers{{Requests: 2, Per: time.Minute}}, Scale: 60})
		for range 2 {
			get(t.Context(), s, "/")
			time.Sleep(100 * time.Millisecond)
		}
		status, h, _, _ := get(t.Context(), s, "/")
		if got := h.Get("Retry-After"); status != 429 || got != "0.8" {
			t.Fatalf("status %d, Retry-After %q; want 429, 0.8", status, got)
		}
		time.Sleep(800 * time.Millisecond)
		if status, _, _, _ := get(t.Context(), s, "/"); status != 200 {
			t.Errorf("after Retry-After: status %d", status)
		}
		v := s.Report().Ledger
		if len(v) != 1 || v[0].Quota != "api" || v[0].Endpoint != "GET /" || v[0].Tier.Per != time.Second {
			t.Errorf("ledger: %+v", v)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, partnersim.Config{Tiers: ratelimit.Tiers{{Requests: 1, Per: 90 * time.Second}}})
		get(t.Context(), s, "/")
		time.Sleep(500 * time.Millisecond)
		if _, h, _, _ := get(t.Context(), s, "/"); h.Get("Retry-After") != "90" {
			t.Errorf("Retry-After %q, want whole seconds, 90", h.Get("Retry-After"))
		}
	})
}

func TestFixedTierCountsInAlignedWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, partnersim.Config{Tiers: ratelimit.Tiers{{Kind: ratelimit.Fixed, Requests: 2,
			Per: time.Second}}})
		var got []int
		for _, pause := range []int{900, 50, 10, 40, 10} { // at 0.9, 0.95, 0.96 | 1.0, 1.01
			time.Sleep(time.Duration(pause) * time.Millisecond)
			status, _, _, _ := get(t.Context(), s, "/")
			got = append(got, status)
		}
		if want := fmt.Sprint([]int{200, 200, 429, 200, 200}); fmt.Sprint(got) != want {
			t.Errorf("got %v, want %v", got, want)
		}
		r := s.Report().Tiers[0]
		if r.Worst != 3 || r.Share != 1 || r.Counted != 4 {
			t.Errorf("report: %+v", r)
		}
	})
}

func TestInFlightIsCountedFromArrivalToAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Second) })
		s := newServer(t, partnersim.Config{Handler: slow, Tiers: ratelimit.Tiers{{Concurrent: 3}},
			Latency: 2 * time.Second})
		var mu sync.Mutex
		statuses := map[int]int{}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				status, _, _, err := get(t.Context(), s, "/")
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if statuses[200] != 3 || statuses[429] != 2 {
			t.Errorf("statuses: %v", statuses)
		}
		if got := s.Report().Tiers[0]; got.Worst != 4 || got.Counted != 3 {
			t.Errorf("report: %+v", got)
		}
		// One after the other none is refused, though each answer is still on its way for half a second.
		for range 4 {
			if status, _, _, _ := get(t.Context(), s, "/"); status != 200 {
				t.Errorf("status %d", status)
			}
		}
	})
}

func TestQuotasByKeyAndOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, partnersim.Config{
			Tiers: ratelimit.Tiers{{Requests: 3, Per: time.Minute}},
			Key:   func(r *http.Request) string { return r.URL.Query().Get("property") },
			Free:  func(r *http.Request) bool { return r.URL.Path == "/ping" },
			Quotas: []partnersim.Quota{{
				Name: "photos", Tiers: ratelimit.Tiers{{Requests: 1, Per: time.Minute}},
				Match: func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/photos") },
			}},
		})
		var got []int
		for _, path := range []string{"/a?property=1", "/photos?property=1", "/photos?property=1", "/a?property=1",
			"/a?property=1", "/a?property=2", "/ping", "/ping"} {
			status, _, _, _ := get(t.Context(), s, path)
			got = append(got, status)
		}
		if want := fmt.Sprint([]int{200, 200, 429, 200, 429, 200, 200, 200}); fmt.Sprint(got) != want {
			t.Errorf("got %v, want %v", got, want)
		}
		r := s.Report()
		if tr, ok := r.Tier("photos", 1); !ok || tr.Worst != 2 || tr.Counted != 1 {
			t.Errorf("photos: %+v, %v", tr, ok)
		}
		if _, ok := r.Tier("photos", 2); ok {
			t.Error("there is no such tier")
		}
	})
}
