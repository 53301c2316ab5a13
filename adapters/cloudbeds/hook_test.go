package cloudbeds_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds"
	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/retry"
	"github.com/integrationkit/integrationkit/webhook"
)

// offline is a driver that sends nothing.
func offline(t testing.TB, c cloudbeds.Config) *cloudbeds.Driver {
	t.Helper()
	d, err := cloudbeds.New(driver.Env{Integration: c.Integration("a")})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The bodies of the fact sheet, in each of their spellings, and what else comes.
func TestNotices(t *testing.T) {
	d := offline(t, good())
	at := func(seconds float64) time.Time { return time.UnixMicro(int64(seconds * 1e6)).UTC() }
	const form = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name, contentType, body string
		kind, record            string // "": none
		at                      time.Time
	}{
		{"created", "", `{ "version": "1.0", "event": "reservation/created", "timestamp": 1793215202.482911, "propertyID": 190001, "propertyID_str": "190001",
			"reservationID": "7736451029384", "startDate": "2026-12-02", "endDate": "2026-12-05" }`, webhook.TransactionChanged, "7736451029384", at(1793215202.482911)},
		{"status", "application/json", `{ "version": "1.0", "event": "reservation/status_changed", "timestamp": 1793265164.01, "propertyID": 190001, "propertyID_str": "190001",
			"reservationID": "7736451029384", "status": "canceled", "previousStatus": "confirmed", "actor": { "type": "user", "id": "410022" }, "subReservations": [ {
			"id": "88990001", "roomId": "514201-0", "subReservationId": "7736451029384" } ] }`, webhook.TransactionChanged, "7736451029384", at(1793265164.01)},
		{"dates, other case", "", `{ "version": "1.0", "event": "reservation/dates_changed", "timestamp": 1793265170.55, "propertyId": 190001, "propertyId_str": "190001",
			"reservationId": "7736451029384" }`, webhook.TransactionChanged, "7736451029384", at(1793265170.55)},
		{"guest", "", `{ "version": "1.0", "event": "guest/assigned", "timestamp": 1793215203.118, "propertyId": 190001, "guestId": 50400123, "reservationId": 7736451029384 }`,
			webhook.TransactionChanged, "7736451029384", at(1793215203.118)},
		{"deleted stays, as a canceled one", "", `{"event":"reservation/deleted","reservationId":"1"}`,
			webhook.TransactionChanged, "1", time.Time{}},
		{"both spellings", "", `{"event":"reservation/created","reservationID":"","reservationId":"5"}`,
			webhook.TransactionChanged, "5", time.Time{}},
		{"as a form", form, "event=reservation%2Fcreated&reservationID=7&timestamp=1793215203.5",
			webhook.TransactionChanged, "7", at(1793215203.5)},
		{"a guest of nothing", "", `{"event":"guest/details_changed","guestId":5}`, "guest/details_changed", "",
			time.Time{}},
		{"the application was removed", "", `{"event":"integration/appstate_changed","newState":"disabled"}`,
			webhook.AuthRevoked, "", time.Time{}},
		{"by another name", "", `{"event":"integration/appstate_changed","app_state":"DISABLED"}`,
			webhook.AuthRevoked, "", time.Time{}},
		{"the application was enabled", "", `{"event":"integration/appstate_changed","state":"enabled"}`,
			"integration/appstate_changed", "", time.Time{}},
		{"rates were written", "", `{"event":"api_queue_task/rate_status_changed"}`,
			"api_queue_task/rate_status_changed", "", time.Time{}},
		{"nothing", "", `{}`, "", "", time.Time{}},
		{"a time that is none", "", `{"event":"night_audit/completed","timestamp":"soon"}`, "night_audit/completed",
			"", time.Time{}},
	} {
		got, err := d.Notices(webhook.Event{ContentType: tt.contentType, Body: []byte(tt.body)})
		if err != nil || (len(got) == 1) != (tt.kind != "") {
			t.Errorf("%s: %v, %v", tt.name, got, err)
			continue
		}
		if len(got) == 1 && (got[0].Kind != tt.kind || got[0].Record != tt.record ||
			got[0].Version.At.Sub(tt.at).Abs() > time.Millisecond || !got[0].Thin) {
			t.Errorf("%s: %s of %q at %v, want %s of %q at %v", tt.name, got[0].Kind, got[0].Record,
				got[0].Version.At, tt.kind, tt.record, tt.at)
		}
	}
	for name, e := range map[string]webhook.Event{
		"no body": {}, "text": {Body: []byte("CANARY")}, "cut": {Body: []byte(`{"event":"CANARY`)},
		"a bad form":        {ContentType: form, Body: []byte("%ZZCANARY")},
		"an array":          {Body: []byte(`["CANARY"]`)},
		"of no reservation": {Body: []byte(`{"event":"reservation/created","x":"CANARY"}`)},
		"an id that cannot be one": {Body: []byte(`{"event":"reservation/created","reservationID":"` +
			strings.Repeat("CANARY", 50) + `"}`)},
	} {
		if got, err := d.Notices(e); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v, %v; want an error that does not quote it", name, got, err)
		}
	}
	one := good()
	one.Property = "190001"
	for body, want := range map[string]int{
		`{"event":"reservation/created","propertyID":190001,"reservationID":"1"}`:         1,
		`{"event":"reservation/created","propertyId_str":"190002","reservationID":"1"}`:   0,
		`{"event":"reservation/created","reservationID":"1"}`:                             1,
		`{"event":"integration/appstate_changed","propertyID":190002,"state":"disabled"}`: 0,
	} {
		if got, err := offline(t, one).Notices(webhook.Event{Body: []byte(body)}); err != nil || len(got) != want {
			t.Errorf("%s: %v, %v, want %d", body, got, err, want)
		}
	}
	if p := d.Webhooks(); p.Name != "cloudbeds" || p.Patience > 2*time.Second {
		t.Errorf("%s, patience %v", p.Name, p.Patience)
	}
}

func FuzzNotices(f *testing.F) {
	d := offline(f, good())
	for _, s := range []string{
		`{"event":"reservation/created","reservationID":1,"timestamp":1e300}`,
		`event=reservation/created&reservationID=7`, `{"EVENT":"guest/x","Event":{},"reservationid":""}`, "[", "",
	} {
		f.Add(true, s)
		f.Add(false, s)
	}
	f.Fuzz(func(t *testing.T, form bool, body string) {
		e := webhook.Event{Body: []byte(body)}
		if form {
			e.ContentType = "application/x-www-form-urlencoded"
		}
		got, err := d.Notices(e)
		if err != nil && (len(got) > 0 || len(err.Error()) > 200) {
			t.Errorf("%v, %v", got, err)
		}
		for _, n := range got {
			if n.Kind == "" || len(n.Record) > 200 || !n.Thin || n.Kind == webhook.TransactionChanged &&
				n.Record == "" {
				t.Errorf("%q is a notice of %q about %q", body, n.Kind, n.Record)
			}
		}
	})
}

// From registration to the record: the simulated partner is told of the URL, sends there, and what it said is read
// back.
func TestWebhooksEndToEnd(t *testing.T) {
	for name, removal := range map[string]cloudbedstest.Removal{"documented": cloudbedstest.Documented,
		"by endpoint": cloudbedstest.ByEndpoint, "undead": cloudbedstest.Undead} {
		t.Run(name, func(t *testing.T) {
			c := cloudbedstest.Config{Properties: 2, ReservationsPerProperty: 5, Odd: 2, Removal: removal}
			group(t, nil, c, func(t *testing.T, s *cloudbedstest.Server, d *cloudbeds.Driver, _ *requests) {
				sub, err := webhook.NewSubscriber(webhook.SubscriberConfig{Store: &webhook.MemoryRegistrations{}})
				if err != nil {
					t.Fatal(err)
				}
				want := webhook.Want{Key: "a", Base: "https://hooks.example.com/cloudbeds/a", Partner: d.Webhooks()}
				if rep, err := sub.Reconcile(t.Context(), d, want); err != nil ||
					len(rep.Added) != len(d.SubscriptionTerms().Events) {
					t.Fatalf("registered: %+v, %v", rep, err)
				}
				if rep, err := sub.Reconcile(t.Context(), d, want); err != nil ||
					len(rep.Added)+len(rep.Removed)+len(rep.Changed) > 0 {
					t.Errorf("the day after: %+v, %v", rep, err)
				}
				var kept []webhook.Event
				handler, err := webhook.NewHandler(webhook.Config{
					Resolve: func(r *http.Request) (webhook.Endpoint, error) {
						return sub.Endpoint(r, "a", "",
							d.Webhooks())
					},
					Sink: webhook.SinkFunc(func(_ context.Context, e webhook.Event) error {
						kept = append(kept,
							e)
						return nil
					}),
				})
				if err != nil {
					t.Fatal(err)
				}
				ids := slices.Collect(s.ReservationIDs())
				for _, event := range []string{"reservation/status_changed", "reservation/dates_changed",
					"guest/assigned"} {
					to := s.Hooks(event)
					if len(to) != 1 {
						t.Fatalf("%s goes to %d URLs", event, len(to))
					}
					// and a stranger's guess
					for _, u := range []string{to[0], strings.TrimSuffix(to[0], to[0][len(to[0])-4:]) + "abcd"} {
						req := httptest.NewRequest(http.MethodPost, u, strings.NewReader(string(s.Event(event, 3,
							time.Now()))))
						req.Header.Set("Content-Type", "application/json")
						w := httptest.NewRecorder()
						handler.ServeHTTP(w, req)
						if (w.Code == http.StatusAccepted) != (u == to[0]) {
							t.Errorf("%s: answered %d", event, w.Code)
						}
					}
				}
				if len(kept) != 3 || kept[0].Trust != webhook.Hint || kept[1].Account != "190002" {
					t.Fatalf("%d events kept: %v", len(kept), kept)
				}
				var read []string
				router := webhook.Router{
					Translate: d.Notices, Confirm: driver.Confirm(d),
					Default: func(_ context.Context, n webhook.Notice) error {
						return fmt.Errorf("nobody expected %s",
							n.Kind)
					},
					Routes: map[string]webhook.Route{webhook.TransactionChanged: func(_ context.Context,
						n webhook.Notice) error {
						c := n.Confirmed.(driver.Confirmed)
						read = append(read, c.Record.(*driver.Transaction).ID)
						return nil
					}},
				}
				for _, e := range kept {
					if err := router.Handle(t.Context(), e); err != nil {
						t.Error(err)
					}
				}
				if !slices.Equal(read, []string{ids[3], ids[3], ids[3]}) {
					t.Errorf("read back: %v, want %s three times", read, ids[3])
				}

				rep, err := sub.Rotate(t.Context(), d, want)
				if err != nil || len(rep.Added) != len(d.SubscriptionTerms().Events) {
					t.Errorf("another URL: %+v, %v", rep, err)
				}
				rep, err = sub.Remove(t.Context(), d, want)
				if removal == cloudbedstest.Undead {
					if left := s.Hooks("reservation/created"); len(left) != 2 || len(rep.Undead) == 0 && err == nil {
						t.Errorf("undead: %d left, %+v, %v", len(left), rep, err)
					}
				} else if left := s.Hooks("reservation/created"); err != nil || len(left) != 0 {
					t.Errorf("removed: %d left, %v", len(left), err)
				}
			})
		})
	}
}

func TestRegistrar(t *testing.T) {
	c := cloudbedstest.Config{Properties: 2, Odd: -1}
	group(t, map[string]string{"property": "190001"}, c, func(t *testing.T, s *cloudbedstest.Server,
		d *cloudbeds.Driver, _ *requests) {
		sub := webhook.Subscription{URL: "https://hooks.example.com/a/token", Events: []string{"reservation/created"}}
		first, err := d.Subscribe(t.Context(), sub)
		again, err2 := d.Subscribe(t.Context(), sub)
		if err != nil || err2 != nil || first.ID == "" || first.ID != again.ID || first.URL != sub.URL {
			t.Errorf("subscribed: %v, %v, %v, %v", first, again, err, err2)
		}
		list, err := d.Subscriptions(t.Context())
		if err != nil || len(list) != 1 || list[0].ID != first.ID || list[0].URL != sub.URL ||
			!slices.Equal(list[0].Events, sub.Events) {
			t.Errorf("listed: %v, %v", list, err)
		}
		for name, bad := range map[string]webhook.Subscription{
			"no event": {URL: "https://h"}, "two events": {URL: "https://h", Events: []string{"reservation/created",
				"reservation/deleted"}},
			"no URL": {Events: []string{"reservation/created"}}, "an event that is none": {URL: "https://h",
				Events: []string{"reservation/all\nCANARY" + strings.Repeat("x", 100)}},
		} {
			if _, err := d.Subscribe(t.Context(), bad); retry.ClassOf(err) != retry.Client {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := d.Unsubscribe(t.Context(), first); err != nil || len(s.Hooks("reservation/created")) != 0 {
			t.Errorf("unsubscribed: %v", err)
		}
		if err := d.Unsubscribe(t.Context(), first); err != nil {
			t.Errorf("once more: %v", err)
		}
	})
	// Another property's subscriptions, seen with a key of the group, are not this integration's.
	group(t, nil, c, func(t *testing.T, s *cloudbedstest.Server, d *cloudbeds.Driver, _ *requests) {
		for _, property := range []string{"190001", "190002"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
				"https://"+cloudbedstest.Host+"/api/v1.3/postWebhook", strings.NewReader(url.Values{
					"object": {"reservation"}, "action": {"created"}, "endpointUrl": {"https://h/" + property},
					"propertyID": {property},
				}.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("X-Api-Key", cloudbedstest.APIKey)
			resp, err := s.Transport().RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		one := s.Integration("b")
		one.Settings = map[string]string{"property": "190002"}
		other, err := cloudbeds.New(driver.Env{Integration: one, Transport: s.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		all, err := d.Subscriptions(t.Context())
		own, err2 := other.Subscriptions(t.Context())
		if err != nil || err2 != nil || len(all) != 2 || len(own) != 1 || own[0].URL != "https://h/190002" {
			t.Errorf("%v, %v: %v, %v", all, own, err, err2)
		}
	})
	refused := cloudbedstest.Config{Faults: []partnersim.Rule{{Kind: "x-refused"}}}
	group(t, nil, refused, func(t *testing.T, _ *cloudbedstest.Server, d *cloudbeds.Driver, _ *requests) {
		sub := webhook.Subscription{ID: "1", URL: "https://h", Events: []string{"reservation/created"}}
		_, subErr := d.Subscribe(t.Context(), sub)
		_, listErr := d.Subscriptions(t.Context())
		for name, err := range map[string]error{"subscribe": subErr, "list": listErr,
			"unsubscribe": d.Unsubscribe(t.Context(), sub)} {
			if e, ok := errors.AsType[*retry.Error](err); !ok || e.Class != retry.Client {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// What is refused is not told with a body, and prints no URL.
func TestPromise8_SubscriptionsPrintNoURL(t *testing.T) {
	d := offline(t, good())
	s := webhook.Subscription{ID: "1", URL: "https://hooks.example.com/CANARY", Events: []string{"a", "b"}}
	_, err := d.Subscribe(t.Context(), s)
	b, jsonErr := json.Marshal(s)
	if text := fmt.Sprintf("%v %+v %s %v", err, s, b, jsonErr); strings.Contains(text, "CANARY") {
		t.Errorf("told: %s", text)
	}
}
