// Package sqlstore keeps the durable state of integrations in an SQLite database: imported records, checkpoints, rejected records and
// the log of changes (importer.Store), tokens (auth.Store), and what limiters spent (ratelimit.StateStore).
//
//	store, err := sqlstore.Open(ctx, "kit.db", sqlstore.Options{Keys: keys})
package sqlstore
