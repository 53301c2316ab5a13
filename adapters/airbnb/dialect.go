package airbnb

import (
	"net/http"
	"regexp"

	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/retry"
)

// dialect is how Airbnb's answers are judged where HTTP's own rules are not enough: one client treats 405 and 503 as
// it does 429. Which limit it was, nobody says. What was refused with 405 was not carried out; of a 503 nobody knows.
var dialect = retry.Classifier{Classify: func(x retry.Exchange) (retry.Verdict, bool) {
	v := retry.Verdict{Class: retry.RateLimit, Scope: retry.Integration, Sent: retry.Never}
	switch r := x.Response; {
	case r == nil:
	case r.StatusCode == http.StatusMethodNotAllowed:
		return v, true
	case r.StatusCode == http.StatusServiceUnavailable:
		v.Sent = retry.Answered
		return v, true
	}
	return retry.Verdict{}, false
}}

var (
	code      = regexp.MustCompile(`^[a-z][a-z_]{2,47}$`)
	reference = regexp.MustCompile(`^(api_frwrk_)?[0-9a-f]{32}$`)
)

// explain takes the code, which is error_type or error, and as the message the partner's reference, which its support
// asks for. Messages are free text.
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
