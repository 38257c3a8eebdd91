/// When somebody crowds everybody else out of the compute by starting processes without end, and who has to go. A value:
/// `LimitsWatchdog` is its shell.
///
/// The kernel keeps the limit itself: whoever reaches it starts no more and is told so. A program that takes that for an answer is
/// left alone, whatever it holds, as long as nobody else needs a place. A fork bomb does not take it: either each place that
/// becomes free is taken again at once, or none becomes free and all that hold one go on trying. Nobody else could start
/// anything then, for good, and in gVisor the machine below wears out.
///
///     calm ── 7 of 8 places taken ──▶ crowded ─┬─ within 2 s half of all places went to newcomers ─────────────▶ end
///       ▲                                │     └─ all are taken for 2 s, and somebody else needs one ──────────▶ end
///       └──── half of them are free ─────┘
package struct ProcessWatch: Sendable {
    /// With fewer places there is nothing to crowd.
    package static let smallestLimit = 16

    private static let calm: Duration = .milliseconds(200)
    private static let alert: Duration = .milliseconds(20)
    /// Whoever only reaches the limit is over it in less.
    private static let shortest: Duration = .milliseconds(200)
    /// Who replaces its processes more slowly than this leaves room for others.
    private static let longest: Duration = .seconds(2)
    /// Who was there for so long before it came to this has not caused it.
    private static let settled: Duration = .seconds(10)

    /// What there is at one moment.
    package struct Facts: Hashable, Sendable {
        /// The numbers of all processes of user code. A kernel gives each number again only after all others, so within seconds
        /// they name processes.
        package var pids: Set<Int32>
        /// Of those; each takes a place.
        package var threads: Int
        /// How much the Sidekick has been asked to start, all in all.
        package var starts: UInt64

        package init(pids: Set<Int32>, threads: Int, starts: UInt64) {
            self.pids = pids
            self.threads = threads
            self.starts = starts
        }
    }

    package enum Order: Equatable, Sendable {
        case wait(Duration)
        /// SIGKILL to all but these residents, and to those of them who started `fewest` of the others; then look again.
        case end(besides: Set<Int32>, fewest: Int)
    }

    private struct Crowd {
        /// When the last two seconds began, and who was there then.
        var recent: (since: ContinuousClock.Instant, residents: Set<Int32>)
        /// Since when all places have been taken, and how much had been started by then. nil: there is one.
        var full: (since: ContinuousClock.Instant, starts: UInt64)?
    }

    private let limit: Int
    /// Since when each has been there.
    private var known: [Int32: ContinuousClock.Instant] = [:]
    /// Who was there when half of the places were free for the last time.
    private var early: Set<Int32> = []
    /// nil: calm.
    private var crowd: Crowd?
    private var lastEnd: ContinuousClock.Instant?

    package init(limit: Int) { self.limit = limit }

    package mutating func looked(_ facts: Facts, at now: ContinuousClock.Instant) -> Order {
        known = known.filter { facts.pids.contains($0.key) }
        for pid in facts.pids where known[pid] == nil { known[pid] = now }
        guard facts.threads > limit / 2 else {
            crowd = nil
            early = facts.pids
            return .wait(Self.calm)
        }
        guard facts.threads >= limit - limit / 8 else {
            crowd?.full = nil
            return .wait(Self.alert)
        }
        var crowd = crowd ?? Crowd(recent: (now, facts.pids))
        if now - crowd.recent.since > Self.longest { crowd.recent = (now, facts.pids) }
        crowd.full = facts.threads >= limit ? crowd.full ?? (now, facts.starts) : nil
        self.crowd = crowd
        if now - crowd.recent.since >= Self.shortest,
            facts.pids.subtracting(crowd.recent.residents).count >= limit / 2
        {
            return end(besides: crowd.recent.residents, at: now)
        }
        if let full = crowd.full, now - full.since >= Self.longest, facts.starts > full.starts {
            let settled = known.filter { full.since - $0.value >= Self.settled }.keys
            return end(besides: early.union(settled), at: now)
        }
        return .wait(Self.alert)
    }

    private mutating func end(besides residents: Set<Int32>, at now: ContinuousClock.Instant) -> Order {
        // Somebody who happened to start one of them meanwhile is not to blame, unless it comes to this again and again.
        let isRepeated = lastEnd.map { now - $0 < Self.settled } ?? false
        crowd = nil
        lastEnd = now
        return .end(besides: residents, fewest: isRepeated ? 1 : max(2, limit / 16))
    }
}
