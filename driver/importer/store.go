package importer

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

// Collection names the records of one kind that one integration has.
type Collection struct {
	Integration string
	Kind        driver.Kind
}

// Stored is a record as a store keeps it. Times are UTC.
type Stored struct {
	Collection
	ID string
	// Parent is the id of the resource that a transaction or media belongs to, "" if none. It is the document's
	// resource_id.
	Parent string
	// Document is the normalized record: compact JSON, members sorted by name, without updated_at. See [Decode].
	Document json.RawMessage
	// Hash identifies the document's content.
	Hash string
	// Raw is the newest item as the partner sent it. Only [Reader].Raw returns it; see [Tx].PutRecords for nil.
	Raw     json.RawMessage
	RawHash string
	// Version counts the changes of document and deletion, from 1.
	Version int64
	// Generation is the last complete listing that the record was seen in. Incremental listings do not count.
	Generation int64
	// Stamp is the newest observation's. Older has the stamps of the document's fields that were observed last by
	// an older one; nil when there are none.
	Stamp Stamp
	Older map[string]Stamp
	// UpdatedAt is the partner's, zero when it never said.
	UpdatedAt time.Time
	// FirstFetched and LastFetched are when requests that showed the record were sent.
	FirstFetched, LastFetched time.Time
	// ChangedAt is when this version was stored.
	ChangedAt time.Time
	// DeletedAt is the time as of which the record was found to be gone; zero while it lives.
	DeletedAt time.Time
	// Erased says that the data was erased on request: only the id is left, and imports pass it over.
	Erased         bool
	AdapterVersion string
}

// Decode returns the stored record as a driver.Resource, driver.Transaction or driver.Media.
func Decode[T driver.Resource | driver.Transaction | driver.Media](s Stored) (T, error) {
	var v T
	if err := json.Unmarshal(s.Document, &v); err != nil {
		return v, err
	}
	base := recordOf(any(&v))
	base.ID, base.UpdatedAt, base.Raw, base.AdapterVersion = s.ID, s.UpdatedAt, s.Raw, s.AdapterVersion
	return v, nil
}

// Rejection is a record that could not be imported. It goes when the record is imported after all.
type Rejection struct {
	Collection
	// Key identifies it within the collection: the record's id, or a hash of what could be read when it has none.
	Key string
	// ID is the record's id, "" when it could not be read.
	ID     string
	Reason string
	// Raw is the beginning of the item as it came. It may hold personal data: stores keep it sealed.
	Raw         []byte
	First, Last time.Time
	Count       int64
}

// ChangeKind says what happened to a record.
type ChangeKind string

// The kinds of changes.
const (
	Added    ChangeKind = "added"
	Updated  ChangeKind = "updated"
	Restored ChangeKind = "restored"
	Deleted  ChangeKind = "deleted"
	// Merged: the record goes on under another id, which is in its document's aliases, and it is marked as deleted under
	// this one. The change of the record with the other id comes right after: Updated, with "id" among its Fields when
	// there was none with that id.
	Merged ChangeKind = "merged"
)

// Event is an entry of the append-only log of changes. It holds no data of the record.
type Event struct {
	Seq int64 // given by the store, rising
	Collection
	ID      string
	Version int64
	Change  ChangeKind
	At      time.Time
	Run     string
}

// Checkpoint is where the import of a collection stands. Stores keep it as its JSON.
type Checkpoint struct {
	Collection
	// Watermark is the newest partner's time of update that complete passes have covered.
	Watermark time.Time
	// Generation numbers the complete listings begun so far.
	Generation int64
	// Full and Incremental are the unfinished passes, nil if there is none.
	Full, Incremental *Pass
	// FullRun and IncrementalRun are the runs of several kinds, of which this is the first, that are done with this
	// kind and not with the last; nil if there is none.
	FullRun, IncrementalRun *RunState
}

// RunState says how far a run of several kinds is, for the Run that goes on with it.
type RunState struct {
	Run   string // that began it
	Kinds []driver.Kind
	Done  []DonePass // of the first kinds, in order
}

// DonePass is a pass that was finished by a run that is not.
type DonePass struct {
	Started, Finished time.Time
	Whole             bool
	Incomplete        string
	Counts            Counts
}

// Pass is an unfinished pass over a collection.
type Pass struct {
	Run  string // that works on it now
	Mode Mode
	// Whole says that the pass lists everything, so that what it does not see is gone.
	Whole      bool
	Generation int64
	Started    time.Time
	Since      time.Time // what was asked for: changes since then
	Cursor     pagination.Cursor
	// Sweeping says that the listing is done and the search for deleted records is at After. In a pass over media
	// After is the resource that was done last.
	Sweeping bool
	After    string
	// Newest is the newest time of update seen; Undated says that records without one were.
	Newest  time.Time
	Undated bool
	// Incomplete says why the listing is not whole, "" while it is. Nameless counts rejected records without an id.
	Incomplete string
	Nameless   int
	// Live is how many records there were when the pass began, for the guard against mass deletion; Guarded says
	// that it stopped the deletion of media.
	Live    int
	Guarded bool
	Counts  Counts
}

// Filter selects records of a collection; zero fields select all.
type Filter struct {
	After string // ids greater than this, compared bytewise
	Limit int    // 0: all
	Live  bool   // not deleted
	// Unseen selects records whose generation is another than this; 0: any.
	Unseen        int64
	FetchedBefore time.Time // LastFetched before this
	ChangedSince  time.Time // ChangedAt at or after this
	Parents       []string  // Parent is one of these; empty: any
}

// Matches reports whether f selects s, for stores that filter in Go. Limit is not looked at.
func (f Filter) Matches(s *Stored) bool {
	if s.ID <= f.After && f.After != "" || f.Live && !s.DeletedAt.IsZero() || f.Unseen != 0 && s.Generation == f.Unseen {
		return false
	}
	if !f.FetchedBefore.IsZero() && !s.LastFetched.Before(f.FetchedBefore) ||
		!f.ChangedSince.IsZero() && s.ChangedAt.Before(f.ChangedSince) {
		return false
	}
	if len(f.Parents) == 0 {
		return true
	}
	for _, p := range f.Parents {
		if p == s.Parent {
			return true
		}
	}
	return false
}

// Reader reads records. What it returns is the caller's.
type Reader interface {
	// Records returns those of the ids that are there, each once, deleted and erased ones included, in any order and
	// without Raw. Ids may repeat; there may be thousands.
	Records(ctx context.Context, c Collection, ids []string) ([]Stored, error)
	// List returns the records that f selects by rising id, compared bytewise, without Raw. Erased ones are left out.
	List(ctx context.Context, c Collection, f Filter) ([]Stored, error)
	// Count counts what List would return without a limit.
	Count(ctx context.Context, c Collection, f Filter) (int, error)
	// Raw returns the record's item as the partner sent it, nothing if there is none.
	Raw(ctx context.Context, c Collection, id string) (json.RawMessage, error)
}

// Store keeps what is imported. It stores and finds; what to store is decided by this package. importertest.Store
// is its conformance suite. It is safe for concurrent use.
//
// Ids, parents and keys are valid UTF-8 of at most 1,024 bytes without NUL, and are compared byte by byte.
// Documents and raw items come back as they were given, byte for byte, and times to the nanosecond. When its
// context has ended, a method does nothing and returns an error that wraps the context's error or its cause.
type Store interface {
	Reader
	// Update runs f in a transaction: all of what f wrote is durable when Update returns nil, none of it is there
	// when f returned an error, which Update then wraps, when f panicked, or when the context ended before the
	// commit. (Where Update fails for a reason of its own, a lost connection say, it may be unknown which.)
	// Transactions run as if one after the other. f may be run again from the start after a conflict; it does no
	// I/O but through tx, keeps no reference to tx, and calls no other method of the store. The ctx that f is given
	// descends from the caller's, and carries the store's transaction for code that writes beside it. Reads outside
	// see what was committed, and do not wait for a transaction.
	Update(ctx context.Context, f func(ctx context.Context, tx Tx) error) error
	// Events returns up to limit events of the integration ("": of all) with a Seq above after, by rising Seq; none
	// when limit is less than 1. A reader that goes on from the last Seq it was given sees every event: none
	// appears later with a lower Seq than one already returned. A Seq is above 0, and is not used again after
	// Prune.
	Events(ctx context.Context, integration string, after int64, limit int) ([]Event, error)
	// Rejections returns up to limit rejections of c with a Key above after ("": from the first), by rising Key,
	// bytewise; none when limit is less than 1.
	Rejections(ctx context.Context, c Collection, after string, limit int) ([]Rejection, error)
	// Prune removes the events from before, the rejections that were last seen before, and the records that were
	// deleted before. What was erased stays marked. It returns how many of these it removed. An observation older
	// than that, coming late, would bring a removed record back: keep longer than webhooks are replayed.
	Prune(ctx context.Context, before time.Time) (int64, error)
	// Erase removes the data of a record for good: document, raw item and rejection. The id stays, marked as erased
	// (see [Tombstone]), so that the next import does not bring the data back. A record that is not there is marked
	// all the same. A rejection whose id could not be read is not found by it, and goes with Prune.
	Erase(ctx context.Context, c Collection, id string) error
}

// Tx is a transaction of a [Store]. It is used by one goroutine, sees its own writes, and keeps no reference to
// what it is given.
type Tx interface {
	Reader
	// PutRecords inserts or replaces records, of which each is there once. A nil Raw keeps the raw item that is
	// stored; one that is empty but not nil removes it.
	PutRecords(ctx context.Context, records []Stored) error
	// TouchRecords updates only Generation, Stamp, Older, UpdatedAt, FirstFetched, LastFetched and AdapterVersion,
	// of records that are there; others are passed over.
	TouchRecords(ctx context.Context, records []Stored) error
	// PutRejections inserts rejections, of which each key is there once; of one that is stored First is kept, Count
	// added to, and the rest replaced.
	PutRejections(ctx context.Context, rejections []Rejection) error
	// DeleteRejections removes those with the keys, where there are any.
	DeleteRejections(ctx context.Context, c Collection, keys []string) error
	// AppendEvents appends to the log, in order; Seq is the store's to give.
	AppendEvents(ctx context.Context, events []Event) error
	// Checkpoint returns c's checkpoint; where there is none, one with c alone.
	Checkpoint(ctx context.Context, c Collection) (Checkpoint, error)
	// PutCheckpoint replaces it.
	PutCheckpoint(ctx context.Context, cp Checkpoint) error
}

// ErrSuperseded is wrapped by the error of a run whose pass was taken over by a later run. What it committed is kept.
var ErrSuperseded = errors.New("importer: another run has taken over")
