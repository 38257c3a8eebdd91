import CLinux
import Glibc

/// Threads for calls that block, which would starve the cooperative pool or an event loop.
package enum OwnThread {
    /// Runs `body` on a detached thread that takes no signals, so that handlers run elsewhere.
    package static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(LinuxSystemError) {
        let box = Unmanaged.passRetained(Body(name, body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, &attributes,
            { argument in
                let box = Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue()
                var all = sigset_t()
                sigfillset(&all)
                pthread_sigmask(SIG_SETMASK, &all, nil)
                clinux_name_thread(box.name)
                box.body()
                return nil
            }, box.toOpaque())
        guard failure == 0 else {
            box.release()
            throw LinuxSystemError(.init(errno: failure), "start thread", name)
        }
    }

    private final class Body: Sendable {
        let name: String
        let body: @Sendable () -> Void
        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}
