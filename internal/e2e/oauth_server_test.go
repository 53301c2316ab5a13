package e2e

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"

	"github.com/integrationkit/integrationkit/auth"
)

const (
	oauthClient = "kit"
	oauthSecret = "canary-client-secret"
)

// oauthServer is ory/fosite on loopback: authorization codes with PKCE enforced, refresh tokens that rotate, and a second use of
// one that revokes the whole grant. Its user consents to everything. It counts what came.
type oauthServer struct {
	url      string
	provider fosite.OAuth2Provider
	slow     time.Duration // between a refresh and its answer, so that kills find it
	busy     atomic.Int32  // refreshes that are not answered yet

	mu     sync.Mutex
	used   map[string]int // how often each refresh token came
	ended  int            // grants that ended with invalid_grant
	other  []string       // other refusals
	served int            // API calls that a token was good for
	denied int            // and those it was not
}

func newOAuthServer(t *testing.T, callback string, lifetime time.Duration) *oauthServer {
	t.Helper()
	config := &fosite.Config{
		AccessTokenLifespan: lifetime, RefreshTokenLifespan: time.Hour, AuthorizeCodeLifespan: time.Minute,
		GlobalSecret: []byte("thirty-two bytes of a test secret"), HashCost: 4, RefreshTokenScopes: []string{}, EnforcePKCE: true,
	}
	secret, err := (&fosite.BCrypt{Config: config}).Hash(t.Context(), []byte(oauthSecret))
	if err != nil {
		t.Fatal(err)
	}
	store := storage.NewMemoryStore()
	store.Clients[oauthClient] = &fosite.DefaultClient{
		ID: oauthClient, Secret: secret, RedirectURIs: []string{callback}, Scopes: []string{"read"},
		ResponseTypes: []string{"code"}, GrantTypes: []string{"authorization_code", "refresh_token"},
	}
	s := &oauthServer{used: map[string]int{}}
	s.provider = compose.Compose(config, store, compose.NewOAuth2HMACStrategy(config),
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory, compose.OAuth2PKCEFactory,
		compose.OAuth2TokenIntrospectionFactory)
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", s.authorize)
	mux.HandleFunc("/token", s.token)
	mux.HandleFunc("/api", s.api)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func (s *oauthServer) authorize(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	ar, err := s.provider.NewAuthorizeRequest(ctx, r)
	if err != nil {
		s.provider.WriteAuthorizeError(ctx, w, ar, err)
		return
	}
	for _, scope := range ar.GetRequestedScopes() {
		ar.GrantScope(scope)
	}
	resp, err := s.provider.NewAuthorizeResponse(ctx, ar, &fosite.DefaultSession{Subject: "human"})
	if err != nil {
		s.provider.WriteAuthorizeError(ctx, w, ar, err)
		return
	}
	s.provider.WriteAuthorizeResponse(ctx, w, ar, resp)
}

func (s *oauthServer) token(w http.ResponseWriter, r *http.Request) {
	ctx := context.WithoutCancel(r.Context()) // a request that arrived has its effect, whether or not its sender lives
	if refresh := r.PostFormValue("refresh_token"); refresh != "" {
		s.mu.Lock()
		s.used[refresh]++
		s.mu.Unlock()
	}
	ar, err := s.provider.NewAccessRequest(ctx, r, &fosite.DefaultSession{})
	if err == nil {
		var resp fosite.AccessResponder
		if resp, err = s.provider.NewAccessResponse(ctx, ar); err == nil {
			s.busy.Add(1)
			time.Sleep(s.slow)
			s.busy.Add(-1)
			s.provider.WriteAccessResponse(ctx, w, ar, resp)
			return
		}
	}
	s.mu.Lock()
	if name := fosite.ErrorToRFC6749Error(err).ErrorField; name == "invalid_grant" {
		s.ended++
	} else {
		s.other = append(s.other, name)
	}
	s.mu.Unlock()
	s.provider.WriteAccessError(ctx, w, ar, err)
}

func (s *oauthServer) api(w http.ResponseWriter, r *http.Request) {
	_, _, err := s.provider.IntrospectToken(r.Context(), fosite.AccessTokenFromRequest(r), fosite.AccessToken, &fosite.DefaultSession{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.denied++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.served++
}

// reuses returns how many refresh tokens came more than once, and the most often that one came.
func (s *oauthServer) reuses() (n, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.used {
		if most = max(most, times); times > 1 {
			n++
		}
	}
	return n, most
}

func (s *oauthServer) refreshes() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.used) }

func (s *oauthServer) grants() int { s.mu.Lock(); defer s.mu.Unlock(); return s.ended }

// host is the application: it mounts a CodeFlow, and its user presses the button.
type host struct {
	*httptest.Server
	flow *auth.CodeFlow
}

// newHost returns a host whose flow gives the tokens to keep, and the server that it asks.
func newHost(t *testing.T, lifetime time.Duration, keep func(context.Context, auth.Token) error) (*host, *oauthServer) {
	t.Helper()
	mux := http.NewServeMux()
	h := &host{Server: httptest.NewTLSServer(mux)}
	t.Cleanup(h.Close)
	s := newOAuthServer(t, h.URL+"/callback", lifetime)
	keys, err := auth.NewKeys(auth.Key{ID: "test", Secret: auth.KeyBytes{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	h.flow, err = auth.NewCodeFlow(auth.CodeFlowConfig{
		Client: oauthExchanger(s.url, nil), AuthorizeURL: s.url + "/authorize", CallbackURL: h.URL + "/callback",
		Scopes: []string{"read"}, Keys: keys, Done: "/done", Failed: "/failed",
		Subject: func(*http.Request) (string, error) { return "human", nil },
		OnToken: func(ctx context.Context, _ string, t auth.Token) error { return keep(ctx, t) },
		OnError: func(_ context.Context, _ string, err error) { t.Errorf("the code flow: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("POST /start", h.flow.Start())
	mux.Handle("GET /callback", h.flow.Callback())
	mux.HandleFunc("GET /done", func(http.ResponseWriter, *http.Request) {})
	return h, s
}

// authorize is a human who authorizes the host at the server.
func (h *host) authorize(t *testing.T) {
	t.Helper()
	jar := &jar{}
	hc := &http.Client{Transport: h.Client().Transport, Jar: jar}
	resp, err := hc.Post(h.URL+"/start", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/done" {
		t.Fatalf("the authorization ended at %s with %d, want /done", resp.Request.URL.Path, resp.StatusCode)
	}
	if jar.set != 2 { // at the start, and away at the end
		t.Errorf("%d cookies were set, want 2", jar.set)
	}
}

// jar keeps the last cookies set by a host and port: net/http/cookiejar takes hosts with different ports for one.
type jar struct {
	at      string
	cookies []*http.Cookie
	set     int
}

func (j *jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.at, j.cookies, j.set = u.Host, cookies, j.set+len(cookies)
}

func (j *jar) Cookies(u *url.URL) []*http.Cookie {
	if u.Host != j.at || u.Scheme != "https" {
		return nil
	}
	return j.cookies
}

func oauthExchanger(server string, rt http.RoundTripper) auth.RefreshToken {
	return auth.RefreshToken{
		TokenURL: server + "/token", ClientID: oauthClient, ClientSecret: oauthSecret, InHeader: true, Transport: rt,
	}
}

// closing is a transport of its own, whose connections end with it.
func closing(t *testing.T) *http.Transport {
	t.Helper()
	tr := &http.Transport{DialContext: (&net.Dialer{}).DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}
