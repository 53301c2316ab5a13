package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// report is what is shown at the end.
type report struct {
	p      *partner
	d      driver.Driver
	o      options
	result importer.Result
	total  counts
	took   time.Duration
	plan   importer.Estimated
}

func (r report) print(out io.Writer) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "kind\titems\tadded\tupdated\tunchanged\trestored\tdeleted\trejected\tstale\tcomplete\ttime")
	for _, k := range r.result.Kinds {
		c := k.Counts
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%v\n", k.Kind, c.Items, c.Added, c.Updated, c.Unchanged, c.Restored, c.Deleted, c.Rejected, c.Stale,
			complete(k), k.Duration.Round(10*time.Millisecond))
	}
	_ = w.Flush() // what it writes to is the program's output
	fmt.Fprintln(out)
	c := r.total
	r.line(out, "requests", fmt.Sprintf("%d, retries %d, 429s %d, other failures %d, tokens asked for %d", c.requests, c.retries(), c.throttled, c.failed, c.refreshes))
	r.line(out, "waited", fmt.Sprintf("%.1f s for the limits, %.1f s between attempts, %.1f s for tokens, by all callers together",
		c.waited["limiter"], c.waited["backoff"], c.waited["auth"]))
	r.quota(out)
	r.line(out, "time", fmt.Sprintf("%v, estimated %v", r.took.Round(10*time.Millisecond), r.plan.Duration.Round(10*time.Millisecond)))
	memory := "peak heap " + megabytes(r.result.PeakHeap)
	if rss := peakRSS(); rss > 0 {
		memory += ", peak resident " + megabytes(rss)
		if r.p.sim != nil {
			memory += " with the simulated partner"
		}
	}
	r.line(out, "memory", memory)
	db := r.o.db
	if info, err := os.Stat(db); err == nil {
		db += " (" + megabytes(uint64(max(info.Size(), 0))) + ")"
	}
	r.line(out, "database", db)
}

func (r report) line(out io.Writer, name, text string) { fmt.Fprintf(out, "%-10s %s\n", name, text) }

// complete says what a kind's pass came to.
func complete(k importer.KindResult) string {
	var s []string
	switch {
	case !k.Complete:
		s = append(s, "no: "+k.Why)
	case k.DoneBefore:
		s = append(s, "yes, by the run before")
	case k.Whole:
		s = append(s, "yes")
	default:
		s = append(s, "yes (changes)")
	}
	if k.Resumed {
		s = append(s, "resumed")
	}
	if k.Kept != "" {
		s = append(s, k.Kept)
	}
	if k.Failed > 0 {
		s = append(s, fmt.Sprintf("%d resources failed", k.Failed))
	}
	return strings.Join(s, ", ")
}

// quota shows how much of each limit was used: against the real partner by our own count, against the simulated one by its.
func (r report) quota(out io.Writer) {
	if r.p.sim == nil {
		for _, l := range r.d.Info().Limits {
			for _, t := range l.Tiers {
				if t.Requests > 0 {
					allowed := float64(t.Requests) * max(1, r.took.Seconds()/t.Per.Seconds())
					r.line(out, "limit", fmt.Sprintf("%s: %d in %v; %.0f %% of that used", tierName(t), t.Requests, t.Per, 100*float64(r.total.requests)/allowed))
				}
			}
		}
		return
	}
	rep := r.p.sim.Report()
	binding, name := 0.0, ""
	for _, t := range rep.Tiers {
		if t.Quota == "token" {
			continue
		}
		use := fmt.Sprintf("worst window %d of %d", t.Worst, t.Tier.Requests+t.Tier.Concurrent)
		if t.Tier.Requests > 0 {
			share := 100 * t.Share / achievable(t.Tier, r.p.latency)
			use += fmt.Sprintf(" in %v; %.1f %% of the achievable rate used", t.Tier.Per.Round(time.Millisecond), share)
			if share > binding {
				binding, name = share, tierName(t.Tier)
			}
		}
		r.line(out, "limit", tierName(t.Tier)+": "+use)
	}
	r.line(out, "partner", fmt.Sprintf("its ledger has %d requests, %d violations and %d 429s", rep.Requests, rep.Violations, rep.Throttled))
	if name != "" {
		r.line(out, "use", fmt.Sprintf("%.1f %% of what the binding limit (%s) allows, N·W/(W+latency)", binding, name))
	}
	for kind, n := range rep.Faults {
		r.line(out, "fault", fmt.Sprintf("%s, %d times", kind, n))
	}
	for _, note := range rep.Unexpected {
		r.line(out, "unexpected", note)
	}
}

// achievable is the part of a tier that a client can use which waits out the latency in each window: W/(W+L).
func achievable(t ratelimit.Tier, latency time.Duration) float64 {
	return float64(t.Per) / float64(t.Per+latency)
}

func tierName(t ratelimit.Tier) string {
	if t.Name != "" {
		return t.Name
	}
	return t.String()
}
