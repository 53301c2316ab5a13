package sqlstore

import (
	"database/sql"
	"embed"
	"errors"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations
var migrations embed.FS

// dialect is what databases do not agree on. The statements of this package are written once, with ? for parameters
// and ON CONFLICT for upserts, which SQLite and PostgreSQL share. Column types and collations are the migrations'
// business.
//
// What a dialect for PostgreSQL has to bring along: rebind to $1; forUpdate; ids, parents and keys with COLLATE "C",
// for the order is bytewise; a retry of serialization failures in Update; and a lock taken by AppendEvents for the
// rest of the transaction, because a sequence is numbered when a row is inserted, not when it is committed, and a
// reader must never see an event appear below one that it has read. SQLite has one writer at a time, which gives all
// of that.
type dialect struct {
	goose      goose.Dialect
	migrations string
	// hasTable counts the tables of a name.
	hasTable string
	// forUpdate is appended to a SELECT whose rows the transaction is going to change.
	forUpdate string
	// rebind translates the placeholders of a statement.
	rebind func(string) string
	// hint says what an operator can do about an error of the driver, "" if nothing is known.
	hint func(error) string
	// busy reports whether an error says that another connection was in the way.
	busy func(error) bool
}

var sqliteDialect = dialect{
	goose:      goose.DialectSQLite3,
	migrations: "migrations/sqlite",
	hasTable:   "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
	rebind:     func(q string) string { return q },
	hint: func(err error) string {
		switch sqliteCode(err) {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return "another process holds the write lock for too long: look for a transaction that is left open"
		case sqlite3.SQLITE_FULL:
			return "the disk is full: nothing of the transaction was kept; make room and run again"
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH:
			return "the file and its directory must be writable by this user"
		case sqlite3.SQLITE_CORRUPT:
			return "the database is damaged: restore it from a backup"
		case sqlite3.SQLITE_NOTADB:
			return "the file is not an SQLite database"
		case sqlite3.SQLITE_IOERR:
			return "the disk failed or is not a local one: WAL needs a local file system"
		}
		return ""
	},
	busy: func(err error) bool {
		code := sqliteCode(err)
		return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
	},
}

// sqliteCode returns the primary result code of an SQLite error, 0 for any other.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// query names a statement that is prepared once.
type query int

const (
	qRecords1 query = iota
	qRecords16
	qRecords128
	qRaw
	qEvents
	qEventsOf
	qRejections
	qRejectionsFrom
	qAnyRejection
	qCheckpoint
	qMessages
	qQueue
	qLoadToken
	qLoadLimit
	qDelivery
	qRegistration
	writes // the queries from here on write
)

const (
	qPutRecord = writes + iota
	qPutRaw
	qDropRaw
	qTouch
	qPutRejection
	qDropRejection
	qAppendEvent
	qPutCheckpoint
	qPutMessage
	qDropMessage
	qRequeue
	qEraseMessages
	qPutQueue
	qInsertToken
	qUpdateToken
	qPutLimit
	qForget
	qClaim
	qDone
	qRelease
	qKeepFailure
	qDropFailure
	qPutRegistration
	qDropRegistration
	qHear
	qFind
	queries
)

// columns are those of a record, in the order in which scan reads and put writes them.
const columns = "id, parent, hash, raw_hash, version, generation, stamp_updated, stamp_sent, older, updated_at, " +
	"first_fetched, last_fetched, changed_at, deleted_at, erased, adapter_version, document"

var statements = [queries]string{
	qRecords1:   recordsIn(1),
	qRecords16:  recordsIn(16),
	qRecords128: recordsIn(128),
	qRaw:        "SELECT raw FROM ik_raw WHERE integration = ? AND kind = ? AND id = ?",
	qEvents: "SELECT seq, integration, kind, id, version, change, at, run FROM ik_events " +
		"WHERE seq > ? ORDER BY seq LIMIT ?",
	qEventsOf: "SELECT seq, integration, kind, id, version, change, at, run FROM ik_events " +
		"WHERE integration = ? AND seq > ? ORDER BY seq LIMIT ?",
	qRejections:     rejectionsWhere("key > ?"),
	qRejectionsFrom: rejectionsWhere("key >= ?"),
	qAnyRejection:   "SELECT 1 FROM ik_rejections WHERE integration = ? AND kind = ? LIMIT 1",
	qCheckpoint:     "SELECT state FROM ik_checkpoints WHERE integration = ? AND kind = ?",
	qMessages: "SELECT seq, key, id, account, integration, reason, received, body FROM ik_messages " +
		"WHERE queue = ? AND state = ? AND seq > ? ORDER BY seq LIMIT ?",
	qQueue:     "SELECT state FROM ik_queues WHERE queue = ?",
	qLoadToken: "SELECT version, record FROM ik_tokens WHERE key = ?",
	qLoadLimit: "SELECT state FROM ik_limits WHERE key = ?",

	qPutRecord: "INSERT INTO ik_records (integration, kind, " + columns + ") VALUES (?, ?, " + marks(17) + ") " +
		"ON CONFLICT (integration, kind, id) DO UPDATE SET " + replaced(columns),
	qPutRaw: "INSERT INTO ik_raw (integration, kind, id, raw) VALUES (?, ?, ?, ?) " +
		"ON CONFLICT (integration, kind, id) DO UPDATE SET raw = excluded.raw",
	qDropRaw: "DELETE FROM ik_raw WHERE integration = ? AND kind = ? AND id = ?",
	qTouch: "UPDATE ik_records SET generation = ?, stamp_updated = ?, stamp_sent = ?, older = ?, updated_at = ?, " +
		"first_fetched = ?, last_fetched = ?, adapter_version = ? WHERE integration = ? AND kind = ? AND id = ?",
	qPutRejection: "INSERT INTO ik_rejections (integration, kind, key, id, reason, raw, first_seen, last_seen, times) " +
		"VALUES (" + marks(9) + ") ON CONFLICT (integration, kind, key) DO UPDATE SET id = excluded.id, " +
		"reason = excluded.reason, raw = excluded.raw, last_seen = excluded.last_seen, " +
		"times = ik_rejections.times + excluded.times",
	qDropRejection: "DELETE FROM ik_rejections WHERE integration = ? AND kind = ? AND key = ?",
	qAppendEvent:   "INSERT INTO ik_events (integration, kind, id, version, change, at, run) VALUES (" + marks(7) + ")",
	qPutCheckpoint: "INSERT INTO ik_checkpoints (integration, kind, state) VALUES (?, ?, ?) " +
		"ON CONFLICT (integration, kind) DO UPDATE SET state = excluded.state",
	qPutMessage: "INSERT INTO ik_messages (queue, key, state, id, account, integration, reason, received, body) " +
		"VALUES (" + marks(9) + ") ON CONFLICT (queue, key) DO UPDATE SET state = excluded.state, id = excluded.id, " +
		"account = excluded.account, integration = excluded.integration, reason = excluded.reason, " +
		"received = max(ik_messages.received, excluded.received), body = excluded.body",
	qDropMessage: "DELETE FROM ik_messages WHERE queue = ? AND key = ?",
	qRequeue: "UPDATE ik_messages SET state = 'pending', integration = '', reason = '' " +
		"WHERE queue = ? AND key = ? AND state = 'dead' AND account <> ''",
	// Those that are of no integration, too: nobody knows whose they are.
	qEraseMessages: "DELETE FROM ik_messages WHERE integration IN (?, '') AND id = ? AND state = 'dead'",
	qPutQueue: "INSERT INTO ik_queues (queue, state) VALUES (?, ?) " +
		"ON CONFLICT (queue) DO UPDATE SET state = excluded.state",
	qInsertToken: "INSERT INTO ik_tokens (key, version, record) VALUES (?, 1, ?) ON CONFLICT (key) DO NOTHING",
	qUpdateToken: "UPDATE ik_tokens SET version = version + 1, record = ? WHERE key = ? AND version = ?",
	qPutLimit: "INSERT INTO ik_limits (key, state) VALUES (?, ?) " +
		"ON CONFLICT (key) DO UPDATE SET state = excluded.state",

	qDelivery: "SELECT token, until FROM ik_deliveries WHERE key = ?",
	qForget: "DELETE FROM ik_deliveries WHERE key IN " +
		"(SELECT key FROM ik_deliveries WHERE until <= ? ORDER BY until LIMIT 16)",
	qClaim: "INSERT INTO ik_deliveries (key, token, until) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE " +
		"SET token = excluded.token, until = excluded.until WHERE ik_deliveries.until <= ?",
	qDone: "INSERT INTO ik_deliveries (key, token, until) VALUES (?, '', ?) ON CONFLICT (key) DO UPDATE SET token = '', " +
		"until = excluded.until WHERE ik_deliveries.token = ? OR ik_deliveries.until <= ?",
	qRelease: "DELETE FROM ik_deliveries WHERE key = ? AND token = ? AND token <> ''",
	qKeepFailure: "INSERT INTO ik_failed_webhooks (key, integration, received_at, failed_at, reason, event, attempts) " +
		"VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET integration = excluded.integration, " +
		"received_at = excluded.received_at, failed_at = excluded.failed_at, reason = excluded.reason, " +
		"event = excluded.event, attempts = ik_failed_webhooks.attempts + 1",
	qDropFailure:  "DELETE FROM ik_failed_webhooks WHERE key = ?",
	qRegistration: "SELECT version, document FROM ik_registrations WHERE key = ?",
	qPutRegistration: "INSERT INTO ik_registrations (key, version, document) VALUES (?, ?, ?) " +
		"ON CONFLICT (key) DO UPDATE SET " + replaced("version, document"),
	qDropRegistration: "UPDATE ik_registrations SET document = NULL " +
		"WHERE key = ? AND version = ? AND document IS NOT NULL",
	qHear: "INSERT INTO ik_heard (integration, kind, id, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
	qFind: "INSERT INTO ik_found (integration, kind, id, version, by_webhook, since, at) VALUES (" + marks(7) + ") " +
		"ON CONFLICT DO NOTHING",
}

func recordsIn(n int) string {
	return "SELECT " + columns + " FROM ik_records WHERE integration = ? AND kind = ? AND id IN (" + marks(n) + ")"
}

func rejectionsWhere(cond string) string {
	return "SELECT key, id, reason, raw, first_seen, last_seen, times FROM ik_rejections " +
		"WHERE integration = ? AND kind = ? AND " + cond + " ORDER BY key LIMIT ?"
}

// marks returns n placeholders.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// replaced returns the assignments of an upsert that replaces the columns.
func replaced(columns string) string {
	var b strings.Builder
	for i, c := range strings.Split(columns, ", ") {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c + " = excluded." + c)
	}
	return b.String()
}

// prepared are the statements as prepared on one handle. Those that are not are nil.
type prepared [queries]*sql.Stmt

func (p *prepared) close() {
	for _, s := range p {
		if s != nil {
			_ = s.Close() // its handle is closed next
		}
	}
}
