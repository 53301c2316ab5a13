// Package pagination turns a partner's paging into a stream of pages that can be stopped anywhere and resumed in
// another process.
//
// A driver says how one page is fetched, and one of [Offset], [Number], [Newest], [Token], [NextLink] and [Keyset]
// makes [Pages] of it, an iterator:
//
//	pages := pagination.Offset(ctx, pagination.From("acme/orders/1", cursor), 100, Order.ID,
//		func(ctx context.Context, offset, limit int) (pagination.Batch[Order], error) { ... })
//	for page, err := range pages {
//		if err != nil {
//			return err // page.Next is where a later run goes on
//		}
//		save(page.Items, page.Next) // in one transaction
//	}
//
// Nothing is fetched before the loop asks for it, and nothing more after it is left. [Items] flattens pages for those
// who need no more, [Map] and [Decode] turn items into others and reject single ones, [Chunk] bounds what is stored at
// once, and [Prefetch] fetches ahead.
//
// # Resuming
//
// [Page.Next] is a [Cursor]: an opaque string that is bound to its stream. Started at it, the stream goes on with the
// items after that page. A cursor that a stream does not recognise is refused with [ErrCursor], and then the only way
// is to start again. A cursor also carries what the guards below know, so that they hold for the whole stream however
// often it was resumed.
//
// # Guards
//
// A partner's paging fails in quiet ways, and a stream that ended early looks like a complete one. So a stream
//
//   - ends with [ErrLoop] when the partner leads in a circle of any length (see [Batch.Fingerprint]),
//   - ends with [ErrOrigin] rather than follow a link, with the credentials, to another server,
//   - lets pages overlap where they are counted, finds rows that moved between two of them, or says in [Page.Incomplete]
//     that it could not: see [Offset], and [Number] and [Newest] for what else there is,
//   - says in [Page.Incomplete] when fewer rows came than the partner counted, or when [Start.MaxPages] was reached,
//   - goes on after a short page while the partner's total says that rows are missing.
//
// A consumer that deletes what it has not seen does so only after a stream whose last page is not incomplete.
package pagination
