package pagination

import (
	"context"
	"slices"
	"time"
)

// ByID reads records by their ids, at most size of them with one fetch, each fetch as a page. Empty ids and repeated
// ones are left out, and the rest is asked for in order. Only items and rejected ones of a batch count: an id that is
// not in its batch is one that the partner does not know. The stream cannot be resumed; [Page.Next] of a page that
// another follows is [Beginning]. A size below 1 is 1.
func ByID[T any](ctx context.Context, ids []string, size int, fetch func(ctx context.Context, ids []string) (Batch[T],
	error)) Pages[T] {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(slices.DeleteFunc(ids, func(id string) bool { return id == "" }))
	size = max(size, 1)
	return func(yield func(Page[T], error) bool) {
		for group := range slices.Chunk(ids, size) {
			if ctx.Err() != nil {
				yield(Page[T]{Next: Beginning, Total: -1}, context.Cause(ctx))
				return
			}
			sent := time.Now()
			b, err := fetch(ctx, slices.Clone(group))
			if err != nil {
				yield(Page[T]{Next: Beginning, Total: -1}, err)
				return
			}
			p := Page[T]{Items: b.Items, Rejected: b.Rejected, Total: -1, Sent: sent}
			if group[len(group)-1] != ids[len(ids)-1] {
				p.Next = Beginning
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}
