package importer

import (
	"runtime/metrics"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// Counts counts what was done. Each item is in exactly one of Added, Updated, Unchanged, Restored, Rejected,
// Skipped and Stale.
type Counts struct {
	Pages     int
	Items     int
	Added     int
	Updated   int
	Unchanged int
	Restored  int // deleted before, and there again
	Deleted   int
	Merged    int // that go on under another id
	Rejected  int
	Skipped   int // not wanted by the host, or erased
	Stale     int // older than what was stored
}

func (c *Counts) add(d Counts) {
	c.Pages += d.Pages
	c.Items += d.Items
	c.Added += d.Added
	c.Updated += d.Updated
	c.Unchanged += d.Unchanged
	c.Restored += d.Restored
	c.Deleted += d.Deleted
	c.Merged += d.Merged
	c.Rejected += d.Rejected
	c.Skipped += d.Skipped
	c.Stale += d.Stale
}

// Result is what a run did.
type Result struct {
	Run         string // identifies it in the log of events
	Integration string
	Mode        Mode
	Kinds       []KindResult
	// Calls made to the partner, 0 without [Config.Calls].
	Calls int64
	// PeakHeap is the most memory that live objects took, of the whole process, as sampled after each transaction.
	PeakHeap uint64
	Duration time.Duration
}

// Complete reports whether every kind was, and if not why.
func (r Result) Complete() (bool, string) {
	var why []string
	for _, k := range r.Kinds {
		if !k.Complete {
			why = append(why, string(k.Kind)+": "+k.Why)
		}
	}
	return len(why) == 0, strings.Join(why, "; ")
}

// Counts adds up the kinds.
func (r Result) Counts() Counts {
	var c Counts
	for _, k := range r.Kinds {
		c.add(k.Counts)
	}
	return c
}

// KindResult is what a run did for one kind.
type KindResult struct {
	Kind driver.Kind
	// Counts of this run; Pass includes the runs before that worked on the same pass.
	Counts, Pass Counts
	// Complete says that everything that was asked for has been seen; Why says why not. An incomplete pass moves no
	// watermark, and deletes only what the partner was asked for by id and does not know.
	Complete bool
	Why      string
	// Whole says that the pass listed everything there is, not changes only.
	Whole bool
	// DoneBefore says that a run of the same mode and kinds finished the pass before it was interrupted, and that this
	// run, which went on in its place, did nothing for the kind: Counts is zero, Pass is that pass's, and so are
	// Complete, Why and Whole. It is not old: at most ten times what the run had taken up to then (but up to 10 min in
	// any case), and never more than a day. When everything is done, the Run after that does every kind again.
	DoneBefore bool
	// Resumed says that the run went on with an unfinished pass; Restarted that the partner or the driver did not
	// accept the cursor any more, so that the pass began again.
	Resumed, Restarted bool
	// Drifted counts records that the listing did not show and that still exist: the list moved while it was read.
	Drifted int
	// Kept says why records that were not seen were not deleted, "" if none was kept.
	Kept string
	// Failed counts the resources whose media could not be read; Failures are the first of them.
	Failed   int
	Failures []Failure
	// Watermark is the collection's after the run.
	Watermark time.Time
	Duration  time.Duration
}

// Failure is a resource whose media could not be read.
type Failure struct {
	ResourceID string
	Err        error
}

// heapLive returns the bytes of live (and not yet swept) heap objects.
func heapLive() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}
