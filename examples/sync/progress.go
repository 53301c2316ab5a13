package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// progress shows how far a run is. Run calls update from one goroutine.
type progress interface {
	update(importer.Progress)
	done()
}

func newProgress(out io.Writer, plain bool) progress {
	f, ok := out.(*os.File)
	if plain || !ok || !term.IsTerminal(int(f.Fd())) {
		return &lines{out: out}
	}
	return &bars{p: mpb.New(mpb.WithOutput(f), mpb.WithWidth(40), mpb.WithRefreshRate(100*time.Millisecond)), bars: map[driver.Kind]*mpb.Bar{}}
}

// position returns what is done of what: records, or of media the resources whose media were read.
func position(p importer.Progress) (done, total int) {
	if p.Kind == driver.KindMedia {
		return p.Counts.Pages, p.Total
	}
	return p.Counts.Items, p.Total
}

// plainEvery is how often plain lines are written.
const plainEvery = 2 * time.Second

// lines writes a line now and then.
type lines struct {
	out  io.Writer
	last time.Time
}

func (l *lines) update(p importer.Progress) {
	if p.Sweeping || time.Since(l.last) < plainEvery {
		return
	}
	l.last = time.Now()
	done, total := position(p)
	of := ""
	if total >= 0 {
		of = fmt.Sprintf(" of %d", total)
	}
	what := ""
	if p.Kind == driver.KindMedia {
		what = fmt.Sprintf(" resources, %d records", p.Counts.Items)
	}
	fmt.Fprintf(l.out, "%-12s %d%s%s; %d calls, heap %s\n", p.Kind, done, of, what, p.Calls, megabytes(p.HeapLive))
}

func (l *lines) done() {}

// bars draws a bar for each kind.
type bars struct {
	p    *mpb.Progress
	bars map[driver.Kind]*mpb.Bar
}

func (b *bars) update(p importer.Progress) {
	bar := b.bars[p.Kind]
	if bar == nil {
		bar = b.p.AddBar(0,
			mpb.PrependDecorators(decor.Name(string(p.Kind), decor.WC{W: 12, C: decor.DindentRight}), decor.CountersNoUnit("%d/%d", decor.WCSyncWidth)),
			mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Elapsed(decor.ET_STYLE_MMSS, decor.WC{W: 6})),
		)
		b.bars[p.Kind] = bar
	}
	done, total := position(p)
	bar.SetTotal(int64(max(total, done)), false)
	bar.SetCurrent(int64(done))
	if p.Sweeping {
		bar.SetTotal(int64(done), true)
	}
}

func (b *bars) done() {
	for _, bar := range b.bars {
		if !bar.Completed() {
			bar.Abort(false)
		}
	}
	b.p.Wait()
}
