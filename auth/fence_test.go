package auth_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
)

// stubborn is an Exchanger that takes its time whatever its context says, so that its lock runs out.
type stubborn struct {
	takes time.Duration
	token auth.Token
	err   error
}

func (s stubborn) Exchange(context.Context, auth.Token) (auth.Token, error) {
	time.Sleep(s.takes)
	return s.token, s.err
}

func TestPromise4_LateAnswerDoesNotReplaceANewerToken(t *testing.T) {
	for name, late := range map[string]stubborn{
		"a token":      {takes: 3 * time.Minute, token: auth.Token{Access: "late"}},
		"a dead grant": {takes: 3 * time.Minute, err: fmt.Errorf("%w: invalid_grant", auth.ErrGrant)},
		"an outage":    {takes: 3 * time.Minute, err: outage(1)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, ev, is := auth.NewMemoryStore(), &events{}, newIssuer()
				slow := newSource(t, auth.SourceConfig{Exchanger: late, Store: store, OnEvent: ev.add})
				quick := newSource(t, auth.SourceConfig{Exchanger: is, Store: store, OnEvent: ev.add})
				var wg sync.WaitGroup
				wg.Go(func() { wantToken(t, slow, "token-1") }) // comes back to find a newer one
				time.Sleep(time.Minute)                         // its lock has run out
				wg.Go(func() { wantToken(t, quick, "token-1") })
				wg.Wait()
				if r, err := store.LoadToken(t.Context(), "acme/one"); err != nil || r.Token.Access != "token-1" || r.Generation != 1 || r.NeedsReauth != "" {
					t.Errorf("the store holds generation %d, %q, %v, want the newer token untouched", r.Generation, r.NeedsReauth, err)
				}
				if n := ev.count(auth.NeedsReauth); n != 0 || is.count() != 1 {
					t.Errorf("%d reports and %d requests, want 0 and 1", n, is.count())
				}
			})
		})
	}
}

func TestPromise4_TwoWhoFindAGrantDeadReportItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, ev := auth.NewMemoryStore(), &events{}
		var wg sync.WaitGroup
		for range 3 { // each takes the lock that the one before let run out
			s := newSource(t, auth.SourceConfig{
				Exchanger: stubborn{takes: 5 * time.Minute, err: fmt.Errorf("%w: invalid_grant", auth.ErrGrant)}, Store: store, OnEvent: ev.add,
			})
			wg.Go(func() {
				if _, _, err := s.Token(t.Context()); !errors.Is(err, auth.ErrNeedsReauth) {
					t.Errorf("Token: %v, want ErrNeedsReauth", err)
				}
			})
			time.Sleep(time.Minute)
		}
		wg.Wait()
		synctest.Wait()
		if n := ev.count(auth.NeedsReauth); n != 1 {
			t.Errorf("%d reports, want 1", n)
		}
	})
}

func TestALateRefusalDoesNotCostAFreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newIssuer()
		s := newSource(t, auth.SourceConfig{Exchanger: is})
		wantToken(t, s, "token-1")
		time.Sleep(2 * time.Hour)
		wantToken(t, s, "token-2")
		for range 10 {
			s.Refused(t.Context(), 1)
			wantToken(t, s, "token-2")
		}
		s.Refused(t.Context(), 2)
		wantToken(t, s, "token-3")
		if n := is.count(); n != 3 {
			t.Errorf("%d token requests, want 3", n)
		}
	})
}

func TestAnOutageDoesNotBurnTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, store := newIssuer(), auth.NewMemoryStore()
		is.fail = outage
		for range 30 * 60 { // a crash loop that asks every second for half an hour
			s := newSource(t, auth.SourceConfig{Exchanger: is, Store: store, Budget: auth.Budget{Requests: 5, Per: 24 * time.Hour}})
			if _, _, err := s.Token(t.Context()); err == nil {
				t.Fatal("a token in an outage")
			}
			s.Close()
			time.Sleep(time.Second)
		}
		if n := is.count(); n < 3 || n > 4 {
			t.Errorf("%d of 5 token requests were spent in half an hour of outage, want 3 or 4", n)
		}
	})
}
