import CLinux
import Glibc

/// A Unix stream socket that everybody may connect to, served by a thread that accepts and one per connection.
package struct LocalListener: Sendable {
    private let raw: Int32

    package static func bind(_ path: String) throws(LinuxSystemError) -> LocalListener {
        let raw = clinux_local_listen(path)
        guard raw >= 0 else { throw LinuxSystemError(.init(errno: -raw), "listen", path) }
        return LocalListener(raw: raw)
    }

    /// Serves as long as the process lives.
    /// - Parameters:
    ///   - admit: whether there is room for one more; on the accepting thread, so it must not block. What is not
    ///     admitted is closed.
    ///   - body: may block; on a thread of the connection's own.
    package func serve(
        admit: @escaping @Sendable (LocalConnection) -> Bool, _ body: @escaping @Sendable (LocalConnection) -> Void,
        failed: @escaping @Sendable (LocalConnection) -> Void
    ) throws(LinuxSystemError) {
        try OwnThread.start("local-accept") { [raw] in
            while true {
                let accepted = clinux_local_accept(raw)
                guard accepted >= 0 else {
                    // Out of descriptors or memory: who waits stays in the kernel's queue.
                    usleep(100_000)
                    continue
                }
                let connection = LocalConnection(adopting: accepted)
                guard admit(connection) else { continue }
                do throws(LinuxSystemError) {
                    try OwnThread.start("local") { body(connection) }
                } catch {
                    failed(connection)
                }
            }
        }
    }
}
