import LinuxSystem
import SidekickService
import Testing

struct ServerMachineTests {
    private typealias Machine = ServerMachine

    private static func definition(_ change: (inout ServerDefinition) -> Void = { _ in }) -> ServerDefinition {
        var definition = ServerDefinition(slug: "web", start: "serve", directory: "/")
        change(&definition)
        return definition
    }

    /// Steps through the facts; the orders of the last one.
    @discardableResult
    private static func walk(_ machine: inout ServerMachine, _ facts: ServerMachine.Fact...) -> [ServerMachine.Order] {
        var orders: [ServerMachine.Order] = []
        for fact in facts { orders = machine.step(fact) }
        return orders
    }

    /// A running one; its run is 2: the request to start it counts as well.
    private static func running(_ change: (inout ServerDefinition) -> Void = { _ in }) -> ServerMachine {
        var machine = ServerMachine(definition(change))
        walk(&machine, .startRequested, .dependencies(.met), .launched(2))
        return machine
    }

    @Test func itWaitsForItsDependenciesAndThenStarts() {
        var machine = ServerMachine(Self.definition())
        let started = Self.walk(&machine, .startRequested)
        #expect(started == [.setTimer(.dependencyDeadline(1), Machine.dependencyLimit), .checkDependencies])
        let pending = Self.walk(&machine, .dependencies(.pending))
        #expect(pending == [])
        #expect(machine.status == .starting)
        let met = Self.walk(&machine, .dependencies(.met))
        #expect(met == [.launch(2, .start)])
        let launched = Self.walk(&machine, .launched(2))
        #expect(launched == [.setTimer(.stable(2), Machine.stableAfter)])
        #expect(machine.status == .running)
    }

    @Test func aDependencyThatFailsOrNeverComesFailsIt() {
        var machine = ServerMachine(Self.definition())
        Self.walk(&machine, .startRequested, .dependencies(.failed("no")))
        #expect(machine.status == .failed && machine.reason == "no")
        Self.walk(&machine, .startRequested, .timerFired(.dependencyDeadline(1)))
        #expect(machine.status == .starting, "that was the timer of the earlier start")
        Self.walk(&machine, .timerFired(.dependencyDeadline(2)))
        #expect(machine.status == .failed)
    }

    @Test func theInstallStepRunsOnceAndItsFailureIsFinal() {
        var machine = ServerMachine(
            Self.definition {
                $0.install = "make"; $0.restartPolicy = .always
            })
        let install = Self.walk(&machine, .startRequested, .dependencies(.met))
        #expect(install == [.launch(2, .install)])
        Self.walk(&machine, .launched(2))
        #expect(machine.status == .installing)
        Self.walk(&machine, .exited(2, .exited(2)), .sessionEnded(2))
        #expect(machine.status == .failed && machine.exit == .exited(2))

        let again = Self.walk(&machine, .startRequested, .dependencies(.met))
        #expect(again == [.launch(4, .install)])
        let done = Self.walk(&machine, .launched(4), .exited(4, .exited(0)))
        #expect(done.first == .recordInstalled)
        let start = Self.walk(&machine, .sessionEnded(4))
        #expect(start == [.launch(5, .start)])
        let restarted = Self.walk(
            &machine, .launched(5), .stopRequested(.restart), .exited(5, .signalled(15)), .sessionEnded(5))
        #expect(restarted.contains(.checkDependencies))
        let startAgain = Self.walk(&machine, .dependencies(.met))
        #expect(startAgain == [.launch(7, .start)])
    }

    @Test func anInstallStepThatIsDoneIsNotRunAgainAfterAStopThatCameRightBehindIt() {
        var machine = ServerMachine(Self.definition { $0.install = "make" })
        Self.walk(&machine, .startRequested, .dependencies(.met), .launched(2))
        Self.walk(&machine, .exited(2, .exited(0)), .stopRequested(.stop), .sessionEnded(2))
        #expect(machine.status == .stopped && machine.isInstalled)
        let again = Self.walk(&machine, .startRequested, .dependencies(.met))
        #expect(again == [.launch(4, .start)])
    }

    @Test func anInstallStepThatWasToldToEndIsNotTakenForDone() {
        var machine = ServerMachine(Self.definition { $0.install = "make" })
        Self.walk(&machine, .startRequested, .dependencies(.met), .launched(2), .stopRequested(.stop))
        Self.walk(&machine, .exited(2, .exited(0)), .sessionEnded(2))
        #expect(machine.status == .stopped && !machine.isInstalled)
    }

    @Test func aStartThatIsAskedForWhileItWindsDownByItselfIsMade() {
        var machine = Self.running()
        Self.walk(&machine, .exited(2, .exited(0)), .startRequested)
        #expect(machine.status == .restarting)
        let ended = Self.walk(&machine, .sessionEnded(2))
        #expect(ended.contains(.checkDependencies))
        Self.walk(&machine, .dependencies(.met), .launched(4))
        #expect(machine.status == .running)
    }

    @Test func itIsReadyWhenItListensAndToldOnce() {
        var machine = Self.running()
        let listening = Self.walk(&machine, .listening(2, port: 3000))
        #expect(listening == [.announceReady(port: 3000)])
        #expect(machine.status == .ready && machine.hasPort && machine.isUp)
        Self.walk(&machine, .listening(2, port: nil))
        #expect(machine.status == .running)
        let again = Self.walk(&machine, .listening(2, port: 3001))
        #expect(again == [])
        #expect(machine.status == .ready && machine.port == 3001)
        let late = Self.walk(&machine, .listening(1, port: 9))
        #expect(late == [] && machine.port == 3001)
    }

    @Test func withAHealthCheckItIsReadyWhenItAnswersWell() {
        var machine = Self.running { $0.healthCheck = .init() }
        Self.walk(&machine, .listening(2, port: 3000))
        #expect(machine.status == .running)
        let probe = Self.walk(&machine, .timerFired(.probe(2)))
        #expect(probe == [.probe(2, port: 3000)])
        let good = Self.walk(&machine, .probed(2, status: 204))
        #expect(good == [.announceReady(port: 3000), .setTimer(.probe(2), .milliseconds(2000))])
        #expect(machine.status == .ready)
        Self.walk(&machine, .probed(2, status: 500), .probed(2, status: 0))
        #expect(machine.status == .ready, "one may be late")
        Self.walk(&machine, .probed(2, status: 404))
        #expect(machine.status == .running && machine.health?.isHealthy == false)
        #expect(machine.health?.consecutiveFailures == 3)
        Self.walk(&machine, .probed(2, status: 302))
        #expect(machine.status == .ready && machine.health?.consecutiveFailures == 0)
    }

    @Test func nobodyToAskCountsAsNoAnswer() {
        var machine = Self.running { $0.healthCheck = .init() }
        let orders = Self.walk(&machine, .timerFired(.probe(2)))
        #expect(orders == [.setTimer(.probe(2), .milliseconds(2000))])
        #expect(machine.health?.lastStatus == 0 && machine.health?.consecutiveFailures == 1)
    }

    @Test func restartsFollowThePolicy() {
        let table: [(ServerDefinition.RestartPolicy, LinuxSystem.ExitStatus, ServerMachine.Status)] = [
            (.never, .exited(0), .stopped), (.never, .exited(1), .failed), (.never, .signalled(9), .failed),
            (.onFailure, .exited(0), .stopped), (.onFailure, .exited(1), .restarting),
            (.onFailure, .signalled(11), .restarting), (.always, .exited(0), .restarting),
            (.always, .exited(1), .restarting),
        ]
        for (policy, exit, status) in table {
            var machine = Self.running { $0.restartPolicy = policy }
            Self.walk(&machine, .exited(2, exit), .sessionEnded(2))
            #expect(machine.status == status, "\(policy) \(exit)")
            #expect(machine.exit == exit)
        }
    }

    @Test func restartsComeSlowerUntilARunLastsAndEndAtTheirLimit() {
        var machine = Self.running {
            $0.restartPolicy = .always
            $0.restartDelayMilliseconds = 8000
            $0.maxRestarts = 5
        }
        func delay(_ orders: [ServerMachine.Order]) -> Duration? {
            guard case .setTimer(.restart, let duration)? = orders.first else { return nil }
            return duration
        }
        var delays: [Duration?] = []
        for run in 2...4 {
            delays.append(delay(Self.walk(&machine, .exited(run, .exited(1)), .sessionEnded(run))))
            Self.walk(&machine, .timerFired(.restart(run)), .launched(run + 1))
        }
        #expect(delays == [.seconds(8), .seconds(16), .seconds(30)])
        Self.walk(&machine, .timerFired(.stable(5)))
        let afterALongRun = Self.walk(&machine, .exited(5, .exited(1)), .sessionEnded(5))
        #expect(delay(afterALongRun) == .seconds(8))
        Self.walk(&machine, .timerFired(.restart(5)), .launchFailed(6, "no shell"))
        #expect(machine.restartCount == 5 && machine.status == .restarting)
        Self.walk(&machine, .timerFired(.restart(6)), .launchFailed(7, "no shell"))
        #expect(machine.status == .failed)
        #expect(machine.reason == "no shell after 5 restarts")
    }

    @Test func aStopIsPoliteThenNot() {
        var machine = Self.running { $0.stopTimeoutMilliseconds = 700 }
        let polite = Self.walk(&machine, .stopRequested(.stop))
        #expect(polite == [.signalGroup(2, kill: false), .setTimer(.kill(2), .milliseconds(700))])
        let kill = Self.walk(&machine, .timerFired(.kill(2)))
        #expect(kill == [.signalGroup(2, kill: true)])
        let exited = Self.walk(&machine, .exited(2, .signalled(9)))
        #expect(exited == [.awaitSession(2, signalFirst: false)])
        #expect(machine.status == .running, "something of it may be left")
        Self.walk(&machine, .sessionEnded(2))
        #expect(machine.status == .stopped)
    }

    @Test func whatAServerLeavesBehindIsEndedWithIt() {
        var machine = Self.running()
        let exited = Self.walk(&machine, .exited(2, .exited(0)))
        #expect(exited == [.awaitSession(2, signalFirst: true), .setTimer(.kill(2), .milliseconds(10_000))])
        let kill = Self.walk(&machine, .timerFired(.kill(2)))
        #expect(kill == [.killSession(2)])
    }

    @Test func aStopDuringTheStartEndsWhatComesOfIt() {
        var machine = ServerMachine(Self.definition())
        Self.walk(&machine, .startRequested, .dependencies(.met), .stopRequested(.stop))
        let launched = Self.walk(&machine, .launched(2))
        #expect(launched.first == .signalGroup(2, kill: false))
        Self.walk(&machine, .exited(2, .signalled(15)), .sessionEnded(2))
        #expect(machine.status == .stopped)
    }

    @Test func deletingIsFinal() {
        var machine = Self.running { $0.restartPolicy = .always }
        Self.walk(&machine, .stopRequested(.delete), .stopRequested(.restart), .startRequested)
        let last = Self.walk(&machine, .exited(2, .exited(0)), .sessionEnded(2))
        #expect(last == [.forget])
        let more = Self.walk(&machine, .startRequested, .stopRequested(.restart), .stopRequested(.delete))
        #expect(more == [] && machine.phase == .deleted)
    }

    @Test func oneThatIsReplacedIsNotStartedAnyMoreUnlessTheOtherDoesNotCome() {
        var machine = Self.running()
        let early = machine.retire()
        #expect(!early, "it runs")
        Self.walk(&machine, .stopRequested(.stop), .exited(2, .signalled(15)), .sessionEnded(2))
        let retired = machine.retire()
        let twice = machine.retire()
        #expect(retired && !twice)
        let orders = Self.walk(&machine, .startRequested, .stopRequested(.restart), .stopRequested(.delete))
        #expect(orders == [] && machine.phase == .stopped)
        machine.reinstate()
        let started = Self.walk(&machine, .startRequested)
        #expect(started.contains(.checkDependencies))
    }

    /// Whatever comes in whatever order: never two runs at once, nothing left when it says that nothing runs, and a stop
    /// always ends it.
    @Test func randomWalksNeverRunTwoAtOnceAndAlwaysStop() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededRandom(state: seed)
        for _ in 0..<200 {
            var world = World(
                machine: ServerMachine(
                    Self.definition {
                        $0.restartPolicy = [.never, .onFailure, .always].randomElement(using: &random)!
                        $0.install = Bool.random(using: &random) ? "make" : nil
                        $0.maxRestarts = Int.random(in: 0...3, using: &random)
                        $0.healthCheck = Bool.random(using: &random) ? .init() : nil
                    }))
            for _ in 0..<100 { world.happen(using: &random) }
            world.deliver(.stopRequested(.stop), using: &random)
            // An `always` server has no end of its own; what is under way has.
            for _ in 0..<1000 where !world.pending.isEmpty { world.happenPending(using: &random) }
            #expect(world.faults == [], "seed \(seed)")
            #expect(world.machine.isSettled, "seed \(seed): \(world.machine.phase)")
        }
    }

    /// The processes and timers that the orders bring about.
    private struct World {
        var machine: ServerMachine
        var pending: [ServerMachine.Fact] = []
        /// Its leader, or what it left, is there.
        var alive: Set<Int> = []
        var faults: [String] = []

        mutating func happen(using random: inout SeededRandom) {
            let requests: [ServerMachine.Fact] = [
                .startRequested, .stopRequested(.stop), .stopRequested(.restart), .stopRequested(.fail("x")),
                .declaredReady, .listening(alive.max() ?? 0, port: 3000), .listening(alive.max() ?? 0, port: nil),
            ]
            if pending.isEmpty || Int.random(in: 0..<4, using: &random) == 0 {
                deliver(requests.randomElement(using: &random)!, using: &random)
            } else {
                happenPending(using: &random)
            }
        }

        mutating func happenPending(using random: inout SeededRandom) {
            let fact = pending.remove(at: Int.random(in: pending.indices, using: &random))
            if case .sessionEnded(let run) = fact { alive.remove(run) }
            if case .launched(let run) = fact {
                alive.insert(run)
                // Sooner or later, whatever the machine does.
                pending.append(.exited(run, [.exited(0), .exited(1), .signalled(15)].randomElement(using: &random)!))
            }
            deliver(fact, using: &random)
        }

        mutating func deliver(_ fact: ServerMachine.Fact, using random: inout SeededRandom) {
            for order in machine.step(fact) {
                switch order {
                case .launch(let run, _):
                    if !alive.isEmpty { faults.append("\(run) beside \(alive)") }
                    pending.append(
                        Int.random(in: 0..<5, using: &random) == 0 ? .launchFailed(run, "no") : .launched(run))
                case .setTimer(let timer, _): pending.append(.timerFired(timer))
                case .awaitSession(let run, _): pending.append(.sessionEnded(run))
                case .probe(let run, _):
                    pending.append(.probed(run, status: [0, 200, 500].randomElement(using: &random)!))
                case .checkDependencies:
                    pending.append(.dependencies([.met, .met, .failed("no")].randomElement(using: &random)!))
                case .signalGroup, .killSession, .announceReady, .announceFailure, .recordInstalled, .forget: break
                }
            }
            if machine.isSettled, !alive.isEmpty { faults.append("settled with \(alive)") }
        }
    }
}

/// xorshift64*: a walk that fails is repeated by its seed.
private struct SeededRandom: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        if state == 0 { state = 1 }
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 2_685_821_657_736_338_717
    }
}
