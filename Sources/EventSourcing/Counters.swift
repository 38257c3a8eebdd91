package import ComputeCore

/// A number that commits move, and that can keep them from happening. Not rebuilt from the log.
package struct CounterName: Hashable, Sendable {
    package var group: GroupID
    package var name: String

    package init(group: GroupID, name: String) {
        self.group = group
        self.name = name
    }
}

/// A counter as it is.
package struct CounterState: Hashable, Sendable {
    package var value: Int64
    /// The limit that was set for this counter alone; nil: what a move says holds.
    package var ownLimit: Int64?

    package init(value: Int64 = 0, ownLimit: Int64? = nil) {
        self.value = value
        self.ownLimit = ownLimit
    }
}

/// Sets what a counter's own limit is, or takes it away (nil). What is above it already stays.
package struct CounterLimit: Hashable, Sendable {
    package var counter: CounterName
    package var limit: Int64?

    package init(counter: CounterName, limit: Int64?) {
        self.counter = counter
        self.limit = limit
    }
}

/// What a commit does to a counter. The commit fails as `.overLimit` when that would bring it above its limit; nothing is
/// checked on the way down.
package struct CounterMove: Hashable, Sendable {
    package var counter: CounterName
    package var delta: Int64
    /// nil: none.
    package var limit: Int64?
    /// Whether the counter's own limit, where it has one, holds instead of `limit`.
    package var yieldsToOwnLimit = false
    /// Not how many there are, but how often it happens: up to `limit` times in that long. nil: how many.
    package var period: Duration?

    package init(counter: CounterName, delta: Int64, limit: Int64? = nil) {
        self.counter = counter
        self.delta = delta
        self.limit = limit
    }

    /// What a tenant may have: `limit` is what is usual, the counter's own limit what this one has.
    package static func quota(
        _ counter: CounterName, delta: Int64, usual limit: Int64?, per period: Duration? = nil
    ) -> CounterMove {
        var move = CounterMove(counter: counter, delta: delta, limit: limit)
        move.yieldsToOwnLimit = true
        move.period = period
        return move
    }
}

// Pure, and the one place where it is decided: stores read, ask here, and write.
extension CounterMove {
    package func limit(of state: CounterState) -> Int64? { yieldsToOwnLimit ? state.ownLimit ?? limit : limit }

    /// - Returns: the value afterwards; nil when it may not be.
    package func applied(to state: CounterState, at now: WallTime) -> Int64? {
        let limit = limit(of: state)
        guard let period else {
            let value = state.value + delta
            if delta > 0, let limit, value > limit { return nil }
            return value
        }
        guard let limit else { return state.value }
        return Pace(limit: limit, period: period).value(after: state.value, adding: delta, at: now)
    }
}

/// How often something may happen: `limit` times within `period`, all at once or one by one. The value is the time, in
/// nanoseconds since 1970, until which what happened so far reaches when each takes its share of the period.
///
/// ```
///        now                  now + period
///   ──────┼──────────────────────┼────▶
///         [ share ][ share ]..........      what happened reaches to here; the next one fits
/// ```
package struct Pace: Hashable, Sendable {
    package var limit: Int64
    package var period: Duration

    package init(limit: Int64, period: Duration) {
        self.limit = limit
        self.period = period
    }

    private var length: Int64 { period.wholeMilliseconds * 1_000_000 }
    /// At least a nanosecond, which is more often than anything happens.
    private var share: Int64 { max(1, length / max(1, limit)) }

    /// How long what happened reaches into the future. A value far ahead is that of a clock that was wrong, and counts as
    /// none: else nothing could happen until that time has come.
    private func reach(_ value: Int64, at now: WallTime) -> Int64 {
        let reach = value - now.milliseconds * 1_000_000
        return reach > 2 * length ? 0 : max(0, reach)
    }

    /// - Returns: nil when that would be too often.
    package func value(after value: Int64, adding count: Int64, at now: WallTime) -> Int64? {
        let (added, isTooMuch) = share.multipliedReportingOverflow(by: count)
        guard limit > 0, !isTooMuch, added <= length else { return nil }
        let reach = reach(value, at: now) + added
        return reach <= length ? now.milliseconds * 1_000_000 + reach : nil
    }

    /// How many of `limit` are spent now.
    package func used(_ value: Int64, at now: WallTime) -> Int64 {
        limit > 0 ? min(limit, (reach(value, at: now) + share - 1) / share) : 0
    }

    /// Whole seconds, rounded up, after which one more fits for sure.
    package var secondsForOne: Int64 { max(1, (share + 999_999_999) / 1_000_000_000) }
}
