extension Migration {
    /// The index is not unique: names are held by `unique_holds`, and where transactions overlap a name may be written
    /// by its next owner before its last one is gone.
    static func filesystems(number: Int, in dialect: SQLDialect) -> Migration {
        let (integer, key) = (dialect.integer, dialect.key)
        return Migration(
            number: number, name: "filesystems",
            sql: """
                CREATE TABLE filesystem_summaries (
                  filesystem_id \(key) NOT NULL PRIMARY KEY,
                  group_id \(key) NOT NULL,
                  name \(key) NOT NULL,
                  size_mib \(integer) NOT NULL,
                  attachments TEXT NOT NULL,
                  was_attached \(integer) NOT NULL,
                  created_at \(integer) NOT NULL,
                  updated_at \(integer) NOT NULL,
                  version \(integer) NOT NULL
                )\(dialect.table);
                CREATE INDEX filesystem_summaries_named ON filesystem_summaries (group_id, name);
                ALTER TABLE compute_summaries ADD COLUMN filesystems TEXT;
                """)
    }
}
