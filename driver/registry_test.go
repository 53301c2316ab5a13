package driver_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// acme is a driver with what a driver usually has: a limit by account, a token, a client.
type acme struct {
	api     *driver.Client
	limiter *ratelimit.Limiter
	source  *auth.Source
}

var acmeInfo = driver.Info{
	Partner: "acme", AdapterVersions: []string{"v1"},
	Limits: []driver.Limit{{Name: "api", SharedBy: "account", Tiers: ratelimit.Tiers{{Name: "minute", Requests: 1000, Per: time.Minute}}}},
}

func (a *acme) Info() driver.Info { return acmeInfo }

func (a *acme) Check(ctx context.Context) error {
	_, err := a.api.Do(ctx, driver.Call{Op: "check"})
	return err
}

// exchange is a token endpoint in memory.
type exchange struct{ id string }

func (e exchange) Fingerprint() string { return e.id }

func (e exchange) Exchange(context.Context, auth.Token) (auth.Token, error) {
	return auth.Token{Access: auth.Secret("token-of-" + e.id), Obtained: time.Now(), Expiry: time.Now().Add(time.Hour)}, nil
}

func newAcme(env driver.Env) (driver.Driver, error) {
	in := env.Integration
	if in.Credentials["id"] == "" {
		return nil, errors.New("the credential id is missing")
	}
	a := &acme{}
	var err error
	if a.limiter, err = env.Limiter("acme", acmeInfo.Limits[0], ratelimit.Options{}); err != nil {
		return nil, err
	}
	a.source, err = env.Source(auth.SourceConfig{Key: "acme/" + in.Account, Exchanger: exchange{string(in.Credentials["id"])}, Origins: []string{base}})
	if err != nil {
		return nil, err
	}
	a.api, err = env.Client(driver.ClientConfig{
		BaseURL: base, Credential: a.source, Limiter: a.limiter, LimitKey: in.Account, Retry: retry.Policy{MaxAttempts: 1}, Header: http.Header{"X-Integration": {in.ID}},
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

func integration(id string) driver.Integration {
	return driver.Integration{ID: id, Partner: "acme", Account: id, Credentials: map[string]auth.Secret{"id": auth.Secret("client-" + id)}}
}

// host keeps integrations.
type host map[string]driver.Integration

func (h host) Integration(_ context.Context, id string) (driver.Integration, error) {
	in, ok := h[id]
	if !ok {
		return in, fmt.Errorf("no row: %w", driver.ErrNotFound)
	}
	return in, nil
}

func (h host) Integrations(context.Context, driver.Filter) iter.Seq2[driver.Integration, error] {
	return func(yield func(driver.Integration, error) bool) {}
}

func registry(t *testing.T, o driver.Options, defs ...driver.Definition) *driver.Registry {
	t.Helper()
	r := driver.NewRegistry(o)
	if defs == nil {
		defs = []driver.Definition{{Info: acmeInfo, New: newAcme}}
	}
	for _, d := range defs {
		if err := r.Register(d); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := r.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return r
}

func open(t *testing.T, r *driver.Registry, in driver.Integration) *acme {
	t.Helper()
	d, err := r.OpenIntegration(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return d.(*acme)
}

func TestRegisterNamesEveryProblem(t *testing.T) {
	r := driver.NewRegistry(driver.Options{
		MaxDrivers: -1, Tiers: map[string]ratelimit.Tiers{"acme/api": {{}}},
		Breaker: breaker.Config{FailureRatio: 2, Key: func(*http.Request) string { return "" }},
	})
	err := r.Register(driver.Definition{Info: driver.Info{Partner: "Ac me", AdapterVersions: []string{"v1", "v1"}, Limits: []driver.Limit{
		{Name: ""}, {Name: "x", Tiers: ratelimit.Tiers{{Requests: 1}}}, {Name: "x", Tiers: ratelimit.Tiers{{Requests: 1, Per: time.Second}}},
	}}})
	if err == nil {
		t.Fatal("accepted")
	}
	contains(t, err.Error(), "MaxDrivers", "acme/api", "FailureRatio", "Breaker.Key", "lower-case", "New is nil", `limit "x"`, "twice", `name is ""`, "adapter version")

	ok := registry(t, driver.Options{})
	if err := ok.Register(driver.Definition{Info: acmeInfo, New: newAcme}); err == nil {
		t.Error("a partner was registered twice")
	}
	if infos := ok.Partners(); len(infos) != 1 || infos[0].Partner != "acme" {
		t.Errorf("partners %+v", infos)
	}
}

func TestOpen(t *testing.T) {
	other := integration("other")
	r := registry(t, driver.Options{Integrations: host{"a": integration("a"), "b": {ID: "b", Partner: "nobody"}, "c": {ID: "c", Partner: "acme"}, "d": other}})
	a, err := r.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.Open(t.Context(), "a"); err != nil || again != a {
		t.Errorf("opened twice: %v, %v", again, err)
	}
	for id, want := range map[string]string{"x": "no row", "b": `no driver for "nobody"`, "c": "credential id is missing", "d": "another"} {
		_, err := r.Open(t.Context(), id)
		if err == nil || !strings.Contains(err.Error(), want) || (id != "c") != errors.Is(err, driver.ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := r.OpenIntegration(t.Context(), driver.Integration{Partner: "acme"}); err == nil {
		t.Error("no id")
	}
	if _, err := registry(t, driver.Options{}).Open(t.Context(), "a"); err == nil {
		t.Error("no integrations")
	}
}

func TestSharedByWhatTheDriverDeclares(t *testing.T) {
	r := registry(t, driver.Options{})
	in1, in2, in3 := integration("1"), integration("2"), integration("3")
	in2.Account, in2.Credentials = in1.Account, in1.Credentials // two integrations of one account
	a, b, c := open(t, r, in1), open(t, r, in2), open(t, r, in3)
	if a.limiter != b.limiter || a.limiter != c.limiter {
		t.Error("limiters are not shared")
	}
	if a.source != b.source || a.source == c.source {
		t.Error("token sources are not shared by key")
	}
}

func TestChangedIntegrationGetsANewDriver(t *testing.T) {
	r := registry(t, driver.Options{Transport: handler(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Auth", r.Header.Get("Authorization")) })})
	in := integration("1")
	a := open(t, r, in)
	if resp, err := a.api.Do(t.Context(), driver.Call{Op: "x"}); err != nil || resp.Header.Get("X-Auth") != "Bearer token-of-client-1" {
		t.Fatalf("%+v, %v", resp, err)
	}
	in.Settings = map[string]string{"x": "y"}
	b := open(t, r, in)
	if a == b || a.source != b.source {
		t.Error("settings changed: want another driver with the same token source")
	}
	in.Credentials = map[string]auth.Secret{"id": "rotated"}
	c := open(t, r, in)
	if c == b || c.source == b.source {
		t.Error("credentials changed: want another driver with another token source")
	}
	if again := open(t, r, in); again != c {
		t.Error("nothing changed: want the same driver")
	}
	// Calls under way go on with what they have.
	if err := a.Check(t.Context()); err != nil {
		t.Error(err)
	}
	in.Credentials["id"] = "the host's map, not the registry's"
	if again := open(t, r, in); again == c {
		t.Error("the registry shares the host's map")
	}
}

func TestTokenOfChangedCredentialsIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry(t, driver.Options{})
		in := integration("1")
		a := open(t, r, in)
		if _, _, err := a.source.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		in.Credentials = map[string]auth.Secret{"id": "rotated"}
		open(t, r, in)
		if _, _, err := a.source.Token(t.Context()); err != nil {
			t.Errorf("soon after: %v", err)
		}
		time.Sleep(61 * time.Minute)
		open(t, r, integration("2")) // looks for what is long out of use
		if _, _, err := a.source.Token(t.Context()); err == nil {
			t.Error("the old source is still open an hour later")
		}
	})
}

func TestTiersByName(t *testing.T) {
	mine := ratelimit.Tiers{{Name: "mine", Requests: 7, Per: time.Second}}
	r := registry(t, driver.Options{Tiers: map[string]ratelimit.Tiers{"acme/api": mine}})
	if got := open(t, r, integration("1")).limiter.Tiers(); len(got) != 1 || got[0].Requests != 7 {
		t.Errorf("tiers %v", got)
	}
	for _, key := range []string{"acme/apx", "acem/api", "acme", "acme/api/x"} {
		r := registry(t, driver.Options{Tiers: map[string]ratelimit.Tiers{key: mine}})
		if _, err := r.OpenIntegration(t.Context(), integration("1")); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", key)) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestLimitsAreDeclared(t *testing.T) {
	for name, f := range map[string]func(env driver.Env) error{
		"undeclared": func(env driver.Env) error {
			_, err := env.Limiter("acme", driver.Limit{Name: "x", Tiers: acmeInfo.Limits[0].Tiers}, ratelimit.Options{})
			return err
		},
		"another partner's": func(env driver.Env) error {
			_, err := env.Limiter("guesty", acmeInfo.Limits[0], ratelimit.Options{})
			return err
		},
		"other tiers": func(env driver.Env) error {
			_, err := env.Limiter("acme", acmeInfo.Limits[0], ratelimit.Options{})
			if err == nil {
				_, err = env.Limiter("acme", driver.Limit{Name: "api", Tiers: ratelimit.Tiers{{Requests: 1, Per: time.Second}}}, ratelimit.Options{})
			}
			return err
		},
	} {
		r := registry(t, driver.Options{}, driver.Definition{Info: acmeInfo, New: func(env driver.Env) (driver.Driver, error) {
			if f(env) == nil {
				t.Errorf("%s: accepted", name)
			}
			return newAcme(env)
		}})
		open(t, r, integration("1"))
	}
}

func TestZeroEnvWorks(t *testing.T) {
	d, err := newAcme(driver.Env{Integration: integration("1"), Transport: handler(t, func(http.ResponseWriter, *http.Request) {})})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := d.(*acme).source.Close(); err != nil {
		t.Error(err)
	}
}

func TestDriversAreMadeOnceAndBounded(t *testing.T) {
	var made atomic.Int64
	r := registry(t, driver.Options{MaxDrivers: 2}, driver.Definition{Info: acmeInfo, New: func(env driver.Env) (driver.Driver, error) {
		made.Add(1)
		return newAcme(env)
	}})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := r.OpenIntegration(t.Context(), integration("1")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("made %d times", n)
	}
	for _, id := range []string{"2", "1", "3", "1", "2"} { // 3 pushes 2 out, 2 pushes 3 out
		open(t, r, integration(id))
	}
	if n := made.Load(); n != 4 {
		t.Errorf("made %d times, want 4", n)
	}
}

func TestPanicInNewHurtsNobodyElse(t *testing.T) {
	first := true
	r := registry(t, driver.Options{}, driver.Definition{Info: acmeInfo, New: func(env driver.Env) (driver.Driver, error) {
		if first {
			first = false
			panic("a bug")
		}
		return newAcme(env)
	}})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = r.OpenIntegration(t.Context(), integration("1"))
	}()
	open(t, r, integration("1"))
	none := registry(t, driver.Options{}, driver.Definition{Info: acmeInfo, New: func(driver.Env) (driver.Driver, error) { return nil, nil }})
	if _, err := none.OpenIntegration(t.Context(), integration("1")); err == nil {
		t.Error("no driver and no error")
	}
}

func TestWaitingForAnotherOpenEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leave := make(chan struct{})
		r := registry(t, driver.Options{}, driver.Definition{Info: acmeInfo, New: func(env driver.Env) (driver.Driver, error) {
			<-leave
			return newAcme(env)
		}})
		go func() { _, _ = r.OpenIntegration(t.Context(), integration("1")) }()
		synctest.Wait()
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		if _, err := r.OpenIntegration(ctx, integration("1")); !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
		close(leave)
		synctest.Wait()
	})
}

func TestClosedRegistry(t *testing.T) {
	r := driver.NewRegistry(driver.Options{})
	if err := r.Register(driver.Definition{Info: acmeInfo, New: newAcme}); err != nil {
		t.Fatal(err)
	}
	a := open(t, r, integration("1"))
	for range 2 {
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.OpenIntegration(t.Context(), integration("1")); err == nil {
		t.Error("opened after Close")
	}
	if err := r.Register(driver.Definition{Info: driver.Info{Partner: "x"}, New: newAcme}); err == nil {
		t.Error("registered after Close")
	}
	if err := a.Check(t.Context()); err == nil {
		t.Error("called after Close")
	}
}

// The circuit of the partner as a whole opens on faults that two integrations see, and not before.
func TestPromise9_GateOpensOnFaultsOfSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		down := map[string]bool{}
		s := handler(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if down[r.Header.Get("X-Integration")] {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		set := func(is bool, ids ...string) {
			mu.Lock()
			defer mu.Unlock()
			for _, id := range ids {
				down[id] = is
			}
		}
		rec := &recorder{}
		r := registry(t, driver.Options{Transport: s, Telemetry: rec.telemetry(), Breaker: breaker.Config{MinCalls: 4, OpenFor: 10 * time.Second}})
		drivers := map[string]*acme{}
		for _, id := range []string{"a", "b", "d"} {
			drivers[id] = open(t, r, integration(id))
		}
		call := func(id string) *retry.Error {
			err := drivers[id].Check(t.Context())
			if err == nil {
				return nil
			}
			return asError(t, err)
		}
		set(true, "a")
		for range 50 {
			call("a")
		}
		if e := call("d"); e != nil {
			t.Fatalf("one integration closed the gate: %v", e)
		}
		time.Sleep(2 * time.Minute) // all windows are over
		set(true, "a", "b", "d")
		for range 4 {
			call("a")
			call("b")
		}
		before := s.requests()
		e := call("d")
		if e == nil || e.Class != retry.Unavailable || e.Scope != retry.Partner || e.Sent != retry.Never || e.At.IsZero() || s.requests() != before || !errors.Is(e, breaker.ErrOpen) {
			t.Fatalf("the partner is down and d may call: %+v", e)
		}
		if err := drivers["d"].api.Ready(t.Context(), "x"); err == nil {
			t.Error("Ready does not know")
		}
		contains(t, rec.text(), "integrationkit.gate.transitions", "msg=gate", "integrationkit.breaker.transitions", "msg=circuit", "integrationkit.token.refreshes")
		// Back, but for one: its failures do not keep the gate closed to the others.
		set(false, "b", "d")
		time.Sleep(time.Until(e.At))
		for _, id := range []string{"a", "d", "a", "b", "d"} {
			if e := call(id); e != nil && (e.Scope == retry.Partner || id != "a") {
				t.Errorf("%s: %v", id, e)
			}
		}
	})
}
