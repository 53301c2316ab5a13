package driver_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
)

func TestDriftCounts(t *testing.T) {
	r := &recorder{}
	tel := r.telemetry()
	var mu sync.Mutex
	told := 0
	tel.Drift = &driver.Drift{OnOddity: func(_ context.Context, partner string, o driver.Oddity) {
		mu.Lock()
		defer mu.Unlock()
		if told++; partner != "acme" || o.Kind != driver.KindResource {
			t.Errorf("%s %+v", partner, o)
		}
	}}
	s := handler(t, answer(200, "application/json", `{}`))
	c := client(t, s, func(c *driver.ClientConfig) { c.Telemetry = tel })
	odd := driver.Oddity{Kind: driver.KindResource, ID: "a", Field: "beds", Change: driver.ChangeType, Detail: "a text in place of a number"}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				c.Report(t.Context(), odd)
			}
		})
	}
	wg.Wait()
	lost := odd
	lost.ID, lost.Lost, lost.Detail = "b", true, "not a number"
	c.Report(t.Context(), lost)
	all := tel.Drift.Snapshot()
	if len(all) != 1 || all[0].Count != 101 || all[0].Lost != 1 || all[0].ID != "b" || all[0].Detail != "not a number" || all[0].First.After(all[0].Last) || told != 101 {
		t.Errorf("%+v, told %d times", all, told)
	}
	if got, want := r.metrics()[0], "integrationkit.decode.oddities{integrationkit.change=type,integrationkit.field=beds,integrationkit.kind=resource,integrationkit.partner=acme}"; got != want || len(r.metrics()) != 101 {
		t.Errorf("metrics %s, want %s", got, want)
	}
	if warned := strings.Count(r.text(), "level=WARN"); warned != 1 {
		t.Errorf("warned %d times: %s", warned, r.text())
	}
}

// However many fields a partner makes up, what is kept and what is measured is bounded, and nothing goes uncounted.
func TestDriftIsBounded(t *testing.T) {
	d := &driver.Drift{}
	c := client(t, handler(t, answer(200, "application/json", `{}`)), func(c *driver.ClientConfig) { c.Telemetry.Drift = d })
	const n = driver.MaxDrift + 500
	for i := range n {
		c.Report(t.Context(), driver.Oddity{Field: fmt.Sprint("f", i), Change: driver.ChangeType})
	}
	var total, others int64
	all := d.Snapshot()
	for _, e := range all {
		total += e.Count
		if e.Field == driver.OtherFields {
			others = e.Count
		}
	}
	if total != n || others != 500 || len(all) > driver.MaxDrift+1 {
		t.Errorf("%d counted of %d, %d under others, %d entries", total, n, others, len(all))
	}
}

func TestRegistryHasDrift(t *testing.T) {
	own := &driver.Drift{}
	if driver.NewRegistry(driver.Options{Telemetry: driver.Telemetry{Drift: own}}).Drift() != own {
		t.Error("the host's Drift is not used")
	}
	reg := driver.NewRegistry(driver.Options{})
	if reg.Drift() == nil || len(reg.Drift().Snapshot()) != 0 {
		t.Error("no Drift of its own")
	}
}
