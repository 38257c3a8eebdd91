/// When the memory of a compute runs out, and who has to go. A value: `LimitsWatchdog` is its shell.
///
/// Without it the host would end the whole sandbox, the Sidekick included. So the largest process group goes before
/// that, and everything else lives on.
package struct MemoryWatch: Sendable {
    /// Where killing begins: 95 %. The rest, and what the host allows beyond, is for what is allocated until a kill is
    /// felt.
    package static func threshold(of limit: Int) -> Int { limit / 100 * 95 }
    /// Fresh memory can be written no faster than this by all cores of a small machine; measured inside gVisor: 350 to
    /// 500 MB/s per core.
    private static let fastestPerSecond = 2 << 30
    private static let shortest: Duration = .milliseconds(5)
    /// 0.1 ms each: this often they cost 0.05 % of a core.
    private static let longest: Duration = .milliseconds(200)
    /// What a killed group gets to end before the next one is chosen.
    private static let dyingTime: Duration = .milliseconds(300)
    /// Its memory comes back some time after it has gone, on a busy machine late. Until then the next one is chosen
    /// only when somebody goes on filling it.
    private static let settlingTime: Duration = .seconds(1)

    /// The host ends the sandbox at 128 MiB above the limit. This much of that may be filled with what is nobody's; the
    /// rest is gVisor's own, and for what is written while a kill is on its way.
    private static let hostAllows = 48 << 20

    /// A shell and a small program, under gVisor, with what the Sidekick needs to start and hear them.
    private static let roomToRemove = 16 << 20

    package struct Group: Hashable, Sendable {
        package var id: Int32
        package var bytes: Int
        package init(id: Int32, bytes: Int) {
            self.id = id
            self.bytes = bytes
        }
    }

    package enum Order: Equatable, Sendable {
        case wait(Duration)
        /// SIGKILL to this group, then look again.
        case kill(Group, then: Duration)
    }

    let limit: Int
    /// Below this, only a group is killed whose end frees much; above it the largest goes, whoever that is. What a
    /// killed group leaves behind, and has written on its way out, counts as nobody's from then on: to remove files
    /// takes a process, too.
    private var fileMark: Int
    private var dying: Dying?

    private struct Dying {
        var group: Int32
        var since: ContinuousClock.Instant
        var isGone = false
        /// What was in use after that, and when.
        var left: (bytes: Int, at: ContinuousClock.Instant)?
    }

    package init(limit: Int) {
        self.limit = limit
        fileMark = Self.threshold(of: limit)
    }

    /// - Parameter groups: of user code; looked for only when it matters.
    package mutating func measured(
        _ used: Int, at now: ContinuousClock.Instant, groups: () -> [Group]
    ) -> Order {
        let threshold = Self.threshold(of: limit)
        guard used >= threshold else {
            dying = nil
            // Just below it are the files still there: who removes them needs the room as well.
            if used < threshold - Self.roomToRemove { fileMark = threshold }
            let milliseconds = (threshold - used) * 1000 / Self.fastestPerSecond
            return .wait(min(max(.milliseconds(milliseconds), Self.shortest), Self.longest))
        }
        let groups = groups()
        if isSettling(used, now, groups) { return .wait(Self.shortest) }
        dying = nil
        guard let largest = groups.max(by: { ($0.bytes, $1.id) < ($1.bytes, $0.id) }) else {
            return .wait(Self.longest)
        }
        // A small one is not to blame, unless the memory fills with files: those are nobody's.
        if largest.bytes < limit / 16, used < fileMark { return .wait(Self.shortest) }
        dying = Dying(group: largest.id, since: now)
        leaveRoom(above: used)
        return .kill(largest, then: Self.shortest)
    }

    /// The last one that was killed has not given everything back yet.
    private mutating func isSettling(_ used: Int, _ now: ContinuousClock.Instant, _ groups: [Group]) -> Bool {
        guard let dying else { return false }
        if groups.contains(where: { $0.id == dying.group }) { return now - dying.since < Self.dyingTime }
        guard dying.isGone else {
            // `used` was read before it was missed. The next reading is the first one without it.
            self.dying?.isGone = true
            return true
        }
        let left = dying.left ?? (used, now)
        self.dying?.left = left
        guard now - left.at < Self.settlingTime, used < left.bytes + Self.roomToRemove else { return false }
        leaveRoom(above: used)
        return true
    }

    private mutating func leaveRoom(above used: Int) {
        fileMark = max(fileMark, min(used + Self.roomToRemove, limit + Self.hostAllows))
    }
}
