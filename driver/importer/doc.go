// Package importer brings a partner's records into a store and keeps them in step with it.
//
// [Run] imports the kinds of records that a driver lists, page by page, with the next page being fetched while one is
// imported, and never holds more than a few pages. For each page the host's own rules ([Config.Process]) and
// validation come first; then one short transaction compares the records with what is stored, writes what changed,
// the log of changes, the rejected records and the cursor of the next page, and tells the host what changes
// ([Config.OnChanges]), who can enqueue in the same transaction. A process that is killed at any point loses nothing
// that was committed and repeats nothing: the next Run goes on where the last transaction ended, in the kind that it
// was at. The kinds that an interrupted run had finished are not listed again by the Run of the same mode and kinds
// that goes on with it, as long as they are recent ([KindResult.DoneBefore]), so that a run is finished however often
// it is interrupted, and a kind that fails for days does not hold back the others.
//
//	res, err := importer.Run(ctx, importer.Config{Driver: d, Integration: in, Store: store})
//
// # Who wins
//
// Records reach a store out of order: from two workers, from a webhook ([Apply]) and a listing that began before
// it, from a replica that lags. What is stored is decided field by field, for the top-level fields of the
// normalized document: the newest observation of a field wins. Newest is by the partner's time of update, then by
// the time at which the request was sent; an observation without a time of update (or with one that cannot be)
// counts as updated when it was sent for, so a driver gives it for all records of a kind or for none. A field that
// an observation does not have is left alone; an explicit null erases. The result does not depend on the order of
// arrival, nor on repetitions. An observation that is older in every field changes nothing, but proves that the
// record was there.
//
// # Other ids
//
// A partner that merges or renames records shows one under an id of which it says other ids ([driver.Record].Aliases).
// What is stored under such an id, and was not shown by itself since, is taken over: its fields are fields of the same
// thing, of which the newest observation counts, as always. A record that is new goes on with the version, too, and the
// log has [Merged] for the old id and Updated for the new one, not Deleted and Added; media go with their resource.
// Under the old id is kept, marked as deleted, that it did so; a record that shows up again there, after a split, is
// restored. What was erased under one id is erased under all.
//
// # Full and incremental
//
// A [Full] run lists everything. When its listing is whole (no cap reached, no drift noticed, no error, no rejected
// record without an id), records that it did not show, and that nobody saw since it began, are marked as deleted,
// after a read-back where the driver can read by id, and never more than [Config.MaxDeleteFraction] of them. Where it
// can, a few records that a listing did not show are asked for also when it was not whole, so that an account that is
// never quiet loses its deleted records too. A record that was rejected is tried again when it changes, or by the
// next full run.
//
// An [Incremental] run asks for what changed since the watermark, less [Config.Lookback]. The watermark is the newest
// time of update that complete passes have seen, never later than the beginning of the pass, and it moves when a
// pass completes. Records of a partner that gives no times of update are listed since the beginning of the last
// pass.
//
// Media are listed resource by resource, and each such list is authoritative for its resource. Media of a deleted
// resource are deleted with it.
//
// # Queues
//
// [ReadQueue] reads a stream of messages that the partner forgets once they are taken, and that several integrations
// share (a driver.QueueSource); [FollowQueue] does so again and again, in as many processes as one likes, of which
// one at a time reads. Messages are stored before they are acknowledged, and parsed after that; their records go the
// way of all others, to the integration whose account the message names.
//
//	err := importer.FollowQueue(ctx, importer.QueueConfig{
//		Driver: d, Store: store, Route: importer.ByAccount(integrations, "bookingcom"),
//		OnDead: func(ctx context.Context, m importer.KeptMessage) { alert(m.ID, m.Reason) },
//	})
//
// # Webhooks
//
// A webhook's record goes to [Apply]. Imports go on beside webhooks, because partners lose some: [Coverage] notes how
// each change came to be known, and [Ledger.Tally] says how many webhooks told of, and how many only a listing
// showed.
//
// # Stores
//
// [NewMemory] keeps everything in memory, for tests and one-off jobs. Package adapters/sqlstore is the durable
// store. A new one implements [Store], and [QueueStore] for queues, and proves it with importertest.Store and
// importertest.QueueStore.
package importer
