"""The shape of memory.db, as numbered migrations that are only ever added to.

The file's `PRAGMA user_version` is the number of the last migration applied, its `application_id` says
that it is ours. Why this shape: observations are never changed, so one table holds them in the order they
became durable; pictures and vectors lie apart, so that reading a day of words touches no page of pixels;
what recall needs (term counts, full text, vocabulary) can be dropped and made again from observations.
"""

from __future__ import annotations

import sqlite3

from runtime.errors import StoreError

APPLICATION_ID = 0x4D_53_54_4D  # "MSTM"

# External readers can join these with plain SQL; times are media seconds, *_wall_s Unix seconds.
_1_OBSERVATIONS_SPANS_AND_TERMS = """
CREATE TABLE memory (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO memory VALUES ('generation', 0);

-- One row a stream of media, in the order they were first opened.
CREATE TABLE sources (
  source INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  uri TEXT NOT NULL DEFAULT '',
  fingerprint TEXT NOT NULL DEFAULT '',
  started_wall_s REAL NOT NULL DEFAULT 0,
  duration_s REAL
);

-- Up to where each track of a source is in memory; `ended` is NULL while it goes on, else why it ended.
CREATE TABLE tracks (
  source INTEGER NOT NULL REFERENCES sources(source),
  track TEXT NOT NULL,
  watermark_s REAL NOT NULL DEFAULT 0,
  ended TEXT,
  missing TEXT NOT NULL DEFAULT '',
  encoders TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (source, track)
) WITHOUT ROWID;

-- seq is the order of storing, generation the commit it became visible with.
CREATE TABLE observations (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  generation INTEGER NOT NULL,
  source INTEGER NOT NULL REFERENCES sources(source),
  channel TEXT NOT NULL,
  t0_s REAL NOT NULL,
  t1_s REAL NOT NULL,
  wall_s REAL NOT NULL,
  text TEXT NOT NULL,
  data TEXT NOT NULL,
  evidence TEXT NOT NULL,
  trust REAL NOT NULL
);
CREATE INDEX observations_by_begin ON observations(source, t0_s);
CREATE INDEX observations_by_end ON observations(source, t1_s);
-- The few long ones apart, so that a window is found by its begin without reading everything before it.
CREATE INDEX observations_long ON observations(source, t0_s) WHERE t1_s - t0_s > 64;

CREATE TABLE payloads (seq INTEGER PRIMARY KEY REFERENCES observations(seq), jpeg BLOB NOT NULL);

-- float16 little-endian, unit length.
CREATE TABLE vectors (
  seq INTEGER PRIMARY KEY REFERENCES observations(seq), space TEXT NOT NULL, vector BLOB NOT NULL
);
CREATE INDEX vectors_by_space ON vectors(space, seq);

-- Evidence the other way round: who rests on this observation.
CREATE TABLE links (
  to_id TEXT NOT NULL, from_seq INTEGER NOT NULL REFERENCES observations(seq), PRIMARY KEY (to_id, from_seq)
) WITHOUT ROWID;

-- Moments, events, episodes. parent is the id of the span one level up, also before that one has ended.
CREATE TABLE spans (
  id TEXT PRIMARY KEY,
  generation INTEGER NOT NULL,
  source INTEGER NOT NULL REFERENCES sources(source),
  level TEXT NOT NULL,
  t0_s REAL NOT NULL,
  t1_s REAL NOT NULL,
  text TEXT NOT NULL,
  parent TEXT NOT NULL DEFAULT '',
  keyframe TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX spans_by_end ON spans(source, level, t1_s);

-- Where consolidation stood in each source when it last ended an event: MessagePack, written with the spans.
CREATE TABLE consolidation (source INTEGER PRIMARY KEY REFERENCES sources(source), state BLOB NOT NULL);

-- The last message of each publisher that is durable.
CREATE TABLE publisher_seq (
  publisher TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (publisher, epoch)
) WITHOUT ROWID;

-- The index. Terms are made by memory.words; full text keeps their positions but not the text again.
CREATE TABLE keys (
  seq INTEGER PRIMARY KEY REFERENCES observations(seq), terms INTEGER NOT NULL, asks INTEGER NOT NULL
);
CREATE VIRTUAL TABLE observation_terms USING fts5(
  own, speaker, content='', tokenize="unicode61 remove_diacritics 0 categories 'L* N* Co M*' tokenchars '.:'"
);
CREATE VIRTUAL TABLE term_postings USING fts5vocab(observation_terms, instance);
CREATE TABLE vocabulary (word INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE, sound TEXT NOT NULL);
CREATE INDEX vocabulary_by_sound ON vocabulary(sound);
CREATE VIRTUAL TABLE vocabulary_trigrams USING fts5(
  term, content='vocabulary', content_rowid='word', tokenize='trigram', detail=none
);
"""

# seq was removed; nothing else is kept of it. Who holds an index in memory drops it from there.
_2_REMOVALS = """
CREATE TABLE removals (removal INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL);
CREATE INDEX links_by_from ON links(from_seq);
"""

MIGRATIONS: tuple[str, ...] = (_1_OBSERVATIONS_SPANS_AND_TERMS, _2_REMOVALS)
SCHEMA = len(MIGRATIONS)


def schema_version(connection: sqlite3.Connection, where: str) -> int:
    """The schema of an open file, 0 for an empty one; reads only.

    Raises:
        StoreError: the file is a database of something else, or of a newer program.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if owner != APPLICATION_ID:
        if version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise StoreError(f"memory {where}: a database, but not one of this program; choose another folder")
        return 0
    if version > SCHEMA:
        raise StoreError(
            f"memory {where}: written by a newer version (schema {version}, this program knows {SCHEMA}); update it"
        )
    return version


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring an open file from ``version`` to `SCHEMA`, each step in a transaction of its own."""
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;{statements};"
            f"PRAGMA user_version = {number};PRAGMA application_id = {APPLICATION_ID};COMMIT;"
        )
