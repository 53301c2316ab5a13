package guestytest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/webhook"
)

func (c *client) send(method, path, body string) (int, string) {
	c.t.Helper()
	resp, text := c.do(method, path, "application/json", body)
	return resp.StatusCode, text
}

const calendar = "/v1/availability-pricing/api/calendar/listings/"

func TestCalendarsAreDocumented(t *testing.T) {
	s, c := newServer(t, guestytest.Config{Listings: 8, Scale: 60})
	c.login()
	id := slices.Collect(s.ListingIDs())[2]
	_, text := c.get(calendar + id + "?startDate=2026-12-01&endDate=2026-12-03&includeAllotment=true")
	var old struct {
		Status int
		Data   struct{ Days []map[string]any }
	}
	decode(t, text, &old)
	if old.Status != 200 || len(old.Data.Days) != 3 || old.Data.Days[0]["date"] != "2026-12-01" ||
		old.Data.Days[0]["listingId"] != id {
		t.Errorf("%s", text)
	}
	for _, view := range []string{"compact", "full"} {
		_, text = c.get(calendar + "minified/" + id + "?view=" + view + "&startDate=2026-12-01&endDate=2026-12-31")
		var days struct {
			Days struct {
				ListingID, Currency string
				Calendar            []struct {
					Blocks   map[string]bool
					BlockIDs []string
				}
				Blocks map[string]map[string]any
			}
		}
		decode(t, text, &days)
		if len(days.Days.Calendar) != 31 || days.Days.ListingID != id ||
			(len(days.Days.Blocks) > 0) != (view == "full") {
			t.Errorf("%s: %d days, %d blocks", view, len(days.Days.Calendar), len(days.Days.Blocks))
		}
		for _, d := range days.Days.Calendar {
			for code, is := range d.Blocks {
				if !is {
					t.Errorf("the block %q is false, and there", code)
				}
			}
			for _, b := range d.BlockIDs {
				if days.Days.Blocks[b] == nil {
					t.Errorf("no block %q", b)
				}
			}
		}
	}
	for path, status := range map[string]int{
		calendar + "66f0c1a2b3d4e5f6071829ff?startDate=2026-12-01&endDate=2026-12-03": http.StatusNotFound,
		calendar + id + "?startDate=2026-12-03&endDate=2026-12-01":                    http.StatusUnprocessableEntity,
		calendar + id: http.StatusUnprocessableEntity,
		// no view
		calendar + "minified/" + id + "?startDate=2026-12-01&endDate=2026-12-03": http.StatusUnprocessableEntity,
	} {
		if resp, text := c.get(path); resp.StatusCode != status || !strings.Contains(text, `"code"`) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, text)
		}
	}
}

func TestCalendarIsWritten(t *testing.T) {
	s, c := newServer(t, guestytest.Config{Listings: 8, Odd: -1, Scale: 60})
	c.login()
	id := slices.Collect(s.ListingIDs())[2]
	for body, status := range map[string]int{
		`{"startDate":"2026-12-01","endDate":"2026-12-02","status":"unavailable","price":99.5,"minNights":3,"cta":true,"ctd":false,"note":"x","isBasePrice":false}`: 200,
		`{"startDate":"2026-12-01","endDate":"2026-12-02","status":"booked"}`:                                                                                       422,
		// more than 730 days
		`{"startDate":"2026-12-01","endDate":"2029-12-02","status":"available"}`: 422,
		`{"startDate":"2026-12-01","endDate":"2026-12-02","minNights":0}`:        422,
		`{"startDate":"2026-12-01","endDate":"2026-12-02","color":"red"}`:        400,
		`[]`: 400,
	} {
		if got, text := c.send(http.MethodPut, calendar+id, body); got != status {
			t.Errorf("%s: %d %s", body, got, text)
		}
	}
	if got, _ := c.send(http.MethodPut, calendar+"66f0c1a2b3d4e5f6071829ff", `{}`); got != http.StatusNotFound {
		t.Errorf("an unknown listing: %d", got)
	}
	_, text := c.get(calendar + "minified/" + id + "?view=compact&startDate=2026-12-02&endDate=2026-12-02")
	if !strings.Contains(text, `"price":99.5,"minNights":3`) || !strings.Contains(text, `"cta":true,"ctd":false`) {
		t.Errorf("%s", text)
	}
}

func TestStatusIsWritten(t *testing.T) {
	s, c := newServer(t, guestytest.Config{Listings: 2, ReservationsPerListing: 2, Scale: 60})
	c.login()
	id := slices.Collect(s.ReservationIDs())[1]
	path := "/v1/reservations-v3/" + id + "/status"
	if got, text := c.send(http.MethodPut, path, `{"status":"canceled","canceledBy":"GUEST"}`); got != 200 ||
		text != `{"reservationId":"`+id+`","status":"canceled"}` {
		t.Errorf("%d %s", got, text)
	}
	if _, text := c.get("/v1/reservations/" + id); !strings.Contains(text, `"status":"canceled"`) ||
		!strings.Contains(text, `"canceledAt"`) {
		t.Errorf("%s", text)
	}
	for body, status := range map[string]int{`{"status":"checked_in"}`: 422, `{"state":"x"}`: 400} {
		if got, _ := c.send(http.MethodPut, path, body); got != status {
			t.Errorf("%s: %d", body, got)
		}
	}
	if got, _ := c.send(http.MethodPut, "/v1/reservations-v3/67aa10b2c3d4e5f6071800ff/status",
		`{"status":"canceled"}`); got != http.StatusNotFound {
		t.Errorf("unknown: %d", got)
	}
}

func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newServer(t, guestytest.Config{Listings: 3, ReservationsPerListing: 1, Seed: 4})
		c.login()
		const at = "https://hooks.example.com/a"
		for body, status := range map[string]int{
			`{"url":"` + at + `","event":"listing.new"}`:        400, // the field is events, with an array
			`{"url":"` + at + `","events":[]}`:                  400,
			`{"url":"` + at + `","events":["reservation.new"]}`: 400, // the old ones are refused
			`{"url":"/relative","events":["listing.new"]}`:      400,
		} {
			if got, text := c.send(http.MethodPost, "/v1/webhooks", body); got != status {
				t.Errorf("%s: %d %s", body, got, text)
			}
		}
		body := `{"url":"` + at + `","events":["listing.updated","listing.removed","calendar.updated.v2","reservation.created.v2"]}`
		got, text := c.send(http.MethodPost, "/v1/webhooks", body)
		var sub struct {
			ID string `json:"_id"`
		}
		decode(t, text, &sub)
		if got != http.StatusCreated || sub.ID == "" {
			t.Fatalf("%d %s", got, text)
		}
		if got, _ := c.send(http.MethodPost, "/v1/webhooks", body); got != 400 {
			t.Errorf("a second one for the URL: %d", got)
		}
		secret := "/v1/webhooks-v2/secret?url=" + at
		if resp, _ := c.get(secret); resp.StatusCode != http.StatusNotFound {
			t.Errorf("a secret at once: %d", resp.StatusCode)
		}
		time.Sleep(5 * time.Second)
		_, text = c.get(secret)
		var key struct{ Key string }
		decode(t, text, &key)

		listing, stay := slices.Collect(s.ListingIDs())[0], slices.Collect(s.ReservationIDs())[0]
		v, err := webhook.NewVerifier(webhook.Guesty(), webhook.Secret{ID: "s", Value: key.Key})
		if err != nil {
			t.Fatal(err)
		}
		for _, about := range [][2]string{{"listing.updated", listing}, {"calendar.updated.v2", listing},
			{"reservation.created.v2", stay}} {
			out, err := s.Deliveries(about[0], about[1], time.Now())
			if err != nil || len(out) != 1 {
				t.Fatalf("%s: %d, %v", about[0], len(out), err)
			}
			req, err := out[0].Request(t.Context(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			proof, err := v.Verify(&webhook.Message{Header: req.Header, Body: []byte(out[0].Body)}, time.Now())
			if err != nil || proof.Delivery != out[0].ID {
				t.Errorf("%s: %+v, %v", about[0], proof, err)
			}
		}
		for _, about := range [][2]string{{"listing.updated", stay}, {"listing.removed", listing},
			{"guest.updated", listing}, {"reservation.created.v2", "x"}} {
			if _, err := s.Deliveries(about[0], about[1], time.Now()); err == nil {
				t.Errorf("%s of %s is sent", about[0], about[1])
			}
		}
		if out, err := s.Deliveries("listing.new", listing, time.Now()); err != nil || len(out) != 0 {
			t.Errorf("to nobody: %d, %v", len(out), err)
		}

		one := "/v1/webhooks/" + sub.ID
		if got, text := c.send(http.MethodPut, one, `{"events":["listing.new"]}`); got != 200 ||
			!strings.Contains(text, `["listing.new"]`) {
			t.Errorf("%d %s", got, text)
		}
		if resp, text := c.get(one); resp.StatusCode != 200 || !strings.Contains(text, at) {
			t.Errorf("%d %s", resp.StatusCode, text)
		}
		if got, _ := c.send(http.MethodPatch, one, `{}`); got != http.StatusMethodNotAllowed {
			t.Errorf("PATCH: %d", got)
		}
		for _, status := range []int{http.StatusNoContent, http.StatusNotFound} {
			if got, _ := c.send(http.MethodDelete, one, ""); got != status {
				t.Errorf("DELETE: %d, want %d", got, status)
			}
		}
		// Made again it has another secret.
		c.send(http.MethodPost, "/v1/webhooks", body)
		time.Sleep(5 * time.Second)
		if _, text := c.get(secret); strings.Contains(text, key.Key) {
			t.Error("the same secret")
		}
	})
}
