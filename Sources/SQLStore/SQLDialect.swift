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
}

extension SQLDialect {
    /// Tables are STRICT: SQLite would otherwise store text in a number's column.
    static let sqlite = SQLDialect(
        integer: "INTEGER", key: "TEXT", table: " STRICT", keyedTable: " STRICT, WITHOUT ROWID",
        logPlace: "global_position INTEGER PRIMARY KEY AUTOINCREMENT,", logOrder: "global_position",
        tables: "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name")

    /// Events have the number of their transaction; `PostgresLog` says why.
    static let postgres = SQLDialect(
        integer: "BIGINT", key: #"TEXT COLLATE "C""#, table: "", keyedTable: "",
        logPlace: """
            global_position BIGINT GENERATED ALWAYS AS IDENTITY,
              transaction_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
              PRIMARY KEY (transaction_id, global_position),
            """, logOrder: "transaction_id, global_position",
        tables: "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename")
}
