package import ComputeCore

/// How far those who read the log have come, kept beside it, so that they go on there after a restart.
///
/// A consumer saves its place after it has handled what is before it: after a crash it sees some events again, and misses
/// none.
package protocol Consumers: Sendable {
    /// nil for one that has handled nothing.
    func checkpoint(of consumer: String) async throws(EventStoreError) -> Cursor?

    func save(_ checkpoint: Cursor, of consumer: String, at now: WallTime) async throws(EventStoreError)

    /// Takes or keeps the sole right to be that consumer, up to a time.
    /// - Returns: false while somebody else has it.
    func lease(_ consumer: String, for owner: String, at now: WallTime, until end: WallTime)
        async throws(EventStoreError) -> Bool

    /// Gives the right back early; nothing when another one has it.
    func release(_ consumer: String, by owner: String, at now: WallTime) async throws(EventStoreError)
}
