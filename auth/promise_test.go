package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

// TestPromise7_NobodyIsParkedForAToken: whatever holds a token up, a caller without patience gets an answer at once,
// with a time.
func TestPromise7_NobodyIsParkedForAToken(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setUp func(t *testing.T, w *world)
	}{
		{"a slow token endpoint", func(t *testing.T, w *world) { w.slow = 20 * time.Second }},
		{"a token endpoint that hangs", func(t *testing.T, w *world) { w.slow = time.Hour }},
		{"an outage", func(t *testing.T, w *world) { w.fail = outage }},
		{"a lock that a dead process holds", func(t *testing.T, w *world) {
			if _, err := w.store.LockToken(t.Context(), "acme/one", time.Hour); err != nil {
				t.Fatal(err)
			}
		}},
		{"a spent budget", func(t *testing.T, w *world) {
			var reqs []time.Time
			for range 1000 {
				reqs = append(reqs, time.Now())
			}
			if _, err := w.store.SaveToken(t.Context(), "acme/one", auth.Record{Requests: reqs}); err != nil {
				t.Fatal(err)
			}
		}},
		{"a pause", func(t *testing.T, w *world) {
			if _, err := w.store.SaveToken(t.Context(), "acme/one", auth.Record{CoolDown: time.Now().Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				tt.setUp(t, w)
				s, _ := w.start(t, 0)
				for range 50 {
					start := time.Now()
					_, _, err := s.Token(retry.WithMaxWait(t.Context(), 0))
					if time.Since(start) != 0 || retry.ClassOf(err) != retry.Unavailable || !retry.At(err).After(start) {
						t.Fatalf("after %v: %v, want Unavailable at once with a later time", time.Since(start), err)
					}
					time.Sleep(2 * time.Second)
					through := false
					w.set(func(i *issuer) { through = i.issued > 0 })
					if through {
						break
					}
				}
			})
		})
	}
}

// TestPromise8_NoSecretLeaves looks for canaries in everything that the package gives to be printed.
func TestPromise8_NoSecretLeaves(t *testing.T) {
	const canary = "canary-7d1f"
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	text := slog.New(slog.NewTextHandler(&out, nil))
	var mu sync.Mutex // events are told from the refresh's own goroutine
	show := func(what string, v any) {
		mu.Lock()
		defer mu.Unlock()
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, "%s "+verb+"\n", what, v)
		}
		log.Info(what, "value", v)
		text.Info(what, "value", v)
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
	}
	secret := auth.Secret(canary)
	show("secret", secret)
	show("pointer", &secret)
	show("nested", struct {
		A auth.Secret
		B []auth.Secret
		C map[string]auth.Secret
		D any
	}{secret, []auth.Secret{secret}, map[string]auth.Secret{"k": secret}, secret})
	show("token", auth.Token{Access: secret, Refresh: secret})
	show("record", auth.Record{Token: auth.Token{Access: secret, Refresh: secret}})
	sealing := auth.Key{ID: "a", Secret: auth.KeyBytes([]byte("canary-7d1f-canary-7d1f-canary-7"))}
	show("key", sealing)
	show("key's bytes", sealing.Secret)
	show("keys", newKeys(t, sealing))

	synctest.Test(t, func(t *testing.T) {
		key, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "Key", Key: secret, Origins: apiOrigins})
		if err != nil {
			t.Fatal(err)
		}
		show("API key", key)
		basic, err := auth.NewBasic(auth.BasicConfig{Username: "u", Password: secret, Origins: apiOrigins})
		if err != nil {
			t.Fatal(err)
		}
		show("basic", basic)
		e := &endpoint{body: `{"access_token":"` + canary + `","refresh_token":"` + canary + `","expires_in":3600}`}
		cc := credentials(e)
		cc.ClientSecret = secret
		cc.Transport = nil
		show("client credentials", cc)
		cc.Transport = e
		var s *auth.Source
		s = newSource(t, auth.SourceConfig{Exchanger: cc, OnEvent: func(ev auth.Event) {
			show("event", ev)
			if st, err := s.State(context.Background()); err != nil {
				t.Error(err)
			} else {
				show("state", st)
			}
		}})
		inQuery, err := auth.NewAPIKey(auth.APIKeyConfig{Query: "key", Key: secret, Origins: apiOrigins})
		if err != nil {
			t.Fatal(err)
		}
		a := &api{}
		for _, c := range []auth.Credential{key, basic, inQuery, s} {
			for _, address := range []string{apiURL, "https://evil.example/" + canary + "?key=" + canary} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := c.Wrap(a).RoundTrip(req)
				if err != nil {
					show("error", err)
					continue
				}
				show("the answer's request", fmt.Sprint(resp.Request.Header, resp.Request.URL))
			}
		}
		for _, body := range []endpoint{
			{status: 429, body: canary}, {status: 500, body: canary}, {status: 200, body: "<" + canary}, {status: 200, body: `{"error":"` + canary + `"}`},
			{status: 400, body: `{"error":"invalid_scope","error_description":"` + canary + `","error_uri":"` + canary + `"}`},
		} {
			time.Sleep(24 * time.Hour)
			header := e.header
			*e = body
			e.header = header
			_, _, err := s.Token(t.Context())
			if err == nil {
				t.Errorf("status %d: a token, want an error", body.status)
			}
			show("error", err)
			synctest.Wait()
		}
		show("source", s)
	})
	if s := out.String(); strings.Contains(s, canary) || strings.Contains(s, fmt.Sprintf("%x", canary)) || strings.Contains(s, "99 97 110 97 114 121") {
		i := strings.Index(s, canary)
		t.Errorf("a secret is shown (at %d): …%s…", i, s[max(0, i-200):min(len(s), max(0, i)+100)])
	}
	if n := strings.Count(out.String(), "[redacted]"); n < 50 {
		t.Errorf("%d redactions, want the secrets to have been looked at", n)
	}
}

// TestPromise9_OneTokensTroubleIsItsOwn: with one store for all, the dead, the throttled and the hanging leave the
// healthy one alone.
func TestPromise9_OneTokensTroubleIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := auth.NewMemoryStore()
		sick := map[string]*issuer{"dead": newIssuer(), "throttled": newIssuer(), "hanging": newIssuer(), "bursting": newIssuer()}
		sick["dead"].fail = func(int) error { return fmt.Errorf("%w: invalid_client", auth.ErrGrant) }
		sick["throttled"].fail = func(int) error {
			return &retry.Error{Verdict: retry.Verdict{Class: retry.RateLimit, At: time.Now().Add(time.Hour)}, Err: errors.New("429")}
		}
		sick["hanging"].slow = time.Hour
		sick["bursting"].lifetime = 2 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		var wg sync.WaitGroup
		for name, is := range sick {
			s := newSource(t, auth.SourceConfig{Key: "acme/" + name, Exchanger: is, Store: store, Budget: auth.Budget{Requests: 5, Per: time.Hour}})
			for range 16 {
				wg.Go(func() {
					for ctx.Err() == nil {
						_, _, _ = s.Token(ctx)
						time.Sleep(time.Second)
					}
				})
			}
		}
		healthy := newIssuer()
		s := newSource(t, auth.SourceConfig{Key: "acme/healthy", Exchanger: healthy, Store: store})
		slow := 0
		for ctx.Err() == nil {
			start := time.Now()
			if _, _, err := s.Token(ctx); err != nil && ctx.Err() == nil {
				t.Fatalf("the healthy one: %v", err)
			}
			if time.Since(start) > 0 {
				slow++
			}
			time.Sleep(500 * time.Millisecond)
		}
		wg.Wait()
		if slow != 1 {
			t.Errorf("%d calls of the healthy one waited, want the first only", slow)
		}
	})
}
