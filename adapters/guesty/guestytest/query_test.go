package guestytest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
)

func filters(t *testing.T, items ...map[string]any) string {
	t.Helper()
	b, err := json.Marshal(items)
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{"filters": {string(b)},
		"fields": {"status listingId checkIn checkInDateLocalized lastUpdatedAt source"}, "sort": {"_id"}}.Encode()
}

// Each classic operator against the same test done on all rows.
func TestFiltersOfReservations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := newServer(t, guestytest.Config{Listings: 30, ReservationsPerListing: 5})
		c.login()
		every := c.all("/v1/reservations", filters(t), 100)
		text := func(r map[string]any, field string) string { return r[field].(string) }
		mid := text(every[40], "lastUpdatedAt")
		day := text(every[40], "checkInDateLocalized")
		for _, tt := range []struct {
			item map[string]any
			want func(r map[string]any) bool
		}{
			{map[string]any{"field": "status", "operator": "$eq", "value": "canceled"},
				func(r map[string]any) bool { return r["status"] == "canceled" }},
			{map[string]any{"field": "status", "operator": "$not", "value": "canceled"},
				func(r map[string]any) bool { return r["status"] != "canceled" }},
			{map[string]any{"field": "status", "operator": "$in", "value": []string{"canceled", "inquiry"}},
				func(r map[string]any) bool { return r["status"] == "canceled" || r["status"] == "inquiry" }},
			{map[string]any{"field": "status", "operator": "$in", "value": []string{}},
				func(r map[string]any) bool { return false }},
			{map[string]any{"field": "source", "operator": "$contains", "value": "BOOK"},
				func(r map[string]any) bool { return r["source"] == "Booking.com" }},
			{map[string]any{"field": "source", "operator": "$notcontains", "value": "BOOK"},
				func(r map[string]any) bool { return r["source"] != "Booking.com" }},
			{map[string]any{"field": "lastUpdatedAt", "operator": "$gt", "value": mid},
				func(r map[string]any) bool { return text(r, "lastUpdatedAt") > mid }},
			{map[string]any{"field": "lastUpdatedAt", "operator": "$gte", "value": mid},
				func(r map[string]any) bool { return text(r, "lastUpdatedAt") >= mid }},
			{map[string]any{"field": "lastUpdatedAt", "operator": "$lt", "value": mid},
				func(r map[string]any) bool { return text(r, "lastUpdatedAt") < mid }},
			{map[string]any{"field": "checkInDateLocalized", "operator": "$lte", "value": day},
				func(r map[string]any) bool { return text(r, "checkInDateLocalized") <= day }},
			{map[string]any{"field": "checkInDateLocalized", "operator": "$between", "from": day, "to": "2027-01-01"},
				func(r map[string]any) bool {
					return text(r, "checkInDateLocalized") >= day && text(r, "checkInDateLocalized") <= "2027-01-01"
				}},
			{map[string]any{"field": "listingId", "operator": "$eq", "value": every[7]["listingId"]},
				func(r map[string]any) bool { return r["listingId"] == every[7]["listingId"] }},
			{map[string]any{"field": "listingId", "operator": "$eq", "value": "unknown"},
				func(r map[string]any) bool { return false }},
		} {
			time.Sleep(time.Second)
			got := ids(c.all("/v1/reservations", filters(t, tt.item), 100))
			var want []string
			for _, r := range every {
				if tt.want(r) {
					want = append(want, r["_id"].(string))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v: got %d, want %d", tt.item, len(got), len(want))
			}
		}
		// Several conditions hold together; sorted by the time of update they come in its order.
		query := filters(t, map[string]any{"field": "status", "operator": "$eq", "value": "confirmed"},
			map[string]any{"field": "lastUpdatedAt", "operator": "$gte", "value": mid})
		rows := c.all("/v1/reservations", strings.Replace(query, "sort=_id", "sort=-lastUpdatedAt", 1), 100)
		for i, r := range rows {
			if r["status"] != "confirmed" || text(r, "lastUpdatedAt") < mid || i > 0 &&
				text(r, "lastUpdatedAt") > text(rows[i-1], "lastUpdatedAt") {
				t.Errorf("row %d: %v", i, r)
			}
		}
		for _, bad := range []map[string]any{
			{"field": "nights", "operator": "$eq", "value": "1"}, {"field": "status", "operator": "$like",
				"value": "1"}, {"field": "status", "operator": "$eq", "value": 1},
			{"field": "status", "operator": "$in", "value": "x"}, {"field": "checkIn", "operator": "$gt",
				"value": "soon"},
		} {
			if resp, body := c.get("/v1/reservations?" + filters(t, bad)); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%v: status %d, %.100s", bad, resp.StatusCode, body)
			}
		}
	})
}

func TestFiltersOfListings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newServer(t, guestytest.Config{Listings: 90})
		c.login()
		all := slices.Collect(s.ListingIDs())
		yes, no := c.all("/v1/listings", "active=true", 100), c.all("/v1/listings", "active=false", 100)
		if len(yes) == 0 || len(no) == 0 || len(yes)+len(no) != 90 {
			t.Errorf("%d active, %d not", len(yes), len(no))
		}
		for _, l := range no {
			if l["active"] != false {
				t.Errorf("%v", l)
			}
		}
		some := all[3] + "," + all[1] + ",unknown," + all[1]
		if got := ids(c.all("/v1/listings", "sort=_id&ids="+some, 100)); !slices.Equal(got, []string{all[1], all[3]}) {
			t.Errorf("ids: %v", got)
		}
		if got := c.all("/v1/listings", "nids="+some, 100); len(got) != 88 {
			t.Errorf("nids: %d", len(got))
		}
		time.Sleep(time.Second)
		for _, q := range []string{"city=Kyoto", "q=harbour", "pmsActive=false", "listed=false"} {
			if got := len(c.all("/v1/listings", q, 100)); got == 0 || got == 90 {
				t.Errorf("%s: %d", q, got)
			}
		}
		time.Sleep(time.Second)
		back := ids(c.all("/v1/listings", "sort=-_id", 20))
		slices.Reverse(back)
		if !slices.Equal(back, all) {
			t.Error("backwards is not the reverse of forwards")
		}
		time.Sleep(time.Second)
		byTitle := ids(c.all("/v1/listings", "", 20))
		if slices.Equal(byTitle, all) {
			t.Error("the default order is that of the ids")
		}
		slices.Sort(byTitle)
		if !slices.Equal(byTitle, all) {
			t.Error("the default order is not complete")
		}
	})
}

func TestV3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newServer(t, guestytest.Config{Listings: 20, ReservationsPerListing: 4})
		c.login()
		type row struct {
			ID            string `json:"_id"`
			ReservationID string `json:"reservationId"`
			Status        string
			Stay          []struct{ UnitTypeID string }
		}
		search := func(query string) (out []row) {
			for skip := 0; ; skip += 30 {
				var page struct {
					Results    []row
					Pagination struct {
						HasMore     bool
						Limit, Skip int
					}
				}
				resp, body := c.get(fmt.Sprintf("/v1/reservations-v3/search?limit=30&skip=%d&%s", skip, query))
				if resp.StatusCode != http.StatusOK {
					t.Fatalf("%s: status %d, %s", query, resp.StatusCode, body)
				}
				decode(t, body, &page)
				out = append(out, page.Results...)
				if !page.Pagination.HasMore {
					return out
				}
			}
		}
		var got []string
		for _, r := range search("") {
			got = append(got, r.ID+r.ReservationID)
		}
		slices.Reverse(got) // the default is -_id
		want := slices.Collect(s.ReservationIDs())
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		time.Sleep(time.Second)
		in, nin := search("filter[status][in]=confirmed,canceled"), search("filter[status][nin]=confirmed,canceled")
		if len(in) == 0 || len(nin) == 0 || len(in)+len(nin) != 80 ||
			len(search("filter[status]=confirmed"))+len(search("filter[status]=canceled")) != len(in) {
			t.Errorf("%d in, %d not in", len(in), len(nin))
		}
		if got := search("filter[listingId]=" + in[0].Stay[0].UnitTypeID); len(got) != 4 {
			t.Errorf("%d reservations of a listing", len(got))
		}
		time.Sleep(time.Second)
		if a, b := len(search("filter[checkIn][gte]=2026-11-01")), len(search("filter[checkIn][lt]=2026-11-01")); a == 0 || b == 0 || a+b != 80 {
			t.Errorf("%d on or after, %d before", a, b)
		}
		var rows []row
		_, body := c.get("/v1/reservations-v3?reservationIds[]=" + want[3] +
			"&reservationIds[]=unknown&reservationIds[]=" + want[1])
		if decode(t, body, &rows); len(rows) != 2 || rows[0].ID+rows[0].ReservationID != want[3] {
			t.Errorf("by id: %s", body)
		}
		if resp, _ := c.get("/v1/reservations-v3?" + strings.Repeat("reservationIds[]=x&",
			11)); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("eleven ids: status %d", resp.StatusCode)
		}
	})
}
