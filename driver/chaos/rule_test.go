package chaos_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver/chaos"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want chaos.Rules
	}{
		{"", nil},
		{" , ,", nil},
		{"429", chaos.Rules{{Kind: chaos.TooMany}}},
		{"429:2%;retry=none", chaos.Rules{{Kind: chaos.TooMany, Rate: 0.02, Retry: "none"}}},
		{"503 : 0.5 ; at = POST /v1/* ; after=2;count=3", chaos.Rules{{Kind: "503", Rate: 0.5, Endpoint: "POST /v1/*",
			After: 2, Count: 3}}},
		{"refused;at=api.acme.example/*;from=5m;until=6m;every=1h", chaos.Rules{
			{Kind: chaos.Refused, Endpoint: "api.acme.example/*", From: 5 * time.Minute, Until: 6 * time.Minute,
				Every: time.Hour}}},
		{"skew;by=-90s,latency;delay=80ms;jitter=40ms", chaos.Rules{
			{Kind: chaos.Skew, Skew: -90 * time.Second}, {Kind: chaos.Latency, Delay: 80 * time.Millisecond,
				Jitter: 40 * time.Millisecond}}},
		{"duplicate:1,reorder;delay=2s,redeliver", chaos.Rules{
			{Kind: chaos.Duplicate, Rate: 1}, {Kind: chaos.Reorder, Delay: 2 * time.Second}, {Kind: chaos.Redeliver}}},
	} {
		got, err := chaos.Parse(c.text)
		if err != nil || got.String() != c.want.String() || len(got) != len(c.want) {
			t.Errorf("Parse(%q) = %v, %v, want %v", c.text, got, err, c.want)
		}
		for i := range got {
			if i < len(c.want) && got[i] != c.want[i] {
				t.Errorf("Parse(%q)[%d] = %+v, want %+v", c.text, i, got[i], c.want[i])
			}
		}
	}
}

func TestBadRulesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"flood":                                 "unknown kind",
		"200":                                   "unknown kind",
		"600":                                   "unknown kind",
		"429:0":                                 "the rate is",
		"429:101%":                              "the rate is",
		"429:NaN":                               "the rate is",
		"429;at=v1":                             "the endpoint",
		"429;at=/v1/[":                          "the endpoint",
		"429;at=[/v1":                           "the endpoint",
		"429;at=GET /a b":                       "the endpoint",
		"429;after=-1":                          "want 0 or more",
		"429;count=many":                        `option "count"`,
		"429;from=2m;until=1m":                  "want the end to be later",
		"429;every=1m":                          "want a period",
		"429;until=2m;every=1m":                 "want a period",
		"429;retry=-1s":                         "retry is",
		"429;retry=soon":                        "retry is",
		"lost;retry=1s":                         "not for lost",
		"lost;delay=1s":                         "for latency, timeout, slow and reorder alone",
		"latency":                               "latency needs",
		"slow;jitter=1s":                        "for latency alone",
		"skew":                                  "want one for the kind skew",
		"429;by=1s":                             "want one for the kind skew",
		"429;colour=red":                        "unknown, want at",
		"429:2;after=-1;at=v1;colour=red;every": `option "every"`,
	} {
		rules, err := chaos.Parse(text)
		if err == nil || rules != nil || !strings.Contains(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), "chaos: rule ") {
			t.Errorf("Parse(%q) = %v, %v, want an error with %q", text, rules, err, want)
		}
	}
	_, err := chaos.New(chaos.Config{Rules: []chaos.Rule{{Kind: "flood"}, {Kind: chaos.Lost, Rate: 2},
		{Kind: chaos.Lost, Endpoint: "/a;b"}}})
	for _, want := range []string{"Rules[0]: unknown kind", "Rules[1]: the rate is 2", "Rules[2]: the endpoint holds"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New says %v, want %q", err, want)
		}
	}
	var rules chaos.Rules
	if err := rules.Set("429"); err != nil {
		t.Error(err)
	}
	if err := rules.Set("flood"); err == nil || len(rules) != 1 {
		t.Errorf("a bad flag gives %v, %v", rules, err)
	}
}

// What is read is written as what is read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"429:1%;retry=date:7s,503:0.02,latency;delay=80ms;jitter=40ms", "lost:0.5%;at=POST /v1/*",
		"refused;at=a.example:80/*;from=5m;until=6m;every=1h",
		"skew;by=-90s,duplicate:10%,reorder:5%;delay=2s", "429;retry=garbage;after=1;count=2", ",;,=",
		"429:1e-300;at= /x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := chaos.Parse(text)
		if err != nil {
			if rules != nil {
				t.Fatalf("rules %v with the error %v", rules, err)
			}
			return
		}
		again, err := chaos.Parse(rules.String())
		if err != nil || len(again) != len(rules) {
			t.Fatalf("%q is written as %q, which gives %v, %v", text, rules, again, err)
		}
		for i := range rules {
			if again[i] != rules[i] {
				t.Fatalf("%q is written as %q and read as %+v, want %+v", text, rules, again[i], rules[i])
			}
		}
		if _, err := chaos.New(chaos.Config{Rules: rules}); err != nil {
			t.Fatalf("New refuses what Parse took: %v", err)
		}
	})
}

func TestEndpoints(t *testing.T) {
	for _, c := range []struct {
		endpoint, method, url string
		struck                bool
	}{
		{"", "GET", "https://a.example/", true},
		{"/v1/listings", "GET", "https://a.example/v1/listings?limit=5", true},
		{"/v1/listings", "GET", "https://a.example/v1/listings/7", false},
		{"/v1/*", "GET", "https://a.example/v1/listings/7", true},
		{"/v1/*/rooms", "GET", "https://a.example/v1/7/rooms", true},
		{"/v1/*/rooms", "GET", "https://a.example/v1/7/8/rooms", false},
		{"POST /v1/*", "GET", "https://a.example/v1/x", false},
		{"POST /v1/*", "POST", "https://a.example/v1/x", true},
		{"a.example/*", "GET", "https://A.example/v1", true},
		{"a.example/*", "GET", "https://a.example:8443/v1", true},
		{"a.example:8443/*", "GET", "https://a.example:8443/v1", true},
		{"a.example:8443/*", "GET", "https://a.example/v1", false},
		{"*.example/*", "GET", "https://api.example/v1", true},
		{"*.example/*", "GET", "https://api.other/v1", false},
	} {
		in := injector(t, chaos.Rule{Kind: "503", Endpoint: c.endpoint})
		resp := send(t, in.Wrap(partner{}), c.method, c.url)
		if (resp.StatusCode == 503) != c.struck {
			t.Errorf("%q, %s %s: status %d, want it to be struck: %t", c.endpoint, c.method, c.url, resp.StatusCode,
				c.struck)
		}
	}
}

func TestWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := injector(t, chaos.Rule{Kind: "503", From: time.Minute, Until: 2 * time.Minute},
			chaos.Rule{Kind: "500", From: 10 * time.Second, Until: 20 * time.Second, Every: 10 * time.Minute})
		start := time.Now()
		for _, c := range []struct {
			at   time.Duration
			want int
		}{
			{0, 200}, {10 * time.Second, 500}, {20 * time.Second, 200}, {time.Minute, 503}, {2*time.Minute - 1, 503},
			{2 * time.Minute, 200},
			{10 * time.Minute, 200}, {10*time.Minute + 15*time.Second, 500}, {time.Hour + 19*time.Second, 500},
			{time.Hour + 61*time.Second, 200},
		} {
			time.Sleep(time.Until(start.Add(c.at)))
			if got := send(t, in.Wrap(partner{}), "GET", "https://a.example/").StatusCode; got != c.want {
				t.Errorf("after %v: status %d, want %d", c.at, got, c.want)
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // dates have no fractions
		for retry, want := range map[string]string{
			"": "1", "7s": "7", "1500ms": "2", "0s": "0", "none": "", "garbage": "when we feel better",
			"2540400h": "9145440000",
			"date:7s":  "Sat, 01 Jan 2000 00:00:08 GMT", // not a moment before
			"date:-1h": "Fri, 31 Dec 1999 23:00:01 GMT",
		} {
			in := injector(t, chaos.Rule{Kind: chaos.TooMany, Retry: retry})
			resp := send(t, in.Wrap(partner{}), "GET", "https://a.example/")
			if got := resp.Header.Get("Retry-After"); got != want || resp.StatusCode != http.StatusTooManyRequests {
				t.Errorf("retry %q: status %d, Retry-After %q, want %q", retry, resp.StatusCode, got, want)
			}
		}
		if got := send(t, injector(t, chaos.Rule{Kind: "503"}).Wrap(nil), "GET",
			"https://a.example/").Header.Get("Retry-After"); got != "" {
			t.Errorf("a 503 bears Retry-After %q", got)
		}
	})
}

// After and Count are of each identity, and of the time a rule is in force.
func TestAfterAndCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := injector(t, chaos.Rule{Kind: "503", After: 1, Count: 2, From: time.Minute})
		rt := in.Wrap(partner{})
		statuses := func(url string) (got []int) {
			for range 5 {
				got = append(got, send(t, rt, "GET", url).StatusCode)
			}
			return got
		}
		all := [][]int{statuses("https://a.example/1")}
		time.Sleep(time.Minute)
		all = append(all, statuses("https://a.example/1"), statuses("https://a.example/2"))
		for i, want := range [][]int{{200, 200, 200, 200, 200}, {200, 503, 503, 200, 200}, {200, 503, 503, 200, 200}} {
			for n := range want {
				if all[i][n] != want[n] {
					t.Errorf("round %d: statuses %v, want %v", i, all[i], want)
					break
				}
			}
		}
	})
}
