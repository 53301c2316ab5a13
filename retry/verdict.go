package retry

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"time"
)

// Class says what kind of failure an attempt met. The zero value, OK, is no failure.
type Class uint8

// The closed list of classes. What each asks of the caller is said beside it.
const (
	// OK: the attempt did what it was asked to.
	OK Class = iota
	// Transient: the partner or the network failed; the same request may succeed later.
	Transient
	// RateLimit: the partner, or our own limiter on its behalf, asks to come back later.
	RateLimit
	// Auth: the credentials were refused; they must be refreshed or replaced before another try.
	Auth
	// Client: the request is wrong and will stay wrong.
	Client
	// Data: an answer arrived that cannot be understood.
	Data
	// Unavailable: the kit itself refused to send (open circuit, parked scope, spent token budget).
	Unavailable
	// Canceled: the caller gave up (its context ended).
	Canceled
)

// String returns the class's name in lower case, as used in metrics and logs.
func (c Class) String() string {
	switch c {
	case OK:
		return "ok"
	case Transient:
		return "transient"
	case RateLimit:
		return "rate_limit"
	case Auth:
		return "auth"
	case Client:
		return "client"
	case Data:
		return "data"
	case Unavailable:
		return "unavailable"
	case Canceled:
		return "canceled"
	}
	return "unknown"
}

// Scope says what else would meet the same fate as the attempt that was judged.
// Each scope contains the ones before it.
type Scope uint8

// The scopes, from narrow to wide.
const (
	// Request: this request only.
	Request Scope = iota
	// Endpoint: every request for the same operation.
	Endpoint
	// Credential: every request that uses the same credential.
	Credential
	// Integration: every request of the same integration (one customer's account).
	Integration
	// Partner: every request to the partner, whoever sends it.
	Partner
)

// String returns the scope's name in lower case.
func (s Scope) String() string {
	switch s {
	case Request:
		return "request"
	case Endpoint:
		return "endpoint"
	case Credential:
		return "credential"
	case Integration:
		return "integration"
	case Partner:
		return "partner"
	}
	return "unknown"
}

// Sent says what is known of the effect that the request had at the partner. It decides whether a write may be
// repeated. The zero value is the careful one.
type Sent uint8

// What can be known of a request's effect.
const (
	// Unknown: the request may or may not have reached the partner and may or may not have had its effect.
	Unknown Sent = iota
	// Never: no byte of the request left this process, or the partner said that it did not process it.
	Never
	// Answered: the partner answered.
	Answered
)

// String returns the name in lower case.
func (s Sent) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Never:
		return "never"
	case Answered:
		return "answered"
	}
	return "invalid"
}

// Verdict is the one judgement on an attempt. Limiter, breaker, token source, retry loop and queue all read the same
// one, so that a failure is not judged four times differently.
type Verdict struct {
	Class Class
	Scope Scope
	// At is the earliest time worth trying again, on this machine's clock. Zero: nobody said, the policy's own
	// backoff decides.
	At time.Time
	// Sent tells what is known of the request's effect.
	Sent Sent
	// Fault says that the attempt itself failed: it counts against the retry budget and the breaker. A refusal that
	// the partner is entitled to (429, 404) and a caller that gave up are not faults.
	Fault bool
}

// Failed reports whether the verdict is anything but OK.
func (v Verdict) Failed() bool { return v.Class != OK }

// Judge returns the verdict on an attempt that ended with resp and err, as http.RoundTripper returns them.
//
// The verdict is computed once: with an [Attempt] in the request's context (see [WithAttempt]; [Policy.Wrap] adds one)
// it is kept there, and layers further out get the same verdict for the same resp and err. Without one the
// request is judged by [Default] each time. Judge may replace resp.Body when a classifier asks to see its beginning;
// what was read is put back. An err that already carries a verdict (an [*Error]) is not judged again.
func Judge(req *http.Request, resp *http.Response, err error) Verdict {
	a := AttemptFrom(req.Context())
	if a == nil {
		return judge(nil, req, resp, err)
	}
	if a.judged && a.resp == resp && same(a.err, err) {
		return a.verdict
	}
	a.verdict = judge(a.classifiers, req, resp, err)
	a.resp, a.err, a.judged = resp, err, true
	return a.verdict
}

// same reports whether a and b are one error. Errors of some types cannot be compared.
func same(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b //nolint:errorlint // the very same is meant
}

// ClassOf returns the class that err carries: that of the outermost [*Error] in its tree, Canceled for a bare context
// error, OK for nil and Transient for anything else.
func ClassOf(err error) Class {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	if !timedOut(err) && (holds(err, context.Canceled) || holds(err, context.DeadlineExceeded)) {
		return Canceled
	}
	return Transient
}

// holds reports whether err's tree holds target itself. Unlike errors.Is it is not content with a look-alike: timeouts of the
// net package claim to be context.DeadlineExceeded, although no context ended.
func holds(err, target error) bool {
	for err != nil {
		if same(err, target) {
			return true
		}
		switch e := err.(type) { //nolint:errorlint // this is what walks the tree
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			return slices.ContainsFunc(e.Unwrap(), func(err error) bool { return holds(err, target) })
		default:
			return false
		}
	}
	return false
}

// At returns the earliest time worth trying again that err carries; zero when it carries none.
func At(err error) time.Time {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.At
	}
	return time.Time{}
}
