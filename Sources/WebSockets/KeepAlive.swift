/// Decides at every ping interval whether the peer is still there.
package struct KeepAlive {
    package enum Order: Equatable {
        case ping
        /// Nothing came for two intervals although we asked.
        case giveUp
    }

    private var silentIntervals = 0

    package init() {}

    /// Any frame shows life, not only a pong.
    package mutating func heard() { silentIntervals = 0 }

    /// `readingPaused`: frames are waiting for us, so silence says nothing about the peer.
    package mutating func intervalPassed(readingPaused: Bool) -> Order {
        if readingPaused { silentIntervals = 0 }
        guard silentIntervals < 2 else { return .giveUp }
        silentIntervals += 1
        return .ping
    }
}
