package drivertest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

// stream is one of the driver's lists.
type stream struct {
	capability string
	kind       driver.Kind
	want       int // items, 0 if the harness does not say
	resumable  bool
	has        func(driver.Driver) bool
	open       func(ctx context.Context, g *rig, q driver.Query) iter.Seq2[page, error]
}

// page is a page of any kind.
type page struct {
	ids        []string
	problems   []string // what is wrong with its records
	rejected   []string // the ids of what was, "" for those without
	next       pagination.Cursor
	incomplete string
	sent       time.Time
}

func streams(h Harness) []stream {
	return []stream{
		{
			capability: "ResourceLister", kind: driver.KindResource, want: h.Resources, resumable: true,
			has: func(d driver.Driver) bool { _, ok := d.(driver.ResourceLister); return ok },
			open: func(ctx context.Context, g *rig, q driver.Query) iter.Seq2[page, error] {
				return pages(g, g.driver.(driver.ResourceLister).Resources(ctx, q), func(r driver.Resource) driver.Record { return r.Record })
			},
		},
		{
			capability: "TransactionLister", kind: driver.KindTransaction, want: h.Transactions, resumable: true,
			has: func(d driver.Driver) bool { _, ok := d.(driver.TransactionLister); return ok },
			open: func(ctx context.Context, g *rig, q driver.Query) iter.Seq2[page, error] {
				return pages(g, g.driver.(driver.TransactionLister).Transactions(ctx, q), func(t driver.Transaction) driver.Record { return t.Record })
			},
		},
		{
			capability: "MediaLister", kind: driver.KindMedia, want: h.Media,
			has: func(d driver.Driver) bool { _, ok := d.(driver.MediaLister); return ok },
			open: func(ctx context.Context, g *rig, q driver.Query) iter.Seq2[page, error] {
				id, err := g.resource()
				if err != nil {
					return pages(g, pagination.Fail[driver.Media]("", err), func(m driver.Media) driver.Record { return m.Record })
				}
				return pages(g, g.driver.(driver.MediaLister).Media(ctx, id), func(m driver.Media) driver.Record { return m.Record })
			},
		},
		{
			capability: "CalendarLister", kind: driver.KindDay, want: h.Days,
			has: func(d driver.Driver) bool { _, ok := d.(driver.CalendarLister); return ok },
			open: func(ctx context.Context, g *rig, q driver.Query) iter.Seq2[page, error] {
				day := func(d driver.Day) driver.Record {
					k := d.Key()
					return driver.Record{ID: strings.Join([]string{k.ResourceID, k.UnitID, k.RatePlanID, k.Date.String()}, "/"), Raw: d.Raw, AdapterVersion: d.AdapterVersion}
				}
				id, err := g.resource()
				if err != nil {
					return pages(g, pagination.Fail[driver.Day]("", err), day)
				}
				return pages(g, g.driver.(driver.CalendarLister).Calendar(ctx, id, h.CalendarFrom, h.CalendarTo), day)
			},
		},
	}
}

// resource returns the id of the first resource there is. It asks a rig of its own, so that the calls of this one are the media's.
func (g *rig) resource() (string, error) {
	if g.r.mediaOf != "" {
		return g.r.mediaOf, nil
	}
	other := g.r.open(Conditions{})
	defer other.close()
	l, ok := other.driver.(driver.ResourceLister)
	if !ok {
		return "", errors.New("drivertest: Harness.MediaOf is needed for a driver that lists no resources")
	}
	for p, err := range l.Resources(other.ctx, driver.Query{}) {
		if err != nil {
			return "", err
		}
		if len(p.Items) > 0 {
			g.r.mediaOf = p.Items[0].ID
			return g.r.mediaOf, nil
		}
	}
	return "", errors.New("drivertest: the partner has no resource")
}

// pages makes pages of any kind of the driver's.
func pages[T any](g *rig, seq pagination.Pages[T], record func(T) driver.Record) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		versions := g.driver.Info().AdapterVersions
		for p, err := range seq {
			q := page{next: p.Next, incomplete: p.Incomplete, sent: p.Sent}
			for _, r := range p.Rejected {
				q.rejected = append(q.rejected, r.ID)
			}
			for _, it := range p.Items {
				r := record(it)
				q.ids = append(q.ids, r.ID)
				if err := driver.Validate(it); err != nil {
					q.problems = append(q.problems, err.Error())
				}
				if len(r.Raw) == 0 {
					q.problems = append(q.problems, "a record has no Raw")
				}
				if !slices.Contains(versions, r.AdapterVersion) {
					q.problems = append(q.problems, fmt.Sprintf("a record's AdapterVersion %q is none of Info's", r.AdapterVersion))
				}
			}
			if len(p.Items) > 0 && err != nil {
				q.problems = append(q.problems, "the page that comes with an error has items")
			}
			if !yield(q, g.saw(err)) {
				return
			}
		}
	}
}

// listing is what a list gave.
type listing struct {
	ids        []string
	pages      []page
	incomplete string
	err        error
	next       pagination.Cursor // after an error
}

// rejected is how many items were.
func (l listing) rejected() int {
	n := 0
	for _, p := range l.pages {
		n += len(p.rejected)
	}
	return n
}

// silent is how many of the items there are were neither listed nor rejected. What is rejected stands for the item of its id; where rows
// hold many days, for all days of which that is a part, of the rate say; and without such an id for any one.
func (l listing) silent(all []string) int {
	said := map[string]bool{}
	for _, p := range l.pages {
		for _, id := range p.rejected {
			said[id] = false
		}
	}
	lost := 0
	for _, id := range all {
		if slices.Contains(l.ids, id) {
			continue
		}
		parts := append(strings.Split(id, "/"), id)
		i := slices.IndexFunc(parts, func(part string) bool { _, ok := said[part]; return part != "" && ok })
		if i < 0 {
			lost++
			continue
		}
		said[parts[i]] = true
	}
	for _, p := range l.pages {
		for _, id := range p.rejected {
			if !said[id] {
				lost--
			}
		}
	}
	return max(lost, 0)
}

// list reads a list from a query to its end or first error.
func (g *rig) list(ctx context.Context, s stream, q driver.Query) listing {
	g.r.Helper()
	var l listing
	ended := false
	for p, err := range s.open(ctx, g, q) {
		if ended {
			g.r.Errorf("%s: something is yielded after the end", s.capability)
			break
		}
		for _, problem := range p.problems {
			g.r.Errorf("%s: %s", s.capability, problem)
		}
		if err != nil {
			l.err, l.next, ended = err, p.next, true
			if p.next == "" {
				g.r.Errorf("%s: the page with the error has no Next, where a later run would go on", s.capability)
			}
			continue
		}
		l.pages = append(l.pages, p)
		l.ids = append(l.ids, p.ids...)
		l.incomplete = p.incomplete
		ended = p.next == ""
	}
	return l
}

// whole reads a list that nothing disturbs: what there is to be read.
func (r *runner) whole(s stream) listing {
	r.Helper()
	g := r.open(Conditions{})
	defer g.close()
	l := g.list(g.ctx, s, driver.Query{})
	switch {
	case l.err != nil:
		r.Fatalf("%s: an undisturbed list: %v", s.capability, l.err)
	case len(l.ids) == 0:
		r.Fatalf("%s: an undisturbed list has no items", s.capability)
	}
	return l
}

// through reads a list to its end, going on after each error from where it says, as a later run would. It returns how often it had to.
func (g *rig) through(s stream, q driver.Query) (listing, int) {
	g.r.Helper()
	var all listing
	for again := 0; ; again++ {
		l := g.list(g.ctx, s, q)
		all.ids, all.pages, all.incomplete = append(all.ids, l.ids...), append(all.pages, l.pages...), l.incomplete
		all.err = l.err
		if l.err == nil || again == 5 || g.ctx.Err() != nil {
			return all, again
		}
		q.Cursor = l.next
		if !s.resumable || q.Cursor.IsZero() {
			all.ids, all.pages = nil, nil
		}
		time.Sleep(2 * time.Minute) // a circuit, a park or a cool-down ends
	}
}

// same compares what was listed with what there is.
func same(got, want []string) string {
	seen := map[string]int{}
	for _, id := range got {
		seen[id]++
	}
	lost, twice := 0, 0
	for _, id := range want {
		switch seen[id] {
		case 0:
			lost++
		case 1:
		default:
			twice++
		}
		delete(seen, id)
	}
	if lost+twice+len(seen) == 0 {
		return ""
	}
	return fmt.Sprintf("of %d items %d are lost, %d came twice, and %d are not the partner's", len(want), lost, twice, len(seen))
}
