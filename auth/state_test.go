package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

// state returns the source's state.
func state(t testing.TB, s *auth.Source) auth.State {
	t.Helper()
	st, err := s.State(t.Context())
	if err != nil {
		t.Fatalf("State: %v", err)
	}
	return st
}

func TestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, store := newIssuer(), auth.NewMemoryStore()
		s := newSource(t, auth.SourceConfig{Exchanger: is, Store: store, Budget: auth.Budget{Requests: 3, Per: 24 * time.Hour}})
		if st := state(t, s); st != (auth.State{NextRefresh: time.Now()}) {
			t.Errorf("before the first token: %+v", st)
		}
		go func() { _, _, _ = s.Token(t.Context()) }()
		synctest.Wait()
		if st := state(t, s); !st.Refreshing {
			t.Errorf("while the token is fetched: %+v", st)
		}
		wantToken(t, s, "token-1")
		obtained := time.Now().UTC()
		want := auth.State{
			Generation: 1, Obtained: obtained.Add(-time.Second), Expiry: obtained.Add(time.Hour),
			// A fifth of the lifetime, which is counted from when it was asked for.
			NextRefresh: obtained.Add(time.Hour - 3601*time.Second/5), Spent: 1,
		}
		if st := state(t, s); st != want {
			t.Errorf("with a token: %+v, want %+v", st, want)
		}

		// Another process, that fails: this one's state says so.
		is.set(func(i *issuer) {
			i.fail = func(int) error {
				return &retry.Error{Verdict: retry.Verdict{Class: retry.Transient, Sent: retry.Answered}, Err: fmt.Errorf("down: %s", strings.Repeat("☂", 400))}
			}
		})
		other := newSource(t, auth.SourceConfig{Exchanger: is, Store: store, Budget: auth.Budget{Requests: 3, Per: 24 * time.Hour}})
		time.Sleep(2 * time.Hour)
		if _, _, err := other.Token(t.Context()); err == nil {
			t.Fatal("a token from an endpoint that is down")
		}
		st := state(t, s)
		if !st.CoolingDown.After(time.Now()) || st.NextRefresh != st.CoolingDown || st.Spent != 2 || st.Generation != 1 ||
			!strings.Contains(st.Failure, "down: ☂") || len(st.Failure) > 510 || strings.Contains(st.Failure, "\ufffd") {
			t.Errorf("cooling down: %+v", st)
		}
		time.Sleep(time.Until(st.CoolingDown))
		if _, _, err := s.Token(t.Context()); err == nil {
			t.Fatal("a token from an endpoint that is down")
		}
		if st := state(t, s); st.Spent != 3 || st.NextRefresh.Before(obtained.Add(24*time.Hour-time.Second)) {
			t.Errorf("with the budget spent: %+v, want the next refresh when the first request has left the window", st)
		}

		is.set(func(i *issuer) { i.fail = func(int) error { return fmt.Errorf("%w: invalid_grant", auth.ErrGrant) } })
		time.Sleep(48 * time.Hour)
		if _, _, err := s.Token(t.Context()); err == nil {
			t.Fatal("a token for a dead grant")
		}
		st = state(t, other)
		if !strings.Contains(st.NeedsReauth, "invalid_grant") || !st.NextRefresh.IsZero() || !st.CoolingDown.IsZero() || st.Failure != st.NeedsReauth {
			t.Errorf("with a dead grant: %+v", st)
		}
		if err := s.Replace(t.Context(), auth.Token{Access: "new"}); err != nil {
			t.Fatal(err)
		}
		if st := state(t, other); st != (auth.State{Generation: 2, Obtained: time.Now().UTC(), Spent: 1}) {
			t.Errorf("after a human came: %+v", st)
		}
	})
}

// What needs a human with one client's secret does not with another's, which was not tried yet.
func TestStateIsOfTheseCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, store := &endpoint{status: 401, body: `{"error":"invalid_client"}`}, auth.NewMemoryStore()
		s := newSource(t, auth.SourceConfig{Exchanger: credentials(e), Store: store})
		if _, _, err := s.Token(t.Context()); err == nil {
			t.Fatal("a token for a wrong secret")
		}
		c := credentials(e)
		c.ClientSecret = "another"
		other := newSource(t, auth.SourceConfig{Exchanger: c, Store: store})
		if st := state(t, s); st.NeedsReauth == "" || !st.NextRefresh.IsZero() {
			t.Errorf("with the wrong secret: %+v", st)
		}
		if st := state(t, other); st.NeedsReauth != "" || st.NextRefresh != time.Now() || st.Failure == "" {
			t.Errorf("with another: %+v, want nothing for a human to do", st)
		}
	})
}

func TestStateHoldsNoSecretAndFailsWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, auth.SourceConfig{Exchanger: newIssuer(), RefreshLifetime: time.Hour})
		if err := s.Replace(t.Context(), auth.Token{Access: "canary-a", Refresh: "canary-r", Scope: "x"}); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(state(t, s))
		if err != nil || strings.Contains(fmt.Sprintf("%+v %#v %s", state(t, s), state(t, s), b), "canary") {
			t.Errorf("the state tells too much: %s, %v", b, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.State(ended); err == nil {
			t.Error("a state from a store that does not answer")
		}
	})
}

func TestEventKinds(t *testing.T) {
	for k, want := range map[auth.EventKind]string{auth.Refreshed: "refreshed", auth.RefreshFailed: "refresh_failed", auth.NeedsReauth: "needs_reauth", 0: "unknown"} {
		if got := k.String(); got != want {
			t.Errorf("%d is %s, want %s", k, got, want)
		}
	}
}
