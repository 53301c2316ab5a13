package ratelimittest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
	"github.com/integrationkit/integrationkit/retry"
)

// scoped is a partner that limits accounts, the application and one endpoint.
func scoped(seed uint64) ratelimittest.Model {
	m := ratelimittest.Model{
		Tiers: ratelimit.Tiers{{Requests: 5, Per: time.Second}, {Requests: 60, Per: time.Minute}},
		Scopes: []ratelimittest.Scope{
			{Name: "application", Tiers: ratelimit.Tiers{{Requests: 400, Per: time.Minute}, {Concurrent: 40}}},
			{
				Name: "messages", Tiers: ratelimit.Tiers{{Requests: 3, Per: time.Minute}},
				Key: func(c ratelimit.Call) (string, bool) { return c.Key, c.Op == "messages" },
			},
		},
		Latency: ratelimittest.LogNormal(200*time.Millisecond, 2*time.Second),
		Lost:    0.01, Unsent: 0.01, For: 20 * time.Minute, Seed: seed,
	}
	for i := range 20 {
		c := ratelimit.Call{Key: fmt.Sprint("account-", i), Tenant: fmt.Sprint("integration-", i)}
		m.Loads = append(m.Loads, ratelimittest.Load{Call: c, Callers: 5})
		if i%4 == 0 {
			c.Op = "messages"
			m.Loads = append(m.Loads, ratelimittest.Load{Call: c, Callers: 2, Pause: 10 * time.Second})
		}
	}
	return m
}

// ruled is the kit's Set for it, less the rules that are left out.
func ruled(t *testing.T, m ratelimittest.Model, without string) ratelimittest.Do {
	t.Helper()
	limiter := func(tiers ratelimit.Tiers) *ratelimit.Limiter {
		l, err := ratelimit.New(tiers, ratelimit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	var rules []ratelimit.Rule
	for _, r := range []ratelimit.Rule{
		{Name: "account", Limiter: limiter(m.Tiers)},
		{
			Name: "application", Limiter: limiter(m.Scopes[0].Tiers), Scope: retry.Partner,
			Key: func(ratelimit.Call) string { return "" },
		},
		{Name: "messages", Limiter: limiter(m.Scopes[1].Tiers), Ops: []string{"messages"}},
	} {
		if r.Name != without {
			rules = append(rules, r)
		}
	}
	set, err := ratelimit.NewSet(rules...)
	if err != nil {
		t.Fatal(err)
	}
	return ratelimittest.Of(set)
}

func TestPromise3_ModelOfScopes(t *testing.T) {
	for seed := range uint64(4) {
		m := scoped(seed)
		rep := m.Run(t, func(t *testing.T) ratelimittest.Do { return ruled(t, m, "") })
		if err := rep.Err(); err != nil {
			t.Error(err)
		}
		if app := rep.Tiers[2]; app.Scope != "application" || app.Share < 0.9 || rep.Throttled > 0 {
			t.Errorf("the application's limit was not used: %v", rep)
		}
		if rep.Jain < 0.95 || rep.Least < 0.5 {
			t.Errorf("accounts do not share the application's limit fairly: %v", rep)
		}
	}
	// Whatever is left out is noticed, and named.
	for without, name := range map[string]string{
		"account":     "tier 5/1s can",
		"application": "tier 400/1m0s of application can",
		"messages":    "tier 3/1m0s of messages can",
	} {
		m := scoped(1)
		rep := m.Run(t, func(t *testing.T) ratelimittest.Do { return ruled(t, m, without) })
		if err := rep.Err(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: got %v, want %q", without, err, name)
		}
	}
}

func TestScopesAreChecked(t *testing.T) {
	err := ratelimittest.Model{
		For: time.Minute, Loads: []ratelimittest.Load{{}},
		Scopes: []ratelimittest.Scope{{Tiers: ratelimit.Tiers{{Requests: 1}}}},
	}.Validate()
	for _, want := range []string{"scope 0 has no Name", "Per is 0s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	// A partner may have no limits for each key.
	m := ratelimittest.Model{
		For: 10 * time.Minute, Loads: []ratelimittest.Load{{Callers: 5}},
		Scopes: []ratelimittest.Scope{{Name: "application", Tiers: ratelimit.Tiers{{Requests: 6, Per: time.Minute}}}},
	}
	tier := m.Scopes[0].Tiers[0]
	rep := m.Run(t, func(t *testing.T) ratelimittest.Do { return kit(t, ratelimit.Options{}, tier) })
	if rep.Err() != nil || len(rep.Tiers) != 1 || rep.Tiers[0].Worst != 6 {
		t.Errorf("%v: %v", rep, rep.Err())
	}
}
