package guesty

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/retry"
)

// dialect is how Guesty's answers are judged where HTTP's own rules are not enough. The status and two headers tell it
// all, so no body is looked at.
var dialect = retry.Classifier{Classify: classify}

func classify(x retry.Exchange) (retry.Verdict, bool) {
	if r := x.Response; r != nil && r.StatusCode == http.StatusForbidden {
		// An expired token is documented to answer 403, and 401 is seen as well. The first of either refreshes the
		// token once; the token source spends none of the five a day on a resource that stays forbidden with a fresh
		// token.
		return retry.Verdict{Class: retry.Auth, Scope: retry.Credential, Sent: retry.Answered}, true
	}
	return retry.Verdict{}, false
}

// requestIDs are the headers with Guesty's id of the request, which its support asks for.
var requestIDs = []string{"X-Request-Id", "X-Amzn-Trace-Id"}

// code is what a machine's code looks like: UNAUTHORIZED, ValidationError, invalid_client.
var code = regexp.MustCompile(`^[A-Za-z][A-Za-z_]{2,47}$`)

// known are the messages that may be repeated. A message is free text and can name a guest or quote a request, so
// only those that Guesty is known to send, and that hold nothing but what they say, are.
var known = []string{
	"Unauthorized", "Forbidden", "Internal Server Error", "Not Found", "Bad Request", "Too Many Requests",
	"Rate limit exceeded",
	"Listing not found", "Property not found", "Reservation Not Found", "Guest not found", "Validation error",
	"The client secret supplied for a confidential client is invalid.",
	"You don't have permission to access this resource, please contact support.",
}

// explain takes code and message from the six shapes that error bodies come in.
func explain(_ int, body []byte) (string, string) {
	var c, m string
	switch wire.TypeOf(body) {
	case '{':
		o := wire.Fields(body) // none of one that is cut off: what can be read of it may be the middle of a text
		inner, isObject := o.Object("error").Get()
		c = o.Word("code").Or("")
		if c == "" {
			c = inner.Word("code").Or("")
		}
		m = o.Word("message").Or("")
		if m == "" {
			m = inner.Word("message").Or("")
		}
		if m == "" {
			m = o.Word("error_description").Or("")
		}
		if !isObject {
			e := o.Word("error").Or("")
			if c == "" {
				c = e
			}
			if m == "" {
				m = e
			}
		}
	case '"':
		if json.Unmarshal(body, &m) != nil {
			return "", ""
		}
	default:
		m = string(body)
	}
	if !code.MatchString(c) {
		c = ""
	}
	m = strings.TrimSpace(m)
	i := slices.IndexFunc(known, func(k string) bool {
		return strings.EqualFold(strings.TrimSuffix(k, "."),
			strings.TrimSuffix(m, "."))
	})
	if i < 0 {
		return c, ""
	}
	return c, known[i]
}
