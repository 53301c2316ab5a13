package chaos

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

// ErrInjected is wrapped by every error that an injector makes up, beside the error of the net package that it stands
// for.
var ErrInjected = errors.New("chaos: injected")

// Header is on every answer that an injector makes up; its value is the kind of fault. Answers of the partner that
// were changed do not bear it.
const Header = "X-Chaos"

// injected is an error that was made up.
type injected struct {
	kind  Kind
	cause error
}

func (e *injected) Error() string   { return "chaos: " + string(e.kind) + ": " + e.cause.Error() }
func (e *injected) Unwrap() []error { return []error{ErrInjected, e.cause} }

// Timeout implements net.Error, as errors of the net package do.
func (e *injected) Timeout() bool { return e.kind == Timeout }

// Temporary implements net.Error.
func (e *injected) Temporary() bool { return e.kind == Timeout }

var (
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	errTimeout = &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}
)

// Wrap returns a RoundTripper that injects faults around next; nil: http.DefaultTransport. It keeps the contract of
// http.RoundTripper: a request is not changed, and its body is closed also when it is not sent.
func (in *Injector) Wrap(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{in, next}
}

type transport struct {
	in   *Injector
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if ctx.Err() != nil {
		closeBody(req)
		return nil, context.Cause(ctx)
	}
	f := t.in.decide(req, nil, false)
	if err := wait(ctx, f.latency); err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.strike(req, f)
	if err != nil {
		return nil, err
	}
	if f.skew != 0 {
		skew(resp, f.skew)
	}
	return resp, nil
}

// strike makes the request or does what its fate says.
func (t *transport) strike(req *http.Request, f fate) (*http.Response, error) {
	if f.rule == nil {
		return t.next.RoundTrip(req)
	}
	kind := f.rule.Kind
	if status := kind.status(); status != 0 || kind == HTML {
		closeBody(req)
		return made(req, f, status)
	}
	switch kind {
	case Reset:
		closeBody(req)
		return nil, &injected{kind, errReset}
	case Refused:
		closeBody(req)
		return nil, &injected{kind, errRefused}
	case Timeout:
		closeBody(req)
		d := f.rule.Delay
		if d == 0 {
			d = -1
		}
		if err := wait(req.Context(), d); err != nil {
			return nil, err
		}
		return nil, &injected{kind, errTimeout}
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if kind == Lost {
		// It is read, so that the partner has done all it does.
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxDiscard)) // how it ends makes no difference: it is lost
		_ = resp.Body.Close()
		return nil, &injected{kind, errReset}
	}
	spoil(resp, req.Context(), f.rule)
	return resp, nil
}

// maxDiscard bounds how much of a lost answer is read.
const maxDiscard = 1 << 20

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // as http.Transport does
	}
}

// made is an answer that no partner gave.
func made(req *http.Request, f fate, status int) (*http.Response, error) {
	now := time.Now()
	h := http.Header{Header: {string(f.rule.Kind)}, "Date": {now.UTC().Format(http.TimeFormat)}}
	body := []byte("<!DOCTYPE html>\n<html><head><title>One moment</title></head><body><h1>We will be back " +
		"soon</h1></body></html>\n")
	if status == 0 {
		status = http.StatusOK
		h.Set("Content-Type", "text/html; charset=utf-8")
	} else {
		body = []byte(http.StatusText(status) + "\n")
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	after, err := f.rule.retryAfter(now)
	if err != nil { // New has seen to it
		return nil, err
	}
	if after != "" {
		h.Set("Retry-After", after)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	resp := &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: req,
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}
	if req.Method == http.MethodHead {
		resp.Body = http.NoBody
	}
	return resp, nil
}

// skew shifts the times by the partner's clock. A Date that is missing is added.
func skew(resp *http.Response, by time.Duration) {
	resp.Header = resp.Header.Clone()
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	if resp.Header.Get("Date") == "" {
		resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	for _, name := range []string{"Date", "Expires", "Last-Modified", "Retry-After"} {
		if at, err := http.ParseTime(resp.Header.Get(name)); err == nil {
			resp.Header.Set(name, at.Add(by).UTC().Format(http.TimeFormat))
		}
	}
}

// wait returns after d, or with the context's cause. A negative d is for ever.
func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	var elapsed <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		elapsed = t.C
	}
	select {
	case <-elapsed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
