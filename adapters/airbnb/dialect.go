package airbnb

import (
	"mime"
	"net/http"
	"regexp"

	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/retry"
)

// dialect is how Airbnb's answers are judged where HTTP's own rules are not enough. No body is looked at.
var dialect = retry.Classifier{Classify: classify}

func classify(x retry.Exchange) (retry.Verdict, bool) {
	r := x.Response
	if r == nil {
		return retry.Verdict{}, false
	}
	switch r.StatusCode {
	case http.StatusMethodNotAllowed, http.StatusTooManyRequests:
		// One client treats these and 503 as throttling; which limit it was, nobody says. What was throttled was not carried out.
		return retry.Verdict{Class: retry.RateLimit, Scope: retry.Integration, Sent: retry.Never}, true
	case http.StatusServiceUnavailable: // of this one nobody knows
		return retry.Verdict{Class: retry.RateLimit, Scope: retry.Integration, Sent: retry.Answered}, true
	case http.StatusForbidden:
		// error_type no_access: the record is another's, or the scope was not granted. The token is good.
		return retry.Verdict{Class: retry.Auth, Scope: retry.Endpoint, Sent: retry.Answered}, true
	case http.StatusOK:
		if r.ContentLength == 0 || markup(r.Header) {
			// Nothing, or a gateway's page, in place of the answer.
			return retry.Verdict{Class: retry.Transient, Scope: retry.Request, Sent: retry.Answered, Fault: true}, true
		}
	}
	return retry.Verdict{}, false
}

// markup reports whether the answer says it is a page for a browser.
func markup(h http.Header) bool {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (t == "text/html" || t == "application/xhtml+xml")
}

var (
	code      = regexp.MustCompile(`^[a-z][a-z_]{2,47}$`)
	reference = regexp.MustCompile(`^(api_frwrk_)?[0-9a-f]{32}$`)
)

// explain takes the code, which is error_type or error, and as the message the partner's reference, which its support asks for. Messages are
// free text.
func explain(_ int, body []byte) (string, string) {
	o := wire.Fields(body)
	c := o.Word("error_type").Or("")
	if !code.MatchString(c) {
		c = o.Word("error").Or("")
	}
	if !code.MatchString(c) {
		c = ""
	}
	id := o.Word("error_id").Or("")
	if !reference.MatchString(id) {
		return c, ""
	}
	return c, "error_id " + id
}
