// Package webhooktest tells whether a store keeps to what package webhook wants of it: [Dedupe], [Failures],
// [Registrations]. A store's own test calls them.
package webhooktest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// Harness is a store to be tested.
type Harness struct {
	// New returns an empty store. Two calls in one test return stores that share nothing.
	New func(t testing.TB) webhook.Dedupe
	// Advance lets time pass for the store: time.Sleep in a bubble of testing/synctest, a fast-forward of a simulated
	// server. Nil: what needs it is skipped, by name.
	Advance func(d time.Duration)
}

const (
	lease = time.Minute
	keep  = time.Hour
)

// parts are the tests, by name.
var parts = []struct {
	name string
	run  func(testing.TB, Harness)
}{
	{"Lifecycle", lifecycle},
	{"Fencing", fencing},
	{"Concurrent", concurrent},
	{"Keys", keys},
	{"Expiry", Expiry},
}

// Dedupe runs the conformance tests of a [webhook.Dedupe].
func Dedupe(t *testing.T, h Harness) {
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.run(t, h) })
	}
}

func claim(t testing.TB, d webhook.Dedupe, key string, want webhook.State) string {
	t.Helper()
	token, state, err := d.Claim(t.Context(), key, lease)
	if err != nil {
		t.Fatalf("claim %q: %v", key, err)
	}
	if state != want {
		t.Fatalf("claim %q: got %v, want %v", key, state, want)
	}
	if (token != "") != (state == webhook.Claimed) {
		t.Errorf("claim %q: got token %q with %v", key, token, state)
	}
	return token
}

func lifecycle(t testing.TB, h Harness) {
	d := h.New(t)
	token := claim(t, d, "a", webhook.Claimed)
	claim(t, d, "a", webhook.InProgress)
	if err := d.Release(t.Context(), "a", token); err != nil {
		t.Errorf("release: %v", err)
	}
	again := claim(t, d, "a", webhook.Claimed)
	if again == token {
		t.Errorf("two claims have the token %q", token)
	}
	if err := d.Done(t.Context(), "a", again, keep); err != nil {
		t.Errorf("done: %v", err)
	}
	claim(t, d, "a", webhook.Done)
	claim(t, d, "a", webhook.Done)
}

func fencing(t testing.TB, h Harness) {
	d := h.New(t)
	first := claim(t, d, "a", webhook.Claimed)
	if err := d.Release(t.Context(), "a", first); err != nil {
		t.Fatal(err)
	}
	if err := d.Release(t.Context(), "a", first); !errors.Is(err, webhook.ErrClaimLost) {
		t.Errorf("release twice: got %v", err)
	}
	second := claim(t, d, "a", webhook.Claimed)
	if err := d.Done(t.Context(), "a", first, keep); !errors.Is(err, webhook.ErrClaimLost) {
		t.Errorf("done by who has released it: got %v", err)
	}
	if err := d.Release(t.Context(), "a", first); !errors.Is(err, webhook.ErrClaimLost) {
		t.Errorf("another's claim released: got %v", err)
	}
	claim(t, d, "a", webhook.InProgress)
	if err := d.Done(t.Context(), "a", second, keep); err != nil {
		t.Errorf("done: %v", err)
	}
	for _, token := range []string{first, second, ""} {
		if err := d.Release(t.Context(), "a", token); !errors.Is(err, webhook.ErrClaimLost) {
			t.Errorf("what is done released with token %q: got %v", token, err)
		}
	}
	claim(t, d, "a", webhook.Done)
	if err := d.Done(t.Context(), "b", "nobody's", keep); err != nil {
		t.Errorf("done without a claim: %v", err)
	}
	claim(t, d, "b", webhook.Done)
}

func concurrent(t testing.TB, h Harness) {
	d := h.New(t)
	const rounds, racers = 20, 8
	for round := range rounds {
		key := fmt.Sprint("key-", round)
		var wg sync.WaitGroup
		won := make(chan string, racers)
		for range racers {
			wg.Go(func() {
				token, state, err := d.Claim(t.Context(), key, lease)
				switch {
				case err != nil:
					t.Errorf("claim: %v", err)
				case state == webhook.Claimed:
					won <- token
				case state != webhook.InProgress:
					t.Errorf("claim: got %v before anything is done", state)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d of %d got the claim", len(won), racers)
		}
		if err := d.Done(t.Context(), key, <-won, keep); err != nil {
			t.Errorf("done: %v", err)
		}
	}
}

// keys that differ are not mixed up, whatever they hold.
func keys(t testing.TB, h Harness) {
	d := h.New(t)
	list := []string{
		"guesty/hotel-1/msg_1", "guesty/hotel-1/MSG_1", "guesty/hotel-1/msg_1 ", "guesty/hotel-1/%2F", "*", "%", "é",
	}
	for _, key := range list {
		token := claim(t, d, key, webhook.Claimed)
		if err := d.Done(t.Context(), key, token, keep); err != nil {
			t.Errorf("done %q: %v", key, err)
		}
	}
	for _, key := range list {
		claim(t, d, key, webhook.Done)
	}
}

// Expiry is the part of [Dedupe] that needs Advance. It starts no subtests, so that it can run in a bubble of
// testing/synctest.
func Expiry(t testing.TB, h Harness) {
	t.Helper()
	if h.Advance == nil {
		t.Skip("the harness has no Advance: ends of leases, and of what is remembered")
	}
	d := h.New(t)
	dead := claim(t, d, "a", webhook.Claimed)
	h.Advance(lease - time.Second)
	claim(t, d, "a", webhook.InProgress)
	h.Advance(2 * time.Second)
	heir := claim(t, d, "a", webhook.Claimed)
	if err := d.Release(t.Context(), "a", dead); !errors.Is(err, webhook.ErrClaimLost) {
		t.Errorf("released after its end: got %v", err)
	}
	if err := d.Done(t.Context(), "a", dead, keep); !errors.Is(err, webhook.ErrClaimLost) {
		t.Errorf("done after another has it: got %v", err)
	}
	if err := d.Done(t.Context(), "a", heir, keep); err != nil {
		t.Errorf("done: %v", err)
	}
	h.Advance(keep - time.Second)
	claim(t, d, "a", webhook.Done)
	h.Advance(2 * time.Second)
	claim(t, d, "a", webhook.Claimed)

	// Late, but nobody else has claimed it: it was kept, and that is what counts.
	late := claim(t, d, "b", webhook.Claimed)
	h.Advance(lease + time.Second)
	if err := d.Done(t.Context(), "b", late, keep); err != nil {
		t.Errorf("done after the lease: %v", err)
	}
	claim(t, d, "b", webhook.Done)
}
