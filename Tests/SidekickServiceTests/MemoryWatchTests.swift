import SidekickService
import Testing

struct MemoryWatchTests {
    private static let limit = 512 << 20
    private static let threshold = MemoryWatch.threshold(of: limit)
    private let start = ContinuousClock.now

    private static func groups(_ sizes: [Int32: Int]) -> () -> [MemoryWatch.Group] {
        { sizes.map { MemoryWatch.Group(id: $0.key, bytes: $0.value << 20) } }
    }

    @Test func belowTheThresholdNobodyIsLookedAt() {
        var watch = MemoryWatch(limit: Self.limit)
        for used in [0, Self.limit / 2, Self.threshold - 1] {
            let order = watch.measured(used, at: start) {
                Issue.record("groups were looked for at \(used)")
                return []
            }
            guard case .wait = order else {
                Issue.record("\(order)")
                continue
            }
        }
    }

    @Test func theCloserTheLimitTheSoonerTheNextLook() {
        var watch = MemoryWatch(limit: Self.limit)
        var last = Duration.seconds(1)
        for percent in stride(from: 0, through: 94, by: 2) {
            guard case .wait(let duration) = watch.measured(Self.limit / 100 * percent, at: start, groups: { [] })
            else {
                Issue.record("killed at \(percent) %")
                return
            }
            #expect(duration <= last && duration > .zero, "at \(percent) %")
            last = duration
        }
        #expect(last <= .milliseconds(5))
    }

    @Test func theLargestGroupGoesAndTheNextOnlyWhenThatDidNotHelp() {
        var watch = MemoryWatch(limit: Self.limit)
        let both = Self.groups([10: 200, 20: 250, 30: 1])
        let victim = watch.measured(Self.threshold, at: start, groups: both)
        guard case .kill(let group, _) = victim else {
            Issue.record("\(victim)")
            return
        }
        #expect(group.id == 20)
        // It is still dying.
        guard case .wait = watch.measured(Self.threshold + 1, at: start + .milliseconds(50), groups: both) else {
            Issue.record("a second one was killed at once")
            return
        }
        // It has gone, and its memory is on its way back.
        let other = Self.groups([10: 400])
        guard case .wait = watch.measured(Self.threshold + 1, at: start + .milliseconds(60), groups: other),
            case .wait = watch.measured(Self.threshold + 2, at: start + .milliseconds(900), groups: other)
        else {
            Issue.record("a second one was killed for what the first one held")
            return
        }
        // Somebody else goes on filling it.
        let next = watch.measured(Self.threshold + (20 << 20), at: start + .milliseconds(910), groups: other)
        guard case .kill(let second, _) = next else {
            Issue.record("\(next)")
            return
        }
        #expect(second.id == 10)
    }

    @Test func aGroupThatDoesNotDieIsNotWaitedForEndlessly() {
        var watch = MemoryWatch(limit: Self.limit)
        let groups = Self.groups([10: 400])
        _ = watch.measured(Self.threshold, at: start, groups: groups)
        guard case .kill = watch.measured(Self.threshold, at: start + .seconds(1), groups: groups) else {
            Issue.record("it was waited for")
            return
        }
        // One that went and gave nothing back, neither.
        let next = Self.groups([20: 400])
        for second in [2, 3] { _ = watch.measured(Self.threshold, at: start + .seconds(second), groups: next) }
        guard case .kill = watch.measured(Self.threshold, at: start + .seconds(5), groups: next) else {
            Issue.record("its memory was waited for")
            return
        }
    }

    @Test func filesInMemoryLeaveRoomForWhoRemovesThem() {
        var watch = MemoryWatch(limit: Self.limit)
        let writer = Self.groups([10: 1])
        guard case .kill = watch.measured(Self.threshold, at: start, groups: writer) else {
            Issue.record("who fills the memory with files was not killed")
            return
        }
        // It went on writing until the signal reached it. That is still there when somebody starts a small process,
        // then and long after.
        let remover = Self.groups([20: 2])
        let left = Self.threshold + (20 << 20)
        for (used, milliseconds) in [
            (Self.threshold, 50), (left, 55), (left + (2 << 20), 60), (left + (4 << 20), 5000),
        ] {
            let order = watch.measured(used, at: start + .milliseconds(milliseconds), groups: remover)
            guard case .wait = order else {
                Issue.record("who would remove the files was killed after \(milliseconds) ms: \(order)")
                return
            }
        }
        guard case .kill = watch.measured(Self.limit + (48 << 20), at: start + .seconds(6), groups: remover) else {
            Issue.record("the host would end the sandbox")
            return
        }
    }

    @Test func filesThatFitWithoutTheirWriterLeaveRoomToo() {
        var watch = MemoryWatch(limit: Self.limit)
        guard case .kill = watch.measured(Self.threshold, at: start, groups: Self.groups([10: 7])) else {
            Issue.record("who fills the memory with files was not killed")
            return
        }
        // Without the writer's own memory it is just below the threshold, until somebody starts.
        let remover = Self.groups([20: 7])
        for (bytes, seconds) in [(-(4 << 20), 10), (3 << 20, 11), (8 << 20, 12)] {
            let order = watch.measured(Self.threshold + bytes, at: start + .seconds(seconds), groups: remover)
            guard case .wait = order else {
                Issue.record("who would remove the files was killed at \(bytes): \(order)")
                return
            }
        }
        // They are removed: the next one who fills it is stopped where the first one was.
        _ = watch.measured(Self.limit / 2, at: start + .seconds(13), groups: remover)
        guard case .kill = watch.measured(Self.threshold, at: start + .seconds(14), groups: remover) else {
            Issue.record("who fills it again was not killed")
            return
        }
    }

    @Test func withoutAnyGroupThereIsNothingToDo() {
        var watch = MemoryWatch(limit: Self.limit)
        guard case .wait = watch.measured(Self.limit * 2, at: start, groups: { [] }) else {
            Issue.record("killed nobody")
            return
        }
    }
}
