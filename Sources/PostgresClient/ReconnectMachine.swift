/// When a connection may be tried again, for all threads of a pool together: a server that is down is asked by one
/// caller at a time and ever more seldom, and everybody else hears at once that it is down.
///
/// ```
///            failed                       time has come, asked
///   usable ─────────▶ waiting(until, n) ──────────────────────▶ trying(n)
///     ▲                    ▲                                      │  │
///     │                    └───────────── failed, gave up ────────┘  │
///     └──────────────────────── connected ───────────────────────────┘
/// ```
package struct ReconnectMachine: Sendable {
    package enum Order: Hashable, Sendable {
        case connect
        case refuse(PostgresError)
    }
    private enum State: Sendable {
        /// Nobody failed since the last success.
        case usable
        /// Nobody tries before then.
        case waiting(until: ContinuousClock.Instant, failures: Int, last: PostgresError)
        /// One tries, until then at the latest; its answer decides for all.
        case trying(until: ContinuousClock.Instant, failures: Int, last: PostgresError)
    }
    private var state = State.usable

    package init() {}

    /// Short enough that a restarted server is in use again at once, long enough not to hinder its start.
    package static let firstPause: Duration = .milliseconds(50)
    package static let longestPause: Duration = .milliseconds(800)

    package mutating func mayConnect(now: ContinuousClock.Instant, until deadline: ContinuousClock.Instant) -> Order {
        switch state {
        case .usable: return .connect
        case .waiting(let until, let failures, let last):
            guard now >= until else { return .refuse(last) }
            state = .trying(until: deadline, failures: failures, last: last)
            return .connect
        case .trying(let until, let failures, let last):
            // Whoever tried is late, and may hang in the resolver.
            guard now >= until else { return .refuse(last) }
            state = .trying(until: deadline, failures: failures, last: last)
            return .connect
        }
    }

    package mutating func connected() { state = .usable }

    /// Whoever tried had not the time to find out anything: the next one may try at once.
    package mutating func gaveUp(now: ContinuousClock.Instant) {
        switch state {
        case .usable, .waiting: break
        case .trying(_, let failures, let last): state = .waiting(until: now, failures: failures, last: last)
        }
    }

    package mutating func failed(_ error: PostgresError, now: ContinuousClock.Instant) {
        let failures =
            switch state {
            case .usable: 0
            case .waiting(_, let failures, _): failures
            case .trying(_, let failures, _): failures + 1
            }
        let pause = min(Self.firstPause * (1 << min(failures, 10)), Self.longestPause)
        state = .waiting(until: now + pause, failures: failures, last: error)
    }
}
