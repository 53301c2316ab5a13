package bookingcom_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/integrationkit/integrationkit/adapters/bookingcom"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/webhook"
)

// One process of a host's reads the queue, for all its properties; each message goes to the property's integration.
func Example() {
	var mine driver.Integrations  // the host's, over its database
	var store importer.QueueStore // adapters/sqlstore

	reg := driver.NewRegistry(driver.Options{Integrations: mine})
	if err := bookingcom.Register(reg); err != nil {
		panic(err)
	}
	reservations := func(ctx context.Context) error {
		d, err := reg.Open(ctx, "any-of-the-properties")
		if err != nil {
			return err
		}
		return importer.FollowQueue(ctx, importer.QueueConfig{
			Driver: d, Store: store, Route: importer.ByAccount(mine, bookingcom.Partner),
			OnDead: func(_ context.Context, m importer.KeptMessage) {
				log.Println("kept for a human:", m.ID,
					m.Reason)
			},
		})
	}
	_ = reservations
}

// What is wrong with an integration is found out before anything is sent.
func ExampleConfigOf() {
	c := bookingcom.Config{ClientID: "5f0c2d3e", Username: "legacy", Password: "p",
		Properties: []string{"7004411", "H-17"}}
	_, err := bookingcom.ConfigOf(c.Integration("host-17"))
	fmt.Println(err)
	// Output:
	// bookingcom: integration host-17: both client_id and client_secret, and username and password are given: which are they to be?
	// setting properties: the id at 2 is not made of digits
}

// Prices and availability are written night by night.
func ExampleDriver_PushCalendar() {
	push := func(ctx context.Context, d *bookingcom.Driver) error {
		_, err := d.PushCalendar(ctx, "rates-2026-05-08", "7004411", []driver.Day{{
			ResourceID: "7004411", UnitID: driver.Some("700441102"), Date: driver.Date{Year: 2026, Month: 5, Day: 8},
			Available:  driver.Some(2),                                            // of the room type
			RatePlanID: driver.Some("31200451"),                                   // and of the rate plan:
			Price:      driver.Some(driver.Money{Amount: 12500, Currency: "EUR"}), // 125.00
			MinStay:    driver.Some(2),
		}})
		return err // one that wraps driver.ErrPartial: some nights were written
	}
	_ = push
}

// Booking.com fetches a token from an endpoint of the host's, and sends it with each notification.
func ExampleNotices() {
	key := webhook.Secret{ID: "2026-11", Value: "a text of 32 bytes or more, from the host's secrets"}
	tokens, err := webhook.NewTokenEndpoint(webhook.TokenEndpointConfig{
		Clients: map[string][]webhook.Secret{"booking": {{Value: "what the provider portal was given"}}},
		Key:     key, Member: "jwt",
	})
	if err != nil {
		panic(err)
	}
	verifier, err := webhook.NewVerifier(webhook.BookingCom(), key)
	if err != nil {
		panic(err)
	}
	hooks, err := webhook.NewHandler(webhook.Config{
		Resolve: webhook.Paths(map[string]webhook.Endpoint{"/bookingcom/events": {Verifier: verifier}}),
		Sink: webhook.SinkFunc(func(_ context.Context, e webhook.Event) error {
			notices, err := bookingcom.Notices(e)
			fmt.Println(notices)
			return err
		}),
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/bookingcom/token", tokens)
	mux.Handle("/bookingcom/events", hooks)
}
