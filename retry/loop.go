package retry

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// errNothing is the error of a RoundTripper that broke its contract.
var errNothing = errors.New("retry: the RoundTripper returned neither an answer nor an error")

// Wrap returns a RoundTripper that sends each request through next (nil: http.DefaultTransport) until it
// succeeds, must not be repeated, or its attempts, its budget or the caller's patience are used up. It returns the last
// response with a nil error, or the last error. When the context ends during a wait the error is an [*Error] of class
// Canceled that wraps context.Cause. A key set by [WithIdempotencyKey] is sent in [Policy.IdempotencyHeader].
//
// It must not be put inside another retrying layer.
func (p Policy) Wrap(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	t := &transport{p: p.withDefaults()}
	t.client = &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     &sender{next},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax:     t.p.MaxAttempts - 1,
		CheckRetry:   t.check,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return 0 }, // prepare waits
		PrepareRetry: t.prepare,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return t
}

type transport struct {
	p      Policy
	client *retryablehttp.Client
}

// call is one call's way through the loop. Its Attempt is the context of its requests, where the loop's hooks find it.
type call struct {
	Attempt
	req      *http.Request
	answer   *http.Response // of the last attempt, as next returned it
	failure  error
	sent     bool          // an attempt was made
	reached  bool          // the partner may have seen the request in one of the attempts
	wait     time.Duration // before the next attempt
	retrying bool          // the last attempt shall be repeated, and was not yet
	spent    int           // of the budget, by all repetitions
	cost     int           // of it, by the next one
	err      error         // that ended the call between two attempts
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := &call{}
	outer := AttemptFrom(req.Context())
	c.Attempt = Attempt{Context: req.Context(), Number: 1, classifiers: t.p.Classifiers, call: c}
	if outer != nil && len(c.classifiers) == 0 {
		c.classifiers = outer.classifiers
	}
	r := req.WithContext(&c.Attempt)
	r.RequestURI = "" // http.Client refuses what a server received
	if key := IdempotencyKey(req.Context()); key != "" && t.p.IdempotencyHeader != "" {
		r.Header = r.Header.Clone()
		if r.Header == nil {
			r.Header = http.Header{}
		}
		r.Header.Set(t.p.IdempotencyHeader, key)
	}
	c.req = r
	_, err := t.client.Do(&retryablehttp.Request{Request: r})
	if outer != nil {
		outer.add(&c.Attempt)
	}
	if c.retrying && c.cost > 0 { // the repetition was not made
		t.p.Budget.give(c.cost)
	}
	switch {
	case c.err != nil:
		return nil, c.err
	case c.retrying: // its answer is drained, and the context ended before another attempt
		return nil, c.canceled()
	case c.sent:
		return c.answer, c.failure
	}
	if u, ok := errors.AsType[*url.Error](err); ok { // http.Client refused the request
		err = u.Err
	}
	return nil, &Error{Verdict: Verdict{Class: Client, Sent: Never}, Err: err}
}

// last returns the verdict on the last attempt, which knows of those before it that the partner may have seen one: what an
// earlier attempt left unknown does not become never sent because the last did not get out.
func (c *call) last() Verdict {
	v := Judge(c.req, c.answer, c.failure)
	if v.Sent != Never {
		c.reached = true
		return v
	}
	if !c.reached {
		return v
	}
	v.Sent = Unknown
	if c.failure != nil {
		e := Error{Err: c.failure}
		if inner, ok := c.failure.(*Error); ok { //nolint:errorlint // one that is wrapped keeps its text
			e = *inner
		}
		e.Verdict = v
		c.failure = &e
	}
	c.Attempt.resp, c.Attempt.err, c.verdict = c.answer, c.failure, v
	return v
}

// canceled is the error of a call whose context ended while it waited to try again.
func (c *call) canceled() error {
	return &Error{
		Verdict: Verdict{Class: Canceled, Sent: c.verdict.Sent}, Attempts: c.Number, Waits: c.Waits, Err: context.Cause(c.Context),
	}
}

// sender is what the loop's http.Client sends through. It keeps what came back from the loop's hands.
type sender struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s *sender) RoundTrip(req *http.Request) (*http.Response, error) {
	c := AttemptFrom(req.Context()).call
	c.sent, c.retrying, c.judged = true, false, false
	resp, err := s.next.RoundTrip(req)
	if resp == nil && err == nil {
		err = errNothing
	}
	c.answer, c.failure = resp, err
	if err != nil {
		if resp != nil && resp.Body != nil {
			resp.Body.Close() // both is against the contract, and nobody else will
		}
		c.answer = nil
		return nil, err
	}
	if resp.StatusCode/100 == 3 {
		// http.Client would look at where it leads, and put that into an error if it cannot be read.
		return &http.Response{StatusCode: http.StatusOK, Body: resp.Body, Request: req}, nil
	}
	return resp, nil
}

// check decides about another attempt: the loop's CheckRetry.
func (t *transport) check(ctx context.Context, _ *http.Response, _ error) (bool, error) {
	a := AttemptFrom(ctx)
	if a == nil || a.call == nil || !a.call.sent {
		return false, nil
	}
	c := a.call
	v := c.last()
	if !v.Failed() {
		if b := t.p.Budget; b != nil {
			b.give(max(c.spent, 1))
		}
		return false, nil
	}
	if c.retrying = t.again(c, v); c.retrying && t.p.OnRetry != nil && c.Err() == nil {
		t.p.OnRetry(c.Context, Retrying{Attempt: c.Number, Verdict: v, Wait: c.wait})
	}
	return c.retrying, nil
}

// again decides whether the call is repeated, and after how long.
func (t *transport) again(c *call, v Verdict) bool {
	switch {
	case v.Class != Transient && v.Class != RateLimit, c.Number >= t.p.MaxAttempts:
		return false
	case v.Class == RateLimit && c.answer == nil: // our own limiter, which knows better how long to wait
		return false
	case v.Sent != Never && !t.p.idempotent(c.req):
		return false
	case c.req.Body != nil && c.req.Body != http.NoBody && c.req.GetBody == nil:
		return false
	case c.Err() != nil: // prepare says so
		c.wait, c.cost = 0, 0
		return true
	}
	c.cost = 0
	now := time.Now()
	if c.wait = v.At.Sub(now); v.At.IsZero() || c.wait <= 0 {
		c.wait = rand.N(t.p.Delay(c.Number)) // full jitter
	}
	limit := t.p.MaxWait
	if d, ok := MaxWait(c); ok {
		limit = max(d, 0)
	}
	if limit >= 0 && c.wait > limit {
		return false
	}
	if end, ok := c.Deadline(); ok && !now.Add(c.wait).Before(end) {
		return false
	}
	if b := t.p.Budget; b != nil && v.Fault {
		cost, ok := b.take(isTimeout(c.failure))
		if !ok {
			return false
		}
		c.cost = cost
		c.spent += cost
	}
	return true
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// prepare waits, and makes the request ready to be sent again: the loop's PrepareRetry. req is its own copy.
func (t *transport) prepare(req *http.Request) error {
	c := AttemptFrom(req.Context()).call
	if c.wait > 0 {
		began := time.Now()
		timer := time.NewTimer(c.wait)
		select {
		case <-timer.C:
		case <-c.Done():
			timer.Stop()
		}
		c.Waits.Backoff += time.Since(began)
	}
	if c.Err() != nil {
		c.err = c.canceled()
		return c.err
	}
	if req.Body != nil && req.Body != http.NoBody {
		body, err := req.GetBody()
		if err != nil {
			c.err = &Error{Verdict: Verdict{Class: Client, Sent: c.verdict.Sent}, Attempts: c.Number, Waits: c.Waits, Err: err}
			return c.err
		}
		req.Body = body
	}
	c.Number++
	return nil
}
