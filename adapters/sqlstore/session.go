package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/integrationkit/integrationkit/driver/importer"
)

// txKey is the key under which Update puts its transaction into the context.
type txKey struct{}

type txValue struct {
	store *Store
	tx    *sql.Tx
}

// TxFrom returns the transaction that ctx carries: within [Store.Update], and so within importer.Config.OnChanges,
// that of the update. What is written to it (a job put into a queue in the same database) is committed with the
// update or not at all. The transaction ends with the update; it is not for the receiver to commit or roll back.
func TxFrom(ctx context.Context) (*sql.Tx, bool) {
	v, ok := ctx.Value(txKey{}).(txValue)
	return v.tx, ok
}

// session runs statements: within tx, or each for itself on the handle that they were prepared on.
type session struct {
	s    *Store
	db   *sql.DB
	stmt *prepared
	tx   *sql.Tx
	used prepared // the statements as bound to tx
}

// in returns the statement, and the context to run it with. Within a transaction that is one that does not end: the
// transaction's own does, and the driver starts a goroutine for each call whose context may end.
func (q *session) in(ctx context.Context, n query) (context.Context, *sql.Stmt) {
	if q.tx == nil {
		return ctx, q.stmt[n]
	}
	ctx = context.WithoutCancel(ctx)
	if q.used[n] == nil {
		q.used[n] = q.tx.StmtContext(ctx, q.stmt[n])
	}
	return ctx, q.used[n]
}

func (q *session) exec(ctx context.Context, n query, args ...any) (sql.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, stmt := q.in(ctx, n) //nolint:sqlclosecheck // by Close, and the transaction's by its end
	return stmt.ExecContext(ctx, args...)
}

func (q *session) query(ctx context.Context, n query, args ...any) (*sql.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, stmt := q.in(ctx, n) //nolint:sqlclosecheck // by Close, and the transaction's by its end
	return stmt.QueryContext(ctx, args...)
}

// adHoc runs a query that is put together for the occasion.
func (q *session) adHoc(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	text = q.s.dialect.rebind(text)
	if q.tx == nil {
		return q.db.QueryContext(ctx, text, args...)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return q.tx.QueryContext(context.WithoutCancel(ctx), text, args...)
}

// one scans the only row of a query. It reports whether there is one.
func (q *session) one(ctx context.Context, n query, dest []any, args ...any) (bool, error) {
	rows, err := q.query(ctx, n, args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	found := rows.Next()
	if found {
		if err := rows.Scan(dest...); err != nil {
			return false, err
		}
	}
	return found, rows.Err()
}

// reader returns a session on the readers' handle.
func (s *Store) reader() *session { return &session{s: s, db: s.read, stmt: &s.readStmts} }

// write runs f in a transaction of the one writer.
func (s *Store) write(ctx context.Context, what string, f func(ctx context.Context, q *session) error) (err error) {
	if v, ok := ctx.Value(txKey{}).(txValue); ok && v.store == s {
		return fmt.Errorf("sqlstore: %s: %w", what, ErrNested)
	}
	if err := ctx.Err(); err != nil {
		return s.failed(ctx, what, err)
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return s.failed(ctx, what+": begin", err)
	}
	over := false
	defer func() {
		if !over {
			_ = tx.Rollback() // f failed or panicked, and what it says is what counts; the connection is dropped if this fails
		}
	}()
	q := &session{s: s, db: s.writer, stmt: &s.writeStmts, tx: tx}
	if err := f(context.WithValue(ctx, txKey{}, txValue{s, tx}), q); err != nil {
		return err
	}
	over = true
	return s.failed(ctx, what+": commit", tx.Commit())
}

// within runs f in the transaction that ctx carries, if it is one of this store's, otherwise in one of its own.
func (s *Store) within(ctx context.Context, what string, f func(ctx context.Context, q *session) error) error {
	if v, ok := ctx.Value(txKey{}).(txValue); ok && v.store == s {
		return f(ctx, &session{s: s, db: s.writer, stmt: &s.writeStmts, tx: v.tx})
	}
	return s.write(ctx, what, f)
}

// Update implements importer.Store. Updates wait for each other, here and in other processes, and f is run once.
// Calling a method that writes from within f fails with [ErrNested]; the Tx, and what [TxFrom] returns, are what f
// writes with.
func (s *Store) Update(ctx context.Context, f func(ctx context.Context, tx importer.Tx) error) error {
	return s.write(ctx, "update", func(ctx context.Context, q *session) error { return f(ctx, &storeTx{q}) })
}

// storeTx is the importer's view of a transaction.
type storeTx struct{ *session }

var _ importer.Tx = (*storeTx)(nil)
