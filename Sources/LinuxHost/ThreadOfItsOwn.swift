import CLinux
import Glibc

/// Runs one thing on a thread that nothing else uses before or after: for calls that may block, and for those that
/// change the thread they are made on.
enum ThreadOfItsOwn {
    static func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(HostError) -> Value
    ) async throws(HostError) -> Value {
        let result: Result<Value, HostError> = await withCheckedContinuation { continuation in
            let work = Unmanaged.passRetained(
                Work {
                    do throws(HostError) {
                        continuation.resume(returning: .success(try body()))
                    } catch {
                        continuation.resume(returning: .failure(error))
                    }
                })
            var attributes = pthread_attr_t()
            pthread_attr_init(&attributes)
            defer { pthread_attr_destroy(&attributes) }
            pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
            var thread = pthread_t()
            let failure = pthread_create(
                &thread, &attributes,
                { argument in
                    // Signals of the process are not for it.
                    var all = sigset_t()
                    sigfillset(&all)
                    pthread_sigmask(SIG_SETMASK, &all, nil)
                    Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
                    return nil
                }, work.toOpaque())
            guard failure != 0 else { return }
            work.release()
            continuation.resume(returning: .failure(HostError("cannot start a thread", errno: failure)))
        }
        return try result.get()
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
