package drivertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

// elsewhere is a server that nothing may be sent to.
const elsewhere = "elsewhere.example"

// maxCalls is how many calls to the API one rig sees before its context ends; no check needs as many.
const maxCalls = 1000

var errEndless = errors.New("drivertest: the driver does not stop calling")

// call is one request that was seen.
type call struct {
	where    string // method and path
	token    bool   // to the token endpoint
	keyed    bool   // it bears the suite's effect key, or what is made of it, in a header
	sent     time.Time
	answered time.Time
	status   int
}

// wire is the transport between driver and partner. It watches, and answers in the partner's place where a check wants it to.
type wire struct {
	g    *rig
	next http.RoundTripper

	mu      sync.Mutex
	calls   []call
	foreign []string // requests to elsewhere
	bodies  map[int]string
	secrets map[string]string
	api     int // calls to the API
	// before, if set, is asked before the n-th call to the API (from 1) goes out. A response that is not nil is the answer.
	before func(n int, req *http.Request) *http.Response
	// after, if set, may change the answer to it.
	after func(n int, resp *http.Response)
	// lost is the call whose answer is lost.
	lost int
}

func newWire(g *rig, next http.RoundTripper) *wire {
	return &wire{g: g, next: next, bodies: map[int]string{}, secrets: map[string]string{}}
}

// secret makes a text a canary.
func (w *wire) secret(s string) {
	if len(s) < 6 { // would be found by chance
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.secrets[s]; !ok {
		w.secrets[s] = fmt.Sprintf("secret %d, of %d bytes,", len(w.secrets)+1, len(s))
	}
}

// canaries returns the secrets by what to call them.
func (w *wire) canaries() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]string{}
	for s, name := range w.secrets {
		all[name] = s
	}
	return all
}

// hook sets what happens before and after the calls that follow.
func (w *wire) hook(before func(int, *http.Request) *http.Response, after func(int, *http.Response)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.api, w.before, w.after, w.lost = 0, before, after, 0
}

// lose has the answer to the n-th call from now on be lost.
func (w *wire) lose(n int) {
	w.hook(nil, nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost = n
}

// seen returns the calls to the API so far.
func (w *wire) seen() []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []call
	for _, c := range w.calls {
		if !c.token {
			all = append(all, c)
		}
	}
	return all
}

// total is how many requests were seen, of any kind.
func (w *wire) total() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.calls) + len(w.foreign)
}

// tokenRequests is how many requests went to the token endpoint.
func (w *wire) tokenRequests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.calls {
		if c.token {
			n++
		}
	}
	return n
}

// astray returns the requests that went elsewhere.
func (w *wire) astray() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.foreign...)
}

// open returns the calls whose answers' bodies are not closed.
func (w *wire) open() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, where := range w.bodies {
		all = append(all, where)
	}
	return all
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	where := req.Method + " " + req.URL.Path
	for _, v := range req.Header.Values("Authorization") {
		_, credential, _ := strings.Cut(v, " ")
		w.secret(credential)
	}
	if req.URL.Host == elsewhere {
		w.mu.Lock()
		w.foreign = append(w.foreign, where)
		w.mu.Unlock()
		if req.Body != nil {
			req.Body.Close()
		}
		return w.watch(where, answer(req, http.StatusOK, "application/json", []byte("{}"))), nil
	}
	token := w.g.r.h.TokenPath != "" && req.URL.Path == w.g.r.h.TokenPath
	w.mu.Lock()
	i := len(w.calls)
	w.calls = append(w.calls, call{where: where, token: token, keyed: keyed(req.Header), sent: time.Now()})
	n := 0
	if !token {
		w.api++
		n = w.api
	}
	before, after, lost := w.before, w.after, n > 0 && n == w.lost
	w.mu.Unlock()

	switch {
	case i > 2*maxCalls:
		w.g.stop()
	case i > maxCalls:
		w.g.cancel(errEndless)
	}
	if n > 0 && before != nil {
		if resp := before(n, req); resp != nil {
			if req.Body != nil {
				req.Body.Close()
			}
			w.done(i, resp.StatusCode)
			return w.watch(where, resp), nil
		}
	}
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		w.done(i, 0)
		return nil, err
	}
	if lost {
		resp.Body.Close()
		w.done(i, 0)
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	w.done(i, resp.StatusCode)
	if n > 0 && after != nil {
		after(n, resp)
	}
	return w.watch(where, resp), nil
}

func (w *wire) done(i, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[i].answered, w.calls[i].status = time.Now(), status
}

// watch counts the body as open until it is closed.
func (w *wire) watch(where string, resp *http.Response) *http.Response {
	if resp.Body == nil || resp.Body == http.NoBody {
		return resp
	}
	w.mu.Lock()
	id := len(w.calls)*2 + len(w.foreign)
	for w.bodies[id] != "" {
		id++
	}
	w.bodies[id] = where
	w.mu.Unlock()
	resp.Body = &watched{ReadCloser: resp.Body, closed: func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.bodies, id)
	}}
	return resp
}

type watched struct {
	io.ReadCloser
	closed func()
}

func (b *watched) Close() error {
	b.closed()
	return b.ReadCloser.Close()
}

// answer makes a response.
func answer(req *http.Request, status int, contentType string, body []byte) *http.Response {
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:  http.Header{"Content-Type": {contentType}},
		Request: req, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}
}

// keyed reports whether a header holds an idempotency key: it is named for one, or its value is the suite's.
func keyed(h http.Header) bool {
	for name, values := range h {
		if strings.Contains(strings.ToLower(name), "idempotency") {
			return true
		}
		for _, v := range values {
			if strings.Contains(v, string(effectKey)) {
				return true
			}
		}
	}
	return false
}
