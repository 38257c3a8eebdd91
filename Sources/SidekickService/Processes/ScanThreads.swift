import ComputeCore
import LinuxSystem
import NIOPosix

/// Two threads for short blocking calls: one that is the Sidekick and one that is the user, whose rights some of them
/// need: the kernel shows the descriptors of a process to its own user, and to root only with a right that we may not have.
///
/// One each: these are reads of `/proc` and of small files, and whoever asks for them all the time takes turns with himself.
package final class ScanThreads: Sendable {
    private let identity: ThreadIdentity?
    private let own = NIOThreadPool(numberOfThreads: 1)
    private let user = NIOThreadPool(numberOfThreads: 1)

    /// Whether the user is somebody else than the Sidekick.
    package var hasOtherUser: Bool { identity != nil }

    package init(user: UserIdentity) {
        identity = user.ids?.threadIdentity
        own.start()
        self.user.start()
    }

    package func asOurselves<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await Self.run(own, body)
    }

    package func asUser<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await Self.run(user) { [identity] in
            try identity?.adopt()
            return try body()
        }
    }

    private static func run<T: Sendable>(
        _ pool: NIOThreadPool, _ body: @escaping @Sendable () throws -> T
    ) async throws -> T {
        do {
            return try await pool.runIfActive(body)
        } catch is CancellationError {
            throw Problem.unavailable("the Sidekick is shutting down")
        }
    }
}
