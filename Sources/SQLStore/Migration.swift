/// A numbered step of the schema. Steps that were released are never edited: a change is a new step.
struct Migration: Sendable {
    var number: Int
    var name: String
    var sql: String

    /// Tells an edited step from the one that a database was made with. It guards against our own mistakes, not
    /// against an adversary, who could write to the file anyway; so FNV-1a is enough.
    var checksum: String {
        let hash = sql.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return String(hash, radix: 16)
    }
}
