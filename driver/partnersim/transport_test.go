package partnersim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// A timer-driven exchange takes exactly the latency, a quarter of it before the request is counted.
func TestLatencyIsSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var arrived time.Duration
		start := time.Now()
		s := newServer(t, partnersim.Config{
			Latency: 6 * time.Second, Scale: 60,
			Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived = time.Since(start) }),
		})
		if _, _, _, err := get(t.Context(), s, "/"); err != nil {
			t.Fatal(err)
		}
		if total := time.Since(start); arrived != 25*time.Millisecond || total != 100*time.Millisecond {
			t.Errorf("arrived after %v, answered after %v; want 25ms, 100ms", arrived, total)
		}
	})
}

func TestJitterStaysInItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, partnersim.Config{Latency: 100 * time.Millisecond, Jitter: 40 * time.Millisecond})
		seen := map[time.Duration]bool{}
		for range 50 {
			start := time.Now()
			if _, _, _, err := get(t.Context(), s, "/"); err != nil {
				t.Fatal(err)
			}
			d := time.Since(start)
			if d < 100*time.Millisecond || d >= 140*time.Millisecond {
				t.Errorf("took %v", d)
			}
			seen[d] = true
		}
		if len(seen) < 40 {
			t.Errorf("only %d different times in 50", len(seen))
		}
	})
}

// Promise 3 is judged by this ledger: a request that its client gave up on its way arrives all the same.
func TestWhatWasSentArrivesThoughTheClientGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended error
		body := make(chan string, 1)
		s := newServer(t, partnersim.Config{
			Latency: time.Second, Tiers: ratelimit.Tiers{{Requests: 5, Per: time.Minute}, {Concurrent: 1}},
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ended = r.Context().Err()
				b, _ := io.ReadAll(r.Body)
				body <- string(b)
			}),
		})
		why := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, why)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "https://partner.example/",
			strings.NewReader("a write"))
		if _, err := s.Transport().RoundTrip(req); !errors.Is(err, why) {
			t.Fatalf("error %v, want the context's cause", err)
		}
		if r := s.Report(); r.Requests != 0 || r.Abandoned != 1 {
			t.Errorf("before the arrival: %+v", r)
		}
		if got := <-body; got != "a write" || ended == nil {
			t.Errorf("the handler got %q, its context's error was %v", got, ended)
		}
		synctest.Wait()
		r := s.Report()
		if r.Requests != 1 || r.Tiers[0].Counted != 1 || r.Tiers[1].Counted != 0 {
			t.Errorf("after the arrival: %+v", r)
		}
	})
}

func TestCloseForgetsWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, partnersim.Config{Latency: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		get(ctx, s, "/")
		got := make(chan error, 1)
		go func() {
			_, _, _, err := get(t.Context(), s, "/")
			got <- err
		}()
		synctest.Wait()
		s.Close()
		if err := <-got; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a call in flight: %v, want a reset", err)
		}
		if _, _, _, err := get(t.Context(), s, "/"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a call after Close: %v, want a refused connection", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if r := s.Report(); r.Requests != 0 {
			t.Errorf("%d requests arrived", r.Requests)
		}
	})
}

// Each kind of fault as a client in memory sees it. counted is whether the request is in the ledger.
func TestFaultsInMemory(t *testing.T) {
	for _, tt := range []struct {
		rule    partnersim.Rule
		status  int
		body    string
		err     error // of the call or of reading the body
		counted int
		retry   string
	}{
		{rule: partnersim.Rule{Kind: partnersim.TooMany}, status: 429, body: "Too Many Requests\n", counted: 1,
			retry: "1"},
		{rule: partnersim.Rule{Kind: partnersim.TooMany, Retry: -1}, status: 429, body: "Too Many Requests\n",
			counted: 1},
		{rule: partnersim.Rule{Kind: partnersim.TooMany, Retry: time.Hour}, status: 429, body: "Too Many Requests\n",
			counted: 1, retry: "3600"},
		{rule: partnersim.Rule{Kind: "503", Retry: 2 * time.Second}, status: 503, body: "Service Unavailable\n",
			counted: 1, retry: "2"},
		{rule: partnersim.Rule{Kind: "500"}, status: 500, body: "Internal Server Error\n", counted: 1},
		{rule: partnersim.Rule{Kind: partnersim.Reset}, err: syscall.ECONNRESET},
		{rule: partnersim.Rule{Kind: partnersim.Outage}, err: syscall.ECONNREFUSED},
		{rule: partnersim.Rule{Kind: partnersim.Lost}, err: syscall.ECONNRESET, counted: 1},
		{rule: partnersim.Rule{Kind: partnersim.Timeout}, err: context.DeadlineExceeded, counted: 1},
		{rule: partnersim.Rule{Kind: partnersim.Cut}, status: 200, body: `{"name":`, err: io.ErrUnexpectedEOF,
			counted: 1},
		{rule: partnersim.Rule{Kind: partnersim.Slow}, status: 200, body: `{"name":"value"}`, counted: 1},
		{rule: partnersim.Rule{Kind: partnersim.Slow, Delay: 2 * time.Hour}, status: 200,
			err: context.DeadlineExceeded, counted: 1},
		{rule: partnersim.Rule{Kind: partnersim.Malformed}, status: 200, body: `{"name":`, counted: 1},
		{rule: partnersim.Rule{Kind: partnersim.Empty}, status: 200, counted: 1},
		{rule: partnersim.Rule{Kind: partnersim.BOM}, status: 200, body: "\ufeff" + `{"name":"value"}`, counted: 1},
		{rule: partnersim.Rule{Kind: partnersim.Control}, status: 200, body: "{\"name\":\"\vvalue\"}", counted: 1},
		{rule: partnersim.Rule{Kind: "x-odd"}, status: 405, body: "slow down", counted: 1},
	} {
		t.Run(tt.rule.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.rule.Count = 1
				s := newServer(t, partnersim.Config{
					Faults: []partnersim.Rule{tt.rule}, Tiers: ratelimit.Tiers{{Requests: 10, Per: time.Minute},
						{Concurrent: 1}}, Latency: time.Second,
					Answers: map[string]http.Handler{"odd": http.HandlerFunc(func(w http.ResponseWriter,
						_ *http.Request) {
						w.WriteHeader(http.StatusMethodNotAllowed)
						io.WriteString(w, "slow down")
					})},
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				status, h, body, err := get(ctx, s, "/")
				if status != tt.status || !errors.Is(err, tt.err) || (tt.err == nil && err != nil) {
					t.Fatalf("status %d, error %v; want %d, %v", status, err, tt.status, tt.err)
				}
				if tt.body != body && tt.rule.Delay == 0 {
					t.Errorf("body %q, want %q", body, tt.body)
				}
				if got := h.Get("Retry-After"); got != tt.retry {
					t.Errorf("Retry-After %q, want %q", got, tt.retry)
				}
				r := s.Report()
				if r.Requests != tt.counted || r.Violations != 0 || r.Throttled != 0 ||
					r.Faults[string(tt.rule.Kind)] != 1 {
					t.Errorf("report: %+v", r)
				}
				// The connection's place is free again, and the rule is used up.
				if status, _, body, err := get(t.Context(), s, "/"); status != 200 || body != `{"name":"value"}` ||
					err != nil {
					t.Errorf("the next call: status %d, body %q, error %v", status, body, err)
				}
			})
		})
	}
}

func TestHTMLFaultLooksLikeAPage(t *testing.T) {
	s := newServer(t, partnersim.Config{Faults: []partnersim.Rule{{Kind: partnersim.HTML}}})
	status, h, body, err := get(t.Context(), s, "/")
	if err != nil || status != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/html") ||
		!strings.Contains(body, "<html>") {
		t.Errorf("status %d, type %q, body %q, error %v", status, h.Get("Content-Type"), body, err)
	}
}

func TestHandlerThatAborts(t *testing.T) {
	s := newServer(t, partnersim.Config{
		Tiers:   ratelimit.Tiers{{Concurrent: 1}},
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
	})
	for range 2 {
		if _, _, _, err := get(t.Context(), s, "/"); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("error %v, want a reset", err)
		}
	}
}

func TestTransportKeepsTheRoundTripperContract(t *testing.T) {
	s := newServer(t, partnersim.Config{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			r.Header.Set("X-Changed", "by the handler's own copy or not at all")
			w.Header().Set("Allow", r.Host)
			w.WriteHeader(http.StatusCreated)
			w.Write(b)
		}),
	})
	body := &closer{Reader: strings.NewReader("text")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://partner.example/x?y=z", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || string(text) != "text" || resp.StatusCode != http.StatusCreated ||
		resp.Header.Get("Allow") != "partner.example" || resp.Request != req {
		t.Errorf("status %d, header %v, body %q, error %v", resp.StatusCode, resp.Header, text, err)
	}
	if !body.closed {
		t.Error("the request's body was not closed")
	}
	if len(req.Header) != 0 {
		t.Errorf("the request was modified: %v", req.Header)
	}
	resp.Body.Close()
	if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
		t.Error("a closed body can be read")
	}
	head, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "https://partner.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err = s.Transport().RoundTrip(head)
	if err != nil || resp.Body != http.NoBody {
		t.Errorf("HEAD: %v, %v", resp, err)
	}
}

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestNetworkRoutesByHost(t *testing.T) {
	a, b := newServer(t, partnersim.Config{}), newServer(t, partnersim.Config{})
	hc := &http.Client{Transport: partnersim.Network{"a.example": a, "b.example:8443": b}}
	for _, url := range []string{"https://a.example/1", "https://a.example/2", "https://b.example:8443/"} {
		resp, err := hc.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if got := [2]int{a.Report().Requests, b.Report().Requests}; got != [2]int{2, 1} {
		t.Errorf("requests: %v", got)
	}
	if _, err := hc.Post("https://c.example/", "", strings.NewReader("x")); err == nil ||
		!strings.Contains(err.Error(), "no such host") {
		t.Errorf("unknown host: %v", err)
	}
}
