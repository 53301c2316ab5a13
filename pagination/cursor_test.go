package pagination

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"testing"
)

func TestCursorIsZero(t *testing.T) {
	for c, want := range map[Cursor]bool{"": true, Beginning: true, "x": false} {
		if got := c.IsZero(); got != want {
			t.Errorf("%q: got %v, want %v", c, got, want)
		}
	}
}

func TestOtherVersionsAreRefused(t *testing.T) {
	st := state{Version: cursorVersion + 1, Stream: "s", Kind: "token", Pages: 1}
	c, err := st.encode()
	if err != nil {
		t.Fatal(err)
	}
	_, err = state{Stream: "s", Kind: "token"}.decode(c)
	if !errors.Is(err, ErrCursor) || !strings.Contains(err.Error(), "version is 2") {
		t.Errorf("got %v", err)
	}
}

func TestOneCursorForOnePlace(t *testing.T) {
	for _, s := range []string{
		`{"v":1,"s":"s","k":"token","p":1} `,
		`{"v":1,"s":"s","k":"token","p":1,"x":1}`,
		`{"v":1,"s":"s","k":"token","p":2,"p":1}`,
		`{"v":1,"s":"s","k":"token","p":0}`,
		`{"v":1,"s":"s","k":"token","p":1,"h":"AA=="}`,
		`{"v":1,"s":"s","k":"token","p":1,"r":-1}`,
		`null`, `[]`, ``,
	} {
		if _, err := (state{Stream: "s", Kind: "token"}).decode(Cursor(base64.RawURLEncoding.EncodeToString([]byte(s)))); !errors.Is(err, ErrCursor) {
			t.Errorf("%s: got %v, want ErrCursor", s, err)
		}
	}
}

// FuzzCursor checks that a cursor either is refused or is the one cursor of a place in this very stream, and that a
// stream started at it gets no impossible place.
func FuzzCursor(f *testing.F) {
	for _, st := range []state{
		{Version: 1, Stream: "s", Kind: "token", Token: []byte("abc"), Pages: 3, Rows: 9, Recent: make([]byte, 16),
			Mark: 7},
		{Version: 1, Stream: "s", Kind: "offset", N: 100, Pages: 1, Total: 7, Drifted: true},
		{Version: 1, Stream: "s", Kind: "offset", N: 100, Pages: 1, Last: make([]byte, 8), Back: 3},
		{Version: 1, Stream: "s", Kind: "number", N: 3, Size: 2, Pages: 2, Last: make([]byte, 8)},
		{Version: 1, Stream: "s", Kind: "newest", N: 3, Size: 2, Pages: 2, Last: make([]byte, 16), Front: true},
		{Version: 1, Stream: "other", Kind: "token", Pages: 1},
	} {
		c, err := st.encode()
		if err != nil {
			f.Fatal(err)
		}
		b, _ := base64.RawURLEncoding.DecodeString(string(c))
		f.Add(string(c), b)
	}
	f.Fuzz(func(t *testing.T, text string, plain []byte) {
		for _, c := range []Cursor{Cursor(text), Cursor(base64.RawURLEncoding.EncodeToString(plain))} {
			for _, kind := range []string{"offset", "token"} {
				st, err := state{Stream: "s", Kind: kind}.decode(c)
				if err != nil {
					if !errors.Is(err, ErrCursor) {
						t.Fatalf("%q: %v", c, err)
					}
					continue
				}
				if again, err := st.encode(); err != nil || again != c || st.Stream != "s" || st.Kind != kind ||
					st.Version != cursorVersion {
					t.Fatalf("%q decodes to %+v, which encodes to %q, %v", c, st, again, err)
				}
			}
			for name, open := range map[string]func(Start, func(int, int) (Batch[int], error)) Pages[int]{
				"overlap": func(s Start, fetch func(at, n int) (Batch[int], error)) Pages[int] {
					return Offset(t.Context(), s, 2, strconv.Itoa, func(_ context.Context, at, n int) (Batch[int],
						error) {
						return fetch(at, n)
					})
				},
				"number": func(s Start, fetch func(at, n int) (Batch[int], error)) Pages[int] {
					return Number(t.Context(), s, 1, 2, strconv.Itoa, func(_ context.Context, at, n int) (Batch[int],
						error) {
						return fetch(at-1, n)
					})
				},
				"newest": func(s Start, fetch func(at, n int) (Batch[int], error)) Pages[int] {
					return Newest(t.Context(), s, 1, 2, strconv.Itoa, func(_ context.Context, at, n int) (Batch[int],
						error) {
						return fetch(at-1, n)
					})
				},
			} {
				for _, err := range open(Start{Stream: "s", Cursor: c, MaxPages: 3},
					func(at, _ int) (Batch[int], error) {
						if at < 0 {
							t.Fatalf("%s: %q: at %d", name, c, at)
						}
						return Batch[int]{Items: []int{at, at + 1}}, nil
					}) {
					if err != nil && !errors.Is(err, ErrCursor) && !errors.Is(err, ErrLoop) {
						t.Fatalf("%s: %q: %v", name, c, err)
					}
				}
			}
			n := 0
			for _, err := range Offset(t.Context(), Start{Stream: "s", Cursor: c, MaxPages: 3}, 1, nil,
				func(_ context.Context, offset, _ int) (Batch[int], error) {
					if n++; offset < 0 || n > 3 {
						t.Fatalf("%q: offset %d", c, offset)
					}
					return Batch[int]{Items: []int{1}}, nil
				}) {
				if err != nil && !errors.Is(err, ErrCursor) && !errors.Is(err, ErrLoop) {
					t.Fatalf("%q: %v", c, err)
				}
			}
		}
	})
}
