/// Decides at every ping interval whether the peer is still there.
struct KeepAlive {
    enum Order: Equatable {
        case ping
        /// Nothing came for two intervals although we asked.
        case giveUp
    }

    private var silentIntervals = 0

    /// Any frame shows life, not only a pong.
    mutating func heard() { silentIntervals = 0 }

    /// `readingPaused`: frames are waiting for us, so silence says nothing about the peer.
    mutating func intervalPassed(readingPaused: Bool) -> Order {
        if readingPaused { silentIntervals = 0 }
        guard silentIntervals < 2 else { return .giveUp }
        silentIntervals += 1
        return .ping
    }
}
