package retry

import (
	"mime"
	"net/http"
)

// GatewayPage is a [Classifier] for APIs that never answer with a page for a browser: status 200 with HTML, or with a body that is said to be empty, is
// what a gateway, a login wall or a deployment puts in place of the answer. It is Transient: it passes. Put it before a classifier
// that looks at bodies. It is not for calls whose success has no body.
var GatewayPage = Classifier{Classify: func(x Exchange) (Verdict, bool) {
	r := x.Response
	if r == nil || r.StatusCode != http.StatusOK {
		return Verdict{}, false
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	page := err == nil && (kind == "text/html" || kind == "application/xhtml+xml")
	if !page && r.ContentLength != 0 {
		return Verdict{}, false
	}
	return Verdict{Class: Transient, Sent: Answered, Fault: true}, true
}}
