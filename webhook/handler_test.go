package webhook_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// inbox is a sink that keeps what it is given.
type inbox struct {
	mu     sync.Mutex // guards the fields below
	events []webhook.Event
	fail   error
	block  bool
	panics any
}

func (i *inbox) Accept(ctx context.Context, e webhook.Event) error {
	i.mu.Lock()
	fail, block, panics := i.fail, i.block, i.panics
	i.mu.Unlock()
	if panics != nil {
		panic(panics)
	}
	if block {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if fail != nil {
		return fail
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.events = append(i.events, e)
	return nil
}

// rig is a handler with all that it needs.
type rig struct {
	*webhook.Handler
	inbox   *inbox
	results []webhook.Result
}

func newRig(t testing.TB, e webhook.Endpoint, change func(*webhook.Config)) *rig {
	t.Helper()
	g := &rig{inbox: &inbox{}}
	c := webhook.Config{
		Resolve:  webhook.Paths(map[string]webhook.Endpoint{"/acme": e, "/acme/": e}),
		Sink:     g.inbox,
		OnResult: func(_ context.Context, r webhook.Result) { g.results = append(g.results, r) },
	}
	if change != nil {
		change(&c)
	}
	h, err := webhook.NewHandler(c)
	if err != nil {
		t.Fatal(err)
	}
	g.Handler = h
	return g
}

func (g *rig) last() webhook.Result { return g.results[len(g.results)-1] }

// post sends a signed request now, changed before or after it is signed.
func (g *rig) post(s webhook.Scheme, secret, body string, changes ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "https://hooks.example.com/acme", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if secret != "" {
		if err := webhook.SignRequest(s, r, secret, time.Now()); err != nil {
			panic(err)
		}
	}
	for _, change := range changes {
		change(r)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func endpoint(t testing.TB, p webhook.Partner, secret string) webhook.Endpoint {
	t.Helper()
	v, err := webhook.NewVerifier(p, webhook.Secret{ID: "k1", Value: secret})
	if err != nil {
		t.Fatal(err)
	}
	return webhook.Endpoint{Verifier: v, Integration: "hotel-1", URL: "https://hooks.example.com/acme"}
}

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestHandler_Outcomes(t *testing.T) {
	t.Parallel()
	guesty := endpoint(t, webhook.Guesty(), whsec)
	zip := func(r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(body)
		_ = z.Close()
		r.Body, r.ContentLength = io.NopCloser(&b), int64(b.Len())
		r.Header.Set("Content-Encoding", "gzip")
	}
	path := func(p string) func(*http.Request) { return func(r *http.Request) { r.URL.Path = p } }
	for _, tc := range []struct {
		name    string
		secret  string
		body    string
		changes []func(*http.Request)
		want    webhook.Outcome
		status  int
	}{
		{"good", whsec, sample, nil, webhook.Accepted, 202},
		{"compressed", whsec, sample, []func(*http.Request){zip}, webhook.Accepted, 202},
		{"compressed in a way unknown", whsec, sample, []func(*http.Request){set("Content-Encoding", "br")}, webhook.BadType, 415},
		{"not compressed", whsec, sample, []func(*http.Request){set("Content-Encoding", "gzip")}, webhook.BadBody, 400},
		{"bomb", whsec, strings.Repeat(" ", 1<<20+1), []func(*http.Request){zip}, webhook.TooLarge, 413},
		{"cut off", whsec, sample, []func(*http.Request){zip, func(r *http.Request) { r.Body = io.NopCloser(io.LimitReader(r.Body, 20)) }}, webhook.BadBody, 400},
		{"large, and says so", whsec, strings.Repeat(" ", 1<<20+1), nil, webhook.TooLarge, 413},
		{"large", whsec, strings.Repeat(" ", 1<<20+1), []func(*http.Request){func(r *http.Request) { r.ContentLength = -1 }}, webhook.TooLarge, 413},
		{"just not large", whsec, strings.Repeat(" ", 1<<20), nil, webhook.Accepted, 202},
		{"unreadable", whsec, sample, []func(*http.Request){func(r *http.Request) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), broken{}))
		}}, webhook.BadBody, 400},
		{"no endpoint", whsec, sample, []func(*http.Request){path("/else")}, webhook.Unknown, 404},
		{"unsigned", "", sample, nil, webhook.Unproved, 401},
		{"forged", "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", sample, nil, webhook.Forged, 401},
		{"altered", whsec, sample, []func(*http.Request){func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(sample + " ")) }}, webhook.Forged, 401},
		{"of another type", whsec, sample, []func(*http.Request){set("Content-Type", "text/plain")}, webhook.BadType, 415},
		{"of no type", whsec, sample, []func(*http.Request){func(r *http.Request) { r.Header.Del("Content-Type") }}, webhook.Accepted, 202},
		{"of a type with parameters", whsec, sample, []func(*http.Request){set("Content-Type", "application/json; charset=utf-8")}, webhook.Accepted, 202},
		{"of a method", whsec, sample, []func(*http.Request){func(r *http.Request) { r.Method = http.MethodPut }}, webhook.BadMethod, 405},
		{"read", "", "", []func(*http.Request){func(r *http.Request) { r.Method = http.MethodGet }}, webhook.BadMethod, 405},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, guesty, nil)
			w := g.post(webhook.Guesty().Scheme, tc.secret, tc.body, tc.changes...)
			res := g.last()
			if w.Code != tc.status || res.Outcome != tc.want || res.Status != tc.status {
				t.Fatalf("got %d, %+v", w.Code, res)
			}
			if ok := tc.want == webhook.Accepted; ok != (len(g.inbox.events) == 1) || ok != (res.Err == nil) {
				if tc.want != webhook.BadMethod {
					t.Errorf("got %d events, error %v", len(g.inbox.events), res.Err)
				}
			}
			if tc.want == webhook.BadMethod && w.Header().Get("Allow") != "POST" {
				t.Errorf("got Allow %q", w.Header().Get("Allow"))
			}
			if w.Body.Len() > 0 {
				t.Errorf("got body %q", w.Body)
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestHandler_Event(t *testing.T) {
	t.Parallel()
	g := newRig(t, endpoint(t, webhook.Guesty(), whsec), nil)
	before := time.Now().Truncate(time.Second)
	g.post(webhook.Guesty().Scheme, whsec, sample)
	e := g.inbox.events[0]
	if e.Partner != "guesty" || e.Integration != "hotel-1" || e.Kind != "reservation.updated" || e.Trust != webhook.Signed ||
		e.SecretID != "k1" || e.ContentType != "application/json" || string(e.Body) != sample {
		t.Errorf("got %s %s %s %v %s %s", e.Partner, e.Integration, e.Kind, e.Trust, e.SecretID, e.Body)
	}
	if !strings.HasPrefix(e.Delivery, "msg_") || e.Key != "guesty/hotel-1/"+e.Delivery {
		t.Errorf("got key %s of delivery %s", e.Key, e.Delivery)
	}
	if e.SignedAt.Before(before) || e.ReceivedAt.Before(before) {
		t.Errorf("signed %v, received %v, before %v", e.SignedAt, e.ReceivedAt, before)
	}
	r := g.last()
	if r.Key != e.Key || r.Kind != e.Kind || r.Partner != "guesty" || r.Integration != "hotel-1" || r.SecretID != "k1" || r.OldSecret || r.Bytes != len(sample) {
		t.Errorf("got %+v", r)
	}
}

func TestHandler_HandOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scheme := webhook.Guesty().Scheme
		g := newRig(t, endpoint(t, webhook.Guesty(), whsec), nil)
		sign := func() func(*http.Request) { // always the same delivery, signed afresh
			return func(r *http.Request) {
				r.Header = http.Header{"Svix-Id": {"msg_1"}, "Content-Type": {"application/json"}}
				if err := webhook.SignRequest(scheme, r, whsec, time.Now()); err != nil {
					t.Error(err)
				}
			}
		}
		for _, step := range []struct {
			name   string
			set    func(*inbox)
			want   webhook.Outcome
			status int
			events int
		}{
			{"the sink fails", func(i *inbox) { i.fail = errors.New("disk full") }, webhook.NotKept, 503, 0},
			{"the sink hangs", func(i *inbox) { i.block = true }, webhook.NotKept, 503, 0},
			{"the sink panics", func(i *inbox) { i.panics = "boom " + whsec }, webhook.Panicked, 500, 0},
			{"it works", func(*inbox) {}, webhook.Accepted, 202, 1},
			{"it comes again", func(*inbox) {}, webhook.Duplicate, 202, 1},
			{"it comes when nothing works any more", func(i *inbox) { i.fail = errors.New("disk full") }, webhook.Duplicate, 202, 1},
		} {
			g.inbox.fail, g.inbox.block, g.inbox.panics = nil, false, nil
			step.set(g.inbox)
			start := time.Now()
			w := g.post(scheme, "", sample, sign())
			r := g.last()
			if w.Code != step.status || r.Outcome != step.want || len(g.inbox.events) != step.events {
				t.Errorf("%s: got %d %+v, %d events", step.name, w.Code, r, len(g.inbox.events))
			}
			if r.Err != nil && strings.Contains(r.Err.Error(), whsec) {
				t.Errorf("%s: the error tells the secret: %v", step.name, r.Err)
			}
			if got := time.Since(start); got > 10*time.Second {
				t.Errorf("%s: the partner waited %v", step.name, got)
			}
			if (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("%s: got Retry-After %q", step.name, w.Header().Get("Retry-After"))
			}
		}
	})
}

// While one delivery is handed over, the same one is turned away, and is a duplicate after.
func TestHandler_AtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entered, leave := make(chan struct{}), make(chan struct{})
		var mu sync.Mutex
		got := map[webhook.Outcome]int{}
		g := newRig(t, endpoint(t, webhook.GitHub(), "s"), func(c *webhook.Config) {
			c.Sink = webhook.SinkFunc(func(context.Context, webhook.Event) error {
				close(entered)
				<-leave
				return nil
			})
			c.OnResult = func(_ context.Context, r webhook.Result) {
				mu.Lock()
				defer mu.Unlock()
				got[r.Outcome]++
			}
		})
		scheme := webhook.GitHub().Scheme
		done := make(chan int)
		go func() { done <- g.post(scheme, "s", sample).Code }()
		<-entered
		for range 3 {
			if w := g.post(scheme, "s", sample); w.Code != 503 {
				t.Errorf("meanwhile: got %d", w.Code)
			}
		}
		close(leave)
		if code := <-done; code != 202 {
			t.Errorf("the first: got %d", code)
		}
		if w := g.post(scheme, "s", sample); w.Code != 202 {
			t.Errorf("afterwards: got %d", w.Code)
		}
		if want := fmt.Sprint(map[webhook.Outcome]int{webhook.Accepted: 1, webhook.Busy: 3, webhook.Duplicate: 1}); fmt.Sprint(got) != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestHandler_Account(t *testing.T) {
	t.Parallel()
	p := webhook.StandardWebhooks("acme")
	p.Account = webhook.JSON("hotel")
	e := endpoint(t, p, whsec)
	e.Account = "7"
	g := newRig(t, e, nil)
	long := strings.Repeat("x", 1000)
	for _, tc := range []struct {
		body    string
		outcome webhook.Outcome
		account string
	}{
		{`{"hotel":7}`, webhook.Accepted, "7"},
		{`{"hotel":"7"}`, webhook.Accepted, "7"},
		{`{"type":"ping"}`, webhook.Accepted, ""},
		{`{"hotel":8}`, webhook.Unknown, ""},
		{`{"hotel":"` + long + `"}`, webhook.Unknown, ""},
	} {
		g.inbox.events = nil
		g.post(p.Scheme, whsec, tc.body)
		if got := g.last(); got.Outcome != tc.outcome || (got.Err != nil) != (tc.outcome != webhook.Accepted) {
			t.Errorf("%.40s: got %v, %v", tc.body, got.Outcome, got.Err)
		}
		if tc.outcome == webhook.Accepted && (len(g.inbox.events) != 1 || g.inbox.events[0].Account != tc.account) {
			t.Errorf("%s: got %v", tc.body, g.inbox.events)
		}
	}
}

func TestHandler_Addresses(t *testing.T) {
	t.Parallel()
	e := endpoint(t, webhook.Guesty(), whsec)
	e.From = &webhook.AddressList{From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}} // httptest's requests come from there
	g := newRig(t, e, nil)
	if w := g.post(webhook.Guesty().Scheme, whsec, sample); w.Code != 202 {
		t.Errorf("from where it may: got %d", w.Code)
	}
	w := g.post(webhook.Guesty().Scheme, whsec, sample, func(r *http.Request) { r.RemoteAddr = "198.51.100.1:4711" })
	if w.Code != 403 || g.last().Outcome != webhook.Forbidden || !errors.Is(g.last().Err, webhook.ErrAddress) {
		t.Errorf("from elsewhere: got %d, %+v", w.Code, g.last())
	}
}
