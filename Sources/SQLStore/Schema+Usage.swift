extension Migration {
    /// Computes that are there count from their last start on; what was over before does from the next rebuild.
    static func usage(number: Int, in dialect: SQLDialect) -> Migration {
        let (integer, key, keyed) = (dialect.integer, dialect.key, dialect.keyedTable)
        let columns = """
            group_id \(key) NOT NULL,
              day \(integer) NOT NULL,
              compute_ms \(integer) NOT NULL,
              cpu_ms \(integer) NOT NULL,
              memory_ms \(integer) NOT NULL,
              PRIMARY KEY (group_id, day)
            """
        return Migration(
            number: number, name: "usage by day",
            sql: """
                ALTER TABLE compute_summaries ADD COLUMN cpu_thousandths \(integer) NOT NULL DEFAULT 0;
                ALTER TABLE compute_summaries ADD COLUMN memory_mib \(integer) NOT NULL DEFAULT 0;
                ALTER TABLE compute_summaries ADD COLUMN metered_since \(integer);
                UPDATE compute_summaries SET metered_since = started_at WHERE state <> 'ended';
                CREATE TABLE usage_days (
                  \(columns)
                )\(keyed);
                CREATE TABLE usage_kept (
                  \(columns)
                )\(keyed);
                """)
    }
}
