"""The shape of memory.db, as numbered migrations that are only ever added to.

The file's `PRAGMA user_version` is the number of the last migration applied, its `application_id` says
that it is ours. Why this shape: observations are never changed, so one table holds them in the order they
became durable; pictures and vectors lie apart, so that reading a day of words touches no page of pixels;
what recall needs (blocks, postings, vocabulary) can be dropped and made again from observations.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

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

# What observations weigh and what events are worth, so that a budget can be kept by looking at few rows.
_3_CHARGES_AND_HOLDINGS = """
-- full: all of it; sketch: keyframe, pooled keys, tags; pointer: when, one key, no picture; tombstone: when and why.
ALTER TABLE spans ADD COLUMN stage TEXT NOT NULL DEFAULT 'full';
ALTER TABLE spans ADD COLUMN why TEXT NOT NULL DEFAULT '';

-- Estimated bytes of an observation in this file: its row in every table and index, its picture and its vector.
CREATE VIEW charges AS
  SELECT o.seq, o.source, o.channel, o.t0_s, o.t1_s,
    160 + 3 * length(o.id) + 6 * coalesce(k.terms, 0) + 5 * length(CAST(o.evidence AS BLOB)) / 2
      + 13 * (length(CAST(o.text AS BLOB)) + length(CAST(o.data AS BLOB))) / 10
      + coalesce(32 + length(v.vector), 0) AS row_bytes,
    coalesce(length(p.jpeg) + min(2048, 64 + length(p.jpeg) / 4), 0) AS picture_bytes
  FROM observations o LEFT JOIN keys k USING (seq) LEFT JOIN vectors v USING (seq) LEFT JOIN payloads p USING (seq);

-- Running totals of the above: by channel, and by level ('hot', 'events', 'episodes', 'words') with its spans.
CREATE TABLE charged (name TEXT PRIMARY KEY, n INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0)
  WITHOUT ROWID;
INSERT INTO charged SELECT channel, count(*), sum(row_bytes + picture_bytes) FROM charges GROUP BY channel;
INSERT INTO charged
  SELECT CASE WHEN channel IN ('frame', 'object', 'sound') THEN 'hot' ELSE 'words' END, count(*),
    sum(row_bytes + picture_bytes) FROM charges GROUP BY 1;
CREATE INDEX observations_by_channel ON observations(channel, seq);

-- What an event still holds of what was seen ('seen') and of what was said and read ('said'). rate is its worth
-- per byte: what is lowest goes first. terms are its rarest, keys the seq of the frames it is recognised by.
CREATE TABLE holdings (
  span TEXT NOT NULL,
  kind TEXT NOT NULL,
  source INTEGER NOT NULL REFERENCES sources(source),
  t0_s REAL NOT NULL,
  t1_s REAL NOT NULL,
  begun_wall_s REAL NOT NULL,
  stage TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  trust REAL NOT NULL,
  novelty REAL NOT NULL,
  uses INTEGER NOT NULL DEFAULT 0,
  rate REAL NOT NULL,
  keys TEXT NOT NULL DEFAULT '[]',
  terms TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (span, kind)
) WITHOUT ROWID;
CREATE INDEX holdings_by_rate ON holdings(kind, stage, rate, begun_wall_s);
CREATE INDEX holdings_by_time ON holdings(source, kind, t0_s);

-- In how many observations each term occurs, and each phrase (#, then a hash of its terms); a term that occurs in none
-- leaves the vocabulary.
CREATE TABLE term_counts (term TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE term_totals USING fts5vocab(observation_terms, row);
INSERT INTO term_counts SELECT term, doc FROM term_totals;
DROP TABLE term_totals;

-- The first observation stored in each hour of the wall clock: what age means for retention.
CREATE TABLE hours (wall_s INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
"""

# A stretch of a source erased at the user's wish, without a word of what was there: what is perceived of it again
# is refused. channel '' is all of them. `unscrubbed` is 1 while deleted bytes may still lie in the file.
# Trust by provenance (runtime.trust); before, all was stored as if the agent had seen it itself.
_4_ERASURES_AND_TRUST = """
CREATE TABLE erasures (
  erasure INTEGER PRIMARY KEY AUTOINCREMENT,
  source INTEGER NOT NULL REFERENCES sources(source),
  channel TEXT NOT NULL,
  t0_s REAL NOT NULL,
  t1_s REAL NOT NULL,
  erased_wall_s REAL NOT NULL
);
INSERT INTO memory VALUES ('unscrubbed', 0);
UPDATE observations SET trust = min(trust, 0.6) WHERE channel IN ('text', 'speech');
UPDATE observations SET trust = min(trust, coalesce((
  SELECT min(e.trust) FROM json_each(observations.evidence) j JOIN observations e ON e.id = j.value), 0.4))
  WHERE channel IN ('answer', 'derived');
"""

# The index in blocks of our own (memory.blocks) in place of full text: a removed word is gone from it at once, and a
# million observations are searched in a few ms. `analysis` 0: it is to be made from the observations.
_5_BLOCKS = """
DROP VIEW charges;
DROP TABLE term_postings;
DROP TABLE observation_terms;
DROP TABLE keys;
-- Terms of observations whose block is not full yet, separated by blanks; `terms` counts the own ones.
CREATE TABLE unsealed (
  seq INTEGER PRIMARY KEY, terms INTEGER NOT NULL, asks INTEGER NOT NULL, own TEXT NOT NULL, speaker TEXT NOT NULL
);
CREATE TABLE blocks (block INTEGER PRIMARY KEY, rows BLOB NOT NULL);
-- places: uint16 little-endian, seq modulo the block's length, ascending, repeated where the term is.
CREATE TABLE postings (
  term TEXT NOT NULL, field INTEGER NOT NULL, block INTEGER NOT NULL, places BLOB NOT NULL,
  PRIMARY KEY (term, field, block)
) WITHOUT ROWID;
INSERT INTO memory VALUES ('analysis', 0), ('index_bytes', 0);

-- As before; a text's postings weigh about as much as the text.
CREATE VIEW charges AS
  SELECT o.seq, o.source, o.channel, o.t0_s, o.t1_s,
    160 + 3 * length(o.id) + 5 * length(CAST(o.evidence AS BLOB)) / 2
      + 23 * length(CAST(o.text AS BLOB)) / 10 + 13 * length(CAST(o.data AS BLOB)) / 10
      + coalesce(32 + length(v.vector), 0) AS row_bytes,
    coalesce(length(p.jpeg) + min(2048, 64 + length(p.jpeg) / 4), 0) AS picture_bytes
  FROM observations o LEFT JOIN vectors v USING (seq) LEFT JOIN payloads p USING (seq);
DELETE FROM charged;
INSERT INTO charged SELECT channel, count(*), sum(row_bytes + picture_bytes) FROM charges GROUP BY channel;
INSERT INTO charged
  SELECT CASE WHEN channel IN ('frame', 'object', 'sound') THEN 'hot' ELSE 'words' END, count(*),
    sum(row_bytes + picture_bytes) FROM charges GROUP BY 1;
"""

# Vectors put into cells of neighbours (until 14), a quicker way to the table `vectors`, which stays the
# truth. state: building, live, dead. Of the members of a cell: seqs int64, scales float32, codes int8, little-endian;
# its centroid float16.
_6_VECTOR_CELLS = """
CREATE TABLE vector_segments (
  segment INTEGER PRIMARY KEY AUTOINCREMENT,
  space TEXT NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, n INTEGER NOT NULL, state TEXT NOT NULL
);
CREATE TABLE vector_cells (
  segment INTEGER NOT NULL, cell INTEGER NOT NULL,
  centroid BLOB NOT NULL, seqs BLOB NOT NULL, scales BLOB NOT NULL, codes BLOB NOT NULL,
  UNIQUE (segment, cell)
);
"""

# Observations that have gone but whose numbers are in a packed block still: until it is written anew.
_7_UNPACKED = """
CREATE TABLE unpacked (block INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (block, seq)) WITHOUT ROWID;
"""

# A span is believed no more than the least of what it is made of, which may be more than what is left of it: its sketch
# quotes what was read and said.
_8_TRUST_OF_SPANS = """
ALTER TABLE spans ADD COLUMN trust REAL NOT NULL DEFAULT 1;
UPDATE spans SET trust = min(
  CASE WHEN text LIKE '%read: "%' OR text LIKE '%said: "%' OR id LIKE '%/moment/%.1' THEN 0.6 ELSE 1 END,
  coalesce((SELECT min(o.trust) FROM observations o WHERE o.source = spans.source AND o.t0_s >= spans.t0_s - 64
    AND o.t0_s <= spans.t1_s AND o.t1_s >= spans.t0_s), 1));
"""

# What was asked, answered, corrected and derived: little beside what was perceived, and sought with every question.
_9_TALK = """
CREATE INDEX observations_of_talk ON observations(source, t0_s)
  WHERE channel IN ('question', 'answer', 'correction', 'derived');
"""

# How often frames were described anew: who holds vectors or words of an index in memory reads them again then.
_10_REDESCRIBED = """
INSERT INTO memory VALUES ('redescribed', 0);
"""

# Near spellings are found by their first letter and their length (memory.vocabulary).
_11_NO_TRIGRAMS = """
DROP TABLE vocabulary_trigrams;
"""

# Checksums of what was stored (memory.store.records); 0 of what was stored before. Rows that differ from theirs, or
# cannot be read, are put aside (memory.upkeep.rows): here is when they were.
_12_CHECKSUMS = """
ALTER TABLE observations ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
ALTER TABLE payloads ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
ALTER TABLE vectors ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
CREATE TABLE quarantine (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL, source INTEGER NOT NULL, t0_s REAL NOT NULL, t1_s REAL NOT NULL,
  why TEXT NOT NULL, found_wall_s REAL NOT NULL
);
"""

# A sequence number that a flipped bit made larger would have what follows taken for what is there already.
_13_CHECKED_SEQUENCES = """
ALTER TABLE publisher_seq ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
"""

# Every vector is compared with a query (memory.index.vectors): cells are not needed for as many as budgets hold.
_14_NO_CELLS = """
DROP TABLE vector_cells;
DROP TABLE vector_segments;
"""

# A watermark that a flipped bit made larger would have what lies before it taken for what is there already; where
# consolidation stands, changed, ended memory at every start.
_15_CHECKED_TRACKS = """
ALTER TABLE tracks ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
ALTER TABLE consolidation ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
"""

# A bit that flips in a sketch changed its words in silence.
_16_CHECKED_SPANS = """
ALTER TABLE spans ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
"""

MIGRATIONS: tuple[str, ...] = (
    _1_OBSERVATIONS_SPANS_AND_TERMS,
    _2_REMOVALS,
    _3_CHARGES_AND_HOLDINGS,
    _4_ERASURES_AND_TRUST,
    _5_BLOCKS,
    _6_VECTOR_CELLS,
    _7_UNPACKED,
    _8_TRUST_OF_SPANS,
    _9_TALK,
    _10_REDESCRIBED,
    _11_NO_TRIGRAMS,
    _12_CHECKSUMS,
    _13_CHECKED_SEQUENCES,
    _14_NO_CELLS,
    _15_CHECKED_TRACKS,
    _16_CHECKED_SPANS,
)
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


def migrate(connection: sqlite3.Connection, version: int, progress: Callable[[str], None] = lambda text: None) -> None:
    """Bring an open file from ``version`` to `SCHEMA`, each step in a transaction of its own: what is interrupted goes
    on from there."""
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        if version:
            progress(f"bringing it up to date, step {number - version} of {len(MIGRATIONS) - version}")
        connection.executescript(
            f"BEGIN IMMEDIATE;{statements};"
            f"PRAGMA user_version = {number};PRAGMA application_id = {APPLICATION_ID};COMMIT;"
        )
