package driver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
)

func TestNewClientNamesEveryProblem(t *testing.T) {
	cb, err := breaker.New(breaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = driver.NewClient(driver.ClientConfig{
		Partner: "ac me", BaseURL: "https://user:canary@api.example.com", AttemptTimeout: -1, MaxBody: -1, LimitKey: "x", Breaker: cb,
		Header: http.Header{"X-A": {"a\r\nX-B: canary"}}, Retry: retry.Policy{MaxAttempts: -1},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	contains(t, err.Error(), "Partner", "user information", "AttemptTimeout", "MaxBody", "LimitKey", "Breaker", "Header", "MaxAttempts")
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret is in %v", err)
	}
	for _, u := range []string{"", "http://api.example.com", "ftp://x", "https://", "https://a.example/?x=1", "https://a.example/#f", "https://a.example/../x", "::", "https://a.example//x"} {
		if _, err := driver.NewClient(driver.ClientConfig{Partner: "acme", BaseURL: u}); err == nil || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%q: %v", u, err)
		}
	}
	for _, u := range []string{"https://a.example", "https://a.example/v1/", "http://127.0.0.1:8080", "http://localhost/x", "http://[::1]:1"} {
		if _, err := driver.NewClient(driver.ClientConfig{Partner: "acme", BaseURL: u}); err != nil {
			t.Errorf("%q: %v", u, err)
		}
	}
}

func TestURLs(t *testing.T) {
	var got string
	c := client(t, handler(t, func(w http.ResponseWriter, r *http.Request) { got = r.URL.String() }))
	for _, tt := range []struct {
		path  string
		query url.Values
		want  string
	}{
		{"", nil, base + "/v1"},
		{"/listings", nil, base + "/v1/listings"},
		{"/listings", url.Values{"b": {"2 &"}, "a": {"1"}}, base + "/v1/listings?a=1&b=2+%26"},
		{"/listings?x=1", url.Values{"a": {"1"}}, base + "/v1/listings?x=1&a=1"},
		{driver.Path("/l/{}", "a/b c"), nil, base + "/v1/l/a%2Fb%20c"},
		{"/a.b/c", nil, base + "/v1/a.b/c"},
		{base + "/v2/next?cursor=%2Fx", nil, base + "/v2/next?cursor=%2Fx"},
		{"https://API.example.com:443/v2", nil, base + "/v2"},
	} {
		if _, err := c.Do(t.Context(), driver.Call{Op: "x", Path: tt.path, Query: tt.query}); err != nil || got != tt.want {
			t.Errorf("%q: %q, %v; want %q", tt.path, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		path string
		err  error
	}{
		{"listings", nil}, {"//evil.example/x", nil}, {"/a/../b", nil}, {"/a/%2e%2E/b", nil}, {"/a/./b", nil}, {"/a#b", nil}, {"/a b", nil}, {"/a\nb", nil},
		{"/%zz", nil}, {`/a\..\b`, nil}, {driver.Path("/a/{}", ""), nil}, {driver.Path("/a/{}", ".."), nil},
		{"https://evil.example/x", auth.ErrOrigin}, {"http://api.example.com/x", auth.ErrOrigin}, {"https://api.example.com:8443/x", auth.ErrOrigin},
		{"https://u:p@api.example.com/x", auth.ErrOrigin}, {"https://api.example.com.evil.example/x", auth.ErrOrigin}, {"https://api.example.com/a/../b", nil},
	} {
		_, err := c.Do(t.Context(), driver.Call{Op: "x", Path: tt.path})
		if e := asError(t, err); e.Class != retry.Client || e.Sent != retry.Never || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%q: %v", tt.path, err)
		}
	}
}

func TestCallsThatAreWrong(t *testing.T) {
	s := handler(t, func(http.ResponseWriter, *http.Request) {})
	c := client(t, s)
	for _, call := range []driver.Call{
		{}, {Op: "a b"}, {Op: "x", Method: "GE T"}, {Op: "x", Cost: -1}, {Op: "x", Body: []byte("canary")}, {Op: "x", Body: func() {}},
		{Op: "x", Body: driver.XML{Value: map[string]string{"a": "canary"}}}, {Op: "x", Header: http.Header{"A b": {"c"}}}, {Op: "x", Header: http.Header{"A": {"canary\n"}}},
	} {
		_, err := c.Do(t.Context(), call)
		if e := asError(t, err); e.Class != retry.Client || e.Sent != retry.Never || e.Attempts != 0 || strings.Contains(e.Error(), "canary") {
			t.Errorf("%+v: %v", call, err)
		}
	}
	if s.requests() != 0 {
		t.Errorf("%d requests", s.requests())
	}
}

func TestBodies(t *testing.T) {
	type item struct {
		XMLName xml.Name `json:"-" xml:"item"`
		A       string   `json:"a" xml:"a"`
	}
	var media, text string
	c := client(t, handler(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		media, text = r.Header.Get("Content-Type"), string(b)
		if int64(len(b)) != r.ContentLength {
			t.Errorf("length %d of %q", r.ContentLength, b)
		}
	}))
	for _, tt := range []struct {
		body        any
		header      http.Header
		media, text string
	}{
		{nil, nil, "", ""},
		{url.Values{"a": {"b c"}}, nil, "application/x-www-form-urlencoded", "a=b+c"},
		{item{A: "x"}, nil, "application/json", `{"a":"x"}`},
		{driver.XML{Value: item{A: "x"}}, nil, "application/xml; charset=utf-8", xml.Header + "<item><a>x</a></item>"},
		{[]byte("raw"), http.Header{"Content-Type": {"text/plain"}}, "text/plain", "raw"},
		{map[string]int{"a": 1}, http.Header{"Content-Type": {"application/vnd.acme+json"}}, "application/vnd.acme+json", `{"a":1}`},
		{[]byte{}, http.Header{"content-type": {"text/plain"}}, "text/plain", ""},
	} {
		if _, err := c.Do(t.Context(), driver.Call{Op: "x", Method: "POST", Body: tt.body, Header: tt.header}); err != nil || media != tt.media || text != tt.text {
			t.Errorf("%v: %q %q, %v", tt.body, media, text, err)
		}
	}
}

func TestHeaders(t *testing.T) {
	var got http.Header
	c := client(t, handler(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header }), func(c *driver.ClientConfig) {
		c.Header = http.Header{"x-version": {"1"}, "Accept": {"text/xml"}}
	})
	call := driver.Call{Op: "x", Header: http.Header{"X-Version": {"2"}}}
	if _, err := c.Do(t.Context(), call); err != nil || got.Get("X-Version") != "2" || got.Get("Accept") != "text/xml" || got.Get("User-Agent") != "integrationkit" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := c.Do(t.Context(), driver.Call{Op: "x"}); err != nil || got.Get("X-Version") != "1" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAnswersThatAreErrors(t *testing.T) {
	for _, tt := range []struct {
		status int
		class  retry.Class
		is     error
	}{
		{404, retry.Client, driver.ErrNotFound}, {410, retry.Client, driver.ErrNotFound}, {400, retry.Client, nil}, {401, retry.Auth, nil},
		{304, retry.Client, nil}, {500, retry.Transient, nil},
	} {
		c := client(t, handler(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Request-Id", "req\x00-17"+strings.Repeat("x", 500))
			answer(tt.status, "application/json", `{"code":"E`+"\u2028"+`1","message":"`+strings.Repeat("ü", 300)+`","guest":"canary"}`)(w, nil)
		}), func(c *driver.ClientConfig) {
			c.Retry.MaxAttempts = 1
			c.Explain = func(status int, body []byte) (string, string) {
				var e struct{ Code, Message string }
				if err := json.Unmarshal(body, &e); err != nil || status != tt.status {
					return "", "unexplained"
				}
				return e.Code, e.Message
			}
		})
		_, err := c.Do(t.Context(), driver.Call{Op: "things.get", Path: "/secret-canary"})
		e := asError(t, err)
		if e.Class != tt.class || e.Status != tt.status || e.Partner != "acme" || e.Op != "things.get" || e.Integration != "i-1" || e.Attempts != 1 || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%d: %+v", tt.status, e)
		}
		if tt.status != 304 && (e.Code != "E 1" || e.Message != strings.Repeat("ü", 200)) {
			t.Errorf("%d: %q, %q", tt.status, e.Code, e.Message)
		}
		if len(e.RequestID) > 200 || !strings.HasPrefix(e.RequestID, "req -17") {
			t.Errorf("request id %q", e.RequestID)
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("a value is in %v", err)
		}
	}
}

func TestSuccessIsWhatTheClassifiersSay(t *testing.T) {
	dialect := retry.Classifier{
		PeekBody: func(r *http.Response) int { return 32 },
		Classify: func(x retry.Exchange) (retry.Verdict, bool) {
			switch {
			case bytes.Contains(x.Body, []byte(`"success":false`)):
				return retry.Verdict{Class: retry.Client, Sent: retry.Answered}, true
			case x.Response != nil && x.Response.StatusCode == http.StatusNotFound:
				return retry.Verdict{Class: retry.OK, Sent: retry.Answered}, true
			}
			return retry.Verdict{}, false
		},
	}
	with := func(c *driver.ClientConfig) {
		c.Retry.Classifiers = []retry.Classifier{dialect}
		c.Explain = func(_ int, b []byte) (string, string) { return "explained", fmt.Sprint(len(b)) }
	}
	no := `{"success":false,"message":"no such room"}`
	_, err := client(t, handler(t, answer(200, "application/json", no)), with).Do(t.Context(), driver.Call{Op: "x"})
	if e := asError(t, err); e.Class != retry.Client || e.Status != 200 || e.Code != "explained" || e.Message != fmt.Sprint(len(no)) {
		t.Errorf("got %+v", e)
	}
	resp, err := client(t, handler(t, answer(404, "application/json", "[]")), with).Do(t.Context(), driver.Call{Op: "x"})
	if err != nil || resp.Status != 404 || string(resp.Body) != "[]" {
		t.Errorf("got %+v, %v", resp, err)
	}
}

func TestBodyLimits(t *testing.T) {
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	zw.Write(make([]byte, 1<<20))
	zw.Close()
	small := func(c *driver.ClientConfig) { c.MaxBody = 1000 }
	for _, tt := range []struct {
		name, encoding string
		body           []byte
		want           int
		err            error
	}{
		{"just fits", "", make([]byte, 1000), 1000, nil},
		{"one too many", "", make([]byte, 1001), 0, driver.ErrTooLarge},
		{"far too many", "", make([]byte, 1<<20), 0, driver.ErrTooLarge},
		{"small until unpacked", "gzip", zipped.Bytes(), 0, driver.ErrTooLarge},
		{"no gzip", "gzip", []byte("plain text, and enough of it"), 0, driver.ErrUndecodable},
		{"unknown encoding", "br", []byte("x"), 0, driver.ErrUndecodable},
		{"empty gzip", "gzip", nil, 0, nil},
	} {
		s := handler(t, func(w http.ResponseWriter, _ *http.Request) {
			if tt.encoding != "" {
				w.Header().Set("Content-Encoding", tt.encoding)
			}
			w.Write(tt.body)
		})
		resp, err := client(t, s, small).Do(t.Context(), driver.Call{Op: "x"})
		switch {
		case tt.err == nil:
			if err != nil || len(resp.Body) != tt.want {
				t.Errorf("%s: %v", tt.name, err)
			}
		case !errors.Is(err, tt.err) || retry.ClassOf(err) != retry.Data || s.requests() != 1:
			t.Errorf("%s: %v after %d requests", tt.name, err, s.requests())
		}
	}
	// What an error says is not worth another error.
	_, err := client(t, handler(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		w.Write(make([]byte, 1<<20))
	}), small).Do(t.Context(), driver.Call{Op: "x"})
	if e := asError(t, err); e.Status != 400 || errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestUnzipped(t *testing.T) {
	c := client(t, handler(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		zw := gzip.NewWriter(w)
		io.WriteString(zw, `{"name":"a"}`)
		zw.Close()
	}))
	if v, err := driver.Get[named](t.Context(), c, "x", "/", nil); err != nil || v.Name != "a" {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestAnswerThatBreaksOffIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rt := roundTrip(func(req *http.Request) (*http.Response, error) {
			n++
			b := io.NopCloser(io.MultiReader(strings.NewReader(`{"name":`), iotest.ErrReader(io.ErrUnexpectedEOF)))
			if n == 3 {
				b = body([]byte(`{"name":"a"}`))
			}
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: b, Request: req, ContentLength: -1}, nil
		})
		c := client(t, rt)
		if v, err := driver.Get[named](t.Context(), c, "x", "/", nil); err != nil || v.Name != "a" || n != 3 {
			t.Errorf("%+v, %v after %d", v, err, n)
		}
		n = 0
		_, err := driver.Post[named](t.Context(), c, "x", "/", named{})
		if e := asError(t, err); n != 1 || e.Class != retry.Transient || e.Sent != retry.Unknown {
			t.Errorf("a write was sent %d times: %+v", n, e)
		}
	})
}

func TestRedirects(t *testing.T) {
	for _, tt := range []struct {
		method, to string
		status     int
		want       string
		err        error
	}{
		{"GET", "/v1/b", 302, "/v1/b", nil},
		{"GET", "b", 301, "/v1/b", nil},
		{"GET", "https://api.example.com:443/v1/b#f", 308, "/v1/b", nil},
		{"GET", "https://evil.example/v1/b", 302, "", auth.ErrOrigin},
		{"GET", "http://api.example.com/v1/b", 307, "", auth.ErrOrigin},
		{"GET", "//evil.example/", 302, "", auth.ErrOrigin},
		{"GET", "", 302, "", nil},
		{"GET", ":", 302, "", nil},
		{"GET", "/v1/a", 302, "", nil}, // for ever
		{"POST", "/v1/b", 307, "", nil},
	} {
		s := handler(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/b" {
				io.WriteString(w, r.URL.Path)
				return
			}
			w.Header().Set("Location", tt.to)
			w.WriteHeader(tt.status)
		})
		resp, err := client(t, s).Do(t.Context(), driver.Call{Op: "x", Method: tt.method, Path: "/a"})
		if tt.want != "" {
			if err != nil || string(resp.Body) != tt.want || resp.Attempts != 2 {
				t.Errorf("%s %q: %+v, %v", tt.method, tt.to, resp, err)
			}
			continue
		}
		if e := asError(t, err); e.Class != retry.Client || tt.err != nil && !errors.Is(err, tt.err) || strings.Contains(err.Error(), "evil") || s.requests() > 6 {
			t.Errorf("%s %q: %v after %d", tt.method, tt.to, err, s.requests())
		}
	}
}

func TestContextEnds(t *testing.T) {
	why := errors.New("the operator said so")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := client(t, handler(t, func(w http.ResponseWriter, _ *http.Request) {
		cancel(why)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	for i, want := range []retry.Sent{retry.Unknown, retry.Never} {
		_, err := c.Do(ctx, driver.Call{Op: "x"})
		if e := asError(t, err); e.Class != retry.Canceled || !errors.Is(err, why) || i == 1 && (e.Sent != want || e.Attempts != 0) {
			t.Errorf("%d: %+v", i, e)
		}
	}
	if err := c.Ready(ctx, "x"); retry.ClassOf(err) != retry.Canceled || !errors.Is(err, why) {
		t.Errorf("Ready: %v", err)
	}
}

func TestAttemptTimeoutBelongsToTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := client(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			if n++; n < 3 {
				<-req.Context().Done()
				return nil, context.Cause(req.Context())
			}
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		}), func(c *driver.ClientConfig) { c.AttemptTimeout = time.Second })
		resp, err := c.Do(t.Context(), driver.Call{Op: "x"})
		if err != nil || resp.Attempts != 3 || resp.Waits.Partner != 2*time.Second {
			t.Errorf("%+v, %v", resp, err)
		}
	})
}

func TestNetworkErrorsHoldNoURL(t *testing.T) {
	c := client(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("around: %w", &url.Error{Op: "Get", URL: req.URL.String(), Err: io.ErrUnexpectedEOF})
	}), func(c *driver.ClientConfig) { c.Retry.MaxAttempts = 1 })
	_, err := c.Do(t.Context(), driver.Call{Op: "x", Query: url.Values{"key": {"canary"}}})
	if e := asError(t, err); e.Class != retry.Transient || !errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		t.Errorf("there is still a %T", u)
	}
}

func TestSend(t *testing.T) {
	at := time.Now()
	json200 := client(t, handler(t, answer(200, "application/json", "\xef\xbb\xbf{\"name\":\"a\nb\"}")))
	if v, err := driver.Get[named](t.Context(), json200, "x", "/", nil); err != nil || v.Name != "a\nb" {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err := driver.Get[*named](t.Context(), json200, "x", "/", nil); err != nil || v.Name != "a\nb" {
		t.Errorf("%+v, %v", v, err)
	}
	if raw, err := driver.Get[json.RawMessage](t.Context(), json200, "x", "/", nil); err != nil || string(raw) != `{"name":"a\u000ab"}` {
		t.Errorf("%q, %v", raw, err)
	}
	if b, err := driver.Get[[]byte](t.Context(), json200, "x", "/", nil); err != nil || !bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) {
		t.Errorf("%q, %v", b, err)
	}
	resp, err := driver.Get[*driver.Response](t.Context(), json200, "x", "/", nil)
	if err != nil || resp.Status != 200 || resp.Attempts != 1 || resp.Sent.Before(at) || resp.Header.Get("Content-Type") == "" {
		t.Errorf("%+v, %v", resp, err)
	}

	empty := client(t, handler(t, answer(204, "", "")))
	if _, err := driver.Get[json.RawMessage](t.Context(), empty, "x", "/", nil); err != nil {
		t.Errorf("%v", err)
	}
	_, err = driver.Post[named](t.Context(), empty, "things.put", "/", nil)
	if e := asError(t, err); e.Class != retry.Data || e.Sent != retry.Answered || e.Status != 204 || e.Op != "things.put" || e.Attempts != 1 || !errors.Is(err, driver.ErrEmpty) {
		t.Errorf("%+v", e)
	}

	html := client(t, handler(t, answer(200, "text/html", "<!DOCTYPE html><html>canary</html>")))
	for _, err := range []error{
		second(driver.Get[named](t.Context(), html, "x", "/", nil)), second(driver.Get[json.RawMessage](t.Context(), html, "x", "/", nil)),
	} {
		if e := asError(t, err); e.Class != retry.Data || !errors.Is(err, driver.ErrUndecodable) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
