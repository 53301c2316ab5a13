package webhook_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// An integration is connected: its webhooks are registered at the partner, by its driver, and received at the URL that
// was made for it. Once a day what the partner has is compared; twice a year the secret is changed.
func ExampleSubscriber() {
	ctx := context.Background()
	driver := &office{ // a driver.WebhookRegistrar
		terms:   webhook.Terms{Secret: webhook.FromPartner, Events: []string{"listing.updated", "reservation.updated"}},
		secrets: map[string]string{},
	}
	sub, err := webhook.NewSubscriber(webhook.SubscriberConfig{Store: &webhook.MemoryRegistrations{}}) // sqlstore's, to keep it
	if err != nil {
		fmt.Println(err)
		return
	}
	want := webhook.Want{Key: "hotel-7", Base: "https://hooks.example.com/guesty/hotel-7", Partner: webhook.Guesty()}
	rep, err := sub.Reconcile(ctx, driver, want)
	fmt.Println(len(rep.Added), "added,", err)
	rep, err = sub.Reconcile(ctx, driver, want)
	fmt.Println(len(rep.Added), "added,", err)

	handler, err := webhook.NewHandler(webhook.Config{
		Resolve: func(r *http.Request) (webhook.Endpoint, error) {
			_, rest, _ := strings.Cut(r.URL.Path, "/guesty/")
			integration, _, _ := strings.Cut(rest, "/") // look it up first: strangers ask, too
			return sub.Endpoint(r, integration, "", webhook.Guesty())
		},
		Sink: webhook.SinkFunc(func(_ context.Context, e webhook.Event) error {
			fmt.Println("stored:", e.Kind, "of", e.Integration)
			return nil
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	delivery := httptest.NewRequest(http.MethodPost, driver.subs[0].URL, strings.NewReader(`{"event":"listing.updated"}`))
	if err := webhook.SignRequest(webhook.Guesty().Scheme, delivery, driver.subs[0].Secret, time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, delivery)
	fmt.Println(answer.Code)

	rep, err = sub.Rotate(ctx, driver, want)
	fmt.Println(len(rep.Added), "added,", len(rep.Removed), "removed,", err)
	// Output:
	// 1 added, <nil>
	// 0 added, <nil>
	// stored: listing.updated of hotel-7
	// 202
	// 1 added, 1 removed, <nil>
}
