package auth_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

// onlyToken accepts one token, and answers 401 to others.
func onlyToken(want string) func(string, string) int {
	return func(_, token string) int {
		if token == want {
			return http.StatusOK
		}
		return http.StatusUnauthorized
	}
}

func TestWrapRefreshesOnceAndReplays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, a := newIssuer(), &api{slow: 100 * time.Millisecond}
		rt := newSource(t, auth.SourceConfig{Exchanger: is}).Wrap(a)
		if status, err := get(t, rt, apiURL); status != 200 {
			t.Fatalf("first: %d, %v", status, err)
		}
		a.good = onlyToken("token-2") // token-1 was revoked
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				body := fmt.Sprint("body ", i)
				ctx, attempt := retry.WithAttempt(t.Context())
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, apiURL, strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := rt.RoundTrip(req)
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("after the revocation: %v, %v", resp, err)
					return
				}
				if v := retry.Judge(req, resp, err); v.Class != retry.OK {
					t.Errorf("the replay was judged %v, want ok", v.Class)
				}
				if attempt.Waits.Auth != time.Second {
					t.Errorf("waited %v for the token, want 1s", attempt.Waits.Auth)
				}
				if resp.Request != req || req.Header.Get("Authorization") != "" {
					t.Error("the request, or the answer's, carries the credential")
				}
			})
		}
		wg.Wait()
		if n := is.count(); n != 2 {
			t.Errorf("%d token requests, want 2", n)
		}
		sent := map[string]int{}
		for _, b := range a.bodies {
			sent[b]++
		}
		for i := range 64 {
			if n := sent[fmt.Sprint("body ", i)]; n != 2 {
				t.Errorf("body %d was sent %d times, want twice", i, n)
			}
		}
	})
}

func TestWrapNeverReplaysWhatItCannot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, a := newIssuer(), &api{good: onlyToken("token-2")}
		rt := newSource(t, auth.SourceConfig{Exchanger: is}).Wrap(a)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, apiURL, io.MultiReader(strings.NewReader("once")))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil || resp.StatusCode != http.StatusUnauthorized || a.requests() != 1 {
			t.Errorf("a body that cannot be had again: %v, %v after %d requests, want the 401 after 1", resp, err, a.requests())
		}
		if status, err := get(t, rt, apiURL); status != 200 || a.requests() != 2 {
			t.Errorf("the next request: %d, %v after %d requests, want 200 at once", status, err, a.requests())
		}

		broken := errors.New("the file is gone")
		a.good = onlyToken("token-3")
		req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, apiURL, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		req.GetBody = func() (io.ReadCloser, error) { return nil, broken }
		if resp, err := rt.RoundTrip(req); err != nil || resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("with a GetBody that fails: %v, %v, want the 401", resp, err)
		}
	})
}

// guestyLike judges every 403 as a refused token, as a partner must be judged that answers so to expired ones.
var guestyLike = retry.Classifier{Classify: func(x retry.Exchange) (retry.Verdict, bool) {
	if x.Response != nil && x.Response.StatusCode == http.StatusForbidden {
		return retry.Verdict{Class: retry.Auth, Scope: retry.Credential, Sent: retry.Answered}, true
	}
	return retry.Verdict{}, false
}}

func getJudged(t *testing.T, rt http.RoundTripper, path string, wait time.Duration) (int, error) {
	t.Helper()
	ctx, _ := retry.WithAttempt(retry.WithMaxWait(t.Context(), wait), guestyLike)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com"+path, nil)
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

func TestForbiddenResourceDoesNotBurnTheQuota(t *testing.T) {
	for name, others := range map[string]bool{"with other traffic": true, "alone": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is := newIssuer()
				is.lifetime = 24 * time.Hour
				a := &api{good: func(path, _ string) int {
					if path == "/forbidden" {
						return http.StatusForbidden
					}
					return http.StatusOK
				}}
				budget := auth.Budget{Requests: 5, Per: 24 * time.Hour}
				rt := newSource(t, auth.SourceConfig{Exchanger: is, Budget: budget}).Wrap(a)
				for minute := range 6 * 60 {
					if others {
						if status, err := getJudged(t, rt, "/fine", time.Minute); status != 200 {
							t.Fatalf("minute %d: the permitted resource: %d, %v", minute, status, err)
						}
					}
					if status, err := getJudged(t, rt, "/forbidden", time.Minute); status != 403 {
						t.Fatalf("minute %d: the forbidden resource: %d, %v, want the partner's 403", minute, status, err)
					}
					time.Sleep(time.Minute)
				}
				most := 4 // one is left for the day's end
				if others {
					most = 2
				}
				if n := is.count(); n < 2 || n > most {
					t.Errorf("%d token requests in six hours of refusals, want 2 to %d", n, most)
				}
			})
		})
	}
}

func TestTokenThatDiesAfterARefusedReplayIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, a := newIssuer(), &api{}
		a.good = func(path, token string) int {
			if path == "/forbidden" {
				return 403
			}
			return 200
		}
		rt := newSource(t, auth.SourceConfig{Exchanger: is}).Wrap(a)
		if status, _ := getJudged(t, rt, "/forbidden", time.Minute); status != 403 || is.count() != 2 {
			t.Fatalf("forbidden: %d after %d token requests, want 403 after 2", status, is.count())
		}
		time.Sleep(10 * time.Minute)
		a.mu.Lock()
		a.good = onlyToken("token-3") // now the token is really dead
		a.mu.Unlock()
		status := 0
		for n := 1; n <= 5 && status != 200; n++ {
			status, _ = getJudged(t, rt, "/fine", time.Minute)
		}
		if status != 200 {
			t.Errorf("five requests after the token died: %d, want one to have replaced it", status)
		}
	})
}

func TestRefusedAndNoOtherTokenToBeHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, a := newIssuer(), &api{}
		rt := newSource(t, auth.SourceConfig{Exchanger: is}).Wrap(a)
		if _, err := get(t, rt, apiURL); err != nil {
			t.Fatal(err)
		}
		is.set(func(i *issuer) { i.fail = outage })
		a.good = onlyToken("none")
		_, err := get(t, rt, apiURL)
		if retry.ClassOf(err) != retry.Unavailable || !retry.At(err).After(time.Now()) {
			t.Errorf("401 during an outage of the token endpoint: %v, want Unavailable with a time", err)
		}
		if status, err := getJudged(t, rt, "/x", 0); retry.ClassOf(err) != retry.Unavailable {
			t.Errorf("again: %d, %v, want Unavailable at once", status, err)
		}
		a.good = func(string, string) int { return http.StatusForbidden }
		if status, err := getJudged(t, rt, "/x", time.Minute); status != 403 {
			t.Errorf("403 during the outage: %d, %v, want the partner's answer", status, err)
		}
		is.set(func(i *issuer) { i.fail = func(int) error { return fmt.Errorf("%w: invalid_client", auth.ErrGrant) } })
		time.Sleep(time.Minute)
		if status, err := getJudged(t, rt, "/x", time.Minute); !errors.Is(err, auth.ErrNeedsReauth) {
			t.Errorf("403 and a dead grant: %d, %v, want ErrNeedsReauth", status, err)
		}
	})
}

// closing notes that it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestEveryHopIsChecked(t *testing.T) {
	key, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "X-Key", Key: "canary", Origins: apiOrigins})
	if err != nil {
		t.Fatal(err)
	}
	basic, err := auth.NewBasic(auth.BasicConfig{Username: "u", Password: "canary", Origins: apiOrigins})
	if err != nil {
		t.Fatal(err)
	}
	inQuery, err := auth.NewAPIKey(auth.APIKeyConfig{Query: "key", Key: "canary", Origins: apiOrigins})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]auth.Credential{
		"header": key, "query": inQuery, "basic": basic, "source": newSource(t, auth.SourceConfig{Exchanger: &issuer{}}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, target := range []string{"https://evil.example/", "http://api.example.com/", "https://api.example.com:8443/", "https://api.example.com.evil.example/"} {
				var hosts []string
				redirecting := rtFunc(func(req *http.Request) (*http.Response, error) {
					hosts = append(hosts, req.URL.Scheme+"://"+req.URL.Host)
					return &http.Response{StatusCode: http.StatusTemporaryRedirect, Header: http.Header{"Location": {target}}, Body: http.NoBody, Request: req}, nil
				})
				resp, err := (&http.Client{Transport: c.Wrap(redirecting)}).Get(apiURL)
				if err == nil {
					resp.Body.Close()
				}
				e, ok := errors.AsType[*retry.Error](err)
				if !errors.Is(err, auth.ErrOrigin) || !ok || e.Class != retry.Client || e.Sent != retry.Never {
					t.Errorf("redirected to %s: %v, want ErrOrigin, class client, never sent", target, err)
				}
				if len(hosts) != 1 {
					t.Errorf("redirected to %s: requests went to %v", target, hosts)
				}
			}
			body := &closing{Reader: strings.NewReader("x")}
			req := &http.Request{Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: "evil.example"}, Body: body, Header: http.Header{}}
			if _, err := c.Wrap(nil).RoundTrip(req); !errors.Is(err, auth.ErrOrigin) || !body.closed {
				t.Errorf("refused with %v, body closed: %v", err, body.closed)
			}
		})
	}
}

type rtFunc func(*http.Request) (*http.Response, error)

func (f rtFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
