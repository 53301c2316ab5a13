package retry_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func request(t testing.TB, method string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://partner.example/v1?key=sekret", body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func answer(status int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: http.NoBody}
}

func TestDefaultOfStatus(t *testing.T) {
	const later = "90"
	at := start.Add(90 * time.Second)
	done := retry.Verdict{Sent: retry.Answered}
	client := retry.Verdict{Class: retry.Client, Sent: retry.Answered}
	failed := retry.Verdict{Class: retry.Transient, Sent: retry.Answered, Fault: true, At: at}
	unprocessed := retry.Verdict{Class: retry.Transient, Sent: retry.Never, At: at}
	for want, statuses := range map[retry.Verdict][]int{
		done:        {100, 101, 200, 201, 204, 206, 301, 302, 304, 307, 399},
		client:      {400, 402, 404, 405, 409, 410, 412, 413, 415, 422, 428, 431, 451, 499, 501, 505},
		failed:      {0, 99, 408, 500, 502, 503, 504, 507, 508, 511, 520, 529, 599, 600, 999},
		unprocessed: {421, 425},
		{Class: retry.RateLimit, Scope: retry.Integration, Sent: retry.Never, At: at}: {429},
		{Class: retry.Auth, Scope: retry.Credential, Sent: retry.Answered}:            {401},
		{Class: retry.Auth, Scope: retry.Endpoint, Sent: retry.Answered}:              {403},
		{Class: retry.Auth, Scope: retry.Partner, Sent: retry.Answered}:               {407},
	} {
		for _, s := range statuses {
			x := retry.Exchange{Request: request(t, "GET", nil), Response: answer(s, "Retry-After", later), Now: start}
			if got := retry.Default(x); got != want {
				t.Errorf("%d: got %+v, want %+v", s, got, want)
			}
			got := retry.Judge(x.Request, x.Response, nil)
			got.At = want.At // Judge reads the clock
			if got != want {
				t.Errorf("%d: Judge gives %+v, want %+v", s, got, want)
			}
		}
	}
	x := retry.Exchange{Response: answer(503), Now: start}
	if got := retry.Default(x); !got.At.IsZero() {
		t.Errorf("without Retry-After, At is %v", got.At)
	}
}

// A RoundTripper that returns neither an answer nor an error does not make anybody panic.
func TestDefaultOfNothing(t *testing.T) {
	want := retry.Verdict{Class: retry.Transient, Fault: true}
	if got := retry.Default(retry.Exchange{}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	ctx, _ := retry.WithAttempt(t.Context(), retry.Classifier{Classify: func(x retry.Exchange) (retry.Verdict, bool) {
		if x.Err == nil {
			t.Error("a classifier gets neither an answer nor an error")
		}
		return retry.Verdict{}, false
	}})
	if got := retry.Judge(request(t, "GET", nil).WithContext(ctx), nil, nil); got != want {
		t.Errorf("Judge gives %+v, want %+v", got, want)
	}
}

func TestDefaultOfError(t *testing.T) {
	var (
		unclear     = retry.Verdict{Class: retry.Transient, Fault: true}
		never       = retry.Verdict{Class: retry.Transient, Fault: true, Sent: retry.Never}
		unconnected = retry.Verdict{Class: retry.Transient, Fault: true, Sent: retry.Never, Scope: retry.Partner}
		untrusted   = retry.Verdict{Class: retry.Unavailable, Fault: true, Sent: retry.Never, Scope: retry.Partner}
		refused     = retry.Verdict{Class: retry.Client, Sent: retry.Never}
		canceled    = retry.Verdict{Class: retry.Canceled}
		own         = retry.Verdict{Class: retry.RateLimit, Scope: retry.Credential, At: start, Sent: retry.Never}
	)
	for name, tt := range map[string]struct {
		err  error
		want retry.Verdict
	}{
		"end of file":       {io.EOF, unclear},
		"cut":               {io.ErrUnexpectedEOF, unclear},
		"reset":             {&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, unclear},
		"broken pipe":       {&net.OpError{Op: "write", Err: errors.New("broken pipe")}, unclear},
		"someone's timeout": {fmt.Errorf("x: %w", context.DeadlineExceeded), unclear},
		"dial":              {&net.OpError{Op: "dial", Err: errors.New("no route to host")}, unconnected},
		"proxy":             {&net.OpError{Op: "proxyconnect", Err: errors.New("Forbidden")}, unconnected},
		"DNS":               {&url.Error{Op: "Get", Err: &net.DNSError{Err: "no such host", Name: "partner.example"}}, unconnected},
		"handshake timeout": {fmt.Errorf("x: %w", errors.New("net/http: TLS handshake timeout")), unconnected},
		"handshake refused": {&net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}, unconnected},
		"other alert":       {&net.OpError{Op: "remote error", Err: errors.New("tls: internal error")}, unclear},
		"certificate":       {&tls.CertificateVerificationError{Err: errors.New("x")}, untrusted},
		"unknown authority": {x509.UnknownAuthorityError{}, untrusted},
		"host name":         {x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}, untrusted},
		"expired":           {x509.CertificateInvalidError{Reason: x509.Expired}, untrusted},
		"no TLS":            {tls.RecordHeaderError{Msg: "x"}, untrusted},
		"HTTP for HTTPS":    {&url.Error{Op: "Get", Err: http.ErrSchemeMismatch}, untrusted},
		"refused stream":    {errors.New("stream error: stream ID 7; REFUSED_STREAM; received from peer"), never},
		"refused, bare":     {fmt.Errorf("x: %w", errors.New("stream error: stream ID 7; REFUSED_STREAM")), never},
		"GOAWAY":            {errors.New("http2: Transport received Server's graceful shutdown GOAWAY"), never},
		"internal stream":   {errors.New("stream error: stream ID 7; INTERNAL_ERROR; received from peer"), unclear},
		"quoted in cause":   {errors.New("stream error: stream ID 7; PROTOCOL_ERROR; bad; REFUSED_STREAM"), unclear},
		"quoted in debug": {errors.New(`http2: server sent GOAWAY and closed the connection; LastStreamID=9, ErrCode=NO_ERROR, debug="REFUSED_STREAM"`),
			unclear},
		"quoted in URL":      {&url.Error{Op: "Post", URL: "https://h/REFUSED_STREAM", Err: io.EOF}, unclear},
		"unsendable header":  {errors.New(`net/http: invalid header field value for "X-Key"`), refused},
		"unsendable method":  {&url.Error{Err: errors.New(`net/http: invalid method "GE T"`)}, refused},
		"somebody cancelled": {fmt.Errorf("x: %w", context.Canceled), canceled},
		"own refusal":        {&url.Error{Op: "Get", Err: fmt.Errorf("x: %w", &retry.Error{Verdict: own})}, own},
	} {
		x := retry.Exchange{Request: request(t, "GET", nil), Err: tt.err, Now: start}
		if got := retry.Default(x); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
		if got := retry.Judge(x.Request, nil, tt.err); got != tt.want {
			t.Errorf("%s: Judge gives %+v, want %+v", name, got, tt.want)
		}
		x.Request = nil
		if got := retry.Default(x); got != tt.want {
			t.Errorf("%s: without the request: got %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestDefaultOfEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("shutting down"))
	for _, err := range []error{io.EOF, context.Canceled, context.Cause(ctx), &net.OpError{Op: "dial", Err: ctx.Err()}} {
		got := retry.Default(retry.Exchange{Request: request(t, "GET", nil).WithContext(ctx), Err: err})
		if want := (retry.Verdict{Class: retry.Canceled}); got != want {
			t.Errorf("%v: got %+v, want %+v", err, got, want)
		}
	}
}

func TestDefaultOfUnusableURL(t *testing.T) {
	for _, u := range []*url.URL{nil, {Scheme: "https"}, {Scheme: "ftp", Host: "h"}, {Host: "h"}} {
		req := request(t, "GET", nil)
		req.URL = u
		got := retry.Default(retry.Exchange{Request: req, Err: errors.New("unsupported protocol scheme")})
		if want := (retry.Verdict{Class: retry.Client, Sent: retry.Never}); got != want {
			t.Errorf("%v: got %+v, want %+v", u, got, want)
		}
	}
}

// TestDefaultOfRealFailures has net, crypto/tls and net/http make the errors.
func TestDefaultOfRealFailures(t *testing.T) {
	silent := log.New(io.Discard, "", 0)
	server := func(tlsVersion uint16) *httptest.Server {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = silent
		if tlsVersion == 0 {
			s.Start()
		} else {
			s.TLS = &tls.Config{MaxVersion: tlsVersion}
			s.StartTLS()
		}
		t.Cleanup(s.Close)
		return s
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	l.Close()
	plain, secure, old := server(0), server(tls.VersionTLS13), server(tls.VersionTLS12)
	hanging := hang(t)

	trusting := func(s *httptest.Server) *http.Transport {
		tr := &http.Transport{}
		if s != nil {
			tr.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		}
		return tr
	}
	newer := trusting(old)
	newer.TLSClientConfig.MinVersion = tls.VersionTLS13
	otherName := trusting(secure)
	otherName.TLSClientConfig.ServerName = "elsewhere.example"
	slow := &http.Transport{TLSHandshakeTimeout: time.Millisecond}
	resolver := &http.Transport{DialContext: (&net.Dialer{Resolver: &net.Resolver{PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }}}).DialContext}

	for _, tt := range []struct {
		name, url string
		tr        *http.Transport
		class     retry.Class
		sent      retry.Sent
	}{
		{"refused", closed, trusting(nil), retry.Transient, retry.Never},
		{"no such host", "http://partner.example", resolver, retry.Transient, retry.Never},
		{"unknown authority", secure.URL, trusting(nil), retry.Unavailable, retry.Never},
		{"host name", secure.URL, otherName, retry.Unavailable, retry.Never},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), trusting(nil), retry.Unavailable, retry.Never},
		{"TLS version", old.URL, newer, retry.Transient, retry.Never},
		{"handshake timeout", "https://" + hanging, slow, retry.Transient, retry.Never},
		{"no answer", "http://" + hanging, &http.Transport{ResponseHeaderTimeout: time.Millisecond}, retry.Transient, retry.Unknown},
		{"scheme", "ftp://h", trusting(nil), retry.Client, retry.Never},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer tt.tr.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got, outside retry.Verdict
			hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := tt.tr.RoundTrip(r)
				got = retry.Judge(r, resp, err)
				return resp, err
			})}
			resp, err := hc.Do(req)
			if err == nil {
				resp.Body.Close()
				t.Fatal("it worked")
			}
			outside = retry.Judge(req, nil, err)
			if got.Class != tt.class || got.Sent != tt.sent || got != outside {
				t.Errorf("%v: got %+v, outside http.Client %+v, want %v, sent %v", err, got, outside, tt.class, tt.sent)
			}
		})
	}
}

// hang listens, accepts, and answers nothing until the test ends.
func hang(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var conns []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// tracked is a body that knows whether it was closed.
type tracked struct {
	*bytes.Reader
	closed int
}

func body(s string) *tracked { return &tracked{Reader: bytes.NewReader([]byte(s))} }

func (b *tracked) Close() error { b.closed++; return nil }
