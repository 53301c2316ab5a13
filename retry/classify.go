package retry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
)

// Exchange is what a classifier may look at. It must not keep any of it, nor read Response.Body.
type Exchange struct {
	Request *http.Request
	// Response is nil when Err is not.
	Response *http.Response
	// Body is the beginning of the response's body as the transport gives it, as many bytes as the classifier's PeekBody
	// asked for, or all of a shorter one.
	Body []byte
	Err  error
	Now  time.Time
}

// Classifier knows a partner's dialect of failure: 200 with success:false, 403 for an expired token. It is data: a
// driver declares one. Both funcs must be safe for concurrent use.
type Classifier struct {
	// PeekBody says from status and headers alone how many bytes of the body Classify needs. Nil or 0: none; nobody
	// pays for a body that is not looked at. At most [MaxPeek] are given.
	PeekBody func(resp *http.Response) int
	// Classify returns the verdict, or false to leave it to the next classifier and in the end to [Default]. A
	// zero At is filled in from Retry-After where there is one, and Sent is Answered where there was an answer and
	// Classify does not say Never. It is not asked about an answer whose body breaks off before what it wants to see:
	// that is judged by its status, and if that is a success, by the error.
	Classify func(x Exchange) (Verdict, bool)
}

// MaxPeek bounds how much of a body a [Classifier] may see, in bytes.
const MaxPeek = 64 << 10

// Default is the verdict by the rules of HTTP alone: status (RFC 9110 section 15, RFC 6585), Retry-After, network and
// context errors. A redirect is no failure: whoever follows it judges what comes next.
func Default(x Exchange) Verdict {
	if x.Err != nil || x.Response == nil {
		return ofError(x)
	}
	v := Verdict{Sent: Answered}
	switch s := x.Response.StatusCode; {
	case s >= 100 && s < 400:
		return v
	case s == http.StatusUnauthorized:
		v.Class, v.Scope = Auth, Credential
	case s == http.StatusForbidden:
		v.Class, v.Scope = Auth, Endpoint
	case s == http.StatusProxyAuthRequired:
		v.Class, v.Scope = Auth, Partner
	case s == http.StatusTooManyRequests:
		v.Class, v.Scope, v.Sent = RateLimit, Integration, Never
	case s == http.StatusTooEarly, s == http.StatusMisdirectedRequest:
		v.Class, v.Sent = Transient, Never
	case s == http.StatusRequestTimeout:
		v.Class, v.Fault = Transient, true
	case s == http.StatusNotImplemented, s == http.StatusHTTPVersionNotSupported, s >= 400 && s < 500:
		v.Class = Client
		return v
	default: // a status that does not exist is taken for a 5xx
		v.Class, v.Fault = Transient, true
	}
	if v.Class != Auth {
		v.At, _ = ParseRetryAfter(x.Response.Header, x.Now)
	}
	return v
}

// ofError is the verdict on an attempt that got no answer.
func ofError(x Exchange) Verdict {
	err := x.Err
	if err == nil {
		err = errNothing
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Verdict
	}
	never := func(v Verdict) Verdict { v.Sent = Never; return v }
	failed := Verdict{Class: Transient, Fault: true}
	var ended, late bool
	if x.Request != nil {
		// A layer inside AttemptTimeout sees a context that ended, too.
		ctx := x.Request.Context()
		if ended = ctx.Err() != nil; ended && timedOut(context.Cause(ctx)) {
			ended, late = false, true
		}
		if u := x.Request.URL; u == nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return never(Verdict{Class: Client})
		}
	}
	switch {
	case ended:
		return Verdict{Class: Canceled}
	case late, timedOut(err):
		return failed
	case errors.Is(err, context.Canceled):
		return Verdict{Class: Canceled}
	case untrusted(err):
		// Nobody may talk to who is there now. It is not repeated at once: somebody has to look.
		return never(Verdict{Class: Unavailable, Scope: Partner, Fault: true})
	case unconnected(err):
		failed.Scope = Partner
		return never(failed)
	}
	switch text := cause(err).Error(); {
	case strings.HasPrefix(text, "net/http: invalid "): // a header, trailer or method that cannot be sent
		return never(Verdict{Class: Client})
	case unprocessed(text):
		return never(failed)
	}
	return failed
}

// untrusted reports whether the other side could not prove who it is.
func untrusted(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.RecordHeaderError](err) // no TLS at all
	return ok || errors.Is(err, http.ErrSchemeMismatch)
}

// unconnected reports whether the failure came before there was a connection to send anything on.
func unconnected(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		switch op.Op {
		case "dial", "proxyconnect":
			return true
		case "remote error": // a TLS alert, whose type crypto/tls keeps to itself; these end a handshake and nothing else
			alert := op.Err.Error()
			return strings.HasSuffix(alert, "handshake failure") || strings.HasSuffix(alert, "protocol version not supported") ||
				strings.HasSuffix(alert, "unrecognized name")
		}
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	return cause(err).Error() == "net/http: TLS handshake timeout"
}

// unprocessed reports whether HTTP/2 said that the request was not processed (RFC 9113 section 8.7). net/http keeps the
// types of these errors to itself. Other errors quote what the server sent; the codes in them mean nothing.
func unprocessed(text string) bool {
	if code, ok := strings.CutPrefix(text, "stream error: stream ID "); ok {
		_, code, _ = strings.Cut(code, "; ")
		code, _, _ = strings.Cut(code, "; ")
		return code == "REFUSED_STREAM"
	}
	return text == "http2: Transport received Server's graceful shutdown GOAWAY"
}

// cause returns the innermost error that err wraps.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func judge(cs []Classifier, req *http.Request, resp *http.Response, err error) Verdict {
	if err == nil && resp != nil && len(cs) == 0 && resp.StatusCode >= 100 && resp.StatusCode < 400 {
		return Verdict{Sent: Answered} // the common end of a call costs nothing
	}
	if err == nil && resp == nil {
		err = errNothing
	}
	x := Exchange{Request: req, Response: resp, Err: err, Now: time.Now()}
	if err != nil {
		x.Response = nil
		if e, ok := errors.AsType[*Error](err); ok {
			return e.Verdict
		}
	}
	var peeked []byte
	if n := appetite(cs, x.Response); n > 0 {
		var broken error
		if peeked, broken = peek(resp, n); broken != nil {
			// The classifiers cannot tell from half of what they asked for. Whoever reads the body meets the same error.
			v := Default(x)
			if !v.Failed() {
				x.Response, x.Err = nil, broken
				v = Default(x)
				v.Sent = Answered
			}
			return v
		}
	}
	for _, c := range cs {
		if c.Classify == nil {
			continue
		}
		x.Body = nil
		if x.Response != nil && c.PeekBody != nil {
			n := max(0, min(len(peeked), c.PeekBody(resp)))
			x.Body = peeked[:n:n]
		}
		v, ok := c.Classify(x)
		if !ok {
			continue
		}
		if x.Response != nil {
			if v.Sent == Unknown {
				v.Sent = Answered
			}
			if v.At.IsZero() && v.Class != OK && v.Class != Auth {
				v.At, _ = ParseRetryAfter(resp.Header, x.Now)
			}
		}
		return v
	}
	x.Body = nil
	return Default(x)
}

// appetite returns how many bytes of the body the classifiers want to see.
func appetite(cs []Classifier, resp *http.Response) int {
	n := 0
	if resp == nil || resp.Body == nil || resp.Body == http.NoBody {
		return 0
	}
	for _, c := range cs {
		if c.PeekBody != nil {
			n = max(n, c.PeekBody(resp))
		}
	}
	return min(n, MaxPeek)
}
