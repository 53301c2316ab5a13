package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/integrationkit/integrationkit/driver/importer"
)

// Errors of this package, to be tested with errors.Is.
var (
	// ErrNested: a method that writes was called inside of Update. It would wait for the transaction that it is
	// called from.
	ErrNested = errors.New(
		"sqlstore: called inside of a transaction of this store: write through the Tx, or after Update has returned")
	// ErrNoKeys: a token or a queue's message is to be read or written, but the store was opened without Options.Keys.
	ErrNoKeys = errors.New("sqlstore: Options.Keys is nil: tokens and messages are stored sealed or not at all")
	// ErrKeys: none of Options.Keys opens what is in the database, or there are none and there must be.
	ErrKeys = errors.New("sqlstore: wrong sealing keys")
	// ErrNewer: the database was written by a newer version of this package.
	ErrNewer = errors.New("sqlstore: the database has a newer schema")
	// ErrNotDatabase: the file is something else.
	ErrNotDatabase = errors.New("sqlstore: the file is not an SQLite database")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("sqlstore: the store is closed")
)

// failed says what was done when err happened, and what can be done about it. It names no values.
func (s *Store) failed(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if s.closed.Load() {
		return ErrClosed
	}
	if ctx.Err() != nil {
		return fmt.Errorf("sqlstore: %s: %w", what, context.Cause(ctx))
	}
	if errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("sqlstore: %s: the transaction is over: a Tx is not kept after Update", what)
	}
	if hint := s.dialect.hint(err); hint != "" {
		return fmt.Errorf("sqlstore: %s: %w (%s)", what, err, hint)
	}
	return fmt.Errorf("sqlstore: %s: %w", what, err)
}

// of describes an operation on a collection.
func of(what string, c importer.Collection) string {
	return fmt.Sprintf("%s of integration %s, %s", what, c.Integration, c.Kind)
}
