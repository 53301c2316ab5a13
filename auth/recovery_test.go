package auth_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

func TestOtherCredentialsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, ev := auth.NewMemoryStore(), &events{}
		bad := &endpoint{status: 401, body: `{"error":"invalid_client"}`}
		start := func(e *endpoint, secret auth.Secret) *auth.Source {
			c := credentials(e)
			c.ClientSecret = secret
			return newSource(t, auth.SourceConfig{Exchanger: c, Store: store, OnEvent: ev.add})
		}
		needsReauth := func(s *auth.Source) {
			t.Helper()
			if _, _, err := s.Token(t.Context()); !errors.Is(err, auth.ErrNeedsReauth) {
				t.Errorf("Token: %v, want ErrNeedsReauth", err)
			}
		}
		first := start(bad, "old")
		for range 5 {
			needsReauth(first)
			needsReauth(start(bad, "old")) // a crash loop
			time.Sleep(time.Hour)
		}
		if bad.requests != 1 {
			t.Errorf("%d token requests with refused credentials, want 1", bad.requests)
		}
		second := start(bad, "also wrong")
		for range 5 { // two versions of the credentials in use at once do not take turns
			needsReauth(second)
			needsReauth(first)
			time.Sleep(time.Hour)
		}
		synctest.Wait()
		if n := ev.count(auth.NeedsReauth); bad.requests != 2 || n != 2 {
			t.Errorf("%d token requests and %d reports for two sets of credentials, want 2 each", bad.requests, n)
		}
		fine := &endpoint{body: `{"access_token":"tok","expires_in":3600}`}
		wantToken(t, start(fine, "right"), "tok")
		wantToken(t, first, "tok") // the record was replaced
		if st, err := first.State(t.Context()); err != nil || st.NeedsReauth != "" || fine.requests != 1 {
			t.Errorf("State: %+v, %v after %d requests", st, err, fine.requests)
		}
	})
}

func TestTimesOfAClockThatWasWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, store := newIssuer(), auth.NewMemoryStore()
		year := time.Now().Add(365 * 24 * time.Hour)
		if _, err := store.SaveToken(t.Context(), "acme/one", auth.Record{CoolDown: year, Requests: []time.Time{year}}); err != nil {
			t.Fatal(err)
		}
		s := newSource(t, auth.SourceConfig{Exchanger: is, Store: store, Budget: auth.Budget{Requests: 1, Per: time.Hour}})
		start := time.Now()
		for {
			_, _, err := s.Token(t.Context())
			if err == nil {
				break
			}
			if retry.ClassOf(err) != retry.Unavailable || time.Since(start) > 25*time.Hour {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			time.Sleep(time.Until(retry.At(err)))
		}
		if d := time.Since(start); d < 24*time.Hour || d > 25*time.Hour {
			t.Errorf("a token after %v, want after the longest pause there is, 24h", d)
		}
	})
}

// TestALockThatIsNotToBeHad: whoever holds it may have done the work all the same.
func TestALockThatIsNotToBeHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, store := newIssuer(), auth.NewMemoryStore()
		if _, err := store.LockToken(t.Context(), "acme/one", time.Hour); err != nil {
			t.Fatal(err)
		}
		s := newSource(t, auth.SourceConfig{Exchanger: is, Store: store})
		_, _, err := s.Token(t.Context())
		if retry.ClassOf(err) != retry.Unavailable || !strings.Contains(err.Error(), "lock") {
			t.Errorf("Token: %v, want Unavailable for the lock", err)
		}
		time.Sleep(time.Minute)
		var wg sync.WaitGroup
		wg.Go(func() { wantToken(t, s, "theirs") })
		time.Sleep(30 * time.Second)
		r := auth.Record{Token: auth.Token{Access: "theirs", Expiry: time.Now().Add(time.Hour)}, Generation: 1}
		if _, err := store.SaveToken(t.Context(), "acme/one", r); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if n := is.count(); n != 0 {
			t.Errorf("%d token requests without the lock, want none", n)
		}
	})
}

// broken is a store of which one operation fails.
type broken struct {
	auth.Store
	load, save, lock error
}

func (b *broken) LoadToken(ctx context.Context, key string) (auth.Record, error) {
	if b.load != nil {
		return auth.Record{}, b.load
	}
	return b.Store.LoadToken(ctx, key)
}

func (b *broken) SaveToken(ctx context.Context, key string, r auth.Record) (uint64, error) {
	if b.save != nil {
		return 0, b.save
	}
	return b.Store.SaveToken(ctx, key, r)
}

func (b *broken) LockToken(ctx context.Context, key string, ttl time.Duration) (func(), error) {
	if b.lock != nil {
		return nil, b.lock
	}
	return b.Store.LockToken(ctx, key, ttl)
}

func TestAStoreThatFailsCostsNoTokenRequest(t *testing.T) {
	for name, b := range map[string]*broken{
		"load": {load: errDisk}, "save": {save: errDisk}, "lock": {lock: errDisk}, "always in conflict": {save: auth.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is := newIssuer()
				b.Store = auth.NewMemoryStore()
				s := newSource(t, auth.SourceConfig{Exchanger: is, Store: b})
				want := errors.Join(b.load, b.save, b.lock)
				for range 10 {
					_, _, err := s.Token(t.Context())
					if retry.ClassOf(err) != retry.Unavailable || !strings.Contains(err.Error(), want.Error()) {
						t.Fatalf("Token: %v, want Unavailable for %v", err, want)
					}
					time.Sleep(time.Until(retry.At(err)))
				}
				if is.count() != 0 {
					t.Errorf("%d token requests that could not be counted, want none", is.count())
				}
				if b.load != nil {
					if _, err := s.State(t.Context()); !errors.Is(err, errDisk) {
						t.Errorf("State: %v, want the store's error", err)
					}
				}
				b.load, b.save, b.lock = nil, nil, nil
				time.Sleep(time.Minute)
				wantToken(t, s, "token-1")
			})
		})
	}
}

func TestWhatIsNoTokenIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tok := range []auth.Token{{}, {Access: "a\nb"}, {Access: "a", Type: "b c"}} {
			s := newSource(t, auth.SourceConfig{Exchanger: exchangeFunc(func() auth.Token { return tok })})
			if _, _, err := s.Token(t.Context()); retry.ClassOf(err) != retry.Unavailable {
				t.Errorf("%+v: %v, want Unavailable", tok, err)
			}
			if err := s.Replace(t.Context(), tok); err == nil {
				t.Errorf("Replace took %+v", tok)
			}
		}
		past := newSource(t, auth.SourceConfig{Exchanger: exchangeFunc(func() auth.Token {
			return auth.Token{Access: "a", Expiry: time.Now().Add(-time.Hour)}
		})})
		wantToken(t, past, "a")
		if st, err := past.State(t.Context()); err != nil || !st.Expiry.IsZero() || !st.NextRefresh.IsZero() {
			t.Errorf("a token born dead by another clock: %+v, %v, want one used until it is refused", st, err)
		}
	})
}

type exchangeFunc func() auth.Token

func (f exchangeFunc) Exchange(context.Context, auth.Token) (auth.Token, error) { return f(), nil }

func TestReplaceFailsWithTheStore(t *testing.T) {
	b := &broken{Store: auth.NewMemoryStore(), save: errDisk}
	s := newSource(t, auth.SourceConfig{Exchanger: newIssuer(), Store: b})
	if err := s.Replace(t.Context(), auth.Token{Access: "a"}); !errors.Is(err, errDisk) {
		t.Errorf("Replace: %v, want the store's error", err)
	}
}
