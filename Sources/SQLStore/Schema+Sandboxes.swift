extension Migration {
    /// Lifetimes end also while a compute is paused; and lists are found by what computes are called and carry.
    static func sandboxes(number: Int, in dialect: SQLDialect) -> Migration {
        let (integer, key, keyed) = (dialect.integer, dialect.key, dialect.keyedTable)
        return Migration(
            number: number, name: "paused computes, filtered lists",
            sql: """
                DROP INDEX compute_summaries_expiring;
                CREATE INDEX compute_summaries_due ON compute_summaries (expires_at, compute_id)
                  WHERE state <> 'ended';
                CREATE INDEX compute_summaries_living ON compute_summaries (group_id, created_at, compute_id)
                  WHERE state <> 'ended';
                CREATE INDEX compute_summaries_called
                  ON compute_summaries (group_id, namespace, name, created_at, compute_id) WHERE name IS NOT NULL;
                CREATE INDEX compute_summaries_namespaced
                  ON compute_summaries (group_id, namespace, created_at, compute_id) WHERE name IS NOT NULL;

                CREATE TABLE compute_labels (
                  group_id \(key) NOT NULL,
                  key \(key) NOT NULL,
                  value \(key) NOT NULL,
                  created_at \(integer) NOT NULL,
                  compute_id \(key) NOT NULL,
                  PRIMARY KEY (group_id, key, value, created_at, compute_id)
                )\(keyed);
                INSERT INTO compute_labels (group_id, key, value, created_at, compute_id)
                \(dialect.labelsOfSummaries);
                """)
    }
}
