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

const day = 24 * time.Hour

// grantee is a partner whose refresh tokens rotate and die when they are not used for 30 days.
type grantee struct {
	*issuer
	used time.Time
}

func (g *grantee) Exchange(ctx context.Context, old auth.Token) (auth.Token, error) {
	g.mu.Lock()
	idle := time.Since(g.used)
	g.mu.Unlock()
	if idle > 30*day {
		return auth.Token{}, fmt.Errorf("%w: invalid_grant: unused for %v", auth.ErrGrant, idle)
	}
	t, err := g.issuer.Exchange(ctx, old)
	if err == nil {
		g.mu.Lock()
		g.used = time.Now()
		g.mu.Unlock()
	}
	return t, err
}

func newGrantee() *grantee {
	g := &grantee{issuer: newIssuer(), used: time.Now()}
	g.rotating = true
	return g
}

func keptAlive(t testing.TB, g *grantee, store auth.Store, evs *events) *auth.Source {
	return newSource(t, auth.SourceConfig{Exchanger: g, Store: store, RefreshLifetime: 30 * day, OnEvent: evs.add})
}

// A year in which no call is made: swept daily by two processes, the refresh token is used about every 15 to 20 days,
// once each time, and lives.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, store, evs := newGrantee(), auth.NewMemoryStore(), &events{}
		a, b := keptAlive(t, g, store, evs), keptAlive(t, g, store, evs)
		if err := a.Replace(t.Context(), auth.Token{Refresh: "human"}); err != nil {
			t.Fatal(err)
		}
		if err := a.KeepAlive(t.Context()); err != nil || g.count() != 0 {
			t.Fatalf("on the first day: %v after %d refreshes, want none", err, g.count())
		}
		for range 365 {
			time.Sleep(day)
			if st := state(t, a); !st.RefreshDies.After(time.Now()) || st.KeepAlive.Before(time.Now().Add(-day)) {
				t.Errorf("due at %v, dies at %v", st.KeepAlive, st.RefreshDies)
			}
			var wg sync.WaitGroup
			for _, s := range []*auth.Source{a, b, a} {
				wg.Go(func() {
					if err := s.KeepAlive(t.Context()); err != nil {
						t.Errorf("KeepAlive: %v", err)
					}
				})
			}
			wg.Wait()
		}
		if n := g.count(); n < 365/20-1 || n > 365/15 {
			t.Errorf("%d refreshes in a year, want one each 15 to 20 days", n)
		}
		synctest.Wait() // events are told after the answer
		if evs.count(auth.Refreshed) != g.count() || !evs.all[0].KeepAlive {
			t.Errorf("%d events for %d refreshes: %+v", evs.count(auth.Refreshed), g.count(), evs.all[0])
		}
		seen := map[time.Duration]bool{}
		for i := 1; i < len(g.requests); i++ {
			seen[g.requests[i].Sub(g.requests[i-1]).Round(day)] = true
		}
		if len(seen) < 3 {
			t.Errorf("refreshes are apart by %v: not spread", seen)
		}
		time.Sleep(2 * time.Hour)
		wantToken(t, b, fmt.Sprint("token-", g.count()+1)) // the grant is alive: the last access token only has expired
	})
}

// Nothing is done where nothing dies, or nothing is left to keep alive.
func TestKeepAliveHasNothingToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, evs := newGrantee(), &events{}
		for name, s := range map[string]*auth.Source{
			"for ever":         newSource(t, auth.SourceConfig{Exchanger: g, OnEvent: evs.add}),
			"no refresh token": keptAlive(t, g, auth.NewMemoryStore(), evs),
		} {
			refresh := auth.Secret("")
			if name == "for ever" {
				refresh = "r"
			}
			if err := s.Replace(t.Context(), auth.Token{Access: "a", Refresh: refresh}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * day)
			if err := s.KeepAlive(t.Context()); err != nil || g.count() != 0 {
				t.Errorf("%s: %v after %d refreshes", name, err, g.count())
			}
			if st := state(t, s); !st.KeepAlive.IsZero() || !st.RefreshDies.IsZero() {
				t.Errorf("%s: %+v", name, st)
			}
		}
	})
}

// A token endpoint that is down when the refresh is due harms no call, and is tried again by a later sweep.
func TestKeepAliveFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, evs := newGrantee(), &events{}
		s := keptAlive(t, g, auth.NewMemoryStore(), evs)
		if err := s.Replace(t.Context(), auth.Token{Access: "long-lived", Refresh: "human"}); err != nil {
			t.Fatal(err)
		}
		st := state(t, s)
		if st.RefreshDies.Sub(st.Obtained) != 30*day || st.KeepAlive.Sub(st.Obtained) < 15*day || st.KeepAlive.Sub(st.Obtained) > 20*day {
			t.Errorf("state %+v", st)
		}
		g.set(func(i *issuer) { i.fail = outage })
		time.Sleep(20 * day)
		if err := s.KeepAlive(t.Context()); err == nil || g.count() != 1 {
			t.Fatalf("%v after %d requests, want the outage after 1", err, g.count())
		}
		if err := s.KeepAlive(t.Context()); err == nil || g.count() != 1 {
			t.Errorf("during the pause: %v after %d requests, want an error after 1", err, g.count())
		}
		wantToken(t, s, "long-lived")
		synctest.Wait() // events are told after the answer
		if evs.count(auth.RefreshFailed) != 1 || !evs.all[0].KeepAlive {
			t.Errorf("events %+v", evs.all)
		}
		g.set(func(i *issuer) { i.fail = nil })
		time.Sleep(day)
		if err := s.KeepAlive(t.Context()); err != nil || g.count() != 2 {
			t.Errorf("the day after: %v after %d requests", err, g.count())
		}
		wantToken(t, s, "token-1")

		time.Sleep(31 * day) // nobody swept
		for range 2 {
			if err := s.KeepAlive(t.Context()); !errors.Is(err, auth.ErrNeedsReauth) {
				t.Errorf("a month later: %v, want ErrNeedsReauth", err)
			}
		}
		synctest.Wait() // events are told after the answer
		if g.count() != 2 || evs.count(auth.NeedsReauth) != 1 {
			t.Errorf("%d requests, %d reports, want 1 report", g.count(), evs.count(auth.NeedsReauth))
		}
	})
}

// A sweep waits no longer than its context; one that meets a call's refresh looks again afterwards.
func TestKeepAliveAndOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, evs := newGrantee(), &events{}
		s := keptAlive(t, g, auth.NewMemoryStore(), evs)
		if err := s.Replace(t.Context(), auth.Token{Refresh: "human"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * day)
		go func() { _, _, _ = s.Token(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := s.KeepAlive(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with little time: %v", err)
		}
		if err := s.KeepAlive(t.Context()); err != nil || g.count() != 1 {
			t.Errorf("beside a call: %v after %d refreshes, want 1", err, g.count())
		}
		ended, stop := context.WithCancel(t.Context())
		stop()
		if err := s.KeepAlive(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v", err)
		}
		time.Sleep(20 * day)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.KeepAlive(t.Context()); err == nil || g.count() != 1 {
			t.Errorf("after Close: %v", err)
		}
	})
	_, err := auth.NewSource(auth.SourceConfig{Key: "k", Exchanger: newIssuer(), Origins: apiOrigins, RefreshLifetime: -1})
	if err == nil {
		t.Error("a negative RefreshLifetime was accepted")
	}
}
