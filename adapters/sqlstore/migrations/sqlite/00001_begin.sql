-- +goose Up

-- Instants are nanoseconds since 1970 in UTC, 0 where there is none. Ids and keys compare bytewise (BINARY, the default).

CREATE TABLE ik_meta (
	name  TEXT NOT NULL PRIMARY KEY,
	value BLOB NOT NULL
) STRICT;

CREATE TABLE ik_records (
	integration     TEXT    NOT NULL,
	kind            TEXT    NOT NULL,
	id              TEXT    NOT NULL,
	parent          TEXT    NOT NULL,
	hash            TEXT    NOT NULL,
	raw_hash        TEXT    NOT NULL,
	version         INTEGER NOT NULL,
	generation      INTEGER NOT NULL,
	stamp_updated   INTEGER NOT NULL,
	stamp_sent      INTEGER NOT NULL,
	older           TEXT    NOT NULL, -- JSON, '' when there are none
	updated_at      INTEGER NOT NULL,
	first_fetched   INTEGER NOT NULL,
	last_fetched    INTEGER NOT NULL,
	changed_at      INTEGER NOT NULL,
	deleted_at      INTEGER NOT NULL,
	erased          INTEGER NOT NULL,
	adapter_version TEXT    NOT NULL,
	document        TEXT    NOT NULL, -- the long one last: filters stop before it
	PRIMARY KEY (integration, kind, id)
) STRICT;

CREATE INDEX ik_records_parent ON ik_records (integration, kind, parent);
CREATE INDEX ik_records_deleted ON ik_records (deleted_at) WHERE deleted_at <> 0;

CREATE TABLE ik_raw (
	integration TEXT NOT NULL,
	kind        TEXT NOT NULL,
	id          TEXT NOT NULL,
	raw         BLOB NOT NULL,
	PRIMARY KEY (integration, kind, id),
	FOREIGN KEY (integration, kind, id) REFERENCES ik_records ON DELETE CASCADE
) STRICT;

CREATE TABLE ik_rejections (
	integration TEXT    NOT NULL,
	kind        TEXT    NOT NULL,
	key         TEXT    NOT NULL,
	id          TEXT    NOT NULL,
	reason      TEXT    NOT NULL,
	raw         BLOB, -- sealed
	first_seen  INTEGER NOT NULL,
	last_seen   INTEGER NOT NULL,
	times       INTEGER NOT NULL,
	PRIMARY KEY (integration, kind, key)
) STRICT;

-- AUTOINCREMENT: the number of an event that was pruned is not given again.
CREATE TABLE ik_events (
	seq         INTEGER PRIMARY KEY AUTOINCREMENT,
	integration TEXT    NOT NULL,
	kind        TEXT    NOT NULL,
	id          TEXT    NOT NULL,
	version     INTEGER NOT NULL,
	change      TEXT    NOT NULL,
	at          INTEGER NOT NULL,
	run         TEXT    NOT NULL
) STRICT;

CREATE INDEX ik_events_integration ON ik_events (integration, seq);
CREATE INDEX ik_events_at ON ik_events (at);

CREATE TABLE ik_checkpoints (
	integration TEXT NOT NULL,
	kind        TEXT NOT NULL,
	state       TEXT NOT NULL, -- JSON
	PRIMARY KEY (integration, kind)
) STRICT;

CREATE TABLE ik_tokens (
	key     TEXT    NOT NULL PRIMARY KEY,
	version INTEGER NOT NULL,
	record  BLOB    NOT NULL -- sealed
) STRICT;

-- A lock's row outlives it, so that its fence only rises.
CREATE TABLE ik_locks (
	key        TEXT    NOT NULL PRIMARY KEY,
	fence      INTEGER NOT NULL,
	expires_at INTEGER NOT NULL -- 0: free
) STRICT;

CREATE TABLE ik_limits (
	key   TEXT NOT NULL PRIMARY KEY,
	state BLOB NOT NULL
) STRICT;
