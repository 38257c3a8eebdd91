import LinuxSystem
import Testing

@Suite struct ProcessTableTests {
    @Test func exitOfAStartedProcessGoesToItsOwner() {
        var table = ProcessTable<String>()
        table.started(table.starting(owner: "seven"), pid: 7)
        let order = table.exited(7)
        guard case .handOver("seven", killGroupFirst: false) = order else {
            Issue.record("\(order)")
            return
        }
        #expect(table.count == 0)
    }

    @Test func unknownPidsAreReapedAsOrphans() {
        var table = ProcessTable<String>()
        table.started(table.starting(owner: "seven"), pid: 7)
        let order = table.exited(8)
        guard case .reapOrphan = order else {
            Issue.record("\(order)")
            return
        }
        #expect(table.count == 1)
    }

    @Test func noSignalGoesToAPidThatWasReaped() {
        var table = ProcessTable<String>()
        table.started(table.starting(owner: "seven"), pid: 7)
        #expect(table.signalRequested(7) == .signalGroup)
        _ = table.exited(7)
        #expect(table.signalRequested(7) == .doNothing)
        #expect(table.terminationRequested(7) == .doNothing)
    }

    @Test func aTerminatedGroupDoesNotOutliveItsLeader() {
        var table = ProcessTable<String>()
        table.started(table.starting(owner: "seven"), pid: 7)
        #expect(table.terminationRequested(7) == .signalGroup)
        let order = table.exited(7)
        guard case .handOver("seven", killGroupFirst: true) = order else {
            Issue.record("\(order)")
            return
        }
    }

    @Test func whatIsBeingStartedWhenAllAreToEndIsToldOnceItRuns() {
        var table = ProcessTable<String>()
        table.started(table.starting(owner: "runs"), pid: 7)
        let start = table.starting(owner: "starts")
        #expect(table.allTerminationRequested(15) == [7])
        #expect(table.started(start, pid: 8) == 15)
        #expect(table.allTerminationRequested(9).sorted() == [7, 8])
        #expect(table.started(table.starting(owner: "late"), pid: 9) == 9)
        for (pid, owner) in [(7, "runs"), (8, "starts"), (9, "late")] as [(Int32, String)] {
            guard case .handOver(owner, killGroupFirst: true) = table.exited(pid) else {
                Issue.record("\(pid)")
                return
            }
        }
    }

    @Test func aReusedPidIsANewProcess() {
        var table = ProcessTable<String>()
        table.started(table.starting(owner: "first"), pid: 7)
        _ = table.terminationRequested(7)
        _ = table.exited(7)
        table.started(table.starting(owner: "second"), pid: 7)
        let order = table.exited(7)
        guard case .handOver("second", killGroupFirst: false) = order else {
            Issue.record("\(order)")
            return
        }
    }

    @Test func exitThatIsSeenBeforeTheStartReturnsIsTheOwners() {
        var table = ProcessTable<String>()
        let start = table.starting(owner: "seven")
        let wasStarting = table.isStarting(start)
        #expect(wasStarting)
        let order = table.exited(7, start: start)
        guard case .handOver("seven", killGroupFirst: false) = order else {
            Issue.record("\(order)")
            return
        }
        let isStarting = table.isStarting(start)
        #expect(!isStarting)
        // The number may be somebody else's by now.
        table.started(start, pid: 7)
        #expect(table.signalRequested(7) == .doNothing)
        #expect(table.count == 0)
    }

    @Test func startWithoutAProcessLeavesNothing() {
        var table = ProcessTable<String>()
        let start = table.starting(owner: "seven")
        #expect(table.count == 1)
        table.notStarted(start)
        #expect(table.count == 0)
    }

    /// Random walks: every start is handed over exactly once, and a signal is allowed exactly in between.
    @Test func everyStartIsHandedOverExactlyOnce() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededRandom(state: seed)
        var table = ProcessTable<Int>()
        var alive: [Int32: Int] = [:]
        var serial = 0
        for _ in 0..<10_000 {
            let pid = Int32.random(in: 1...50, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0 where alive[pid] == nil:
                serial += 1
                alive[pid] = serial
                table.started(table.starting(owner: serial), pid: pid)
            case 1:
                let order = table.exited(pid)
                switch (order, alive.removeValue(forKey: pid)) {
                case (.handOver(let owner, _), let expected?) where owner == expected: break
                case (.reapOrphan, nil): break
                default: Issue.record("seed \(seed): \(order) for pid \(pid)")
                }
            default:
                let order = table.signalRequested(pid)
                #expect((order == .signalGroup) == (alive[pid] != nil), "seed \(seed)")
            }
        }
        #expect(table.count == alive.count)
    }
}

/// xorshift64*: a walk that fails is repeated by its seed.
struct SeededRandom: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        if state == 0 { state = 1 }
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 2_685_821_657_736_338_717
    }
}
