package bookingcomtest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/bookingcom/bookingcomtest"
	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// client is the least that can talk to the simulated partner. It is not the driver.
type client struct {
	t     *testing.T
	s     *bookingcomtest.Server
	token string
}

func (c *client) do(method, path, body string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "https://supply-xml.booking.com"+path,
		strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Accept-Version", "1.1")
	if c.token == "basic" {
		req.SetBasicAuth(bookingcomtest.Username, bookingcomtest.Password)
	} else if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
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

// want does a call and checks its status and a piece of its body.
func (c *client) want(status int, piece, method, path, body string) string {
	c.t.Helper()
	got, text := c.do(method, path, body)
	if got != status || !strings.Contains(text, piece) {
		c.t.Errorf("%s %s: %d, want %d and %q in %.400s", method, path, got, status, piece, text)
	}
	return text
}

func (c *client) login() {
	c.t.Helper()
	var out struct{ JWT, RUID string }
	_, body := c.do(http.MethodPost, bookingcomtest.TokenPath,
		`{"client_id":"`+bookingcomtest.ClientID+`","client_secret":"`+bookingcomtest.ClientSecret+`"}`)
	if err := json.Unmarshal([]byte(body), &out); err != nil || strings.Count(out.JWT, ".") != 2 || out.RUID == "" {
		c.t.Fatalf("exchange: %s, %v", body, err)
	}
	c.token = out.JWT
}

func server(t *testing.T, c bookingcomtest.Config) *client {
	t.Helper()
	s, err := bookingcomtest.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &client{t: t, s: s}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := bookingcomtest.NewServer(bookingcomtest.Config{
		Properties: -1, UnitsPerProperty: 100, PhotosPerProperty: 300, Limit: -1, Scale: 99,
		Faults: []partnersim.Rule{{Kind: "x-unknown"}},
	})
	for _, want := range []string{"Properties", "UnitsPerProperty", "PhotosPerProperty", "Limit", "Scale",
		"x-unknown"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if _, err := bookingcomtest.NewServer(bookingcomtest.Config{Properties: 10_000,
		ReservationsPerProperty: 1000}); err == nil {
		t.Error("ten million reservations are accepted")
	}
}

func TestAuthentication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := server(t, bookingcomtest.Config{Properties: 1})
		c.want(401, "errors", "GET", "/property-api/meta", "")
		c.want(401, "497", "POST", bookingcomtest.TokenPath, `{"client_id":"x","client_secret":"y"}`)
		c.want(400, "errors", "POST", bookingcomtest.TokenPath, `nonsense`)
		c.want(405, "errors", "GET", bookingcomtest.TokenPath, ``)
		c.login()
		c.want(200, "property_categories", "GET", "/property-api/meta", "")
		time.Sleep(time.Hour)
		c.want(401, "", "GET", "/property-api/meta", "")
		c.login()
		c.s.RevokeTokens()
		c.want(401, "", "GET", "/property-api/meta", "")
		c.token = "basic"
		c.want(200, "", "GET", "/property-api/meta", "")
		c.token = ""
		for range 29 {
			c.login()
		}
		c.want(429, "", "POST", bookingcomtest.TokenPath, `{}`)
		if n := c.s.TokensIssued(); n != 31 {
			t.Errorf("%d tokens issued", n)
		}
	})
}

func TestContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := server(t, bookingcomtest.Config{Properties: 40, PhotosPerProperty: 20})
		c.login()
		for i := range 40 {
			id := bookingcomtest.PropertyID(i)
			if i%15 == 0 {
				time.Sleep(time.Minute)
			}
			c.want(200, `"meta":{"ruid":`, "GET", "/property-api/properties/"+id, "")
			c.want(200, bookingcomtest.UnitID(i, 2), "GET", "/rooms-api/properties/"+id+"/units", "")
			c.want(200, "photo_id", "GET", "/photo-api/properties/"+id+"/photos", "")
		}
		time.Sleep(time.Minute)
		c.want(403, "Access denied", "GET", "/property-api/properties/1", "")
		c.want(404, "", "GET", "/property-api/properties/"+bookingcomtest.PropertyID(0)+"/description", "")
		c.want(404, "", "GET", "/nowhere", "")
		c.want(404, "", "GET", "/hotels/ota/OTA_Other", "")
		if r := c.s.Report(); r.Violations > 0 || len(r.Unexpected) != 3 {
			t.Errorf("%d violations, unexpected %q", r.Violations, r.Unexpected)
		}
		if got := slices.Collect(c.s.PropertyIDs()); len(got) != 40 {
			t.Errorf("%d property ids", len(got))
		}
		for range 75 {
			c.do("GET", "/property-api/meta", "")
		}
		if r := c.s.Report(); r.Violations == 0 {
			t.Error("80 calls in a minute are no violation")
		}
	})
}

const (
	fresh    = "/hotels/ota/OTA_HotelResNotif"
	modified = "/hotels/ota/OTA_HotelResModifyNotif"
)

var idValue = regexp.MustCompile(`ResID_Value="(\d+)"`)

func TestAvailability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := server(t, bookingcomtest.Config{Properties: 3})
		c.login()
		room, rate := bookingcomtest.UnitID(0, 1), bookingcomtest.RateID(0)
		push := func(status int, piece, room, dates string) {
			t.Helper()
			c.want(status, piece, "POST", "/hotels/xml/availability",
				`<request><room id="`+room+`">`+dates+`</room></request>`)
		}
		const day = `<date value="2000-05-08">`
		sells := day + `<roomstosell>2</roomstosell></date>`
		price := day + `<currencycode>EUR</currencycode><rate id="` + rate +
			`"/><price>125.00</price><minimumstay_arrival>2</minimumstay_arrival></date>`
		push(200, "<ok></ok>", room, sells+price)
		if got := c.s.Night(room, rate, "2000-05-08"); got["price"] != "125.00" || got["minimumstay_arrival"] != "2" {
			t.Errorf("the night is %v", got)
		}
		if got := c.s.Night(room, "", "2000-05-08"); got["roomstosell"] != "2" {
			t.Errorf("the night is %v", got)
		}
		// in part
		push(200, "CURRENCY_CODE_DONT_MATCH_HOTEL_CURRENCY", room, sells+strings.Replace(price, "EUR", "USD", 1))
		push(400, "ROOM_ID_INVALID", "700441199", sells)
		push(400, "ROOM_ID_MISSING", "", sells)
		push(400, "RATE_ID_INVALID", room, strings.Replace(price, rate, "1", 1))
		push(400, "RATE_ELEMENT_REQUIRED", room, day+`<closed>1</closed></date>`)
		push(400, "STAY_INVALID", room, strings.Replace(price, ">2<", ">32<", 1))
		push(400, "DATE_INVALID", room, strings.Replace(sells, "2000", "2004", 1))
		push(400, "FROM_DATE", room, `<date from="2000-05-08" to="2000-05-09"><roomstosell>1</roomstosell></date>`)
		c.want(400, "ROOM_ELEMENT_REQUIRED", "POST", "/hotels/xml/availability", "<request/>")
		c.want(400, "SCHEMA_ERROR", "POST", "/hotels/xml/availability", "nonsense")
		c.want(403, "ACCESS_DENIED", "POST", "/hotels/xml/availability", "<request><hotel_id>1</hotel_id></request>")
	})
}

// What the server says of its reservations is what it sends.
func TestReservations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := server(t, bookingcomtest.Config{Properties: 4, ReservationsPerProperty: 30, Limit: 1000})
		c.login()
		if d := c.s.Change(0.5, 1); d.Added != 20 || d.Updated == 0 || d.Deleted == 0 {
			t.Errorf("changed %+v", d)
		}
		body := c.want(200, "", "GET", fresh, "") + c.want(200, "", "GET", modified, "")
		n, cancelled := 0, 0
		for r := range c.s.Reservations() {
			n++
			if r.Cancelled {
				cancelled++
			} else if r.Start >= r.End {
				t.Errorf("%s is from %s to %s", r.ID, r.Start, r.End)
			}
			if !strings.Contains(body, `ResID_Value="`+r.ID+`"`) {
				t.Errorf("%s is not sent", r.ID)
			}
		}
		if n != 140 || cancelled == 0 || len(ids(body)) != 140 {
			t.Errorf("%d reservations, %d cancelled, %d sent", n, cancelled, len(ids(body)))
		}
		if !strings.Contains(body, bookingcomtest.CardNumber) || !strings.Contains(body, "VCC\"") {
			t.Error("no cards, no rate plans for virtual ones")
		}
	})
}

func TestFaultsOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := server(t, bookingcomtest.Config{Properties: 1, Faults: []partnersim.Rule{
			{Kind: "x-errors", Endpoint: fresh, Count: 1}, {Kind: "x-fault", Endpoint: "/hotels/xml/reservations",
				Count: 1},
			{Kind: "x-envelope", Endpoint: "/property-api/meta", Count: 1}, {Kind: "500",
				Endpoint: "/hotels/xml/availability", Count: 1},
			{Kind: "429", Endpoint: modified, Count: 1},
		}})
		c.login()
		c.want(200, "<Errors><Error", "GET", fresh, "")
		c.want(200, "<fault", "POST", "/hotels/xml/reservations", "<request/>")
		c.want(200, `"code":448`, "GET", "/property-api/meta", "")
		c.want(500, "<errors>", "POST", "/hotels/xml/availability", "<request/>")
		c.want(429, "<Errors>", "GET", modified, "")
	})
}

// Two calls to the reservation endpoints at once are a violation.
func TestNoConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := server(t, bookingcomtest.Config{Properties: 1, Latency: time.Second})
		c.login()
		done := make(chan struct{})
		go func() { defer close(done); c.do("GET", fresh, "") }()
		c.do("GET", modified, "")
		<-done
		if r := c.s.Report(); r.Violations != 1 {
			t.Errorf("%d violations", r.Violations)
		}
	})
}

func TestIntegration(t *testing.T) {
	c := server(t, bookingcomtest.Config{Properties: 2})
	if got := c.s.Integration("a").Settings["properties"]; got != "7004411,7004412" {
		t.Errorf("properties %q", got)
	}
	if in := bookingcomtest.Legacy(c.s.Hotel("b", 1)); in.Account != "7004412" || in.Credentials["username"] == "" ||
		len(in.Credentials) != 2 {
		t.Errorf("account %q", in.Account)
	}
	if in := server(t, bookingcomtest.Config{}).s.Integration("c"); in.Settings != nil {
		t.Errorf("settings %v", in.Settings)
	}
}

func TestNotifier(t *testing.T) {
	tokens, status := 0, http.StatusOK
	posts := []string{}
	mux := http.NewServeMux()
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		tokens++
		if r.PostFormValue("client_secret") != "s" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		io.WriteString(w, `{"jwt":"t`+strings.Repeat("x", tokens)+`"}`)
	})
	mux.HandleFunc("/hook", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		posts = append(posts, r.Header.Get("Authorization")+" "+string(b))
		if strings.HasPrefix(r.Header.Get("Authorization"), "Bearer tx ") || len(posts) == 2 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(status)
	})
	hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		w := &recorder{header: http.Header{}, status: 200}
		mux.ServeHTTP(w, r)
		return &http.Response{StatusCode: w.status, Header: w.header,
			Body: io.NopCloser(strings.NewReader(w.body.String())), Request: r}, nil
	})}
	n := &bookingcomtest.Notifier{Client: hc, AuthURL: "https://partner.example/token",
		URL: "https://partner.example/hook", ID: "id", Secret: "s"}
	for range 2 {
		got, err := n.Send(t.Context(), bookingcomtest.Notification{UUID: "u", Type: "VCC_BALANCE",
			Payload: map[string]any{"propertyId": 1}})
		if err != nil || got != http.StatusOK {
			t.Errorf("%d, %v", got, err)
		}
	}
	if tokens != 2 || len(posts) != 3 || !strings.Contains(posts[0], `"uuid":"u"`) {
		t.Errorf("%d tokens, %q", tokens, posts)
	}
	n.Basic = true
	if got, err := n.Send(t.Context(), bookingcomtest.Notification{UUID: "u"}); err != nil || got != http.StatusOK ||
		!strings.HasPrefix(posts[3], "Basic ") {
		t.Errorf("%d, %v, %q", got, err, posts)
	}
	bad := &bookingcomtest.Notifier{Client: hc, AuthURL: "https://partner.example/token",
		URL: "https://partner.example/hook", ID: "id"}
	if _, err := bad.Send(t.Context(), bookingcomtest.Notification{}); err == nil {
		t.Error("a wrong secret is no error")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }
