/// What the databases write differently in the schema.
struct SQLDialect: Sendable {
    /// The type of 64 bits.
    var integer: String
    /// The type of text that is ordered or compared: by its bytes, as in Swift.
    var key: String
    /// What ends a table, and one that is always read by its primary key.
    var table: String
    var keyedTable: String
    /// The columns that order the log, with their primary key.
    var logPlace: String
    var logOrder: String
    /// Lists what is in the database by `name`, but for what the database itself put there.
    var tables: String
    /// The labels of the summaries there are, as rows: what `ComputeLabels` makes of their metadata, but for its bound on
    /// how many.
    var labelsOfSummaries: String
}

extension SQLDialect {
    /// Tables are STRICT: SQLite would otherwise store text in a number's column.
    static let sqlite = SQLDialect(
        integer: "INTEGER", key: "TEXT", table: " STRICT", keyedTable: " STRICT, WITHOUT ROWID",
        logPlace: "global_position INTEGER PRIMARY KEY AUTOINCREMENT,", logOrder: "global_position",
        tables: "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name",
        labelsOfSummaries: """
            SELECT s.group_id, j.key, CASE j.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
              ELSE CAST(j.value AS TEXT) END, s.created_at, s.compute_id
            FROM compute_summaries AS s, json_each(s.metadata) AS j
            WHERE j.type IN ('text', 'integer', 'true', 'false') AND length(CAST(j.key AS BLOB)) <= 256
              AND length(CAST(j.value AS BLOB)) <= 256
            """)

    /// Events have the number of their transaction; `PostgresLog` says why.
    static let postgres = SQLDialect(
        integer: "BIGINT", key: #"TEXT COLLATE "C""#, table: "", keyedTable: "",
        logPlace: """
            global_position BIGINT GENERATED ALWAYS AS IDENTITY,
              transaction_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
              PRIMARY KEY (transaction_id, global_position),
            """, logOrder: "transaction_id, global_position",
        tables: "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename",
        labelsOfSummaries: """
            SELECT s.group_id, j.key, j.value #>> '{}', s.created_at, s.compute_id
            FROM compute_summaries AS s, jsonb_each(s.metadata::jsonb) AS j
            WHERE octet_length(j.key) <= 256 AND octet_length(j.value #>> '{}') <= 256
              AND (jsonb_typeof(j.value) IN ('string', 'boolean')
                OR jsonb_typeof(j.value) = 'number' AND j.value #>> '{}' !~ '[.eE]')
            """)
}
