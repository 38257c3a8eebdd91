import CLinux
import Glibc

/// SIGTERM and SIGINT as something to wait for. SIGPIPE is ignored: writing to a closed socket is an error there, not
/// the end of the process.
package enum TerminationSignals {
    /// Call first in `main`, while there is one thread: every later thread inherits that these signals are blocked.
    /// The main thread must then not end in `dispatch_main`, as an asynchronous `main` does: that takes signals again.
    package static func block() {
        var set = signals()
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Returns when one has come. The thread that waits is never stopped; it goes with the process.
    package static func first() async throws(LinuxSystemError) -> Int32 {
        let result: Result<Int32, LinuxSystemError> = await withCheckedContinuation { continuation in
            do throws(LinuxSystemError) {
                try OwnThread.start("signals") {
                    var set = signals()
                    var number: Int32 = 0
                    while sigwait(&set, &number) != 0 {}
                    continuation.resume(returning: .success(number))
                }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        return try result.get()
    }

    private static func signals() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        sigaddset(&set, SIGINT)
        return set
    }
}
