import ComputeCore
import SidekickService
import Testing

struct CommandTableTests {
    static let now = WallTime(milliseconds: 1_700_000_000_000)
    static let terminal = TerminalID("t")

    static func end(_ code: Int? = 0, _ cause: CommandEnd.Cause = .exited) -> CommandEnd {
        CommandEnd(exitCode: code, cause: cause, at: now, duration: .milliseconds(5))
    }

    private static func limits(_ change: (inout CommandLimits) -> Void = { _ in }) -> CommandLimits {
        var limits = CommandLimits()
        change(&limits)
        return limits
    }

    private static func table(_ limits: CommandLimits = CommandLimits()) -> CommandTable {
        var table = CommandTable(limits: limits)
        #expect(table.terminalRequested(ExecTerminal(id: terminal)) == true)
        return table
    }

    /// Admits and starts one in the terminal.
    private static func run(_ table: inout CommandTable, _ name: String) -> CommandID {
        let id = CommandID(name)
        guard case .granted = table.admitted(id, name, in: terminal, isSingle: false, isPending: false) else {
            Issue.record("\(name) was refused")
            return id
        }
        #expect(table.started(id, at: now) == .goOn)
        return id
    }

    @Test func aCommandGoesFromItsStartToItsEnd() {
        var table = Self.table()
        let id = CommandID("c")
        #expect(
            table.admitted(id, "true", in: Self.terminal, isSingle: false, isPending: false)
                == .granted(capacity: 4 << 20))
        #expect(table.command(id)?.state == .starting)
        #expect(table.startRequested(id) == .alreadyStarted)
        #expect(table.started(id, at: Self.now) == .goOn)
        #expect(table.command(id)?.state == .running)
        #expect(table.command(id)?.startedAt == Self.now)
        #expect(table.ended(id, Self.end(3), footprint: 10) == [])
        #expect(table.command(id)?.state == .ended(Self.end(3)))
        #expect(table.ended(id, Self.end(4), footprint: 10) == [], "the first end counts")
        #expect(table.command(id)?.state == .ended(Self.end(3)))
        #expect(table.activeCount == 0)
    }

    @Test func onlyWhatHasAProcessOrIsAboutToCountsAsRunning() {
        var table = Self.table()
        let (id, streamed) = (CommandID("c"), CommandID("s"))
        _ = table.admitted(id, "c", in: Self.terminal, isSingle: false, isPending: false)
        #expect(table.runningCount == 1, "it is being started")
        #expect(table.started(id, at: Self.now) == .goOn)
        _ = table.admitted(streamed, "s", in: TerminalID("s"), isSingle: true, isPending: true)
        #expect(table.runningCount == 1, "nothing runs before command:start")
        #expect(table.startRequested(streamed) == .start)
        #expect(table.runningCount == 2)
        #expect(table.removed(id) == .endProcess)
        #expect(table.runningCount == 2, "it has still to end")
        _ = table.ended(id, Self.end(), footprint: 0)
        _ = table.started(streamed, at: Self.now)
        _ = table.ended(streamed, Self.end(), footprint: 0)
        #expect(table.runningCount == 0)
    }

    @Test func aStreamedOneWaitsForItsStartAndExpiresWithout() {
        var table = Self.table()
        for name in ["started", "late"] {
            _ = table.admitted(CommandID(name), name, in: TerminalID(name), isSingle: true, isPending: true)
        }
        #expect(table.command(CommandID("started"))?.state == .pending)
        #expect(table.startRequested(CommandID("started")) == .start)
        #expect(table.startRequested(CommandID("started")) == .alreadyStarted)
        #expect(table.expiryDue(CommandID("started"), at: Self.now).isExpired == false)
        #expect(table.expiryDue(CommandID("late"), at: Self.now).isExpired == true)
        #expect(table.expiryDue(CommandID("late"), at: Self.now).isExpired == false)
        #expect(table.startRequested(CommandID("late")) == .expired)
        #expect(table.startRequested(CommandID("never")) == .unknown)
        #expect(table.command(CommandID("late"))?.state == .ended(Self.end(nil, .expired).lasting(.zero)))
    }

    @Test func whatIsRemovedIsGoneAtOnceAndKeepsItsPlaceUntilItsEnd() {
        var table = Self.table()
        let id = Self.run(&table, "c")
        #expect(table.removed(id) == .endProcess)
        #expect(table.command(id) == nil)
        #expect(table.commands(in: Self.terminal).isEmpty)
        #expect(table.removed(id) == .unknown)
        #expect(table.activeCount == 1)
        #expect(table.ended(id, Self.end(137), footprint: 10) == [])
        #expect(table.activeCount == 0)
        #expect(table.command(id) == nil)

        let ended = Self.run(&table, "ended")
        _ = table.ended(ended, Self.end(), footprint: 0)
        #expect(table.removed(ended) == .forget)
        #expect(table.command(ended) == nil)
    }

    @Test func oneThatIsRemovedWhileItStartsIsEndedOnceItRuns() {
        var table = Self.table()
        let id = CommandID("c")
        _ = table.admitted(id, "c", in: Self.terminal, isSingle: false, isPending: false)
        #expect(table.removed(id) == .endProcess)
        #expect(table.started(id, at: Self.now) == .endIt)
        #expect(table.command(id) == nil)
        _ = table.ended(id, Self.end(137), footprint: 0)
        #expect(table.activeCount == 0)
    }

    @Test func aTerminalTakesItsCommandsAlong() {
        var table = Self.table()
        let running = Self.run(&table, "running")
        let ended = Self.run(&table, "ended")
        _ = table.ended(ended, Self.end(), footprint: 0)
        let removals = table.terminalRemoved(Self.terminal) ?? []
        #expect(removals.map(\.0) == [running, ended])
        #expect(removals.map(\.1) == [.endProcess, .forget])
        #expect(table.terminal(Self.terminal) == nil)
        #expect(table.terminalRemoved(Self.terminal) == nil)
        #expect(
            table.admitted(CommandID("n"), "n", in: Self.terminal, isSingle: false, isPending: false) == .noSuchTerminal
        )
    }

    @Test func aSingleCommandsTerminalIsUnlistedAndGoesWithIt() {
        var table = CommandTable()
        let terminal = TerminalID("single")
        let id = CommandID("c")
        _ = table.admitted(id, "c", in: terminal, isSingle: true, isPending: false)
        #expect(table.execTerminals.isEmpty)
        #expect(table.terminal(terminal) != nil)
        #expect(table.commands(in: terminal).map(\.id) == [id])
        table.notStarted(id)
        #expect(table.terminal(terminal) == nil)
        #expect(table.command(id) == nil)
    }

    @Test func activeAndPendingOnesAreBounded() {
        var table = CommandTable(
            limits: Self.limits {
                $0.active = 3
                $0.pending = 2
                $0.terminals = 1
            })
        #expect(table.terminalRequested(ExecTerminal(id: TerminalID("a"))) == true)
        #expect(table.terminalRequested(ExecTerminal(id: TerminalID("b"))) == false)
        func admit(_ name: String, isPending: Bool) -> CommandTable.Admission {
            table.admitted(CommandID(name), name, in: TerminalID(name), isSingle: true, isPending: isPending)
        }
        for name in ["p1", "p2"] { #expect(admit(name, isPending: true) == .granted(capacity: 4 << 20)) }
        #expect(admit("p3", isPending: true) == .tooManyPending)
        #expect(admit("r1", isPending: false) == .granted(capacity: 4 << 20))
        #expect(admit("r2", isPending: false) == .tooManyActive)
        _ = table.expiryDue(CommandID("p1"), at: Self.now)
        #expect(admit("r3", isPending: false) == .granted(capacity: 4 << 20))
    }

    @Test func theOldestEndedOfATerminalGoesFirst() {
        var table = Self.table(Self.limits { $0.keptPerTerminal = 2 })
        let ids = ["a", "b", "c"].map { Self.run(&table, $0) }
        // The order of the ends counts, not that of the starts.
        #expect(table.ended(ids[2], Self.end(), footprint: 0) == [])
        #expect(table.ended(ids[0], Self.end(), footprint: 0) == [])
        #expect(table.ended(ids[1], Self.end(), footprint: 0) == [ids[2]])
        #expect(table.commands(in: Self.terminal).map(\.id) == [ids[0], ids[1]])
    }

    @Test func aCommandThatSomebodyWaitsForIsNotForgotten() {
        var table = Self.table(
            Self.limits {
                $0.keptPerTerminal = 1
                $0.keptBytes = 100
            })
        let awaited = CommandID("awaited")
        _ = table.admitted(
            awaited, "awaited", in: Self.terminal, isSingle: false, isPending: false, isAwaited: true)
        _ = table.started(awaited, at: Self.now)
        table.waitBegan(awaited)
        let others = ["a", "b"].map { Self.run(&table, $0) }
        #expect(table.ended(awaited, Self.end(), footprint: 200) == [])
        #expect(table.ended(others[0], Self.end(), footprint: 0) == [])
        #expect(table.ended(others[1], Self.end(), footprint: 0) == [others[0]])
        #expect(table.waitEnded(awaited) == [])
        #expect(table.command(awaited)?.hasEnded == true, "one still waits")
        #expect(table.waitEnded(awaited) == [awaited])
        #expect(table.waitEnded(awaited) == [], "who waited for one that was deleted")
        #expect(table.commands().map(\.id) == [others[1]])
    }

    @Test func keptOutputIsBoundedOverAllTerminals() {
        var table = Self.table(Self.limits { $0.keptBytes = 100 })
        let first = Self.run(&table, "1")
        let second = Self.run(&table, "2")
        #expect(table.ended(first, Self.end(), footprint: 60) == [])
        #expect(table.ended(second, Self.end(), footprint: 60) == [first])
        let huge = Self.run(&table, "3")
        #expect(table.ended(huge, Self.end(), footprint: 200) == [second, huge], "not even itself is too holy")
        #expect(table.commands().isEmpty)
    }

    @Test func theMoreRunTheLessEachMayKeep() {
        var table = CommandTable()
        var sum = 0
        var last = Int.max
        for number in 0..<table.limits.active {
            let name = "\(number)"
            let admission = table.admitted(
                CommandID(name), name, in: TerminalID(name), isSingle: true, isPending: false)
            guard case .granted(let capacity) = admission else {
                Issue.record("\(number): \(admission)")
                return
            }
            #expect(capacity <= last)
            last = capacity
            sum += 2 * capacity
        }
        #expect(last == table.limits.capacity.lowerBound)
        #expect(sum <= table.limits.activeBytes * 3 / 2)
    }

    /// Any order of facts keeps the bounds, and forgets each command exactly once.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func randomWalksKeepTheBounds(_ seed: UInt64) {
        var walk = CommandTableWalk(seed: seed)
        for _ in 0..<2000 { walk.step() }
        walk.finish()
    }
}

extension CommandEnd {
    fileprivate func lasting(_ duration: Duration) -> CommandEnd {
        CommandEnd(exitCode: exitCode, cause: cause, at: at, duration: duration)
    }
}

/// Steps a table at random beside a plain picture of what should be there.
private struct CommandTableWalk: ~Copyable {
    private var table: CommandTable
    private var random: SeededGenerator
    private let seed: UInt64
    private var terminals: [TerminalID] = []
    /// What may still be told of: admitted and not forgotten.
    private var pending: Set<CommandID> = []
    private var starting: Set<CommandID> = []
    private var running: Set<CommandID> = []
    private var leaving: Set<CommandID> = []
    private var ended: Set<CommandID> = []
    private var count = 0

    init(seed: UInt64) {
        self.seed = seed
        random = SeededGenerator(state: seed)
        var limits = CommandLimits()
        limits.terminals = 3
        limits.active = 12
        limits.pending = 5
        limits.keptPerTerminal = 3
        limits.keptSingle = 4
        limits.keptBytes = 500
        table = CommandTable(limits: limits)
    }

    mutating func step() {
        switch Int.random(in: 0..<12, using: &random) {
        case 0:
            let terminal = ExecTerminal(id: TerminalID("t\(count)"))
            count += 1
            let granted = table.terminalRequested(terminal)
            #expect(granted == (terminals.count < 3), "seed \(seed)")
            if granted { terminals.append(terminal.id) }
        case 1:
            guard Bool.random(using: &random), let terminal = terminals.randomElement(using: &random) else { return }
            let removals = table.terminalRemoved(terminal)
            #expect(removals != nil, "seed \(seed)")
            terminals.removeAll { $0 == terminal }
            for (id, removal) in removals ?? [] { note(removal, id) }
        case 2, 3, 4: admit()
        case 5:
            guard let id = (pending.union(ended)).randomElement(using: &random) else { return }
            let order = table.startRequested(id)
            #expect((order == .start) == pending.contains(id), "seed \(seed)")
            if pending.remove(id) != nil { starting.insert(id) }
        case 6, 7:
            guard let id = starting.randomElement(using: &random) else { return }
            starting.remove(id)
            if Bool.random(using: &random) {
                #expect(table.started(id, at: CommandTableTests.now) == (leaving.contains(id) ? .endIt : .goOn))
                if !leaving.contains(id) { running.insert(id) }
            } else {
                table.notStarted(id)
                leaving.remove(id)
            }
        case 8, 9:
            guard let id = running.union(leaving.subtracting(starting)).randomElement(using: &random) else { return }
            let bytes = Int.random(in: 0..<300, using: &random)
            let dropped = table.ended(id, CommandTableTests.end(), footprint: bytes)
            if running.remove(id) != nil { ended.insert(id) }
            leaving.remove(id)
            forget(dropped)
        case 10:
            guard let id = pending.randomElement(using: &random) else { return }
            let expiry = table.expiryDue(id, at: CommandTableTests.now)
            #expect(expiry.isExpired, "seed \(seed)")
            pending.remove(id)
            ended.insert(id)
            forget(expiry.dropped)
        default:
            let all = pending.union(running).union(ended).union(starting).subtracting(leaving)
            guard let id = all.randomElement(using: &random) else { return }
            note(table.removed(id), id)
        }
        check()
    }

    private mutating func admit() {
        let id = CommandID("c\(count)")
        count += 1
        let terminal = Bool.random(using: &random) ? terminals.randomElement(using: &random) : nil
        let isPending = Bool.random(using: &random)
        let admission = table.admitted(
            id, "true", in: terminal ?? TerminalID("of \(id)"), isSingle: terminal == nil, isPending: isPending)
        guard case .granted = admission else {
            #expect(table.activeCount == 12 || (isPending && pending.count == 5), "seed \(seed): \(admission)")
            return
        }
        if isPending { pending.insert(id) } else { starting.insert(id) }
    }

    private mutating func note(_ removal: CommandTable.Removal, _ id: CommandID) {
        switch removal {
        case .endProcess:
            #expect(running.contains(id) || starting.contains(id), "seed \(seed)")
            running.remove(id)
            leaving.insert(id)
        case .forget:
            #expect(pending.remove(id) ?? ended.remove(id) != nil, "seed \(seed)")
        case .unknown: Issue.record("seed \(seed): \(id) was there")
        }
    }

    private mutating func forget(_ dropped: [CommandID]) {
        for id in dropped { #expect(ended.remove(id) != nil, "seed \(seed): dropped \(id), which had not ended") }
    }

    private func check() {
        let visible = pending.union(running).union(ended).union(starting).subtracting(leaving)
        #expect(Set(table.commands().map(\.id)) == visible, "seed \(seed)")
        #expect(table.activeCount == pending.count + running.count + starting.union(leaving).count, "seed \(seed)")
        #expect(table.activeCount <= 12 && pending.count <= 5, "seed \(seed)")
        for terminal in terminals {
            #expect(table.commands(in: terminal).count { $0.hasEnded } <= 3, "seed \(seed)")
        }
        #expect(table.commands().count { $0.hasEnded && !terminals.contains($0.terminal) } <= 4, "seed \(seed)")
    }

    /// All go in the end.
    mutating func finish() {
        for id in starting { _ = table.started(id, at: CommandTableTests.now) }
        for id in running.union(starting).union(leaving) {
            forget(table.ended(id, CommandTableTests.end(), footprint: 0).filter { ended.contains($0) })
        }
        for id in table.commands().map(\.id) { #expect(table.removed(id) == .forget, "seed \(seed)") }
        #expect(table.commands().isEmpty && table.activeCount == 0, "seed \(seed)")
    }
}

struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
