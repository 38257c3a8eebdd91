import Synchronization

/// How often the database was written. Counted by the one process that writes it, after each commit and before anybody
/// hears of that.
package final class WriteCount: Sendable {
    private let count = Atomic<UInt64>(0)

    package init() {}

    package var current: UInt64 { count.load(ordering: .acquiring) }

    package func advance() { count.add(1, ordering: .releasing) }
}
