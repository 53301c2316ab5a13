package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/oauth2"
	"golang.org/x/time/rate"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/ratelimit"
)

const (
	base = "https://api.example.com"
	many = 1 << 40 // a limit that never binds
)

// BenchmarkPipeline is one good call: three tiers, breaker, credentials, retry, classification, a body read whole.
//
//   - kit: driver.Client with all of it.
//   - byhand: the same from the same libraries: go-retryablehttp, x/oauth2, gobreaker, three x/time/rate limiters, and the inner client's
//     Timeout where the kit has its attempt timeout.
//   - byhand-no-timeout: the same without any timeout.
//   - bare: http.Client with a token and nothing else.
func BenchmarkPipeline(b *testing.B) {
	b.Run("kit", func(b *testing.B) { run(b, kitCall(b)) })
	b.Run("byhand", func(b *testing.B) { run(b, handCall(60*time.Second)) })
	b.Run("byhand-no-timeout", func(b *testing.B) { run(b, handCall(0)) })
	b.Run("bare", func(b *testing.B) { run(b, bareCall()) })
}

func run(b *testing.B, call func(context.Context) (int, error)) {
	b.ReportAllocs()
	ctx := b.Context()
	for b.Loop() {
		n, err := call(ctx)
		if err != nil || n != len(body) {
			b.Fatal(n, err)
		}
	}
}

func kitCall(tb testing.TB) func(context.Context) (int, error) {
	lim, err := ratelimit.New(ratelimit.Tiers{
		{Requests: many, Per: time.Second}, {Requests: many, Per: time.Minute}, {Requests: many, Per: time.Hour},
	}, ratelimit.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	cb, err := breaker.New(breaker.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	key, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "Authorization", Prefix: "Bearer ", Key: "token", Origins: []string{base}})
	if err != nil {
		tb.Fatal(err)
	}
	c, err := driver.NewClient(driver.ClientConfig{
		Partner: "acme", Integration: "one", BaseURL: base + "/v1", Credential: key, Limiter: lim, LimitKey: "one", Breaker: cb, Transport: newPartner(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	query := url.Values{"limit": {"25"}, "skip": {"0"}}
	return func(ctx context.Context) (int, error) {
		resp, err := c.Do(ctx, driver.Call{Op: "listings.list", Path: "/listings", Query: query})
		if err != nil {
			return 0, err
		}
		return len(resp.Body), nil
	}
}

type limited struct {
	tiers [3]*rate.Limiter
	next  http.RoundTripper
}

func (l *limited) RoundTrip(req *http.Request) (*http.Response, error) {
	for _, t := range l.tiers {
		if err := t.Wait(req.Context()); err != nil {
			if req.Body != nil {
				req.Body.Close()
			}
			return nil, err
		}
	}
	return l.next.RoundTrip(req)
}

type broken struct {
	cb   *gobreaker.CircuitBreaker[*http.Response]
	next http.RoundTripper
}

var errFault = errors.New("partner's fault")

func (c *broken) RoundTrip(req *http.Request) (*http.Response, error) {
	var kept *http.Response
	resp, err := c.cb.Execute(func() (*http.Response, error) {
		resp, err := c.next.RoundTrip(req)
		if err == nil && resp.StatusCode >= 500 {
			kept = resp
			return resp, errFault
		}
		return resp, err
	})
	if errors.Is(err, errFault) {
		return kept, nil
	}
	return resp, err
}

func handCall(timeout time.Duration) func(context.Context) (int, error) {
	l := &limited{next: &broken{cb: gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{}), next: newPartner()}}
	for i, per := range []time.Duration{time.Second, time.Minute, time.Hour} {
		l.tiers[i] = rate.NewLimiter(rate.Limit(float64(many)/per.Seconds()), many)
	}
	rc := retryablehttp.NewClient()
	rc.Logger = nil
	rc.HTTPClient = &http.Client{Timeout: timeout, Transport: &oauth2.Transport{
		Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "token"}), Base: l,
	}}
	hc := &http.Client{Transport: &retryablehttp.RoundTripper{Client: rc}}
	return plainCall(hc)
}

func bareCall() func(context.Context) (int, error) {
	return plainCall(&http.Client{Transport: &oauth2.Transport{
		Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "token"}), Base: newPartner(),
	}})
}

func plainCall(hc *http.Client) func(context.Context) (int, error) {
	query := url.Values{"limit": {"25"}, "skip": {"0"}}
	return func(ctx context.Context) (int, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/listings?"+query.Encode(), nil)
		if err != nil {
			return 0, err
		}
		resp, err := hc.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("status %d", resp.StatusCode)
		}
		data, err := io.ReadAll(io.LimitReader(resp.Body, 32<<20))
		return len(data), err
	}
}

// The two must do the same work for the comparison to mean anything.
func TestBothStacksAnswer(t *testing.T) {
	for name, call := range map[string]func(context.Context) (int, error){"kit": kitCall(t), "byhand": handCall(time.Minute), "bare": bareCall()} {
		if n, err := call(t.Context()); err != nil || n != len(body) {
			t.Errorf("%s: %d bytes, %v; want %d", name, n, err, len(body))
		}
	}
}

// The pipeline does more than the stack composed by hand (verdicts, waits per tier, refunds, a bounded body) and may cost four allocations more.
func TestPipelineAllocations(t *testing.T) {
	count := func(call func(context.Context) (int, error)) float64 {
		return testing.AllocsPerRun(200, func() {
			if _, err := call(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
	kit, hand := count(kitCall(t)), count(handCall(time.Minute))
	if kit > hand+4 {
		t.Errorf("the kit allocates %v times a call, by hand it is %v", kit, hand)
	}
}
