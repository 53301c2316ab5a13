package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// TestPromise8_NothingTold: whatever is wrong with a request, neither the secret nor the body nor a header is in what
// is answered, in what OnResult is told, or in what a value of this package prints as.
func TestPromise8_NothingTold(t *testing.T) {
	t.Parallel()
	const guest = "Erika.Mustermann@example.com"
	body := `{"event":"reservation.new","guest":"` + guest + `"}`
	for _, s := range subjects() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			var told strings.Builder
			note := func(vs ...any) {
				for _, v := range vs {
					for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
						_, _ = fmt.Fprintf(&told, verb+"\n", v)
					}
					slog.New(slog.NewTextHandler(&told, nil)).Info("x", "v", v)
					if j, err := json.Marshal(v); err == nil {
						told.Write(j)
					}
				}
			}
			secret := webhook.Secret{ID: "k1", Value: s.key.verify}
			v := s.verifier(t, secret)
			e := webhook.Endpoint{Verifier: v, Integration: "hotel-1", URL: "https://hooks.example.com/acme"}
			boom := "store"
			c := webhook.Config{
				Resolve: webhook.Paths(map[string]webhook.Endpoint{"/acme": e, "/acme/": e}),
				Sink: webhook.SinkFunc(func(_ context.Context, ev webhook.Event) error {
					_, _ = fmt.Fprintf(&told, "%v %+v %#v %s\n", ev, ev, ev, ev)
					slog.New(slog.NewJSONHandler(&told, nil)).Info("x", "event", ev)
					switch boom {
					case "store":
						boom = "panic"
						return errors.New("no connection")
					case "panic":
						boom = ""
						panic(body + s.key.sign)
					}
					return nil
				}),
				OnResult: func(_ context.Context, r webhook.Result) {
					note(r)
					if r.Err != nil {
						note(r.Err.Error())
					}
				},
			}
			h, err := webhook.NewHandler(c)
			if err != nil {
				t.Fatal(err)
			}
			note(v, e, secret, []webhook.Secret{secret}, map[string]*webhook.Verifier{"v": v}, h)
			try := func(sent, signer string, change func(*http.Request)) {
				r := httptest.NewRequest(http.MethodPost, "https://hooks.example.com/acme", strings.NewReader(sent))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Cookie", "session=canary-cookie")
				if err := webhook.SignRequest(s.partner.Scheme, r, signer, time.Now()); err != nil {
					t.Fatal(err)
				}
				change(r)
				m := webhook.NewMessage(r, []byte(sent))
				note(m, *m)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				_, _ = fmt.Fprintln(&told, w.Header(), w.Body)
			}
			for range 4 { // the sink fails, panics, works, has it
				try(body, s.key.sign, func(*http.Request) {})
			}
			try(body, s.key.sign, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(body + " ")) })
			try(body, s.key.sign, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") })
			try(body, s.key.sign, func(r *http.Request) { r.Header.Set("Content-Type", "text/"+guest) })
			try(body, s.key.sign, func(r *http.Request) { r.Method = http.MethodDelete })
			for _, change := range []func(string) string{strings.ToUpper, func(v string) string { return v + v }, func(v string) string { return v[:len(v)/2] }} {
				try(body, s.key.sign, func(r *http.Request) {
					for name, v := range r.Header {
						r.Header.Set(name, change(v[0]))
					}
				})
			}
			if _, err := webhook.NewVerifier(s.partner, secret, secret, webhook.Secret{Value: s.key.verify + "\x00"}, webhook.Secret{Value: "\x00" + s.key.verify}); err != nil {
				note(err)
			} else {
				t.Error("two secrets of one name")
			}
			got := told.String()
			for what, canary := range map[string]string{"the guest": guest, "the guest, as []byte": strings.Trim(fmt.Sprintf("%d", []byte(guest)), "[]"),
				"the guest, in hexadecimal": fmt.Sprintf("%x", guest), "a cookie": "canary-cookie", "the signing secret": s.key.sign} {
				if len(canary) > 3 && strings.Contains(got, canary) {
					at := strings.Index(got, canary)
					t.Errorf("%s is told: …%s…", what, got[max(0, at-80):at+len(canary)])
				}
			}
			if s.key.sign == s.key.verify && len(s.key.verify) > 10 && strings.Contains(got, fmt.Sprintf("%x", s.key.verify)) {
				t.Error("the secret is told in hexadecimal")
			}
		})
	}
}
