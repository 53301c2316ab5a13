package bookingcomtest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/bookingcom/bookingcomtest"
)

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
