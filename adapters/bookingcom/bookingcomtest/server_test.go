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

func ids(body string) []string {
	var out []string
	for _, m := range idValue.FindAllStringSubmatch(body, -1) {
		out = append(out, m[1])
	}
	return out
}

func ackBody(root, outer, inner string, ids ...string) string {
	var b strings.Builder
	b.WriteString(`<` + root + ` TimeStamp="2026-02-03T09:14:20+00:00" Target="Test"><Success/><` + outer + `><` +
		inner + `><ResGlobalInfo><HotelReservationIDs>`)
	for _, id := range ids {
		b.WriteString(`<HotelReservationID ResID_Value="` + id + `"/>`)
	}
	b.WriteString(`</HotelReservationIDs></ResGlobalInfo></` + inner + `></` + outer + `></` + root + `>`)
	return b.String()
}

func ackNew(ids ...string) string {
	return ackBody("OTA_HotelResNotifRS", "HotelReservations", "HotelReservation", ids...)
}

func ackModified(ids ...string) string {
	return ackBody("OTA_HotelResModifyNotifRS", "HotelResModifies", "HotelResModify", ids...)
}

// A message is sent again until it is acknowledged, and not after that.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := server(t, bookingcomtest.Config{Properties: 2, ReservationsPerProperty: 3, Limit: 4})
		c.login()
		first := ids(c.want(200, "OTA_HotelResNotifRQ", "GET", fresh, ""))
		if again := ids(c.want(200, "RUID: [", "GET", fresh+"?limit=4", "")); len(first) != 4 ||
			!slices.Equal(again, first) {
			t.Errorf("got %q, then %q; want the same four", first, again)
		}
		c.want(200, "<Success/>", "POST", fresh, ackNew(first...))
		time.Sleep(5 * time.Second)
		rest := ids(c.want(200, "", "GET", fresh, ""))
		if len(rest) != 2 || slices.Contains(first, rest[0]) {
			t.Errorf("after the acknowledgement of %q came %q", first, rest)
		}
		c.want(200, "<Success/>", "POST", fresh, ackNew(first...)) // again
		// A rejection keeps it.
		c.want(200, "<Success/>", "POST", fresh, strings.Replace(ackNew(rest...), "<Success/>",
			`<Errors><Error Type="3">no</Error></Errors>`, 1))
		time.Sleep(5 * time.Second)
		// A change replaces a message that waits; the stale one cannot be acknowledged any more.
		if !c.s.Modify(rest[0]) || !c.s.Cancel(rest[1]) || c.s.Modify(rest[1]) || c.s.Modify("1") {
			t.Error("Modify and Cancel: wrong reports")
		}
		c.want(400, "wrong type", "POST", fresh, ackNew(rest...))
		c.want(400, "wrong type", "POST", modified, ackModified(rest...)) // was never sent
		c.want(200, "", "GET", fresh, "")
		if got := ids(c.want(200, `ResStatus="Cancelled"`, "GET", modified, "")); len(got) != 2 {
			t.Errorf("modified are %q", got)
		}
		c.want(400, "wrong type", "POST", modified, ackNew(rest...))
		c.want(400, "not found", "POST", modified, ackModified("77"))
		c.want(400, "required", "POST", modified, strings.Replace(ackModified(rest...), `Target="Test"`, "", 1))
		c.want(400, "Neither", "POST", modified, strings.Replace(ackModified(rest...), "<Success/>", "", 1))
		c.want(400, "not XML", "POST", modified, "nonsense")
		c.want(405, "", "PUT", modified, "nonsense")
		c.want(200, "<Success/>", "POST", modified, ackModified(rest...))
		if w, m := c.s.Waiting(); w != 0 || m != 0 {
			t.Errorf("%d wait, %d missed", w, m)
		}
		time.Sleep(5 * time.Second)
		c.want(403, "Access denied", "GET", fresh+"?hotel_ids=1", "")
		c.want(404, "not found", "GET", fresh+"?id="+rest[0], "")
		c.want(200, rest[0], "GET", modified+"?id="+rest[0]+"&hotel_ids="+bookingcomtest.PropertyID(0)+","+bookingcomtest.PropertyID(1), "")
		if r := c.s.Report(); r.Violations > 0 || len(r.Unexpected) > 0 {
			t.Errorf("%d violations, unexpected %q", r.Violations, r.Unexpected)
		}
		c.want(200, "", "POST", modified, ackModified(rest...))
		c.want(200, "", "GET", fresh, "") // hasty
		if r := c.s.Report(); len(r.Unexpected) != 1 {
			t.Errorf("unexpected %q, want the hasty read", r.Unexpected)
		}
	})
}

// What waits for half an hour leaves the queue.
func TestFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := server(t, bookingcomtest.Config{Properties: 1, ReservationsPerProperty: 2})
		c.login()
		began := time.Now().UTC()
		time.Sleep(30 * time.Minute)
		if got := ids(c.want(200, "", "GET", fresh, "")); len(got) != 0 {
			t.Errorf("after half an hour came %q", got)
		}
		if w, m := c.s.Waiting(); w != 0 || m != 2 {
			t.Errorf("%d wait, %d missed", w, m)
		}
		c.want(403, "", "GET", "/reservations-flow-control/missed-reservations", "")
		for _, layout := range []string{time.DateTime, time.RFC3339} {
			at := strings.ReplaceAll(began.Add(-time.Second).Format(layout), " ", "%20")
			if got := ids(c.want(200, "", "GET", fresh+"?last_change="+at, "")); len(got) != 2 {
				t.Errorf("since %s came %q", at, got)
			}
		}
		c.want(400, "ISO", "GET", fresh+"?last_change=yesterday", "")
		c.want(200, "<Success/>", "POST", fresh, ackNew(bookingcomtest.ReservationID(0)))
	})
}

func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := server(t, bookingcomtest.Config{Properties: 1, ReservationsPerProperty: 8, Recovery: true})
		c.login()
		c.s.Modify(bookingcomtest.ReservationID(0))
		time.Sleep(time.Hour)
		c.login()
		if got := ids(c.want(200, "", "GET", fresh, "")); len(got) != 7 {
			t.Errorf("after an hour came %q", got)
		}
		c.want(400, "30 minutes", "GET", fresh+"?last_change=1999-12-31%2000:00:00", "")
		time.Sleep(24 * time.Hour)
		c.login()
		var out struct {
			Data []struct {
				ID  string `json:"reservation_id"`
				URI string
			}
		}
		body := c.want(200, "000"+bookingcomtest.PropertyID(0), "GET",
			"/reservations-flow-control/missed-reservations?page_size=50", "")
		if err := json.Unmarshal([]byte(body), &out); err != nil || len(out.Data) != 8 {
			t.Fatalf("%d missed, %v", len(out.Data), err)
		}
		for _, m := range out.Data {
			if got := ids(c.want(200, "", "GET", m.URI, "")); !slices.Equal(got, []string{m.ID}) {
				t.Errorf("%s gave %q", m.URI, got)
			}
		}
		c.want(200, "", "POST", modified, ackModified(bookingcomtest.ReservationID(0)))
		time.Sleep(5 * time.Second)
		if body := c.want(200, "data", "GET", "/reservations-flow-control/missed-reservations",
			""); strings.Count(body, "reservation_id") != 7 {
			t.Errorf("after an acknowledgement: %s", body)
		}
	})
}

func TestDestructiveRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := server(t, bookingcomtest.Config{Properties: 3, ReservationsPerProperty: 5, Limit: 10})
		c.login()
		c.s.Cancel(bookingcomtest.ReservationID(1))
		c.s.Modify(bookingcomtest.ReservationID(2))
		const pull = "/hotels/xml/reservations"
		if n := strings.Count(c.want(200, "<reservations>", "POST", pull, "<request/>"), "<reservation>"); n != 10 {
			t.Errorf("%d in the first read", n)
		}
		if body := c.want(200, "<status>cancelled</status>", "POST", pull, "<request/>"); strings.Count(body,
			"<reservation>") != 5 || !strings.Contains(body, "<status>modified</status>") {
			t.Errorf("the second read: %s", body)
		}
		c.want(200, "<reservations/>", "POST", pull,
			"<request><hotel_id>"+bookingcomtest.PropertyID(0)+"</hotel_id></request>")
		if n := strings.Count(c.want(200, "", "POST", pull,
			"<request><last_change>1999-12-31</last_change><limit>4</limit></request>"), "<reservation>"); n != 4 {
			t.Errorf("%d read again", n)
		}
		c.want(200, bookingcomtest.ReservationID(4), "POST", pull,
			"<request><id>"+bookingcomtest.ReservationID(4)+"</id></request>")
		c.want(200, "<fault", "POST", pull, "<request><last_change>never</last_change></request>")
		c.want(200, "<error", "POST", pull, "<request><hotel_id>1</hotel_id></request>")
		c.want(400, "<fault", "POST", pull, "nonsense")
	})
}

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
