// Package sqlstore keeps the durable state of integrations in an SQLite database: imported records, checkpoints,
// rejected records, the log of changes and the messages of queues (it is an importer.QueueStore), tokens (an
// auth.Store), what limiters spent (a ratelimit.StateStore), and what webhooks need ([Store.Deliveries],
// [Store.FailedWebhooks], [Store.Registrations], [Store.Ledger]). Nothing has to be installed: the database is a file,
// and the driver, modernc.org/sqlite, is Go.
//
//	keys, err := auth.NewKeys(auth.Key{ID: "2026-11", Secret: secret})
//	store, err := sqlstore.Open(ctx, "kit.db", sqlstore.Options{Keys: keys})
//	defer store.Close()
//
// # What is promised
//
// What [Store.Update], [Store.SaveToken] and [Store.SaveLimit] wrote is on the disk when they return nil: it survives
// SIGKILL and, as far as the disk keeps its word, a power failure (write-ahead log, synchronous=FULL: one fsync for
// each transaction). Of what was not acknowledged, all or nothing is there. Opening the database is all the recovery
// there is.
//
// Any number of goroutines and processes on one machine may share a database; the file must be on a local disk.
// Writers take turns, each within its context and a minute at most; readers wait for nobody. An application with more
// than one machine needs a database server instead; its dialect is not part of this version.
//
// # One transaction with yours
//
// [TxFrom] gives code that is called within an update the *sql.Tx, so that a host's own rows (a job in a queue that
// lives in the same file) are committed with the records or not at all:
//
//	importer.Config{OnChanges: func(ctx context.Context, c importer.ChangeSet) error {
//		tx, _ := sqlstore.TxFrom(ctx)
//		return enqueue(ctx, tx, c)
//	}}
//
// Methods of the store that write fail with [ErrNested] there, for they would wait for the transaction that they are
// called from. All names in the database begin with ik_, so it can be the host's own.
//
// # Keys
//
// Tokens, messages of queues, webhooks' secrets, webhooks that failed and the raw bytes of rejected records are sealed
// with Options.Keys, bound to their place. [Open] refuses keys that do not open what the database holds, before it
// writes anything. Keys are changed without a pause: open with the new key before the old, in every process; then
// [Store.Reseal]; then open with the new one alone. Documents and raw items are stored in clear: the file is readable
// by its owner only, and disk encryption is the host's.
//
// # Keeping and forgetting
//
// [Store.Prune] removes old events, rejections and deleted records; the freed pages are used again, the file does not
// shrink (VACUUM does that, while nobody else uses the database). [Store.Erase] removes one record's data for good:
// from the tables, and, overwritten with zeros, from the file and its log. It takes the dead messages with the record's
// id along, those of no known integration included. What it cannot reach, because nobody can tell what it is about
// before it is read, is what to look after beside it: a dead message without an id and a rejection without one go by
// Prune, and a webhook that failed by webhook.Router's Forget, by its key, or by Prune.
//
// # Upgrades
//
// [Open] applies what migrations are missing, each in a transaction. A database of a newer version is refused with
// [ErrNewer]. There is no way back but a backup: copy the file with VACUUM INTO or the sqlite3 shell's .backup, not
// with cp, while it is in use.
//
// # Looking inside
//
// The tables are plain SQL: ik_records has a row for each record, with the normalized document as JSON; times are
// nanoseconds since 1970.
//
//	sqlite3 kit.db "SELECT id, document ->> 'name' FROM ik_records WHERE kind = 'resource' AND deleted_at = 0"
package sqlstore
