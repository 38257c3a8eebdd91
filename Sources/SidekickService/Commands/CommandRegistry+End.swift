package import ComputeCore
import LinuxSystem
import Synchronization

/// How commands end, and what is kept of them then.
extension CommandRegistry {
    /// As a shell says it that may not execute a program.
    private static let notRunCode = 126

    func expire(_ id: CommandID) {
        let now = clock.now()
        let expiry = state.withLock { $0.table.expiryDue(id, at: now) }
        guard expiry.isExpired else { return }
        broker.publish(.error("the command was not started in time", channel: id.channel))
        endOutput(of: id, exitCode: Self.notRunCode, .expired)
        settleEnd(id, isGone: false, dropped: expiry.dropped)
    }

    func finish(_ id: CommandID, exitCode: Int, _ cause: CommandEnd.Cause, after duration: Duration) {
        let end = CommandEnd(exitCode: exitCode, cause: cause, at: clock.now(), duration: duration)
        let footprint = broker.footprint(of: id.channel)
        endOutput(of: id, exitCode: exitCode, cause, after: duration)
        let (isGone, dropped) = state.withLock { state in
            let dropped = state.table.ended(id, end, footprint: footprint)
            return (state.table.command(id) == nil && !dropped.contains(id), dropped)
        }
        settleEnd(id, isGone: isGone, dropped: dropped)
    }

    /// Whoever watches waits for the exit, also of what never ran.
    private func endOutput(
        of id: CommandID, exitCode: Int, _ cause: CommandEnd.Cause, after duration: Duration = .zero
    ) {
        let terminal = state.withLock { $0.handles[id]?.terminal }
        var fields: [String: JSONValue] = [
            "cmd_id": .string(id.rawValue), "exit_code": .int(Int64(exitCode)),
            "duration_ms": .int(duration.wholeMilliseconds),
        ]
        if let terminal { fields["terminal_id"] = .string(terminal.rawValue) }
        if cause != .exited { fields["reason"] = .string(cause.rawValue) }
        broker.end(id.channel, SocketEvent("command:exit", channel: id.channel, fields))
    }

    /// - Parameter isGone: it was removed before its end.
    private func settleEnd(_ id: CommandID, isGone: Bool, dropped: [CommandID]) {
        let gate = state.withLock { state in
            defer { if isGone { state.handles[id] = nil } }
            state.handles[id]?.child = nil
            state.handles[id]?.input = nil
            state.handles[id]?.request = nil
            return state.handles[id]?.gate
        }
        gate?.open()
        forget(dropped)
        if isGone { broker.linger(id.channel, forReadersOnly: true) }
    }

    /// Those that the table has dropped.
    func forget(_ dropped: [CommandID]) {
        for id in dropped {
            state.withLock { $0.handles.removeValue(forKey: id) }?.gate.open()
            broker.linger(id.channel, forReadersOnly: true)
        }
    }

    /// Ends it, if it runs, and forgets it.
    package func remove(_ id: CommandID, in terminal: TerminalID) throws(Problem) {
        _ = try command(id, in: terminal)
        perform(state.withLock { $0.table.removed(id) }, id)
    }

    func perform(_ removal: CommandTable.Removal, _ id: CommandID) {
        switch removal {
        case .endProcess:
            let handle = state.withLock { $0.handles[id] }
            // Whoever waits learns that it is gone; a process that is being made is ended once it is there.
            handle?.gate.open()
            if let child = handle?.child { CommandDeadline.end(child) }
        case .forget:
            // One that has ended has told so.
            endOutput(of: id, exitCode: Self.notRunCode, .notStarted)
            forget([id])
        case .unknown: break
        }
    }
}
