package airbnbtest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/airbnb/airbnbtest"
	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// client is the least that can talk to the simulated partner. It is not the driver.
type client struct {
	t     *testing.T
	s     *airbnbtest.Server
	token string
}

func (c *client) call(method, path, body string, basic bool) (int, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "https://"+airbnbtest.Host+path,
		strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if basic {
		req.SetBasicAuth(airbnbtest.ClientID, airbnbtest.ClientSecret)
	} else {
		req.Header.Set("X-Airbnb-API-Key", airbnbtest.ClientID)
		req.Header.Set("X-Airbnb-OAuth-Token", c.token)
	}
	resp, err := c.s.Transport().RoundTrip(req)
	if err != nil {
		c.t.Fatalf("%s: %v", path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

type grant struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Expires int64  `json:"expires_at"`
}

func (c *client) refresh(with string) (int, grant) {
	c.t.Helper()
	status, text := c.call("POST", "/v2/oauth2/authorizations?_unwrapped=true", `{"refresh_token": "`+with+`"}`, true)
	var g grant
	if status == 200 && json.Unmarshal([]byte(text), &g) != nil {
		c.t.Fatal(text)
	}
	return status, g
}

func open(t *testing.T, c airbnbtest.Config) *client {
	t.Helper()
	s, err := airbnbtest.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	cl := &client{t: t, s: s}
	status, g := cl.refresh(airbnbtest.RefreshToken)
	if len(c.Faults) == 0 && (status != 200 || g.Access == "") {
		t.Fatalf("no token: %d %+v", status, g)
	}
	cl.token = g.Access
	return cl
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, airbnbtest.Config{})
		if status, _ := c.refresh("ref-unknown"); status != 404 {
			t.Errorf("an unknown refresh token: %d, want 404", status)
		}
		status, g := c.refresh(airbnbtest.RefreshToken)
		if want := time.Now().Add(12 * time.Hour).Unix(); status != 200 || g.Refresh != "" || g.Expires != want {
			t.Errorf("the second refresh: %d %+v, want no refresh token and expires_at %d", status, g, want)
		}
		if status, text := c.call("POST", "/v2/oauth2/authorizations", `{"code": "`+airbnbtest.Code+`"}`,
			true); status != 200 || !strings.Contains(text, airbnbtest.RefreshToken) {
			t.Errorf("a code: %d %s", status, text)
		}
		if status, text := c.call("POST", "/v2/oauth2/authorizations", `{}`, true); status != 400 ||
			!strings.Contains(text, "Invalid Request") {
			t.Errorf("nothing to exchange: %d %s", status, text)
		}
		if status, text := c.call("GET", "/v2/oauth2/authorizations/"+c.token, "", true); status != 200 ||
			!strings.Contains(text, `"valid":true`) {
			t.Errorf("check: %d %s", status, text)
		}
		time.Sleep(12*time.Hour + time.Second)
		if status, text := c.call("GET", "/v2/users/me", "", false); status != 401 ||
			!strings.Contains(text, `"error":"authentication_required"`) {
			t.Errorf("an expired token: %d %s", status, text)
		}
		if status, _ := c.call("GET", "/v2/oauth2/authorizations/"+c.token, "", true); status != 404 {
			t.Errorf("check of an expired token: %d", status)
		}
		_, g = c.refresh(airbnbtest.RefreshToken)
		if status, _ := c.call("DELETE", "/v2/oauth2/authorizations/"+g.Access, "", true); status != 200 {
			t.Errorf("revoke: %d", status)
		}
		if status, _ := c.refresh(airbnbtest.RefreshToken); status != 404 {
			t.Errorf("refresh after the host withdrew: %d", status)
		}
	})
}

// A rotated refresh token is good once.
func TestRotation(t *testing.T) {
	c := open(t, airbnbtest.Config{Rotate: true})
	if status, _ := c.refresh(airbnbtest.RefreshToken); status != 404 {
		t.Errorf("the used one: %d", status)
	}
	next := string(c.s.Integration("a").Credentials["refresh_token"])
	if status, g := c.refresh(next); status != 200 || g.Refresh == "" || g.Refresh == next {
		t.Errorf("the new one: %d %+v", status, g)
	}
}

func TestAnswers(t *testing.T) {
	const window = "&start_date=2026-01-01&end_date=2027-12-31"
	for _, old := range []bool{false, true} {
		c := open(t, airbnbtest.Config{Listings: 3, ReservationsPerListing: 20, PhotosPerListing: 2, Odd: -1, Old: old})
		code := slices.Collect(c.s.ConfirmationCodes())[0]
		paging, rows := `"total_count":3`, `"paging":{"limit":20,"next_cursor":null}`
		if old {
			paging, rows = `"metadata":{"listing_count":3,"record_count":4}`, `"metadata":{}`
		}
		for _, x := range []struct {
			method, path, body string
			status             int
			part               string
		}{
			{"GET", "/v2/users/me", "", 200, `"id":700001`},
			{"GET", "/v2/listings?user_id=700001&_limit=50", "", 200, paging},
			{"GET", "/v2/listings?user_id=5", "", 200, `"listings":[]`},
			{"GET", "/v2/listings?user_id=700001&_limit=0", "", 200, `"listings":[]`},
			{"GET", "/v2/listings?user_id=700001&_offset=x", "", 400, `"Invalid Request"`},
			{"GET", "/v2/listings/21000417", "", 200, `"listing_currency":"EUR"`},
			{"GET", "/v2/listings/1180000000000000418", "", 200, `"id_str":"1180000000000000418"`},
			{"GET", "/v2/listings/5", "", 404, `"error_type":"record_not_found"`},
			{"PUT", "/v2/listings/21000417", `{"has_availability": true}`, 200, `"listing":null`},
			{"GET", "/v2/listing_photos/?listing_id=21000417", "", 200,
				`"large_url":"https://images.example.com/0/1.jpg"`},
			{"GET", "/v2/listing_photos/?listing_id=5", "", 404, "record_not_found"},
			{"GET", "/v2/listing_descriptions/21000417/en", "", 200, `"summary":"By the canal."`},
			{"GET", "/v2/booking_settings/21000417", "", 200, `"check_in_time_end":"25"`},
			{"GET", "/v2/reservations?host_id=700001&all_status=true" + window, "", 200, rows},
			{"GET", "/v2/reservations?host_id=5&all_status=true" + window, "", 404, "record_not_found"},
			{"GET", "/v2/reservations?host_id=700002&all_status=true" + window, "", 403, `"error_type":"no_access"`},
			{"GET", "/v2/reservations?start_date=2026-01-01&end_date=2026-01-02", "", 400, "Invalid Request"},
			{"GET", "/v2/reservations/" + code, "", 200, `"confirmation_code":"` + code + `"`},
			{"GET", "/v2/reservations/HM00000000", "", 404, "record_not_found"},
			{"PUT", "/v2/reservations/" + code, `{"attempt_action": "cancel"}`, 400, "Invalid Request"},
			{"GET", "/v2/calendars/21000417/2026-12-01/2026-12-03", "", 200, `"end_date":"2026-12-03"`},
			{"GET", "/v2/calendars/21000417/2026-12-03/2026-12-01", "", 400, "Invalid Request"},
			{"POST", "/v2/calendar_operations", `{"listing_id": 5, "operations": [{"dates": ["2026-12-01"]}]}`, 404,
				"record_not_found"},
			{"POST", "/v2/calendar_operations", `{"listing_id": 21000417, "operations": [{"dates": ["x"]}]}`, 400,
				"Invalid Request"},
			{"POST", "/v2/calendar_operations",
				`{"listing_id": 21000417, "operations": [{"dates": ["2026-12-01"], "availability": "x"}]}`, 400,
				"Invalid Request"},
			{"GET", "/v2/prices", "", 404, "record_not_found"},
		} {
			if status, text := c.call(x.method, x.path, x.body, false); status != x.status ||
				!strings.Contains(text, x.part) {
				t.Errorf("old %v: %s %s: %d %s", old, x.method, x.path, status, text)
			}
		}
		c.token = "unknown"
		if status, _ := c.call("GET", "/v2/users/me", "", false); status != 401 {
			t.Errorf("an unknown token: %d", status)
		}
	}
}

func TestCalendar(t *testing.T) {
	c := open(t, airbnbtest.Config{Listings: 1})
	body := `{"listing_id": 21000417, "operations": [
		{"dates": ["2026-12-01:2026-12-02"], "availability": "unavailable", "daily_price": 7, "min_nights": 3, "max_nights": 9, "closed_to_arrival": true, "closed_to_departure": false, "notes": "n"},
		{"dates": ["2026-12-03"], "availability": "default"}]}`
	if status, text := c.call("POST", "/v2/calendar_operations?_allow_dates_overlap=true", body,
		false); status != 200 || !strings.Contains(text, "calendar_operation") {
		t.Fatalf("%d %s", status, text)
	}
	_, text := c.call("GET", "/v2/calendars/21000417/2026-12-02/2026-12-02", "", false)
	for _, part := range []string{`"availability":"unavailable"`, `"daily_price":7`, `"min_nights":3`,
		`"max_nights":9`, `"closed_to_arrival":true`, `"notes":"n"`} {
		if !strings.Contains(text, part) {
			t.Errorf("%s is not in %s", part, text)
		}
	}
}

// Throttling is 405, 429 and 503 in turn, without a word on when to come back.
func TestThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, airbnbtest.Config{Listings: 1})
		seen := map[int]bool{}
		for range 100 {
			if status, _ := c.call("GET", "/v2/listings/21000417", "", false); status != 200 {
				t.Fatal(status)
			}
		}
		for range 6 {
			status, _ := c.call("GET", "/v2/listings/21000417", "", false)
			seen[status] = true
		}
		if !seen[405] || !seen[429] || !seen[503] || len(seen) != 3 {
			t.Errorf("%v", seen)
		}
		// Another path counts apart.
		if status, _ := c.call("GET", "/v2/users/me", "", false); status != 200 {
			t.Errorf("another endpoint: %d", status)
		}
		if r := c.s.Report(); r.Violations != 6 || len(r.Unexpected) != 0 {
			t.Errorf("%d violations, unexpected %q", r.Violations, r.Unexpected)
		}
		time.Sleep(10 * time.Second)
		if status, _ := c.call("GET", "/v2/listings/21000417", "", false); status != 200 {
			t.Errorf("after the window: %d", status)
		}
	})
}

func TestStatus(t *testing.T) {
	c := open(t, airbnbtest.Config{Listings: 1, ReservationsPerListing: 40, Odd: -1})
	for code := range c.s.Pending() {
		status, text := c.call("PUT", "/v2/reservations/"+code, `{"attempt_action": "accept"}`, false)
		if status != 200 || !strings.Contains(text, `"status_type":"accept"`) {
			t.Errorf("accept: %d %s", status, text)
		}
		return
	}
	t.Error("no reservation waits")
}

func TestChange(t *testing.T) {
	c := open(t, airbnbtest.Config{Listings: 30, ReservationsPerListing: 2, PhotosPerListing: 1})
	at := time.Date(2026, 11, 2, 3, 4, 5, 6, time.UTC)
	before := c.s.Account()
	delta := c.s.Change(0.2, 1, at)
	if again := c.s.Change(0.2, 1, at); again != (airbnbtest.Changes{}) || delta.Reservations.Deleted == 0 {
		t.Errorf("%+v, again %+v", delta, again)
	}
	after := c.s.Account()
	if after.Reservations != before.Reservations+delta.Reservations.Added ||
		len(slices.Collect(c.s.ListingIDs())) != after.Listings {
		t.Errorf("before %+v, after %+v, change %+v", before, after, delta)
	}
	changed := 0
	for code := range c.s.ConfirmationCodes() {
		if _, text := c.call("GET", "/v2/reservations/"+code, "", false); strings.Contains(text,
			`"updated_at":"2026-11-02T03:04:05`) {
			changed++
		}
	}
	if want := delta.Reservations.Added + delta.Reservations.Updated + delta.Reservations.Deleted; changed != want {
		t.Errorf("%d reservations changed then, want %d", changed, want)
	}
	if (airbnbtest.Counts{}) != open(t, airbnbtest.Config{}).s.Account() {
		t.Error("an empty account")
	}
}

func TestFaults(t *testing.T) {
	for kind, want := range map[partnersim.Kind]int{"x-slowdown": 405, "401": 401, "403": 403, "404": 404, "400": 400,
		"502": 502} {
		c := open(t, airbnbtest.Config{Faults: []partnersim.Rule{{Kind: kind, Endpoint: "/v2/users/me"}}})
		if status, _ := c.call("GET", "/v2/users/me", "", false); status != want {
			t.Errorf("%s: %d, want %d", kind, status, want)
		}
	}
}

func TestUnexpected(t *testing.T) {
	c := open(t, airbnbtest.Config{Listings: 1})
	c.call("GET", "/v2/listings?user_id=700001&_cursor=x&_limit=80", "", false)
	c.call("GET", "/v2/reservations?host_id=700001", "", false)
	if got := c.s.Report().Unexpected; len(got) != 4 {
		t.Errorf("%d notes: %q", len(got), got)
	}
}

func TestIntegration(t *testing.T) {
	c := open(t, airbnbtest.Config{})
	if in := c.s.Integration("a"); in.ID != "a" || in.Account != "700001" || in.BaseURL != "https://"+airbnbtest.Host {
		t.Errorf("%+v", in)
	}
	base, err := c.s.Start(t.Context())
	if err != nil || c.s.Integration("a").BaseURL != base {
		t.Errorf("started: %s, %v", base, err)
	}
	for name, tiers := range c.s.Tiers() {
		if len(tiers) == 0 {
			t.Errorf("%s has no tiers", name)
		}
	}
}

func TestEverythingWrongIsNamed(t *testing.T) {
	_, err := airbnbtest.NewServer(airbnbtest.Config{Listings: -1, PhotosPerListing: 20_000, Scale: -1})
	for _, want := range []string{"Listings is -1", "PhotosPerListing is 20000", "Scale"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if _, err := airbnbtest.NewServer(airbnbtest.Config{Listings: 10_000, ReservationsPerListing: 10_000}); err == nil {
		t.Error("a hundred million reservations")
	}
}
