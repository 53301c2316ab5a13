package drivertest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
)

// edit changes the answers to the calls that hold rows. The n-th such answer, from 1, is edit's; what it returns false for stays.
func (g *rig) edit(edit func(n int, d *document, l *list) bool) (edited *int) {
	edited = new(int)
	n := 0
	g.wire.hook(nil, func(_ int, resp *http.Response) {
		if resp.StatusCode/100 != 2 {
			return
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			g.r.Errorf("reading the simulated partner's answer: %v", err)
		}
		if d, ok := readDocument(body); ok {
			if l := d.list(); l != nil {
				n++
				if edit(n, d, l) {
					*edited++
					body = d.bytes()
				}
			}
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp.Header.Del("Content-Length")
	})
	return edited
}

// answers is how many answers with rows an undisturbed list gets.
func (r *runner) answers(s stream) int {
	g := r.open(Conditions{})
	defer g.close()
	n := 0
	g.edit(func(k int, _ *document, _ *list) bool { n = k; return false })
	if got := g.list(g.ctx, s, driver.Query{}); got.err != nil {
		r.Fatalf("%s: an undisturbed list: %v", s.capability, got.err)
	}
	return n
}

// checkItems has the partner send rows in another order, and some of them twice.
func checkItems(r *runner, s stream) {
	l := r.whole(s)
	last := r.answers(s)
	if last == 0 {
		r.Skipf("the answers of %s hold no list of rows that the suite finds", s.capability)
	}
	if r.h.Ordered {
		r.Log("items: the order of rows is left alone, as Harness.Ordered says")
	} else {
		g := r.open(Conditions{})
		g.edit(func(_ int, _ *document, l *list) bool {
			rows := slices.Clone(l.rows)
			slices.Reverse(rows)
			l.put(rows)
			return true
		})
		got := g.list(g.ctx, s, driver.Query{})
		if got.err != nil {
			r.Errorf("items: rows in another order end the list: %v", got.err)
		} else if lost, foreign := missing(got.ids, l.ids); lost+foreign > 0 {
			r.Errorf("items: of rows in another order %d of %d are lost, and %d are not the partner's", lost, len(l.ids), foreign)
		}
		g.close()
	}

	// Twice on the last page, where it moves no other row: one of that page, and one of the first.
	g := r.open(Conditions{})
	defer g.close()
	var first any
	g.edit(func(n int, _ *document, l *list) bool {
		if first == nil {
			first = copyRow(l.rows[0])
		}
		if n != last {
			return false
		}
		l.put(append(slices.Clone(l.rows), copyRow(l.rows[0]), first))
		return true
	})
	got := g.list(g.ctx, s, driver.Query{})
	if got.err != nil {
		r.Errorf("items: rows that come twice end the list: %v", got.err)
	} else if lost, foreign := missing(got.ids, l.ids); lost+foreign > 0 {
		r.Errorf("items: where two rows come twice %d of %d are lost, and %d are not the partner's", lost, len(l.ids), foreign)
	}
}

// missing is how many of want are not in got, and how many of got are not in want.
func missing(got, want []string) (lost, foreign int) {
	have, known := map[string]bool{}, map[string]bool{}
	for _, id := range got {
		have[id] = true
	}
	for _, id := range want {
		known[id] = true
		if !have[id] {
			lost++
		}
	}
	for id := range have {
		if !known[id] {
			foreign++
		}
	}
	return lost, foreign
}

// checkTypes has the partner send values of other types than documented: of each field of the rows, of rows, and of the list itself.
func checkTypes(r *runner, s stream) {
	l := r.whole(s)
	if r.answers(s) == 0 {
		r.Skipf("the answers of %s hold no list of rows that the suite finds", s.capability)
	}
	keep := r.known()
	for _, id := range l.ids {
		keep[id] = true
		parts := strings.Split(id, "/")
		for _, part := range parts[:len(parts)-1] { // of a day, what it is a day of
			keep[part] = true
		}
	}
	// In each row one field is wrong; in other runs others are.
	passes, fieldsLeft, odd := 0, 1, int64(0)
	for passes < short(maxPasses, 3) && passes*len(l.ids) < fieldsLeft*mistypes {
		g := r.open(Conditions{})
		row := passes * len(l.ids)
		g.edit(func(_ int, _ *document, l *list) bool {
			rows := make([]any, len(l.rows))
			for i := range l.rows {
				rows[i] = copyRow(l.rows[i])
				if names := fields(rows[i]); len(names) > 0 {
					fieldsLeft = max(fieldsLeft, len(names))
					mistype(rows[i], names[row%len(names)], row/len(names)+row, keep)
				}
				row++
			}
			l.put(rows)
			return true
		})
		got := g.list(g.ctx, s, driver.Query{})
		rejected := got.rejected()
		for _, c := range g.reg.Drift().Snapshot() {
			odd += c.Count
		}
		odd += int64(rejected)
		if got.err != nil {
			r.Errorf("types: rows each with one mistyped field end the list: %v", got.err)
			g.close()
			return
		}
		if lost := got.silent(l.ids); lost > 0 && got.incomplete == "" {
			r.Errorf("types: of %d items in rows each with one mistyped field %d are listed and %d rejected: %d are lost in silence", len(l.ids), len(got.ids), rejected, lost)
		}
		g.close()
		passes++
	}
	if odd == 0 {
		r.Errorf("types: %d lists of rows each with one mistyped field: none was rejected, and none counted in driver.Drift", passes)
	}
	checkRows(r, s, l)
	checkEnvelope(r, s, l)
}

// maxPasses bounds how often a list is read with mistyped fields.
const maxPasses = 12

// known are ids that must stay as they are, so that rows can be told apart and belong together: those of all lists.
func (r *runner) known() map[string]bool {
	ids := map[string]bool{}
	g := r.open(Conditions{})
	defer g.close()
	for _, s := range streams(r.h) {
		if s.resumable && s.has(g.driver) {
			for _, id := range g.list(g.ctx, s, driver.Query{}).ids {
				ids[id] = true
			}
		}
	}
	return ids
}

// checkRows has rows that are no objects come among others.
func checkRows(r *runner, s stream, l listing) {
	g := r.open(Conditions{})
	defer g.close()
	added := 0
	g.edit(func(n int, d *document, l *list) bool {
		if d.xml || n > 1 { // more rows on the first page: pages that count rows go on
			return false
		}
		l.put(append(slices.Clone(l.rows[:len(l.rows)-1]), any(nil)))
		added = 1
		return true
	})
	got := g.list(g.ctx, s, driver.Query{})
	switch {
	case added == 0:
	case got.err != nil:
		r.Errorf("types: a row that is null ends the list: %v", got.err)
	case got.incomplete == "" && len(got.ids) < len(l.ids)-added:
		r.Errorf("types: with a row that is null %d of %d items are lost", len(l.ids)-len(got.ids), len(l.ids))
	}
}

// checkEnvelope has the list itself be something else, on the first page and on the second: that is an error, not the end.
func checkEnvelope(r *runner, s stream, l listing) {
	for on := 1; on <= min(2, len(l.pages)); on++ {
		for i, wrong := range []any{"nothing", json.Number("7"), true, map[string]any{"unexpected": "nothing"}, nil} {
			if wrong == nil && !s.resumable {
				continue // a record whose list is null has none
			}
			g := r.open(Conditions{})
			edited := g.edit(func(n int, d *document, l *list) bool {
				if n < on || d.xml && i > 0 {
					return false
				}
				l.spoil(wrong)
				return true
			})
			got := g.list(g.ctx, s, driver.Query{})
			switch {
			case *edited == 0:
			case got.err == nil && got.incomplete == "" && got.rejected() == 0 && len(got.ids) < len(l.ids):
				r.Errorf("types: where page %d has no list but %s, %d of %d items look like all", on, []string{"a text", "a number", "true", "an object", "null"}[i], len(got.ids), len(l.ids))
			case got.err != nil && retry.ClassOf(got.err) != retry.Data:
				r.Errorf("types: a page without a list is an error of class %v, want data", retry.ClassOf(got.err))
			}
			g.close()
		}
	}
}

// checkLoops has the partner send the same again for ever: one page, or two in turns.
func checkLoops(r *runner, s stream) {
	l := r.whole(s)
	if len(l.pages) < 3 {
		r.Skip("the simulated partner has fewer than three pages")
	}
	for _, period := range []int{1, 2} {
		name := []string{"", "one page", "two pages in turns"}[period]
		g := r.open(Conditions{})
		var kept [][]byte
		g.edit(func(n int, d *document, _ *list) bool {
			if n <= period {
				kept = append(kept, d.bytes())
				return false
			}
			again, ok := readDocument(kept[(n-1)%period])
			if ok {
				*d = *again
			}
			return ok
		})
		got := g.list(g.ctx, s, driver.Query{})
		lost, _ := missing(got.ids, l.ids)
		switch {
		case got.err == nil && got.incomplete == "" && lost > 0:
			r.Errorf("loops: %s for ever: %d of %d items look like all", name, len(l.ids)-lost, len(l.ids))
		}
		if n := len(g.wire.seen()); n > 4*len(l.pages)+4*patience {
			r.Errorf("loops: %s for ever: %d calls, where an undisturbed list has %d pages", name, n, len(l.pages))
		}
		g.close()
	}
}

// checkChange has records come, change and go while they are listed. What was there all the time is listed, or the list says that it is
// incomplete.
func checkChange(r *runner, s stream) {
	if !s.resumable {
		r.Skipf("a %s has one page of one resource", s.capability)
	}
	pages := len(r.whole(s).pages)
	for after := 1; after < min(pages, 4); after++ {
		g := r.open(Conditions{})
		if g.partner.Change == nil {
			g.close()
			r.Skip("the simulated partner does not change: Partner.Change is nil")
		}
		before := g.list(g.ctx, s, driver.Query{})
		var got listing
		for p, err := range s.open(g.ctx, g, driver.Query{}) {
			if got.err = err; err != nil {
				break
			}
			got.pages, got.ids, got.incomplete = append(got.pages, p), append(got.ids, p.ids...), p.incomplete
			if len(got.pages) == after {
				g.partner.Change()
			}
		}
		later := g.list(g.ctx, s, driver.Query{})
		if before.err != nil || got.err != nil || later.err != nil {
			r.Errorf("change: before %v, while it changes %v, afterwards %v", before.err, got.err, later.err)
			g.close()
			continue
		}
		stayed := map[string]bool{}
		for _, id := range later.ids {
			stayed[id] = true
		}
		all := slices.DeleteFunc(slices.Clone(before.ids), func(id string) bool { return !stayed[id] })
		if slices.Equal(before.ids, later.ids) {
			r.Error("change: Partner.Change neither adds nor deletes anything in this list")
		}
		if lost, _ := missing(got.ids, all); lost > 0 && got.incomplete == "" {
			r.Errorf("change: after a change behind page %d, %d of %d items that were there all the time are not listed, and the list does not say so", after, lost, len(all))
		}
		g.close()
	}
}
