package auth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
)

// flow is a host with a CodeFlow, and what its hooks were told.
type flow struct {
	c        auth.CodeFlowConfig
	e        *endpoint
	handlers *auth.CodeFlow
	tokens   []string // subject and access token
	errs     []error
	subjects []string // of errs
}

// newFlow returns a host; change may alter its configuration.
func newFlow(t testing.TB, change func(*auth.CodeFlowConfig)) *flow {
	t.Helper()
	f := &flow{e: &endpoint{body: `{"access_token":"canary-access","refresh_token":"canary-refresh","expires_in":3600}`}}
	f.c = auth.CodeFlowConfig{
		Client: refreshToken(f.e), AuthorizeURL: "https://auth.example.com/authorize?tenant=1",
		CallbackURL: "https://host.example/callback", Scopes: []string{"read", "write"}, Params: url.Values{"access_type": {"offline"}},
		Keys:    newKeys(t, auth.Key{ID: "a", Secret: auth.KeyBytes{1}}),
		Subject: func(*http.Request) (string, error) { return "hotel-7", nil },
		OnToken: func(ctx context.Context, subject string, tok auth.Token) error {
			f.tokens = append(f.tokens, subject+" "+string(tok.Access)+" "+string(tok.Refresh))
			return ctx.Err()
		},
		OnError: func(_ context.Context, subject string, err error) {
			f.errs, f.subjects = append(f.errs, err), append(f.subjects, subject)
		},
		Done: "/integrations", Failed: "/integrations?failed=1",
	}
	if change != nil {
		change(&f.c)
	}
	var err error
	if f.handlers, err = auth.NewCodeFlow(f.c); err != nil {
		t.Fatal(err)
	}
	return f
}

// start presses the button and returns the partner's page and the cookie.
func (f *flow) start(t testing.TB) (url.Values, *http.Cookie) {
	t.Helper()
	w := httptest.NewRecorder()
	f.handlers.Start().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "https://host.example/start", nil))
	cookies := w.Result().Cookies()
	u, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("start: %d to %v with %d cookies, %v", w.Code, u, len(cookies), err)
	}
	return u.Query(), cookies[0]
}

// back is the partner's redirect to the host.
func (f *flow) back(query string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "https://host.example/callback", nil)
	r.URL.RawQuery = query
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	f.handlers.Callback().ServeHTTP(w, r)
	return w
}

func TestCodeFlow(t *testing.T) {
	f := newFlow(t, nil)
	q, cookie := f.start(t)
	challenge := q.Get("code_challenge")
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "client", "redirect_uri": "https://host.example/callback", "scope": "read write",
		"code_challenge_method": "S256", "access_type": "offline", "tenant": "1", "client_secret": "",
	} {
		if got := q.Get(name); got != want {
			t.Errorf("the partner's page is asked with %s=%q, want %q", name, got, want)
		}
	}
	if len(q.Get("state")) < 43 || len(challenge) != 43 {
		t.Errorf("state of %d and challenge of %d characters, want 43: 256 bits", len(q.Get("state")), len(challenge))
	}
	if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.MaxAge != 600 ||
		cookie.Domain != "" || !strings.HasPrefix(cookie.Name, "__Host-") {
		t.Errorf("cookie %v", cookie)
	}

	w := f.back("code=canary-code&state="+q.Get("state"), cookie)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/integrations" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("callback: %d with %v, errors %v", w.Code, w.Header(), f.errs)
	}
	if gone := w.Result().Cookies(); len(gone) != 1 || gone[0].Name != cookie.Name || gone[0].MaxAge >= 0 {
		t.Errorf("cookies afterwards: %v, want it removed", gone)
	}
	if len(f.tokens) != 1 || f.tokens[0] != "hotel-7 canary-access canary-refresh" || len(f.errs) != 0 {
		t.Errorf("tokens %v, errors %v", f.tokens, f.errs)
	}
	sum := sha256.Sum256([]byte(f.e.form.Get("code_verifier")))
	if got := base64.RawURLEncoding.EncodeToString(sum[:]); got != challenge {
		t.Errorf("the verifier's hash is %s, want the challenge %s", got, challenge)
	}
	if f.e.form.Get("grant_type") != "authorization_code" || f.e.form.Get("code") != "canary-code" ||
		f.e.form.Get("redirect_uri") != "https://host.example/callback" {
		t.Errorf("the token endpoint got %v", f.e.form)
	}

	// Once only, also with the cookie put back.
	if w := f.back("code=canary-code&state="+q.Get("state"), cookie); w.Code != http.StatusBadRequest || f.e.requests != 1 {
		t.Errorf("a second time: %d after %d token requests, want 400 after 1", w.Code, f.e.requests)
	}
}

// Nothing but the browser that started a flow, in its time, gets a code traded.
func TestCodeFlowState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlow(t, nil)
		other := newFlow(t, func(c *auth.CodeFlowConfig) { c.CallbackURL = "https://host.example/other"; c.Keys = f.c.Keys })
		stranger := newFlow(t, nil)
		q, cookie := f.start(t)
		q2, cookie2 := f.start(t)
		qo, cookieO := other.start(t)
		qs, cookieS := stranger.start(t)
		state := "code=x&state=" + q.Get("state")
		swapped := *cookie2
		swapped.Name = cookie.Name
		altered := *cookie
		altered.Value = "A" + altered.Value[1:]
		notBase64 := *cookie
		notBase64.Value = "!"
		stranger.c.Keys = nil
		for name, w := range map[string]*httptest.ResponseRecorder{
			"no cookie":           f.back(state),
			"another flow's":      f.back(state, cookie2),
			"another state":       f.back("code=x&state="+q2.Get("state"), cookie),
			"a renamed cookie":    f.back(state, &swapped),
			"an altered cookie":   f.back(state, &altered),
			"not a cookie's text": f.back(state, &notBase64),
			"another partner's":   f.back("code=x&state="+qo.Get("state"), cookieO),
			"no state":            f.back("code=x", cookie),
			"two states":          f.back(state+"&state=y", cookie),
			"two codes":           f.back(state+"&code=y", cookie),
			"a broken query":      f.back(state+"&%zz", cookie),
			"an error":            f.back("error=access_denied", cookie),
			"a long state":        f.back("code=x&state="+strings.Repeat("x", 300), cookie),
		} {
			if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" {
				t.Errorf("%s: %d to %q, want 400", name, w.Code, w.Header().Get("Location"))
			}
		}
		for i, err := range f.errs {
			if !errors.Is(err, auth.ErrState) || f.subjects[i] != "" {
				t.Errorf("told %v of %q, want ErrState of nobody", err, f.subjects[i])
			}
		}
		if w := f.back("code=x&state="+qs.Get("state"), cookieS); w.Code != http.StatusSeeOther {
			t.Errorf("the same host in another process: %d, want 303: it has the keys", w.Code)
		}
		if w := f.back(state, cookie, cookie2); w.Code != http.StatusSeeOther {
			t.Errorf("in its time: %d, want 303", w.Code)
		}
		time.Sleep(10 * time.Minute)
		if w := f.back("code=x&state="+q2.Get("state"), cookie2); w.Code != http.StatusBadRequest || len(f.tokens) != 2 {
			t.Errorf("after its time: %d, %d tokens; want 400, 2", w.Code, len(f.tokens))
		}
	})
}

func TestCodeFlowFailures(t *testing.T) {
	for _, tt := range []struct {
		name, query string
		change      func(*auth.CodeFlowConfig)
		set         func(*endpoint)
		want        string
		code        string // of a CodeError; "-": none
	}{
		{name: "denied", query: "error=access_denied&error_description=canary", want: "access_denied", code: "access_denied"},
		{name: "a code that is none", query: "error=canary+%3Cscript%3E", want: "refused", code: ""},
		{name: "neither", query: "x=1", want: "neither", code: "-"},
		{name: "no issuer", query: "code=canary", change: func(c *auth.CodeFlowConfig) { c.Issuer = "https://auth.example.com" }, want: "issuer", code: "-"},
		{name: "another issuer", query: "code=canary&iss=https://canary.example", want: "issuer", code: "-",
			change: func(c *auth.CodeFlowConfig) { c.Issuer = "https://auth.example.com" }},
		{name: "a refused code", query: "code=canary", set: func(e *endpoint) { e.status, e.body = 400, `{"error":"invalid_grant"}` }, want: "invalid_grant", code: "-"},
		{name: "an unusable token", query: "code=canary", set: func(e *endpoint) { e.body = `{"access_token":"canary\n"}` }, want: "control", code: "-"},
		{name: "a store that fails", query: "code=canary", want: "kept", code: "-",
			change: func(c *auth.CodeFlowConfig) {
				c.OnToken = func(context.Context, string, auth.Token) error { return errors.New("full") }
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFlow(t, tt.change)
			if tt.set != nil {
				tt.set(f.e)
			}
			q, cookie := f.start(t)
			w := f.back(tt.query+"&state="+q.Get("state"), cookie)
			if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/integrations?failed=1" || len(f.tokens) != 0 {
				t.Errorf("%d to %q, %d tokens", w.Code, w.Header().Get("Location"), len(f.tokens))
			}
			if len(f.errs) != 1 || f.subjects[0] != "hotel-7" || !strings.Contains(f.errs[0].Error(), tt.want) ||
				strings.Contains(f.errs[0].Error(), "canary") {
				t.Fatalf("told %v, want one with %q", f.errs, tt.want)
			}
			if ce, ok := errors.AsType[*auth.CodeError](f.errs[0]); ok != (tt.code != "-") || ok && ce.Code != tt.code {
				t.Errorf("code %v, want %q", ce, tt.code)
			}
		})
	}
}

func TestCodeFlowStartRefuses(t *testing.T) {
	f := newFlow(t, func(c *auth.CodeFlowConfig) {
		c.Subject = func(r *http.Request) (string, error) {
			if r.Header.Get("User") == "" {
				return "", errors.New("canary: nobody")
			}
			return strings.Repeat("x", len(r.Header.Get("User"))), nil
		}
	})
	for _, tt := range []struct {
		name, method, site, user string
		want                     int
	}{
		{"a link", http.MethodGet, "", "u", http.StatusMethodNotAllowed},
		{"another page", http.MethodPost, "cross-site", "u", http.StatusForbidden},
		{"nobody", http.MethodPost, "same-origin", "", http.StatusForbidden},
		{"a long subject", http.MethodPost, "same-origin", strings.Repeat("u", 4000), http.StatusInternalServerError},
	} {
		r := httptest.NewRequest(tt.method, "https://host.example/start", nil)
		r.Header.Set("User", tt.user)
		r.Header.Set("Sec-Fetch-Site", tt.site)
		w := httptest.NewRecorder()
		f.handlers.Start().ServeHTTP(w, r)
		if w.Code != tt.want || len(w.Result().Cookies()) != 0 || strings.Contains(w.Body.String(), "canary") {
			t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.want)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "https://host.example/callback", nil)
	w := httptest.NewRecorder()
	if f.handlers.Callback().ServeHTTP(w, r); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST to the callback: %d, want 405", w.Code)
	}
}

func TestNewCodeFlowNamesEverything(t *testing.T) {
	_, err := auth.NewCodeFlow(auth.CodeFlowConfig{
		AuthorizeURL: "ftp://x", CallbackURL: "http://host.example/", Scopes: []string{"a b"}, Timeout: -1, Failed: "//elsewhere.example",
		Params: url.Values{"state": {"x"}, "scope": {"a"}, "two": {"1", "2"}}, Done: "elsewhere",
	})
	for _, want := range []string{
		"TokenURL", "ClientID", "ClientSecret", "AuthorizeURL", "CallbackURL", "Scopes[0]", "Params holds state", "Params holds scope",
		"Params holds two", "Keys", "Timeout", "Subject", "OnToken", "Done", "Failed",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	for _, bad := range []string{"", "/\\elsewhere.example", "javascript:alert(1)", "http://elsewhere.example/", "\t//elsewhere.example", "%zz"} {
		f := newFlow(t, nil)
		f.c.Done = bad
		if _, err := auth.NewCodeFlow(f.c); err == nil || !strings.Contains(err.Error(), "Done") {
			t.Errorf("Done %q: %v, want it named", bad, err)
		}
	}
}

// TestPromise8_CodeFlowTellsNothing looks for canaries in what browsers and hooks see of a flow.
func TestPromise8_CodeFlowTellsNothing(t *testing.T) {
	f := newFlow(t, func(c *auth.CodeFlowConfig) {
		c.Subject = func(*http.Request) (string, error) { return "canary-subject", nil }
	})
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", f.handlers, *f.handlers)
		client := refreshToken(nil)
		client.Transport = nil
		s := newSigner(t, auth.SignerConfig{Sign: func(*http.Request, []byte) error { return nil }})
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", s, *s, client)
	}
	for _, reply := range []string{
		f.e.body, `{"error":"Canary-1","error_description":"canary"}`, `canary`, `{"access_token":"canary\n","refresh_token":"canary"}`,
	} {
		f.e.body = reply
		for _, query := range []string{"code=canary-code", "error=Canary-1", "code=canary&iss=canary", "code=canary&code=canary"} {
			q, cookie := f.start(t)
			fmt.Fprintln(&out, q, cookie)
			w := f.back(query+"&state="+q.Get("state"), cookie)
			fmt.Fprintln(&out, w.Code, w.Header(), w.Body)
		}
		for _, err := range f.errs {
			fmt.Fprintf(&out, "%v %+v %#v\n", err, err, err)
		}
	}
	for line := range strings.Lines(out.String()) {
		if strings.Contains(strings.ToLower(line), "canary") {
			t.Errorf("a canary is in %s", line)
		}
	}
	if out.Len() < 1000 {
		t.Errorf("%d bytes were looked at", out.Len())
	}
}

// FuzzCallback: whatever comes, a code is traded, and the browser sent on, only with the state of the flow that its
// cookie is of; and never elsewhere than the host said.
func FuzzCallback(f *testing.F) {
	h := newFlow(f, nil)
	q, cookie := h.start(f)
	state := q.Get("state")
	f.Add("code=x&state="+state, cookie.Value)
	f.Add("error=access_denied&state="+state, cookie.Value)
	f.Add("code=x&state="+state+"&state="+state, cookie.Value)
	f.Add("code=x&state=%zz", "K")
	f.Add("code=x;state="+state, cookie.Value)
	f.Fuzz(func(t *testing.T, query, value string) {
		h := newFlow(t, nil) // has the same keys, and has seen no state
		c := *cookie
		c.Value = value
		w := h.back(query, &c)
		right := value == cookie.Value
		if p, err := url.ParseQuery(query); err != nil || len(p["state"]) != 1 || p.Get("state") != state {
			right = false
		}
		if to := w.Header().Get("Location"); to != "" && (!right || to != h.c.Done && to != h.c.Failed) || h.e.requests > 0 && !right {
			t.Errorf("%q with %q: %d to %q after %d token requests", query, value, w.Code, to, h.e.requests)
		}
		if w.Code != http.StatusBadRequest && w.Code != http.StatusSeeOther || len(h.tokens) > 0 && !strings.Contains(query, "code") {
			t.Errorf("%q: %d, %d tokens", query, w.Code, len(h.tokens))
		}
	})
}
