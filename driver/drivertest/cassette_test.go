package drivertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
)

// taped is a test that a cassette is made in, which may fail.
type taped struct {
	recorder
	cleanups []func()
}

func (t *taped) Cleanup(f func())             { t.cleanups = append(t.cleanups, f) }
func (t *taped) Failed() bool                 { return t.failed }
func (t *taped) Name() string                 { return "TestTaped" }
func (t *taped) Logf(format string, a ...any) { t.note(false, fmt.Sprintf(format, a...)) }

// tape runs f with a cassette and returns what the test said.
func tape(t *testing.T, r Recording, record bool, f func(c *Tape)) *taped {
	t.Helper()
	in := &taped{recorder: recorder{TB: t}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := newTape(in, "talk", r, record)
		f(c)
	}()
	<-done
	for n := len(in.cleanups) - 1; n >= 0; n-- {
		in.cleanups[n]()
	}
	return in
}

func (t *taped) text() string { return strings.Join(t.said, "\n") }

// partner answers with what f returns, and keeps what arrived.
type partner func(req *http.Request, body string) (int, http.Header, string)

func (p partner) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = b
		req.Body.Close()
	}
	status, h, text := p(req, string(body))
	if h == nil {
		h = http.Header{"Content-Type": {"application/json"}}
	}
	return &http.Response{Status: fmt.Sprint(status), StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(text)), ContentLength: -1, Request: req}, nil
}

func talk(t *testing.T, p partner) Recording {
	return Recording{
		From: Simulator, Of: "a test", Date: "2026-11-25", Transport: p, dir: t.TempDir(),
		Integration: driver.Integration{ID: "a", Partner: "acme", Credentials: map[string]auth.Secret{"client_id": "acme-client", "client_secret": "acme-secret-1234"}},
	}
}

// send makes a request of lines: method and URL, headers, an empty line, the body.
func send(t *testing.T, rt http.RoundTripper, method, url, contentType, body string, headers ...string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for n := 0; n < len(headers); n += 2 {
		req.Header.Set(headers[n], headers[n+1])
	}
	before := req.Header.Clone()
	resp, err := rt.RoundTrip(req)
	if fmt.Sprint(before) != fmt.Sprint(req.Header) {
		t.Errorf("the request's headers were changed to %v", req.Header)
	}
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.Request != req {
		t.Error("the answer is not to the request")
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), nil
}

const (
	form = "application/x-www-form-urlencoded"
	js   = "application/json"
)

// canaries are secrets of which nothing may be in a file, and which the running conversation must get.
var canaries = []string{
	"acme-secret-1234", "tok-9f3b71c2aa", "sess_8841x77", "hunter2+/&x", "sig=44aa9911zz", "ada.lovelace@guests.example.com", "+4915112345678",
	"Lovelace-Byron", "eyJhbGciOiJI.eyJqdGkiOjF9.c2lnbmF0dXJl", "k3y-in-the-url", "4111 1111 1111 1111", "refresh-55-aa-77", "987654321012",
}

func TestPromise8_NoSecretIsInACassette(t *testing.T) {
	p := partner(func(req *http.Request, body string) (int, http.Header, string) {
		if req.Method == http.MethodPost && req.URL.Path == "/token" {
			return 200, nil, `{"access_token":"tok-9f3b71c2aa","refresh_token":"refresh-55-aa-77","token_type":"Bearer","expires_in":3600}`
		}
		h := http.Header{"Content-Type": {js}, "Set-Cookie": {"sid=sess_8841x77"}, "X-Ratelimit-Remaining": {"7"}, "X-Odd": {"tok-9f3b71c2aa"},
			"Link": {`<https://api.acme.example/x?api_key=k3y-in-the-url>; rel="next"`}}
		return 200, h, `{"id":"66f0c1a2b3d4e5f607182930","note":"write to ada.lovelace@guests.example.com or +4915112345678",
			"guest":{"lastName":"Lovelace-Byron","phone":"+4915112345678","pin":987654321012},"again":987654321012,"said":"Lovelace-Byron came",
			"card":{"cardNumber":"4111 1111 1111 1111"},"hook":"{\"signature\":\"sig=44aa9911zz\"}","jws":"eyJhbGciOiJI.eyJqdGkiOjF9.c2lnbmF0dXJl",
			"session":["sess_8841x77"],"xml":"<a:Password x=\"1\">hunter2+/&amp;x</a:Password>","total":2}`
	})
	say := func(c *Tape) string {
		in := c.Integration().Credentials
		text, err := send(t, c, "POST", "https://api.acme.example/token", form,
			"grant_type=client_credentials&client_id="+string(in["client_id"])+"&client_secret="+string(in["client_secret"]))
		if err != nil {
			t.Errorf("token: %v", err)
			return ""
		}
		var answer struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Error(err)
		}
		token := answer.Token
		for _, call := range [][4]string{
			{"GET", "https://api.acme.example/guests?limit=2&api_key=k3y-in-the-url&q=" + token, "", ""},
			{"POST", "https://api.acme.example/login", form, "password=hunter2%2B%2F%26x&user=a"},
			{"POST", "https://api.acme.example/login", js, `{"user":"a","password":"hunter2+/&x","deep":{"token":{"value":"tok-9f3b71c2aa"}}}`},
			{"POST", "https://api.acme.example/login", "text/xml", `<r sig="sig=44aa9911zz"><Secret>refresh-55-aa-77</Secret></r>`},
			{"POST", "https://api.acme.example/up", "multipart/form-data; boundary=8f7ac1b0e9d2468acf013579bdf02468", "--8f7ac1b0e9d2468acf013579bdf02468\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2+/&x\r\n--8f7ac1b0e9d2468acf013579bdf02468--\r\n"},
		} {
			body, err := send(t, c, call[0], call[1], call[2], call[3], "Authorization", "Bearer "+token, "X-Api-Key", "k3y-in-the-url", "Cookie", "sid=sess_8841x77")
			if err != nil {
				t.Errorf("%s %s: %v", call[0], call[1], err)
			}
			text += body
		}
		return text
	}
	r := talk(t, p)
	var live string
	if out := tape(t, r, true, func(c *Tape) { live = say(c) }); out.failed {
		t.Fatalf("recording: %s", out.text())
	}
	for _, canary := range canaries[1:4:4] {
		if canary != "hunter2+/&x" && !strings.Contains(live, canary) {
			t.Errorf("the running conversation lacks %q: it was redacted", canary)
		}
	}
	file, err := os.ReadFile(filepath.Join(r.dir, "talk.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, canary := range canaries {
		for _, f := range forms(canary) {
			if bytes.Contains(file, []byte(f)) {
				t.Errorf("%q is in the file", f)
			}
		}
	}
	if !bytes.HasPrefix(file, []byte("# Recorded from: simulator a test, 2026-11-25\n")) {
		t.Errorf("the file begins with %.60q", file)
	}
	for _, want := range []string{"token_type", "Bearer", "66f0c1a2b3d4e5f607182930", "X-Ratelimit-Remaining"} {
		if !bytes.Contains(file, []byte(want)) {
			t.Errorf("%q is not in the file", want)
		}
	}

	// In a replay the token of the first answer is a placeholder, and matches.
	r.Transport = nil
	for _, all := range []bool{true, false} {
		out := tape(t, r, false, func(c *Tape) {
			if got := string(c.Integration().Credentials["client_secret"]); got != "REDACTED_client_secret_1" {
				t.Errorf("the credential is %q", got)
			}
			if c.Recorded() != "simulator a test, 2026-11-25" {
				t.Errorf("Recorded() is %q", c.Recorded())
			}
			if all {
				say(c)
			}
		})
		for _, canary := range canaries {
			if strings.Contains(out.text(), canary) {
				t.Errorf("%q is printed", canary)
			}
		}
		if unplayed := strings.Contains(out.text(), "6 interactions were not played"); unplayed == all || out.failed != unplayed {
			t.Errorf("said: %s", out.text())
		}
	}
}

// What looks random and has no name that says so is not written, and not shown.
func TestWhatMayBeSecretIsNotWritten(t *testing.T) {
	const key = "Zk9xT2mQ7vLp4RwB8nYc"
	for name, c := range map[string]struct {
		header http.Header
		body   string
		allow  []string
		says   string
	}{
		"in JSON":        {body: `{"a":[{"blob":"` + key + `"}]}`, says: "the answer's body $.a[].blob looks like a secret: 20 characters"},
		"as a name":      {body: `{"a":{"` + key + `":1}}`, says: "has a member in $.a that looks like a secret"},
		"hexadecimal":    {body: `{"a":"0123456789abcdef0123456789abcdef"}`, says: "$.a looks like a secret"},
		"in a header":    {header: http.Header{"Location": {"/x/" + key}}, says: "the answer's header Location looks like a secret"},
		"binary":         {body: "\xff\xfe\x00", says: "not UTF-8"},
		"packed":         {header: http.Header{"Content-Encoding": {"br"}}, body: "x", says: "neither gzip nor none"},
		"allowed":        {body: `{"a":[{"blob":"` + key + `"}]}`, allow: []string{"blob"}},
		"ids and dates":  {body: `{"a":"66f0c1a2b3d4e5f607182930","b":"0b7c1a52-8f0e-4a53-9d8e-3f1a2b4c5d6e","c":"2026-11-25T10:00:00.000Z"}`},
		"words and URLs": {body: `{"a":"https://images.example.com/harbour-loft-with-2-balconies/photo-1.jpg","b":"confirmedPreBookingReservation"}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := talk(t, func(*http.Request, string) (int, http.Header, string) { return 200, c.header, c.body })
			r.Allow = c.allow
			out := tape(t, r, true, func(c *Tape) {
				if _, err := send(t, c, "GET", "https://api.acme.example/", "", ""); err != nil {
					t.Error(err)
				}
			})
			_, err := os.Stat(filepath.Join(r.dir, "talk.yaml"))
			if written := err == nil; written != (c.says == "") || out.failed == written || !strings.Contains(out.text(), c.says) {
				t.Errorf("written %t, said: %s", written, out.text())
			}
			if strings.Contains(out.text(), key) {
				t.Error("the finding repeats the secret")
			}
		})
	}
}

func TestFailedTestsRecordNothing(t *testing.T) {
	r := talk(t, func(*http.Request, string) (int, http.Header, string) { return 200, nil, `{}` })
	tape(t, r, true, func(c *Tape) { c.t.Error("wrong") })
	if _, err := os.Stat(filepath.Join(r.dir, "talk.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat: %v", err)
	}
}

func TestCassettesThatAreRefused(t *testing.T) {
	good := talk(t, nil)
	if out := tape(t, good, false, func(*Tape) {}); !strings.Contains(out.text(), "go test -run '^TestTaped$' -record") {
		t.Errorf("a missing one: %s", out.text())
	}
	for first, says := range map[string]string{
		"version: 2\n": "does not say in its first line",
		"# Recorded from: live a test, 2026-11-25\nversion: 2\n":            "was recorded from live a test, 2026-11-25, the test says simulator",
		"# Recorded from: simulator a test, 2026-11-25\nversion: 1\n":       "required version",
		"# Recorded from: simulator something, 2026-11-25\n---\nversion: 2": "was recorded from simulator something",
	} {
		if err := os.WriteFile(filepath.Join(good.dir, "talk.yaml"), []byte(first), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := tape(t, good, false, func(*Tape) { t.Error("went on") }); !out.failed || !strings.Contains(out.text(), says) {
			t.Errorf("%q: %s", first, out.text())
		}
	}
	err := Recording{From: "here", Of: "a\nb", Date: "today"}.validate("../x")
	for _, want := range []string{`name "../x"`, `From is "here"`, "Of is not", `Date is "today"`, "no ID"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	live := good
	live.Env = map[string]string{"client_secret": "INTEGRATIONKIT_NOT_SET"}
	if out := tape(t, live, true, func(*Tape) { t.Error("went on") }); !strings.Contains(out.text(), "not set in the environment: INTEGRATIONKIT_NOT_SET") {
		t.Errorf("without credentials: %s", out.text())
	}
}

func TestCredentialsComeFromTheEnvironmentWhenRecording(t *testing.T) {
	t.Setenv("ACME_SECRET_OF_TEST", "from-the-environment")
	r := talk(t, func(_ *http.Request, body string) (int, http.Header, string) {
		return 200, nil, `{"echo":"` + body + `"}`
	})
	r.Env = map[string]string{"client_secret": "ACME_SECRET_OF_TEST"}
	for _, record := range []bool{true, false} {
		out := tape(t, r, record, func(c *Tape) {
			got, err := send(t, c, "POST", "https://api.acme.example/", "text/plain", string(c.Integration().Credentials["client_secret"]))
			want := map[bool]string{true: `{"echo":"from-the-environment"}`, false: `{"echo":"REDACTED_client_secret_1"}`}[record]
			if err != nil || got != want {
				t.Errorf("record %t: %s, %v", record, got, err)
			}
		})
		if out.failed {
			t.Error(out.text())
		}
	}
}

// A request that is not there is not tried again.
func TestUnmatchedIsNotRetried(t *testing.T) {
	r := talk(t, func(*http.Request, string) (int, http.Header, string) { return 200, nil, `{}` })
	tape(t, r, true, func(*Tape) {})
	out := tape(t, r, false, func(c *Tape) {
		_, err := send(t, c, "GET", "https://api.acme.example/", "", "")
		if !errors.Is(err, ErrUnmatched) || retry.ClassOf(err) != retry.Client {
			t.Errorf("error %v of class %v", err, retry.ClassOf(err))
		}
	})
	if !strings.Contains(out.text(), "it is empty") {
		t.Error(out.text())
	}
}
