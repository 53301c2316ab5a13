package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/webhook"
	"github.com/integrationkit/integrationkit/webhook/webhooktest"
)

func TestDeliveries(t *testing.T) {
	webhooktest.Dedupe(t, webhooktest.Harness{New: func(t testing.TB) webhook.Dedupe { return fresh(t).Deliveries() }})
}

func TestDeliveries_Expiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		webhooktest.Expiry(t, webhooktest.Harness{
			New: func(t testing.TB) webhook.Dedupe { return fresh(t).Deliveries() }, Advance: time.Sleep,
		})
	})
}

func TestFailedWebhooks(t *testing.T) {
	webhooktest.Failures(t, func(t testing.TB) webhook.Failures { return fresh(t).FailedWebhooks() })
}

func TestRegistrations(t *testing.T) {
	webhooktest.Registrations(t, func(t testing.TB) webhook.Registrations { return fresh(t).Registrations() })
}

func TestLedger(t *testing.T) {
	importertest.Ledger(t, func(t *testing.T) importer.Ledger { return fresh(t).Ledger() })
}

// What is forgotten makes room: a store does not grow with the deliveries that it once had.
func TestDeliveries_Bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "kit.db")
		d := open(t, path, keys(t, "k1")).Deliveries()
		for i := range 300 {
			key := fmt.Sprint("k", i)
			token, _, err := d.Claim(t.Context(), key, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if i%3 > 0 { // some are killed
				if err := d.Done(t.Context(), key, token, time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Minute)
		}
		if n := rowCount(t, path, "ik_deliveries"); n > 65 {
			t.Errorf("%d deliveries are remembered, of the last hour", n)
		}
	})
}

func TestPrune_Webhooks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	s := open(t, path, keys(t, "k1"))
	ctx := t.Context()
	old, young := time.Now().Add(-time.Hour), time.Now()
	for i, at := range []time.Time{old, young} {
		key := fmt.Sprint("k", i)
		if err := s.Deliveries().Done(ctx, key, "", time.Until(at)); err != nil {
			t.Fatal(err)
		}
		if err := s.FailedWebhooks().Keep(ctx, webhook.Event{Key: key}, "", at); err != nil {
			t.Fatal(err)
		}
		if err := s.Ledger().Hear(ctx, resources, key, at); err != nil {
			t.Fatal(err)
		}
		if err := s.Ledger().Find(ctx, []importer.Found{{Collection: resources, ID: key, Version: 1, Since: at, At: at}}); err != nil {
			t.Fatal(err)
		}
	}
	n, err := s.Prune(ctx, time.Now().Add(-time.Minute))
	if err != nil || n != 4 {
		t.Errorf("got %d, %v", n, err)
	}
	for _, table := range []string{"ik_deliveries", "ik_failed_webhooks", "ik_heard", "ik_found"} {
		if n := rowCount(t, path, table); n != 1 {
			t.Errorf("%s: %d rows are left", table, n)
		}
	}
}

// What is noted within an update is there if the update is, and only then.
func TestLedger_WithinUpdate(t *testing.T) {
	s := fresh(t)
	found := []importer.Found{{Collection: resources, ID: "r", Version: 1, Since: noon, At: noon}}
	undone := errors.New("undone")
	for _, want := range []error{undone, nil} {
		err := s.Update(t.Context(), func(ctx context.Context, _ importer.Tx) error {
			if err := s.Ledger().Find(ctx, found); err != nil {
				return err
			}
			return want
		})
		if !errors.Is(err, want) {
			t.Fatalf("got %v", err)
		}
		tally, err := s.Ledger().Tally(t.Context(), importer.TallyQuery{})
		if err != nil || (len(tally) == 1) != (want == nil) {
			t.Errorf("after %v: got %+v, %v", want, tally, err)
		}
	}
	// The other methods wait for the writer, so they do not.
	err := s.Update(t.Context(), func(ctx context.Context, _ importer.Tx) error {
		_, _, err := s.Deliveries().Claim(ctx, "k", time.Minute)
		return err
	})
	if !errors.Is(err, sqlstore.ErrNested) {
		t.Errorf("got %v", err)
	}
	out := importer.Found{Collection: resources, ID: "r", Version: 1, Since: noon.AddDate(-4000, 0, 0), At: noon}
	if err := s.Ledger().Find(t.Context(), []importer.Found{out}); err == nil {
		t.Error("a time that cannot be stored is stored")
	}
	if err := s.Ledger().Hear(t.Context(), resources, "r", noon.AddDate(4000, 0, 0)); err == nil {
		t.Error("a time that cannot be stored is stored")
	}
	if _, err := s.Ledger().Tally(t.Context(), importer.TallyQuery{From: noon.AddDate(4000, 0, 0)}); err == nil {
		t.Error("counted from a time that cannot be")
	}
}

func TestPromise8_WebhooksAreSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	s := open(t, path, keys(t, "old"))
	ctx := t.Context()
	const canary = "canary-8d1f"
	e := webhook.Event{Key: "guesty/h/1", Integration: "h", Body: []byte(`{"guest":"` + canary + `"}`), ReceivedAt: noon}
	if err := s.FailedWebhooks().Keep(ctx, e, "no such listing", noon); err != nil {
		t.Fatal(err)
	}
	reg := webhook.Registration{Key: "h", Generations: []webhook.Generation{{ID: "g1", URL: "https://h.example/" + canary, Secret: canary}}}
	if _, err := s.Registrations().Save(ctx, reg); err != nil {
		t.Fatal(err)
	}
	if raw := files(t, path); strings.Contains(string(raw), canary) {
		t.Error("the file holds what should be sealed")
	}
	// With other keys they are still there, and the old key is not needed any more.
	if err := open(t, path, keys(t, "new", "old")).Reseal(ctx); err != nil {
		t.Fatal(err)
	}
	renewed := open(t, path, keys(t, "new"))
	if got, err := renewed.Registrations().Load(ctx, "h"); err != nil || len(got.Generations) != 1 || got.Generations[0].Secret != canary {
		t.Errorf("got %v, %v", got, err)
	}
	for f, err := range renewed.FailedWebhooks().List(ctx, "", time.Time{}, time.Time{}) {
		if err != nil || !slices.Equal(f.Event.Body, e.Body) {
			t.Errorf("got %v, %v", f, err)
		}
	}
}

// Without keys nothing that is secret is taken.
func TestWebhooks_NoKeys(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "kit.db"), nil)
	ctx := t.Context()
	var listed error
	for _, err := range s.FailedWebhooks().List(ctx, "", time.Time{}, time.Time{}) {
		listed = err
	}
	_, loaded := s.Registrations().Load(ctx, "h")
	_, saved := s.Registrations().Save(ctx, webhook.Registration{Key: "h"})
	for what, err := range map[string]error{
		"keep": s.FailedWebhooks().Keep(ctx, webhook.Event{Key: "k"}, "", noon), "list": listed, "load": loaded, "save": saved,
	} {
		if !errors.Is(err, sqlstore.ErrNoKeys) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if _, state, err := s.Deliveries().Claim(ctx, "k", time.Minute); err != nil || state != webhook.Claimed {
		t.Errorf("a delivery is no secret: got %v, %v", state, err)
	}
	if err := s.Ledger().Hear(ctx, importer.Collection{Integration: "h", Kind: driver.KindMedia}, "m", noon); err != nil {
		t.Errorf("nor is what a webhook was about: %v", err)
	}
}
