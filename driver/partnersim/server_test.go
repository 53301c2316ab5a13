package partnersim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// loopback starts the server and returns its base URL and a client that keeps no connection.
func loopback(t *testing.T, s *partnersim.Server) (string, *http.Client) {
	t.Helper()
	base, err := s.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := s.BaseURL(); got != base || !strings.HasPrefix(base, "http://127.0.0.1:") {
		t.Fatalf("base URL %q and %q", base, got)
	}
	return base, &http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil}}
}

func TestLoopback(t *testing.T) {
	s := newServer(t, partnersim.Config{
		Name: "acme", Tiers: ratelimit.Tiers{{Requests: 2, Per: time.Hour}}, Latency: 2 * time.Millisecond, Gzip: true,
		Header: func(h http.Header, r *http.Request, counts []partnersim.Count) {
			partnersim.PerWindowHeaders(h, counts)
		},
		Refuse: func(w http.ResponseWriter, r *http.Request, status int) {
			w.WriteHeader(status)
			io.WriteString(w, "own")
		},
	})
	base, hc := loopback(t, s)
	for n, want := range []struct {
		status          int
		body, remaining string
	}{{200, `{"name":"value"}`, "1"}, {200, `{"name":"value"}`, "0"}, {429, "own", "0"}} {
		resp, err := hc.Get(base + "/x")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want.status || string(body) != want.body || !resp.Uncompressed {
			t.Errorf("%d: status %d, body %q, uncompressed %v, %v", n, resp.StatusCode, body, resp.Uncompressed, err)
		}
		if got := resp.Header.Get("X-RateLimit-Remaining-Hour"); got != want.remaining ||
			resp.Header.Get("X-RateLimit-Limit-Hour") != "2" {
			t.Errorf("%d: remaining %q, want %q", n, got, want.remaining)
		}
	}
	if _, err := s.Start(t.Context()); err == nil {
		t.Error("it was started twice")
	}
	s.Close()
	if _, err := hc.Get(base); err == nil {
		t.Error("it answers after Close")
	}
	if _, err := s.Start(t.Context()); err == nil {
		t.Error("it was started after Close")
	}
	if r := s.Report(); r.Requests != 3 || r.Violations != 1 {
		t.Errorf("report: %+v", r)
	}
}

func TestFaultsOnLoopback(t *testing.T) {
	for _, tt := range []struct {
		kind    partnersim.Kind
		err     func(error) bool // of the call or of the body
		body    string
		counted int
	}{
		{partnersim.Reset, isReset, "", 0},
		{partnersim.Outage, isReset, "", 0},
		{partnersim.Lost, isReset, "", 1},
		{partnersim.Cut, func(err error) bool { return isReset(err) || errors.Is(err, io.ErrUnexpectedEOF) },
			`{"name":`, 1},
		{partnersim.Timeout, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }, "", 1},
		{partnersim.Slow, nil, `{"name":"value"}`, 1},
		{partnersim.Empty, nil, "", 1},
	} {
		s := newServer(t, partnersim.Config{
			Faults: []partnersim.Rule{{Kind: tt.kind, Count: 1}}, Scale: 60, Tiers: ratelimit.Tiers{{Requests: 10,
				Per: time.Hour}, {Concurrent: 1}},
		})
		base, hc := loopback(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		if tt.kind == partnersim.Timeout {
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := hc.Do(req)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		cancel()
		if tt.err == nil && err != nil || tt.err != nil && (err == nil || !tt.err(err)) {
			t.Errorf("%s: error %v", tt.kind, err)
		}
		if err == nil && string(body) != tt.body {
			t.Errorf("%s: body %q, want %q", tt.kind, body, tt.body)
		}
		s.Close() // waits for the handlers, so that the report is final
		if r := s.Report(); r.Requests != tt.counted || r.Violations != 0 {
			t.Errorf("%s: report %+v", tt.kind, r)
		}
	}
}

// isReset says that the connection broke; on which side of the headers is up to the kernel.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE)
}

func TestStartEndsWithItsContext(t *testing.T) {
	s := newServer(t, partnersim.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	s.Close()
	other := newServer(t, partnersim.Config{})
	if _, err := other.Start(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("start with a context that has ended: %v", err)
	}
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := partnersim.New(partnersim.Config{
		Name: "acme", Scale: 61, Latency: -1, Jitter: -1,
		Tiers: ratelimit.Tiers{{Requests: 1}, {Concurrent: 1, Requests: 1}, {Kind: ratelimit.TokenBucket,
			Requests: 1, Per: 1}},
		Quotas: []partnersim.Quota{{}, {Name: "api", Tiers: ratelimit.Tiers{{Requests: 1, Per: 1}}}},
		Tokens: &partnersim.Tokens{Lifetime: -1},
		Faults: []partnersim.Rule{{}, {Kind: "x-none"}, {Kind: "500", Rate: 2}},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`simulated partner "acme"`, "Handler is missing", "Scale is 61", "Latency is", "Jitter is",
		`tier 0 of quota "api"`, `tier 1 of quota "api"`,
		`tier 2 of quota "api"`, `Quotas[0]: the name ""`, "has no tiers", `Quotas[1]: the name "api"`,
		"Tokens: Path", "no Clients",
		"Lifetime is", "Faults[0]: the kind is missing", `no answer named "none"`, "Faults[2]: the rate is 2",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if _, err := partnersim.New(partnersim.Config{Handler: ok,
		Faults: []partnersim.Rule{{Kind: partnersim.Revoke}}}); err == nil {
		t.Error("there is nothing to revoke")
	}
}

func TestLimitsAreScaled(t *testing.T) {
	s := newServer(t, partnersim.Config{Scale: 60, Tiers: ratelimit.Tiers{{Name: "minute", Requests: 120,
		Per: time.Minute}, {Concurrent: 15}}})
	got := s.Limits("api")
	if len(got) != 2 || got[0] != (ratelimit.Tier{Name: "minute", Requests: 120, Per: time.Second}) ||
		got[1].Concurrent != 15 {
		t.Errorf("limits: %+v", got)
	}
	if s.Limits("other") != nil {
		t.Error("an unknown quota has limits")
	}
	got[0].Requests = 1
	if s.Limits("api")[0].Requests != 120 {
		t.Error("the caller can change the limits")
	}
}

func TestNotesAreKeptOnce(t *testing.T) {
	var s *partnersim.Server
	s = newServer(t, partnersim.Config{Handler: http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		s.Params(r, "limit")
	})})
	for range 2 {
		get(t.Context(), s, "/things?limit=1&since=x&all=1")
	}
	got := s.Report().Unexpected
	if len(got) != 2 || got[0] != `GET /things: unknown parameter "all"` ||
		got[1] != `GET /things: unknown parameter "since"` {
		t.Errorf("notes: %q", got)
	}
}
