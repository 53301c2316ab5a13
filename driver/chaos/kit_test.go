package chaos_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/chaos"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// Behind every fault that passes, the kit's client reads everything, and its calls stay within the partner's limits.
// A write whose answer was lost is not sent twice.
func TestClientUnderChaos(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tiers := ratelimit.Tiers{{Requests: 20, Per: time.Second}, {Concurrent: 5}}
		var mu sync.Mutex
		orders := map[string]int{}
		s, err := partnersim.New(partnersim.Config{Name: "acme", Tiers: tiers, Latency: 50 * time.Millisecond,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					mu.Lock()
					defer mu.Unlock()
					orders[r.URL.Path]++
				}
				fmt.Fprintf(w, `{"path":%q}`, r.URL.Path)
			})})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		rules, err := chaos.Parse("429:10%;retry=3s,429:5%;retry=date:4s,429:5%;retry=garbage,503:5%,reset:5%,refused:5%,lost:10%,cut:5%,slow:5%," +
			"skew:20%;by=-1h,latency:50%;delay=100ms;jitter=1s,timeout:2%")
		if err != nil {
			t.Fatal(err)
		}
		in, err := chaos.New(chaos.Config{Rules: rules, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		lim, err := ratelimit.New(tiers, ratelimit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := driver.NewClient(driver.ClientConfig{
			Partner: "acme", BaseURL: "https://api.acme.example", Limiter: lim, LimitKey: "a",
			Transport: in.Wrap(s.Transport()),
			Retry:     retry.Policy{MaxAttempts: 12}, AttemptTimeout: 30 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		type answer struct{ Path string }
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 25 {
					path := fmt.Sprintf("/items/%d-%d", g, i)
					if got, err := driver.Get[answer](t.Context(), c, "items", path, nil); err != nil ||
						got.Path != path {
						t.Errorf("%s: %v, %v", path, got, err)
					}
					if _, err := driver.Post[answer](t.Context(), c, "orders", path, nil); err != nil &&
						retry.ClassOf(err) == retry.Canceled {
						t.Errorf("%s: %v", path, err)
					}
				}
			})
		}
		wg.Wait()
		for path, n := range orders {
			if n > 1 {
				t.Errorf("%s was ordered %d times", path, n)
			}
		}
		if rep := s.Report(); rep.Violations > 0 {
			t.Errorf("%d violations", rep.Violations)
		}
		rep := in.Report()
		for i, n := range rep.ByRule {
			if n == 0 {
				t.Errorf("the rule %s struck nothing: %v", rules[i], rep)
			}
		}
	})
}
