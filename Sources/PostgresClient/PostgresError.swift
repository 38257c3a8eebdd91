/// What went wrong between us and a PostgreSQL server.
package struct PostgresError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: Hashable, Sendable {
        /// No connection could be made.
        case unreachable
        /// The connection broke before anything took effect: what was begun is undone by the server.
        case connectionLost
        /// The connection broke while a transaction was being committed: it did or did not take effect.
        case outcomeUnknown
        /// No answer in time. The connection is given up.
        case deadlineExceeded
        case cancelled
        /// More work is waiting than ever should.
        case overloaded
        case closed
        /// The server refused a statement, for the reason in `sqlState`.
        case refused
        /// The server answered what was not asked for.
        case unexpected
    }
    package var code: Code
    package var message: String
    /// Five characters, of the server's table of errors.
    package var sqlState: String?

    package init(_ code: Code, _ message: String, sqlState: String? = nil) {
        self.code = code
        self.message = message
        self.sqlState = sqlState
    }

    package var description: String { "\(code)\(sqlState.map { " \($0)" } ?? ""): \(message)" }

    /// Two transactions were in each other's way. Done again, one of them sees what the other did.
    package var isConflict: Bool {
        // A unique key, a serialization failure, a deadlock.
        ["23505", "40001", "40P01"].contains(sqlState)
    }

    /// The server is going down, coming up, or may only be read: another connection may reach one that is in order.
    static func endsConnection(_ sqlState: String) -> Bool {
        sqlState.hasPrefix("57P") || sqlState.hasPrefix("08") || sqlState == "25006"
    }
}
