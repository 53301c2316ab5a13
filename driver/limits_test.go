package driver_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// The limits of a partner that counts by address, by account, and messages by themselves.
var harbourLimits = []driver.Limit{
	{Name: "address", SharedBy: "everybody", Tiers: ratelimit.Tiers{{Requests: 200, Per: time.Minute}}, Scope: retry.Partner},
	{Name: "account", SharedBy: "account", Tiers: ratelimit.Tiers{{Requests: 100, Per: time.Minute}}, Unless: []string{"messages"}},
	{Name: "messages", SharedBy: "account", Tiers: ratelimit.Tiers{{Requests: 10, Per: time.Minute}}, Ops: []string{"messages.*"}, Cost: 2},
}

type port struct {
	driver.Driver
	api *driver.Client
	set *ratelimit.Set
}

func openPort(t *testing.T, o driver.Options, rt http.RoundTripper, id, account string) (*port, error) {
	t.Helper()
	r := driver.NewRegistry(o)
	t.Cleanup(func() {
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	err := r.Register(driver.Definition{
		Info: driver.Info{Partner: "harbour", Limits: harbourLimits},
		New: func(env driver.Env) (driver.Driver, error) {
			in := env.Integration
			limits, err := env.Limits("harbour",
				driver.Charge{Limit: harbourLimits[0]},
				driver.Charge{Limit: harbourLimits[1], Key: in.Account},
				driver.Charge{Limit: harbourLimits[2], Key: in.Account},
			)
			if err != nil {
				return nil, err
			}
			h := &port{set: limits}
			h.api, err = env.Client(driver.ClientConfig{BaseURL: base, Limiter: limits, Transport: rt, Retry: retry.Policy{MaxAttempts: 1}})
			return h, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.OpenIntegration(t.Context(), driver.Integration{ID: id, Partner: "harbour", Account: account})
	if err != nil {
		return nil, err
	}
	return d.(*port), nil
}

// A call is charged to every limit that is for its operation, and refused for the one that has no room.
func TestLimitsChargedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := openPort(t, driver.Options{}, handler(t, answer(200, "application/json", "{}")), "i-1", "a-1")
		if err != nil {
			t.Fatal(err)
		}
		ctx := retry.WithMaxWait(t.Context(), 0)
		for i := range 5 {
			if _, err := h.api.Do(ctx, driver.Call{Op: "messages.send", Path: "/messages"}); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		if _, err := h.api.Do(ctx, driver.Call{Op: "listings.list", Path: "/listings"}); err != nil {
			t.Fatal(err)
		}
		_, err = h.api.Do(ctx, driver.Call{Op: "messages.send", Path: "/messages"})
		if e := asError(t, err); e.Class != retry.RateLimit || !e.At.Equal(time.Now().Add(time.Minute)) {
			t.Errorf("the sixth message: %v until %v", err, e.At)
		}
		if err := h.api.Ready(ctx, "messages.send"); retry.ClassOf(err) != retry.RateLimit {
			t.Errorf("Ready: %v, want that messages are spent", err)
		}
		if err := h.api.Ready(ctx, "listings.list"); err != nil {
			t.Errorf("Ready: %v", err)
		}
		want := map[string]int64{"address": 6, "messages": 10}
		us, err := h.set.Usage(ctx, ratelimit.Call{Op: "messages.send"})
		if err != nil || len(us) != 2 {
			t.Fatalf("%+v, %v", us, err)
		}
		for _, u := range us {
			if u.Tiers[0].Used != want[u.Rule] {
				t.Errorf("%s: %d used, want %d", u.Rule, u.Tiers[0].Used, want[u.Rule])
			}
		}
	})
}

// The host overrides each by its name.
func TestLimitsByName(t *testing.T) {
	mine := ratelimit.Tiers{{Requests: 4, Per: time.Minute}}
	h, err := openPort(t, driver.Options{Tiers: map[string]ratelimit.Tiers{"harbour/messages": mine}}, nil, "i-1", "a-1")
	if err != nil {
		t.Fatal(err)
	}
	us, err := h.set.Usage(t.Context(), ratelimit.Call{Op: "messages.list"})
	if err != nil || len(us) != 2 || us[1].Tiers[0].Limit != 4 || us[1].Key != "a-1" || us[0].Key != "" {
		t.Errorf("%+v, %v", us, err)
	}
	tooNarrow := ratelimit.Tiers{{Requests: 1, Per: time.Minute}}
	if _, err = openPort(t, driver.Options{Tiers: map[string]ratelimit.Tiers{"harbour/messages": tooNarrow}}, nil, "i-1", "a-1"); err == nil {
		t.Error("a tier that admits no message is taken")
	} else {
		contains(t, err.Error(), "messages", "Cost 2 is above the limit")
	}
	if _, err = openPort(t, driver.Options{Tiers: map[string]ratelimit.Tiers{"harbour/mesages": mine}}, nil, "i-1", "a-1"); err == nil {
		t.Error("an override that matches nothing is taken")
	}
}

func TestLimitsThatCannotBe(t *testing.T) {
	tiers := ratelimit.Tiers{{Requests: 10, Per: time.Minute}}
	err := driver.NewRegistry(driver.Options{}).Register(driver.Definition{
		New: func(driver.Env) (driver.Driver, error) { return nil, errors.New("not reached") },
		Info: driver.Info{Partner: "harbour", Limits: []driver.Limit{
			{Name: "all", Tiers: tiers},
			{Name: "never", Tiers: tiers, Unless: []string{"all", "nothing"}},
			{Name: "paths", Tiers: tiers, Ops: []string{"POST /messages", "m*ssages"}},
			{Name: "dear", Tiers: tiers, Cost: 11},
		}},
	})
	if err == nil {
		t.Fatal("registered")
	}
	contains(t, err.Error(), "this one is for none", `"nothing"`, `"POST /messages" is a path`, `"m*ssages"`, "Cost 11")

	env := driver.Env{Integration: driver.Integration{ID: "i-1", Partner: "harbour"}}
	if _, err := env.Limiter("harbour", harbourLimits[2], ratelimit.Options{}); err == nil || !strings.Contains(err.Error(), "use Limits") {
		t.Errorf("a limit for some operations as one for all: %v", err)
	}
	if _, err := env.Limits("harbour", driver.Charge{Limit: harbourLimits[1]}); err == nil || !strings.Contains(err.Error(), "messages") {
		t.Errorf("an Unless that is not charged: %v", err)
	}
	if _, err := env.Limits("harbour", driver.Charge{Limit: driver.Limit{Name: "x"}}); err == nil {
		t.Error("a limit without tiers is charged")
	}
	for _, l := range []driver.Limiter{(*ratelimit.Limiter)(nil), (*ratelimit.Set)(nil)} {
		c := client(t, handler(t, answer(200, "application/json", "{}")), func(c *driver.ClientConfig) { c.Limiter = l })
		if _, err := c.Do(t.Context(), driver.Call{Op: "x", Path: "/"}); err != nil {
			t.Errorf("a limiter that is nil: %v", err)
		}
	}
}
