package auth_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

func newSigner(t *testing.T, c auth.SignerConfig) *auth.Signer {
	t.Helper()
	c.Origins = apiOrigins
	s, err := auth.NewSigner(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The partner computes the signature of what it got.
func TestSigner(t *testing.T) {
	sum := func(method, target string, body []byte) string {
		mac := hmac.New(sha256.New, []byte("canary"))
		fmt.Fprintf(mac, "%s %s\n%s", method, target, body)
		return hex.EncodeToString(mac.Sum(nil))
	}
	s := newSigner(t, auth.SignerConfig{MaxBody: 10, Sign: func(req *http.Request, body []byte) error {
		q := req.URL.Query()
		q.Set("nonce", "1")
		req.URL.RawQuery = q.Encode()
		req.Header.Set("Signature", sum(req.Method, req.URL.RequestURI(), body))
		return nil
	}})
	rt := s.Wrap(rtFunc(func(req *http.Request) (*http.Response, error) {
		var body []byte
		if req.Body != nil && req.Body != http.NoBody {
			var err error
			if body, err = io.ReadAll(req.Body); err != nil {
				return nil, err
			}
			if again, err := req.GetBody(); err != nil {
				return nil, err
			} else if b, err := io.ReadAll(again); err != nil || !bytes.Equal(b, body) {
				t.Errorf("GetBody gives %q, want %q", b, body)
			}
			if req.ContentLength != int64(len(body)) {
				t.Errorf("length %d, want %d", req.ContentLength, len(body))
			}
		}
		if got, want := req.Header.Get("Signature"), sum(req.Method, req.URL.RequestURI(), body); got != want {
			t.Errorf("%s %s: signature %s, want %s", req.Method, req.URL.RequestURI(), got, want)
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
	}))
	for _, body := range []io.Reader{nil, http.NoBody, strings.NewReader("0123456789"), io.MultiReader(strings.NewReader("chunks"))} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, apiURL+"?b=2&a=1", body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if len(req.Header) != 0 || req.URL.RawQuery != "b=2&a=1" || resp.Request != req {
			t.Errorf("the caller's request was changed, or is not the answer's: %v %v", req.Header, req.URL)
		}
	}
}

// closed is a body that knows whether it was closed.
type closed struct {
	io.Reader
	yes bool
}

func (c *closed) Close() error { c.yes = true; return nil }

func TestSignerRefuses(t *testing.T) {
	fine := func(*http.Request, []byte) error { return nil }
	for _, tt := range []struct {
		name string
		url  string
		body io.Reader
		size int64
		sign func(*http.Request, []byte) error
		want error // nil: any
	}{
		{"an origin", "https://elsewhere.example/", strings.NewReader("x"), 1, fine, auth.ErrOrigin},
		{"a change of origin", apiURL, strings.NewReader("x"), 1, func(r *http.Request, _ []byte) error {
			r.URL.Host = "elsewhere.example"
			return nil
		}, auth.ErrOrigin},
		{"no address", apiURL, strings.NewReader("x"), 1, func(r *http.Request, _ []byte) error { r.URL = nil; return nil }, auth.ErrOrigin},
		{"a long body", apiURL, strings.NewReader("12345"), -1, fine, nil},
		{"a body that says it is long", apiURL, strings.NewReader("12345"), 5, fine, nil},
		{"a body that breaks", apiURL, io.MultiReader(strings.NewReader("1"), breaks{}), -1, fine, io.ErrClosedPipe},
		{"an error", apiURL, strings.NewReader("x"), 1, func(*http.Request, []byte) error {
			return &url.Error{Op: "sign", URL: "https://canary.example", Err: io.ErrNoProgress}
		}, io.ErrNoProgress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := 0
			rt := newSigner(t, auth.SignerConfig{Sign: tt.sign, MaxBody: 4}).Wrap(rtFunc(func(req *http.Request) (*http.Response, error) {
				sent++
				return nil, errors.New("sent")
			}))
			body := &closed{Reader: tt.body}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tt.url, body)
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = tt.size
			_, err = rt.RoundTrip(req)
			re, ok := errors.AsType[*retry.Error](err)
			if !ok || re.Sent != retry.Never || re.Class != retry.Client || sent != 0 || !body.yes {
				t.Errorf("%v; sent %d, body closed %v; want a Client error, unsent, body closed", err, sent, body.yes)
			}
			if tt.want != nil && !errors.Is(err, tt.want) || strings.Contains(fmt.Sprint(err), "canary") {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// breaks is a reader that fails.
type breaks struct{}

func (breaks) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestNewSignerNamesEverything(t *testing.T) {
	_, err := auth.NewSigner(auth.SignerConfig{MaxBody: -1})
	for _, want := range []string{"Sign is nil", "MaxBody", "Origins"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}
