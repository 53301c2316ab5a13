package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

func TestNewHandler_Problems(t *testing.T) {
	t.Parallel()
	_, err := webhook.NewHandler(webhook.Config{MaxBody: -1})
	for _, want := range []string{"Resolve is missing", "Sink is missing", "not negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestHandler_Partners(t *testing.T) {
	t.Parallel()
	at := func(path string) func(*http.Request) { return func(r *http.Request) { r.URL.Path = path } }
	for _, tc := range []struct {
		name     string
		partner  webhook.Partner
		key      pair
		body     string
		changes  []func(*http.Request)
		status   int
		answer   string
		kind     string
		delivery string // "": a hash
		trust    webhook.Trust
	}{
		{"airbnb", webhook.Airbnb(), rsaPair(), `{"action":"listings_mapped"}`, nil, 200, `{"succeed": true}`, "listings_mapped", "", webhook.Signed},
		{"booking.com", webhook.BookingCom(), text(token), `{"metadata":{"uuid":"c0ffee","type":"VCC_BALANCE"}}`, nil, 202, "", "VCC_BALANCE", "c0ffee", webhook.Authenticated},
		{"cloudbeds", webhook.Cloudbeds(), text(token), `{"event":"reservation/created"}`, nil, 202, "", "reservation/created", "", webhook.Hint},
		{"stripe", webhook.Stripe(), text("s"), `{"id":"evt_1","type":"charge.succeeded"}`, nil, 202, "", "charge.succeeded", "evt_1", webhook.Signed},
		{"github", webhook.GitHub(), text("s"), `{}`, []func(*http.Request){set("X-GitHub-Event", "push")}, 202, "", "push", "", webhook.Signed},
		{"shopify", webhook.Shopify(), text("s"), `{}`, []func(*http.Request){set("X-Shopify-Topic", "orders/create")}, 202, "", "orders/create", "", webhook.Signed},
		{"slack", webhook.Slack(), text("s"), `{"event_id":"Ev1","type":"event_callback","event":{"type":"message"}}`, nil, 200, "", "message", "Ev1", webhook.Signed},
		{"slack, a form", webhook.Slack(), text("s"), `payload=x`, nil, 200, "", "", "", webhook.Signed},
		{"twilio", webhook.Twilio(), text("s"), `{"n":1}`, nil, 204, "", "", "", webhook.Signed},
		{"a number as id", webhook.Partner{Name: "acme", Scheme: webhook.GitHub().Scheme, Delivery: webhook.JSON("a.b", "c"), Kind: webhook.JSON("a.b.c")}, text("s"), `{"a":{"b":[]},"c":12}`, nil, 202, "", "", "12", webhook.Signed},
		{"a long id", webhook.Partner{Name: "acme", Scheme: webhook.GitHub().Scheme, Delivery: webhook.JSON("c"), Kind: webhook.JSON("c")}, text("s"), `{"c":"` + strings.Repeat("x", 201) + `"}`, nil, 202, "", "*", "", webhook.Signed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, endpoint(t, tc.partner, tc.key.verify), nil)
			for i, outcome := range []webhook.Outcome{webhook.Accepted, webhook.Duplicate} {
				w := g.post(tc.partner.Scheme, tc.key.sign, tc.body, tc.changes...)
				if w.Code != tc.status || w.Body.String() != tc.answer || g.last().Outcome != outcome {
					t.Fatalf("time %d: got %d %q, %+v", i, w.Code, w.Body, g.last())
				}
			}
			e := g.inbox.events[0]
			if len(g.inbox.events) != 1 || e.Trust != tc.trust || e.Kind != tc.kind && tc.kind != "*" || string(e.Body) != tc.body {
				t.Errorf("got %v: kind %s, trust %v", e, e.Kind, e.Trust)
			}
			if e.Delivery != tc.delivery && (tc.delivery != "" || !strings.HasPrefix(e.Delivery, "sha256:")) {
				t.Errorf("got delivery %s", e.Delivery)
			}
			if tc.trust == webhook.Hint {
				e := endpoint(t, tc.partner, tc.key.verify)
				e.From = &webhook.AddressList{}
				elsewhere := newRig(t, e, nil)
				if w := elsewhere.post(tc.partner.Scheme, tc.key.sign, tc.body); w.Code != 404 || elsewhere.last().Outcome != webhook.Unknown {
					t.Errorf("from elsewhere: got %d, %+v", w.Code, elsewhere.last())
				}
			}
			if tc.trust == webhook.Hint { // an unknown path and a wrong secret look alike, whatever the method
				var answers []string
				for _, path := range []string{"/acme/", "/acme/" + strings.Repeat("x", 35), "/nowhere"} {
					for _, method := range []string{"POST", "GET", "OPTIONS"} {
						w := g.post(tc.partner.Scheme, "", tc.body, at(path), func(r *http.Request) { r.Method = method })
						answers = append(answers, fmt.Sprint(w.Code, w.Header(), w.Body))
						if answers[0] != answers[len(answers)-1] || w.Code != 404 {
							t.Errorf("%s %s: got %s, want %s", method, path, answers[len(answers)-1], answers[0])
						}
					}
				}
			}
		})
	}
}

func TestHandler_Challenge(t *testing.T) {
	t.Parallel()
	const body = `{"type":"url_verification","challenge":"<b>3eZbrw1a</b>"}`
	g := newRig(t, endpoint(t, webhook.Slack(), "s"), nil)
	w := g.post(webhook.Slack().Scheme, "s", body)
	if w.Code != 200 || w.Body.String() != "<b>3eZbrw1a</b>" || g.last().Outcome != webhook.Challenged || len(g.inbox.events) != 0 {
		t.Errorf("got %d %q, %+v", w.Code, w.Body, g.last())
	}
	if got := w.Header(); !strings.HasPrefix(got.Get("Content-Type"), "text/plain") || got.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a browser could take it for a page: %v", got)
	}
	if w := g.post(webhook.Slack().Scheme, "", body); w.Code != 401 || w.Body.Len() > 0 {
		t.Errorf("unsigned: got %d %q", w.Code, w.Body)
	}

	p := webhook.Partner{Name: "acme", Scheme: webhook.URLSecret{Param: "key"}, Challenges: []webhook.Challenge{
		{Method: http.MethodGet, Query: true, When: map[string]string{"mode": "subscribe"}, Echo: "nonce"}}}
	g = newRig(t, endpoint(t, p, token), nil)
	for _, tc := range []struct {
		method, query string
		status        int
		answer        string
	}{
		{"GET", "?mode=subscribe&nonce=n1&key=" + token, 200, "n1"},
		{"GET", "?mode=other&nonce=n1&key=" + token, 400, ""},
		{"GET", "?mode=subscribe&key=" + token, 400, ""},
		{"GET", "?mode=subscribe&nonce=n1&key=" + token + "1", 404, ""},
		{"POST", "?mode=subscribe&nonce=n1&key=" + token, 202, ""},
		{"PUT", "?mode=subscribe&nonce=n1&key=" + token, 405, ""},
	} {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, httptest.NewRequest(tc.method, "/acme"+tc.query, strings.NewReader("{}")))
		if w.Code != tc.status || w.Body.String() != tc.answer {
			t.Errorf("%s %s: got %d %q", tc.method, tc.query, w.Code, w.Body)
		}
	}
}

// faulty is a Dedupe that fails on demand.
type faulty struct {
	webhook.Memory
	claim, done, release error
}

func (d *faulty) Claim(ctx context.Context, key string, lease time.Duration) (string, webhook.State, error) {
	if d.claim != nil {
		return "", 0, d.claim
	}
	return d.Memory.Claim(ctx, key, lease)
}

func (d *faulty) Done(ctx context.Context, key, token string, keep time.Duration) error {
	if d.done != nil {
		return d.done
	}
	return d.Memory.Done(ctx, key, token, keep)
}

func (d *faulty) Release(ctx context.Context, key, token string) error {
	if d.release != nil {
		return d.release
	}
	return d.Memory.Release(ctx, key, token)
}

func TestHandler_WhatFails(t *testing.T) {
	t.Parallel()
	away := errors.New("no connection")
	fail := func(_ context.Context, m *webhook.Message) (string, error) { return "", away }
	for _, tc := range []struct {
		name    string
		change  func(*webhook.Endpoint, *webhook.Config, *inbox)
		outcome webhook.Outcome
		status  int
		events  int
		err     bool // away is in Err
	}{
		{"claiming", func(_ *webhook.Endpoint, c *webhook.Config, _ *inbox) { c.Dedupe = &faulty{claim: away} }, webhook.Unresolved, 503, 0, true},
		{"remembering", func(_ *webhook.Endpoint, c *webhook.Config, _ *inbox) { c.Dedupe = &faulty{done: away} }, webhook.Accepted, 202, 1, true},
		{"releasing", func(_ *webhook.Endpoint, c *webhook.Config, i *inbox) {
			c.Dedupe, i.fail = &faulty{release: away}, errors.New("full")
		}, webhook.NotKept, 503, 0, true},
		{"resolving", func(_ *webhook.Endpoint, c *webhook.Config, _ *inbox) {
			c.Resolve = func(*http.Request) (webhook.Endpoint, error) { return webhook.Endpoint{}, away }
		}, webhook.Unresolved, 503, 0, true},
		{"resolving to nothing", func(_ *webhook.Endpoint, c *webhook.Config, _ *inbox) {
			c.Resolve = func(*http.Request) (webhook.Endpoint, error) { return webhook.Endpoint{}, nil }
		}, webhook.Unresolved, 503, 0, false},
		{"a resolver that panics", func(_ *webhook.Endpoint, c *webhook.Config, _ *inbox) {
			c.Resolve = func(*http.Request) (webhook.Endpoint, error) { panic(away) }
		}, webhook.Panicked, 500, 0, false},
		{"a resolver that reads", func(_ *webhook.Endpoint, c *webhook.Config, _ *inbox) {
			next := c.Resolve
			c.Resolve = func(r *http.Request) (webhook.Endpoint, error) {
				if b, err := io.ReadAll(r.Body); len(b) > 0 || err != nil {
					return webhook.Endpoint{}, away
				}
				return next(r)
			}
		}, webhook.Accepted, 202, 1, false},
		{"finding the owner", func(e *webhook.Endpoint, _ *webhook.Config, _ *inbox) { e.Owner = fail }, webhook.Unresolved, 503, 0, true},
		{"nothing: the owner is found", func(e *webhook.Endpoint, _ *webhook.Config, _ *inbox) {
			e.Owner = func(context.Context, *webhook.Message) (string, error) { return "hotel/9", nil }
		}, webhook.Accepted, 202, 1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e, i := endpoint(t, webhook.GitHub(), "s"), &inbox{}
			c := webhook.Config{Sink: i}
			var last webhook.Result
			c.OnResult = func(_ context.Context, r webhook.Result) { last = r }
			c.Resolve = func(*http.Request) (webhook.Endpoint, error) { return e, nil }
			tc.change(&e, &c, i)
			h, err := webhook.NewHandler(c)
			if err != nil {
				t.Fatal(err)
			}
			w := (&rig{Handler: h}).post(webhook.GitHub().Scheme, "s", sample)
			if w.Code != tc.status || last.Outcome != tc.outcome || len(i.events) != tc.events || errors.Is(last.Err, away) != tc.err {
				t.Errorf("got %d, %+v, %d events", w.Code, last, len(i.events))
			}
			if tc.events > 0 && e.Owner != nil && !strings.HasPrefix(i.events[0].Key, "github/hotel%2F9/sha256:") {
				t.Errorf("got key %s", i.events[0].Key)
			}
			var p *webhook.PanicError
			if errors.As(last.Err, &p) && (p.Value() != any(away) || !strings.Contains(p.Stack, "receive_test.go")) {
				t.Errorf("got panic %v at %s", p.Value(), p.Stack)
			}
		})
	}
}

// A sink has what the partner's patience leaves it, and goes on when the partner hangs up.
func TestHandler_Patience(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		bound, want time.Duration
	}{{0, 1500 * time.Millisecond}, {time.Second, time.Second}, {time.Minute, 1500 * time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, endpoint(t, webhook.Cloudbeds(), token), func(c *webhook.Config) { c.Patience = tc.bound })
			g.inbox.block = true
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			start := time.Now()
			w := g.post(webhook.Cloudbeds().Scheme, token, sample, func(r *http.Request) { *r = *r.WithContext(ctx) })
			if got := time.Since(start); got != tc.want || w.Code != 503 || !errors.Is(g.last().Err, context.DeadlineExceeded) {
				t.Errorf("after %v: got %d, %v", got, w.Code, g.last().Err)
			}
		})
	}
}

// pipes is a listener in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// With net/http's server: a sender that does not go on is not waited for, and ErrAbortHandler reaches the server.
func TestHandler_Server(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, endpoint(t, webhook.GitHub(), "s"), nil)
		g.inbox.panics = http.ErrAbortHandler
		l, srv := make(pipes), &http.Server{Handler: g}
		ended := make(chan error)
		go func() { ended <- srv.Serve(l) }()
		// exchange writes what a client sends and returns what it reads until the connection ends.
		exchange := func(sent string) string {
			client, server := net.Pipe()
			l <- server
			go func() { _, _ = io.WriteString(client, sent) }() // the server may not read all of it
			got, _ := io.ReadAll(client)
			_ = client.Close()
			synctest.Wait()
			return string(got)
		}
		start := time.Now()
		got := exchange("POST /acme HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\r\nand then nothing")
		if waited := time.Since(start); !strings.HasPrefix(got, "HTTP/1.1 400 ") || g.last().Outcome != webhook.BadBody || waited > 6*time.Second {
			t.Errorf("after %v: got %q, %+v", waited, got, g.last())
		}
		m := &webhook.Message{Body: []byte("{}")}
		if err := webhook.Sign(webhook.GitHub().Scheme, m, "s", time.Now()); err != nil {
			t.Fatal(err)
		}
		sig := m.Header.Get("X-Hub-Signature-256")
		got = exchange("POST /acme HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: " + sig + "\r\nContent-Length: 2\r\n\r\n{}")
		if got != "" || g.last().Outcome != webhook.Panicked {
			t.Errorf("aborted: got %q, %+v", got, g.last())
		}
		g.inbox.panics = nil
		got = exchange("POST /acme HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Hub-Signature-256: " + sig + "\r\nContent-Length: 2\r\n\r\n{}")
		if !strings.HasPrefix(got, "HTTP/1.1 202 ") {
			t.Errorf("got %q", got)
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
