package pagination

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// More says whether another page follows a batch.
type More uint8

// What a partner can say about the next page.
const (
	Unsaid More = iota // the strategy's own rule decides
	Yes
	No
)

// Batch is what one fetch brought.
type Batch[T any] struct {
	Items    []T
	Rejected []Rejected
	// Rows is how many rows the partner sent, where a row is not exactly one item: some were left out, or split. 0
	// means len(Items)+len(Rejected).
	Rows int
	// More overrides the strategy's rule for the end of the stream.
	More More
	// Next is the token or link of the next batch, for the strategies that follow one; "" ends the stream.
	Next string
	// Total is the partner's count of all items; 0 or less when it does not say.
	Total int
	// Fingerprint, if set, tells this page's content from another's: its first and last id, say. Loop detection then
	// goes by the content: a token may come back as long as it brings something new, and a partner that ignores the
	// offset and sends the same page for ever is noticed. Without it a token, link or key that was already used is a
	// circle.
	Fingerprint string
	// Moved says that the fetch found out that rows moved between this page and the one before: it had asked for a
	// row of that one again, say, and got another. This page and the rest of the stream are then incomplete.
	// [Offset], [Number] and [Newest] find out for themselves.
	Moved bool
}

// rows is how many rows the partner sent.
func (b *Batch[T]) rows() int {
	if b.Rows > 0 {
		return b.Rows
	}
	return len(b.Items) + len(b.Rejected)
}

// strategy is what the ways of paging differ in.
type strategy[T any] struct {
	begin state // the state at the beginning
	err   error // what is wrong with the arguments
	// resume looks at a state that came from a cursor; may be nil.
	resume func(st *state) error
	// fetch gets the page at st.
	fetch func(ctx context.Context, st *state) (Batch[T], error)
	// step is what loop detection goes by when the batch has no fingerprint; "" for none.
	step func(st *state) string
	// next moves st past the batch, or reports the end, and for an end that may be too early why.
	next func(st *state, b *Batch[T], rows int) (end bool, incomplete string, err error)
	// drifts says that a changing total means rows that moved between pages.
	drifts bool
}

// pages is the loop that all strategies share.
func (y strategy[T]) pages(ctx context.Context, s Start) Pages[T] {
	y.begin.Version, y.begin.Stream = cursorVersion, s.Stream
	return func(yield func(Page[T], error) bool) {
		at := s.Cursor
		fail := func(err error) {
			if at == "" || errors.Is(err, ErrCursor) || errors.Is(err, ErrLoop) {
				at = Beginning
			}
			yield(Page[T]{Next: at, Total: -1}, err)
		}
		// refuse is for what this package itself finds wrong. The errors of fetch and of ctx are passed on as they are.
		refuse := func(err error) { fail(fmt.Errorf("pagination: %s: %w", s.Stream, err)) }

		if err := errors.Join(s.validate(), y.err); err != nil {
			refuse(err)
			return
		}
		st := y.begin
		if !at.IsZero() {
			var err error
			if st, err = y.begin.decode(at); err == nil && y.resume != nil {
				err = y.resume(&st)
			}
			if err != nil {
				refuse(err)
				return
			}
		}
		for n := 1; ; n++ {
			if ctx.Err() != nil {
				fail(context.Cause(ctx))
				return
			}
			sent := time.Now()
			b, err := y.fetch(ctx, &st)
			if err != nil {
				fail(err)
				return
			}
			rows := b.rows()
			step := ""
			switch {
			case b.Fingerprint != "":
				step = "content " + b.Fingerprint
			case y.step != nil:
				step = "place " + y.step(&st)
			}
			if step != "" && st.circle(step) {
				refuse(ErrLoop)
				return
			}

			p := Page[T]{Items: b.Items, Rejected: b.Rejected, Sent: sent, Total: -1}
			if b.Total > 0 {
				p.Total = b.Total
				if st.Total == 0 || !y.drifts {
					st.Total = b.Total
				}
				st.Drifted = st.Drifted || b.Total != st.Total
			}
			st.Moved = st.Moved || b.Moved
			if rows > math.MaxInt-st.Rows {
				refuse(fmt.Errorf("%w: %d rows came", ErrLoop, st.Rows))
				return
			}
			st.Rows += rows
			st.Pages++
			end, why, err := y.next(&st, &b, rows)
			if err == nil && !end {
				p.Next, err = st.encode()
			}
			if err != nil {
				refuse(err)
				return
			}
			if st.Drifted {
				why = reason(why, "the partner's total changed while its pages were read")
			}
			if st.Moved {
				why = reason(why, "rows moved between two of the partner's pages")
			}
			capped := !end && s.MaxPages > 0 && n >= s.MaxPages
			if capped {
				why = reason(why, fmt.Sprintf("the cap of %d pages was reached", s.MaxPages))
			}
			p.Incomplete = why
			if !yield(p, nil) || end || capped {
				return
			}
			at = p.Next
		}
	}
}

func reason(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// Token pages by the token that came with the batch before; "" fetches the first. It ends when Batch.Next is "" or
// Batch.More is No. A page may be empty and lead to another.
func Token[T any](ctx context.Context, s Start, fetch func(ctx context.Context, token string) (Batch[T],
	error)) Pages[T] {
	return strategy[T]{
		begin: state{Kind: "token"},
		fetch: func(ctx context.Context, st *state) (Batch[T], error) { return fetch(ctx, string(st.Token)) },
		step:  func(st *state) string { return string(st.Token) },
		next: func(st *state, b *Batch[T], rows int) (bool, string, error) {
			end, why := followed(b.More, b.Next)
			st.Token = []byte(b.Next)
			return end, why, nil
		},
	}.pages(ctx, s)
}

// followed is the rule of the strategies that follow what the partner gives.
func followed(more More, next string) (end bool, incomplete string) {
	if next == "" && more == Yes {
		return true, "the partner said that more follows, but not where"
	}
	return next == "" || more == No, ""
}

// Keyset pages by the key of the last row seen; "" fetches the first. It ends after a batch of fewer than limit rows,
// or as Batch.More says. The key must be unique and the rows in its order, or rows that share a key are lost at a
// page's end. Batch.Next, if set, is the key to go on after instead of the last item's: a batch whose last row was
// rejected needs it.
func Keyset[T any](ctx context.Context, s Start, limit int, key func(T) string,
	fetch func(ctx context.Context, after string, limit int) (Batch[T], error)) Pages[T] {
	return strategy[T]{
		begin: state{Kind: "keyset"},
		err:   positive("limit", limit),
		fetch: func(ctx context.Context, st *state) (Batch[T], error) { return fetch(ctx, string(st.Token), limit) },
		step:  func(st *state) string { return string(st.Token) },
		next: func(st *state, b *Batch[T], rows int) (bool, string, error) {
			if b.More == No || b.More == Unsaid && rows < limit {
				return true, "", nil
			}
			after := b.Next
			if after == "" && len(b.Items) > 0 {
				after = key(b.Items[len(b.Items)-1])
			}
			if after == "" {
				return false, "", fmt.Errorf("%w: more is to follow a page without a key", ErrLoop)
			}
			st.Token = []byte(after)
			return false, "", nil
		},
	}.pages(ctx, s)
}

func positive(name string, n int) error {
	if n <= 0 {
		return fmt.Errorf("%s is %d, want at least 1", name, n)
	}
	return nil
}
