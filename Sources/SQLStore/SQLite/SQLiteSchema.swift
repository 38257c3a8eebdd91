extension Migration {
    /// Times are milliseconds since 1970. Tables are STRICT: SQLite would otherwise store text in a number's column.
    static let sqlite = [
        Migration(
            number: 1, name: "events, summaries, holds, counters, private rows",
            sql: """
                CREATE TABLE events (
                  global_position INTEGER PRIMARY KEY AUTOINCREMENT,
                  stream_id TEXT NOT NULL,
                  version INTEGER NOT NULL,
                  group_id TEXT NOT NULL,
                  type TEXT NOT NULL,
                  data TEXT NOT NULL,
                  metadata TEXT NOT NULL,
                  occurred_at INTEGER NOT NULL,
                  UNIQUE (stream_id, version)
                ) STRICT;
                CREATE INDEX events_by_group ON events (group_id, global_position);

                CREATE TABLE compute_summaries (
                  compute_id TEXT NOT NULL PRIMARY KEY,
                  group_id TEXT NOT NULL,
                  name TEXT,
                  namespace TEXT,
                  metadata TEXT NOT NULL,
                  directory TEXT,
                  timeout_ms INTEGER NOT NULL,
                  state TEXT NOT NULL,
                  created_at INTEGER NOT NULL,
                  started_at INTEGER,
                  expires_at INTEGER,
                  ended_at INTEGER,
                  end_reason TEXT,
                  generation INTEGER,
                  member TEXT,
                  sidekick TEXT,
                  sidekick_internal TEXT,
                  port_host TEXT,
                  version INTEGER NOT NULL
                ) STRICT;
                CREATE INDEX compute_summaries_newest ON compute_summaries (group_id, created_at, compute_id);
                CREATE INDEX compute_summaries_expiring ON compute_summaries (expires_at, compute_id)
                  WHERE state = 'running';
                CREATE INDEX compute_summaries_unended ON compute_summaries (compute_id) WHERE state <> 'ended';
                CREATE INDEX compute_summaries_named ON compute_summaries (group_id, namespace, name)
                  WHERE state <> 'ended' AND name IS NOT NULL;

                CREATE TABLE unique_holds (
                  group_id TEXT NOT NULL,
                  scope TEXT NOT NULL,
                  key TEXT NOT NULL,
                  owner TEXT NOT NULL,
                  fingerprint TEXT,
                  PRIMARY KEY (group_id, scope, key)
                ) STRICT, WITHOUT ROWID;

                CREATE TABLE counters (
                  group_id TEXT NOT NULL,
                  name TEXT NOT NULL,
                  value INTEGER NOT NULL,
                  PRIMARY KEY (group_id, name)
                ) STRICT, WITHOUT ROWID;

                CREATE TABLE private_rows (
                  kind TEXT NOT NULL,
                  key TEXT NOT NULL,
                  group_id TEXT NOT NULL,
                  value TEXT NOT NULL,
                  PRIMARY KEY (kind, key)
                ) STRICT, WITHOUT ROWID;
                """),
        Migration(
            number: 2, name: "session tokens, private rows that expire",
            sql: """
                ALTER TABLE private_rows ADD COLUMN expires_at INTEGER;
                CREATE INDEX private_rows_expiring ON private_rows (expires_at) WHERE expires_at IS NOT NULL;

                CREATE TABLE session_summaries (
                  session_id TEXT NOT NULL PRIMARY KEY,
                  compute_id TEXT NOT NULL,
                  group_id TEXT NOT NULL,
                  description TEXT NOT NULL,
                  magic_link_id TEXT,
                  created_at INTEGER NOT NULL,
                  expires_at INTEGER NOT NULL,
                  revoked_at INTEGER,
                  last_used_at INTEGER,
                  version INTEGER NOT NULL
                ) STRICT;
                CREATE INDEX session_summaries_of_compute ON session_summaries (compute_id, created_at, session_id);
                CREATE INDEX session_summaries_expiring ON session_summaries (expires_at);
                """),
    ]
}
