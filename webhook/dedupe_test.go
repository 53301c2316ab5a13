package webhook_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
	"github.com/integrationkit/integrationkit/webhook/webhooktest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	webhooktest.Dedupe(t, webhooktest.Harness{New: func(testing.TB) webhook.Dedupe { return &webhook.Memory{} }})
}

func TestMemory_Expiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		webhooktest.Expiry(t, webhooktest.Harness{New: func(testing.TB) webhook.Dedupe { return &webhook.Memory{} }, Advance: time.Sleep})
	})
}

func TestMemory_Bounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		d := &webhook.Memory{Max: 100}
		for i := range 50 {
			if _, _, err := d.Claim(ctx, fmt.Sprint("open-", i), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 1000 {
			key := fmt.Sprint("done-", i)
			token, s, err := d.Claim(ctx, key, time.Hour)
			if err != nil || s != webhook.Claimed {
				t.Fatalf("%s: got %v, %v", key, s, err)
			}
			if err := d.Done(ctx, key, token, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		if held, dropped := d.Len(); held != 100 || dropped != 950 {
			t.Errorf("holds %d, dropped %d", held, dropped)
		}
		if _, s, _ := d.Claim(ctx, "done-999", time.Hour); s != webhook.Done {
			t.Errorf("the newest: got %v", s)
		}
		if _, s, _ := d.Claim(ctx, "open-0", time.Hour); s != webhook.InProgress {
			t.Errorf("a claim was forgotten: got %v", s)
		}
		for i := range 50 {
			if _, _, err := d.Claim(ctx, fmt.Sprint("more-", i), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := d.Claim(ctx, "one too many", time.Hour); !errors.Is(err, webhook.ErrFull) {
			t.Errorf("full of claims: got %v", err)
		}
		if err := d.Done(ctx, "never claimed", "t", time.Hour); !errors.Is(err, webhook.ErrFull) {
			t.Errorf("done when full of claims: got %v", err)
		}
		time.Sleep(time.Hour)
		for i := range 100 {
			if _, _, err := d.Claim(ctx, fmt.Sprint("later-", i), time.Hour); err != nil {
				t.Fatalf("after the leases: %v", err)
			}
		}
	})
}
