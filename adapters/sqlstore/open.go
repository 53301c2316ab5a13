package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"modernc.org/sqlite"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// Options configures a [Store].
type Options struct {
	// Keys seal tokens and the raw bytes of rejected records. nil opens a store for records only: tokens are refused
	// with [ErrNoKeys], and rejections are kept without their raw bytes. A database that has been opened with keys is
	// not opened without them.
	Keys *auth.Keys
	// Logger is told of migrations and of what could not be tidied up; nil: nobody is.
	Logger *slog.Logger
}

// Store keeps durable state in a database. Use [Open]. It is safe for concurrent use, by any number of processes on
// one machine.
type Store struct {
	dialect    dialect
	keys       *auth.Keys
	log        *slog.Logger
	writer     *sql.DB // one connection, whose transactions begin with the write lock
	read       *sql.DB
	writeStmts prepared
	readStmts  prepared
	closed     atomic.Bool
}

var (
	_ importer.Store       = (*Store)(nil)
	_ auth.Store           = (*Store)(nil)
	_ ratelimit.StateStore = (*Store)(nil)
)

const (
	readers = 4
	// busyTimeout is how long, in milliseconds, a transaction waits for those of other processes. Contexts end the
	// wait earlier.
	busyTimeout = "60000"
	// walLimit is the size in bytes that the write-ahead log is cut to after it has grown beyond.
	walLimit = "67108864"
)

// Open opens the SQLite database in the file at path, creates it (readable by this user only) or brings its schema up
// to date. The directory must be there, and on a local file system. Nothing is written, and the error names
// everything that is wrong, when path is unusable, the file is something else ([ErrNotDatabase]), has a newer schema
// ([ErrNewer]), or was sealed with keys that are not among Options.Keys ([ErrKeys]).
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	fresh, err := checkPath(path)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("sqlstore: open %s: %w", path, err)
	}
	s := &Store{dialect: sqliteDialect, keys: o.Keys, log: o.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if fresh {
		err = create(path)
	} else {
		err = s.inspect(ctx, path)
	}
	if err != nil {
		return nil, s.openFailed(ctx, path, err)
	}
	if err := s.start(ctx, path); err != nil {
		err = s.openFailed(ctx, path, err)
		_ = s.Close() // the failure to open is what counts
		return nil, err
	}
	return s, nil
}

func (s *Store) openFailed(ctx context.Context, path string, err error) error {
	return s.failed(ctx, "open "+filepath.Base(path), err)
}

// checkPath refuses what is no path of a database, and reports whether there is nothing there yet.
func checkPath(path string) (fresh bool, err error) {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("sqlstore: path "+format, a...)) }
	switch {
	case path == "":
		bad("is empty: a store is durable, so it needs a file")
	case path == ":memory:" || strings.HasPrefix(path, "file:"):
		bad("%q is not the name of a file: databases in memory and SQLite's URIs are not supported", path)
	case strings.ContainsRune(path, 0):
		bad("contains a NUL byte")
	}
	if len(errs) > 0 {
		return false, errors.Join(errs...)
	}
	if dir, err := os.Stat(filepath.Dir(path)); err != nil {
		bad("%s: its directory cannot be used: %w", path, withoutPath(err))
	} else if !dir.IsDir() {
		bad("%s: what should be its directory is a file", path)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fresh = true
	case err != nil && len(errs) == 0:
		bad("%s: %w", path, withoutPath(err))
	case err == nil && !info.Mode().IsRegular():
		bad("%s: is not a regular file", path)
	case err == nil:
		fresh = info.Size() == 0
	}
	return fresh, errors.Join(errs...)
}

// withoutPath unwraps what repeats the path.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// create makes an empty file, from which the database and the files beside it take their permissions.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return withoutPath(err)
	}
	return f.Close()
}

// inspect looks at an existing database without changing it.
func (s *Store) inspect(ctx context.Context, path string) error {
	if err := checkHeader(path); err != nil {
		return err
	}
	db, err := s.handle(path, url.Values{"mode": {"ro"}, "_query_only": {"1"}}, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	q := &session{s: s, db: db}
	return errors.Join(s.checkVersion(ctx, q), s.checkKeys(ctx, q))
}

// checkHeader refuses files that are no SQLite databases.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return withoutPath(err)
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	_, err = io.ReadFull(f, head)
	if errors.Is(err, io.ErrUnexpectedEOF) || err == nil && !bytes.Equal(head, []byte(magic)) {
		return ErrNotDatabase
	} else if err != nil {
		return withoutPath(err)
	}
	return nil
}

// handle opens a handle with up to n connections. It does not connect.
func (s *Store) handle(path string, params url.Values, n int) (*sql.DB, error) {
	params.Set("_busy_timeout", busyTimeout)
	params.Set("_dqs", "0")
	params.Set("_error_rc", "1")
	dsn := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: params.Encode()}
	c, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// start opens the handles, brings the schema up to date and prepares the statements.
func (s *Store) start(ctx context.Context, path string) (err error) {
	// Commits are synced (synchronous=FULL): what Update and SaveToken promise holds when the power fails, not only
	// when the process does. What is deleted is overwritten (secure_delete), because it may have been erased on a
	// person's request.
	s.writer, err = s.handle(path, url.Values{
		"_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_synchronous": {"FULL"}, "_foreign_keys": {"1"},
		"_pragma": {"secure_delete(1)", "journal_size_limit(" + walLimit + ")", "cache_size(-8000)"},
	}, 1)
	if err != nil {
		return err
	}
	if err := s.setUp(ctx); err != nil {
		return err
	}
	if s.read, err = s.handle(path, url.Values{"_query_only": {"1"}}, readers); err != nil {
		return err
	}
	for n, text := range statements {
		text = s.dialect.rebind(text)
		if s.writeStmts[n], err = s.writer.PrepareContext(ctx, text); err != nil { //nolint:sqlclosecheck // by Close
			return err
		}
		if query(n) < writes {
			if s.readStmts[n], err = s.read.PrepareContext(ctx, text); err != nil { //nolint:sqlclosecheck // by Close
				return err
			}
		}
	}
	return nil
}

// Close closes the database. Transactions that run are finished; calls after it fail with [ErrClosed].
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.readStmts.close()
	s.writeStmts.close()
	var errs []error
	for _, db := range []*sql.DB{s.read, s.writer} { // the writer last: it tidies up the write-ahead log
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sqlstore: close: %w", err)
	}
	return nil
}
