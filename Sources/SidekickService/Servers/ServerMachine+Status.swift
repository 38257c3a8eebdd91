// How the state of a server is shown, and what it means for others.

extension ServerMachine {
    package enum Status: String, CaseIterable, Sendable {
        case installing, starting, running, ready, failed, stopped, restarting
    }

    package var status: Status {
        switch phase {
        case .stopped, .deleted: .stopped
        case .failed: .failed
        case .waiting: .starting
        case .launching(_, .install, _), .running(_, .install): .installing
        case .launching(_, .start, _): restartCount > 0 ? .restarting : .starting
        case .running(_, .start): isReady ? .ready : .running
        case .closing(_, _, next: .restart, _), .pausing: .restarting
        case .closing(_, .install, _, _): .installing
        case .closing(_, .start, _, _): .running
        }
    }

    /// It listens, and answers well if it was to be asked.
    package var isReady: Bool {
        guard case .running(_, .start) = phase else { return false }
        if isDeclaredReady { return true }
        return port != nil && (definition.healthCheck == nil || health?.isHealthy == true)
    }

    /// Who depends on it may go on.
    package var isUp: Bool {
        guard case .running(_, .start) = phase else { return false }
        return isReady || !definition.showsReadiness
    }

    /// For `/ready`.
    package var hasPort: Bool { port != nil || isDeclaredReady && isReady }

    /// Nothing runs and nothing will by itself.
    package var isSettled: Bool {
        switch phase {
        case .stopped, .failed, .deleted: true
        case .waiting, .launching, .running, .closing, .pausing: false
        }
    }

    /// It may hold processes or ports, now or soon.
    package var currentRun: (run: Run, step: Step)? {
        switch phase {
        case .launching(let run, let step, _), .running(let run, let step), .closing(let run, let step, _, _):
            (run, step)
        case .stopped, .failed, .waiting, .pausing, .deleted: nil
        }
    }
}
