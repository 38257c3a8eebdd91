package import ComputeCore

/// How many members of a pool shall wait, by how often one was asked for lately. A value without a clock: whoever asks
/// says what time it is.
///
/// What is wanted is what was asked for within `lead`, which is how long it takes until a member that starts now is
/// there, and a quarter more. The target rises to it at once. It stays for five minutes, since what came once comes
/// again, and goes down from there by a quarter of the way each half minute: so a burst that comes every few minutes finds its members,
/// and a fluctuating load starts and removes none.
///
/// ```
///   asked for   ▂▂█▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁
///   target      ▃▃███████▆▅▄▃▂▂▁▁▁    at once up, later and slowly down, never beyond the bounds
/// ```
package struct PoolScale: Hashable, Sendable {
    /// How long a burst is remembered: in steps.
    private static let rememberedSteps = 10
    /// How often the target goes down.
    private static let step: Duration = .seconds(30)
    /// A start takes a fraction of a second, but many start one after the other, and the pool waits a moment before it
    /// fills up again.
    private static let leads: ClosedRange<Duration> = .seconds(2)...(.seconds(60))

    private var minimum: Int
    private var maximum: Int
    private var lead = Self.leads.lowerBound
    /// When it was asked for, the oldest first; no more than can matter.
    private var recent: [WallTime] = []
    /// The most that was wanted in each step, the current one last.
    private var peaks: [Int] = [0]
    private var level = 0
    /// When the current step began; nil before anything happened.
    private var stepBegin: WallTime?
    private var now: WallTime?

    package init(minimum: Int, maximum: Int) {
        self.minimum = minimum
        self.maximum = maximum
    }

    package mutating func resize(minimum: Int, maximum: Int) {
        (self.minimum, self.maximum) = (minimum, maximum)
        recent.removeFirst(max(0, recent.count - maximum))
    }

    /// - Parameter time: that a start took lately. Three of them may be before one's turn.
    package mutating func learn(startTime time: Duration) {
        lead = min(max(time * 3, Self.leads.lowerBound), Self.leads.upperBound)
    }

    /// One was asked for, whether it was there or not.
    package mutating func ask(at time: WallTime) {
        let now = advance(to: time)
        recent.append(now)
        // More than there may ever be need not be counted.
        if recent.count > maximum { recent.removeFirst() }
        let wanted = min(recent.count + max(1, (recent.count + 3) / 4), maximum)
        peaks[peaks.count - 1] = max(peaks[peaks.count - 1], wanted)
        level = max(level, wanted)
    }

    package mutating func target(at time: WallTime) -> Int {
        _ = advance(to: time)
        return min(max(level, minimum), maximum)
    }

    /// A clock that was set back stands still until it is where it was.
    private mutating func advance(to time: WallTime) -> WallTime {
        let now = max(time, self.now ?? time)
        self.now = now
        recent.removeAll { $0 + lead < now }
        var begin = stepBegin ?? now
        while begin + Self.step <= now {
            // After so long a silence nothing is left to go down from.
            guard level > 0 else {
                begin = now
                peaks = [0]
                break
            }
            begin = begin + Self.step
            peaks.append(0)
            peaks.removeFirst(max(0, peaks.count - Self.rememberedSteps))
            let floor = peaks.max() ?? 0
            if level > floor { level -= (level - floor + 3) / 4 }
        }
        stepBegin = begin
        return now
    }
}
