/// When somebody crowds everybody else out of the compute by starting processes without end, and who has to go. A value:
/// `LimitsWatchdog` is its shell.
///
/// The kernel keeps the limit itself: whoever reaches it starts no more and is told so. A program that takes that for an answer is
/// left alone, whatever it holds, as long as nobody else needs a place. A fork bomb does not take it: either each place that
/// becomes free is taken again at once, or none becomes free and all that hold one go on trying. Nobody else could start
/// anything then, for good, and in gVisor the machine below wears out.
///
///     calm ── 7 of 8 places taken ──▶ crowded ── half the limit came in the last 2 s; or all are taken for 2 s, ──▶ end
///       ▲                                │       and somebody else needs one                                      │
///       └──── half of them are free ─────┴────────────────────────────────────────────────────────────────────────┘
package struct ProcessWatch: Sendable {
    private static let calm: Duration = .milliseconds(200)
    private static let alert: Duration = .milliseconds(20)
    /// Whoever only reaches the limit is over it in less.
    private static let shortest: Duration = .milliseconds(200)
    /// Who replaces its processes more slowly than this leaves room for others. Others try again for as long.
    private static let longest: Duration = .seconds(2)

    package enum Order: Equatable, Sendable {
        case wait(Duration)
        /// SIGKILL to all but these residents, and to those of them who started the others; then look again.
        case end(besides: Set<Int32>)
    }

    private struct Crowd {
        /// Since when all places have been taken, and how much had been started by then.
        var full: (since: ContinuousClock.Instant, starts: UInt64)?
        /// Of the last two seconds at most: when they began, who was there then, and all who have been there since.
        var recent: (since: ContinuousClock.Instant, residents: Set<Int32>, seen: Set<Int32>)
    }

    private let limit: Int
    /// Who was there when half of the places were free for the last time.
    private var early: Set<Int32> = []
    private var crowd: Crowd?

    package init(limit: Int) { self.limit = limit }

    /// - Parameters:
    ///   - present: the numbers of all processes of user code. A kernel gives each number again only after all others, so within
    ///     seconds they name processes.
    ///   - starts: how much the Sidekick has been asked to start, all in all.
    package mutating func looked(
        _ present: Set<Int32>, starts: UInt64, at now: ContinuousClock.Instant
    ) -> Order {
        guard present.count > limit / 2 else {
            crowd = nil
            early = present
            return .wait(Self.calm)
        }
        guard present.count >= limit - limit / 8 else { return .wait(Self.alert) }
        var crowd = crowd ?? Crowd(recent: (now, present, present))
        if now - crowd.recent.since > Self.longest { crowd.recent = (now, present, present) }
        crowd.recent.seen.formUnion(present)
        crowd.full = present.count >= limit ? crowd.full ?? (now, starts) : nil
        self.crowd = crowd
        let newcomers = crowd.recent.seen.count - crowd.recent.residents.count
        if newcomers >= limit / 2, now - crowd.recent.since >= Self.shortest { return end(crowd.recent.residents) }
        if let full = crowd.full, now - full.since >= Self.longest, starts > full.starts { return end(early) }
        return .wait(Self.alert)
    }

    private mutating func end(_ residents: Set<Int32>) -> Order {
        crowd = nil
        return .end(besides: residents)
    }
}
