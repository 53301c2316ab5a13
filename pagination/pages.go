package pagination

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"time"
)

// Page is one page of a stream.
type Page[T any] struct {
	// Items are the page's items, in the partner's order. The receiver owns them.
	Items []T
	// Rejected are the items that could not be understood. They do not stop the stream.
	Rejected []Rejected
	// Next is where the page after this one starts: what to store to go on after it. The zero Cursor on the last page.
	// On the page that comes with an error it is where a later run goes on, and never zero: [Beginning] if there.
	Next Cursor
	// Receipt is what a queue wants back to forget this page (see driver.QueueSource); nil elsewhere. It must be
	// handed over after the page is stored, not before.
	Receipt any
	// Total is how many items the partner says there are in all; -1 when it does not say.
	Total int
	// Sent is when the page was asked for: what it holds is at least that new. Every strategy sets it.
	Sent time.Time
	// Incomplete says why items may be missing from the stream up to here: a page cap was reached, or the data moved
	// under offset paging. "" while nothing is known to be missing. It is a sentence for people and holds no data.
	Incomplete string
}

// Last reports whether no page follows. It is false on the page that comes with an error.
func (p Page[T]) Last() bool { return p.Next == "" }

// Pages is a stream of pages. After an error nothing more is yielded; the page that comes with it has no items, and
// its Next is where a later run goes on. Ranging again starts again at the first cursor. A stream is ranged over by one
// goroutine at a time. It stops, and fetches nothing more, when the loop is left or its context ends; then the error is
// context.Cause.
type Pages[T any] iter.Seq2[Page[T], error]

// Rejected is an item that could not be understood.
type Rejected struct {
	// ID is the item's id where it could be read, else "".
	ID string
	// Raw is the beginning of the item as it came, at most [MaxRaw] bytes. It may hold personal data: store it sealed,
	// do not log it.
	Raw []byte
	// Err says what is wrong. Its text holds no value of the item.
	Err error
}

// MaxRaw bounds [Rejected.Raw], in bytes.
const MaxRaw = 16 << 10

// Items flattens pages into their items. The error, if any, comes last, with a zero item. Rejected items are passed
// over; a caller that must know of them, or of [Page.Incomplete], ranges over the pages.
func Items[T any](pages Pages[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for p, err := range pages {
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, it := range p.Items {
				if !yield(it, nil) {
					return
				}
			}
		}
	}
}

// Chunk splits pages of more than size items; size less than 1 splits nothing. Only a page's last chunk carries its
// Next, Receipt and Rejected; the chunks before carry the cursor at which the page itself started (start for the
// first page), so that a resumed run repeats items rather than losing them. start is the cursor that pages were
// started at.
func Chunk[T any](pages Pages[T], start Cursor, size int) Pages[T] {
	if size < 1 {
		return pages
	}
	return func(yield func(Page[T], error) bool) {
		at := start
		if at == "" {
			at = Beginning // the zero Cursor would say that no page follows
		}
		for p, err := range pages {
			rest := p.Items
			for err == nil && len(rest) > size {
				part := Page[T]{Items: rest[:size:size], Next: at, Total: p.Total, Sent: p.Sent,
					Incomplete: p.Incomplete}
				rest = rest[size:]
				if !yield(part, nil) {
					return
				}
			}
			p.Items = rest
			if !yield(p, err) || err != nil {
				return
			}
			at = p.Next
		}
	}
}

// Map applies f to each item; an item for which f fails is rejected alone, after those that were rejected before. The
// text of f's error must hold no value of the item. raw, which may be nil, returns the item's id and what to keep of
// it; its bytes are copied, at most [MaxRaw] of them.
func Map[T, U any](pages Pages[T], f func(T) (U, error), raw func(T) (id string, b []byte)) Pages[U] {
	return Decode(pages, func(items []T) Batch[U] {
		b := Batch[U]{Items: make([]U, 0, len(items))}
		for _, it := range items {
			u, err := f(it)
			if err == nil {
				b.Items = append(b.Items, u)
				continue
			}
			r := Rejected{Err: err}
			if raw != nil {
				id, text := raw(it)
				r.ID, r.Raw = id, bytes.Clone(text[:min(len(text), MaxRaw)])
			}
			b.Rejected = append(b.Rejected, r)
		}
		return b
	})
}

// Decode makes other items of those of a page, all at once: f gets them, and of its batch the Items count and the
// Rejected, which come after those that were rejected before.
func Decode[T, U any](pages Pages[T], f func([]T) Batch[U]) Pages[U] {
	return func(yield func(Page[U], error) bool) {
		for p, err := range pages {
			q := Page[U]{Next: p.Next, Receipt: p.Receipt, Total: p.Total, Sent: p.Sent, Incomplete: p.Incomplete}
			var b Batch[U]
			if len(p.Items) > 0 {
				b = f(p.Items)
			}
			q.Items, q.Rejected = b.Items, append(slices.Clip(p.Rejected), b.Rejected...)
			if !yield(q, err) || err != nil {
				return
			}
		}
	}
}

// Fail returns a stream that yields err at once, with next as the place to go on; the zero Cursor is the beginning.
func Fail[T any](next Cursor, err error) Pages[T] {
	if next == "" {
		next = Beginning
	}
	if err == nil {
		err = errors.New("pagination: a stream failed without an error")
	}
	return func(yield func(Page[T], error) bool) {
		yield(Page[T]{Next: next, Total: -1}, err)
	}
}

// Of returns a stream of one page with the items, for tests and for partners that send everything at once.
func Of[T any](items ...T) Pages[T] {
	return func(yield func(Page[T], error) bool) {
		yield(Page[T]{Items: slices.Clone(items), Total: len(items), Sent: time.Now()}, nil)
	}
}
