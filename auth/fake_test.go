package auth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

const apiURL = "https://api.example.com/v1/listings"

var apiOrigins = []string{"https://api.example.com"}

// issuer is a token endpoint: it issues token-1, token-2, … and takes a second for each. Its fields may be changed
// under mu.
type issuer struct {
	mu       sync.Mutex
	requests []time.Time
	issued   int
	lifetime time.Duration // 0: one that is not stated
	slow     time.Duration
	fail     func(n int) error // of the n-th request, counted from 1
	rotating bool              // each token's refresh token is good once
	refresh  string            // the one that is good
	sent     func()            // called when a token was issued, before it is answered
}

func newIssuer() *issuer { return &issuer{lifetime: time.Hour, slow: time.Second} }

func (i *issuer) Exchange(ctx context.Context, old auth.Token) (auth.Token, error) {
	i.mu.Lock()
	i.requests = append(i.requests, time.Now())
	n, slow, fail := len(i.requests), i.slow, i.fail
	i.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return auth.Token{}, context.Cause(ctx)
	}
	if fail != nil {
		if err := fail(n); err != nil {
			return auth.Token{}, err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.rotating && i.issued > 0 && string(old.Refresh) != i.refresh {
		return auth.Token{}, fmt.Errorf("%w: invalid_grant", auth.ErrGrant)
	}
	i.issued++
	t := auth.Token{Access: auth.Secret(fmt.Sprint("token-", i.issued))}
	if i.rotating {
		i.refresh = fmt.Sprint("refresh-", i.issued)
		t.Refresh = auth.Secret(i.refresh)
	}
	if i.lifetime > 0 {
		t.Expiry = time.Now().Add(i.lifetime)
	}
	if i.sent != nil {
		i.sent()
	}
	return t, nil
}

func (i *issuer) set(f func(*issuer)) { i.mu.Lock(); f(i); i.mu.Unlock() }

func (i *issuer) count() int { i.mu.Lock(); defer i.mu.Unlock(); return len(i.requests) }

// outage answers as a token endpoint that is down.
func outage(int) error {
	return &retry.Error{Verdict: retry.Verdict{Class: retry.Transient, Sent: retry.Answered}, Status: 503, Err: errors.New("down")}
}

// events collects what a source tells.
type events struct {
	mu  sync.Mutex
	all []auth.Event
}

func (e *events) add(ev auth.Event) { e.mu.Lock(); e.all = append(e.all, ev); e.mu.Unlock() }

func (e *events) count(k auth.EventKind) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		if ev.Kind == k {
			n++
		}
	}
	return n
}

func newSource(t testing.TB, c auth.SourceConfig) *auth.Source {
	t.Helper()
	if c.Key == "" {
		c.Key = "acme/one"
	}
	if c.Origins == nil {
		c.Origins = apiOrigins
	}
	s, err := auth.NewSource(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// token returns the access token that the source gives, and its generation.
func token(t testing.TB, s *auth.Source) (string, auth.Generation) {
	t.Helper()
	tok, g, err := s.Token(t.Context())
	if err != nil {
		t.Fatalf("Token: %v", err)
	}
	return string(tok.Access), g
}

func wantToken(t testing.TB, s *auth.Source, want string) {
	t.Helper()
	if got, _ := token(t, s); got != want {
		t.Errorf("Token: %s, want %s", got, want)
	}
}

// api is the partner's API: it takes the tokens that good accepts.
type api struct {
	mu     sync.Mutex
	seen   []string // values of Authorization
	bodies []string
	good   func(path, token string) int // the status
	slow   time.Duration
}

func (a *api) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req.Body.Close()
		body = string(b)
	}
	a.mu.Lock()
	value := req.Header.Get("Authorization")
	a.seen, a.bodies = append(a.seen, value), append(a.bodies, body)
	good, slow := a.good, a.slow
	a.mu.Unlock()
	time.Sleep(slow)
	status := http.StatusOK
	if good != nil {
		status = good(req.URL.Path, strings.TrimPrefix(value, "Bearer "))
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: req}, nil
}

func (a *api) requests() int { a.mu.Lock(); defer a.mu.Unlock(); return len(a.seen) }

// get makes a GET and returns the status.
func get(t testing.TB, rt http.RoundTripper, url string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}
