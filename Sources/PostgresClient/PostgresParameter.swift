/// A value for a `$n`. Also NULL has a type: the server has no other way to tell what `$1 IS NULL` is about.
package enum PostgresParameter: Hashable, Sendable {
    /// Without a NUL, which no text of PostgreSQL can hold.
    case text(String?)
    case integer(Int64?)

    /// The server's numbers of the types `text` and `int8`, which are the same everywhere.
    var type: UInt32 {
        switch self {
        case .text: 25
        case .integer: 20
        }
    }

    var string: String? {
        switch self {
        case .text(let value): value
        case .integer(let value): value.map { "\($0)" }
        }
    }
}
