-- +goose Up

-- Deliveries of webhooks that are being handed over, or were.
CREATE TABLE ik_deliveries (
	key   TEXT    NOT NULL PRIMARY KEY,
	token TEXT    NOT NULL, -- '' when it is done
	until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX ik_deliveries_until ON ik_deliveries (until);

CREATE TABLE ik_failed_webhooks (
	key         TEXT    NOT NULL PRIMARY KEY,
	integration TEXT    NOT NULL,
	received_at INTEGER NOT NULL,
	failed_at   INTEGER NOT NULL,
	attempts    INTEGER NOT NULL,
	reason      TEXT    NOT NULL,
	event       BLOB    NOT NULL -- sealed
) STRICT;

CREATE INDEX ik_failed_webhooks_received ON ik_failed_webhooks (received_at, key);
CREATE INDEX ik_failed_webhooks_integration ON ik_failed_webhooks (integration, received_at, key);
CREATE INDEX ik_failed_webhooks_failed ON ik_failed_webhooks (failed_at);

-- The row of a registration that was deleted stays, without its document, so that its version only rises.
CREATE TABLE ik_registrations (
	key      TEXT    NOT NULL PRIMARY KEY,
	version  INTEGER NOT NULL,
	document BLOB -- sealed
) STRICT;

-- What webhooks told of, and what changed.
CREATE TABLE ik_heard (
	integration TEXT    NOT NULL,
	kind        TEXT    NOT NULL,
	id          TEXT    NOT NULL,
	at          INTEGER NOT NULL,
	PRIMARY KEY (integration, kind, id, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX ik_heard_at ON ik_heard (at);

CREATE TABLE ik_found (
	integration TEXT    NOT NULL,
	kind        TEXT    NOT NULL,
	id          TEXT    NOT NULL,
	version     INTEGER NOT NULL,
	by_webhook  INTEGER NOT NULL,
	since       INTEGER NOT NULL,
	at          INTEGER NOT NULL,
	PRIMARY KEY (integration, kind, id, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX ik_found_at ON ik_found (at);
