package partnersim_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

func TestParseFaults(t *testing.T) {
	for _, tt := range []struct {
		spec string
		want []partnersim.Rule
	}{
		{"", nil},
		{" , ", nil},
		{"outage", []partnersim.Rule{{Kind: partnersim.Outage}}},
		{"429:0.02,reset:1%,500:0.02", []partnersim.Rule{{Kind: "429", Rate: 0.02}, {Kind: "reset", Rate: 0.01},
			{Kind: "500", Rate: 0.02}}},
		{"429:0.1; retry=none ;count=3", []partnersim.Rule{{Kind: "429", Rate: 0.1, Retry: -1, Count: 3}}},
		{"403;at=GET /v1/listings/*;after=2", []partnersim.Rule{{Kind: "403", Endpoint: "GET /v1/listings/*",
			After: 2}}},
		{"outage;from=30s;until=1m30s, slow;delay=5s", []partnersim.Rule{
			{Kind: "outage", From: 30 * time.Second, Until: 90 * time.Second}, {Kind: "slow", Delay: 5 * time.Second},
		}},
		{"x-success-false:5%", []partnersim.Rule{{Kind: "x-success-false", Rate: 0.05}}},
	} {
		got, err := partnersim.ParseFaults(tt.spec)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %+v, %v; want %+v", tt.spec, got, err, tt.want)
		}
	}
}

func TestParseFaultsNamesEveryProblem(t *testing.T) {
	_, err := partnersim.ParseFaults("flood:0.1,429:2,reset;until=0.5;often=1,outage;from=2m;until=1m,500;delay=3s,slow;retry=1s,lost;at=listings,cut;count=-1,399,x-")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`unknown kind "flood"`, "known are a status from 400 to 599 and 429, reset", `the rate is "2"`,
		`option "until"`, `option "often"`, "in force from 2m0s until 1m0s",
		"delay is 3s", "retry is for a status, not for slow", `the endpoint "listings"`, "count -1",
		`unknown kind "399"`, `unknown kind "x-"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

// What is parsed is valid, and its text is parsed as the same rules again.
func FuzzParseFaults(f *testing.F) {
	for _, spec := range []string{"429:0.02,reset:1%", "outage;from=30s;until=90s",
		"503;retry=none;at=POST /oauth2/token", "slow;delay=1h,x-a", ":;=,", "429:1e-300", "empty;at=/a*[", "cut;after=99999999999999999999"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		rules, err := partnersim.ParseFaults(spec)
		if err != nil {
			if rules != nil {
				t.Errorf("rules beside an error: %v", rules)
			}
			return
		}
		var texts []string
		for _, r := range rules {
			if err := r.Validate(); err != nil {
				t.Errorf("%q: %v", spec, err)
			}
			texts = append(texts, r.String())
		}
		again, err := partnersim.ParseFaults(strings.Join(texts, ","))
		if err != nil || !slices.Equal(rules, again) {
			t.Errorf("%q: got %+v, then %+v, %v", spec, rules, again, err)
		}
	})
}

// struck returns which of n requests a rule strikes.
func struck(t *testing.T, seed uint64, n int, rules ...partnersim.Rule) []int {
	t.Helper()
	s := newServer(t, partnersim.Config{Faults: rules, Seed: seed})
	var out []int
	for i := range n {
		if status, _, _, err := get(t.Context(), s, "/"); err != nil || status != 200 {
			out = append(out, i)
		}
	}
	return out
}

func TestFaultsAreTheSameForTheSameSeed(t *testing.T) {
	rules := []partnersim.Rule{{Kind: "500", Rate: 0.1}, {Kind: "reset", Rate: 0.1}}
	a, b, c := struck(t, 1, 1000, rules...), struck(t, 1, 1000, rules...), struck(t, 2, 1000, rules...)
	if !slices.Equal(a, b) {
		t.Errorf("the same seed: %v and %v", a, b)
	}
	if slices.Equal(a, c) {
		t.Error("another seed strikes the same requests")
	}
	if len(a) < 150 || len(a) > 230 {
		t.Errorf("%d of 1000 were struck, want about 190", len(a))
	}
}

func TestRuleBounds(t *testing.T) {
	if got := struck(t, 1, 10, partnersim.Rule{Kind: "500", After: 2, Count: 3}); !slices.Equal(got, []int{2, 3, 4}) {
		t.Errorf("after 2, count 3: %v", got)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, partnersim.Config{Scale: 60, Faults: []partnersim.Rule{{Kind: "500", From: 60 * time.Second,
			Until: 180 * time.Second}}})
		var got []int
		for range 5 { // each half second is half a minute at the partner
			status, _, _, _ := get(t.Context(), s, "/")
			got = append(got, status)
			time.Sleep(750 * time.Millisecond)
		}
		if want := fmt.Sprint([]int{200, 200, 500, 500, 200}); fmt.Sprint(got) != want {
			t.Errorf("from 1 s until 3 s: got %v, want %v", got, want)
		}
	})
}

func TestRuleEndpoints(t *testing.T) {
	for _, tt := range []struct {
		endpoint, method, path string
		want                   bool
	}{
		{"", "GET", "/v1/listings", true},
		{"", "POST", "/token", false}, // the token endpoint is spared unless it is named
		{"/token", "POST", "/token", true},
		{"POST /token", "GET", "/token", false},
		{"/v1/listings", "GET", "/v1/listings", true},
		{"/v1/listings", "GET", "/v1/listings/1", false},
		{"/v1/listings*", "GET", "/v1/listings/1/photos", true},
		{"/v1/*/photos", "GET", "/v1/listings/photos", true},
		{"/v1/*/photos", "GET", "/v1/listings/1/photos", false},
		{"/v1/[lr]istings*", "GET", "/v1/listings", true},
	} {
		s := newServer(t, partnersim.Config{
			Faults: []partnersim.Rule{{Kind: "503", Endpoint: tt.endpoint}},
			Tokens: &partnersim.Tokens{Path: "/token", Clients: map[string]string{"id": "secret"}},
		})
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "https://partner.example"+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.StatusCode == http.StatusServiceUnavailable; got != tt.want {
			t.Errorf("rule for %q, %s %s: struck %v, want %v", tt.endpoint, tt.method, tt.path, got, tt.want)
		}
	}
	s := newServer(t, partnersim.Config{
		Faults: []partnersim.Rule{{Kind: partnersim.Outage}},
		Tokens: &partnersim.Tokens{Path: "/token", Clients: map[string]string{"id": "secret"}},
	})
	if _, _, _, err := get(t.Context(), s, "/token"); err == nil {
		t.Error("an outage spares the token endpoint")
	}
}
