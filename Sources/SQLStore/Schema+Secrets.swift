extension Migration {
    static func secrets(number: Int, in dialect: SQLDialect) -> Migration {
        let (integer, key, keyed) = (dialect.integer, dialect.key, dialect.keyedTable)
        return Migration(
            number: number, name: "secrets",
            sql: """
                CREATE TABLE secret_summaries (
                  group_id \(key) NOT NULL,
                  name \(key) NOT NULL,
                  version \(integer) NOT NULL,
                  created_at \(integer) NOT NULL,
                  updated_at \(integer) NOT NULL,
                  PRIMARY KEY (group_id, name)
                )\(keyed);

                CREATE TABLE secret_values (
                  group_id \(key) NOT NULL,
                  name \(key) NOT NULL,
                  version \(integer) NOT NULL,
                  master_key \(key) NOT NULL,
                  wrapped_key TEXT NOT NULL,
                  ciphertext TEXT NOT NULL,
                  PRIMARY KEY (group_id, name, version)
                )\(keyed);
                CREATE INDEX secret_values_by_master_key ON secret_values (master_key, group_id, name, version);
                """)
    }
}
