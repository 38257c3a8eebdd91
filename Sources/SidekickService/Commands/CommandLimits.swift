/// Bounds of the commands that are kept track of.
package struct CommandLimits: Hashable, Sendable {
    package var terminals = 64
    /// Not ended: more than a compute of any size runs to good purpose.
    package var active = 128
    /// Of those, waiting for `command:start`.
    package var pending = 64
    /// Ended ones that can be looked at.
    package var keptPerTerminal = 64
    package var keptSingle = 256
    /// Bytes of all that have ended.
    package var keptBytes = 64 << 20
    /// What the outputs of all active ones may come to before they have to share.
    package var activeBytes = 128 << 20
    /// Bytes kept of one stream: most outputs whole, also of large test runs; a few screens even in a crowd.
    package var capacity = 256 << 10...4 << 20

    package init() {}

    /// Bytes of all outputs that there can be at once. Those past the point where they have to share get the least each.
    package var mostBytes: Int { keptBytes + activeBytes + active * 2 * capacity.lowerBound }

    /// For the next command. One alone may keep much; the more is promised already, the less the next one gets.
    /// - Parameter committed: bytes that the active ones may keep.
    func capacity(committed: Int) -> Int {
        min(max((activeBytes - committed) / 8, capacity.lowerBound), capacity.upperBound)
    }
}
