package import APIContract
package import ComputeCore

/// Which session tokens were taken back, as the event feed tells it. A value machine: no clock, no socket.
///
/// ```
///   feed followed, table whole     not in it ──▶ good        in it ──▶ revoked
///   feed lost, or not read up to now, or the table overflowed
///                                  not in it ──▶ ask the API  in it ──▶ revoked
/// ```
/// So a token that was revoked before this Gateway started, or while it could not hear of it, is never served on the
/// strength of not having heard.
package struct RevocationTable: Sendable {
    package enum Finding: Equatable, Sendable {
        case good
        case revoked
        case ask
    }

    private struct Entry {
        /// nil: of all computes.
        var computeID: ComputeID?
        var expiresAt: WallTime
    }

    private let capacity: Int
    private var entries: [SessionID: Entry] = [:]
    private var isFollowing = false
    /// Cleared once something had to be left out; then what is not here may be revoked all the same.
    private var isWhole = true

    /// - Parameter capacity: at about 100 bytes each.
    package init(capacity: Int = 200_000) { self.capacity = capacity }

    package var count: Int { entries.count }

    package func find(_ id: SessionID) -> Finding {
        if entries[id] != nil { return .revoked }
        return isFollowing && isWhole ? .good : .ask
    }

    /// What is expired needs no place: its signature's claims refuse it.
    package mutating func revoked(_ record: SessionRecord, now: WallTime) {
        guard record.isRevoked, now < record.expiresAt, entries[record.sessionId] == nil else { return }
        if entries.count >= capacity { forgetExpired(now: now) }
        guard entries.count < capacity else {
            isWhole = false
            return
        }
        entries[record.sessionId] = Entry(computeID: record.computeId, expiresAt: record.expiresAt)
    }

    /// No token of an ended compute is ever served again, revoked or not.
    package mutating func ended(_ ids: Set<ComputeID>) {
        entries = entries.filter { entry in entry.value.computeID.map { !ids.contains($0) } ?? true }
    }

    package mutating func forgetExpired(now: WallTime) { entries = entries.filter { now < $0.value.expiresAt } }

    /// The feed has told everything up to now, and goes on telling.
    package mutating func caughtUp() { isFollowing = true }

    package mutating func feedLost() { isFollowing = false }
}
