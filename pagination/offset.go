package pagination

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
)

// Offset pages by an offset in rows, from 0. It ends after a batch of fewer than limit rows, or as Batch.More says;
// while the partner's Total says that there are rows behind the batch, a short one that brings something new does not
// end it, because some partners send fewer rows than they are asked for.
//
// # Rows that come and go
//
// Offsets move when rows come and go between two fetches: as many deleted as added, and rows are passed over although
// no total has changed. id, which names a row, is how Offset knows. Each fetch but the first asks again for the last
// row of the page before, and what it brings must hold one of the last few rows of that page. If it holds none, rows
// before it were deleted, and Offset goes back, half a page and then page by page, until it finds one. Where it does
// not, the rest of the stream is incomplete, and is read without looking further.
//
// So, with an id: every row that is there from the first fetch to the last is an item of the stream, or the stream
// says in [Page.Incomplete] that rows may be missing. That holds if each answer is a piece of the list as it was at one
// moment, if two rows that stay keep their order, and if ids differ: sort by an id or by a time of creation, never by
// what an update changes, because a row that is updated then moves to where it is not read. It holds for a stream that
// is resumed, too: the cursor carries hashes of the ids. It is not said of rows that come, go or come back meanwhile.
// A Total that changes is no reason for doubt then.
//
// It costs one row of each page, and at most [MaxBack] fetches for a page before which rows went; in all those are no
// more than MaxBack and a quarter of the pages. Rows that came may come again then. With a limit of 1 there is no room
// for an overlap: a list of more than one page is incomplete.
//
// What is looked for are Items: where they may be rejected, a batch best holds the rows as they came, and [Decode]
// makes of them what is wanted behind Offset. An item for which id returns "" is passed on and not looked for.
//
// With a nil id rows are lost in silence, but for a Total that differs from the first one, or an end before it is
// reached.
func Offset[T any](ctx context.Context, s Start, limit int, id func(T) string,
	fetch func(ctx context.Context, offset, limit int) (Batch[T], error)) Pages[T] {
	o := overlap[T]{limit, id, fetch}
	return strategy[T]{
		begin:  state{Kind: "offset"},
		err:    positive("limit", limit),
		drifts: id == nil,
		resume: func(st *state) error {
			if st.N < 0 {
				return fmt.Errorf("%w: its offset is negative", ErrCursor)
			}
			return nil
		},
		fetch: o.page,
		next: func(st *state, b *Batch[T], rows int) (bool, string, error) {
			if rows > math.MaxInt-st.from {
				return false, "", fmt.Errorf("%w: offsets are used up", ErrLoop)
			}
			at, fresh := st.from+rows, rows-st.again
			end, why := counted(b.More, at, st.Total, fresh, rows >= limit)
			if end {
				return true, why, nil
			}
			if fresh == 0 && at <= st.N {
				return false, "", fmt.Errorf("%w: more is to follow a page without new rows", ErrLoop)
			}
			st.N = at
			return false, "", nil
		},
	}.pages(ctx, s)
}

// counted is the rule of the strategies that count: at is how many rows there are up to the end of this batch, which
// brought so many new ones; more is what the partner said, full that the batch held all it could.
func counted(more More, at, total, fresh int, full bool) (end bool, incomplete string) {
	missing := at < total
	switch {
	case more == Yes:
		return false, ""
	case more == Unsaid && (full || missing && fresh > 0):
		// A short page before the total is reached: the partner sends fewer rows a page than were asked for.
		return false, ""
	case missing:
		return true, fmt.Sprintf("the partner counted %d rows and sent %d", total, at)
	}
	return true, ""
}

// MaxBack is how many fetches [Offset] makes at most to find again, for one page, the rows that it goes on after.
const MaxBack = 8

// anchors is how many rows of a page are known again. One is enough to go on after; the others are for when it went.
const anchors = 8

// maxMarks bounds how many rows a cursor knows again.
const maxMarks = 128

// overlap reads the pages of Offset.
type overlap[T any] struct {
	limit int
	id    func(T) string
	fetch func(ctx context.Context, offset, limit int) (Batch[T], error)
}

// page reads the page that goes on after the rows in st.Last.
func (o overlap[T]) page(ctx context.Context, st *state) (Batch[T], error) {
	doubt := o.id != nil && st.Pages > 0 && !st.Moved
	if doubt && (o.limit == 1 || len(st.Last) == 0) {
		doubt, st.Moved = false, true
	}
	st.from, st.again = st.N, 0
	if doubt {
		st.from = max(st.N-1, 0)
	}
	b, err := o.fetch(ctx, st.from, o.limit)
	if err != nil || o.id == nil {
		return b, err
	}
	rows := b.Items
	if doubt {
		var found bool
		if b.Items, found = o.cut(rows, st.Last); !found {
			from, back, err := o.back(ctx, st)
			switch {
			case err != nil:
				return b, err
			case from < 0:
				st.Moved = true
			default:
				st.from, b, rows = from, back, back.Items
				b.Items, _ = o.cut(rows, st.Last)
			}
		}
	}
	b.Rows = max(b.Rows, len(rows)+len(b.Rejected))
	st.again = len(rows) - len(b.Items)
	if len(rows) > 0 {
		st.Last = marks(o.id, rows[max(0, len(rows)-anchors):])
	}
	if b.Fingerprint == "" {
		b.Fingerprint = span(o.id, rows)
	}
	return b, nil
}

// cut returns rows without those in last, and reports whether there were any. Behind the very last one it does not
// look.
func (o overlap[T]) cut(rows []T, last []byte) (kept []T, found bool) {
	kept = make([]T, 0, len(rows))
	for i, it := range rows {
		n := index(last, o.id(it))
		if n < 0 {
			kept = append(kept, it)
			continue
		}
		if found = true; n == len(last)/8-1 {
			return append(kept, rows[i+1:]...), true
		}
	}
	return kept, found
}

// back looks for the rows in st.Last before st.from, and returns the page that holds one, and its offset; -1 if there
// is none. A page at whose end they are brings nothing new, unless it is the list's. The whole list, on one page, is
// always enough.
func (o overlap[T]) back(ctx context.Context, st *state) (int, Batch[T], error) {
	from, step := st.from, (o.limit+1)/2
	for range MaxBack {
		if from == 0 || st.Back >= MaxBack+st.Pages/4 {
			break
		}
		if ctx.Err() != nil {
			return -1, Batch[T]{}, context.Cause(ctx)
		}
		from, step = max(from-step, 0), o.limit-1
		st.Back++
		b, err := o.fetch(ctx, from, o.limit)
		if err != nil {
			return -1, b, err
		}
		short, n := b.rows() < o.limit, len(b.Items)
		if _, found := o.cut(b.Items, st.Last); found && (short || index(st.Last, o.id(b.Items[n-1])) < 0) || short &&
			from == 0 {
			return from, b, nil
		}
	}
	return -1, Batch[T]{}, nil
}

// marks are the hashes of the rows' ids, less those that are "".
func marks[T any](id func(T) string, rows []T) []byte {
	var m []byte
	for _, it := range rows {
		if id := id(it); id != "" {
			m = binary.BigEndian.AppendUint64(m, hash(id))
		}
	}
	return m
}

// index is which of the marks is id's, -1 for none.
func index(marks []byte, id string) int {
	for i := 0; i+8 <= len(marks) && id != ""; i += 8 {
		if binary.BigEndian.Uint64(marks[i:]) == hash(id) {
			return i / 8
		}
	}
	return -1
}

// span is a fingerprint: a server that ignores the offset sends its first page for ever. "" if an id cannot be read.
func span[T any](id func(T) string, rows []T) string {
	if len(rows) == 0 {
		return ""
	}
	first, last := id(rows[0]), id(rows[len(rows)-1])
	if first == "" || last == "" {
		return ""
	}
	return first + " " + last
}
