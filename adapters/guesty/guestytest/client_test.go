package guestytest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
)

// client is the least that can talk to the simulated partner. It is not the driver.
type client struct {
	t     *testing.T
	base  string
	rt    http.RoundTripper
	token string
}

// newServer returns a server and a client of its in-memory transport that has no token yet.
func newServer(t *testing.T, c guestytest.Config) (*guestytest.Server, *client) {
	t.Helper()
	s, err := guestytest.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, &client{t: t, base: "https://" + guestytest.Host, rt: s.Transport()}
}

// do sends the request and returns the answer with its body.
func (c *client) do(method, path, contentType, body string) (*http.Response, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.rt.RoundTrip(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, string(text)
}

func (c *client) get(path string) (*http.Response, string) {
	c.t.Helper()
	return c.do(http.MethodGet, path, "", "")
}

const goodForm = "grant_type=client_credentials&scope=open-api&client_id=" + guestytest.ClientID + "&client_secret=" +
	guestytest.ClientSecret

// login gets a token.
func (c *client) login() *client {
	c.t.Helper()
	resp, text := c.do(http.MethodPost, "/oauth2/token", "application/x-www-form-urlencoded", goodForm)
	var tok struct {
		AccessToken string `json:"access_token"`
	}
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("token: status %d: %s", resp.StatusCode, text)
	}
	decode(c.t, text, &tok)
	c.token = tok.AccessToken
	return c
}

func decode(t *testing.T, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
}

type envelope struct {
	Results []map[string]any
	Count   *int
	Limit   int
	Skip    int
}

// all pages through a classic list and returns its rows.
func (c *client) all(path, query string, limit int) []map[string]any {
	c.t.Helper()
	var out []map[string]any
	for skip := 0; ; skip += limit {
		q := url.Values{"limit": {itoa(limit)}, "skip": {itoa(skip)}}.Encode()
		if query != "" {
			q += "&" + query
		}
		resp, text := c.get(path + "?" + q)
		if resp.StatusCode != http.StatusOK {
			c.t.Fatalf("%s: status %d: %s", path, resp.StatusCode, text)
		}
		var e envelope
		decode(c.t, text, &e)
		out = append(out, e.Results...)
		if len(e.Results) < limit {
			return out
		}
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }
