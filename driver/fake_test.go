package driver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
)

const base = "https://api.example.com"

// roundTrip is a partner in memory.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, context.Cause(req.Context())
	}
	resp, err := f(req)
	if req.Body != nil {
		req.Body.Close()
	}
	return resp, err
}

// serve is a partner that a handler plays. Its bodies must be closed.
type serve struct {
	http.Handler
	t  *testing.T
	mu sync.Mutex
	n  int // requests so far
	// open counts bodies not closed.
	open int
}

type counted struct {
	io.Reader
	s    *serve
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() {
		c.s.mu.Lock()
		c.s.open--
		c.s.mu.Unlock()
	})
	return nil
}

func (s *serve) RoundTrip(req *http.Request) (*http.Response, error) {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		s.mu.Lock()
		s.n++
		s.open++
		s.mu.Unlock()
		in := req.Clone(req.Context())
		if in.Body == nil {
			in.Body = http.NoBody
		}
		s.ServeHTTP(rec, in)
		resp := rec.Result()
		resp.Request = req
		resp.Body = &counted{Reader: resp.Body, s: s}
		return resp, nil
	})(req)
}

func (s *serve) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

func handler(t *testing.T, f http.HandlerFunc) *serve {
	t.Helper()
	s := &serve{Handler: f, t: t}
	t.Cleanup(func() {
		if s.open != 0 {
			t.Errorf("%d bodies were not closed", s.open)
		}
	})
	return s
}

// answer is a handler that always says the same.
func answer(status int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func client(t *testing.T, rt http.RoundTripper, change ...func(*driver.ClientConfig)) *driver.Client {
	t.Helper()
	c := driver.ClientConfig{Partner: "acme", Integration: "i-1", BaseURL: base + "/v1", Transport: rt}
	for _, f := range change {
		f(&c)
	}
	cl, err := driver.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

func asError(t *testing.T, err error) *retry.Error {
	t.Helper()
	e, ok := errors.AsType[*retry.Error](err)
	if !ok {
		t.Fatalf("%T is no *retry.Error: %v", err, err)
	}
	return e
}

func body(b []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not contain %q", text, p)
		}
	}
}
