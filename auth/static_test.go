package auth_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/auth"
)

// sent returns the request that arrives behind c for one to address, whose own state must stay as it was.
func sent(t *testing.T, c auth.Credential, address string, h http.Header) (*http.Request, error) {
	t.Helper()
	var got *http.Request
	rt := c.Wrap(rtFunc(func(req *http.Request) (*http.Response, error) {
		got = req
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = h
	wantURL, wantHeader := req.URL.String(), h.Clone()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	if req.URL.String() != wantURL || len(req.Header) != len(wantHeader) || resp.Request != req {
		t.Errorf("the request was modified: %v %v", req.URL, req.Header)
	}
	return got, nil
}

func TestAPIKey(t *testing.T) {
	for _, tt := range []struct {
		c       auth.APIKeyConfig
		address string
		header  string
		query   string
	}{
		{auth.APIKeyConfig{Header: "x-api-key", Key: "k 1"}, apiURL, "k 1", ""},
		{auth.APIKeyConfig{Header: "X-Api-Key", Prefix: "Token ", Key: "k"}, apiURL + "?a=1", "Token k", "a=1"},
		{auth.APIKeyConfig{Query: "api key", Key: "k&1"}, apiURL, "", "api+key=k%261"},
		{auth.APIKeyConfig{Query: "key", Key: "k"}, apiURL + "?a=1&b=%2F", "", "a=1&b=%2F&key=k"},
		{auth.APIKeyConfig{Query: "key", Key: "k"}, apiURL + "?key=old&a=1&k%65y=old&monkey=1", "", "a=1&monkey=1&key=k"},
	} {
		tt.c.Origins = apiOrigins
		c, err := auth.NewAPIKey(tt.c)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range []http.Header{nil, {"Accept": {"a"}, "X-Api-Key": {"the caller's own"}}} {
			req, err := sent(t, c, tt.address, h)
			if err != nil {
				t.Fatal(err)
			}
			if tt.header != "" && req.Header.Get("X-Api-Key") != tt.header || req.URL.RawQuery != tt.query || h != nil && req.Header.Get("Accept") != "a" {
				t.Errorf("%s: sent %s with %v, want query %q and header %q", tt.address, req.URL, req.Header, tt.query, tt.header)
			}
		}
	}
}

func TestBasic(t *testing.T) {
	c, err := auth.NewBasic(auth.BasicConfig{Username: "Aladdin", Password: "open sesame", Origins: apiOrigins})
	if err != nil {
		t.Fatal(err)
	}
	req, err := sent(t, c, apiURL, nil)
	if err != nil || req.Header.Get("Authorization") != "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" { // RFC 7617 section 2
		t.Errorf("sent %v, %v", req, err)
	}
}

func TestConfigurationsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		make func() error
		want []string
	}{
		{func() error { _, err := auth.NewAPIKey(auth.APIKeyConfig{}); return err }, []string{"both empty", "Key is empty", "Origins is empty"}},
		{func() error {
			_, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "a b", Query: "c", Key: "canary\n", Prefix: "x\r", Origins: []string{"http://h"}})
			return err
		}, []string{"both set", "header's name", "Key holds a control", "Prefix holds a control", "Origins[0]"}},
		{func() error {
			_, err := auth.NewAPIKey(auth.APIKeyConfig{Query: "c", Key: "k", Prefix: "x", Origins: apiOrigins})
			return err
		}, []string{"Prefix is for"}},
		{func() error { _, err := auth.NewBasic(auth.BasicConfig{}); return err }, []string{"Username is empty", "Password is empty", "Origins is empty"}},
		{func() error {
			_, err := auth.NewBasic(auth.BasicConfig{Username: "a:b", Password: "[redacted]", Origins: apiOrigins})
			return err
		}, []string{"colon", "Password was redacted"}},
	} {
		err := tt.make()
		if err == nil {
			t.Errorf("accepted, want an error with %q", tt.want)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error does not say %q: %v", want, err)
			}
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

func TestOrigins(t *testing.T) {
	for _, tt := range []struct {
		declared, address string
		ok                bool
	}{
		{"https://api.example.com", "https://api.example.com/x", true},
		{"https://API.example.com:443/", "https://api.EXAMPLE.com/x", true},
		{"https://api.example.com", "HTTPS://api.example.com:443/x", true},
		{"https://api.example.com", "https://api.example.com:/x", true},
		{"https://api.example.com:8443", "https://api.example.com:8443/x", true},
		{"https://api.example.com:8443", "https://api.example.com:08443/x", true},
		{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example/", true},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080/", true},
		{"http://localhost", "http://localhost:80/", true},
		{"http://[::1]:80", "http://[0:0:0:0:0:0:0:1]/", true},
		{"https://[2001:db8::1]", "https://[2001:DB8::1]:443/", true},

		{"https://api.example.com", "http://api.example.com/x", false},
		{"https://api.example.com", "https://api.example.com:8443/x", false},
		{"https://api.example.com", "https://api.example.com./x", false},
		{"https://api.example.com", "https://x.api.example.com/x", false},
		{"https://api.example.com", "https://api.example.com@evil.example/", false},
		{"https://api.example.com", "https://api.example.com%2eevil.example/", false},
		{"https://api.example.com", "ftp://api.example.com/x", false},
		{"https://xn--bcher-kva.example", "https://bücher.example/", false},
		{"http://localhost:1", "http://localhost:2/", false},
		{"http://127.0.0.1", "http://127.0.0.2/", false},
		{"https://api.example.com", "/x", false},
	} {
		c, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "Key", Key: "k", Origins: []string{"https://other.example", tt.declared}})
		if err != nil {
			t.Errorf("%s: %v", tt.declared, err)
			continue
		}
		u, err := url.Parse(tt.address)
		if err != nil {
			continue // never becomes a request
		}
		reached := false
		rt := c.Wrap(rtFunc(func(req *http.Request) (*http.Response, error) {
			reached = true
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		}))
		resp, err := rt.RoundTrip(&http.Request{URL: u, Header: http.Header{}})
		if err == nil {
			resp.Body.Close()
		}
		if reached != tt.ok || errors.Is(err, auth.ErrOrigin) == tt.ok {
			t.Errorf("declared %s, request to %s: sent %v, %v, want %v", tt.declared, tt.address, reached, err, tt.ok)
		}
	}
	c, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "Key", Key: "k", Origins: apiOrigins})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []*url.URL{nil, {Scheme: "https", Host: strings.Repeat("x", 5000)}} {
		if _, err := c.Wrap(nil).RoundTrip(&http.Request{URL: u}); !errors.Is(err, auth.ErrOrigin) || len(err.Error()) > 250 {
			t.Errorf("no or a long address: %v, want a short ErrOrigin", err)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"https://api.example.com:443/", "https://api.example.com\\@evil", "https://[::1%25zone]/", "//api.example.com"} {
		f.Add(s)
	}
	c, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "Key", Key: "k", Origins: apiOrigins})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, address string) {
		u, err := url.Parse(address)
		if err != nil {
			return
		}
		rt := c.Wrap(rtFunc(func(req *http.Request) (*http.Response, error) {
			if !strings.EqualFold(u.Hostname(), "api.example.com") || u.Scheme != "https" || u.Port() != "" && strings.TrimLeft(u.Port(), "0") != "443" {
				t.Errorf("the credential went to %q", address)
			}
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		}))
		if resp, err := rt.RoundTrip(&http.Request{URL: u}); err == nil {
			resp.Body.Close()
		}
	})
}
