package drivertest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	vcr "gopkg.in/dnaeon/go-vcr.v3/cassette"
)

func TestRedaction(t *testing.T) {
	for _, c := range []struct{ contentType, in, want string }{
		{js, `{"token":"abc","token_type":"Bearer","expires_in":5}`, `{"token":"REDACTED_token_1","token_type":"Bearer","expires_in":5}`},
		{js, ` {"z": 1.50, "a": [true, null, 1e3]} `, `{"z":1.50,"a":[true,null,1e3]}`},
		{js, `{"pin":12345,"x":[{"PIN":12345},{"pin":67890}]}`, `{"pin":1,"x":[{"PIN":1},{"pin":2}]}`},
		{js, `{"a":"<b>&","a":"twice"}`, `{"a":"<b>&","a":"twice"}`},
		{js, `{"token":`, `{"token":`},
		{js, `{"token": "ab\"c", "x`, `{"token": "REDACTED_token_1", "x`},
		{js, `{"token":{"type":"x","value":["y"]}}`, `{"token":{"type":"REDACTED_type_1","value":["REDACTED_value_1"]}}`},
		{js, `{"url":"https://u:p@h.example/?x=1&access_token=t%2Ft#f"}`, `{"url":"https://REDACTED_userinfo_1@h.example/?x=1&access_token=REDACTED_access_token_1#f"}`},
		{form, "a=b+c&code=x1&code=x1&code=x2&empty", "a=b+c&code=REDACTED_code_1&code=REDACTED_code_1&code=REDACTED_code_2&empty"},
		{form, "bad=%zz&password=x", "bad=%zz&password=REDACTED_password_1"},
		{"text/xml", `<x><Email>a</Email><n code="7" password='q'/></x>`, `<x><Email>REDACTED_email_1</Email><n code="7" password='REDACTED_password_1'/></x>`},
		{"text/plain", "Basic amenities. Write to a.b@c.example, Bearer abcdefghijklmnop1", "Basic amenities. Write to REDACTED_email_1@example.invalid, Bearer REDACTED_access_token_1"},
		{"text/plain", "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----", "REDACTED_private_key_1"},
		{"text/plain", "", ""},
	} {
		r := newRedactor(nil, nil)
		got := r.body(c.contentType, c.in)
		if got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.in, got, c.want)
		}
		if again := r.body(c.contentType, got); again != got {
			t.Errorf("%s\nredacted again: %s", got, again)
		}
	}
}

func TestNamesOfTheRecording(t *testing.T) {
	r := newRedactor([]string{"Door-Text"}, []string{"wifi_name"})
	got := r.body(js, `{"door_text":"left","wifiName":"guests","wifiPassword":"pw"}`)
	if want := `{"door_text":"REDACTED_door_text_1","wifiName":"guests","wifiPassword":"REDACTED_wifipassword_1"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The same secret has the same placeholder wherever it is and whatever it is called, and another one has another.
func TestSamePlaceholder(t *testing.T) {
	r := newRedactor(nil, nil)
	seen := map[string]string{}
	for n := range 50 {
		secret := fmt.Sprintf("s3cr3t/%d+x", n%10)
		p := r.value([]string{"token", "api_key", "password"}[n%3], secret)
		if before, ok := seen[secret]; ok && before != p {
			t.Errorf("%s: %s, then %s", secret, before, p)
		}
		seen[secret] = p
		for _, s := range []string{
			r.body(js, `{"a":"x `+secret+` y"}`), r.body(form, "a="+url.QueryEscape(secret)), r.url("https://h.example/" + url.PathEscape(secret)), r.body("", secret), r.body(js, `{"`+secret+`":1}`),
		} {
			if strings.Count(s, p) != 1 || strings.Contains(s, "s3cr3t") {
				t.Errorf("%s in %s", p, s)
			}
		}
	}
	different := map[string]bool{}
	for _, p := range seen {
		different[p] = true
	}
	if len(different) != 10 {
		t.Errorf("%d placeholders for 10 secrets", len(different))
	}
}

// A planted secret never survives in what would be written, JSON stays JSON with as many members, and redacting again changes nothing.
func FuzzRedactor(f *testing.F) {
	for _, s := range []string{"tok-9f3b71c2aa", "hunter2+/&x", `q"uo\te<d>12`, "äöü-secret-1", "REDACTED_x_1-and9", "12345678", "0000000x00000000"} {
		for _, around := range []string{`plain`, `{"b":{"c":[1,"x"]}}`, `a=1&b=2`, `<a b="c">d</a>`, `{"broken`, `"q": "`, `REDACTED_token_1`} {
			f.Add(s, around)
		}
	}
	f.Fuzz(func(t *testing.T, secret, around string) {
		if len(secret) < 8 || len(secret) > 200 || len(around) > 2000 || word.MatchString(secret) || placeholder.MatchString(secret) || strings.Contains(placeholder.String(), secret) {
			t.Skip()
		}
		quoted, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		if json.Unmarshal(quoted, &secret) != nil || scheme.MatchString(secret) {
			t.Skip()
		}
		doc, err := json.Marshal(map[string]any{"password": secret, "said": "it is " + secret, "around": around, "list": []any{around, 1.5, nil, secret + around}})
		if err != nil {
			t.Fatal(err)
		}
		for contentType, in := range map[string]string{
			js:           string(doc),
			form:         "password=" + url.QueryEscape(secret) + "&x=" + url.QueryEscape(around+secret),
			"text/plain": around + " " + secret,
		} {
			r := newRedactor(nil, nil)
			if contentType == "text/plain" { // has no name for it
				r.credential("password", secret)
			}
			i := &vcr.Interaction{}
			i.Request.Headers = map[string][]string{"Content-Type": {contentType}}
			r.body(contentType, in) // what is secret is seen before anything is written
			i.Request.Body = r.body(contentType, in)
			if r.search(i) != nil {
				continue // is not written
			}
			out := i.Request.Body
			if strings.Contains(placeholder.ReplaceAllString(out, ""), secret) {
				t.Errorf("%s: the secret %q is in %q", contentType, secret, out)
			}
			if contentType == js {
				var was, is map[string]any
				if err := json.Unmarshal([]byte(in), &was); err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal([]byte(out), &is); err != nil || len(is) != len(was) {
					t.Errorf("%q became %q: %v", in, out, err)
				}
			}
		}
		if r := newRedactor(nil, nil); json.Valid([]byte(around)) && !json.Valid([]byte(r.body(js, around))) {
			t.Errorf("%q became %q", around, newRedactor(nil, nil).body(js, around))
		}
	})
}

// A body is read as text, or not recorded.
func TestPlainBodies(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		encoding, body, want string
		ok                   bool
	}{{"", "hello", "hello", true}, {"identity", "hello", "hello", true}, {"GZIP", z.String(), "hello", true}, {"gzip", "hello", "", false}, {"gzip", z.String()[:15], "", false}, {"br", "x", "", false}} {
		got, err := plain(c.encoding, c.body)
		if (err == nil) != c.ok || c.ok && got != c.want {
			t.Errorf("%q of %d bytes: %q, %v, want %q", c.encoding, len(c.body), got, err, c.want)
		}
	}
}
