package partnersim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// Transport returns a RoundTripper that reaches the server without a network: every request goes to it, whatever its
// host. It waits with timers only and starts no goroutine, so that it can be used in a testing/synctest bubble (of
// which the server, too, must be made). A client that gives up gets its context's cause at once, and what it sent
// arrives and is counted nonetheless, as on a network.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

// The errors of a connection that breaks are the ones that the net package has for it.
var (
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
)

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	s, ctx := t.s, req.Context()
	r, err := received(req)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case <-s.done:
		return nil, errRefused
	default:
	}
	x := s.begin(r)
	if x.kind == Outage {
		return nil, errRefused
	}
	sent := time.Now()
	if err := s.wait(ctx, x.out); err != nil {
		if x.kind != Reset && ctx.Err() != nil {
			s.abandon()
			s.arriveLater(x, r, x.out-time.Since(sent))
		}
		return nil, err
	}
	if x.kind == Reset {
		return nil, errReset
	}
	if broken := s.handle(x, r); broken {
		return nil, errReset
	}
	if x.kind == Timeout {
		err := s.wait(ctx, -1)
		s.leave(&x.admission)
		s.abandon()
		return nil, err
	}
	err = s.wait(ctx, x.work)
	s.leave(&x.admission)
	if err == nil {
		err = s.wait(ctx, x.back)
	}
	if err != nil {
		s.abandon()
		return nil, err
	}
	if x.kind == Lost {
		return nil, errReset
	}
	return s.response(x, req), nil
}

// handle runs the server's side. broken says that the handler broke the connection, with http.ErrAbortHandler.
func (s *Server) handle(x *exchange, r *http.Request) (broken bool) {
	defer func() {
		if p := recover(); p != nil {
			s.leave(&x.admission)
			if !aborted(p) {
				panic(p)
			}
			broken = true
		}
	}()
	s.serve(x, r, false)
	return false
}

// aborted says that a handler's panic was the one that breaks the connection.
func aborted(p any) bool {
	err, ok := p.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// received returns req as the server gets it, its body in memory and the client's closed.
func received(req *http.Request) (*http.Request, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	r := new(http.Request)
	*r = *req
	if r.Header = req.Header.Clone(); r.Header == nil {
		r.Header = http.Header{}
	}
	r.URL = new(url.URL)
	*r.URL = *req.URL
	r.RequestURI = req.URL.RequestURI()
	r.RemoteAddr = "192.0.2.1:1"
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.Body, r.GetBody, r.ContentLength = http.NoBody, nil, int64(len(body))
	r.Form, r.PostForm, r.MultipartForm = nil, nil, nil
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if r.Host == "" {
		r.Host = req.URL.Host
	}
	return r, nil
}

// wait returns after d, or earlier with an error: the context's cause, or a connection reset when the server is closed.
// A negative d is for ever.
func (s *Server) wait(ctx context.Context, d time.Duration) error {
	var elapsed <-chan time.Time
	if d == 0 {
		return nil
	} else if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		elapsed = t.C
	}
	select {
	case <-elapsed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.done:
		return errReset
	}
}

// arriveLater lets a request arrive whose client has given up: it is counted and carried out, with a context that has
// ended.
func (s *Server) arriveLater(x *exchange, r *http.Request, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.ending.Add(1)
	var t *time.Timer
	t = time.AfterFunc(after, func() {
		defer s.ending.Done()
		s.mu.Lock()
		delete(s.late, t)
		s.mu.Unlock()
		defer func() {
			if p := recover(); p != nil && !aborted(p) {
				panic(p)
			}
		}()
		s.serve(x, r, true)
	})
	s.late[t] = struct{}{}
}

// response is what the client gets.
func (s *Server) response(x *exchange, req *http.Request) *http.Response {
	a := &x.answer
	if len(a.body) > 0 && a.header.Get("Content-Type") == "" {
		a.header.Set("Content-Type", http.DetectContentType(a.body))
	}
	if a.header.Get("Date") == "" {
		a.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	body := a.body
	length := int64(len(body))
	if req.Method == http.MethodHead || a.status == http.StatusNoContent || a.status == http.StatusNotModified {
		body = nil
	}
	a.header.Set("Content-Length", strconv.FormatInt(length, 10))
	resp := &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, ContentLength: length, Request: req, Body: http.NoBody,
	}
	if len(body) > 0 {
		r := &reader{s: s, ctx: req.Context(), rest: body}
		switch x.kind {
		case Cut:
			r.rest, r.end = body[:len(body)/2], io.ErrUnexpectedEOF
		case Slow:
			r.drip, r.step = s.slowFor(x)/drips, (len(body)+drips-1)/drips
		}
		resp.Body = r
	}
	return resp
}

// drips is how many pieces a slow body comes in.
const drips = 20

// reader is the body of an answer. Like http.Transport's it fails once the request's context has ended.
type reader struct {
	s    *Server
	ctx  context.Context
	rest []byte
	end  error // in place of io.EOF
	drip time.Duration
	step int
	done atomic.Bool
}

func (r *reader) Read(p []byte) (int, error) {
	switch {
	case r.done.Load():
		return 0, http.ErrBodyReadAfterClose
	case r.ctx.Err() != nil:
		return 0, context.Cause(r.ctx)
	case len(r.rest) == 0 && r.end != nil:
		return 0, r.end
	case len(r.rest) == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	if r.drip > 0 {
		if err := r.s.wait(r.ctx, r.drip); err != nil {
			return 0, err
		}
		p = p[:min(len(p), r.step)]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close ends the body. It may be called while Read waits.
func (r *reader) Close() error {
	r.done.Store(true)
	return nil
}

// Network reaches several simulated partners without a network, each by its host name (and port, if the URL has one):
// it is a RoundTripper for a host that works with several partners at once. A host it does not know is not found.
type Network map[string]*Server

// RoundTrip implements http.RoundTripper.
func (n Network) RoundTrip(req *http.Request) (*http.Response, error) {
	s := n[req.URL.Host]
	if s == nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host",
			Name: req.URL.Hostname(), IsNotFound: true}}
	}
	return s.Transport().RoundTrip(req)
}
