extension Migration {
    /// The index of names is not unique, as that of filesystems.
    static func templates(number: Int, in dialect: SQLDialect) -> Migration {
        let (integer, key) = (dialect.integer, dialect.key)
        return Migration(
            number: number, name: "templates",
            sql: """
                CREATE TABLE template_summaries (
                  template_id \(key) NOT NULL PRIMARY KEY,
                  group_id \(key) NOT NULL,
                  name \(key) NOT NULL,
                  revision \(integer) NOT NULL,
                  created_at \(integer) NOT NULL,
                  version \(integer) NOT NULL
                )\(dialect.table);
                CREATE INDEX template_summaries_named ON template_summaries (group_id, name);
                CREATE TABLE template_revisions (
                  template_id \(key) NOT NULL,
                  revision \(integer) NOT NULL,
                  group_id \(key) NOT NULL,
                  name \(key) NOT NULL,
                  description TEXT NOT NULL,
                  defaults TEXT NOT NULL,
                  created_at \(integer) NOT NULL,
                  PRIMARY KEY (template_id, revision)
                )\(dialect.keyedTable);
                ALTER TABLE compute_summaries ADD COLUMN template_id \(key);
                ALTER TABLE compute_summaries ADD COLUMN template_revision \(integer);
                """)
    }
}
