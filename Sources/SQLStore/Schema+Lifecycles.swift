extension Migration {
    /// What is absent is what everybody had before there was a choice.
    static func lifecycles(number: Int, in dialect: SQLDialect) -> Migration {
        Migration(
            number: number, name: "what becomes of computes when their time is over",
            sql: "ALTER TABLE compute_summaries ADD COLUMN lifecycle TEXT;")
    }
}
