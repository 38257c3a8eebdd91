import CLinux
import Glibc

/// Runs one thing on a thread that nothing else uses before or after: for calls that may block, and for those that
/// change the thread they are made on.
enum ThreadOfItsOwn {
    static func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(HostError) -> Value
    ) async throws(HostError) -> Value {
        let result: Result<Value, HostError> = await withCheckedContinuation { continuation in
            let failure = start("one-call") {
                do throws(HostError) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            guard failure != 0 else { return }
            continuation.resume(returning: .failure(HostError("cannot start a thread", errno: failure)))
        }
        return try result.get()
    }

    /// Runs `body` on a detached thread that takes no signals: those of the process are not for it.
    /// - Parameter name: at most 15 bytes, for `ps` and debuggers.
    /// - Returns: 0, or why there is no thread, as an errno; `body` does not run then.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) -> Int32 {
        let work = Unmanaged.passRetained(Work(name, body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, &attributes,
            { argument in
                let work = Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue()
                var all = sigset_t()
                sigfillset(&all)
                pthread_sigmask(SIG_SETMASK, &all, nil)
                clinux_name_thread(work.name)
                work.body()
                return nil
            }, work.toOpaque())
        if failure != 0 { work.release() }
        return failure
    }

    private final class Work: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}
