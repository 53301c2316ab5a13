-- +goose Up

-- Messages of queues, from before they are acknowledged until their records are stored. AUTOINCREMENT: a number is not given again.
CREATE TABLE ik_messages (
	seq         INTEGER PRIMARY KEY AUTOINCREMENT,
	queue       TEXT    NOT NULL,
	key         TEXT    NOT NULL,
	state       TEXT    NOT NULL,
	id          TEXT    NOT NULL,
	account     TEXT    NOT NULL,
	integration TEXT    NOT NULL,
	reason      TEXT    NOT NULL,
	received    INTEGER NOT NULL,
	body        BLOB    NOT NULL, -- sealed
	UNIQUE (queue, key)
) STRICT;

CREATE INDEX ik_messages_state ON ik_messages (queue, state, seq);
CREATE INDEX ik_messages_dead ON ik_messages (received) WHERE state = 'dead';
CREATE INDEX ik_messages_record ON ik_messages (integration, id) WHERE state = 'dead';

CREATE TABLE ik_queues (
	queue TEXT NOT NULL PRIMARY KEY,
	state TEXT NOT NULL -- JSON
) STRICT;
