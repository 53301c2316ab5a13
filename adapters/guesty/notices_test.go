package guesty

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/webhook"
)

// told writes notices: kind, record, version.
func told(notices []webhook.Notice) string {
	var all []string
	for _, n := range notices {
		s := n.Kind + " " + n.Record
		if !n.Version.At.IsZero() {
			s += n.Version.At.Format(" 2006-01-02T15:04:05.000Z")
		}
		if !n.Thin {
			s += " whole"
		}
		all = append(all, s)
	}
	return strings.Join(all, "; ")
}

func TestNotices(t *testing.T) {
	const r, l = "67aa10b2c3d4e5f607180001", "66f0c1a2b3d4e5f607182930"
	for name, c := range map[string]struct{ body, want string }{
		"legacy": {string(sampleBytes(t, "hook-legacy")), "transaction.changed " + r +
			" 2026-10-28T17:40:03.511Z"},
		"version 2": {string(sampleBytes(t, "hook-v2")), "transaction.changed " + r +
			" 2026-10-28T17:41:00.000Z"},
		"calendar, no name": {string(sampleBytes(t, "hook-calendar")), "calendar.changed " + l},
		"version 2 at the top": {`{"eventType":"reservation.created.v2","reservationId":"` + r +
			`","publishedAt":"2026-10-28T17:41:00Z"}`,
			"transaction.changed " + r + " 2026-10-28T17:41:00.000Z"},
		"version 2 under payload": {`{"event":"reservation.updated.v2","payload":{"reservation":{"id":"` + r +
			`"},"x":1}}`, "transaction.changed " + r},
		"version 2 nested twice": {`{"event":"reservation.updated.v2","data":{"reservation":{"_id":"` + r +
			`","lastUpdatedAt":"2026-10-28T17:41:00Z"}}}`, "transaction.changed " + r + " 2026-10-28T17:41:00.000Z"},
		"shortlist": {`{"event":"reservation_update_shortlist","reservation":{"_id":"` + r + `"}}`,
			"transaction.changed " + r},
		"a number for an id": {`{"event":"reservation.updated.v2","data":{"reservationId":17}}`,
			"transaction.changed 17"},
		"listing": {`{"listing":{"_id":"` + l +
			`","lastUpdatedAt":"2026-10-28T17:41:00Z"},"event":"listing.updated"}`,
			"resource.changed " + l + " 2026-10-28T17:41:00.000Z"},
		"listing removed": {`{"listing":{"_id":"` + l + `"},"event":"listing.removed"}`,
			"resource.deleted " + l},
		"calendar, named": {`{"event":"calendar.updated.v2","data":{"listingId":"` + l + `"}}`,
			"calendar.changed " + l},
		"calendar, old": {`{"event":"listing.calendar.updated","listingId":"` + l + `"}`,
			"calendar.changed " + l},
		"guest": {`{"guest":{"_id":"g"},"by":"x","event":"guest.updated"}`, "guest.updated g"},
		"message": {`{"event":"reservation.messageReceived","reservationId":"` + r +
			`","message":{"body":"CANARY"}}`, "reservation.messageReceived " + r},
		"message without one": {`{"event":"reservation.messageSent","message":{"body":"CANARY"}}`,
			"reservation.messageSent "},
		"payment": {`{"event":"payments.failed","data":{"_id":"p"}}`, "payments.failed "},
		"unknown": {`{"event":"weather.changed"}`, "weather.changed "},
		"nothing": {`{}`, " "},
		"a mark":  {"\xef\xbb\xbf" + `{"event":"guest.deleted","guestId":"g"}`, "guest.deleted g"},
	} {
		got, err := Notices(webhook.Event{Body: []byte(c.body), ContentType: "application/json"})
		if err != nil || told(got) != c.want {
			t.Errorf("%s: %q, %v, want %q", name, told(got), err, c.want)
		}
	}
	for _, body := range []string{``, `[]`, `"CANARY"`, `{"event":"reservation.updated.v2","data":{"x":"CANARY"}}`,
		`{"event":"listing.removed"}`, `{"event":`} {
		if got, err := Notices(webhook.Event{Body: []byte(body)}); err == nil ||
			strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v, %v", body, told(got), err)
		}
	}
	// What the handler found out about the kind serves where the body does not say.
	if got, err := Notices(webhook.Event{Kind: "listing.new", Body: []byte(`{"listing":{"_id":"l"}}`)}); err != nil ||
		told(got) != "resource.changed l" {
		t.Errorf("%q, %v", told(got), err)
	}
}

// Whatever a verified event holds, it is one notice or an error without a value; a notice in the kit's words has a
// record, and all are thin.
func FuzzNotices(f *testing.F) {
	for _, b := range samples(f) {
		f.Add(b, "")
	}
	f.Add([]byte(`{"data":{"reservation":{"_id":7}},"event":"reservation.x"}`), "listing.removed")
	ours := []string{webhook.TransactionChanged, webhook.ResourceChanged, webhook.ResourceDeleted,
		webhook.CalendarChanged}
	f.Fuzz(func(t *testing.T, body []byte, kind string) {
		got, err := Notices(webhook.Event{Kind: kind, Body: body, ContentType: "application/json"})
		if err != nil {
			if got != nil {
				t.Fatal("notices with an error")
			}
			return
		}
		if len(got) != 1 || !got[0].Thin || len(got[0].Record) > 200 || slices.Contains(ours, got[0].Kind) &&
			got[0].Record == "" && kind != got[0].Kind {
			t.Fatalf("%d notices, %q", len(got), told(got))
		}
	})
}

// The vector of the fact sheet, through the whole way: Guesty's scheme, then the notice.
func TestSignedSample(t *testing.T) {
	body := sampleBytes(t, "hook-calendar")
	v, err := webhook.NewVerifier((&Driver{}).Webhooks(), webhook.Secret{ID: "g1",
		Value: "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="})
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set("svix-id", "msg_sample0001")
	h.Set("svix-timestamp", "1793620800")
	h.Set("svix-signature", "v1,hZ/v8l/w0t2I2xDhqlWvcr8RuEu1Ca3pFUMzRmjr2sQ=")
	proof, err := v.Verify(&webhook.Message{Header: h, Body: body}, time.Unix(1793620900, 0))
	if err != nil || proof.Delivery != "msg_sample0001" {
		t.Errorf("%+v, %v", proof, err)
	}
}

func TestEventsHaveNotices(t *testing.T) {
	terms := (&Driver{}).SubscriptionTerms()
	if terms.Secret != webhook.FromPartner || terms.PerEvent {
		t.Errorf("%+v", terms)
	}
	for _, e := range terms.Events {
		body := fmt.Sprintf(`{"event":%q,"listingId":"l","reservationId":"r","_id":"x"}`, e)
		got, err := Notices(webhook.Event{Body: []byte(body)})
		if err != nil || len(got) != 1 || got[0].Kind == e {
			t.Errorf("%s: %q, %v", e, told(got), err)
		}
	}
	terms.Events[0] = "changed"
	if (&Driver{}).SubscriptionTerms().Events[0] == "changed" {
		t.Error("the terms are not the caller's own")
	}
}

func TestSampleSubscription(t *testing.T) {
	s, odd, err := subscription.One(sampleBytes(t, "subscription"))
	if err != nil || len(odd) > 0 || s.ID != "68aa00112233445566770001" || len(s.Events) != 4 ||
		s.URL != "https://hooks.example.com/guesty/abc" {
		t.Errorf("%v, %v, %v", s, odd, err)
	}
	if errors.Is(err, driver.ErrUndecodable) {
		t.Error(err)
	}
}
