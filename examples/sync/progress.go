package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	gosync "sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// progress shows how far the partners' runs are. Its methods are called by several goroutines, for one partner by one.
type progress interface {
	say(partner, text string)
	update(partner string, p importer.Progress)
	end(partner string, err error)
	done()
}

func newProgress(out io.Writer, plain bool, partners []*partner) progress {
	f, ok := out.(*os.File)
	if plain || !ok || !term.IsTerminal(int(f.Fd())) {
		return &lines{out: out, last: map[string]time.Time{}}
	}
	return newBars(f, partners)
}

// position returns what is done of what: records, or of media the resources whose media were read.
func position(p importer.Progress) (done, total int) {
	if p.Kind == driver.KindMedia {
		return p.Counts.Pages, p.Total
	}
	return p.Counts.Items, p.Total
}

// plainEvery is how often plain lines are written for a partner.
const plainEvery = 2 * time.Second

// lines writes a line now and then.
type lines struct {
	mu   gosync.Mutex // guards the fields below
	out  io.Writer
	last map[string]time.Time
}

func (l *lines) say(partner, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "%-11s %s\n", partner, text)
}

func (l *lines) update(partner string, p importer.Progress) {
	l.mu.Lock()
	due := !p.Sweeping && time.Since(l.last[partner]) >= plainEvery
	if due {
		l.last[partner] = time.Now()
	}
	l.mu.Unlock()
	if !due {
		return
	}
	done, total := position(p)
	of := ""
	if total >= 0 {
		of = fmt.Sprintf(" of %d", total)
	}
	what := ""
	if p.Kind == driver.KindMedia {
		what = fmt.Sprintf(" resources, %d records", p.Counts.Items)
	}
	if p.Calls > 0 {
		what += fmt.Sprintf("; %d calls", p.Calls)
	}
	l.say(partner, fmt.Sprintf("%-11s %d%s%s", p.Kind, done, of, what))
}

func (l *lines) end(partner string, err error) {
	if err != nil {
		l.say(partner, "ended: "+err.Error())
		return
	}
	l.say(partner, "done")
}

func (l *lines) done() {}

// bars draws a bar for each partner.
type bars struct {
	p    *mpb.Progress
	bars map[string]*bar
}

type bar struct {
	*mpb.Bar
	mu   gosync.Mutex // guards the fields below
	kind driver.Kind
	last string // what it says at the end
}

func newBars(f *os.File, partners []*partner) *bars {
	b := &bars{p: mpb.New(mpb.WithOutput(f), mpb.WithWidth(40), mpb.WithRefreshRate(100*time.Millisecond)), bars: map[string]*bar{}}
	for _, p := range partners {
		one := &bar{}
		say := func(decor.Statistics) string {
			one.mu.Lock()
			defer one.mu.Unlock()
			return cmp.Or(one.last, string(one.kind))
		}
		one.Bar = b.p.AddBar(0,
			mpb.PrependDecorators(decor.Name(p.name, decor.WC{W: 11, C: decor.DindentRight}),
				decor.Any(say, decor.WC{W: 12, C: decor.DindentRight}), decor.CountersNoUnit("%d/%d", decor.WCSyncWidth)),
			mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Elapsed(decor.ET_STYLE_MMSS, decor.WC{W: 6})),
		)
		b.bars[p.name] = one
	}
	return b
}

// say writes above the bars.
func (b *bars) say(partner, text string) { fmt.Fprintf(b.p, "%-11s %s\n", partner, text) }

func (b *bars) update(partner string, p importer.Progress) {
	one := b.bars[partner]
	one.mu.Lock()
	one.kind = p.Kind
	one.mu.Unlock()
	done, total := position(p)
	one.SetTotal(int64(max(total, done)), false)
	one.SetCurrent(int64(done))
}

func (b *bars) end(partner string, err error) {
	one := b.bars[partner]
	one.mu.Lock()
	one.last = "done"
	if err != nil {
		one.last = "ended"
	}
	one.mu.Unlock()
	if err != nil {
		one.Abort(false)
		return
	}
	one.SetTotal(-1, true) // as far as it came is all of it
}

func (b *bars) done() { b.p.Wait() }
