package drivertest

import (
	"net/http"
	"strings"
	"testing"
)

// Each pair is a recorded request and one that arrives.
func TestMatching(t *testing.T) {
	type request struct{ method, url, contentType, body string }
	get := func(url string) request { return request{"GET", "https://api.acme.example" + url, "", ""} }
	post := func(contentType, body string) request {
		return request{"POST", "https://api.acme.example/x", contentType, body}
	}
	for name, c := range map[string]struct {
		recorded, arrives request
		want              bool
		differs           string
	}{
		"same":                       {get("/a?x=1&y=2"), get("/a?x=1&y=2"), true, ""},
		"order of parameters":        {get("/a?x=1&y=2"), get("/a?y=2&x=1"), true, ""},
		"escapes":                    {get("/a?x=a%20b"), get("/a?x=a+b"), true, ""},
		"case of host, default port": {get("/a"), request{"GET", "https://API.acme.example:443/a", "", ""}, true, ""},
		"order of values":            {get("/a?x=1&x=2"), get("/a?x=2&x=1"), false, "query x"},
		"another value":              {get("/a?x=1"), get("/a?x=2"), false, `query x: got "2", recorded "1"`},
		"one parameter more":         {get("/a?x=1"), get("/a?x=1&y="), false, `query y: got "", recorded none`},
		"one parameter less":         {get("/a?x=1&y=2"), get("/a?x=1"), false, `query y: got none, recorded "2"`},
		"another path":               {get("/a"), get("/b"), false, "URL: got"},
		"another host":               {get("/a"), request{"GET", "https://other.example/a", "", ""}, false, "URL: got"},
		"another method":             {get("/x"), post("", ""), false, `method: got "POST", recorded "GET"`},
		"ignored":                    {get("/a?now=1"), get("/a?now=2"), true, ""},
		"JSON in another order":      {post(js, `{"a":1,"b":[1,2]}`), post(js, ` {"b": [1, 2], "a": 1}`), true, ""},
		"JSON, another value":        {post(js, `{"a":{"b":[1,2]}}`), post(js, `{"a":{"b":[1,3]}}`), false, `body $.a.b[1]: got "3", recorded "2"`},
		"JSON, big numbers":          {post(js, `{"a":9007199254740993}`), post(js, `{"a":9007199254740992}`), false, "body $.a"},
		"JSON, null is not missing":  {post(js, `{"a":null}`), post(js, `{}`), false, "body $.a"},
		"JSON, text is no number":    {post(js, `{"a":"1"}`), post(js, `{"a":1}`), false, "body $.a"},
		"JSON, shorter":              {post(js, `{"a":[1,2]}`), post(js, `{"a":[1]}`), false, "body $.a: got \"1 items\""},
		"JSON, ignored":              {post(js, `{"now":{"t":1}}`), post(js, `{"now":{"t":2}}`), true, ""},
		"form in another order":      {post(form, "a=1&b=2"), post(form, "b=2&a=1"), true, ""},
		"form, another value":        {post(form, "a=1"), post(form, "a=2"), false, "form a"},
		"XML":                        {post("text/xml", "<a/>"), post("text/xml", "<b/>"), false, "body: got"},
		"space around text":          {post("text/xml", "<a/>\n"), post("text/xml", "<a/>"), true, ""},
		"another secret":             {post(form, "password=one-11-secret&x=1"), post(form, "password=two-22-secret&x=1"), true, ""},
		"a secret and none":          {post(form, "password=one-11-secret"), post(form, "password="), false, "form password"},
		"multipart boundaries": {post("multipart/form-data; boundary=aaaa", "--aaaa\r\nx\r\n--aaaa--"),
			post("multipart/form-data; boundary=bbbb", "--bbbb\r\nx\r\n--bbbb--"), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := talk(t, func(*http.Request, string) (int, http.Header, string) { return 200, nil, `{}` })
			r.Ignore = []string{"now"}
			try := func(record bool, q request, headers ...string) *taped {
				return tape(t, r, record, func(c *Tape) {
					if _, err := send(t, c, q.method, q.url, q.contentType, q.body, headers...); err != nil && record {
						t.Error(err)
					}
				})
			}
			if out := try(true, c.recorded, "Accept", "a/b", "X-Attempt", "1"); out.failed {
				t.Fatal(out.text())
			}
			out := try(false, c.arrives, "Accept", "c/d", "X-Attempt", "2", "Idempotency-Key", "k")
			if out.failed == c.want || !strings.Contains(out.text(), c.differs) {
				t.Errorf("matched %t, want %t; said: %s", !out.failed, c.want, out.text())
			}
			if strings.Contains(out.text(), "two-22") || strings.Contains(out.text(), "one-11") {
				t.Error("a secret is shown")
			}
		})
	}
}

// The same request is answered in the order of the recording, and once more is too often.
func TestAnswersInOrder(t *testing.T) {
	n := 0
	r := talk(t, func(*http.Request, string) (int, http.Header, string) {
		n++
		return 200, nil, `{"n":` + string(rune('0'+n)) + `}`
	})
	for _, record := range []bool{true, false} {
		out := tape(t, r, record, func(c *Tape) {
			for _, want := range []string{`{"n":1}`, `{"n":2}`} {
				if got, err := send(t, c, "GET", "https://api.acme.example/", "", ""); got != want || err != nil {
					t.Errorf("record %t: got %s, want %s, error %v", record, got, want, err)
				}
			}
			if !record {
				for range 2 {
					if _, err := send(t, c, "GET", "https://api.acme.example/", "", ""); err == nil {
						t.Error("a third answer")
					}
				}
			}
		})
		if says := "interaction 1 is the same, and was played already"; !record && strings.Count(out.text(), "played already") != 1 {
			t.Errorf("%q is not said once: %s", says, out.text())
		}
	}
}

// What comes nearest is the request with the fewest differences, and one to the same URL before any other.
func TestNearest(t *testing.T) {
	r := talk(t, func(*http.Request, string) (int, http.Header, string) { return 200, nil, `{}` })
	tape(t, r, true, func(c *Tape) {
		for _, q := range []string{"/b?limit=100&skip=200", "/a?limit=100&skip=0", "/a?limit=100&skip=100"} {
			if _, err := send(t, c, "GET", "https://api.acme.example"+q, "", ""); err != nil {
				t.Error(err)
			}
		}
	})
	out := tape(t, r, false, func(c *Tape) {
		if _, err := send(t, c, "GET", "https://api.acme.example/a?limit=50&skip=100&key=Zk9xT2mQ7vLp4RwB8nYc&blob=Zk9xT2mQ7vLp4RwB8nYc", "", ""); err == nil {
			t.Error("no error")
		}
	})
	for _, want := range []string{
		"has no interaction left for GET https://api.acme.example/a?blob&key&limit&skip", "nearest is interaction 2, GET https://api.acme.example/a?limit&skip:",
		`query limit: got "50", recorded "100"`, `query key: got "REDACTED_key_0", recorded none`, "query blob: got (20 bytes that may be secret), recorded none",
		"3 interactions were not played",
	} {
		if !strings.Contains(out.text(), want) {
			t.Errorf("%q is not in:\n%s", want, out.text())
		}
	}
	if strings.Contains(out.text(), "Zk9xT2") {
		t.Error("a secret is shown")
	}
}
