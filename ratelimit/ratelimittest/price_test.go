package ratelimittest_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
)

// What docs/limits.md says that latency costs is what it costs.
func TestThePriceIsAsPublished(t *testing.T) {
	doc, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	tiers := map[string]ratelimit.Tier{}
	for _, tier := range []ratelimit.Tier{
		{Requests: 15, Per: time.Second}, {Requests: 120, Per: time.Minute}, {Requests: 5000, Per: time.Hour},
	} {
		tiers[tier.String()] = tier
	}
	latencies := []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, time.Second, 5 * time.Second}
	row := regexp.MustCompile(`(?m)^\| (\S+) \| ([0-9.]+) % \| ([0-9.]+) % \| ([0-9.]+) % \| ([0-9.]+) % \|$`)
	rows := row.FindAllSubmatch(doc, -1)
	if len(rows) != len(tiers) {
		t.Fatalf("%d rows in the table, want %d", len(rows), len(tiers))
	}
	for _, r := range rows {
		tier, ok := tiers[string(r[1])]
		if !ok {
			t.Fatalf("no tier %s", r[1])
		}
		for i, latency := range latencies {
			published, err := strconv.ParseFloat(string(r[2+i]), 64)
			if err != nil {
				t.Fatal(err)
			}
			m := ratelimittest.Model{
				Tiers: ratelimit.Tiers{tier}, Latency: ratelimittest.Uniform(latency, latency),
				Loads: []ratelimittest.Load{{Callers: 500}}, For: 13 * tier.Per,
			}
			rep := m.Run(t, func(t *testing.T) ratelimittest.Do { return kit(t, ratelimit.Options{}, tier) })
			if err := rep.Err(); err != nil {
				t.Error(err)
			}
			formula := 100 * float64(tier.Per) / float64(tier.Per+latency)
			if math.Abs(formula-published) > 0.06 {
				t.Errorf("%v at %v: published %.1f %%, the formula says %.1f %%", tier, latency, published, formula)
			}
			// Whole windows: one more or less is a twelfth of a few.
			least, most := published-100.0/64-1, published+100.0/12
			if got := 100 * rep.Tiers[0].Used; got < least || got > most {
				t.Errorf("%v at %v: published %.1f %%, measured %.1f %%", tier, latency, published, got)
			}
		}
	}
}
