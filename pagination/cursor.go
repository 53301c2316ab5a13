package pagination

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// Cursor is a place in a stream, as a string that can be stored. It is bound to the stream it was made for, which
// names the partner, the operation and the version of its paging ("guesty/listings/1"), and to the strategy that made
// it; any other refuses it with an error that wraps [ErrCursor]. The zero Cursor is the beginning when a stream is
// started at it, and the end when it is a [Page]'s Next.
//
// A Cursor is opaque and at most [MaxCursor] bytes. It is not encrypted, and it holds the partner's token or link as it
// came: store it like the data it leads to and keep it out of logs.
type Cursor string

// Beginning is the beginning, said where the zero Cursor would mean the end: the Next of a page after which the stream
// must be read again from its start.
const Beginning Cursor = "0"

// MaxCursor bounds a [Cursor], in bytes.
const MaxCursor = 64 << 10

// IsZero reports whether c is the beginning: "" or [Beginning].
func (c Cursor) IsZero() bool { return c == "" || c == Beginning }

// Start names a stream and where to start in it.
type Start struct {
	// Stream is the name that cursors are bound to: partner, operation and version of its paging. It must not be empty,
	// and must change when what a token or an offset means changes (another filter, another order).
	Stream string
	// Cursor is where to start. The zero Cursor is the beginning.
	Cursor Cursor
	// MaxPages stops the stream after so many pages; the last of them says so in [Page.Incomplete] and in Next where
	// another run goes on. 0: no cap.
	MaxPages int
}

// From returns the Start at c in the named stream.
func From(stream string, c Cursor) Start { return Start{Stream: stream, Cursor: c} }

// ErrCursor is wrapped by the error of a stream that is given a cursor of another stream, of another version, or no
// cursor at all. The caller starts again from the beginning. A fetch whose partner has forgotten the token wraps it
// in its own error to the same effect.
var ErrCursor = errors.New("cursor is not of this stream")

// ErrLoop is wrapped by the error of a stream whose partner leads in a circle. What the cursors so far lead to is the
// circle, so the only place to go on from is the beginning.
var ErrLoop = errors.New("the partner's pages lead in a circle")

// ErrOrigin is wrapped by the error of a stream whose next link leaves the partner's origin. The page that held the
// link is not yielded.
var ErrOrigin = errors.New("next link leaves the partner's origin")

const cursorVersion = 1

// remembered is how many steps back a circle is recognised at once; a longer one takes a few rounds (see state.circle).
const remembered = 8

// state is what a cursor holds: the place, and what the guards must know of the pages before it. The JSON names are
// short because a cursor is written with every page.
type state struct {
	Version int    `json:"v"`
	Stream  string `json:"s"`
	Kind    string `json:"k"`
	N       int    `json:"n,omitempty"` // offset, or page number
	Size    int    `json:"z,omitempty"` // rows a page, where the place depends on it
	Token   []byte `json:"t,omitempty"` // token, link or key; bytes, because JSON would change invalid UTF-8
	Pages   int    `json:"p"`           // before this place
	Rows    int    `json:"r,omitempty"` // before this place
	// the first one the partner gave, where a change of it is a reason for doubt; else the last
	Total   int    `json:"c,omitempty"`
	Drifted bool   `json:"d,omitempty"`
	Moved   bool   `json:"o,omitempty"`
	Recent  []byte `json:"h,omitempty"` // hashes of the last steps, 8 bytes each
	Mark    uint64 `json:"m,omitempty"` // hash of the step whose number was a power of two
	Last    []byte `json:"l,omitempty"` // hashes of the ids of rows to be known again, 8 bytes each
	Back    int    `json:"b,omitempty"` // fetches made to find them
	Front   bool   `json:"f,omitempty"` // only the front is still to be read, again

	from, again int // where the page at hand begins, and how many of its rows were known: what fetch tells next
}

// encode returns the cursor of st.
func (st *state) encode() (Cursor, error) {
	b, err := json.Marshal(st)
	if err != nil {
		return "", err
	}
	n := base64.RawURLEncoding.EncodedLen(len(b))
	if n > MaxCursor {
		return "", fmt.Errorf("the partner's token or link is too long for a cursor: %d bytes", len(st.Token))
	}
	return Cursor(base64.RawURLEncoding.EncodeToString(b)), nil
}

// decode returns the state in c, which must be of the stream and strategy of the initial state it starts from.
func (st state) decode(c Cursor) (state, error) {
	if len(c) > MaxCursor {
		return st, fmt.Errorf("%w: it is %d bytes long", ErrCursor, len(c))
	}
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil {
		return st, fmt.Errorf("%w: it is not base64url", ErrCursor)
	}
	var got state
	if err := json.Unmarshal(b, &got); err != nil {
		return st, fmt.Errorf("%w: it holds no place", ErrCursor)
	}
	switch {
	case got.Version != cursorVersion:
		return st, fmt.Errorf("%w: its version is %d, want %d", ErrCursor, got.Version, cursorVersion)
	case got.Stream != st.Stream:
		return st, fmt.Errorf("%w: it is of another", ErrCursor)
	case got.Kind != st.Kind:
		return st, fmt.Errorf("%w: it was made by another strategy than %s", ErrCursor, st.Kind)
	case got.Size != st.Size:
		return st, fmt.Errorf("%w: it counts pages of %d rows, want %d", ErrCursor, got.Size, st.Size)
	case got.Pages < 1 || got.Rows < 0 || got.Total < 0 || got.Back < 0 || len(got.Recent)%8 != 0 ||
		len(got.Recent) > 8*remembered ||
		len(got.Last)%8 != 0 || len(got.Last) > 8*maxMarks:
		return st, fmt.Errorf("%w: it is damaged", ErrCursor)
	}
	// One place has one cursor: nothing unknown, doubled or oddly spelt is let through.
	if again, err := got.encode(); err != nil || again != c {
		return st, fmt.Errorf("%w: it is damaged", ErrCursor)
	}
	return got, nil
}

// circle notes a step and reports whether it was taken before. The last few steps are remembered as they are. A
// longer circle is found by Brent's method: each step is compared with the last one whose number was a power of two,
// so that a circle of any length is found within a few rounds, from state that fits a cursor.
func (st *state) circle(step string) bool {
	h := hash(step)
	if st.Mark == h {
		return true
	}
	for b := st.Recent; len(b) >= 8; b = b[8:] {
		if binary.BigEndian.Uint64(b) == h {
			return true
		}
	}
	// A new slice: the old one may belong to a state that is still in use.
	recent := st.Recent[max(0, len(st.Recent)-8*(remembered-1)):]
	st.Recent = binary.BigEndian.AppendUint64(append(make([]byte, 0, len(recent)+8), recent...), h)
	if bits.OnesCount(uint(st.Pages+1)) == 1 || st.Mark == 0 {
		st.Mark = h
	}
	return false
}

// hash is FNV-1a, 64 bits. It is part of the cursor's format. It is never 0.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return max(h, 1)
}

func (s Start) validate() error {
	var errs []error
	if s.Stream == "" {
		errs = append(errs, errors.New("Start.Stream is empty"))
	}
	if !utf8.ValidString(s.Stream) {
		errs = append(errs, errors.New("Start.Stream is not UTF-8"))
	}
	if len(s.Stream) > 1<<10 {
		errs = append(errs, fmt.Errorf("Start.Stream is %d bytes long, at most %d", len(s.Stream), 1<<10))
	}
	return errors.Join(errs...)
}
