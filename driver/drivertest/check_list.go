package drivertest

import (
	"errors"
	"iter"
	"reflect"
	"slices"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

func checkInfo(r *runner) {
	g := r.open(Conditions{})
	defer g.close()
	info := g.driver.Info()
	if !reflect.DeepEqual(info, g.driver.Info()) {
		r.Error("info: Info is not the same every time")
	}
	if info.Partner == "" || info.Partner != g.partner.Integration.Partner {
		r.Errorf("info: Partner is %q, the integration's %q", info.Partner, g.partner.Integration.Partner)
	}
	if info.Title == "" || info.APIVersion == "" || len(info.AdapterVersions) == 0 {
		r.Error("info: Title, APIVersion or AdapterVersions is empty")
	}
	if len(info.Limits) == 0 {
		r.Error("info: no Limits: what a partner allows is declared, also when it is a guess")
	}
	for _, l := range info.Limits {
		if err := l.Tiers.Validate(); err != nil || len(l.Tiers) == 0 {
			r.Errorf("info: limit %q: %d tiers, %v", l.Name, len(l.Tiers), err)
		}
		if l.Name == "" || l.SharedBy == "" || l.Source == "" {
			r.Errorf("info: limit %q does not say its name, who shares it, or where its numbers come from", l.Name)
		}
	}
	for name := range g.partner.Integration.Credentials {
		if !slices.Contains(info.Credentials, name) {
			r.Errorf("info: Credentials does not name %q, which the integration has", name)
		}
	}
	lists := map[driver.Kind]bool{}
	for _, s := range streams(r.h) {
		lists[s.kind] = s.has(g.driver)
	}
	for _, k := range info.Incremental {
		if !lists[k] {
			r.Errorf("info: Incremental names %q, which the driver does not list", k)
		}
	}
	if n := g.wire.total(); n > 0 {
		r.Errorf("info: making the driver and asking for Info sent %d requests", n)
	}
}

func checkCheck(r *runner) {
	g := r.open(Conditions{})
	if err := g.saw(g.driver.Check(g.ctx)); err != nil {
		r.Errorf("check: %v", err)
	}
	g.unexpected("check")
	if n := len(g.wire.seen()); n == 0 {
		r.Error("check: Check sent nothing")
	} else if n > 2 {
		r.Errorf("check: Check made %d calls, want one cheap one", n)
	}
	g.close()

	g = r.openAs(Conditions{}, func(in *driver.Integration) {
		wrong := map[string]auth.Secret{}
		for name, s := range in.Credentials {
			wrong[name] = s + "-wrong-credential"
		}
		in.Credentials = wrong
	})
	defer g.close()
	err := g.saw(g.driver.Check(g.ctx))
	switch {
	case err == nil:
		r.Error("check: wrong credentials are no error")
	case retry.ClassOf(err) != retry.Auth:
		r.Errorf("check: wrong credentials are an error of class %v, want auth", retry.ClassOf(err))
	}
	if n := g.wire.total(); n > 4 {
		r.Errorf("check: wrong credentials were tried %d times", n)
	}
}

func checkPaging(r *runner, s stream) {
	g := r.open(Conditions{})
	defer g.close()
	seq := s.open(g.ctx, g, driver.Query{})
	l := g.list(g.ctx, s, driver.Query{})
	if l.err != nil {
		r.Fatalf("paging: %v", l.err)
	}
	if s.want > 0 && len(l.ids) != s.want {
		r.Errorf("paging: %d items, the partner has %d", len(l.ids), s.want)
	}
	if len(l.ids) == 0 {
		r.Error("paging: no items: the suite needs some")
	}
	sorted := slices.Sorted(slices.Values(l.ids))
	if n := len(slices.Compact(sorted)); n != len(l.ids) {
		r.Errorf("paging: %d items, of which %d differ", len(l.ids), n)
	}
	if l.incomplete != "" {
		r.Errorf("paging: an undisturbed list is incomplete: %s", l.incomplete)
	}
	g.unexpected("paging")
	for _, c := range g.reg.Drift().Snapshot() {
		r.Errorf("paging: the driver counts an oddity in driver.Drift where nothing disturbs: %s %q, %s: %s", c.Kind, c.Field, c.Change, c.Detail)
	}
	cursors := map[pagination.Cursor]bool{}
	for i, p := range l.pages {
		if cursors[p.next] {
			r.Errorf("paging: page %d has the Next of an earlier one", i+1)
		}
		cursors[p.next] = true
		if p.sent.IsZero() || p.sent.After(time.Now()) {
			r.Errorf("paging: page %d does not say when it was asked for", i+1)
		}
		if len(p.rejected) > 0 {
			r.Errorf("paging: page %d has %d rejected items", i+1, len(p.rejected))
		}
		if (p.next == "") != (i == len(l.pages)-1) {
			r.Errorf("paging: page %d of %d has the wrong Next: the zero Cursor is the last page's alone", i+1, len(l.pages))
		}
	}
	var again []string
	for p, err := range seq {
		if err != nil {
			r.Fatalf("paging: ranging again: %v", err)
		}
		again = append(again, p.ids...)
	}
	if diff := same(again, l.ids); diff != "" {
		r.Errorf("paging: ranging over a stream made before: %s", diff)
	}
	checkLeft(g, s, seq, len(l.pages))
	if s.resumable && len(l.pages) > 1 {
		capped := g.list(g.ctx, s, driver.Query{MaxPages: 1})
		if capped.err != nil || len(capped.pages) != 1 || capped.incomplete == "" || capped.pages[0].next == "" {
			r.Errorf("paging: with MaxPages 1 there are %d pages, incomplete %q, error %v", len(capped.pages), capped.incomplete, capped.err)
		}
	}
}

// checkLeft leaves the loop after the first page.
func checkLeft(g *rig, s stream, seq iter.Seq2[page, error], pages int) {
	before := len(g.wire.seen())
	for _, err := range seq {
		if err != nil {
			g.r.Errorf("paging: %v", err)
		}
		break
	}
	made := len(g.wire.seen()) - before
	time.Sleep(time.Minute)
	if later := len(g.wire.seen()) - before; later != made || pages > 2 && made >= pages {
		g.r.Errorf("paging: %s: %d calls for one page, %d a minute later: something is fetched that nobody asked for", s.capability, made, later)
	}
}

func checkResume(r *runner, s stream) {
	if !s.resumable {
		r.Skipf("a %s has no cursor", s.capability)
	}
	l := r.whole(s)
	if len(l.pages) < 2 {
		r.Skip("the simulated partner has one page only")
	}
	rest := l.ids
	for i, p := range l.pages {
		rest = rest[len(p.ids):]
		if p.next == "" {
			break
		}
		// Another process: nothing but the cursor is kept.
		g := r.open(Conditions{Seed: uint64(i)})
		got := g.list(g.ctx, s, driver.Query{Cursor: p.next})
		if got.err != nil {
			r.Errorf("resume: after page %d: %v", i+1, got.err)
		} else if !slices.Equal(got.ids, rest) {
			r.Errorf("resume: after page %d: %s", i+1, same(got.ids, rest))
		}
		g.close()
	}
	g := r.open(Conditions{})
	defer g.close()
	for name, c := range map[string]pagination.Cursor{"garbage": "garbage", "a number": "100", "a cursor cut short": l.pages[0].next[:len(l.pages[0].next)/2]} {
		got := g.list(g.ctx, s, driver.Query{Cursor: c})
		if !errors.Is(got.err, pagination.ErrCursor) || len(got.ids) > 0 {
			r.Errorf("resume: %s for a cursor gives %d items and the error %v, want one that wraps pagination.ErrCursor", name, len(got.ids), got.err)
		}
	}
	for _, o := range streams(r.h) {
		if o.resumable && o.kind != s.kind && o.has(g.driver) {
			if got := g.list(g.ctx, o, driver.Query{Cursor: l.pages[0].next}); !errors.Is(got.err, pagination.ErrCursor) {
				r.Errorf("resume: a cursor of %s is taken by %s", s.capability, o.capability)
			}
		}
	}
}

func checkSince(r *runner, s stream) {
	if !s.resumable {
		r.Skipf("a %s takes no query", s.capability)
	}
	l := r.whole(s)
	g := r.open(Conditions{})
	defer g.close()
	got := g.list(g.ctx, s, driver.Query{UpdatedSince: time.Now().AddDate(300, 0, 0)}) // bubbles begin in 2000
	switch filters := slices.Contains(g.driver.Info().Incremental, s.kind); {
	case got.err != nil:
		r.Errorf("since: %v", got.err)
	case filters && len(got.ids) > 0:
		r.Errorf("since: %d items were changed since three hundred years from now", len(got.ids))
	case !filters && same(got.ids, l.ids) != "":
		r.Errorf("since: Info does not say that the partner filters these, but the list differs: %s", same(got.ids, l.ids))
	}
	early := g.list(g.ctx, s, driver.Query{UpdatedSince: time.Unix(0, 0)})
	if early.err != nil || same(early.ids, l.ids) != "" {
		r.Errorf("since: changed since 1970: error %v, %s", early.err, same(early.ids, l.ids))
	}
}

func checkByID(r *runner) {
	g := r.open(Conditions{})
	defer g.close()
	some := false
	for _, s := range streams(r.h) {
		var read func(ids []string) iter.Seq2[page, error]
		if d, ok := g.driver.(driver.ResourceGetter); ok && s.kind == driver.KindResource {
			read = func(ids []string) iter.Seq2[page, error] {
				return pages(g, d.ResourcesByID(g.ctx, ids), func(r driver.Resource) driver.Record { return r.Record })
			}
		}
		if d, ok := g.driver.(driver.TransactionGetter); ok && s.kind == driver.KindTransaction {
			read = func(ids []string) iter.Seq2[page, error] {
				return pages(g, d.TransactionsByID(g.ctx, ids), func(t driver.Transaction) driver.Record { return t.Record })
			}
		}
		if read == nil || !s.has(g.driver) {
			continue
		}
		some = true
		l := r.whole(s)
		want := []string{l.ids[0], l.ids[len(l.ids)/2], l.ids[len(l.ids)-1]}
		slices.Sort(want)
		want = slices.Compact(want)
		for name, ids := range map[string][]string{"known": want, "with an unknown one": append(slices.Clone(want), unknownLike(l.ids)), "none": nil} {
			var got []string
			for p, err := range read(ids) {
				if err != nil {
					r.Errorf("byid: %s, %s: %v", s.kind, name, err)
				}
				got = append(got, p.ids...)
				for _, problem := range p.problems {
					r.Errorf("byid: %s: %s", s.kind, problem)
				}
			}
			expect := want
			if name == "none" {
				expect = nil
			}
			if diff := same(got, expect); diff != "" {
				r.Errorf("byid: %s, %s: %s", s.kind, name, diff)
			}
		}
	}
	g.unexpected("byid")
	if !some {
		r.Skip("the driver is neither ResourceGetter nor TransactionGetter, or does not list what it gets")
	}
}

// unknownLike returns an id of the form of ids that is none of them.
func unknownLike(ids []string) string {
	b := []byte(ids[0])
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9':
			b[i] = '9'
		case c >= 'a' && c <= 'f':
			b[i] = 'e'
		}
	}
	id := string(b)
	for slices.Contains(ids, id) {
		id += "9"
	}
	return id
}

// struck returns the conditions in which the calls from the one after the first so many are struck, count times.
func struck(kind partnersim.Kind, after, count int, wait time.Duration) Conditions {
	return Conditions{Faults: []partnersim.Rule{{Kind: kind, After: after, Count: count, Retry: wait}}, Latency: 40 * time.Millisecond}
}
