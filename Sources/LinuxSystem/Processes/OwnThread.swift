import CLinux

/// Threads for calls that block, which would starve the cooperative pool or an event loop.
package enum OwnThread {
    /// Runs `body` on a detached thread that takes no signals, so that handlers run elsewhere.
    package static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(LinuxSystemError) {
        let box = Unmanaged.passRetained(Body(body))
        let failure = clinux_thread_start(
            name, { Unmanaged<Body>.fromOpaque($0!).takeRetainedValue().body() }, box.toOpaque())
        guard failure == 0 else {
            box.release()
            throw LinuxSystemError(.init(errno: -failure), "start thread", name)
        }
    }

    private final class Body: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
