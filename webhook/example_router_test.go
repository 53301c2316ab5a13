package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// In a queue's worker: what was kept is translated into the kit's words, hints are confirmed, what comes too late is
// dropped, and each kind has its route.
func ExampleRouter() {
	fetch := func(_ context.Context, integration, id string) (string, error) {
		return "the record " + id + " of " + integration, nil
	}
	router := &webhook.Router{
		Translate: func(e webhook.Event) ([]webhook.Notice, error) { // a driver's
			switch e.Kind {
			case "reservation/created", "reservation/status_changed":
				return []webhook.Notice{{Kind: webhook.TransactionChanged, Record: string(e.Body)}}, nil
			}
			return []webhook.Notice{{Kind: e.Kind}}, nil
		},
		Confirm: func(ctx context.Context, n webhook.Notice) (any, error) {
			return fetch(ctx, n.Event.Integration, n.Record)
		},
		Routes: map[string]webhook.Route{
			"transaction.*": func(_ context.Context, n webhook.Notice) error {
				fmt.Println(n.Kind+":", n.Confirmed)
				return nil
			},
		},
		Default: func(_ context.Context, n webhook.Notice) error {
			fmt.Println("nobody knows", n.Kind)
			return nil
		},
		Order: &webhook.Order{},
	}
	for _, kind := range []string{"reservation/created", "night_audit/completed"} {
		e := webhook.Event{Key: "cloudbeds/hotel-7/1", Partner: "cloudbeds", Integration: "hotel-7", Kind: kind, Body: []byte("r-1")}
		if err := router.Handle(context.Background(), e); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// transaction.changed: the record r-1 of hotel-7
	// nobody knows night_audit/completed
}

// What could not be dealt with is kept, and replayed when the reason is gone: for one integration, from a night on
// which its token was revoked.
func ExampleReplay() {
	ctx := context.Background()
	failures := &webhook.MemoryFailures{} // a table, where it has to outlive the process
	night := time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC)
	for i := range 3 {
		e := webhook.Event{Key: fmt.Sprint("guesty/hotel-7/msg_", i), Integration: "hotel-7", ReceivedAt: night.Add(time.Duration(i) * time.Hour)}
		if err := failures.Keep(ctx, e, "needs re-authorization", night.Add(4*time.Hour)); err != nil {
			fmt.Println(err)
			return
		}
	}
	done, err := webhook.Replay(ctx, failures, "hotel-7", night, night.Add(2*time.Hour), func(_ context.Context, e webhook.Event) error {
		if e.Key == "guesty/hotel-7/msg_1" {
			return errors.New("no such listing")
		}
		fmt.Println("done:", e.Key)
		return nil
	})
	fmt.Println(done.Handled, done.Failed, err)
	// Output:
	// done: guesty/hotel-7/msg_0
	// 1 [webhook: replay guesty/hotel-7/msg_1: no such listing] <nil>
}

// One URL for all of a partner's accounts, with one secret of the app: who an event is for is said in the body, which
// is read after it was verified.
func ExampleEndpoint_owner() {
	v, err := webhook.NewVerifier(webhook.Slack(), webhook.Secret{Value: "the app's signing secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	team := webhook.JSON("team_id")
	e := webhook.Endpoint{
		Verifier: v,
		Owner: func(_ context.Context, m *webhook.Message) (string, error) {
			return team(m), nil // usually looked up in a table
		},
	}
	owner, err := e.Owner(context.Background(), &webhook.Message{Body: []byte(`{"team_id":"T1DC2JH3J"}`)})
	fmt.Println(owner, err)
	// Output: T1DC2JH3J <nil>
}
