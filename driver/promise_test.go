package driver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

func limiter(t *testing.T, tiers ...ratelimit.Tier) *ratelimit.Limiter {
	t.Helper()
	lim, err := ratelimit.New(tiers, ratelimit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return lim
}

func circuits(t *testing.T, c breaker.Config) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A call that would have to wait longer than its caller wants to, or whose circuit is open, returns at once with the time to come back at; and Ready says
// the same before.
func TestPromise7_NoWorkerIsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok := answer(200, "application/json", "{}")
		atOnce := func(name string, c *driver.Client, ctx context.Context, class retry.Class, at time.Duration) *retry.Error {
			t.Helper()
			began := time.Now()
			_, err := c.Do(ctx, driver.Call{Op: "x"})
			e := asError(t, err)
			if took := time.Since(began); took != 0 || e.Class != class || e.Sent != retry.Never || e.Attempts != 0 || e.At.Sub(began) != at || e.Partner != "acme" || e.Op != "x" {
				t.Errorf("%s: after %v %+v, want %v in %v", name, took, e, class, at)
			}
			r := asError(t, c.Ready(t.Context(), "x"))
			if r.Class != class || r.At.Sub(began) != at || r.Op != "x" {
				t.Errorf("%s: Ready says %+v", name, r)
			}
			return e
		}
		patient, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		short := retry.WithMaxWait(t.Context(), 5*time.Second)

		// An open circuit.
		cb := circuits(t, breaker.Config{MinCalls: 1, OpenFor: 30 * time.Second})
		failing := client(t, handler(t, answer(500, "", "")), func(c *driver.ClientConfig) { c.Breaker, c.Retry.MaxAttempts = cb, 1 })
		if err := failing.Ready(t.Context(), "x"); err != nil {
			t.Errorf("Ready before: %v", err)
		}
		if _, err := failing.Do(t.Context(), driver.Call{Op: "x"}); err == nil {
			t.Fatal("a 500 is no error")
		}
		for _, ctx := range []context.Context{t.Context(), patient, short} {
			if e := atOnce("open circuit", failing, ctx, retry.Unavailable, 30*time.Second); !errors.Is(e, breaker.ErrOpen) {
				t.Errorf("%v", e)
			}
		}

		// A spent quota, and a parked key.
		lim := limiter(t, ratelimit.Tier{Requests: 1, Per: time.Minute})
		spent := client(t, handler(t, ok), func(c *driver.ClientConfig) { c.Limiter, c.LimitKey = lim, "a" })
		if _, err := spent.Do(t.Context(), driver.Call{Op: "x"}); err != nil {
			t.Fatal(err)
		}
		e := atOnceClass(t, spent, short)
		if e.Class != retry.RateLimit || time.Until(e.At) <= 50*time.Second || time.Until(e.At) > 62*time.Second {
			t.Errorf("spent: %+v in %v", e, time.Until(e.At))
		}
		parked := client(t, handler(t, ok), func(c *driver.ClientConfig) { c.Limiter, c.LimitKey = lim, "b" })
		if err := lim.Park(t.Context(), "b", time.Now().Add(10*time.Minute)); err != nil {
			t.Fatal(err)
		}
		atOnce("parked", parked, short, retry.RateLimit, 10*time.Minute)

		// A partner that asks for an hour, and a gate.
		asks := client(t, handler(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		began := time.Now()
		_, err := asks.Do(t.Context(), driver.Call{Op: "x"})
		if e := asError(t, err); time.Since(began) != 0 || e.Class != retry.RateLimit || e.At.Sub(began) != time.Hour || e.Attempts != 1 {
			t.Errorf("Retry-After: %+v", e)
		}
		gate := client(t, handler(t, ok), func(c *driver.ClientConfig) {
			c.Gate = func() error {
				return &retry.Error{Verdict: retry.Verdict{Class: retry.Unavailable, Scope: retry.Partner, At: time.Now().Add(time.Minute), Sent: retry.Never}}
			}
		})
		atOnce("gate", gate, t.Context(), retry.Unavailable, time.Minute)
	})
}

func atOnceClass(t *testing.T, c *driver.Client, ctx context.Context) *retry.Error {
	t.Helper()
	began := time.Now()
	_, err := c.Do(ctx, driver.Call{Op: "x"})
	if took := time.Since(began); took != 0 {
		t.Errorf("it took %v", took)
	}
	return asError(t, err)
}

// Secrets stand where partners put them: in queries, headers, bodies, error messages. None of them gets into an error, a log line, a
// span or a metric.
func TestPromise8_NoSecretLeaves(t *testing.T) {
	const secret = "canary"
	header := http.Header{"X-Key": {secret}, "Authorization": {"Bearer " + secret}, "Location": {"https://evil.example/?k=" + secret}, "Set-Cookie": {secret}}
	respond := func(status int, media, text string) roundTrip {
		return func(req *http.Request) (*http.Response, error) {
			h := header.Clone()
			h.Set("Content-Type", media)
			return &http.Response{StatusCode: status, Header: h, Body: body([]byte(text)), Request: req, ContentLength: -1}, nil
		}
	}
	page := `{"name":"` + secret + `","n":"` + secret + `"}`
	partners := map[string]roundTrip{
		"good":        respond(200, "application/json", `{"name":"`+secret+`"}`),
		"wrong type":  respond(200, "application/json", page),
		"cut off":     respond(200, "application/json", page[:20]),
		"HTML":        respond(200, "text/html", "<html>"+secret),
		"bad request": respond(400, "application/json", page),
		"refused":     respond(401, "text/plain", secret),
		"broken":      respond(500, "application/json", page),
		"redirect":    respond(302, "text/html", secret),
		"odd status":  respond(799, secret, secret),
		"odd encoding": func(req *http.Request) (*http.Response, error) {
			r, err := respond(200, "", secret)(req)
			r.Header.Set("Content-Encoding", secret)
			return r, err
		},
		"network": func(req *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Get", URL: req.URL.String(), Err: fmt.Errorf("dial: %w", io.EOF)}
		},
	}
	for name, rt := range partners {
		r := &recorder{}
		key, err := auth.NewAPIKey(auth.APIKeyConfig{Query: "api_key", Key: secret, Origins: []string{base}})
		if err != nil {
			t.Fatal(err)
		}
		c := client(t, rt, func(c *driver.ClientConfig) {
			c.Credential, c.Telemetry, c.Retry.MaxAttempts = key, r.telemetry(), 1
			c.Header = http.Header{"X-Api-Key": {secret}}
			c.RequestID = []string{"X-Request-Id"}
		})
		call := driver.Call{Op: "things.put", Method: "PUT", Path: driver.Path("/t/{}", secret), Query: url.Values{secret: {secret}}, Body: map[string]string{secret: secret}}
		if name == "redirect" || name == "network" {
			call.Method, call.Body = "GET", nil
		}
		_, err = driver.Send[named](t.Context(), c, call)
		if (err == nil) != (name == "good") {
			t.Errorf("%s: %v", name, err)
		}
		for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), fmt.Sprintf("%q", errors.Unwrap(errors.Join(err)))} {
			if strings.Contains(text, secret) || strings.Contains(text, "evil") {
				t.Errorf("%s: the error says %s", name, text)
			}
		}
		if text := r.text(); strings.Contains(text, secret) || strings.Contains(text, "evil") {
			t.Errorf("%s: telemetry says %s", name, text)
		} else if !strings.Contains(text, "things.put") {
			t.Errorf("%s: nothing was recorded", name)
		}
	}
}

// What an integration does wrong is its own: a refused token, a storm of 429, an open circuit.
func TestPromise9_IntegrationsDoNotHurtEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := limiter(t, ratelimit.Tier{Requests: 100, Per: time.Minute})
		cb := circuits(t, breaker.Config{MinCalls: 5})
		partner := handler(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.Header.Get("X-Integration") {
			case "a":
				w.WriteHeader(http.StatusUnauthorized)
			case "b":
				w.Header().Set("Retry-After", "600")
				w.WriteHeader(http.StatusTooManyRequests)
			case "c":
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		of := func(id string) *driver.Client {
			return client(t, partner, func(c *driver.ClientConfig) {
				c.Integration, c.Limiter, c.LimitKey, c.Breaker = id, lim, id, cb
				c.Header = http.Header{"X-Integration": {id}}
			})
		}
		others := map[string]retry.Class{"a": retry.Auth, "b": retry.RateLimit, "c": retry.Transient}
		clients := map[string]*driver.Client{"d": of("d")}
		for id := range others {
			clients[id] = of(id)
		}
		for round := range 20 {
			for id, class := range others {
				_, err := clients[id].Do(retry.WithMaxWait(t.Context(), time.Second), driver.Call{Op: "x"})
				if round == 0 && retry.ClassOf(err) != class {
					t.Errorf("%s: %v", id, err)
				}
			}
			began := time.Now()
			resp, err := clients["d"].Do(t.Context(), driver.Call{Op: "x"})
			if err != nil || resp.Attempts != 1 || time.Since(began) != 0 {
				t.Fatalf("round %d: d has %+v, %v after %v", round, resp, err, time.Since(began))
			}
			if err := clients["d"].Ready(t.Context(), "x"); err != nil {
				t.Fatalf("round %d: d: %v", round, err)
			}
		}
		if s, _ := cb.State("c"); s == breaker.Closed {
			t.Error("c's circuit is closed")
		}
	})
}

// A write whose answer was lost is sent once, unless the partner recognises a repetition by its key; then every attempt carries the same.
func TestPromise10_NoWriteIsDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys []string
		lost := roundTrip(func(req *http.Request) (*http.Response, error) {
			keys = append(keys, req.Header.Get("Idempotency-Key"))
			b, _ := io.ReadAll(req.Body)
			if string(b) != `{"a":1}` {
				t.Errorf("attempt %d has the body %q", len(keys), b)
			}
			return nil, io.ErrUnexpectedEOF
		})
		write := func(c *driver.Client, ctx context.Context) *retry.Error {
			keys = nil
			_, err := driver.Post[[]byte](ctx, c, "things.add", "/", map[string]int{"a": 1})
			return asError(t, err)
		}
		keyed := retry.WithIdempotencyKey(t.Context(), "k-1")
		takesNone := client(t, lost)
		for _, ctx := range []context.Context{t.Context(), keyed} {
			if e := write(takesNone, ctx); len(keys) != 1 || e.Sent != retry.Unknown || e.Attempts != 1 {
				t.Errorf("sent %d times: %+v", len(keys), e)
			}
		}
		takes := client(t, lost, func(c *driver.ClientConfig) { c.Retry.IdempotencyHeader = "Idempotency-Key" })
		if e := write(takes, keyed); len(keys) != 4 || e.Attempts != 4 {
			t.Errorf("sent %d times: %+v", len(keys), e)
		}
		for _, k := range keys {
			if k != "k-1" {
				t.Errorf("keys %q", keys)
			}
		}
		// What became of the first attempt is not known, and a refusal of the last does not tell.
		n := 0
		throttled := client(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return nil, io.ErrUnexpectedEOF
			}
			return &http.Response{StatusCode: 429, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		}), func(c *driver.ClientConfig) { c.Retry.IdempotencyHeader, c.Retry.MaxAttempts = "Idempotency-Key", 2 })
		if e := write(throttled, keyed); n != 2 || e.Class != retry.RateLimit || e.Sent != retry.Unknown {
			t.Errorf("sent %d times: %+v", n, e)
		}
		// A destructive read is not repeated either.
		taken := 0
		queue := client(t, roundTrip(func(*http.Request) (*http.Response, error) { taken++; return nil, io.ErrUnexpectedEOF }))
		if _, err := driver.Get[[]byte](retry.WithIdempotent(t.Context(), false), queue, "queue.take", "/", nil); err == nil || taken != 1 {
			t.Errorf("taken %d times, %v", taken, err)
		}
	})
}
