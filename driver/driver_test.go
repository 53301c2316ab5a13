package driver_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/webhook"
)

func TestEndpoint(t *testing.T) {
	for _, tt := range []struct{ own, base, origin string }{
		{"", "https://api.example.com/v1", "https://api.example.com"},
		{"http://127.0.0.1:8080/", "http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"https://sandbox.example.com/x/", "https://sandbox.example.com/x", "https://sandbox.example.com"},
		{"nonsense", "nonsense", "nonsense"},
	} {
		base, origin := driver.Integration{BaseURL: tt.own}.Endpoint("https://api.example.com/v1/")
		if base != tt.base || origin != tt.origin {
			t.Errorf("%q: %q, %q; want %q, %q", tt.own, base, origin, tt.base, tt.origin)
		}
	}
}

// able can do everything.
type able struct{ harbour }

func (able) Transactions(context.Context, driver.Query) pagination.Pages[driver.Transaction] {
	return nil
}
func (able) Media(context.Context, string) pagination.Pages[driver.Media]              { return nil }
func (able) ResourcesByID(context.Context, []string) pagination.Pages[driver.Resource] { return nil }
func (able) TransactionsByID(context.Context, []string) pagination.Pages[driver.Transaction] {
	return nil
}
func (able) Queue() (q driver.Queue)                                             { return }
func (able) Receive(context.Context) pagination.Pages[driver.Message]            { return nil }
func (able) Acknowledge(context.Context, any) error                              { return nil }
func (able) Recover(context.Context, time.Time) pagination.Pages[driver.Message] { return nil }
func (able) Parse(driver.Message, string) (b pagination.Batch[driver.Transaction], err error) {
	return
}
func (able) Calendar(context.Context, string, driver.Date, driver.Date) pagination.Pages[driver.Day] {
	return nil
}
func (able) PushCalendar(context.Context, driver.EffectKey, string, []driver.Day) (e driver.Effect, err error) {
	return
}
func (able) PushStatus(context.Context, driver.EffectKey, string, driver.TransactionStatus) (e driver.Effect, err error) {
	return
}

func (able) Webhooks() (p webhook.Partner)                         { return }
func (able) Notices(webhook.Event) (n []webhook.Notice, err error) { return }
func (able) SubscriptionTerms() (t webhook.Terms)                  { return }
func (able) Subscriptions(context.Context) (s []webhook.Subscription, err error) {
	return
}
func (able) Subscribe(_ context.Context, s webhook.Subscription) (webhook.Subscription, error) {
	return s, nil
}
func (able) Unsubscribe(context.Context, webhook.Subscription) error { return nil }

func TestCapabilities(t *testing.T) {
	if got := driver.Capabilities(&acme{}); got != nil {
		t.Errorf("got %q", got)
	}
	want := []string{
		"CalendarLister", "CalendarPusher", "MediaLister", "QueueRecoverer", "QueueSource", "ResourceGetter", "ResourceLister", "StatusPusher",
		"TransactionGetter", "TransactionLister", "WebhookRegistrar", "WebhookSource",
	}
	if got := driver.Capabilities(able{}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
