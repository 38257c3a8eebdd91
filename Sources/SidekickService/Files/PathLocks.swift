import ComputeCore
import Synchronization

/// Who may work on which paths. A request names all of its paths at once and gets them all at once, so nobody holds some while
/// waiting for others, and two requests cannot wait for each other. Paths collide when they are the same or one contains the
/// other. First come, first served: a request also waits for earlier ones that wait for a path of its own.
package struct PathLockTable: Sendable {
    package struct Paths: Sendable {
        let exact: Set<String>
        let ancestors: Set<String>

        package init(_ paths: some Sequence<String>) {
            exact = Set(paths)
            var ancestors: Set<String> = []
            for path in exact {
                var rest = path[...]
                while let slash = rest.utf8.lastIndex(of: UInt8(ascii: "/")), slash > rest.startIndex {
                    rest = rest[..<slash]
                    // The rest of the way up is there already.
                    guard ancestors.insert(String(rest)).inserted else { break }
                }
            }
            self.ancestors = ancestors
        }

        package func collides(with other: Paths) -> Bool {
            !exact.isDisjoint(with: other.exact) || !exact.isDisjoint(with: other.ancestors)
                || !ancestors.isDisjoint(with: other.exact)
        }
    }

    package enum Answer: Sendable, Hashable { case granted, wait, refused }

    /// More than ever work on the same files at once.
    package static let maxWaiting = 256

    private var holding: [UInt64: Paths] = [:]
    private var waiting: [(id: UInt64, paths: Paths)] = []

    package init() {}

    package var isIdle: Bool { holding.isEmpty && waiting.isEmpty }

    package mutating func request(_ id: UInt64, _ paths: Paths) -> Answer {
        let isFree =
            !holding.values.contains { $0.collides(with: paths) }
            && !waiting.contains { $0.paths.collides(with: paths) }
        if isFree {
            holding[id] = paths
            return .granted
        }
        guard waiting.count < Self.maxWaiting else { return .refused }
        waiting.append((id, paths))
        return .wait
    }

    /// - Returns: whose turn it is now.
    package mutating func release(_ id: UInt64) -> [UInt64] {
        holding[id] = nil
        waiting.removeAll { $0.id == id }
        var granted: [UInt64] = []
        var still: [(id: UInt64, paths: Paths)] = []
        for waiter in waiting {
            let isFree =
                !holding.values.contains { $0.collides(with: waiter.paths) }
                && !still.contains { $0.paths.collides(with: waiter.paths) }
            if isFree {
                holding[waiter.id] = waiter.paths
                granted.append(waiter.id)
            } else {
                still.append(waiter)
            }
        }
        waiting = still
        return granted
    }
}

/// The shell of the table: those who wait, and the calls that let them go on.
final class PathLocks: Sendable {
    private struct State {
        var table = PathLockTable()
        var next: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, any Error>] = [:]
        /// Cancelled before they began to wait.
        var cancelled: Set<UInt64> = []
    }

    private let state = Mutex(State())

    /// Runs `work` while nobody else works on these paths, or below or above them.
    /// - Throws: what `work` throws; 503 when too many wait.
    func holding<T: Sendable>(_ paths: some Sequence<String>, _ work: () async throws -> T) async throws -> T {
        let wanted = PathLockTable.Paths(paths)
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        defer { release(id) }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let outcome = state.withLock { state -> Result<Void, any Error>? in
                    if state.cancelled.remove(id) != nil { return .failure(CancellationError()) }
                    switch state.table.request(id, wanted) {
                    case .granted: return .success(())
                    case .refused: return .failure(Problem.unavailable("too many requests wait for the same files"))
                    case .wait:
                        state.waiters[id] = continuation
                        return nil
                    }
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                let waiter = state.waiters.removeValue(forKey: id)
                if waiter == nil { state.cancelled.insert(id) }
                return waiter
            }
            waiter?.resume(throwing: CancellationError())
        }
        return try await work()
    }

    private func release(_ id: UInt64) {
        let granted = state.withLock { state in
            state.cancelled.remove(id)
            return state.table.release(id).compactMap { state.waiters.removeValue(forKey: $0) }
        }
        for waiter in granted { waiter.resume() }
    }
}
