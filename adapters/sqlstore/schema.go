package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/integrationkit/integrationkit/auth"
)

// schemaTable is where the migrations that were applied are noted.
const schemaTable = "ik_schema"

// newestSchema returns the version that this package brings a database to.
func (s *Store) newestSchema() (int64, error) {
	files, err := fs.ReadDir(migrations, s.dialect.migrations)
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, f := range files {
		n, _, _ := strings.Cut(f.Name(), "_")
		v, err := strconv.ParseInt(n, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("migration %s has no version", path.Base(f.Name()))
		}
		newest = max(newest, v)
	}
	return newest, nil
}

// checkVersion refuses a database that a newer version of this package has been at.
func (s *Store) checkVersion(ctx context.Context, q *session) error {
	newest, err := s.newestSchema()
	if err != nil {
		return err
	}
	n, err := q.count(ctx, s.dialect.hasTable, schemaTable)
	if err != nil || n == 0 {
		return err
	}
	version, err := q.count(ctx, "SELECT coalesce(max(version_id), 0) FROM "+schemaTable)
	if err != nil {
		return err
	}
	if int64(version) > newest {
		return fmt.Errorf("%w: %d, and this program knows those up to %d: run the newer program, "+
			"or restore a backup from before the upgrade", ErrNewer, version, newest)
	}
	return nil
}

// The key that seals is noted by something that it sealed, so that wrong keys are found out before anything is
// written with them.
const (
	canaryName  = "key/"
	canaryPlace = "sqlstore/key"
	canaryPlain = "integrationkit"
)

// checkKeys refuses keys that cannot open all of what may be in the database.
func (s *Store) checkKeys(ctx context.Context, q *session) error {
	n, err := q.count(ctx, s.dialect.hasTable, "ik_meta")
	if err != nil || n == 0 {
		return err
	}
	rows, err := q.adHoc(ctx, "SELECT name, value FROM ik_meta ORDER BY name")
	if err != nil {
		return err
	}
	defer rows.Close()
	var errs []error
	for rows.Next() {
		var name string
		var sealed []byte
		if err := rows.Scan(&name, &sealed); err != nil {
			return err
		}
		id, ok := strings.CutPrefix(name, canaryName)
		if !ok {
			continue
		}
		if s.keys == nil {
			errs = append(errs, fmt.Errorf("%w: the database holds what key %q sealed, and Options.Keys is nil", ErrKeys, id))
		} else if plain, err := s.keys.Open(canaryPlace, sealed); err != nil || string(plain) != canaryPlain {
			errs = append(errs, fmt.Errorf(
				"%w: the database holds what key %q sealed, and Options.Keys do not open it", ErrKeys, id))
		}
	}
	return errors.Join(append(errs, rows.Err())...)
}

// setUp brings the schema up to date and notes the key that seals from now on. Another process may be doing the same.
func (s *Store) setUp(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := s.migrate(ctx)
		if err == nil {
			err = s.noteKey(ctx)
		}
		// The one that comes second fails on what the first one did, or on a lock that SQLite does not wait for;
		// looking again settles it.
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrKeys) || errors.Is(err, ErrNewer) ||
			attempt >= 3 && !s.dialect.busy(err) || attempt == 50 {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(attempt)*5*time.Millisecond + rand.N(20*time.Millisecond)):
		}
	}
}

func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, s.dialect.migrations)
	if err != nil {
		return err
	}
	// Nothing global, nothing to standard output; the handle stays ours.
	p, err := goose.NewProvider(s.dialect.goose, s.writer, files, goose.WithTableName(schemaTable),
		goose.WithDisableGlobalRegistry(true), goose.WithVerbose(false), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	if pending, err := p.HasPending(ctx); err != nil || !pending {
		return err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("bring the schema up to date: %w", err)
	}
	for _, r := range results {
		s.log.InfoContext(ctx, "sqlstore: schema migrated", "version", r.Source.Version, "took", r.Duration)
	}
	return nil
}

// noteKey checks the schema and the keys once more, now that nobody else can be writing, and notes the first key.
func (s *Store) noteKey(ctx context.Context) error {
	return s.write(ctx, "note the sealing key", func(ctx context.Context, q *session) error {
		if err := errors.Join(s.checkVersion(ctx, q), s.checkKeys(ctx, q)); err != nil || s.keys == nil {
			return err
		}
		name, sealed, err := s.canary()
		if err == nil {
			const note = "INSERT INTO ik_meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
			_, err = q.tx.ExecContext(ctx, s.dialect.rebind(note), name, sealed)
		}
		return err
	})
}

// canary returns the note of the first key.
func (s *Store) canary() (name string, sealed []byte, err error) {
	if sealed, err = s.keys.Seal(canaryPlace, []byte(canaryPlain)); err != nil {
		return "", nil, err
	}
	id, err := auth.KeyID(sealed)
	return canaryName + id, sealed, err
}
