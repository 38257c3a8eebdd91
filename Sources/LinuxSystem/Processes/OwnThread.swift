import CLinux
import Glibc
import Synchronization

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

    /// Runs `body` on a thread that ends with it, and waits: for what turns the thread into somebody else for good.
    package static func run(
        _ name: String, _ body: @escaping @Sendable () throws(LinuxSystemError) -> Void
    ) throws(LinuxSystemError) {
        let outcome = Outcome()
        let box = Unmanaged.passRetained(
            Body { do throws(LinuxSystemError) { try body() } catch { outcome.failure.withLock { $0 = error } } })
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        guard failure == 0 else {
            box.release()
            throw LinuxSystemError(.init(errno: failure), "start thread", name)
        }
        pthread_join(thread, nil)
        if let failure = outcome.failure.withLock({ $0 }) { throw failure }
    }

    private final class Outcome: Sendable {
        let failure = Mutex<LinuxSystemError?>(nil)
    }

    private final class Body: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
