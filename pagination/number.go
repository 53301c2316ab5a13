package pagination

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Number pages by page number, the first of which is first (usually 0 or 1), with size rows a page. It ends as [Offset]
// does. A cursor is bound to size, because a page number means other rows with another.
//
// A page number leaves no room for an overlap of less than a page. So, with an id for its rows, Number reads the page
// before each page but the first again, after it: if that one holds other rows than before, in whatever order, the rest
// of the stream is incomplete. This costs as many fetches again, and repairs nothing; and rows that move on and back
// again between the fetches are not noticed, nor is one of several for which id returns "" told from another: a page of
// such rows alone makes the rest incomplete. With a nil id it goes by no more than a Total that differs from the first
// one, or an end before it is reached. For a list whose newest change comes first, see [Newest].
func Number[T any](ctx context.Context, s Start, first, size int, id func(T) string,
	fetch func(ctx context.Context, page, size int) (Batch[T], error)) Pages[T] {
	y := number(first, size, fetch)
	if id != nil {
		y.fetch = func(ctx context.Context, st *state) (Batch[T], error) {
			b, err := fetch(ctx, st.N, size)
			if err != nil {
				return b, err
			}
			if st.Pages > 0 && !st.Moved {
				before, err := fetch(ctx, st.N-1, size)
				if err != nil {
					return b, err
				}
				now := sum(id, before.Items)
				st.Moved = now == nil || !bytes.Equal(now, st.Last)
			}
			if st.Last = sum(id, b.Items); b.Fingerprint == "" {
				b.Fingerprint = span(id, b.Items)
			}
			return b, nil
		}
	}
	return y.pages(ctx, s)
}

// Newest pages by page number through a list in which what changed last comes first, and nothing goes away: deleted
// rows stay. Rows that come or change move the others on to pages that are still read, so that they come twice; but
// one that changes before it is read moves to where nothing is read any more. So the first page is read again at the
// end, and its rows that were not on it before are the stream's last page, often an empty one. A few that were must
// be on it still: where they are not, more has changed than a page holds, and the stream is incomplete. (No more than
// 128 rows of the first page are known again: a larger one comes again in part.)
//
// So every row that is there from the first fetch to the last is an item of the stream, or the stream says that rows
// may be missing. For that to be wrong, those few rows would all have to have changed themselves, after a page of
// others. A Total that changes is no reason for doubt. It costs one fetch for a list of more than one page.
func Newest[T any](ctx context.Context, s Start, first, size int, id func(T) string,
	fetch func(ctx context.Context, page, size int) (Batch[T], error)) Pages[T] {
	y := number(first, size, fetch)
	y.begin.Kind, y.drifts = "newest", false
	y.fetch = func(ctx context.Context, st *state) (Batch[T], error) {
		if st.Front {
			st.N = first
		}
		b, err := fetch(ctx, st.N, size)
		switch {
		case err != nil:
		case st.Front:
			n := len(b.Items)
			b.Items = slices.DeleteFunc(slices.Clone(b.Items), func(it T) bool { return index(st.Last, id(it)) >= 0 })
			b.Moved = n-len(b.Items) < max(1, min(anchors, len(st.Last)/8))
			b.Rows, b.Fingerprint = 0, ""
		default:
			if st.Pages == 0 {
				st.Last = marks(id, b.Items[:min(len(b.Items), maxMarks)])
			}
			if b.Fingerprint == "" {
				b.Fingerprint = span(id, b.Items)
			}
		}
		return b, err
	}
	end := y.next
	y.next = func(st *state, b *Batch[T], rows int) (bool, string, error) {
		if st.Front {
			return true, "", nil
		}
		done, why, err := end(st, b, rows)
		if done && why == "" && st.Pages > 1 {
			st.Front, done = true, false
		}
		return done, why, err
	}
	return y.pages(ctx, s)
}

// sum tells which rows these are, whatever their order; nil if not one of them has an id.
func sum[T any](id func(T) string, rows []T) []byte {
	n, named := uint64(len(rows)), len(rows) == 0
	for _, it := range rows {
		id := id(it)
		n, named = n+hash(id), named || id != ""
	}
	if !named {
		return nil
	}
	return binary.BigEndian.AppendUint64(nil, n)
}

// number is paging by number, without a look at the rows.
func number[T any](first, size int, fetch func(ctx context.Context, page, size int) (Batch[T], error)) strategy[T] {
	return strategy[T]{
		begin:  state{Kind: "number", N: first, Size: size},
		err:    positive("size", size),
		drifts: true,
		resume: func(st *state) error {
			if st.N < first {
				return fmt.Errorf("%w: its page is before the first one", ErrCursor)
			}
			return nil
		},
		fetch: func(ctx context.Context, st *state) (Batch[T], error) { return fetch(ctx, st.N, size) },
		next: func(st *state, b *Batch[T], rows int) (bool, string, error) {
			end, why := counted(b.More, st.Rows, st.Total, rows, rows >= size)
			if end {
				return true, why, nil
			}
			if st.N == math.MaxInt {
				return false, "", fmt.Errorf("%w: page numbers are used up", ErrLoop)
			}
			st.N++
			return false, "", nil
		},
	}
}
