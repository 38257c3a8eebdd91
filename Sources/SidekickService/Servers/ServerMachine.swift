package import LinuxSystem

/// The life of one supervised server. A value: `ServerSupervisor` is its shell.
///
///                  ┌───────── restart: its dependencies are asked again ─────────┐
///     stopped ──start──▶ waiting ──met──▶ launching ──▶ running ──stop──▶ closing ──session ended──▶ stopped
///     failed  ──┘           │           (install, then    │  exit ──────────┘ │
///        ▲                  │            the server)      │                   └─ its policy ─▶ pausing ──timer──▶ launching
///        └── a dependency failed, or too late             └── what a failed install or the policy says: failed
///
/// A *run* is one process with its session. Facts and timers name the run they are about; those of an earlier one are
/// late, and do nothing.
package struct ServerMachine: Sendable {
    package typealias Run = Int

    package enum Step: Hashable, Sendable { case install, start }

    /// What follows once nothing of a run is left.
    package enum Next: Hashable, Sendable {
        case stop
        case restart
        case delete
        case fail(String)
        /// It ended by itself: what its restart policy says.
        case decide
        /// The install step is done.
        case proceed
    }

    package enum Phase: Hashable, Sendable {
        /// Nothing runs, as it was asked for or because it was done.
        case stopped
        /// Nothing runs, and that is not how it should be.
        case failed
        /// For others, on whom it depends.
        case waiting
        /// A process is being started. `next`: it is to end as soon as it is there.
        case launching(Run, Step, next: Next?)
        case running(Run, Step)
        /// The process was told to end (`exit` nil), or has ended and what it left is told to.
        case closing(Run, Step, next: Next, exit: ExitStatus?)
        /// It will be started again in a while.
        case pausing(Run)
        /// For good; the last state.
        case deleted
    }

    package enum Dependencies: Hashable, Sendable {
        case met
        case pending
        case failed(String)
    }

    package enum Fact: Hashable, Sendable {
        case startRequested
        case stopRequested(Next)
        case dependencies(Dependencies)
        case launched(Run)
        case launchFailed(Run, String)
        case exited(Run, ExitStatus)
        /// Nothing of the run's session is left.
        case sessionEnded(Run)
        /// Where it listens now; nil: nowhere.
        case listening(Run, port: Int?)
        /// A client says that it is of use.
        case declaredReady
        /// The HTTP status of a health check; 0: no answer.
        case probed(Run, status: Int)
        case timerFired(Timer)
    }

    package enum Timer: Hashable, Sendable {
        /// Dependencies are not waited for without end.
        case dependencyDeadline(Run)
        /// It has run long enough not to count as failing at once.
        case stable(Run)
        case probe(Run)
        case kill(Run)
        case restart(Run)
    }

    package enum Order: Hashable, Sendable {
        /// Say `dependencies`, now and after every change.
        case checkDependencies
        case launch(Run, Step)
        case setTimer(Timer, Duration)
        /// To the whole group, whose leader lives.
        case signalGroup(Run, kill: Bool)
        /// The leader is gone: wait for the rest of its session, say `sessionEnded`.
        case awaitSession(Run, signalFirst: Bool)
        case killSession(Run)
        case probe(Run, port: Int)
        /// For the first time in this run it is of use.
        case announceReady(port: Int)
        case announceFailure(String)
        /// The install step need not be run again.
        case recordInstalled
        case forget
    }

    /// As long as dependencies that clone or build something may take.
    package static let dependencyLimit: Duration = .seconds(900)
    package static let stableAfter: Duration = .seconds(10)
    /// Restarts that fail at once come slower and slower, up to this; a longer delay of the definition stays.
    package static let maxDelay: Duration = .seconds(30)
    /// Also when no delay is asked for: a server that cannot start must not take a processor.
    package static let minDelay: Duration = .milliseconds(100)
    /// One answer may be late.
    package static let unhealthyAfter = 3

    package let definition: ServerDefinition
    package private(set) var phase = Phase.stopped
    /// Another is about to take its slug: nothing starts it any more.
    package private(set) var isRetired = false
    package private(set) var isInstalled: Bool
    package private(set) var restartCount = 0
    package private(set) var exit: ExitStatus?
    /// Why it failed, or waits.
    package private(set) var reason: String?
    package private(set) var port: Int?
    package private(set) var health: ServerHealth?
    private var run: Run = 0
    private var quickFailures = 0
    private var isStable = false
    private(set) var isDeclaredReady = false
    private var wasAnnounced = false

    package init(_ definition: ServerDefinition, isInstalled: Bool = false) {
        self.definition = definition
        self.isInstalled = isInstalled
    }

    /// - Returns: false when it is not settled, or retired already; then nothing has changed.
    package mutating func retire() -> Bool {
        guard isSettled, !isRetired else { return false }
        isRetired = true
        return true
    }

    /// The other one did not come.
    package mutating func reinstate() { isRetired = false }

    package mutating func step(_ fact: Fact) -> [Order] {
        guard !isRetired else { return [] }
        switch fact {
        case .startRequested: return startRequested()
        case .stopRequested(let next): return stopRequested(next)
        case .dependencies(let state): return dependencies(state)
        case .launched(let run): return launched(run)
        case .launchFailed(let run, let reason): return launchFailed(run, reason)
        case .exited(let run, let status): return exited(run, status)
        case .sessionEnded(let run): return sessionEnded(run)
        case .listening(let run, let port): return listening(run, port)
        case .declaredReady:
            guard case .running(_, .start) = phase else { return [] }
            isDeclaredReady = true
            return announceIfReady()
        case .probed(let run, let status): return probed(run, status)
        case .timerFired(let timer): return fired(timer)
        }
    }

    // MARK: - Requests

    private mutating func startRequested() -> [Order] {
        switch phase {
        case .stopped, .failed, .pausing: return begin()
        case .closing(let run, let step, next: .stop, let exit), .closing(let run, let step, next: .fail, let exit),
            .closing(let run, let step, next: .decide, let exit):
            phase = .closing(run, step, next: .restart, exit: exit)
            return []
        case .launching(let run, let step, next: .stop), .launching(let run, let step, next: .fail):
            phase = .launching(run, step, next: nil)
            return []
        case .waiting, .launching, .running, .closing, .deleted: return []
        }
    }

    private mutating func begin() -> [Order] {
        run += 1
        restartCount = 0
        quickFailures = 0
        exit = nil
        reason = nil
        clearRun()
        phase = .waiting
        return [.setTimer(.dependencyDeadline(run), Self.dependencyLimit), .checkDependencies]
    }

    private mutating func stopRequested(_ next: Next) -> [Order] {
        switch phase {
        case .stopped, .failed, .waiting, .pausing: return finish(next)
        case .launching(_, _, next: .delete), .closing(_, _, next: .delete, _), .deleted: return []
        case .launching(let run, let step, _):
            phase = .launching(run, step, next: next)
            return []
        case .running(let run, let step): return close(run, step, next)
        case .closing(let run, let step, _, let exit):
            phase = .closing(run, step, next: next, exit: exit)
            return []
        }
    }

    private mutating func close(_ run: Run, _ step: Step, _ next: Next) -> [Order] {
        phase = .closing(run, step, next: next, exit: nil)
        return [
            .signalGroup(run, kill: false), .setTimer(.kill(run), .milliseconds(definition.stopTimeoutMilliseconds)),
        ]
    }

    private mutating func dependencies(_ state: Dependencies) -> [Order] {
        guard case .waiting = phase else { return [] }
        switch state {
        case .met:
            reason = nil
            return launch(definition.install == nil || isInstalled ? .start : .install)
        case .pending: return []
        case .failed(let reason): return finish(.fail(reason))
        }
    }

    // MARK: - A run

    private mutating func launch(_ step: Step) -> [Order] {
        run += 1
        clearRun()
        phase = .launching(run, step, next: nil)
        return [.launch(run, step)]
    }

    private mutating func clearRun() {
        port = nil
        health = nil
        isStable = false
        isDeclaredReady = false
        wasAnnounced = false
    }

    private mutating func launched(_ run: Run) -> [Order] {
        guard case .launching(run, let step, let next) = phase else { return [] }
        if let next { return close(run, step, next) }
        phase = .running(run, step)
        guard step == .start else { return [] }
        var orders: [Order] = [.setTimer(.stable(run), Self.stableAfter)]
        if let check = definition.healthCheck {
            orders.append(.setTimer(.probe(run), .milliseconds(check.delayMilliseconds)))
        }
        return orders
    }

    private mutating func launchFailed(_ run: Run, _ reason: String) -> [Order] {
        guard case .launching(run, let step, let next) = phase else { return [] }
        if let next { return finish(next) }
        return step == .install ? finish(.fail(reason)) : decide(failure: reason)
    }

    private mutating func exited(_ run: Run, _ status: ExitStatus) -> [Order] {
        switch phase {
        case .running(run, let step):
            let next: Next =
                switch step {
                case .start: .decide
                case .install where status == .exited(0): .proceed
                case .install: .fail("install ended with \(status.shellCode)")
                }
            exit = status
            phase = .closing(run, step, next: next, exit: status)
            let orders: [Order] = [
                .awaitSession(run, signalFirst: true),
                .setTimer(.kill(run), .milliseconds(definition.stopTimeoutMilliseconds)),
            ]
            guard next == .proceed else { return orders }
            // Here and not in `finish`: it is done, also when a request now says that something else follows.
            isInstalled = true
            return [.recordInstalled] + orders
        case .closing(run, let step, let next, exit: nil):
            exit = status
            phase = .closing(run, step, next: next, exit: status)
            return [.awaitSession(run, signalFirst: false)]
        case .stopped, .failed, .waiting, .launching, .running, .closing, .pausing, .deleted: return []
        }
    }

    private mutating func sessionEnded(_ run: Run) -> [Order] {
        guard case .closing(run, _, let next, .some) = phase else { return [] }
        return finish(next)
    }

    /// Nothing runs any more.
    private mutating func finish(_ next: Next) -> [Order] {
        // Whether the run lasted is a reason for what comes next.
        let wasStable = isStable
        clearRun()
        switch next {
        case .stop:
            phase = .stopped
            reason = nil
            return []
        case .fail(let why):
            phase = .failed
            reason = why
            return [.announceFailure(why)]
        case .delete:
            phase = .deleted
            return [.forget]
        case .restart: return begin()
        case .proceed: return launch(.start)
        case .decide:
            return decide(
                failure: exit == .exited(0) ? nil : "ended with \(exit?.shellCode ?? 0)", wasStable: wasStable)
        }
    }

    /// - Parameter failure: nil: it ended as a program does that is done.
    private mutating func decide(failure: String?, wasStable: Bool = false) -> [Order] {
        let mayRestart =
            switch definition.restartPolicy {
            case .never: false
            case .onFailure: failure != nil
            case .always: true
            }
        guard mayRestart else {
            guard let failure else { return finish(.stop) }
            return finish(.fail(failure))
        }
        guard definition.maxRestarts == 0 || restartCount < definition.maxRestarts else {
            return finish(.fail("\(failure ?? "ended") after \(restartCount) restarts"))
        }
        quickFailures = wasStable ? 0 : quickFailures + 1
        restartCount += 1
        reason = failure
        phase = .pausing(run)
        return [.setTimer(.restart(run), delay)]
    }

    /// Twice as long after each run that did not last.
    private var delay: Duration {
        let asked = Duration.milliseconds(definition.restartDelayMilliseconds)
        return min(asked * (1 << min(max(quickFailures - 1, 0), 10)), max(Self.maxDelay, asked))
    }

    // MARK: - Of use

    private mutating func listening(_ run: Run, _ port: Int?) -> [Order] {
        guard case .running(run, .start) = phase else { return [] }
        self.port = port
        return announceIfReady()
    }

    private mutating func probed(_ run: Run, _ status: Int) -> [Order] {
        guard case .running(run, .start) = phase, let check = definition.healthCheck else { return [] }
        var health = health ?? ServerHealth()
        health.probed(status)
        self.health = health
        return announceIfReady() + [.setTimer(.probe(run), .milliseconds(check.intervalMilliseconds))]
    }

    private mutating func announceIfReady() -> [Order] {
        guard isReady, !wasAnnounced, let port else { return [] }
        wasAnnounced = true
        return [.announceReady(port: port)]
    }

    private mutating func fired(_ timer: Timer) -> [Order] {
        switch (timer, phase) {
        case (.dependencyDeadline(run), .waiting):
            return finish(.fail("what it depends on was not ready within \(Self.dependencyLimit.components.seconds) s"))
        case (.stable(run), .running(run, .start)):
            isStable = true
            return []
        case (.probe(run), .running(run, .start)):
            // Nobody to ask counts as no answer.
            guard let port else { return probed(run, 0) }
            return [.probe(run, port: port)]
        case (.kill(run), .closing(run, _, _, exit: nil)): return [.signalGroup(run, kill: true)]
        case (.kill(run), .closing(run, _, _, exit: .some)): return [.killSession(run)]
        case (.restart(run), .pausing(run)): return launch(.start)
        case (.dependencyDeadline, _), (.stable, _), (.probe, _), (.kill, _), (.restart, _): return []
        }
    }
}
