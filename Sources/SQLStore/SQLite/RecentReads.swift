package import EventSourcing
import Synchronization

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
    private struct Entry {
        var value: Value
        var count: UInt64
        var weight: Int
    }
    private struct Kept {
        var entries: [Key: Entry] = [:]
        var weight = 0
    }
    private let writes: WriteCount
    private let most: Int
    private let weight: @Sendable (Value) -> Int
    private let kept = Mutex(Kept())

    /// - Parameters:
    ///   - most: how much is kept; then all goes. 0: where others write as well.
    ///   - weight: what one value counts. 1 is for what has some kilobyte at most: thousands of those are a few megabytes.
    package init(_ writes: WriteCount, most: Int, weight: @escaping @Sendable (Value) -> Int = { _ in 1 }) {
        self.writes = writes
        self.most = most
        self.weight = weight
    }

    /// - Parameter read: reads the database. What is not there is not kept: anybody can ask for as much of that as he likes.
    package func value(
        _ key: Key, read: () async throws(EventStoreError) -> Value?
    ) async throws(EventStoreError) -> Value? {
        guard most > 0 else { return try await read() }
        let count = writes.current
        if let known = kept.withLock({ $0.entries[key] }), known.count == count { return known.value }
        guard let value = try await read() else { return nil }
        let entry = Entry(value: value, count: count, weight: weight(value))
        kept.withLock { kept in
            kept.weight -= kept.entries.removeValue(forKey: key)?.weight ?? 0
            if kept.weight + entry.weight > most {
                kept.entries.removeAll(keepingCapacity: true)
                kept.weight = 0
            }
            kept.entries[key] = entry
            kept.weight += entry.weight
        }
        return value
    }
}
