package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

// mortal is a store as one process sees it, which is killed before or after its n-th operation: nothing of it runs on,
// and its locks are not given back.
type mortal struct {
	auth.Store
	ops, dieAt int
	after      bool // the write came through
	dead       bool
}

func (m *mortal) step() bool { m.ops++; return m.ops == m.dieAt }

func (m *mortal) die() { m.dead = true; runtime.Goexit() }

func (m *mortal) LoadToken(ctx context.Context, k string) (auth.Record, error) {
	if m.step() {
		m.die()
	}
	return m.Store.LoadToken(ctx, k)
}

func (m *mortal) SaveToken(ctx context.Context, k string, r auth.Record) (uint64, error) {
	last := m.step()
	if last && !m.after {
		m.die()
	}
	v, err := m.Store.SaveToken(ctx, k, r)
	if last {
		m.die()
	}
	return v, err
}

func (m *mortal) LockToken(ctx context.Context, k string, ttl time.Duration) (func(), error) {
	unlock, err := m.Store.LockToken(ctx, k, ttl)
	return func() {
		if !m.dead {
			unlock()
		}
	}, err
}

// A rotation that is killed at any step leaves values that work, and the same Rotate by another process ends it.
func TestRotateKilledAtEveryStep(t *testing.T) {
	for _, partner := range []struct {
		name    string
		changes func(k *keyed) // what the partner does when the new key was tested
		ends    string         // the key in use in the end
	}{
		{"takes both", func(*keyed) {}, "new"},
		{"retires the old key", func(k *keyed) { delete(k.takes, "old") }, "new"},
		{"refuses the new key after all", func(k *keyed) { delete(k.takes, "new") }, "old"},
	} {
		killed := 0
		for step := 1; step <= 8; step++ {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, step %d, after the write %v", partner.name, step, after), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						k, store, evs := newKeyed("old", "new"), auth.NewMemoryStore(), &rotationEvents{}
						tested := false
						k.onTest = func(_ int, key string) {
							// It takes effect after the first test of the new key.
							k.set(func(k *keyed) {
								if tested {
									partner.changes(k)
								}
								tested = tested || key == "new"
							})
						}
						m := &mortal{Store: store, dieAt: step, after: after}
						done := make(chan struct{})
						go func() {
							defer close(done)
							_ = rotating(t, k, m, evs).Rotate(t.Context(), keyValue("new")) // nobody reads it
						}()
						<-done
						if m.dead {
							killed++
						}
						if tested {
							k.set(partner.changes)
						}

						time.Sleep(2 * time.Minute) // the lock of the dead is over
						b := rotating(t, k, store, evs)
						// Before anybody ends the rotation: if the partner has retired what is in use, no value that works may
						// be known here yet; whoever sent the new ones sends them again.
						if status, err := get(t, b.Wrap(k), apiURL); (status != 200 || err != nil) && partner.name != "retires the old key" {
							t.Errorf("after the kill: %d, %v", status, err)
						}
						err := b.Rotate(t.Context(), keyValue("new"))
						if partner.ends == "new" && err != nil || partner.ends == "old" && retry.ClassOf(err) != retry.Auth {
							t.Errorf("the same again: %v", err)
						}
						wantKey(t, b.Wrap(k), partner.ends)
						if st, err := b.State(t.Context()); err != nil || !st.Verified {
							t.Errorf("state %+v, %v, want it verified", st, err)
						}
					})
				})
			}
		}
		if killed < 6 {
			t.Errorf("%s: killed %d times only: the steps are not those of a rotation", partner.name, killed)
		}
	}
}

// brokenStore fails its loads, or its saves, when told.
type brokenStore struct {
	auth.Store
	loads, saves error
}

func (b *brokenStore) LoadToken(ctx context.Context, k string) (auth.Record, error) {
	if b.loads != nil {
		return auth.Record{}, b.loads
	}
	return b.Store.LoadToken(ctx, k)
}

func (b *brokenStore) SaveToken(ctx context.Context, k string, r auth.Record) (uint64, error) {
	if b.saves != nil {
		return 0, b.saves
	}
	return b.Store.SaveToken(ctx, k, r)
}

// A store that fails changes nothing, and harms no call of a process that has its values.
func TestRotatingWithABrokenStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, evs := newKeyed("old", "new"), &rotationEvents{}
		store := &brokenStore{Store: auth.NewMemoryStore(), loads: errDisk}
		r := rotating(t, k, store, evs)
		rt := r.Wrap(k)
		if _, err := get(t, rt, apiURL); !errors.Is(err, errDisk) || retry.ClassOf(err) != retry.Unavailable {
			t.Errorf("a call before anything is known: %v, want the store's error", err)
		}
		if _, _, err := r.Values(t.Context()); !errors.Is(err, errDisk) {
			t.Errorf("Values: %v", err)
		}
		store.loads = nil
		wantKey(t, rt, "old")
		store.loads = errDisk
		time.Sleep(time.Hour)
		wantKey(t, rt, "old")
		if _, err := r.State(t.Context()); !errors.Is(err, errDisk) {
			t.Errorf("State: %v", err)
		}
		if err := r.Rotate(t.Context(), keyValue("new")); !errors.Is(err, errDisk) {
			t.Errorf("Rotate: %v", err)
		}
		k.set(func(k *keyed) { k.takes = nil })
		if status, err := get(t, rt, apiURL); status != 401 || err != nil {
			t.Errorf("a refused call: %d, %v, want the partner's answer", status, err)
		}
		k.set(func(k *keyed) { k.takes = map[string]bool{"old": true, "new": true} })
		store.loads, store.saves = nil, errDisk
		if err := r.Rotate(t.Context(), keyValue("new")); !errors.Is(err, errDisk) || evs.String() != "rotation_failed 0" {
			t.Errorf("Rotate: %v, events %s", err, evs)
		}
		wantKey(t, rt, "old")
		store.saves = nil
		k.onTest = func(n int, _ string) {
			if n%2 == 0 { // after the switch
				store.saves = errDisk
			}
		}
		if k.tests%2 == 1 {
			k.tests++
		}
		if err := r.Rotate(t.Context(), keyValue("new")); !errors.Is(err, errDisk) || !strings.HasSuffix(evs.String(), "rotation_unverified 1") {
			t.Errorf("Rotate: %v, events %s", err, evs)
		}
		store.saves, k.onTest = nil, nil
		if err := r.Rotate(t.Context(), keyValue("new")); err != nil {
			t.Errorf("the same again: %v", err)
		}
		wantInUse(t, r, "new", 1, true)
	})
}

func TestRotatingWithARecordThatIsNone(t *testing.T) {
	store := auth.NewMemoryStore()
	if _, err := store.SaveToken(t.Context(), "credentials/acme/app", auth.Record{Token: auth.Token{Access: `{"values":{"canary":7}}`}}); err != nil {
		t.Fatal(err)
	}
	_, _, err := rotating(t, newKeyed("old"), store, &rotationEvents{}).Values(t.Context())
	if retry.ClassOf(err) != retry.Data || strings.Contains(err.Error(), "canary") {
		t.Errorf("Values: %v, want a Data error", err)
	}
}

// A token source that needs a human is refused credentials too: values from another process are the way on.
func TestRotatingClientSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := newKeyed(), auth.NewMemoryStore()
		client := func(values map[string]auth.Secret) auth.ClientCredentials {
			e := &endpoint{body: `{"access_token":"tok"}`}
			if values["key"] != "new" {
				e.status, e.body = 401, `{"error":"invalid_client"}`
			}
			c := credentials(e)
			c.ClientSecret = values["key"]
			return c
		}
		open := func() *auth.Rotating {
			r, err := auth.NewRotating(auth.RotatingConfig{
				Key: "acme/app", Store: store, Initial: keyValue("old"),
				Make: func(values map[string]auth.Secret) (auth.Credential, error) {
					return auth.NewSource(auth.SourceConfig{Key: "acme/app", Store: store, Exchanger: client(values), Origins: apiOrigins})
				},
				Test: func(ctx context.Context, c auth.Credential) error {
					_, err := get(t, c.Wrap(k), apiURL)
					return err
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		k.takes[""] = true // the partner looks at tokens only
		a, b := open(), open()
		rt := b.Wrap(k)
		if _, err := get(t, rt, apiURL); !errors.Is(err, auth.ErrNeedsReauth) {
			t.Errorf("with a secret that is dead: %v, want ErrNeedsReauth", err)
		}
		if err := a.Rotate(t.Context(), keyValue("new")); err != nil {
			t.Fatal(err)
		}
		wantKey(t, rt, "")
	})
}

func TestNewRotatingNamesEverything(t *testing.T) {
	_, err := auth.NewRotating(auth.RotatingConfig{Timeout: -1, Overlap: -1, ReadEvery: -1, Initial: map[string]auth.Secret{"key": "canary\n"}})
	for _, want := range []string{"Key", "Make", "Test", "Timeout", "Overlap", "ReadEvery", `Initial["key"]`} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	ok := auth.RotatingConfig{
		Key: "k", Initial: keyValue("canary"), Test: func(context.Context, auth.Credential) error { return nil },
		Make: func(map[string]auth.Secret) (auth.Credential, error) { return nil, nil },
	}
	if _, err := auth.NewRotating(ok); err == nil || !strings.Contains(err.Error(), "Make") {
		t.Errorf("a Make that makes nothing: %v", err)
	}
	ok.Make = func(map[string]auth.Secret) (auth.Credential, error) { return nil, errDisk }
	if _, err := auth.NewRotating(ok); !errors.Is(err, errDisk) {
		t.Errorf("a Make that fails: %v", err)
	}
	ok.Make = newKeyed().make
	r, err := auth.NewRotating(ok)
	if err != nil || strings.Contains(fmt.Sprintf("%v %+v %#v", r, *r, r), "canary") {
		t.Errorf("it prints its values: %v, %v", r, err)
	}
	if rt := r.Wrap(nil); rt == nil {
		t.Error("no RoundTripper")
	}
	if _, err := get(t, r.Wrap(http.DefaultTransport), "https://elsewhere.example/"); !errors.Is(err, auth.ErrOrigin) {
		t.Errorf("a call to elsewhere: %v, want ErrOrigin", err)
	}
	for k, want := range map[auth.RotationKind]string{
		auth.Rotated: "rotated", auth.RotationFailed: "rotation_failed", auth.RotationUnverified: "rotation_unverified", auth.RolledBack: "rolled_back", 0: "unknown",
	} {
		if got := k.String(); got != want {
			t.Errorf("%d is %s, want %s", k, got, want)
		}
	}
}
