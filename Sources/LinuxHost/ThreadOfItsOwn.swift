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
        let work = Unmanaged.passRetained(Work(body))
        let failure = clinux_thread_start(
            name, { Unmanaged<Work>.fromOpaque($0!).takeRetainedValue().body() }, work.toOpaque())
        if failure != 0 { work.release() }
        return -failure
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
