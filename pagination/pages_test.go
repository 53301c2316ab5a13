package pagination_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/pagination"
)

func TestItems(t *testing.T) {
	p := &partner{rows: rows(25), size: 10, fail: 3}
	var got []string
	var last error
	for it, err := range pagination.Items(strategies["offset"](t.Context(), p, pagination.From("s", ""))) {
		if last = err; err == nil {
			got = append(got, it)
		}
	}
	if !slices.Equal(got, p.rows[:20]) || !errors.Is(last, errDown) {
		t.Errorf("got %v, %v", got, last)
	}
	for range pagination.Items(pagination.Of(1, 2, 3)) {
		break // must not panic
	}
}

func TestOfAndFail(t *testing.T) {
	for p, err := range pagination.Of("a", "b") {
		if err != nil || len(p.Items) != 2 || !p.Last() || p.Total != 2 || p.Sent.IsZero() {
			t.Errorf("got %+v, %v", p, err)
		}
	}
	for _, next := range []pagination.Cursor{"", "x"} {
		got, page, err := read(t, pagination.Fail[string](next, errDown), -1)
		if len(got) != 0 || err != errDown || page.Next != max(next, pagination.Beginning) {
			t.Errorf("got %v, %+v, %v", got, page, err)
		}
	}
	if _, _, err := read(t, pagination.Fail[string]("", nil), -1); err == nil {
		t.Error("Fail without an error succeeds")
	}
}

func TestChunk(t *testing.T) {
	open := func(c pagination.Cursor, fail int) (pagination.Pages[string], *partner) {
		p := &partner{rows: rows(25), size: 10, fail: fail}
		return pagination.Chunk(strategies["token"](t.Context(), p, pagination.From("s", c)), c, 4), p
	}
	pages, p := open("", 0)
	var sizes []int
	var got []string
	for page, err := range pages {
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Items))
		got = append(got, page.Items...)
		// Wherever it is stopped, nothing is lost: what comes after the cursor covers what has not come yet.
		if page.Last() {
			continue
		}
		again, _ := open(page.Next, 0)
		rest, _, err := read(t, again, -1)
		if err != nil || len(got)+len(rest) < len(p.rows) || !slices.Equal(rest, p.rows[len(p.rows)-len(rest):]) {
			t.Errorf("after %d items: resumed with %v, %v", len(got), rest, err)
		}
	}
	if want := []int{4, 4, 2, 4, 4, 2, 4, 1}; !slices.Equal(sizes, want) || !slices.Equal(got, p.rows) {
		t.Errorf("got chunks %v of %v, want %v", sizes, got, want)
	}
	pages, _ = open("", 2)
	if got, page, err := read(t, pages, -1); err != errDown || len(got) != 10 || page.Last() {
		t.Errorf("got %v, %+v, %v", got, page, err)
	}
	n := 0
	for p, err := range pagination.Chunk[int](func(yield func(pagination.Page[int], error) bool) {
		yield(pagination.Page[int]{Items: []int{1, 2, 3}, Receipt: "r", Rejected: make([]pagination.Rejected, 1)}, nil)
	}, "", 2) {
		if n++; err != nil || (p.Receipt == nil) != (n == 1) || (len(p.Rejected) == 0) != (n == 1) ||
			p.Last() != (n == 2) {
			t.Errorf("chunk %d: %+v, %v", n, p, err)
		}
	}
	if got, _, _ := read(t, pagination.Chunk(pagination.Of("a", "b"), "", 0), -1); len(got) != 2 {
		t.Errorf("size 0: got %v", got)
	}
}

func TestMap(t *testing.T) {
	long := strings.Repeat("x", pagination.MaxRaw+1)
	before := []pagination.Rejected{{ID: "0"}, {ID: "spare"}}
	in := func(yield func(pagination.Page[string], error) bool) {
		p := pagination.Page[string]{Items: []string{"1", "two", "3", long}, Rejected: before[:1], Next: "n",
			Receipt: "r", Total: 7, Sent: time.Unix(1, 0), Incomplete: "i"}
		_ = yield(p, nil) && yield(pagination.Page[string]{Next: "m"}, errDown)
	}
	raw := func(s string) (string, []byte) { return "id", []byte(s) }
	n := 0
	for p, err := range pagination.Map(in, strconv.Atoi, raw) {
		if n++; n == 2 {
			if err != errDown || p.Next != "m" {
				t.Errorf("got %+v, %v", p, err)
			}
			continue
		}
		if err != nil || !slices.Equal(p.Items, []int{1, 3}) || p.Next != "n" || p.Receipt != "r" || p.Total != 7 ||
			p.Sent != time.Unix(1, 0) || p.Incomplete != "i" {
			t.Errorf("got %+v, %v", p, err)
		}
		r := p.Rejected
		if len(r) != 3 || r[0].ID != "0" || r[1].ID != "id" || string(r[1].Raw) != "two" ||
			!errors.Is(r[1].Err, strconv.ErrSyntax) || len(r[2].Raw) != pagination.MaxRaw {
			t.Errorf("rejected: %.200v", r)
		}
	}
	if n != 2 || before[1].ID != "spare" {
		t.Errorf("%d pages, %v", n, before)
	}
	for p := range pagination.Map(pagination.Of("x"), strconv.Atoi, nil) {
		if len(p.Rejected) != 1 || p.Rejected[0].Raw != nil {
			t.Errorf("got %+v", p)
		}
	}
}

// slow is a stream whose fetches take a second each and honour ctx.
func slow(p *partner) func(context.Context) pagination.Pages[string] {
	return func(ctx context.Context) pagination.Pages[string] {
		return pagination.Offset(ctx, pagination.From("s", ""), p.size, nil, func(ctx context.Context, offset,
			limit int) (batch, error) {
			select {
			case <-time.After(time.Second):
				return p.slice(offset, limit)
			case <-ctx.Done():
				return batch{}, context.Cause(ctx)
			}
		})
	}
}

func TestPrefetch(t *testing.T) {
	for n := range 4 {
		synctest.Test(t, func(t *testing.T) {
			p := &partner{rows: rows(45), size: 10}
			var got []string
			taken := 0
			for page, err := range pagination.Prefetch(t.Context(), n, slow(p)) {
				if err != nil {
					t.Fatal(err)
				}
				taken++
				time.Sleep(time.Minute)
				synctest.Wait()
				if ahead, want := p.fetches-taken, min(n, 5-taken); ahead != want {
					t.Errorf("n = %d, page %d: %d pages ahead, want %d", n, taken, ahead, want)
				}
				got = append(got, page.Items...)
			}
			if !slices.Equal(got, p.rows) {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestPrefetchIsLeft(t *testing.T) {
	// In a bubble the test fails if a goroutine is left.
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		p := &partner{rows: rows(45), size: 10}
		for range pagination.Prefetch(t.Context(), 2, slow(p)) {
			break
		}
		if took := time.Since(begin); took != time.Second || p.fetches != 1 {
			t.Errorf("left after %v and %d fetches, want the fetch under way to be cancelled at once", took, p.fetches)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if r := recover(); r != "consumer" {
				t.Errorf("recovered %v", r)
			}
		}()
		for range pagination.Prefetch(t.Context(), 2, slow(&partner{rows: rows(45), size: 10})) {
			panic("consumer")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var last error
		var next pagination.Cursor
		for page, err := range pagination.Prefetch(ctx, 2, slow(&partner{rows: rows(45), size: 10})) {
			if cancel(why); err == nil {
				next = page.Next
			} else if last = err; page.Next != next {
				t.Errorf("goes on at %q, want %q", page.Next, next)
			}
		}
		if last != why {
			t.Errorf("got %v, want %v", last, why)
		}
	})
}

func TestPrefetchPanics(t *testing.T) {
	pages := pagination.Prefetch(t.Context(), 2, func(context.Context) pagination.Pages[int] {
		return func(yield func(pagination.Page[int], error) bool) {
			yield(pagination.Page[int]{Items: []int{1}, Next: "n"}, nil)
			panic("producer")
		}
	})
	n := 0
	func() {
		defer func() {
			if r := recover(); r != "producer" {
				t.Errorf("recovered %v", r)
			}
		}()
		for range pages {
			n++
		}
	}()
	if n != 1 {
		t.Errorf("%d pages before the panic, want 1", n)
	}

	ended, returned := make(chan struct{}), false
	go func() {
		defer close(ended)
		for range pagination.Prefetch(context.Background(), 1, func(context.Context) pagination.Pages[int] {
			return func(func(pagination.Page[int], error) bool) { runtime.Goexit() }
		}) {
			t.Error("a page")
		}
		returned = true
	}()
	if <-ended; returned {
		t.Error("a producer that exited looks like one that ended")
	}
}
