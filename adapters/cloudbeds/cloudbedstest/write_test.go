package cloudbedstest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
)

// write sends a form, as the group's key.
func write(t *testing.T, s *cloudbedstest.Server, method, path string, form url.Values) (int, string) {
	t.Helper()
	return body(t, s, method, path, "application/x-www-form-urlencoded", form.Encode())
}

func body(t *testing.T, s *cloudbedstest.Server, method, path, contentType, text string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+cloudbedstest.Host+path,
		strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-Api-Key", cloudbedstest.APIKey)
	resp, err := s.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// tokens asks the token endpoint, and returns what came.
func tokens(t *testing.T, s *cloudbedstest.Server, form url.Values) (status int, access, refresh, failed string) {
	t.Helper()
	status, text := write(t, s, "POST", "/api/v1.3/access_token", form)
	var r struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Expires int    `json:"expires_in"`
		Error   string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil || status == 200 && r.Expires != 28800 {
		t.Errorf("%s: %v", text, err)
	}
	return status, r.Access, r.Refresh, r.Error
}

func client(pairs ...string) url.Values {
	v := url.Values{"client_id": {cloudbedstest.ClientID}, "client_secret": {cloudbedstest.ClientSecret}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, cloudbedstest.Config{Properties: 1})
		first := s.Grant()
		status, access, second, _ := tokens(t, s, client("grant_type", "refresh_token", "refresh_token", first))
		if status != 200 || second == first || second == "" {
			t.Fatalf("%d, %q", status, second)
		}
		if resp, _ := call(t, s, "GET", "/api/v1.3/getHotels", access); resp.StatusCode != 401 {
			t.Errorf("a token as an API key: %d", resp.StatusCode)
		}
		bearer := func() int {
			req, err := http.NewRequestWithContext(t.Context(), "GET",
				"https://"+cloudbedstest.Host+"/api/v1.3/getHotels", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+access)
			resp, err := s.Transport().RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode
		}
		if got := bearer(); got != 200 {
			t.Errorf("a token: %d", got)
		}
		time.Sleep(8 * time.Hour)
		if got := bearer(); got != 401 {
			t.Errorf("after 8 hours: %d", got)
		}
		if status, _, _, failed := tokens(t, s, client("grant_type", "refresh_token", "refresh_token",
			first)); status != 400 || failed != "The refresh token is invalid." {
			t.Errorf("a used token: %d %s", status, failed)
		}
		if status, _, _, _ := tokens(t, s, client("grant_type", "refresh_token", "refresh_token",
			second)); status != 400 {
			t.Errorf("the one after it: %d: the grant is alive", status)
		}
		if used, again := s.Refreshes(); used != 3 || again != 1 {
			t.Errorf("%d used, %d again", used, again)
		}
		idle := s.Grant()
		time.Sleep(366 * 24 * time.Hour)
		if status, _, _, _ := tokens(t, s, client("grant_type", "refresh_token", "refresh_token",
			idle)); status != 400 {
			t.Errorf("unused for more than a year: %d", status)
		}
		for name, form := range map[string]url.Values{
			"no grant": client(), "no such grant": client("grant_type", "client_credentials"),
			"no such code":   client("grant_type", "authorization_code", "code", "x"),
			"another client": {"client_id": {"x"}, "client_secret": {"y"}},
		} {
			if status, access, _, failed := tokens(t, s, form); status/100 != 4 || access != "" || failed == "" {
				t.Errorf("%s: %d %s", name, status, failed)
			}
		}
		if status, text := body(t, s, "POST", "/api/v1.3/access_token", "application/json", `{}`); status != 400 {
			t.Errorf("JSON: %d %s", status, text)
		}
		if status, text := body(t, s, "GET", "/api/v1.2/access_token", "", ""); status != 404 {
			t.Errorf("GET: %d %s", status, text)
		}
	})
}

func TestAuthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, cloudbedstest.Config{})
		const back = "https://host.example/callback?a=b"
		grant := func() string {
			q := url.Values{"client_id": {cloudbedstest.ClientID}, "response_type": {"code"}, "redirect_uri": {back},
				"state": {"s"}}
			resp, _ := call(t, s, "GET", "/api/v1.3/oauth?"+q.Encode(), "")
			to, err := resp.Location()
			if err != nil || to.Query().Get("state") != "s" || to.Query().Get("a") != "b" {
				t.Fatalf("sent to %v, %v", to, err)
			}
			return to.Query().Get("code")
		}
		code := grant()
		trade := func(code, uri string) int {
			status, _, _, _ := tokens(t, s, client("grant_type", "authorization_code", "code", code, "redirect_uri",
				uri))
			return status
		}
		if first, again := trade(code, back), trade(code, back); first != 200 || again != 401 {
			t.Errorf("a code: %d, again %d", first, again)
		}
		if got := trade(grant(), "https://elsewhere.example"); got != 401 {
			t.Errorf("for another address: %d", got)
		}
		code = grant()
		time.Sleep(11 * time.Minute)
		if got := trade(code, back); got != 401 {
			t.Errorf("after 11 minutes: %d", got)
		}
		if resp, _ := call(t, s, "GET", "/api/v1.3/oauth?client_id=x", ""); resp.StatusCode != 400 {
			t.Errorf("another client: %d", resp.StatusCode)
		}
	})
}

// Each row is a write, what is answered, and how much of it is noted as not documented.
func TestWrites(t *testing.T) {
	tooMany := url.Values{"rates[0][rateID]": {"900100"}}
	for i := range 31 {
		tooMany.Set(fmt.Sprintf("rates[0][interval][%d][startDate]", i), "2026-12-01")
	}
	rate := func(id string, pairs ...string) url.Values {
		v := url.Values{"rates[0][rateID]": {id}}
		for i := 0; i < len(pairs); i += 2 {
			v.Set("rates[0][interval][0]["+pairs[i]+"]", pairs[i+1])
		}
		return v
	}
	for _, c := range []struct {
		name, method, call string
		form               url.Values
		part               string
		noted              int
	}{
		{"a status", "PUT", "putReservation", url.Values{"reservationID": {"7736451000000"}, "status": {"no_show"}},
			`"status":"no_show"`, 0},
		{"with POST", "POST", "putReservation", url.Values{}, "Unknown method.", 1},
		{"of nothing", "PUT", "putReservation", url.Values{"status": {"confirmed"}},
			"Parameter reservationID is required", 0},
		{"of what is not there", "PUT", "putReservation", url.Values{"reservationID": {"7"}, "status": {"confirmed"}},
			"reservationID is not valid", 0},
		{"in British", "PUT", "putReservation", url.Values{"reservationID": {"7736451000000"},
			"status": {"cancelled"}}, "Parameter status is not valid", 0},
		{"of another property", "PUT", "putReservation", url.Values{"reservationID": {"7736451000000"},
			"propertyID": {"5"}}, "None of the included", 0},
		{"a field that is not documented", "PUT", "putReservation", url.Values{"reservationID": {"7736451000000"},
			"status": {"confirmed"}, "note": {"x"}}, "true", 1},
		{"rates", "POST", "patchRate", rate("900100", "startDate", "2026-12-01", "endDate", "2026-12-02", "rate",
			"99.5", "blocked", "true"), `"jobReferenceID":"job-0001"`, 0},
		{"no rates", "POST", "patchRate", url.Values{}, "Parameter rates is required", 0},
		{"a derived rate", "POST", "patchRate", rate("900101", "startDate", "2026-12-01"), "rateID is not valid", 0},
		{"too many", "POST", "patchRate", tooMany, "maximum of 30", 0},
		{"a field of an interval", "POST", "patchRate", rate("900100", "startDate", "2026-12-01", "endDate",
			"2026-12-02", "color", "x"), "job-0001", 1},
		{"another spelling", "POST", "patchRate", url.Values{"rates.0.rateID": {"900100"}},
			"Parameter rates is required", 2},
		{"a webhook", "POST", "postWebhook", url.Values{"object": {"a"}, "action": {"b"},
			"endpointUrl": {"https://h"}}, "subscriptionID", 0},
		{"a webhook to nowhere", "POST", "postWebhook", url.Values{"object": {"a"}, "action": {"b"}},
			"Parameter endpointUrl is required", 0},
		{"removal without an id", "DELETE", "deleteWebhook", url.Values{}, "Parameter subscriptionID is required", 0},
		{"removal with POST", "POST", "deleteWebhook", url.Values{}, "Unknown method.", 0},
	} {
		s := server(t, cloudbedstest.Config{Properties: 1, ReservationsPerProperty: 2, Odd: -1})
		_, text := write(t, s, c.method, "/api/v1.3/"+c.call, c.form)
		if !strings.Contains(text, c.part) || len(s.Report().Unexpected) != c.noted {
			t.Errorf("%s: %s, noted %q", c.name, text, s.Report().Unexpected)
		}
	}
	s := server(t, cloudbedstest.Config{Properties: 1})
	if _, text := body(t, s, "POST", "/api/v1.3/postWebhook", "application/json",
		`{"endpointUrl":"https://h"}`); !strings.Contains(text, "Parameter endpointUrl is required") {
		t.Errorf("JSON: %s", text)
	}
}

// What was written is read, and moves the time of update.
func TestWrittenIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, cloudbedstest.Config{Properties: 1, ReservationsPerProperty: 2, Odd: -1})
		id := slices.Collect(s.ReservationIDs())[1]
		time.Sleep(time.Hour)
		write(t, s, "PUT", "/api/v1.3/putReservation", url.Values{"reservationID": {id}, "status": {"checked_out"}})
		_, text := call(t, s, "GET", "/api/v1.3/getReservationsWithRateDetails?sortByRecent=true&pageSize=1",
			cloudbedstest.APIKey)
		if !strings.Contains(text, `"reservationID":"`+id+`"`) || !strings.Contains(text, `"status":"checked_out"`) ||
			!strings.Contains(text, `"dateModifiedUTC":"2026-11-01 01:00:00"`) {
			t.Errorf("the reservation: %s", text)
		}
		write(t, s, "POST", "/api/v1.3/patchRate", url.Values{
			"rates[0][rateID]": {"900100"}, "rates[0][interval][0][startDate]": {"2026-12-01"},
			"rates[0][interval][0][endDate]": {"2026-12-01"},
			"rates[0][interval][0][rate]":    {"99.5"}, "rates[0][interval][0][minLos]": {"3"},
			"rates[0][interval][0][blocked]": {"true"},
		})
		write(t, s, "POST", "/api/v1.3/patchRate", url.Values{
			"rates[0][rateID]": {"900100"}, "rates[0][interval][0][startDate]": {"2026-12-01"},
			"rates[0][interval][0][endDate]": {"2026-12-01"},
			"rates[0][interval][0][minLos]":  {"three"},
		})
		time.Sleep(time.Second) // five a second, and no more
		_, text = call(t, s, "GET", "/api/v1.3/getRatePlans?startDate=2026-12-01&endDate=2026-12-02&detailedRates=true", cloudbedstest.APIKey)
		if !strings.Contains(text, `"rate":"99.5"`) || !strings.Contains(text, `"minLos":3`) ||
			!strings.Contains(text, `"blocked":true`) || strings.Count(text, `"date"`) != 4 {
			t.Errorf("the rates: %s", text)
		}
		jobs := func() string {
			_, text := call(t, s, "GET", "/api/v1.3/getRateJobs", cloudbedstest.APIKey)
			return text
		}
		if text := jobs(); strings.Count(text, `"in_progress"`) != 2 {
			t.Errorf("jobs: %s", text)
		}
		time.Sleep(2 * time.Second)
		if text := jobs(); strings.Count(text, `"completed"`) != 1 || strings.Count(text, `"error"`) != 1 {
			t.Errorf("jobs: %s", text)
		}
		if _, text := call(t, s, "GET", "/api/v1.3/getRatePlans?startDate=2026-12-01&endDate=2026-12-01",
			cloudbedstest.APIKey); !strings.Contains(text, "endDate is not valid") {
			t.Errorf("no night: %s", text)
		}
		if _, text := call(t, s, "GET", "/api/v1.3/getRatePlans?propertyIDs=5&startDate=2026-12-01&endDate=2026-12-02", cloudbedstest.APIKey); !strings.Contains(text, "None of") {
			t.Errorf("another property: %s", text)
		}
	})
}
