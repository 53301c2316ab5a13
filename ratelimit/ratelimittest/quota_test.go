package ratelimittest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	ratelimittest.Quota(t, func(t *testing.T, tiers ratelimit.Tiers) ratelimit.Quota {
		m, err := ratelimit.NewMemory(tiers)
		if err != nil {
			t.Fatal(err)
		}
		return m
	})
}

func TestMemoryJoins(t *testing.T) {
	ratelimittest.Joiner(t, func(t *testing.T, tiers ...ratelimit.Tiers) (all []ratelimit.Joiner) {
		for _, ts := range tiers {
			m, err := ratelimit.NewMemory(ts)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		return all
	})
}
