package importer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// Mode says what a run asks the partner for.
type Mode uint8

// The modes.
const (
	// Full lists everything, and finds out what is gone.
	Full Mode = iota
	// Incremental lists what changed since the last complete pass. A kind that the partner cannot filter, or that
	// has had no complete pass yet, is listed in full. Media are read again for the resources that changed.
	Incremental
)

// String returns "full" or "incremental".
func (m Mode) String() string {
	if m == Incremental {
		return "incremental"
	}
	return "full"
}

// ErrSkip is returned by [Config.Process] for a record that the host does not want. What is stored of it stays.
var ErrSkip = errors.New("importer: record not wanted")

// Config says what to import and where to. Driver, Integration.ID and Store are required.
type Config struct {
	Driver      driver.Driver
	Integration driver.Integration
	Store       Store
	// Kinds are imported in this order; nil: resources, transactions, media, as far as the driver can.
	Kinds []driver.Kind
	Mode  Mode
	// Lookback is how far before the watermark an incremental run asks for changes, because partners commit late. It
	// widens the query only, and not for media, which go by when the store's own resources changed. 0 means 10 min,
	// negative none.
	Lookback time.Duration
	// Process applies the host's own rules to a record before it is validated and stored: a *driver.Resource,
	// *driver.Transaction or *driver.Media, which it may change (but not its ID). [ErrSkip] leaves the record out;
	// any other error, or a panic, rejects this record alone, and its text is stored. It is called outside
	// transactions, for media by several goroutines at once.
	Process func(ctx context.Context, record any) error
	// OnChanges is told what a transaction changes, inside it: an error undoes the transaction and stops the run.
	// ctx carries the transaction for a host that enqueues in it. It may be called again for the same changes after
	// a conflict. It must not use the store outside the transaction: it would wait for itself.
	OnChanges func(ctx context.Context, c ChangeSet) error
	// OnProgress is told how far the run is after each transaction. It is called without locks held.
	OnProgress func(Progress)
	// MaxDeleteFraction guards against mass deletion: a pass that would delete more than this part of the live
	// records deletes none and says so. (Of media, which are compared while they are listed, none from the group on
	// that would.) Up to 10 records may always go, unless the partner listed nothing at all. 0 means 0.2, 1 or more
	// removes the guard, negative never deletes.
	MaxDeleteFraction float64
	// Parallel is how many resources' media are read at a time; 0 means 4.
	Parallel int
	// Calls, if set, returns how many calls were made to the partner so far, for [Result.Calls].
	Calls func() int64
}

// ChangeSet is what one transaction changes.
type ChangeSet struct {
	Collection
	Run     string
	Changes []Change
}

// Change is one changed record.
type Change struct {
	Event
	// Document is the record's new document; of a deleted record its last.
	Document json.RawMessage
	// Fields names the top-level fields that differ from the version before; nil for what is new or deleted.
	Fields []string
	// Earliest is when the record can have changed at the earliest: the partner's time of update, if it moved, otherwise
	// when a request was sent last that showed it as it was. Zero for a new record without a time of update.
	Earliest time.Time

	into string // of Merged: the id that the record goes on under
}

// Progress says how far a run is.
type Progress struct {
	Kind driver.Kind
	// Counts of this run so far, for the kind.
	Counts Counts
	// Total is how many records the partner says there are, of media how many resources; -1 while unknown.
	Total int
	// Sweeping says that the listing is done and deleted records are looked for.
	Sweeping bool
	Calls    int64 // of this run, 0 without [Config.Calls]
	HeapLive uint64
}

const (
	defaultLookback  = 10 * time.Minute
	defaultDelete    = 0.2
	deleteFloor      = 10
	defaultParallel  = 4
	sweepBatch       = 500
	confirmBatch     = 50
	maxConfirmations = 20
	maxUnlisted      = 2 * confirmBatch // that are read back after a listing which is not whole
	mediaGroup       = 32
)

// withDefaults returns c with its defaults filled in, or an error that names everything that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("importer: "+format, a...)) }
	if c.Driver == nil {
		bad("Config.Driver is nil")
	}
	if c.Integration.ID == "" {
		bad("Config.Integration has no ID")
	}
	if c.Store == nil {
		bad("Config.Store is nil")
	}
	if c.Driver != nil && c.Integration.Partner != "" && c.Integration.Partner != c.Driver.Info().Partner {
		bad("Config.Integration is of %q, the driver of %q", c.Integration.Partner, c.Driver.Info().Partner)
	}
	if !storable(c.Integration.ID) {
		bad("Config.Integration's ID cannot be stored: it is too long, not UTF-8, or holds NUL")
	}
	if c.Mode > Incremental {
		bad("Config.Mode %d is unknown", c.Mode)
	}
	if c.MaxDeleteFraction != c.MaxDeleteFraction {
		bad("Config.MaxDeleteFraction is not a number")
	}
	if c.Parallel < 0 {
		bad("Config.Parallel is negative")
	}
	able := abilities(c.Driver)
	if c.Kinds == nil {
		c.Kinds = able
		if c.Driver != nil && len(able) == 0 {
			bad("the driver lists nothing: it is no ResourceLister, TransactionLister or MediaLister")
		}
	}
	for i, k := range c.Kinds {
		if slices.Contains(c.Kinds[:i], k) {
			bad("Config.Kinds names %q twice", k)
		} else if c.Driver != nil && !slices.Contains(able, k) {
			bad("Config.Kinds: the driver does not list %q", k)
		}
	}
	switch {
	case c.Lookback == 0:
		c.Lookback = defaultLookback
	case c.Lookback < 0:
		c.Lookback = 0
	}
	if c.MaxDeleteFraction == 0 {
		c.MaxDeleteFraction = defaultDelete
	}
	if c.Parallel == 0 {
		c.Parallel = defaultParallel
	}
	return c, errors.Join(errs...)
}

// abilities returns the kinds that d lists, in the order of import.
func abilities(d driver.Driver) []driver.Kind {
	var kinds []driver.Kind
	if _, ok := d.(driver.ResourceLister); ok {
		kinds = append(kinds, driver.KindResource)
	}
	if _, ok := d.(driver.TransactionLister); ok {
		kinds = append(kinds, driver.KindTransaction)
	}
	if _, ok := d.(driver.MediaLister); ok {
		kinds = append(kinds, driver.KindMedia)
	}
	return kinds
}

// mayDelete reports whether a pass that listed so many items may delete n of live records.
func (c *Config) mayDelete(n, live, listed int) bool {
	f := c.MaxDeleteFraction
	if f < 0 {
		return n == 0
	}
	return f >= 1 || n <= deleteFloor && listed > 0 || float64(n) <= f*float64(live)
}
