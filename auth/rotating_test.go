package auth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

// keyed is a partner that takes some keys, and takes a second for each answer. Its fields may be changed under mu.
type keyed struct {
	mu       sync.Mutex
	takes    map[string]bool
	down     bool
	seen     map[string]int // calls by key
	tests    int
	testing  int // under way
	most     int
	onTest   func(n int, key string) // called when the n-th test begins
	replayed []string                // bodies of calls that were taken
}

func newKeyed(keys ...string) *keyed {
	k := &keyed{takes: map[string]bool{}, seen: map[string]int{}}
	for _, key := range keys {
		k.takes[key] = true
	}
	return k
}

func (k *keyed) set(f func(k *keyed)) { k.mu.Lock(); f(k); k.mu.Unlock() }

func (k *keyed) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
		req.Body.Close()
	}
	key := req.Header.Get("X-Api-Key")
	time.Sleep(time.Second)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen[key]++
	status := http.StatusOK
	switch {
	case k.down:
		status = http.StatusServiceUnavailable
	case !k.takes[key] || strings.HasSuffix(req.URL.Path, "/forbidden"):
		status = http.StatusUnauthorized
	default:
		k.replayed = append(k.replayed, body)
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(key)), Request: req}, nil
}

func (k *keyed) make(values map[string]auth.Secret) (auth.Credential, error) {
	return auth.NewAPIKey(auth.APIKeyConfig{Header: "X-Api-Key", Key: values["key"], Origins: apiOrigins})
}

func (k *keyed) test(ctx context.Context, c auth.Credential) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, apiURL, nil)
	if err != nil {
		return err
	}
	var onTest func(int, string)
	k.set(func(k *keyed) {
		k.tests++
		k.testing++
		k.most = max(k.most, k.testing)
		onTest = k.onTest
	})
	defer k.set(func(k *keyed) { k.testing-- })
	resp, err := c.Wrap(rtFunc(func(req *http.Request) (*http.Response, error) {
		if onTest != nil {
			onTest(k.tests, req.Header.Get("X-Api-Key"))
		}
		return k.RoundTrip(req)
	})).RoundTrip(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &retry.Error{Verdict: retry.Judge(req, resp, nil), Status: resp.StatusCode, Err: errors.New("the test was answered so")}
}

func keyValue(value string) map[string]auth.Secret {
	return map[string]auth.Secret{"key": auth.Secret(value)}
}

type rotationEvents struct {
	mu  sync.Mutex
	all []auth.RotationEvent
}

func (e *rotationEvents) add(ev auth.RotationEvent) {
	e.mu.Lock()
	e.all = append(e.all, ev)
	e.mu.Unlock()
}

func (e *rotationEvents) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var s []string
	for _, ev := range e.all {
		s = append(s, fmt.Sprint(ev.Kind, " ", ev.Generation))
	}
	return strings.Join(s, ", ")
}

func rotating(t testing.TB, k *keyed, store auth.Store, evs *rotationEvents) *auth.Rotating {
	t.Helper()
	r, err := auth.NewRotating(auth.RotatingConfig{
		Key: "acme/app", Store: store, Initial: keyValue("old"), Make: k.make, Test: k.test, OnEvent: evs.add,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantKey makes a call, which must be taken, with the key.
func wantKey(t testing.TB, rt http.RoundTripper, want string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, apiURL, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Errorf("the call failed: %v", err)
		return
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || string(got) != want {
		t.Errorf("%d with key %q, %v, want 200 with %q", resp.StatusCode, got, err, want)
	}
	if resp.Request != req || req.Header.Get("X-Api-Key") != "" {
		t.Error("the request, or the answer's, carries the credential")
	}
}

func wantInUse(t testing.TB, r *auth.Rotating, want string, gen auth.Generation, verified bool) {
	t.Helper()
	st, err := r.State(t.Context())
	if err != nil || st.Generation != gen || st.Verified != verified {
		t.Errorf("state %+v, %v, want generation %d, verified %v", st, err, gen, verified)
	}
	values, g, err := r.Values(t.Context())
	if err != nil || string(values["key"]) != want || g != gen {
		t.Errorf("values of generation %d, %v, want %q of %d", g, err, want, gen)
	}
	values["key"] = "the caller's to write"
}

// Calls go on while the values change, each to its end with those it began with, in all processes.
func TestRotateUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store, evs := newKeyed("old", "new"), auth.NewMemoryStore(), &rotationEvents{}
		a, b := rotating(t, k, store, evs), rotating(t, k, store, evs)
		var wg sync.WaitGroup
		for _, rt := range []http.RoundTripper{a.Wrap(k), b.Wrap(k)} {
			for i := range 8 {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * 100 * time.Millisecond)
					for range 200 {
						if status, err := get(t, rt, apiURL); status != 200 || err != nil {
							t.Errorf("a call: %d, %v", status, err)
						}
					}
				})
			}
		}
		time.Sleep(10 * time.Second)
		if err := a.Rotate(t.Context(), keyValue("new")); err != nil {
			t.Fatal(err)
		}
		wantInUse(t, a, "new", 1, true)
		wantKey(t, a.Wrap(k), "new")
		time.Sleep(time.Minute)
		wantKey(t, b.Wrap(k), "new") // noticed, though the old key was never refused
		if err := a.Rotate(t.Context(), keyValue("new")); err != nil {
			t.Errorf("the same again: %v", err)
		}
		if k.tests != 2 || evs.String() != "rotated 1" {
			t.Errorf("%d tests, events %s, want 2, rotated 1", k.tests, evs)
		}
		wg.Wait()
		if k.seen["old"] == 0 || k.seen["new"] == 0 {
			t.Errorf("calls by key: %v", k.seen)
		}
	})
}

func TestRotateRefusesWhatDoesNotPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store, evs := newKeyed("old"), auth.NewMemoryStore(), &rotationEvents{}
		r := rotating(t, k, store, evs)
		if err := r.Rotate(t.Context(), keyValue("canary")); retry.ClassOf(err) != retry.Auth || strings.Contains(err.Error(), "canary") {
			t.Errorf("values that are refused: %v", err)
		}
		k.set(func(k *keyed) { k.down = true })
		if err := r.Rotate(t.Context(), keyValue("new")); retry.ClassOf(err) != retry.Transient {
			t.Errorf("while the partner is down: %v, want class transient: come back", err)
		}
		k.set(func(k *keyed) { k.down = false })
		wantInUse(t, r, "old", 0, true)
		n := k.tests
		for _, bad := range []map[string]auth.Secret{nil, {}, {"key": ""}, {"key": "[redacted]"}, {"key": "a\n"}} {
			if err := r.Rotate(t.Context(), bad); retry.ClassOf(err) != retry.Client {
				t.Errorf("%v: %v, want a Client error", bad, err)
			}
		}
		if k.tests != n || evs.String() != "rotation_failed 0, rotation_failed 0" {
			t.Errorf("%d tests, events %s", k.tests-n, evs)
		}
		wantKey(t, r.Wrap(k), "old")
	})
}

// New values that the partner refuses once they are in use are taken back, everywhere.
func TestRotateRollsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store, evs := newKeyed("old", "new"), auth.NewMemoryStore(), &rotationEvents{}
		k.onTest = func(n int, _ string) { k.set(func(k *keyed) { k.takes["new"] = n < 2 }) }
		a, b := rotating(t, k, store, evs), rotating(t, k, store, evs)
		err := a.Rotate(t.Context(), keyValue("new"))
		if retry.ClassOf(err) != retry.Auth || !strings.Contains(err.Error(), "those before are again") {
			t.Errorf("Rotate: %v, want the way back told", err)
		}
		for _, r := range []*auth.Rotating{a, b} {
			wantInUse(t, r, "old", 2, true)
			wantKey(t, r.Wrap(k), "old")
		}
		if evs.String() != "rolled_back 2" || !errors.Is(evs.all[0].Err, err) && evs.all[0].Err != err {
			t.Errorf("events %s", evs)
		}
	})
}

// A partner that is away just after the switch: the new values stay, unverified; the same Rotate verifies them, and if
// they are refused first, the first call that finds out goes back.
func TestRotateUnverified(t *testing.T) {
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprint("refused ", refused), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, store, evs := newKeyed("old", "new"), auth.NewMemoryStore(), &rotationEvents{}
				k.onTest = func(n int, _ string) { k.set(func(k *keyed) { k.down = n == 2 }) }
				a, b := rotating(t, k, store, evs), rotating(t, k, store, evs)
				if err := a.Rotate(t.Context(), keyValue("new")); retry.ClassOf(err) != retry.Transient {
					t.Errorf("Rotate: %v, want class transient: come back", err)
				}
				wantInUse(t, b, "new", 1, false)
				k.set(func(k *keyed) { k.down, k.takes["new"] = false, !refused })
				if !refused {
					if err := b.Rotate(t.Context(), keyValue("new")); err != nil {
						t.Error(err)
					}
					wantInUse(t, a, "new", 1, true)
					if evs.String() != "rotation_unverified 1, rotated 1" {
						t.Errorf("events %s", evs)
					}
					return
				}
				var wg sync.WaitGroup
				for _, rt := range []http.RoundTripper{a.Wrap(k), b.Wrap(k)} {
					for range 16 {
						wg.Go(func() { wantKey(t, rt, "old") })
					}
				}
				wg.Wait()
				wantInUse(t, a, "old", 2, true)
				if evs.String() != "rotation_unverified 1, rolled_back 2" || k.tests != 4 {
					t.Errorf("%d tests, events %s, want 4 and one way back", k.tests, evs)
				}
			})
		})
	}
}

// A partner that retires the old key before this process has heard of the new one: one refusal, one look at the store,
// one replay.
func TestRotatingReadsTheStoreWhenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store, evs := newKeyed("old", "new"), auth.NewMemoryStore(), &rotationEvents{}
		a, b := rotating(t, k, store, evs), rotating(t, k, store, evs)
		rt := b.Wrap(k)
		wantKey(t, rt, "old")
		if err := a.Rotate(t.Context(), keyValue("new")); err != nil {
			t.Fatal(err)
		}
		k.set(func(k *keyed) { delete(k.takes, "old") })
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, apiURL, io.NopCloser(strings.NewReader("once")))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil || resp.StatusCode != 401 {
			t.Errorf("a body that cannot be had again: %v, %v, want the refusal", resp, err)
		}
		wantKey(t, rt, "new")
		if n := k.seen["old"]; n != 3 || k.tests != 2 {
			t.Errorf("%d calls with the old key, %d tests, want 3 and 2", n, k.tests)
		}
	})
}

// What is refused for another reason than the credentials does not undo a rotation, nor cost a test each time.
func TestForbiddenResourceDoesNotRollBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, evs := newKeyed("old", "new"), &rotationEvents{}
		r := rotating(t, k, auth.NewMemoryStore(), evs)
		if err := r.Rotate(t.Context(), keyValue("new")); err != nil {
			t.Fatal(err)
		}
		rt := r.Wrap(k)
		for range 20 {
			if status, err := get(t, rt, apiURL+"/forbidden"); status != 401 || err != nil {
				t.Errorf("%d, %v", status, err)
			}
		}
		wantInUse(t, r, "new", 1, true)
		if k.tests != 3 || evs.String() != "rotated 1" {
			t.Errorf("%d tests, events %s, want 3 in a minute, and no other event", k.tests, evs)
		}
		time.Sleep(25 * time.Hour) // what was kept to go back to is of no use any more
		if status, err := get(t, rt, apiURL+"/forbidden"); status != 401 || err != nil || k.tests != 3 {
			t.Errorf("after the overlap: %d, %v, %d tests", status, err, k.tests)
		}
		if st, err := r.State(t.Context()); err != nil || !st.FallbackUntil.IsZero() {
			t.Errorf("state %+v, %v", st, err)
		}
	})
}

// Rotations by many, in many processes: one at a time, none lost, the last one's values in use.
func TestRotationsAreSerialized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store, evs := newKeyed("old"), auth.NewMemoryStore(), &rotationEvents{}
		for i := range 12 {
			k.takes[fmt.Sprint("key-", i)] = true
		}
		all := []*auth.Rotating{rotating(t, k, store, evs), rotating(t, k, store, evs), rotating(t, k, store, evs)}
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				if err := all[i%3].Rotate(t.Context(), keyValue(fmt.Sprint("key-", i))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if k.most != 1 || k.tests != 24 {
			t.Errorf("%d tests, %d at a time, want 24, one at a time", k.tests, k.most)
		}
		st, err := all[0].State(t.Context())
		if err != nil || st.Generation != 12 || !st.Verified || len(evs.all) != 12 {
			t.Errorf("state %+v, %v, events %s", st, err, evs)
		}
		time.Sleep(time.Minute)
		values, _, err := all[1].Values(t.Context())
		other, _, err2 := all[2].Values(t.Context())
		if err != nil || err2 != nil || !maps.Equal(values, other) {
			t.Errorf("processes differ: %v, %v", err, err2)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		unlock, err := store.LockToken(t.Context(), "credentials/acme/app", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		if err := all[0].Rotate(ctx, keyValue("key-0")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with little time: %v", err)
		}
	})
}
