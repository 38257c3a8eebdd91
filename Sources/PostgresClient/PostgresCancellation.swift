import CPostgres

/// The right to cancel whatever a connection is doing.
///
/// libpq never changes what is behind `handle` after it made it, and says that it may be used from any thread; it is
/// freed when nobody can use it any more.
final class PostgresCancellation: @unchecked Sendable {
    private let handle: OpaquePointer

    init?(of connection: OpaquePointer) {
        guard let handle = PQgetCancel(connection) else { return nil }
        self.handle = handle
    }

    deinit { PQfreeCancel(handle) }

    /// Asks the server, over a connection of its own. libpq before 17 does not encrypt that, whatever `sslmode` says: who
    /// listens learns the key that cancels statements of this connection, and nothing else. Blocks for as long as the
    /// server does not answer, which may be for ever: on a thread that nothing else waits for.
    func send() {
        var reason = [CChar](repeating: 0, count: 256)
        _ = PQcancel(handle, &reason, Int32(reason.count))
    }
}
