package drivertest

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

// acmeTerms are acme's, with a cassette in a folder of the test's.
func acmeTerms(t testing.TB, dir, flaw string, transport http.RoundTripper, in driver.Integration) Terms {
	t.Helper()
	return Terms{
		Register: acmeHarness(flaw).Register, Cassette: "all",
		Recording: Recording{From: Simulator, Of: "acme", Date: "2026-11-25", Integration: in, Transport: transport, dir: dir, Secret: []string{"guest"}},
		Transport: transport,
		Endpoints: []Endpoint{
			{Call: "POST /token", Open: true, Fields: map[string]string{"access_token": "string", "expires_in": "number", "token_type": "string"}},
			{Call: "GET /me"},
			{Call: "GET /thing", Fields: map[string]string{
				"items": "array", "items[].id": "string", "items[].name": "string", "items[].note": "string?", "total": "number", "next": "string",
			}},
			{Call: "GET /media"},
			{Call: "GET /order", Fields: map[string]string{"items[].id": "string|number", "next": "string|null"}},
		},
	}
}

// change changes a partner's answers.
type change struct {
	next http.RoundTripper
	edit func(path string, body []byte) []byte
}

func (c change) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	var body strings.Builder
	if _, err := copyAll(&body, resp); err != nil {
		return nil, err
	}
	return answer(req, resp.StatusCode, resp.Header.Get("Content-Type"), c.edit(req.URL.Path, []byte(body.String()))), nil
}

func copyAll(b *strings.Builder, resp *http.Response) (int64, error) {
	defer resp.Body.Close()
	buf := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return 0, nil //nolint:nilerr // the simulator's bodies end well
		}
	}
}

// recordAcme records the cassette.
func recordAcme(t *testing.T, dir string) {
	t.Helper()
	p, err := acmePartner(Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Server.Close()
	t.Run("record", func(t *testing.T) {
		terms := acmeTerms(t, dir, "", p.Server.Transport(), p.Integration)
		tape := newTape(t, terms.Cassette, terms.Recording, true)
		if err := useAll(t.Context(), tape.Open(terms.Register)); err != nil {
			t.Fatal(err)
		}
	})
}

// asked runs f as a test that asks a partner whose answers are edited, and returns what it said.
func asked(t *testing.T, dir, flaw string, edit func(path string, body []byte) []byte, f func(tb testing.TB, terms Terms)) *recorder {
	t.Helper()
	rec := &recorder{TB: t}
	synctest.Test(t, func(t *testing.T) {
		p, err := acmePartner(Conditions{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Server.Close()
		rec.TB = t
		done := make(chan struct{})
		go func() {
			defer close(done)
			f(rec, acmeTerms(t, dir, flaw, change{p.Server.Transport(), edit}, p.Integration))
		}()
		<-done
	})
	return rec
}

func as(_ string, body []byte) []byte { return body }

// The terms hold against the cassette and the partner. Each way of not holding is found.
func TestContract(t *testing.T) {
	dir := t.TempDir()
	recordAcme(t, dir)
	contract := func(tb testing.TB, terms Terms) { Contract(tb, terms) }
	t.Run("cassette", func(t *testing.T) {
		Contract(t, acmeTerms(t, dir, "", nil, driver.Integration{ID: "a", Partner: "acme", Credentials: acmePlaceholders()}))
	})
	t.Setenv("ACME_LIVE", "1")
	if rec := asked(t, dir, "", as, contract); rec.failed {
		t.Errorf("against the partner: %s", strings.Join(rec.said, "\n"))
	}
	replace := func(from, to string) func(string, []byte) []byte {
		return func(_ string, body []byte) []byte { return []byte(strings.ReplaceAll(string(body), from, to)) }
	}
	for says, c := range map[string]struct {
		flaw string
		edit func(string, []byte) []byte
		with func(*Terms)
	}{
		"items[].name is not there":                            {edit: replace(`"name":`, `"title":`)},
		"total is of type string, want number":                 {edit: replace(`"total":70`, `"total":"70"`)},
		"items[].name is there in 69 of 70, want it always":    {edit: replace(`"name":"thing 7",`, ``)},
		"GET /order is called, which Terms.Endpoints does not": {edit: as, with: func(terms *Terms) { terms.Endpoints = terms.Endpoints[:4] }},
		"has no X-Limit":                  {edit: as, with: func(terms *Terms) { terms.Endpoints[2].Headers = []string{"X-Limit"} }},
		"was called without X-Key":        {edit: as, with: func(terms *Terms) { terms.Header = "X-Key" }},
		"GET /gone gave no answer":        {edit: as, with: func(terms *Terms) { terms.Endpoints = append(terms.Endpoints, Endpoint{Call: "GET /gone"}) }},
		"the driver counts an oddity":     {flaw: "counts oddities", edit: as},
		"is set, but not: ACME_NO_SECRET": {edit: as, with: func(terms *Terms) { terms.Recording.Env = map[string]string{"client_secret": "ACME_NO_SECRET"} }},
		"gave no answer with status 2xx":  {edit: as, with: func(terms *Terms) { terms.Recording.Integration.Credentials["client_secret"] = "wrong-secret-9999" }},
		"Terms.Register is nil":           {edit: as, with: func(terms *Terms) { terms.Register = nil }},
		`Endpoints[0].Call is "/x"`:       {edit: as, with: func(terms *Terms) { terms.Endpoints[0].Call = "/x" }},
		`Fields["total"] is "integer"`:    {edit: as, with: func(terms *Terms) { terms.Endpoints[2].Fields["total"] = "integer" }},
		"Terms.Endpoints is empty":        {edit: as, with: func(terms *Terms) { terms.Endpoints = nil }},
	} {
		rec := asked(t, dir, c.flaw, c.edit, func(tb testing.TB, terms Terms) {
			if c.with != nil {
				c.with(&terms)
			}
			Contract(tb, terms)
		})
		if text := strings.Join(rec.said, "\n"); !rec.failed || !strings.Contains(text, says) {
			t.Errorf("it does not say %q, but:\n%s", says, text)
		} else if strings.Contains(text, "acme-secret-1234") || strings.Contains(text, acmeGuest) {
			t.Error("what it says holds a secret")
		}
	}
}

// What changed in the answers is told, and what did not is not.
func TestDrift(t *testing.T) {
	dir := t.TempDir()
	recordAcme(t, dir)
	drift := func(tb testing.TB, terms Terms) { Drift(tb, terms) }
	if rec := asked(t, dir, "", as, drift); !rec.skipped || !strings.Contains(strings.Join(rec.said, ""), "set ACME_LIVE=1") {
		t.Errorf("without being asked for: %q", rec.said)
	}
	t.Setenv("ACME_LIVE", "1")
	reports := filepath.Join(t.TempDir(), "nightly")
	t.Setenv(DriftReportDir, reports)
	var r DriftReport
	rec := asked(t, dir, "", as, func(tb testing.TB, terms Terms) { r = Drift(tb, terms) })
	if rec.failed || len(r.Differences) > 0 || r.Endpoints != 5 || r.Answers != 11 || r.Partner != "acme" || !strings.Contains(r.Markdown(), "11 answers of 5 endpoints are as they were") {
		t.Errorf("without a change: %+v\n%s", r, strings.Join(rec.said, "\n"))
	}
	rec = asked(t, dir, "", func(path string, body []byte) []byte {
		s := string(body)
		if path == "/thing" {
			s = strings.ReplaceAll(s, `"guest":`, `"visitor":`)
			s = strings.ReplaceAll(s, `"name":"thing 9"`, `"name":9`)
			s = strings.ReplaceAll(s, `"name":"thing 7",`, ``)
		}
		return []byte(s)
	}, func(tb testing.TB, terms Terms) { r = Drift(tb, terms) })
	var got []string
	for _, d := range r.Differences {
		got = append(got, d.String())
	}
	want := []string{
		"GET /thing items[].guest: removed: was always there, is never there",
		"GET /thing items[].name: removed: was always there, is there in 69 of 70",
		"GET /thing items[].name: retyped: was string, is number or string",
		"GET /thing items[].visitor: added: was not there, is string, always",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !rec.failed || len(rec.said) != 3 { // what is only new is logged
		t.Errorf("it says %q", rec.said)
	}

	// The nightly run has it as JSON and as Markdown.
	b, err := os.ReadFile(filepath.Join(reports, "acme-all.json"))
	if err != nil {
		t.Fatal(err)
	}
	var read DriftReport
	if err := json.Unmarshal(b, &read); err != nil || !slices.Equal(read.Differences, r.Differences) || read.Recorded != "simulator acme, 2026-11-25" {
		t.Errorf("the JSON gives %+v, %v", read, err)
	}
	md, err := os.ReadFile(filepath.Join(reports, "acme-all.md"))
	if err != nil || !strings.Contains(string(md), "| `GET /thing` | items[].name | **retyped** | string | number or string |") || !strings.Contains(string(md), "4 differences in 11 answers of 5 endpoints, of which 3 may break") {
		t.Errorf("the Markdown is\n%s\n%v", md, err)
	}
	if strings.Contains(string(b)+string(md), acmeGuest) {
		t.Error("the report holds a guest's address")
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct{ was, is, want string }{
		{`{"a":1}`, `{"a":2}`, ""},
		{`{"a":1}`, `{"a":1.5,"b":null}`, "b: added: was not there, is null, always"},
		{`{"a":null}`, `{"a":"x"}`, ""}, // nothing was known
		{`{"a":"x"}`, `{"a":""}`, ""},
		{`{"a":"x"}`, `{"a":"2026-01-01"}`, ""},
		{`{"a":"2026-01-01"}`, `{"a":"2026-01-01T10:00:00Z"}`, "a: retyped: was date, is instant"},
		{`{"a":"x"}`, `{"a":null}`, "a: retyped: was string, is null"},
		{`{"a":{"b":1}}`, `{"a":[]}`, "a: retyped: was object, is array"}, // and not a.b
		{`{"l":[{"s":"open"},{"s":"shut"},{"s":"open"},{"s":"shut"}]}`, `{"l":[{"s":"open"},{"s":"stormy"}]}`, "l[].s: new value: was open, shut, is stormy"},
		{`{"l":[{"s":"anna"},{"s":"bert"}]}`, `{"l":[{"s":"carl"}]}`, ""}, // no code: each is another
		{`{"l":[{"s":"REDACTED_name_1"},{"s":"REDACTED_name_1"}]}`, `{"l":[{"s":"carl"}]}`, ""},
		{`{"l":[{"x":1}]}`, `{"l":[]}`, ""},
		{`{"rates":{"5f0a11aa22":{"n":1},"6f0a11aa22":{"n":2}}}`, `{"rates":{"7f0a11aa22":{"n":"1"}}}`, "rates.*.n: retyped: was number, is string"},
		{`{"tags":["new","old","new","old"]}`, `{"tags":["new","odd"]}`, "tags: new value: was new, old, is odd"},
		{`<a><b x="1">t</b><b x="2">u</b></a>`, `<a><b>t</b><c/></a>`, "b.@x: removed: was always there, is never there | c: added: was not there, is empty, always"},
	} {
		shapes := [2]map[string]*endpointShape{{}, {}}
		for i, body := range []string{c.was, c.is} {
			addAnswer(shapes[i], "GET /x", 200, []byte(body))
		}
		var got []string
		for _, d := range compare(shapes[0], shapes[1]) {
			got = append(got, strings.TrimPrefix(d.String(), "GET /x "))
		}
		if s := strings.Join(got, " | "); s != c.want {
			t.Errorf("%s, then %s: %q, want %q", c.was, c.is, s, c.want)
		}
	}
	was, is := map[string]*endpointShape{}, map[string]*endpointShape{}
	addAnswer(was, "GET /a", 200, nil)
	addAnswer(was, "GET /b", 200, nil)
	addAnswer(is, "GET /a", 207, []byte("text"))
	if got := compare(was, is); len(got) != 2 || got[0].String() != "GET /a: status: was 200, is 207" || got[1].Kind != NotCalled || !got[1].Breaks() {
		t.Errorf("got %v", got)
	}
}

func acmePlaceholders() map[string]auth.Secret {
	return map[string]auth.Secret{"client_id": "acme-client", "client_secret": "acme-secret-1234"}
}
