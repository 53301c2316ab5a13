package retry

import (
	"net/http"
	"time"
)

// Exchange is what a classifier may look at. It must not keep any of it, nor read Response.Body.
type Exchange struct {
	Request *http.Request
	// Response is nil when Err is not.
	Response *http.Response
	// Body is the beginning of the response's body, as many bytes as the classifier's PeekBody asked for, or all of a
	// shorter one.
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
	// zero At is filled in from Retry-After where there is one.
	Classify func(x Exchange) (Verdict, bool)
}

// MaxPeek bounds how much of a body a [Classifier] may see.
const MaxPeek = 64 << 10

// Default is the verdict by the rules of HTTP alone: status, Retry-After, network and context errors.
func Default(x Exchange) Verdict { panic("spike") }

func judge(cs []Classifier, req *http.Request, resp *http.Response, err error, now time.Time) Verdict {
	panic("spike")
}

// ParseRetryAfter reads a Retry-After value (RFC 9110 section 10.2.3): seconds, which may have a fraction, or an
// HTTP date in any of its three forms. It returns the time to come back at, and false for anything else. A date is judged
// by the answer's own Date header when it has one, so that a clock that is off does not matter.
func ParseRetryAfter(h http.Header, now time.Time) (time.Time, bool) { panic("spike") }
