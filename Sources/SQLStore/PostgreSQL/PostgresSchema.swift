extension Migration {
    /// The tables of SQLite's schema, step by step; a test compares them. Only the log differs.
    ///
    /// Text is ordered by its bytes, as in SQLite and in Swift, whatever the database's collation is.
    static let postgres = [
        Migration(
            number: 1, name: "events, summaries, holds, counters, private rows",
            sql: """
                CREATE TABLE events (
                  global_position BIGINT GENERATED ALWAYS AS IDENTITY,
                  transaction_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
                  stream_id TEXT COLLATE "C" NOT NULL,
                  version BIGINT NOT NULL,
                  group_id TEXT COLLATE "C" NOT NULL,
                  type TEXT COLLATE "C" NOT NULL,
                  data TEXT NOT NULL,
                  metadata TEXT NOT NULL,
                  occurred_at BIGINT NOT NULL,
                  PRIMARY KEY (transaction_id, global_position),
                  UNIQUE (stream_id, version)
                );
                CREATE INDEX events_by_group ON events (group_id, transaction_id, global_position);

                CREATE TABLE compute_summaries (
                  compute_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
                  group_id TEXT COLLATE "C" NOT NULL,
                  name TEXT COLLATE "C",
                  namespace TEXT COLLATE "C",
                  metadata TEXT NOT NULL,
                  directory TEXT,
                  timeout_ms BIGINT NOT NULL,
                  state TEXT COLLATE "C" NOT NULL,
                  created_at BIGINT NOT NULL,
                  started_at BIGINT,
                  expires_at BIGINT,
                  ended_at BIGINT,
                  end_reason TEXT,
                  generation BIGINT,
                  member TEXT,
                  sidekick TEXT,
                  sidekick_internal TEXT,
                  port_host TEXT,
                  version BIGINT NOT NULL
                );
                CREATE INDEX compute_summaries_newest ON compute_summaries (group_id, created_at, compute_id);
                CREATE INDEX compute_summaries_expiring ON compute_summaries (expires_at, compute_id)
                  WHERE state = 'running';
                CREATE INDEX compute_summaries_unended ON compute_summaries (compute_id) WHERE state <> 'ended';
                CREATE INDEX compute_summaries_named ON compute_summaries (group_id, namespace, name)
                  WHERE state <> 'ended' AND name IS NOT NULL;

                CREATE TABLE unique_holds (
                  group_id TEXT COLLATE "C" NOT NULL,
                  scope TEXT COLLATE "C" NOT NULL,
                  key TEXT COLLATE "C" NOT NULL,
                  owner TEXT COLLATE "C" NOT NULL,
                  fingerprint TEXT,
                  PRIMARY KEY (group_id, scope, key)
                );

                CREATE TABLE counters (
                  group_id TEXT COLLATE "C" NOT NULL,
                  name TEXT COLLATE "C" NOT NULL,
                  value BIGINT NOT NULL,
                  PRIMARY KEY (group_id, name)
                );

                CREATE TABLE private_rows (
                  kind TEXT COLLATE "C" NOT NULL,
                  key TEXT COLLATE "C" NOT NULL,
                  group_id TEXT COLLATE "C" NOT NULL,
                  value TEXT NOT NULL,
                  PRIMARY KEY (kind, key)
                );
                """),
        Migration(
            number: 2, name: "session tokens, private rows that expire",
            sql: """
                ALTER TABLE private_rows ADD COLUMN expires_at BIGINT;
                CREATE INDEX private_rows_expiring ON private_rows (expires_at) WHERE expires_at IS NOT NULL;

                CREATE TABLE session_summaries (
                  session_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
                  compute_id TEXT COLLATE "C" NOT NULL,
                  group_id TEXT COLLATE "C" NOT NULL,
                  description TEXT NOT NULL,
                  magic_link_id TEXT,
                  created_at BIGINT NOT NULL,
                  expires_at BIGINT NOT NULL,
                  revoked_at BIGINT,
                  last_used_at BIGINT,
                  version BIGINT NOT NULL
                );
                CREATE INDEX session_summaries_of_compute ON session_summaries (compute_id, created_at, session_id);
                CREATE INDEX session_summaries_expiring ON session_summaries (expires_at);
                """),
    ]
}
