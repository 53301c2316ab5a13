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
	"github.com/integrationkit/integrationkit/retry"
)

func TestTokenIsObtainedOnceAndKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newIssuer()
		s := newSource(t, auth.SourceConfig{Exchanger: is})
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { wantToken(t, s, "token-1") })
		}
		wg.Wait()
		time.Sleep(40 * time.Minute)
		wantToken(t, s, "token-1")
		if n := is.count(); n != 1 {
			t.Errorf("%d token requests, want 1", n)
		}
	})
}

func TestEarlyRefreshRunsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, ev := newIssuer(), &events{}
		s := newSource(t, auth.SourceConfig{Exchanger: is, OnEvent: ev.add})
		wantToken(t, s, "token-1")
		time.Sleep(49 * time.Minute) // early is 12 minutes before the end of the hour
		start := time.Now()
		wantToken(t, s, "token-1")
		if d := time.Since(start); d != 0 {
			t.Errorf("the caller waited %v for an early refresh, want 0", d)
		}
		time.Sleep(2 * time.Second)
		wantToken(t, s, "token-2")
		if n := is.count(); n != 2 {
			t.Errorf("%d token requests, want 2", n)
		}
		if n := ev.count(auth.Refreshed); n != 2 {
			t.Errorf("%d events of a refresh, want 2", n)
		}
	})
}

func TestLateRefreshIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newIssuer()
		s := newSource(t, auth.SourceConfig{Exchanger: is})
		wantToken(t, s, "token-1")
		time.Sleep(59*time.Minute + 30*time.Second)
		start := time.Now()
		wantToken(t, s, "token-2")
		if d := time.Since(start); d != time.Second {
			t.Errorf("waited %v, want the token endpoint's second", d)
		}
	})
}

func TestFailedEarlyRefreshKeepsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, ev := newIssuer(), &events{}
		s := newSource(t, auth.SourceConfig{Exchanger: is, OnEvent: ev.add})
		wantToken(t, s, "token-1")
		is.set(func(i *issuer) { i.fail = outage })
		time.Sleep(49 * time.Minute)
		for range 600 { // calls for ten minutes
			wantToken(t, s, "token-1")
			time.Sleep(time.Second)
		}
		if n := is.count(); n < 6 || n > 20 {
			t.Errorf("%d token requests in ten minutes of outage, want a few: the pauses grow", n)
		}
		if n := ev.count(auth.RefreshFailed); n != is.count()-1 {
			t.Errorf("%d events of a failed refresh, want %d", n, is.count()-1)
		}
		time.Sleep(30*time.Second + 20*time.Second) // 10 s before the end: no longer early, still alive
		wantToken(t, s, "token-1")
		time.Sleep(10 * time.Minute)
		_, _, err := s.Token(t.Context())
		if retry.ClassOf(err) != retry.Unavailable || !retry.At(err).After(time.Now()) {
			t.Errorf("after the end: %v, want Unavailable with a time to come back", err)
		}
		is.set(func(i *issuer) { i.fail = nil })
		time.Sleep(time.Until(retry.At(err)))
		wantToken(t, s, "token-2")
	})
}

func TestRetryAfterIsKeptAcrossRestarts(t *testing.T) {
	for _, tt := range []struct{ asked, want time.Duration }{{2 * time.Hour, 2 * time.Hour}, {100 * time.Hour, 24 * time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			is, store := newIssuer(), auth.NewMemoryStore()
			is.fail = func(int) error {
				return &retry.Error{Verdict: retry.Verdict{Class: retry.RateLimit, At: time.Now().Add(tt.asked)}, Err: errors.New("429")}
			}
			start := time.Now().Add(time.Second)
			for range 5 { // restarts
				s := newSource(t, auth.SourceConfig{Exchanger: is, Store: store})
				_, _, err := s.Token(t.Context())
				if retry.ClassOf(err) != retry.Unavailable || !retry.At(err).Equal(start.Add(tt.want)) {
					t.Errorf("asked to wait %v: %v, want Unavailable at %v", tt.asked, err, start.Add(tt.want))
				}
				s.Close()
			}
			if n := is.count(); n != 1 {
				t.Errorf("%d token requests during the pause, want 1", n)
			}
		})
	}
}

func TestCallersWaitNoLongerThanTheyWant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newIssuer()
		is.slow = 10 * time.Second
		s := newSource(t, auth.SourceConfig{Exchanger: is})
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, errors.New("shift is over"))
			defer cancel()
			start := time.Now()
			_, _, err := s.Token(ctx)
			if retry.ClassOf(err) != retry.Canceled || time.Since(start) != 2*time.Second {
				t.Errorf("with 2 s: %v after %v, want Canceled after 2s", err, time.Since(start))
			}
		})
		for _, wait := range []time.Duration{0, 3 * time.Second} {
			wg.Go(func() {
				start := time.Now()
				_, _, err := s.Token(retry.WithMaxWait(t.Context(), wait))
				if retry.ClassOf(err) != retry.Unavailable || time.Since(start) != wait || !retry.At(err).After(time.Now()) {
					t.Errorf("with patience for %v: %v after %v, want Unavailable with a time to come back", wait, err, time.Since(start))
				}
			})
		}
		wg.Go(func() { wantToken(t, s, "token-1") }) // the others' ends are not the flight's
		wg.Wait()
		if _, _, err := s.Token(retry.WithMaxWait(t.Context(), 0)); err != nil {
			t.Errorf("with a token at hand and no patience: %v", err)
		}
	})
}

func TestTheFirstReadOfTheStoreIsNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, store := newIssuer(), auth.NewMemoryStore()
		wantToken(t, newSource(t, auth.SourceConfig{Exchanger: is, Store: store}), "token-1")
		s := newSource(t, auth.SourceConfig{Exchanger: is, Store: store})
		tok, g, err := s.Token(retry.WithMaxWait(t.Context(), 0))
		if err != nil || tok.Access != "token-1" || g != 1 {
			t.Errorf("from the store, without patience: generation %d, %v, want 1", g, err)
		}
	})
}

func TestExpiryUnknownIsUsedUntilRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newIssuer()
		is.lifetime = 0
		s := newSource(t, auth.SourceConfig{Exchanger: is})
		wantToken(t, s, "token-1")
		time.Sleep(1000 * time.Hour)
		wantToken(t, s, "token-1")
		s.Refused(t.Context(), 1)
		wantToken(t, s, "token-2")
		s.Refused(t.Context(), 1) // late: that generation is gone
		wantToken(t, s, "token-2")
		if n := is.count(); n != 2 {
			t.Errorf("%d token requests, want 2", n)
		}
	})
}

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, store := newIssuer(), auth.NewMemoryStore()
		is.lifetime = time.Minute
		c := auth.SourceConfig{Exchanger: is, Store: store, Budget: auth.Budget{Requests: 5, Per: 24 * time.Hour}}
		for i := range 5 {
			s := newSource(t, c) // a crash loop
			wantToken(t, s, fmt.Sprint("token-", i+1))
			s.Close()
			time.Sleep(2 * time.Minute)
		}
		s := newSource(t, c)
		_, _, err := s.Token(t.Context())
		first := is.requests[0].Add(time.Second) // when it was answered
		if retry.ClassOf(err) != retry.Unavailable || !retry.At(err).Equal(first.Add(24*time.Hour)) {
			t.Errorf("with the budget spent: %v, want Unavailable at %v", err, first.Add(24*time.Hour))
		}
		if st, err := s.State(t.Context()); err != nil || st.Spent != 5 {
			t.Errorf("State: %d spent, %v, want 5", st.Spent, err)
		}
		time.Sleep(time.Until(retry.At(err)))
		wantToken(t, s, "token-6")
	})
}

func TestRequestsThatWereNeverSentAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, store := newIssuer(), auth.NewMemoryStore()
		is.fail = func(int) error {
			return &retry.Error{Verdict: retry.Verdict{Class: retry.Transient, Sent: retry.Never}, Err: errors.New("no route")}
		}
		s := newSource(t, auth.SourceConfig{Exchanger: is, Store: store, Budget: auth.Budget{Requests: 2, Per: time.Hour}})
		for range 5 {
			_, _, err := s.Token(t.Context())
			if retry.ClassOf(err) != retry.Unavailable {
				t.Fatalf("Token: %v, want Unavailable", err)
			}
			time.Sleep(time.Until(retry.At(err)))
		}
		if n := is.count(); n != 5 {
			t.Errorf("%d tries, want 5: none of them reached the partner", n)
		}
		is.set(func(i *issuer) { i.fail = nil })
		wantToken(t, s, "token-1")
	})
}
