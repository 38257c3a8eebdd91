extension Migration {
    /// Limits of single counters. Filesystems that are there count for the storage from the beginning; computes that were
    /// made before do not say how large they are, and count for what they always did.
    static func quotas(number: Int, in dialect: SQLDialect) -> Migration {
        Migration(
            number: number, name: "quotas of groups",
            sql: """
                ALTER TABLE counters ADD COLUMN own_limit \(dialect.integer);
                INSERT INTO counters (group_id, name, value)
                SELECT group_id, 'storage-mib', value FROM counters WHERE name = 'filesystem-mib';
                """)
    }
}
