import LinuxSystem

/// Short blocking calls as the Sidekick and as the user, whose rights some of them need: the kernel shows the descriptors of
/// a process to its own user, and to root only with a right that we may not have.
package struct ScanThreads: Sendable {
    private let threads: UserThreads
    private let user: UserIdentity

    /// Whether the user is somebody else than the Sidekick.
    package var hasOtherUser: Bool { user.ids != nil }

    package init(_ threads: UserThreads, user: UserIdentity) {
        self.threads = threads
        self.user = user
    }

    package func asOurselves<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await threads.run(as: nil, body)
    }

    package func asUser<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await threads.run(as: user, body)
    }
}
