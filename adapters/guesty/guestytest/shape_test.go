package guestytest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
)

// calm is an account in which every record has all its fields.
var calm = guestytest.Config{Listings: 40, ReservationsPerListing: 2, PhotosPerListing: 2, Odd: -1, Scale: 60}

func keys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

func TestFieldsSelect(t *testing.T) {
	s, c := newServer(t, calm)
	c.login()
	for _, tt := range []struct {
		path, fields string
		want         []string
	}{
		{"/v1/listings", "title address.city timezone", []string{"_id", "accountId", "address", "timezone", "title"}},
		{"/v1/reservations", "status", []string{"_id", "accountId", "status"}},
		{"/v1/reservations", "", []string{"_id", "accountId", "checkIn", "checkOut", "confirmationCode", "guest",
			"guestId", "integration", "listing", "listingId"}},
		{"/v1/listings", "", []string{"_id", "accommodates", "accountId", "active", "address", "isListed", "nickname",
			"picture", "pms", "propertyType", "timezone", "title", "type"}},
	} {
		rows := c.all(tt.path, url.Values{"fields": {tt.fields}}.Encode(), 100)
		if got := keys(rows[0]); !slices.Equal(got, tt.want) {
			t.Errorf("%s, fields %q: got %v, want %v", tt.path, tt.fields, got, tt.want)
		}
		if tt.fields == "title address.city timezone" {
			if got := keys(rows[0]["address"].(map[string]any)); !slices.Equal(got, []string{"city"}) {
				t.Errorf("address: %v", got)
			}
		}
	}
	if got := s.Report().Unexpected; len(got) != 0 {
		t.Errorf("notes: %q", got)
	}
}

// One record whole, as the documentation's samples have it.
func TestWholeRecords(t *testing.T) {
	s, c := newServer(t, calm)
	c.login()
	ids := slices.Collect(s.ListingIDs())
	var l map[string]any
	_, text := c.get("/v1/listings/" + ids[3])
	decode(t, text, &l)
	if l["_id"] != ids[3] || len(l["pictures"].([]any)) != 2 || len(l["customFields"].([]any)) != 1 ||
		l["prices"].(map[string]any)["basePrice"].(float64) < 50 {
		t.Errorf("listing: %s", text)
	}
	for _, name := range []string{"createdAt", "lastUpdatedAt"} {
		at, err := time.Parse("2006-01-02T15:04:05.000Z", l[name].(string))
		if err != nil || at.After(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %v, %v", name, at, err)
		}
	}
	rid := slices.Collect(s.ReservationIDs())[5]
	var r struct {
		ID        string `json:"_id"`
		ListingID string `json:"listingId"`
		Nights    int    `json:"nightsCount"`
		In        string `json:"checkInDateLocalized"`
		Out       string `json:"checkOutDateLocalized"`
		CheckIn   time.Time
		CheckOut  time.Time
		Listing   struct{ Timezone string }
		Money     struct {
			Fare   json.Number                    `json:"fareAccommodation"`
			Fees   json.Number                    `json:"fareCleaning"`
			Sub    json.Number                    `json:"subTotalPrice"`
			Taxes  json.Number                    `json:"totalTaxes"`
			Host   json.Number                    `json:"hostServiceFee"`
			Payout json.Number                    `json:"hostPayout"`
			Items  []struct{ Amount json.Number } `json:"invoiceItems"`
		}
	}
	_, text = c.get("/v1/reservations/" + rid)
	decode(t, text, &r)
	in, err1 := time.Parse(time.DateOnly, r.In)
	out, err2 := time.Parse(time.DateOnly, r.Out)
	if err1 != nil || err2 != nil || r.ID != rid || r.ListingID != ids[2] ||
		int(out.Sub(in).Hours()) != 24*r.Nights || !r.CheckIn.Before(r.CheckOut) {
		t.Errorf("reservation: %s", text)
	}
	if d := r.CheckIn.Sub(in); d < 0 || d > 30*time.Hour {
		t.Errorf("check-in at %v for a stay from %s", r.CheckIn, r.In)
	}
	cents := func(n json.Number) int64 {
		whole, part, _ := strings.Cut(string(n), ".")
		var c int64
		fmt.Sscan(whole+(part + "00")[:2], &c)
		return c
	}
	m := r.Money
	if cents(m.Fare)+cents(m.Fees) != cents(m.Sub) || cents(m.Sub)+cents(m.Taxes)-cents(m.Host) != cents(m.Payout) {
		t.Errorf("money does not add up: %+v", m)
	}
	if len(m.Items) != 3 || cents(m.Items[0].Amount)+cents(m.Items[1].Amount)+cents(m.Items[2].Amount) != cents(m.Sub)+cents(m.Taxes) {
		t.Errorf("items do not add up: %+v", m)
	}
}

// Each odd shape is there, and none without Odd.
func TestOddShapes(t *testing.T) {
	shapes := func(odd int) map[string]int {
		_, c := newServer(t, guestytest.Config{Listings: 300, ReservationsPerListing: 1, PhotosPerListing: 2,
			Odd: odd, Scale: 60})
		c.login()
		all := url.Values{"fields": {"title address bathrooms customFields lastUpdatedAt active pms integrations"}}.Encode()
		got := map[string]int{}
		count := func(name string, is bool) {
			if is {
				got[name]++
			}
		}
		for _, l := range c.all("/v1/listings", all+"&sort=_id", 100) {
			address, isObject := l["address"].(map[string]any)
			fields, isArray := l["customFields"].([]any)
			bath, _ := l["bathrooms"].(float64)
			count("no title", l["title"] == nil)
			count("null address", l["address"] == nil)
			count("empty address", isObject && len(address) == 0)
			count("address of one line", isObject && len(address) == 1)
			count("custom fields as an object", !isArray)
			count("no custom fields", isArray && len(fields) == 0)
			count("half a bathroom", bath != float64(int(bath)))
			count("no time of update", l["lastUpdatedAt"] == nil)
			count("contradiction", l["active"] != l["pms"].(map[string]any)["active"])
			count("secret", strings.Contains(fmt.Sprint(l), guestytest.SecretInListing))
		}
		for _, r := range c.all("/v1/reservations", url.Values{"fields": {"guest money"}}.Encode(), 100) {
			count("guest in part", len(r["guest"].(map[string]any)) == 1)
			count("no money", len(r["money"].(map[string]any)) == 1)
			count("two ids", r["id"] != nil)
		}
		_, text := c.get("/v1/reservations-v3/search?limit=100")
		count("reservationId", strings.Contains(text, `"reservationId"`))
		return got
	}
	if got := shapes(-1); len(got) != 0 {
		t.Errorf("without odd shapes: %v", got)
	}
	if got := shapes(5); len(got) != 14 {
		t.Errorf("%d shapes: %v", len(got), got)
	}
}

func TestErrorsAndNotes(t *testing.T) { synctest.Test(t, errorsAndNotes) }

func errorsAndNotes(t *testing.T) {
	s, c := newServer(t, calm)
	c.login()
	id := slices.Collect(s.ListingIDs())[0]
	gone := "66f0c1a2b3d4e5f6071829ff"
	for _, tt := range []struct {
		path   string
		status int
		body   string
		note   string
	}{
		{"/v1/listings/" + gone, 404, `"Not Found"`, ""},
		{"/v1/listings/" + id + "/photos", 403, `"Forbidden"`, ""},
		{"/v1/reservations/" + gone, 404, `"Reservation Not Found"`, ""},
		{"/v1/properties-api/property-photos/property-photos/" + gone, 404,
			`{"error":{"message":"Property not found","status":404}}`, ""},
		{"/v1/properties", 404, `"Not Found"`, "no such endpoint"},
		{"/v1/listings?since=1", 200, `{"results":`, `unknown parameter "since"`},
		{"/v1/listings?filters=[]", 200, `{"results":`, `unknown parameter "filters"`},
		{"/v1/listings?fields=title,price", 200, `{"results":`, "not by commas"},
		{"/v1/listings?fields=name", 200, `{"results":`, `unknown field "name"`},
		{"/v1/listings?limit=200", 200, `{"results":`, "limit is 200"},
		{"/v1/listings?skip=-1", 400, `{"message":`, "skip is no number"},
		{"/v1/listings?active=maybe", 400, `{"message":`, ""},
		{"/v1/listings?tags=x", 200, `{"results":`, `"tags" is not simulated`},
		{"/v1/reservations?filters=x", 400, `{"message":`, "not an array"},
		{"/v1/reservations-v3", 400, `{"message":`, "0 ids"},
		{"/v1/reservations-v3/search?sort=lastUpdatedAt", 200, `{"results":`, "cannot be sorted"},
		{"/v1/reservations-v3/search?filter[lastUpdatedAt][gte]=2026-01-01", 400, `{"message":`, "no filter"},
		{"/v1/reservations-v3/search?fields=status", 200, `{"results":`, `unknown parameter "fields"`},
	} {
		before := s.Report().Unexpected
		resp, body := c.get(tt.path)
		if resp.StatusCode != tt.status || !strings.HasPrefix(body, tt.body) {
			t.Errorf("%s: status %d, %.200s", tt.path, resp.StatusCode, body)
		}
		notes := s.Report().Unexpected[len(before):]
		if tt.note == "" && len(notes) != 0 || tt.note != "" && !strings.Contains(strings.Join(notes, "\n"), tt.note) {
			t.Errorf("%s: notes %q, want %q", tt.path, notes, tt.note)
		}
		time.Sleep(time.Second)
	}
	if resp, _ := c.do(http.MethodPut, "/v1/listings/"+id, "application/json",
		"{}"); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("PUT: status %d", resp.StatusCode)
	}
}

func FuzzQuery(f *testing.F) {
	s, err := guestytest.NewServer(guestytest.Config{Listings: 9, ReservationsPerListing: 2, PhotosPerListing: 1,
		Scale: 60})
	if err != nil {
		f.Fatal(err)
	}
	s.Change(0.5, 1, time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC))
	for _, q := range []string{
		"limit=100&skip=3&sort=-title", "fields=a.b a a.c..",
		"filters=" + url.QueryEscape(`[{"field":"status","operator":"$in","value":["x"]}]`),
		"filters=" + url.QueryEscape(`[{"field":"checkIn","operator":"$between","from":"","to":""}]`),
		"filter[status][in]=a,b", "reservationIds[]=x", "ids=,&nids=,", "sort=lastUpdatedAt",
		"filters=" + url.QueryEscape(`[{"field":"status","operator":"$eq"}]`), "filter[]=&filter[status][]=",
	} {
		f.Add(q)
	}
	h := guestytest.Handler(s)
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"/v1/listings", "/v1/reservations", "/v1/reservations-v3/search",
			"/v1/reservations-v3"} {
			status, body := h(path, query)
			if (status != 200 && status != 400) || !json.Valid(body) {
				t.Errorf("%s?%s: status %d, %.300s", path, query, status, body)
			}
		}
	})
}
