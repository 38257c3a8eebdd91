extension Migration {
    /// The steps of the schema. Times are milliseconds since 1970. SQLite's text is what files were made with: a test
    /// keeps it as it is.
    static func all(in dialect: SQLDialect) -> [Migration] {
        // Short, because they stand in every line.
        let (integer, key, end, keyed) = (dialect.integer, dialect.key, dialect.table, dialect.keyedTable)
        return [
            Migration(
                number: 1, name: "events, summaries, holds, counters, private rows",
                sql: """
                    CREATE TABLE events (
                      \(dialect.logPlace)
                      stream_id \(key) NOT NULL,
                      version \(integer) NOT NULL,
                      group_id \(key) NOT NULL,
                      type \(key) NOT NULL,
                      data TEXT NOT NULL,
                      metadata TEXT NOT NULL,
                      occurred_at \(integer) NOT NULL,
                      UNIQUE (stream_id, version)
                    )\(end);
                    CREATE INDEX events_by_group ON events (group_id, \(dialect.logOrder));

                    CREATE TABLE compute_summaries (
                      compute_id \(key) NOT NULL PRIMARY KEY,
                      group_id \(key) NOT NULL,
                      name \(key),
                      namespace \(key),
                      metadata TEXT NOT NULL,
                      directory TEXT,
                      timeout_ms \(integer) NOT NULL,
                      state \(key) NOT NULL,
                      created_at \(integer) NOT NULL,
                      started_at \(integer),
                      expires_at \(integer),
                      ended_at \(integer),
                      end_reason TEXT,
                      generation \(integer),
                      member TEXT,
                      sidekick TEXT,
                      sidekick_internal TEXT,
                      port_host TEXT,
                      version \(integer) NOT NULL
                    )\(end);
                    CREATE INDEX compute_summaries_newest ON compute_summaries (group_id, created_at, compute_id);
                    CREATE INDEX compute_summaries_expiring ON compute_summaries (expires_at, compute_id)
                      WHERE state = 'running';
                    CREATE INDEX compute_summaries_unended ON compute_summaries (compute_id) WHERE state <> 'ended';
                    CREATE INDEX compute_summaries_named ON compute_summaries (group_id, namespace, name)
                      WHERE state <> 'ended' AND name IS NOT NULL;

                    CREATE TABLE unique_holds (
                      group_id \(key) NOT NULL,
                      scope \(key) NOT NULL,
                      key \(key) NOT NULL,
                      owner \(key) NOT NULL,
                      fingerprint TEXT,
                      PRIMARY KEY (group_id, scope, key)
                    )\(keyed);

                    CREATE TABLE counters (
                      group_id \(key) NOT NULL,
                      name \(key) NOT NULL,
                      value \(integer) NOT NULL,
                      PRIMARY KEY (group_id, name)
                    )\(keyed);

                    CREATE TABLE private_rows (
                      kind \(key) NOT NULL,
                      key \(key) NOT NULL,
                      group_id \(key) NOT NULL,
                      value TEXT NOT NULL,
                      PRIMARY KEY (kind, key)
                    )\(keyed);
                    """),
            Migration(
                number: 2, name: "session tokens, private rows that expire",
                sql: """
                    ALTER TABLE private_rows ADD COLUMN expires_at \(integer);
                    CREATE INDEX private_rows_expiring ON private_rows (expires_at) WHERE expires_at IS NOT NULL;

                    CREATE TABLE session_summaries (
                      session_id \(key) NOT NULL PRIMARY KEY,
                      compute_id \(key) NOT NULL,
                      group_id \(key) NOT NULL,
                      description TEXT NOT NULL,
                      magic_link_id TEXT,
                      created_at \(integer) NOT NULL,
                      expires_at \(integer) NOT NULL,
                      revoked_at \(integer),
                      last_used_at \(integer),
                      version \(integer) NOT NULL
                    )\(end);
                    CREATE INDEX session_summaries_of_compute ON session_summaries (compute_id, created_at, session_id);
                    CREATE INDEX session_summaries_expiring ON session_summaries (expires_at);
                    """),
            // Keys that were made before have their record by it; their data are those of the event that made them.
            Migration(
                number: 3, name: "who may do what",
                sql: """
                    CREATE TABLE access_records (
                      kind \(key) NOT NULL,
                      id \(key) NOT NULL,
                      group_id \(key) NOT NULL,
                      owner \(key),
                      created_at \(integer) NOT NULL,
                      expires_at \(integer),
                      last_used_at \(integer),
                      body TEXT NOT NULL,
                      PRIMARY KEY (kind, id)
                    )\(keyed);
                    CREATE INDEX access_records_of_group ON access_records (kind, group_id, created_at, id);
                    CREATE INDEX access_records_of_owner ON access_records (kind, owner, created_at, id)
                      WHERE owner IS NOT NULL;
                    CREATE INDEX access_records_expiring ON access_records (kind, expires_at)
                      WHERE expires_at IS NOT NULL;

                    INSERT INTO access_records (kind, id, group_id, created_at, body)
                    SELECT 'key', substr(stream_id, 8), group_id, occurred_at, data FROM events
                    WHERE type = 'APIKeyCreated' AND stream_id LIKE 'apikey-%';
                    """),
            Migration(
                number: 4, name: "webhooks, readers of the log, shapes of events, snapshots",
                sql: """
                    ALTER TABLE events ADD COLUMN schema_version \(integer) NOT NULL DEFAULT 1;

                    CREATE TABLE snapshots (
                      stream_id \(key) NOT NULL PRIMARY KEY,
                      version \(integer) NOT NULL,
                      events TEXT NOT NULL
                    )\(keyed);

                    CREATE TABLE webhooks (
                      webhook_id \(key) NOT NULL PRIMARY KEY,
                      group_id \(key) NOT NULL,
                      origin TEXT NOT NULL,
                      types TEXT NOT NULL,
                      description TEXT NOT NULL,
                      is_active \(integer) NOT NULL,
                      disabled_reason TEXT,
                      secret_version \(integer) NOT NULL,
                      previous_secret_until \(integer),
                      created_at \(integer) NOT NULL,
                      updated_at \(integer) NOT NULL,
                      version \(integer) NOT NULL
                    )\(end);
                    CREATE INDEX webhooks_of_group ON webhooks (group_id, created_at, webhook_id);

                    CREATE TABLE webhook_deliveries (
                      webhook_id \(key) NOT NULL,
                      event_id \(key) NOT NULL,
                      group_id \(key) NOT NULL,
                      type \(key) NOT NULL,
                      state \(key) NOT NULL,
                      attempts \(integer) NOT NULL,
                      next_at \(integer) NOT NULL,
                      last_status \(integer),
                      last_error TEXT,
                      first_failed_at \(integer) NOT NULL,
                      last_failed_at \(integer) NOT NULL,
                      PRIMARY KEY (webhook_id, event_id)
                    )\(keyed);
                    CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, state, next_at);

                    CREATE TABLE consumers (
                      name \(key) NOT NULL PRIMARY KEY,
                      checkpoint TEXT,
                      lease_owner \(key),
                      lease_until \(integer),
                      updated_at \(integer) NOT NULL
                    )\(keyed);
                    """),
            .secrets(number: 5, in: dialect),
            .filesystems(number: 6, in: dialect),
            .sandboxes(number: 7, in: dialect),
            Migration(
                number: 8, name: "events by stream",
                sql: "CREATE INDEX events_by_stream ON events (stream_id, \(dialect.logOrder));"),
            .quotas(number: 9, in: dialect),
            .usage(number: 10, in: dialect),
            .templates(number: 11, in: dialect),
            Migration(
                number: 12, name: "networks of computes",
                sql: "ALTER TABLE compute_summaries ADD COLUMN network TEXT;"),
            .pools(number: 13, in: dialect),
            Migration(
                number: 14, name: "ports of computes",
                sql: "ALTER TABLE compute_summaries ADD COLUMN ports TEXT;"),
            .lifecycles(number: 15, in: dialect),
        ]
    }
}
