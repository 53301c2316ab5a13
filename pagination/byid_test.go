package pagination_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/integrationkit/integrationkit/pagination"
)

func TestByID(t *testing.T) {
	var asked [][]string
	fetch := func(_ context.Context, ids []string) (pagination.Batch[string], error) {
		asked = append(asked, ids)
		return pagination.Batch[string]{Items: slices.DeleteFunc(slices.Clone(ids),
			func(id string) bool { return id == "unknown" })}, nil
	}
	ids := []string{"c", "a", "", "unknown", "a", "b"}
	var got []string
	pages, last := 0, 0
	for p, err := range pagination.ByID(t.Context(), ids, 3, fetch) {
		if err != nil {
			t.Fatal(err)
		}
		pages++
		if p.Last() {
			last = pages
		}
		if p.Total != -1 || p.Sent.IsZero() {
			t.Errorf("page %d: total %d, sent %v", pages, p.Total, p.Sent)
		}
		got = append(got, p.Items...)
	}
	if !slices.Equal(got, []string{"a", "b", "c"}) || pages != 2 || last != 2 || len(asked[0]) != 3 || ids[0] != "c" {
		t.Errorf("got %q in %d pages, the last is %d, asked %q", got, pages, last, asked)
	}
	for range pagination.ByID(t.Context(), []string{"", ""}, 0, fetch) {
		t.Error("a page of no ids")
	}
	asked = nil
	for range pagination.ByID(t.Context(), ids, 0, fetch) {
		break
	}
	if len(asked) != 1 || len(asked[0]) != 1 {
		t.Errorf("asked %q before the loop was left, want one id", asked)
	}
}

func TestByIDEnds(t *testing.T) {
	broken, gaveUp := errors.New("broken"), errors.New("gave up")
	ctx, cancel := context.WithCancelCause(t.Context())
	calls := 0
	var errs []error
	for p, err := range pagination.ByID(ctx, []string{"a", "b", "c"}, 1, func(context.Context,
		[]string) (pagination.Batch[string], error) {
		calls++
		cancel(gaveUp)
		return pagination.Batch[string]{}, nil
	}) {
		errs = append(errs, err)
		if err != nil && p.Next != pagination.Beginning {
			t.Errorf("with the error: next %q", p.Next)
		}
	}
	if calls != 1 || len(errs) != 2 || !errors.Is(errs[1], gaveUp) {
		t.Errorf("%d calls, %v", calls, errs)
	}
	for _, err := range pagination.ByID(t.Context(), []string{"a"}, 1, func(context.Context,
		[]string) (pagination.Batch[string], error) {
		return pagination.Batch[string]{}, broken
	}) {
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
}

// What a fetch noticed holds for the rest of the stream, also after it was resumed.
func TestMoved(t *testing.T) {
	fetch := func(_ context.Context, offset, limit int) (pagination.Batch[int], error) {
		return pagination.Batch[int]{Items: make([]int, limit),
			More: map[bool]pagination.More{true: pagination.No}[offset >= 6], Moved: offset == 2}, nil
	}
	var whole []bool
	var at pagination.Cursor
	for p, err := range pagination.Offset(t.Context(), pagination.From("s", ""), 2, nil, fetch) {
		if err != nil {
			t.Fatal(err)
		}
		if whole = append(whole, p.Incomplete == ""); len(whole) == 3 {
			at = p.Next
		}
	}
	if !slices.Equal(whole, []bool{true, false, false, false}) {
		t.Errorf("complete up to here: %v", whole)
	}
	for p := range pagination.Offset(t.Context(), pagination.From("s", at), 2, nil, fetch) {
		if p.Incomplete == "" {
			t.Error("forgotten when the stream was resumed")
		}
	}
}
