package auth_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

var errKilled = errors.New("the process is gone")

// process is a process that can be killed: from then on nothing it does has an effect. step counts what it does to
// the world, twice for what can be cut off before or after its effect.
type process struct {
	auth.Store
	auth.Exchanger
	mu     sync.Mutex
	step   int
	killAt int // 0: never
	name   string
}

// passes reports whether the process lives at its next step.
func (p *process) passes(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killAt > 0 && p.step >= p.killAt {
		return false
	}
	p.step++
	if p.step == p.killAt {
		p.name = name
		return false
	}
	return true
}

func (p *process) LoadToken(ctx context.Context, key string) (auth.Record, error) {
	if !p.passes("load") {
		return auth.Record{}, errKilled
	}
	return p.Store.LoadToken(ctx, key)
}

func (p *process) SaveToken(ctx context.Context, key string, r auth.Record) (uint64, error) {
	if !p.passes("before the save") {
		return 0, errKilled
	}
	v, err := p.Store.SaveToken(ctx, key, r)
	if !p.passes("after the save") {
		return 0, errKilled
	}
	return v, err
}

func (p *process) LockToken(ctx context.Context, key string, ttl time.Duration) (func(), error) {
	if !p.passes("before the lock") {
		return nil, errKilled
	}
	unlock, err := p.Store.LockToken(ctx, key, ttl)
	if err != nil {
		return nil, err
	}
	return func() {
		if p.passes("unlock") {
			unlock()
		}
	}, nil
}

func (p *process) Exchange(ctx context.Context, old auth.Token) (auth.Token, error) {
	if !p.passes("before the request") {
		return auth.Token{}, errKilled
	}
	t, err := p.Exchanger.Exchange(ctx, old)
	if !p.passes("before the answer") {
		return auth.Token{}, errKilled
	}
	return t, err
}

// world is a partner with rotating refresh tokens and a store that processes share.
type world struct {
	*issuer
	store  auth.Store
	events events
	perGen map[string]int // requests that reached the partner by the refresh token they brought
}

func newWorld() *world {
	w := &world{issuer: newIssuer(), store: auth.NewMemoryStore(), perGen: map[string]int{}}
	w.rotating = true
	return w
}

func (w *world) Exchange(ctx context.Context, old auth.Token) (auth.Token, error) {
	w.set(func(*issuer) { w.perGen[string(old.Refresh)]++ })
	return w.issuer.Exchange(ctx, old)
}

// start starts a process that is killed at its n-th step, 0 for never.
func (w *world) start(t *testing.T, killAt int) (*auth.Source, *process) {
	p := &process{Store: w.store, Exchanger: w, killAt: killAt}
	s, err := auth.NewSource(auth.SourceConfig{
		Key: "acme/one", Exchanger: p, Store: p, Origins: apiOrigins, OnEvent: w.events.add,
		Budget: auth.Budget{Requests: 1000, Per: 24 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && killAt == 0 {
			t.Errorf("Close: %v", err)
		}
	})
	return s, p
}

func TestPromise4_OneRefreshAcrossGoroutinesAndProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var wg sync.WaitGroup
		for range 4 {
			s, _ := w.start(t, 0)
			for g := range 16 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(g), 4))
					for end := time.Now().Add(12 * time.Hour); time.Now().Before(end); {
						tok, gen, err := s.Token(t.Context())
						if err != nil || string(tok.Access) != fmt.Sprint("token-", gen) || !time.Now().Before(tok.Expiry) {
							t.Errorf("Token: generation %d, %v, want one that is alive", gen, err)
							return
						}
						if r.IntN(200) == 0 {
							s.Refused(t.Context(), gen) // revoked early
						}
						time.Sleep(time.Duration(r.Int64N(int64(10 * time.Minute))))
					}
				})
			}
		}
		wg.Wait()
		for refresh, n := range w.perGen {
			if n != 1 {
				t.Errorf("%d requests with %q, want 1", n, refresh)
			}
		}
		if w.issued < 14 || w.events.count(auth.Refreshed) != w.issued || w.events.count(auth.NeedsReauth) != 0 {
			t.Errorf("%d tokens in 12 hours, %d events of it, %d of re-authorization", w.issued, w.events.count(auth.Refreshed), w.events.count(auth.NeedsReauth))
		}
	})
}

// TestPromise4_KilledAtEveryStep kills the process that refreshes at every step of it, while two others with 16
// goroutines each go on.
func TestPromise4_KilledAtEveryStep(t *testing.T) {
	lost := 0
	for killAt := 1; ; killAt++ {
		over := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			first, _ := w.start(t, 0)
			wantToken(t, first, "token-1")
			time.Sleep(2 * time.Hour)

			victim, p := w.start(t, killAt)
			_, _, err := victim.Token(t.Context())
			over = err == nil && p.name == ""
			issuedBefore := w.issued

			var wg sync.WaitGroup
			var mu sync.Mutex
			reauth := 0
			for range 2 {
				s, _ := w.start(t, 0)
				for range 16 {
					wg.Go(func() {
						for range 3 {
							tok, gen, err := s.Token(t.Context())
							switch {
							case errors.Is(err, auth.ErrNeedsReauth):
								mu.Lock()
								reauth++
								mu.Unlock()
							case err != nil:
								t.Errorf("killed %s: %v", p.name, err)
							case string(tok.Access) != fmt.Sprint("token-", w.issued) && gen > 0:
								t.Errorf("killed %s: %s, want the newest token, token-%d", p.name, fmt.Sprint("generation ", gen), w.issued)
							}
							time.Sleep(time.Minute)
						}
					})
				}
			}
			wg.Wait()

			// A token that was issued and whose answer did not reach the store is the window that cannot be closed.
			rec, err := w.store.LoadToken(t.Context(), "acme/one")
			if err != nil {
				t.Fatal(err)
			}
			inWindow := issuedBefore == 2 && rec.Generation == 1
			if inWindow {
				lost++
			}
			wantReports, wantRefused := 0, 0
			if inWindow {
				wantReports, wantRefused = 1, 2*16*3
			}
			if n := w.events.count(auth.NeedsReauth); n != wantReports || reauth != wantRefused {
				t.Errorf("killed %s: %d reports and %d calls refused, want %d and %d", p.name, n, reauth, wantReports, wantRefused)
			}
			// One request a generation, and one more after a kill with the request under way.
			for refresh, n := range w.perGen {
				if n > 1 && !inWindow {
					t.Errorf("killed %s: %d requests with %q, want 1", p.name, n, refresh)
				}
			}
			if n := w.perGen["refresh-1"]; n > 2 {
				t.Errorf("killed %s: %d requests for one generation, want at most 2", p.name, n)
			}
		})
		if over {
			if killAt < 9 {
				t.Errorf("the refresh has %d steps, want at least 9", killAt)
			}
			break
		}
	}
	t.Logf("%d kills left a token behind that nobody has", lost)
	if lost == 0 || lost > 2 {
		t.Errorf("%d of the kills were between the answer and the save, want 1 or 2", lost)
	}
}

// failing is a store that does not save for a while.
type failing struct {
	auth.Store
	mu   sync.Mutex
	from int // saves that still work
	down bool
}

var errDisk = errors.New("disk full")

func (f *failing) SaveToken(ctx context.Context, key string, r auth.Record) (uint64, error) {
	f.mu.Lock()
	f.from--
	broken := f.down && f.from < 0
	f.mu.Unlock()
	if broken {
		return 0, errDisk
	}
	return f.Store.SaveToken(ctx, key, r)
}

func (f *failing) set(down bool, from int) { f.mu.Lock(); f.down, f.from = down, from; f.mu.Unlock() }

func TestPromise4_TokenThatCannotBeStoredIsKeptAndNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		f := &failing{Store: w.store}
		s := newSource(t, auth.SourceConfig{Exchanger: w, Store: f, OnEvent: w.events.add})
		wantToken(t, s, "token-1")
		time.Sleep(2 * time.Hour)
		f.set(true, 1) // the intent is recorded, the token is not
		for range 20 {
			tok, _, err := s.Token(t.Context())
			if !errors.Is(err, errDisk) || retry.ClassOf(err) != retry.Unavailable || !retry.At(err).After(time.Now()) {
				t.Fatalf("while the store fails: %v, %v, want Unavailable with a time", tok, err)
			}
			time.Sleep(time.Until(retry.At(err)))
		}
		if st, err := s.State(t.Context()); err != nil || !st.Unsaved || st.Generation != 1 {
			t.Errorf("State: %+v, %v, want generation 1 and a token unsaved", st, err)
		}
		if w.issued != 2 {
			t.Errorf("%d tokens were asked for, want 2", w.issued)
		}
		other, _ := w.start(t, 0) // another process meanwhile finds the refresh token spent
		if _, _, err := other.Token(t.Context()); !errors.Is(err, auth.ErrNeedsReauth) {
			t.Errorf("another process: %v, want ErrNeedsReauth", err)
		}
		f.set(false, 0)
		time.Sleep(time.Minute)
		wantToken(t, s, "token-2")
		time.Sleep(time.Minute)
		wantToken(t, other, "token-2") // healed
		if n := w.events.count(auth.Refreshed); n != 2 {
			t.Errorf("%d events of a refresh, want 2", n)
		}
	})
}

func TestPromise4_CloseSavesWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, works := range []bool{true, false} {
			w := newWorld()
			f := &failing{Store: w.store}
			f.set(true, 1)
			s, err := auth.NewSource(auth.SourceConfig{Key: "acme/one", Exchanger: w, Store: f, Origins: apiOrigins})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Token(t.Context()); !errors.Is(err, errDisk) {
				t.Fatalf("Token: %v, want the store's error", err)
			}
			f.set(!works, 0)
			if err := s.Close(); (err == nil) != works || !works && !errors.Is(err, errDisk) {
				t.Errorf("Close, the store working %v: %v", works, err)
			}
			if r, err := w.store.LoadToken(t.Context(), "acme/one"); err != nil || (r.Generation == 1) != works {
				t.Errorf("the store holds generation %d, %v after Close, the store working %v", r.Generation, err, works)
			}
			if _, _, err := s.Token(t.Context()); retry.ClassOf(err) != retry.Canceled {
				t.Errorf("Token after Close: %v, want Canceled", err)
			}
		}
	})
}

func TestPromise4_CloseWaitsForARequestThatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.slow = 10 * time.Second
		s, _ := w.start(t, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := s.Token(ctx); retry.ClassOf(err) != retry.Canceled {
			t.Fatalf("Token: %v, want Canceled", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if r, err := w.store.LoadToken(t.Context(), "acme/one"); err != nil || r.Token.Access != "token-1" {
			t.Errorf("the store holds generation %d, %v after Close, want the token that was asked for", r.Generation, err)
		}
	})
}

func TestPromise4_DeadGrantIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		first, _ := w.start(t, 0)
		wantToken(t, first, "token-1")
		w.set(func(i *issuer) { i.refresh = "revoked by a human" })
		time.Sleep(2 * time.Hour)
		var wg sync.WaitGroup
		for range 4 {
			s, _ := w.start(t, 0)
			for range 16 {
				wg.Go(func() {
					for range 100 {
						if _, _, err := s.Token(t.Context()); !errors.Is(err, auth.ErrNeedsReauth) || retry.ClassOf(err) != retry.Auth {
							t.Errorf("Token: %v, want ErrNeedsReauth of class auth", err)
						}
						time.Sleep(time.Minute)
					}
				})
			}
		}
		wg.Wait()
		if n, asked := w.events.count(auth.NeedsReauth), w.perGen["refresh-1"]; n != 1 || asked != 1 {
			t.Errorf("%d reports, %d requests, want 1 each", n, asked)
		}
		if st, err := first.State(t.Context()); err != nil || st.NeedsReauth == "" {
			t.Errorf("State: %+v, %v, want the reason", st, err)
		}
		// A human authorizes again, in any process.
		if err := first.Replace(t.Context(), auth.Token{Refresh: "revoked by a human"}); err != nil {
			t.Fatal(err)
		}
		wantToken(t, first, "token-2")
		other, _ := w.start(t, 0)
		wantToken(t, other, "token-2")
	})
}
