package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// report shows what was done: what was imported, what it took of each partner, and the whole.
func report(ctx context.Context, out io.Writer, o options, runs []*task, took time.Duration) error {
	total, err := runs[0].m.counts(ctx)
	if err != nil {
		return err
	}
	imported(out, runs)
	spent(out, runs, total)
	ledgers(out, runs)

	line := func(name, text string) { fmt.Fprintf(out, "%-9s %s\n", name, text) }
	line("time", took.Round(10*time.Millisecond).String())
	var heap uint64
	for _, r := range runs {
		heap = max(heap, r.result.PeakHeap)
	}
	memory := "peak heap " + megabytes(heap)
	if rss := peakRSS(); rss > 0 {
		memory += ", peak resident " + megabytes(rss)
		if o.live == "" {
			memory += " with the simulated partners"
		}
	}
	line("memory", memory)
	db := o.db
	if info, err := os.Stat(db); err == nil {
		db += " (" + megabytes(uint64(max(info.Size(), 0))) + ")"
	}
	line("database", db)
	return nil
}

// table writes rows in columns, with an empty line before.
func table(out io.Writer, rows ...[]string) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	_ = w.Flush() // what it writes to is the program's output
}

// imported is the table of records.
func imported(out io.Writer, runs []*task) {
	rows := [][]string{strings.Fields("partner kind items added updated unchanged restored deleted rejected stale complete time")}
	var sum importer.Counts
	row := func(partner, kind string, c importer.Counts, complete string, took time.Duration) {
		r := []string{partner, kind}
		for _, n := range []int{c.Items, c.Added, c.Updated, c.Unchanged, c.Restored, c.Deleted, c.Rejected, c.Stale} {
			r = append(r, fmt.Sprint(n))
		}
		rows = append(rows, append(r, complete, seconds(took)))
	}
	all, slowest := "yes", time.Duration(0)
	for _, r := range runs {
		for _, k := range r.result.Kinds {
			row(r.p.name, string(k.Kind), k.Counts, complete(k), k.Duration)
			sum = plus(sum, k.Counts)
		}
		if len(r.result.Kinds) == 0 {
			row(r.p.name, "-", importer.Counts{}, "no", r.took)
		}
		if !r.complete() {
			all = "no"
		}
		slowest = max(slowest, r.took)
	}
	row("total", "", sum, all, slowest)
	table(out, rows...)
}

func plus(a, b importer.Counts) importer.Counts {
	a.Items, a.Added, a.Updated, a.Unchanged = a.Items+b.Items, a.Added+b.Added, a.Updated+b.Updated, a.Unchanged+b.Unchanged
	a.Restored, a.Deleted, a.Rejected, a.Stale = a.Restored+b.Restored, a.Deleted+b.Deleted, a.Rejected+b.Rejected, a.Stale+b.Stale
	return a
}

// spent is the table of requests, as this host counted them.
func spent(out io.Writer, runs []*task, of map[string]*counts) {
	rows := [][]string{{"partner", "requests", "retries", "429s", "failed", "tokens", "waited for limits", "between attempts", "time", "estimated"}}
	row := func(name string, c counts, took, plan string) {
		rows = append(rows, []string{
			name, fmt.Sprint(c.requests), fmt.Sprint(c.retries()), fmt.Sprint(c.throttled), fmt.Sprint(c.failed), fmt.Sprint(c.refreshes),
			fmt.Sprintf("%.1f s", c.waited["limiter"]), fmt.Sprintf("%.1f s", c.waited["backoff"]), took, plan,
		})
	}
	sum := counts{waited: map[string]float64{}}
	for _, r := range runs {
		c := of[r.p.name]
		if c == nil {
			c = &counts{}
		}
		plan := "-"
		if r.plan.Calls > 0 {
			plan = seconds(r.plan.Duration)
		}
		row(r.p.name, *c, seconds(r.took), plan)
		sum.requests, sum.calls, sum.throttled = sum.requests+c.requests, sum.calls+c.calls, sum.throttled+c.throttled
		sum.failed, sum.refreshes = sum.failed+c.failed, sum.refreshes+c.refreshes
		for why, s := range c.waited {
			sum.waited[why] += s
		}
	}
	row("total", sum, "", "")
	table(out, rows...)
}

// ledgers is the table of what the simulated partners counted at their doors.
func ledgers(out io.Writer, runs []*task) {
	rows := [][]string{{"ledger of", "requests", "violations", "429s", "faults", "fullest window", "use of the binding limit"}}
	var notes []string
	requests, violations, throttled, faults := 0, 0, 0, 0
	for _, r := range runs {
		if r.p.sim == nil {
			limits(out, r)
			continue
		}
		rep := r.p.sim.Report()
		n := 0
		for _, times := range rep.Faults {
			n += times
		}
		window, use := r.use(rep)
		rows = append(rows, []string{r.p.name, fmt.Sprint(rep.Requests), fmt.Sprint(rep.Violations), fmt.Sprint(rep.Throttled), fmt.Sprint(n), window, use})
		requests, violations, throttled, faults = requests+rep.Requests, violations+rep.Violations, throttled+rep.Throttled, faults+n
		for _, note := range rep.Unexpected {
			notes = append(notes, fmt.Sprintf("%s did not expect: %s", r.p.name, note))
		}
	}
	if len(rows) > 1 {
		rows = append(rows, []string{"total", fmt.Sprint(requests), fmt.Sprint(violations), fmt.Sprint(throttled), fmt.Sprint(faults), "", ""})
		table(out, rows...)
	}
	fmt.Fprintln(out)
	for _, note := range notes {
		fmt.Fprintln(out, note)
	}
}

// use returns the fullest window of the tier that bound the run, and how much of what it allows was used.
func (r *task) use(rep partnersim.Report) (window, use string) {
	best := -1.0
	for _, t := range rep.Tiers {
		if t.Tier.Requests == 0 || t.Quota == "token" {
			continue
		}
		if share := 100 * t.Share / achievable(t.Tier, r.p.latency); share > best {
			best = share
			window = fmt.Sprintf("%d of %d", t.Worst, t.Tier.Requests)
			use = fmt.Sprintf("%.1f %% of %s", share, tierName(t.Tier))
		}
	}
	return window, use
}

// limits shows how much of a real partner's limits was used, by our own count.
func limits(out io.Writer, r *task) {
	if r.d == nil {
		return
	}
	c, err := r.m.of(context.Background(), r.p.name)
	if err != nil {
		return // a reader that was shut down
	}
	fmt.Fprintln(out)
	for _, l := range r.d.Info().Limits {
		for _, t := range l.Tiers {
			if t.Requests > 0 {
				allowed := float64(t.Requests) * max(1, r.took.Seconds()/t.Per.Seconds())
				fmt.Fprintf(out, "limit %s: %d in %v; %.0f %% of that used\n", tierName(t), t.Requests, t.Per, 100*float64(c.requests)/allowed)
			}
		}
	}
}

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
		s = append(s, "yes (changes)") // since the last complete run, or out of a queue
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

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

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
