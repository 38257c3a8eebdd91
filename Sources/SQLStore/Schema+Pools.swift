extension Migration {
    /// The index of names is not unique, as that of filesystems.
    static func pools(number: Int, in dialect: SQLDialect) -> Migration {
        let (integer, key) = (dialect.integer, dialect.key)
        return Migration(
            number: number, name: "pools",
            sql: """
                CREATE TABLE pool_summaries (
                  pool_id \(key) NOT NULL PRIMARY KEY,
                  group_id \(key) NOT NULL,
                  name \(key) NOT NULL,
                  template_id \(key) NOT NULL,
                  template_revision \(integer),
                  minimum \(integer) NOT NULL,
                  maximum \(integer) NOT NULL,
                  revision \(integer) NOT NULL,
                  created_at \(integer) NOT NULL,
                  updated_at \(integer) NOT NULL,
                  version \(integer) NOT NULL
                )\(dialect.table);
                CREATE INDEX pool_summaries_named ON pool_summaries (group_id, name);
                """)
    }
}
