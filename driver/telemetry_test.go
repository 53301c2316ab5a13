package driver_test

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// slow is a call that is held back by the limiter, throttled once, and answered late.
func slow(t *testing.T, r *recorder, end int) (*driver.Response, error) {
	t.Helper()
	lim, err := ratelimit.New(ratelimit.Tiers{{Name: "second", Requests: 1, Per: time.Second}}, ratelimit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	c := client(t, handler(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(250 * time.Millisecond)
		w.Header().Set("X-Request-Id", "req-1")
		switch n++; n {
		case 1:
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.WriteHeader(end)
		}
	}), func(c *driver.ClientConfig) { c.Limiter, c.LimitKey, c.Telemetry = lim, "k", r.telemetry() })
	if _, err := c.Do(t.Context(), driver.Call{Op: "first"}); err != nil {
		t.Fatal(err)
	}
	r.spans, r.measurements = nil, nil
	r.log.Reset()
	return c.Do(t.Context(), driver.Call{Op: "things.list", Path: "/things"})
}

func TestWhyWasThisSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		resp, err := slow(t, r, 200)
		if err != nil {
			t.Fatal(err)
		}
		w := resp.Waits
		if resp.Attempts != 2 || w.Partner != 500*time.Millisecond || w.Limiter <= 0 || len(w.Tiers) != 1 || w.Tiers[0].Tier != "second" || w.Tiers[0].Wait != w.Limiter || w.Backoff <= 0 {
			t.Errorf("%+v", resp)
		}
		var names []string
		for _, s := range r.spans {
			names = append(names, s.name)
			if s.ended != 1 {
				t.Errorf("span %s ended %d times", s.name, s.ended)
			}
		}
		if want := []string{"GET things.list", "GET things.list", "acme things.list"}; !slices.Equal(names, want) {
			t.Fatalf("spans %q, want %q", names, want)
		}
		first, again, call := r.spans[0], r.spans[1], r.spans[2]
		if first.parent != call || again.parent != call || first.kind != trace.SpanKindClient {
			t.Error("attempts are no children of the call")
		}
		if first.code != codes.Error || first.attr("error.type") != "503" || first.attr("http.response.status_code") != "503" || first.attr("http.request.resend_count") != "" {
			t.Errorf("first attempt: %v %v", first.code, first.attrs)
		}
		if again.code != codes.Unset || again.attr("http.request.resend_count") != "1" || again.attr("server.address") != "api.example.com" {
			t.Errorf("second attempt: %v %v", again.code, again.attrs)
		}
		for key, want := range map[string]string{
			"integrationkit.partner": "acme", "integrationkit.operation": "things.list", "integrationkit.integration": "i-1", "integrationkit.requests": "2",
			"integrationkit.wait.partner": "0.5", "integrationkit.request_id": "req-1", "error.type": "",
		} {
			if got := call.attr(key); got != want {
				t.Errorf("call: %s is %q, want %q", key, got, want)
			}
		}
		if call.attr("integrationkit.wait.tier.second") == "" || call.attr("integrationkit.wait.backoff") == "" {
			t.Errorf("call: %v", call.attrs)
		}
		want := []string{
			"http.client.request.duration{error.type=503,http.request.method=GET,http.response.status_code=503,integrationkit.operation=things.list,integrationkit.partner=acme,server.address=api.example.com}",
			"http.client.request.duration{http.request.method=GET,http.response.status_code=200,integrationkit.operation=things.list,integrationkit.partner=acme,server.address=api.example.com}",
			"integrationkit.client.call.duration{integrationkit.operation=things.list,integrationkit.partner=acme}",
			"integrationkit.client.call.requests{integrationkit.operation=things.list,integrationkit.partner=acme}",
			"integrationkit.client.wait.duration{integrationkit.partner=acme,integrationkit.tier=second,integrationkit.wait=limiter}",
			"integrationkit.client.wait.duration{integrationkit.partner=acme,integrationkit.wait=backoff}",
		}
		if got := r.metrics(); !slices.Equal(got, want) {
			t.Errorf("metrics\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if line := r.log.String(); strings.Count(line, "\n") != 1 {
			t.Errorf("log %q", line)
		}
		contains(t, r.log.String(), "level=DEBUG msg=call partner=acme op=things.list integration=i-1 status=200 class=ok requests=2 took=",
			"wait_limiter=", "wait_backoff=", "at_partner=500ms", "tiers.second=", "request_id=req-1")
	})
}

func TestWhyDidThisFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		_, err := slow(t, r, 400)
		e := asError(t, err)
		if e.Attempts != 2 || e.Waits.Partner != 500*time.Millisecond || e.Waits.Limiter <= 0 || e.RequestID != "req-1" {
			t.Errorf("%+v", e)
		}
		call := r.spans[2]
		if call.code != codes.Error || call.attr("error.type") != "400" {
			t.Errorf("%v %v", call.code, call.attrs)
		}
		contains(t, r.text(), "level=INFO msg=call", "class=client", "error=\"acme: things.list: client (400)",
			"integrationkit.client.call.duration")
	})
}

func TestRefusalsAreMeasured(t *testing.T) {
	r := &recorder{}
	s := handler(t, func(http.ResponseWriter, *http.Request) {})
	c := client(t, s, func(c *driver.ClientConfig) { c.Telemetry = r.telemetry() })
	if _, err := c.Do(t.Context(), driver.Call{Op: "x", Method: "SECRET", Path: "no"}); err == nil {
		t.Fatal("accepted")
	}
	if got, want := r.metrics(), []string{
		"integrationkit.client.call.duration{error.type=client,integrationkit.operation=x,integrationkit.partner=acme}",
		"integrationkit.client.call.requests{error.type=client,integrationkit.operation=x,integrationkit.partner=acme}",
	}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Every name that is reported is in docs/telemetry.md.
func TestTelemetryIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile("telemetry.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`"((?:integrationkit|http|server|error)\.[a-z_.]+)"`).FindAllSubmatch(src, -1)
	if len(names) < 15 {
		t.Fatalf("%d names", len(names))
	}
	text := strings.ReplaceAll(string(doc), "`.", "`integrationkit.wait.")
	for _, n := range names {
		if name := strings.TrimSuffix(string(n[1]), "."); !strings.Contains(text, name) {
			t.Errorf("%s is not documented", name)
		}
	}
}

type brokenMeter struct{ metricnoop.MeterProvider }

func (brokenMeter) Meter(string, ...metric.MeterOption) metric.Meter { return failingMeter{} }

type failingMeter struct{ metricnoop.Meter }

func (failingMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, http.ErrNotSupported
}

func TestBrokenMeterIsRefused(t *testing.T) {
	_, err := driver.NewClient(driver.ClientConfig{Partner: "acme", BaseURL: base, Telemetry: driver.Telemetry{Meter: brokenMeter{}}})
	if err == nil || !strings.Contains(err.Error(), "Telemetry") {
		t.Errorf("got %v", err)
	}
}
