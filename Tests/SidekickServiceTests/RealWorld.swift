import FoundationEssentials
import Glibc
import Testing

struct DeadlinePassed: Error, CustomStringConvertible {
    let description: String
}

/// Waits for something outside that nobody announces.
func eventually(
    _ what: String, within limit: Duration = .seconds(60), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw DeadlinePassed(description: what) }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// What this thread has had of the processors: work is as long on a busy machine as on an idle one.
func processorTime() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}

/// What `/proc` says about a process.
struct ProcessState {
    let parent: Int32
    let isZombie: Bool

    /// nil: there is none.
    init?(of pid: Int32) {
        guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
        // The name before the last parenthesis may hold anything.
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 1, let parent = Int32(fields[1]) else { return nil }
        self.parent = parent
        isZombie = fields[0] == "Z"
    }

    /// But shells that wait for a command, which no test has asked for.
    static func children(of parent: Int32) throws -> [Int32: ProcessState] {
        var children: [Int32: ProcessState] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
            guard let pid = Int32(name), let state = ProcessState(of: pid), state.parent == parent else { continue }
            if !state.isZombie, SidekickPlace.isWaitingShell(pid) { continue }
            children[pid] = state
        }
        return children
    }
}

/// An account of this machine that may do nothing in particular.
struct TestAccount: Sendable {
    let name: String
    let uid: UInt32
    let gid: UInt32

    /// `nobody` where there is one, else any other that is not root.
    static func unprivileged() throws -> TestAccount {
        let bytes = FileManager.default.contents(atPath: "/etc/passwd") ?? Data()
        let accounts = String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 7, let uid = UInt32(fields[2]), let gid = UInt32(fields[3]), uid > 0, gid > 0 else {
                return TestAccount?.none
            }
            return TestAccount(name: String(fields[0]), uid: uid, gid: gid)
        }
        return try #require(
            accounts.first { $0.name == "nobody" } ?? accounts.first, "/etc/passwd has no unprivileged account")
    }
}
