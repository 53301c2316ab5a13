package retry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// AttemptTimeout is the time one attempt may take from when it is sent until its body is closed. It belongs
// innermost, so that waiting for the limiter or for a token does not use it up. 0 or less sets no limit.
type AttemptTimeout time.Duration

// Wrap returns a RoundTripper that ends an attempt with an error that names the timeout and wraps
// context.DeadlineExceeded; it is judged Transient, not Canceled. Reading the body is under the same timeout, which ends
// when the body does or is closed. next nil: http.DefaultTransport.
//
// It also keeps http.Transport from silently repeating a read that [WithIdempotent] says must not be repeated.
func (d AttemptTimeout) Wrap(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	if d <= 0 {
		return next
	}
	return &timeout{d: time.Duration(d), cause: &timeoutError{time.Duration(d)}, next: next}
}

type timeout struct {
	d     time.Duration
	cause *timeoutError
	next  http.RoundTripper
}

type timeoutError struct{ d time.Duration }

// Error implements error.
func (e *timeoutError) Error() string { return "retry: the attempt took longer than " + e.d.String() }

// Unwrap makes it a context.DeadlineExceeded.
func (e *timeoutError) Unwrap() error { return context.DeadlineExceeded }

// timedOut reports whether err is, or wraps, the end of an attempt's time.
func timedOut(err error) bool {
	_, ok := errors.AsType[*timeoutError](err)
	return ok
}

// Timeout is as in net.Error.
func (e *timeoutError) Timeout() bool { return true }

// RoundTrip implements http.RoundTripper.
func (t *timeout) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(req.Context(), t.d, t.cause)
	r := req.WithContext(ctx)
	if once(r) {
		r.Body, r.GetBody, r.ContentLength = io.NopCloser(strings.NewReader("")), nil, 0
	}
	resp, err := t.next.RoundTrip(r)
	if err == nil && resp == nil {
		err = errNothing
	}
	if err != nil {
		err = t.blame(ctx, err)
		cancel()
		return nil, err
	}
	if resp.Body == nil || resp.Body == http.NoBody {
		cancel()
		return resp, nil
	}
	resp.Body = &timedBody{t: t, ctx: ctx, cancel: cancel, body: resp.Body}
	return resp, nil
}

// once reports whether r takes what it reads, and would be repeated by http.Transport itself, which does so when a
// connection breaks that it had used before. With a body that is empty, but cannot be had again, it does not; on the wire
// that is no body. (Writes it repeats only with an Idempotency-Key.)
func once(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		return false
	}
	if r.Body != nil && r.Body != http.NoBody {
		return false
	}
	v, ok := r.Context().Value(idempotentKey{}).(bool)
	return ok && !v
}

// blame returns the timeout in place of err if that is what ended the attempt.
func (t *timeout) blame(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), t.cause) {
		return t.cause
	}
	return err
}

// timedBody is a body under the attempt's timeout.
type timedBody struct {
	t      *timeout
	ctx    context.Context
	cancel context.CancelFunc
	body   io.ReadCloser
}

// Read implements io.Reader.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.t.blame(b.ctx, err)
	}
	if err != nil {
		b.cancel() // what was read is read; nothing more will come
	}
	return n, err
}

// Close implements io.Closer.
func (b *timedBody) Close() error {
	err := b.body.Close()
	b.cancel()
	return err
}
