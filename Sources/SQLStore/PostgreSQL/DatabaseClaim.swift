package import EventSourcing

/// Whether the database is this instance's alone, which a lock of the server says while one connection lasts.
///
/// ```
///   asked ──▶ held ──▶ broken ──▶ held
///     │                  └──────▶ lost    another instance was faster; it ends what this one began
///     └─▶ refused ──▶ held                only at the start, where one waits for it
/// ```
/// The server gives the lock up when the connection ends for it. We see that at the same time, or before it when nothing
/// goes through between us: so who writes only while it is `held` does not write beside the next holder.
package struct DatabaseClaim: Hashable, Sendable {
    private enum State: Hashable {
        /// Any number of instances may use the database.
        case notNeeded
        case asked
        case refused
        case held
        /// The connection is gone, and with it the lock; nobody else is known to have it.
        case broken
        case lost
    }
    private var state: State

    package init(isNeeded: Bool) { state = isNeeded ? .asked : .notNeeded }

    package var isNeeded: Bool { state != .notNeeded }
    package var isHeld: Bool { state == .held }
    package var isRefused: Bool { state == .refused }
    /// For good: whoever had the database since then has ended what was ours.
    package var isLost: Bool { state == .lost }

    package mutating func granted() {
        switch state {
        case .asked, .refused, .held, .broken: state = .held
        case .notNeeded, .lost: break
        }
    }

    /// - Parameter isOwnPredecessor: whether the holder is our own last connection, which the server has not given up yet.
    package mutating func refused(isOwnPredecessor: Bool) {
        switch state {
        case .asked, .refused: state = .refused
        case .held, .broken: state = isOwnPredecessor ? .broken : .lost
        case .notNeeded, .lost: break
        }
    }

    package mutating func connectionBroke() {
        switch state {
        case .held: state = .broken
        case .notNeeded, .asked, .refused, .broken, .lost: break
        }
    }

    package func requireReading() throws(EventStoreError) {
        guard state == .lost else { return }
        throw EventStoreError(.unavailable, "another instance has taken the database over")
    }

    package func requireWriting() throws(EventStoreError) {
        try requireReading()
        guard state == .broken else { return }
        throw EventStoreError(.unavailable, "the database is not known to be this instance's alone at the moment")
    }
}
