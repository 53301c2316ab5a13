package cloudbeds_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds"
	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

// hosts gives a registry its integrations.
type hosts struct{ in driver.Integration }

func (h hosts) Integrations(context.Context, driver.Filter) iter.Seq2[driver.Integration, error] {
	return func(yield func(driver.Integration, error) bool) { yield(h.in, nil) }
}

func (h hosts) Integration(context.Context, string) (driver.Integration, error) { return h.in, nil }

// process is a host's process: a registry on a store of tokens.
func process(t *testing.T, s *cloudbedstest.Server, store auth.Store, in driver.Integration) *driver.Registry {
	t.Helper()
	reg := driver.NewRegistry(driver.Options{Transport: s.Transport(), Tokens: store, Integrations: hosts{in: in}})
	if err := cloudbeds.Register(reg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reg.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return reg
}

// Refresh tokens are good once, and a second use kills the grant: processes that share a store use each once, for a
// year.
func TestPromise4_RefreshTokensAreUsedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := cloudbedstest.NewServer(cloudbedstest.Config{Properties: 1, OAuth: true})
		if err != nil {
			t.Fatal(err)
		}
		store, in := auth.NewMemoryStore(), s.Integration("a")
		a, b := process(t, s, store, in), process(t, s, store, in)
		for range 40 {
			var wg sync.WaitGroup
			for _, reg := range []*driver.Registry{a, b} {
				wg.Go(func() {
					d, err := reg.Open(t.Context(), "a")
					if err == nil {
						err = d.Check(t.Context())
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			time.Sleep(9 * time.Hour) // an access token lives for 8
		}
		if used, again := s.Refreshes(); used != 40 || again != 0 {
			t.Errorf("%d refreshes, %d with a used token, want 40 and none", used, again)
		}

		// A closed season: nobody calls, and a daily sweep keeps the grant alive.
		for range 500 {
			time.Sleep(24 * time.Hour)
			sources, err := a.Sources(t.Context(), "a")
			if err != nil || len(sources) != 1 {
				t.Fatalf("%d token sources, %v", len(sources), err)
			}
			if err := sources[0].KeepAlive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		d, err := b.Open(t.Context(), "a")
		if err == nil {
			err = d.Check(t.Context())
		}
		if used, again := s.Refreshes(); err != nil || again != 0 || used < 42 || used > 45 {
			t.Errorf("after 500 days: %v, %d refreshes, %d with a used token", err, used, again)
		}
	})
}

// A refresh token that is not taken is what a human must mend, in the partner's own words for it, and is not tried
// again.
func TestDeadGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := cloudbedstest.NewServer(cloudbedstest.Config{Properties: 1, OAuth: true})
		if err != nil {
			t.Fatal(err)
		}
		in := s.Integration("a")
		in.Credentials["refresh_token"] = "cbrt_CANARY"
		reg := process(t, s, auth.NewMemoryStore(), in)
		for range 3 {
			d, err := reg.Open(t.Context(), "a")
			if err == nil {
				err = d.Check(t.Context())
			}
			if !errors.Is(err, auth.ErrNeedsReauth) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("Check: %v, want ErrNeedsReauth", err)
			}
		}
		if rep := s.Report(); rep.Requests > 1 {
			t.Errorf("%d requests, want the one that was refused", rep.Requests)
		}
		// The human comes.
		sources, err := reg.Sources(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if err := sources[0].Replace(t.Context(), auth.Token{Refresh: auth.Secret(s.Grant())}); err != nil {
			t.Fatal(err)
		}
		d, err := reg.Open(t.Context(), "a")
		if err == nil {
			err = d.Check(t.Context())
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// From the host's button to the first call: the flow gives its token to the integration's source.
func TestCodeFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := cloudbedstest.NewServer(cloudbedstest.Config{Properties: 1, OAuth: true})
		if err != nil {
			t.Fatal(err)
		}
		in := s.Integration("a")
		delete(in.Credentials, "refresh_token")
		reg := process(t, s, auth.NewMemoryStore(), in)
		c, err := cloudbeds.ConfigOf(in)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := auth.NewKeys(auth.Key{ID: "k", Secret: auth.KeyBytes([]byte("thirty-two bytes for these tests"))})
		if err != nil {
			t.Fatal(err)
		}
		f := c.CodeFlow(s.Transport(), "read:hotel", "read:reservation")
		f.CallbackURL, f.Keys, f.Done = "https://host.example/callback", keys, "/done"
		f.Subject = func(*http.Request) (string, error) { return "a", nil }
		f.OnToken = func(ctx context.Context, id string, tok auth.Token) error {
			sources, err := reg.Sources(ctx, id)
			if err == nil {
				err = sources[0].Replace(ctx, tok)
			}
			return err
		}
		f.OnError = func(_ context.Context, _ string, err error) { t.Error(err) }
		flow, err := auth.NewCodeFlow(f)
		if err != nil {
			t.Fatal(err)
		}
		start := httptest.NewRecorder()
		flow.Start().ServeHTTP(start, httptest.NewRequest(http.MethodPost, "https://host.example/start", nil))
		page := start.Header().Get("Location")
		if !strings.HasPrefix(page, "https://hotels.cloudbeds.com/api/v1.3/oauth?") ||
			!strings.Contains(page, "scope=read%3Ahotel+read%3Areservation") {
			t.Errorf("the browser is sent to %s", page)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, nil)
		if err != nil {
			t.Fatal(err)
		}
		granted, err := s.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		granted.Body.Close()
		back := httptest.NewRequest(http.MethodGet, granted.Header.Get("Location"), nil)
		for _, c := range start.Result().Cookies() {
			back.AddCookie(c)
		}
		end := httptest.NewRecorder()
		flow.Callback().ServeHTTP(end, back)
		if end.Header().Get("Location") != "/done" {
			t.Errorf("the flow ends with %d %s", end.Code, end.Body)
		}
		d, err := reg.Open(t.Context(), "a")
		if err == nil {
			err = d.Check(t.Context())
		}
		if err != nil {
			t.Error(err)
		}
	})
}

func TestOAuthEndpoints(t *testing.T) {
	for base, want := range map[string][2]string{
		"": {"https://hotels.cloudbeds.com/api/v1.3/oauth",
			"https://api.cloudbeds.com/api/v1.3/access_token"},
		"https://api.cloudbeds.com/": {"https://hotels.cloudbeds.com/api/v1.3/oauth",
			"https://api.cloudbeds.com/api/v1.3/access_token"},
		"https://eu.cloudbeds.com": {"https://eu.cloudbeds.com/api/v1.3/oauth",
			"https://eu.cloudbeds.com/api/v1.3/access_token"},
		"http://127.0.0.1:8080/api": {"http://127.0.0.1:8080/api/v1.3/oauth",
			"http://127.0.0.1:8080/api/v1.3/access_token"},
		"https://not a base, refused": {"https://hotels.cloudbeds.com/api/v1.3/oauth",
			"https://api.cloudbeds.com/api/v1.3/access_token"},
	} {
		c := cloudbeds.Config{BaseURL: base, ClientID: "c", ClientSecret: "s"}
		f := c.CodeFlow(nil)
		if f.AuthorizeURL != want[0] || f.Client.TokenURL != want[1] || c.Client(nil).Validate() != nil {
			t.Errorf("%s: %s and %s", base, f.AuthorizeURL, f.Client.TokenURL)
		}
		if u, err := url.Parse(f.AuthorizeURL); err != nil || u.Host == "" {
			t.Errorf("%s: %v", base, err)
		}
	}
}

// A driver made without a registry asks for its tokens by the transport that it makes its calls by.
func TestTokensTravelWithTheCalls(t *testing.T) {
	s, err := cloudbedstest.NewServer(cloudbedstest.Config{Properties: 1, OAuth: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d, err := cloudbeds.New(driver.Env{Integration: s.Integration("a"), Transport: s.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(t.Context()); err != nil || s.Report().TokenRequests != 1 {
		t.Errorf("%v, %d token requests", err, s.Report().TokenRequests)
	}
}
