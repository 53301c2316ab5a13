package guesty_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/webhook"
)

func TestSubscriptions(t *testing.T) {
	account(t, guesty.V3, guestytest.Config{Listings: 1}, func(t *testing.T, _ *guestytest.Server, d *guesty.Driver,
		seen *requests) {
		ctx := t.Context()
		const url = "https://hooks.example.com/guesty/abc"
		if l, err := d.Subscriptions(ctx); err != nil || len(l) != 0 {
			t.Fatalf("%v, %v", l, err)
		}
		s, err := d.Subscribe(ctx, webhook.Subscription{URL: url, Events: []string{"listing.updated",
			"reservation.updated.v2"}})
		if err != nil || s.ID == "" || s.URL != url || len(s.Events) != 2 {
			t.Fatalf("%v, %v", s, err)
		}
		// The secret takes some time.
		if _, err := d.SubscriptionSecret(ctx, s); !errors.Is(err, webhook.ErrNoSecretYet) {
			t.Errorf("at once: %v", err)
		}
		time.Sleep(5 * time.Second)
		secret, err := d.SubscriptionSecret(ctx, s)
		if err != nil || secret == "" {
			t.Errorf("%q, %v", secret, err)
		}
		// The same again is the one that is there; with other events it is changed.
		if again, err := d.Subscribe(ctx, webhook.Subscription{URL: url, Events: []string{"reservation.updated.v2",
			"listing.updated"}}); err != nil || again.ID != s.ID {
			t.Errorf("%v, %v", again, err)
		}
		if again, err := d.Subscribe(ctx,
			webhook.Subscription{URL: url, Events: []string{"listing.new"}}); err != nil || again.ID != s.ID ||
			!slices.Equal(again.Events, []string{"listing.new"}) {
			t.Errorf("%v, %v", again, err)
		}
		if again, err := d.Subscribe(ctx, webhook.Subscription{ID: s.ID, URL: url,
			Events: []string{"listing.removed"}}); err != nil ||
			!slices.Equal(again.Events, []string{"listing.removed"}) {
			t.Errorf("%v, %v", again, err)
		}
		if l, err := d.Subscriptions(ctx); err != nil || len(l) != 1 || l[0].Events[0] != "listing.removed" {
			t.Errorf("%v, %v", l, err)
		}
		for range 2 { // one that is not there is no error
			if err := d.Unsubscribe(ctx, s); err != nil {
				t.Error(err)
			}
		}
		if l, err := d.Subscriptions(ctx); err != nil || len(l) != 0 {
			t.Errorf("%v, %v", l, err)
		}
		if path := seen.last().Path; path != "/v1/webhooks" {
			t.Errorf("%s", path)
		}
	})
}

// From a subscription to a record: the secret is fetched, deliveries are verified, a replay and a forgery are not
// taken, and what a notice is about is read with the driver's own credentials.
func TestWebhooksFromEndToEnd(t *testing.T) {
	account(t, guesty.V3, guestytest.Config{Listings: 3, ReservationsPerListing: 2, Odd: -1},
		func(t *testing.T, sim *guestytest.Server, d *guesty.Driver, _ *requests) {
			ctx := t.Context()
			sub, err := webhook.NewSubscriber(webhook.SubscriberConfig{Store: &webhook.MemoryRegistrations{}})
			if err != nil {
				t.Fatal(err)
			}
			want := webhook.Want{Key: "acct-17", Base: "https://hooks.example.com/guesty", Partner: d.Webhooks()}
			for range 3 { // while there is no secret
				if _, err = sub.Reconcile(ctx, d, want); err == nil {
					break
				}
				time.Sleep(10 * time.Second)
			}
			if err != nil {
				t.Fatal(err)
			}
			var events []webhook.Event
			h, err := webhook.NewHandler(webhook.Config{
				Resolve: func(r *http.Request) (webhook.Endpoint, error) {
					return sub.Endpoint(r, "acct-17", "",
						d.Webhooks())
				},
				Sink: webhook.SinkFunc(func(_ context.Context, e webhook.Event) error {
					events = append(events, e)
					return nil
				}),
			})
			if err != nil {
				t.Fatal(err)
			}
			stay := slices.Collect(sim.ReservationIDs())[1]
			listing := slices.Collect(sim.ListingIDs())[2]
			var confirmed []any
			route := func(_ context.Context, n webhook.Notice) error {
				confirmed = append(confirmed, n.Kind)
				if c, ok := n.Confirmed.(driver.Confirmed); ok {
					confirmed = append(confirmed, c.Record)
				}
				return nil
			}
			router := &webhook.Router{Translate: d.Notices, Confirm: driver.Confirm(d), Default: route}
			for _, about := range [][2]string{{"reservation.updated.v2", stay}, {"listing.updated", listing},
				{"calendar.updated.v2", listing}} {
				out, err := sim.Deliveries(about[0], about[1], time.Now())
				if err != nil || len(out) != 1 {
					t.Fatalf("%d deliveries of %s, %v", len(out), about[0], err)
				}
				for range 2 { // sent twice, signed afresh: one event
					req, err := out[0].Request(ctx, time.Now())
					if err != nil {
						t.Fatal(err)
					}
					rec := httptest.NewRecorder()
					h.ServeHTTP(rec, req)
					if rec.Code/100 != 2 {
						t.Errorf("%s: answered %d", about[0], rec.Code)
					}
					time.Sleep(time.Second)
				}
				req, err := out[0].Request(ctx, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("svix-id", "msg_forged")
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, req)
				if rec.Code/100 == 2 {
					t.Errorf("a forged delivery was answered %d", rec.Code)
				}
			}
			if len(events) != 3 {
				t.Fatalf("%d events, want 3", len(events))
			}
			for _, e := range events {
				if err := router.Handle(ctx, e); err != nil {
					t.Error(err)
				}
			}
			if len(confirmed) != 5 || confirmed[0] != webhook.TransactionChanged ||
				confirmed[2] != webhook.ResourceChanged || confirmed[4] != webhook.CalendarChanged {
				t.Fatalf("told %v", confirmed)
			}
			if tr, ok := confirmed[1].(*driver.Transaction); !ok || tr.ID != stay {
				t.Errorf("%v, want %s", confirmed[1], stay)
			}
			if r, ok := confirmed[3].(*driver.Resource); !ok || r.ID != listing {
				t.Errorf("%v, want %s", confirmed[3], listing)
			}
		})
}
