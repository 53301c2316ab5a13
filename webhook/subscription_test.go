package webhook_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/webhook"
)

func TestPromise8_SubscriptionsDoNotPrint(t *testing.T) {
	t.Parallel()
	s := webhook.Subscription{ID: "sub-1", URL: "https://hooks.example.com/canary", Events: []string{"a"}, Secret: "canary"}
	raw, err := json.Marshal([]any{s, &s})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprintf("%v %+v %#v %s %q %x", s, s, s, s, s, s), fmt.Sprint(&s, []webhook.Subscription{s}), s.LogValue().String(), string(raw),
	} {
		if strings.Contains(text, "canary") || !strings.Contains(text, "sub-1") {
			t.Errorf("got %s", text)
		}
	}
	for from, want := range map[webhook.SecretFrom]string{
		webhook.FromURL: "url", webhook.FromUs: "us", webhook.FromPartner: "partner", 7: "SecretFrom(7)",
	} {
		if got := from.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
