package cloudbedstest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// call is the least that can talk to the simulated partner. It is not the driver.
func call(t *testing.T, s *cloudbedstest.Server, method, path, key string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+cloudbedstest.Host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("X-Api-Key", key)
	}
	resp, err := s.Transport().RoundTrip(req)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func server(t *testing.T, c cloudbedstest.Config) *cloudbedstest.Server {
	t.Helper()
	s, err := cloudbedstest.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name, method, path, key string
		status                  int
		part                    string
	}{
		{"no key", "GET", "/api/v1.3/getHotels", "", 401, `"error":"access_denied"`},
		{"another key", "GET", "/api/v1.3/getHotels", "cbat_other", 401, `"error":"access_denied"`},
		{"properties", "GET", "/api/v1.3/getHotels", cloudbedstest.APIKey, 200,
			`"propertyTimezone":"America/Los_Angeles"`},
		{"another version", "GET", "/api/v1.2/getHotels?propertyIDs=190002", cloudbedstest.APIKey, 200, `"total":1}`},
		{"version 1.1", "GET", "/api/v1.1/getHotels", cloudbedstest.APIKey, 404, "<html>"},
		{"no such method", "GET", "/api/v1.3/getUserInfo", cloudbedstest.APIKey, 404, "<html>"},
		{"wrong verb", "POST", "/api/v1.3/getHotels", cloudbedstest.APIKey, 404,
			`{"status":false,"error":"Unknown method."}`},
		{"a property that is not the key's", "GET", "/api/v1.3/getHotels?propertyIDs=5", cloudbedstest.APIKey, 200,
			`{"success":false,"message":"None of`},
		{"details", "GET", "/api/v1.3/getHotelDetails?propertyID=190002", cloudbedstest.APIKey, 200,
			`"propertyLatitude":"38.7001"`},
		{"details of none", "GET", "/api/v1.3/getHotelDetails?propertyID=5", cloudbedstest.APIKey, 200,
			`{"success":false,"message":"None of`},
		{"details without a property", "GET", "/api/v1.3/getHotelDetails", cloudbedstest.APIKey, 200,
			`{"success":false,"message":"Please specify`},
		{"reservations", "GET", "/api/v1.3/getReservationsWithRateDetails?propertyID=190001", cloudbedstest.APIKey,
			200, `"total":3}`},
		{"T and Z", "GET", "/api/v1.3/getReservationsWithRateDetails?modifiedFrom=2026-01-01T00:00:00Z",
			cloudbedstest.APIKey, 200, `"message":"Parameter modifiedFrom is not valid"`},
		{"a date", "GET", "/api/v1.3/getReservationsWithRateDetails?modifiedFrom=2027-01-01", cloudbedstest.APIKey,
			200, `"total":0}`},
		{"until", "GET", "/api/v1.3/getReservationsWithRateDetails?modifiedTo=2020-01-01", cloudbedstest.APIKey, 200,
			`"total":0}`},
		{"a page too large", "GET", "/api/v1.3/getHotels?pageSize=101", cloudbedstest.APIKey, 200,
			`"message":"Parameter pageSize is not valid"`},
		{"page 0", "GET", "/api/v1.3/getHotels?pageNumber=0", cloudbedstest.APIKey, 200,
			`"message":"Parameter pageNumber is not valid"`},
	} {
		s := server(t, cloudbedstest.Config{Properties: 2, ReservationsPerProperty: 3, PhotosPerProperty: 2, Odd: -1})
		resp, text := call(t, s, c.method, c.path, c.key)
		if resp.StatusCode != c.status || !strings.Contains(text, c.part) || resp.Header.Get("X-Request-ID") == "" {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, text)
		}
	}
}

// A filter that is not known is ignored in silence, and noted.
func TestUnknownFilter(t *testing.T) {
	s := server(t, cloudbedstest.Config{Properties: 1, ReservationsPerProperty: 3, Odd: -1})
	_, text := call(t, s, "GET", "/api/v1.3/getReservationsWithRateDetails?modifiedSince=2030-01-01",
		cloudbedstest.APIKey)
	if !strings.Contains(text, `"total":3}`) || len(s.Report().Unexpected) != 1 {
		t.Errorf("%s, noted %q", text, s.Report().Unexpected)
	}
}

// Who is too fast is not told when to come back: the credential is suspended.
func TestSuspension(t *testing.T) {
	for _, c := range []struct {
		partner bool
		limit   int
	}{{false, 5}, {true, 10}} {
		synctest.Test(t, func(t *testing.T) {
			s := server(t, cloudbedstest.Config{Properties: 1, Partner: c.partner})
			for i := range c.limit {
				if resp, text := call(t, s, "GET", "/api/v1.3/getHotels",
					cloudbedstest.APIKey); resp.StatusCode != 200 {
					t.Fatalf("request %d: %d %s", i+1, resp.StatusCode, text)
				}
			}
			if s.Suspended() || s.Report().Violations != 0 || s.Limits()[0].Requests != int64(c.limit) {
				t.Errorf("%d a second: suspended, or %d violations", c.limit, s.Report().Violations)
			}
			resp, _ := call(t, s, "GET", "/api/v1.3/getHotels", cloudbedstest.APIKey)
			if resp.StatusCode != 403 || resp.Header.Get("Retry-After") != "" || !s.Suspended() ||
				s.Report().Violations != 1 {
				t.Errorf("one too many: %d, Retry-After %q, %d violations", resp.StatusCode,
					resp.Header.Get("Retry-After"), s.Report().Violations)
			}
			time.Sleep(cloudbedstest.Suspension / 2)
			if resp, _ := call(t, s, "GET", "/api/v1.3/getHotels", cloudbedstest.APIKey); resp.StatusCode != 403 {
				t.Errorf("during the suspension: %d", resp.StatusCode)
			}
			time.Sleep(cloudbedstest.Suspension / 2)
			if resp, _ := call(t, s, "GET", "/api/v1.3/getHotels", cloudbedstest.APIKey); resp.StatusCode != 200 {
				t.Errorf("after the suspension: %d", resp.StatusCode)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	for kind, want := range map[partnersim.Kind]struct {
		status int
		part   string
	}{
		"429": {429, `"status":false`}, "500": {500, "<html>"}, "401": {401, "access_denied"},
		"400":       {400, `"error":"Bad Request"`},
		"x-refused": {200, `{"success":false`}, "x-uninstalled": {200, "not available to be connected"},
		"x-late": {200, `"success":false`},
	} {
		s := server(t, cloudbedstest.Config{Faults: []partnersim.Rule{{Kind: kind, Rate: 1}}})
		if resp, text := call(t, s, "GET", "/api/v1.3/getHotels",
			cloudbedstest.APIKey); resp.StatusCode != want.status || !strings.Contains(text, want.part) {
			t.Errorf("%s: %d %s", kind, resp.StatusCode, text)
		}
	}
}

func TestChange(t *testing.T) {
	s := server(t, cloudbedstest.Config{Properties: 3, ReservationsPerProperty: 10, PhotosPerProperty: 2, Odd: -1})
	before := s.Account()
	if want := (cloudbedstest.Counts{Properties: 3, Reservations: 30, Photos: 6}); before != want {
		t.Errorf("%+v, want %+v", before, want)
	}
	at := time.Date(2026, 11, 2, 3, 4, 5, 6, time.UTC)
	delta := s.Change(0.3, 1, at)
	if again := s.Change(0.3, 1, at); delta.Deleted != 3 || again != (partnersim.Delta{}) {
		t.Errorf("%+v, again %+v", delta, again)
	}
	if got := s.Account(); got.Reservations != 30 || got.Deleted != 3 {
		t.Errorf("%+v", got)
	}
	if n := len(slices.Collect(s.ReservationIDs())); n != 30 {
		t.Errorf("%d ids", n)
	}
	_, text := call(t, s, "GET", "/api/v1.3/getReservationsWithRateDetails?includeDeleted=true&sortByRecent=true&modifiedFrom=2026-11-02", cloudbedstest.APIKey)
	var page struct {
		Data []struct {
			Modified string `json:"dateModifiedUTC"`
		}
	}
	if err := json.Unmarshal([]byte(text), &page); err != nil || len(page.Data) == 0 ||
		page.Data[0].Modified != "2026-11-02 03:04:05" {
		t.Errorf("%v: %d rows", err, len(page.Data))
	}
	if (cloudbedstest.Counts{}) != server(t, cloudbedstest.Config{}).Account() ||
		server(t, cloudbedstest.Config{}).Change(1, 1, at) != (partnersim.Delta{}) {
		t.Error("an empty group")
	}
}

func TestIntegration(t *testing.T) {
	s := server(t, cloudbedstest.Config{})
	if in := s.Integration("a"); in.ID != "a" || in.BaseURL != "https://"+cloudbedstest.Host ||
		string(in.Credentials["api_key"]) != cloudbedstest.APIKey {
		t.Errorf("%+v", in)
	}
	base, err := s.Start(t.Context())
	if err != nil || s.Integration("a").BaseURL != base {
		t.Errorf("started: %s, %v", base, err)
	}
}

func TestEverythingWrongIsNamed(t *testing.T) {
	_, err := cloudbedstest.NewServer(cloudbedstest.Config{Properties: -1, PhotosPerProperty: 20_000, Scale: -1})
	for _, want := range []string{"Properties is -1", "PhotosPerProperty is 20000", "Scale"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if _, err := cloudbedstest.NewServer(cloudbedstest.Config{Properties: 10_000,
		ReservationsPerProperty: 10_000}); err == nil {
		t.Error("a hundred million reservations")
	}
}
