package cloudbeds

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/integrationkit/integrationkit/retry"
)

// peekBytes is how much of a 200 is looked at for success:false. A refusal is short; in an answer with data success
// stands first.
const peekBytes = 2 << 10

// dialect is how Cloudbeds' answers are judged where HTTP's own rules are not enough: logical failures come with status
// 200.
var dialect = retry.Classifier{PeekBody: peek, Classify: classify}

func peek(r *http.Response) int {
	if r.StatusCode != http.StatusOK {
		return 0
	}
	return peekBytes
}

func classify(x retry.Exchange) (retry.Verdict, bool) {
	r := x.Response
	if r == nil || r.StatusCode != http.StatusOK {
		return retry.Verdict{}, false
	}
	if env := head(x.Body); env.refused {
		return refusal(env.message), true
	}
	return retry.Verdict{}, false
}

// known are the messages that mean more than "the request is wrong", by a part of their text in lower case, and those
// that may be repeated in an error. A message is free text and may quote what was sent, so no other is.
var known = []struct {
	part  string
	say   string
	class retry.Class
	scope retry.Scope
}{
	// documented: developers.cloudbeds.com, common API errors
	{"scope required for this call was not granted", "Scope required for this call was not granted by property.",
		retry.Auth, retry.Endpoint},
	{"none of the included property id", noProperty, retry.Client, retry.Request},
	{`please specify "propertyid"`, `Please specify "propertyID" parameter for this call.`, retry.Client,
		retry.Request},
	{"inactive user", "Inactive user.", retry.Auth, retry.Credential},
	{"invalid property status", "Invalid property status.", retry.Auth, retry.Credential},
	{"resource owner or authorization server denied",
		"The resource owner or authorization server denied the request.", retry.Auth, retry.Credential},
	{"refresh token is invalid", "The refresh token is invalid.", retry.Auth, retry.Credential},
	{"authorization code is invalid", "The authorization code is invalid or has expired.", retry.Auth,
		retry.Credential},
	// seen in client code: a property that uninstalled the application
	{"not available to be connected", "The application is not available to be connected.", retry.Auth,
		retry.Credential},
	// seen in client code
	{"unknown method", "Unknown method.", retry.Client, retry.Request},
}

const noProperty = "None of the included property ids match the property of the access token."

// refusal is the verdict on a message; one that is not known is the request's fault, for ever.
func refusal(message string) retry.Verdict {
	message = strings.ToLower(message)
	for _, k := range known {
		if strings.Contains(message, k.part) {
			return retry.Verdict{Class: k.class, Scope: k.scope, Sent: retry.Answered}
		}
	}
	return retry.Verdict{Class: retry.Client, Scope: retry.Request, Sent: retry.Answered}
}

var (
	code      = regexp.MustCompile(`^[a-z][a-z_]{2,47}$`)
	parameter = regexp.MustCompile(`(?i)^parameter ([A-Za-z]{1,40}) is (required|not valid)\.?$`)
)

// explain takes code and message from an error's body.
func explain(_ int, body []byte) (string, string) {
	env := head(body)
	c := env.code
	if !code.MatchString(c) {
		c = ""
	}
	return c, say(env.message)
}

// say returns what of a message may be repeated.
func say(message string) string {
	if m := parameter.FindStringSubmatch(strings.TrimSpace(message)); m != nil {
		return "Parameter " + m[1] + " is " + strings.ToLower(m[2])
	}
	message = strings.ToLower(message)
	for _, k := range known {
		if strings.Contains(message, k.part) {
			return k.say
		}
	}
	return ""
}
