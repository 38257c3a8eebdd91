package import EventSourcing
import Synchronization

/// How often the database was written. Counted by the one process that writes it, after each commit and before anybody
/// hears of that.
package final class WriteCount: Sendable {
    private let count = Atomic<UInt64>(0)

    package init() {}

    package var current: UInt64 { count.load(ordering: .acquiring) }

    package func advance() { count.add(1, ordering: .releasing) }
}

/// What was read lately, good until the next write, whatever that changes: so that nothing has to know what a commit
/// touches.
///
/// ```
///   read     count taken ──▶ database read ──▶ kept with that count
///   write    committed ──▶ count advanced ──▶ acknowledged
/// ```
/// Whoever asks after a write was acknowledged finds a count that was not there before its commit. What is kept with that
/// count was read from the database later still. So an acknowledged write is seen by everybody, as without this.
package final class RecentReads<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Kept {
        var value: Value
        var count: UInt64
    }
    private let writes: WriteCount
    private let most: Int
    private let kept = Mutex<[Key: Kept]>([:])

    /// - Parameter most: how many are kept; then all go. At some kilobyte each, thousands are a few megabytes. 0: where others
    ///   write as well.
    package init(_ writes: WriteCount, most: Int) {
        self.writes = writes
        self.most = most
    }

    /// - Parameter read: reads the database. What is not there is not kept: anybody can ask for as much of that as he likes.
    package func value(
        _ key: Key, read: () async throws(EventStoreError) -> Value?
    ) async throws(EventStoreError) -> Value? {
        guard most > 0 else { return try await read() }
        let count = writes.current
        if let known = kept.withLock({ $0[key] }), known.count == count { return known.value }
        guard let value = try await read() else { return nil }
        kept.withLock { kept in
            if kept.count >= most, kept[key] == nil { kept.removeAll(keepingCapacity: true) }
            kept[key] = Kept(value: value, count: count)
        }
        return value
    }
}
