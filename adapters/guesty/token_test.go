package guesty_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// A host that shares the client id with others gives the kit a part of its token quota.
func TestTokenBudgetIsReplacedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, err := guestytest.NewServer(guestytest.Config{Listings: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer sim.Close()
		reg := driver.NewRegistry(driver.Options{
			Transport: sim.Transport(),
			Tiers:     map[string]ratelimit.Tiers{"guesty/token": {{Requests: 1, Per: time.Hour}}},
		})
		defer reg.Close(t.Context())
		if err := guesty.Register(reg); err != nil {
			t.Fatal(err)
		}
		d, err := reg.OpenIntegration(t.Context(), sim.Integration("one"))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		sim.RevokeTokens()
		time.Sleep(time.Minute)
		err = d.Check(t.Context())
		if retry.ClassOf(err) == retry.OK || sim.TokensIssued() != 1 {
			t.Errorf("after a revocation: %v, with %d tokens issued; want a refusal and 1", err, sim.TokensIssued())
		}
		time.Sleep(time.Hour + time.Minute)
		for range 3 { // the first may still be told of the refusal
			if err = d.Check(t.Context()); err == nil {
				break
			}
			time.Sleep(5 * time.Minute)
		}
		if err != nil || sim.TokensIssued() != 2 {
			t.Errorf("an hour later: %v, with %d tokens issued; want 2", err, sim.TokensIssued())
		}
	})
}

func TestTokenBudgetIsOneTier(t *testing.T) {
	sim, err := guestytest.NewServer(guestytest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	reg := driver.NewRegistry(driver.Options{
		Transport: sim.Transport(),
		Tiers:     map[string]ratelimit.Tiers{"guesty/token": {{Requests: 1, Per: time.Hour}, {Concurrent: 1}}},
	})
	defer reg.Close(t.Context())
	if err := guesty.Register(reg); err != nil {
		t.Fatal(err)
	}
	if _, err := reg.OpenIntegration(t.Context(), sim.Integration("one")); err == nil {
		t.Error("two tiers were taken for the budget of a token endpoint")
	}
}
