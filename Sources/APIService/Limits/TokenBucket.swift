package import ComputeCore

/// How often something may happen: so many times a second on average, and as many at once when it did not happen for a
/// second. A value; whoever takes says what time it is.
///
/// ```
///            limit tokens at most
///   time ──▶ [ ● ● ● · · ] ──▶ one for each request; none left: refused
///            limit a second
/// ```
///
/// Counted in thousandths of a token, of which a millisecond brings exactly `limit`: nothing is rounded away, however
/// often it is asked.
package struct TokenBucket: Hashable, Sendable {
    /// After so long without a request a bucket is full, whatever its limit: as good as none.
    package static let refillTime: Duration = .milliseconds(millisecondsToFill)
    private static let millisecondsToFill: Int64 = 1000
    private static let token: Int64 = 1000

    /// At least 1.
    package let limit: Int64
    private var level: Int64
    private var countedAt: WallTime

    package init(limit: Int64, at now: WallTime) {
        precondition(limit > 0, "a limit of nothing is no limit")
        self.limit = limit
        level = limit * Self.token
        countedAt = now
    }

    /// Takes one token if there is one. What is refused costs nothing, so who keeps asking is not kept out for longer.
    package mutating func take(at now: WallTime) -> Allowance {
        fill(until: now)
        let isGranted = level >= Self.token
        if isGranted { level -= Self.token }
        let missing = (isGranted ? limit * Self.token : Self.token) - level
        return Allowance(
            isGranted: isGranted, limit: limit, remaining: level / Self.token,
            // Up, so that who comes then is not too early: to full milliseconds, and those to full seconds.
            resetSeconds: Self.quotient(Self.quotient(missing, limit), 1000))
    }

    private mutating func fill(until now: WallTime) {
        // A clock that was set back brings nothing; from there on it counts as before.
        let passed = min(max(0, now.milliseconds - countedAt.milliseconds), Self.millisecondsToFill)
        level = min(limit * Self.token, level + passed * limit)
        countedAt = now
    }

    private static func quotient(_ number: Int64, _ divisor: Int64) -> Int64 { (number + divisor - 1) / divisor }
}

/// What a bucket said of one request.
package struct Allowance: Hashable, Sendable {
    package var isGranted: Bool
    /// Requests a second.
    package var limit: Int64
    /// How many more would be granted at this moment.
    package var remaining: Int64
    /// Whole seconds, rounded up, until all of the limit is there again; of a refusal, until the next one is granted.
    package var resetSeconds: Int64

    package init(isGranted: Bool, limit: Int64, remaining: Int64, resetSeconds: Int64) {
        self.isGranted = isGranted
        self.limit = limit
        self.remaining = remaining
        self.resetSeconds = resetSeconds
    }
}
