package guesty

import (
	"net/http"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/retry"
)

func TestDialect(t *testing.T) {
	html := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	json := http.Header{"Content-Type": {"application/json"}}
	for _, c := range []struct {
		name   string
		status int
		header http.Header
		length int64
		want   retry.Verdict
		ok     bool
	}{
		{"an expired token", 403, json, 60, retry.Verdict{Class: retry.Auth, Scope: retry.Credential,
			Sent: retry.Answered}, true},
		{"429 is HTTP's own", 429, json, 60, retry.Verdict{}, false},
		{"a page is a gateway's", 200, html, 60, retry.Verdict{}, false},
		{"an answer", 200, json, 60, retry.Verdict{}, false},
		{"an answer of unknown length", 200, json, -1, retry.Verdict{}, false},
		{"deleted, without a body", 204, json, 0, retry.Verdict{}, false},
		{"401 is HTTP's own", 401, json, 60, retry.Verdict{}, false},
		{"404 is HTTP's own", 404, html, 60, retry.Verdict{}, false},
		{"500 is HTTP's own", 500, html, 60, retry.Verdict{}, false},
	} {
		v, ok := classify(retry.Exchange{Response: &http.Response{StatusCode: c.status, Header: c.header,
			ContentLength: c.length}})
		if v != c.want || ok != c.ok {
			t.Errorf("%s: %+v, %t, want %+v, %t", c.name, v, ok, c.want, c.ok)
		}
	}
	if _, ok := classify(retry.Exchange{Err: http.ErrHandlerTimeout}); ok {
		t.Error("an error without an answer was judged")
	}
}

func TestExplain(t *testing.T) {
	for _, c := range []struct{ in, code, message string }{
		{`{"error":{"code":"UNAUTHORIZED","message":"Unauthorized"}}`, "UNAUTHORIZED", "Unauthorized"},
		{`"Forbidden"`, "", "Forbidden"},
		{`"Reservation Not Found"`, "", "Reservation Not Found"},
		{`{"message":"Listing not found.","code":"LISTING_NOT_FOUND","data":{"listingId":"x"}}`, "LISTING_NOT_FOUND",
			"Listing not found"},
		{`{"error":"invalid_client","error_description":"The client secret supplied for a confidential client is invalid."}`,
			"invalid_client", "The client secret supplied for a confidential client is invalid."},
		{`{"error":{"message":"Property not found","status":404}}`, "", "Property not found"},
		{`{"status":400,"code":"ValidationError","message":"Ada Example <ada@guests.example.com> is unknown"}`,
			"ValidationError", ""},
		{`{"message":"guest Ada Example","code":"Ada Example"}`, "", ""},
		{`{"message":"guest Ada Example"`, "", ""},
		{`{"code":12,"message":{"a":"b"},"error":["x"]}`, "", ""},
		{`Internal Server Error`, "", "Internal Server Error"},
		{`<html>Bad Gateway</html>`, "", ""},
		{``, "", ""},
	} {
		code, message := explain(400, []byte(c.in))
		if code != c.code || message != c.message {
			t.Errorf("%s: %q, %q, want %q, %q", c.in, code, message, c.code, c.message)
		}
	}
}

// Whatever a body says, nothing but a code and the messages that are known leave it.
func FuzzExplain(f *testing.F) {
	f.Add([]byte(`{"error":{"code":"UNAUTHORIZED","message":"Unauthorized"}}`))
	f.Add([]byte(`"Forbidden"`))
	f.Add([]byte(`{"message":"x","code":"ada@guests.example.com"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, m := explain(500, body)
		if c != "" && !code.MatchString(c) {
			t.Errorf("code %q", c)
		}
		if m != "" && !strings.Contains(strings.Join(known, "\n"), m) {
			t.Errorf("message %q", m)
		}
	})
}
