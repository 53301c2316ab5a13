package airbnb

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// vector is the signature of a test notification with a key made for it; the Host header has a port, which is not
// signed.
const vector = "fnBH7dSPiY2Lug1LjZx0zpo94gwESDdLehaR145iX1SKb4b62bRn9ULOEIyJyij5Ocg8Cvv8d0jIktaOVbfxsA5lNChUFyf1NZwzVyk/CMuKKdVErToy+PvqQQFwNYPYTojV+UyGsnlxLUO/OROJDl8YUbVVseUcHfyvbHwNcP6ICcytlwt9Wfx6hmEPrElXZhNPyQoptFMqSL/aCuqrc4t3tat5Qab5kPnsJ41MnE08yuS3LHW3rkzr1/3oo082GQEFwntbCGQEMDHKKsbdQvOcveQT8us6F/qOl5frQ3zI1PDpD3AzHiUInMpzg0F1i+I9poJJNTZocOeI+7ImbQ=="

func TestWebhookVector(t *testing.T) {
	v, err := webhook.NewVerifier(Webhooks(), webhook.Secret{Value: string(sample(t, "webhook-key.pem"))})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2025, 1, 14, 9, 30, 0, 0, time.UTC)
	m := &webhook.Message{
		Method: "POST", Host: "partner.example.net:8443", Path: "/hooks/airbnb",
		Header: http.Header{
			"Date": {at.Format(http.TimeFormat)}, "Content-Type": {"application/json"},
			"Authorization": {`Signature keyId="booking_web_hooks",algorithm="rsa-sha256",headers="host url method date content-type body",delimiter="|",signature="` + vector + `"`},
		},
		Body: []byte(`{"action":"test_notification","test_notification":{"host_id":700001}}`),
	}
	if _, err := v.Verify(m, at); err != nil {
		t.Errorf("the vector: %v", err)
	}
	m.Body[2] = 'A'
	if _, err := v.Verify(m, at); err == nil {
		t.Error("an altered body passes")
	}
}

func TestNotices(t *testing.T) {
	for _, tt := range []struct {
		body  string
		want  string // kind record, joined by commas
		wrong bool
	}{
		{body: string(sample(t, "notice-reservation.json")),
			want: "transaction.changed HMEXAMPLE1 2026-03-01T10:05:00Z"},
		{body: string(sample(t, "notice-approval.json")), want: "resource.changed 21000417"},
		{body: string(sample(t, "notice-sync.json")), want: "resource.changed 21000417"},
		{body: string(sample(t, "notice-revoked.json")), want: "auth.revoked "},
		{body: `{"action": "reservation_requested", "reservation": {"confirmation_code": "HMA12"}}`,
			want: "transaction.changed HMA12"},
		{body: `{"action": "reservation_requested", "reservation": {}}`, wrong: true},
		{body: `{"action": "reservation_requested", "reservation": {"confirmation_code": "../x"}}`, wrong: true},
		{body: `{"action": "listings_mapped", "mappings": [{"listing_id": 1, "updated_listing_id": "2"}]}`,
			want: "resource.changed 1,resource.changed 2"},
		{body: `{"action": "listings_unlinked", "listing_ids": ["1", 2, {}]}`,
			want: "resource.changed 1,resource.changed 2"},
		{body: `{"action": "listing_synchronization_settings_updated"}`},
		{body: `{"action": "listing_approval_status_changed"}`},
		{body: `{"action": "test_notification"}`},
		{body: `{"action": "payout_notification"}`, want: "payout_notification "},
		{body: `{"action": "message_added", "message": {}}`, want: "message_added "},
		{body: `{}`, wrong: true},
		{body: `x`, wrong: true},
	} {
		all, err := Notices(webhook.Event{Body: []byte(tt.body)})
		if (err != nil) != tt.wrong {
			t.Errorf("%s: %v", tt.body, err)
		}
		var got []string
		for _, n := range all {
			s := n.Kind + " " + n.Record
			if !n.Version.At.IsZero() {
				s += " " + n.Version.At.Format(time.RFC3339)
			}
			if known := strings.Contains(n.Kind, "."); known != n.Thin {
				t.Errorf("%s: %s is thin: %v", tt.body, n.Kind, n.Thin)
			}
			got = append(got, s)
		}
		if s := strings.Join(got, ","); s != tt.want {
			t.Errorf("%s: %q, want %q", tt.body, s, tt.want)
		}
	}
}

// Whatever comes, a notice of a record has an id that is safe in a path, and errors hold nothing of the body.
func FuzzNotices(f *testing.F) {
	for _, name := range []string{"notice-reservation.json", "notice-approval.json", "notice-sync.json",
		"notice-revoked.json"} {
		f.Add(sample(f, name))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := Notices(webhook.Event{Body: body})
		if err != nil && len(all) > 0 {
			t.Fatal("notices and an error")
		}
		for _, n := range all {
			if strings.ContainsAny(n.Record, "/.?# %") {
				t.Fatalf("record %q", n.Record)
			}
		}
	})
}
