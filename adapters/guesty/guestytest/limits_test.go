package guestytest_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// The kit's limiter at the partner's real limits, in real time (of a bubble) and scaled, with latency and jitter: no
// request too many, and the binding tier used as far as the latency allows.
func TestPromise3_LimiterAgainstTheSimulatedPartner(t *testing.T) {
	for _, scale := range []float64{1, 60} {
		t.Run(fmt.Sprint("scale ", scale), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const latency, jitter = 120 * time.Millisecond, 60 * time.Millisecond
				s, c := newServer(t, guestytest.Config{Listings: 1500, PhotosPerListing: 2, Scale: scale,
					Latency: latency, Jitter: jitter, Seed: 7})
				lim, err := ratelimit.New(s.Limits(), ratelimit.Options{Dialect: ratelimit.PerWindowHeaders})
				if err != nil {
					t.Fatal(err)
				}
				defer lim.Close(t.Context())
				c.login()
				ids := slices.Collect(s.ListingIDs())
				work := make(chan string)
				var wg sync.WaitGroup
				for range 40 {
					wg.Go(func() {
						for id := range work {
							req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
								c.base+"/v1/properties-api/property-photos/property-photos/"+id, nil)
							if err != nil {
								t.Error(err)
								return
							}
							req.Header.Set("Authorization", "Bearer "+c.token)
							permit, err := lim.Acquire(t.Context(), ratelimit.Call{})
							if err != nil {
								t.Error(err)
								return
							}
							resp, err := c.rt.RoundTrip(req)
							if err != nil {
								t.Error(err)
								return
							}
							permit.Answered(resp.StatusCode, resp.Header)
							if _, err := io.Copy(io.Discard, resp.Body); err != nil ||
								resp.StatusCode != http.StatusOK {
								t.Errorf("status %d, %v", resp.StatusCode, err)
							}
							resp.Body.Close()
							permit.Release()
						}
					})
				}
				for _, id := range ids {
					work <- id
				}
				close(work)
				wg.Wait()
				r := s.Report()
				if r.Violations != 0 || r.Throttled != 0 || r.Requests != len(ids)+1 {
					t.Errorf("report: %+v", r)
				}
				minute, ok := r.Tier("api", 120)
				if !ok {
					t.Fatal("no such tier")
				}
				lost := (latency + jitter).Seconds()
				if want := 0.97 * 60 / (60 + lost); minute.Share < want {
					t.Errorf("use of the binding tier is %.4f, want at least %.4f", minute.Share, want)
				}
				t.Logf("%d calls in %v: minute tier used to %.4f, worst window %d of 120; in flight at most %d",
					r.Requests, r.Elapsed.Round(time.Millisecond), minute.Share, minute.Worst, r.Tiers[3].Worst)
			})
		})
	}
}
