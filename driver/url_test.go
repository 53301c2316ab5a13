package driver_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
)

// FuzzCallPath: wherever a path comes from, a request goes to the base URL's origin, and its path means the same to everyone.
func FuzzCallPath(f *testing.F) {
	for _, s := range []string{
		"/a", "", "//evil.example", "https://evil.example/", "https://api.example.com@evil.example/", "https://api.example.com/v2?x=1", "/a/%2e%2e/b", "/%2f..%2f",
		"/a?b#c", `\\evil.example`, "/a\r\nHost: evil", "https:/evil.example", "https://API.EXAMPLE.COM:443", "/a;b=..", "/..%00/",
	} {
		f.Add(s)
	}
	var got *url.URL
	c, err := driver.NewClient(driver.ClientConfig{Partner: "acme", BaseURL: base + "/v1", Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		got = req.URL
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	})})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got = nil
		if _, err := c.Do(t.Context(), driver.Call{Op: "x", Path: path}); err != nil {
			if got != nil {
				t.Fatalf("%q was sent to %v, and failed: %v", path, got, err)
			}
			return
		}
		if got.Scheme != "https" || got.Host != "api.example.com" || got.User != nil || got.Fragment != "" {
			t.Fatalf("%q was sent to %v", path, got)
		}
		again, err := url.Parse(got.String())
		if err != nil || again.EscapedPath() != got.EscapedPath() || again.Host != got.Host || again.RawQuery != got.RawQuery {
			t.Fatalf("%q was sent to %v, which reads as %v, %v", path, got, again, err)
		}
		if segs := strings.Split(got.Path, "/"); slices.Contains(segs, "..") || slices.Contains(segs, ".") {
			t.Fatalf("%q was sent to %v", path, got)
		}
	})
}
