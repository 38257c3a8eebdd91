import ComputeCore
import LinuxSystem
import NIOPosix
import Synchronization

/// Blocking work with the rights of an account: for each account a few threads that *are* that account (see
/// `ThreadIdentity`), made when it is first asked for. All services that touch files share one of these.
///
/// Work must be short: what takes longer (a stream, a walk) comes in steps, and holds no thread while it waits for its client.
package final class UserThreads: Sendable {
    /// Enough to keep a disk busy; a blocked one (a stuck network mount) leaves three.
    private static let threadsPerAccount = 4
    /// More accounts at once than any image is used with.
    private static let maxAccounts = 8
    /// More than any client has in flight; above it the answer is "later" rather than a growing queue.
    private static let maxWaiting = 256

    private struct Pool {
        let threads: NIOThreadPool
        var inFlight = 0
        var lastUse: UInt64
    }

    private struct State {
        /// By identity; nil is the Sidekick's own.
        var pools: [ThreadIdentity?: Pool] = [:]
        var clock: UInt64 = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// - Parameter user: nil: as ourselves.
    /// - Throws: what `work` throws; a 503 `Problem` when there is too much to do.
    package func run<T: Sendable>(
        as user: UserIdentity?, _ work: @escaping @Sendable () throws -> T
    ) async throws -> T {
        let identity = user?.ids?.threadIdentity
        let (threads, retired) = try enter(identity)
        defer { leave(identity) }
        // A pool ends its threads without our waiting for them.
        retired?.shutdownGracefully { _ in }
        do {
            return try await threads.runIfActive {
                try identity?.adopt()
                return try work()
            }
        } catch is CancellationError {
            if Task.isCancelled { throw CancellationError() }
            throw Problem.unavailable("the Sidekick is shutting down")
        }
    }

    /// The pool, with one more in flight, and the one that had to make room for it.
    private func enter(_ identity: ThreadIdentity?) throws(Problem) -> (NIOThreadPool, retired: NIOThreadPool?) {
        try state.withLock { (state) -> Result<(NIOThreadPool, retired: NIOThreadPool?), Problem> in
            state.clock += 1
            if let pool = state.pools[identity] {
                guard pool.inFlight < Self.maxWaiting else {
                    return .failure(.unavailable("too many file operations at once"))
                }
                state.pools[identity]?.inFlight += 1
                state.pools[identity]?.lastUse = state.clock
                return .success((pool.threads, nil))
            }
            var retired: NIOThreadPool?
            if state.pools.count >= Self.maxAccounts {
                guard
                    let idle = state.pools.filter({ $0.value.inFlight == 0 }).min(by: {
                        $0.value.lastUse < $1.value.lastUse
                    })
                else { return .failure(.unavailable("file operations of too many accounts at once")) }
                retired = idle.value.threads
                state.pools[idle.key] = nil
            }
            let threads = NIOThreadPool(numberOfThreads: Self.threadsPerAccount)
            threads.start()
            state.pools[identity] = Pool(threads: threads, inFlight: 1, lastUse: state.clock)
            return .success((threads, retired))
        }.get()
    }

    private func leave(_ identity: ThreadIdentity?) {
        state.withLock { $0.pools[identity]?.inFlight -= 1 }
    }
}
