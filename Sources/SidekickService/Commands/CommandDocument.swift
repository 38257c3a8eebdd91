import ComputeCore

/// Commands as the API shows them.
enum CommandDocument {
    /// Of one that was run to its end and is not kept track of.
    static func data(_ result: CommandResult) -> [String: JSONValue] {
        var data: [String: JSONValue] = [
            "stdout": .string(result.stdout.text),
            "stderr": .string(result.stderr.text), "exit_code": .int(Int64(result.exitCode)),
            "duration_ms": .int(result.duration.wholeMilliseconds),
        ]
        data["reason"] = result.exhausted.map { .string(CommandEnd.Cause($0).rawValue) }
        if result.timedOut { data["timed_out"] = .bool(true) }
        if result.stdout.isTruncated { data["stdout_truncated"] = .bool(true) }
        if result.stderr.isTruncated { data["stderr_truncated"] = .bool(true) }
        return data
    }

    /// As in lists: without the output.
    static func summary(_ entry: CommandTable.Entry) -> [String: JSONValue] {
        var data: [String: JSONValue] = [
            "terminal_id": .string(entry.terminal.rawValue), "cmd_id": .string(entry.id.rawValue),
            "command": .string(entry.command), "channel": .string(entry.id.channel),
        ]
        data["started_at"] = entry.startedAt.map { .string($0.rfc3339) }
        switch entry.state {
        case .pending: data["status"] = .string("pending")
        case .starting, .running, .leaving: data["status"] = .string("running")
        case .ended(let end):
            data["status"] = .string(end.exitCode == 0 ? "completed" : "failed")
            data["exit_code"] = end.exitCode.map { .int(Int64($0)) }
            data["finished_at"] = .string(end.at.rfc3339)
            data["duration_ms"] = .int(end.duration.wholeMilliseconds)
            switch end.cause {
            case .exited: break
            case .timedOut: data["timed_out"] = .bool(true)
            case .outOfMemory, .tooManyProcesses, .notStarted, .expired: data["reason"] = .string(end.cause.rawValue)
            }
        }
        return data
    }

    /// With what is kept of its output.
    /// - Throws: a 404 when it has been forgotten meanwhile.
    static func detail(
        _ entry: CommandTable.Entry, _ registry: CommandRegistry
    ) throws(Problem) -> [String: JSONValue] {
        var data = summary(entry)
        for (stream, name) in ["stdout", "stderr"].enumerated() {
            let text = try registry.output(of: entry.id, stream: stream).text
            data[name] = .string(text.text)
            if text.dropped > 0 { data["\(name)_truncated"] = .bool(true) }
        }
        return data
    }

    /// The answer to one that only begins: whatever has become of it meanwhile, its caller asks for that next.
    static func begun(
        _ id: CommandID, in terminal: TerminalID, _ command: String, isPending: Bool
    ) -> [String: JSONValue] {
        [
            "terminal_id": .string(terminal.rawValue), "cmd_id": .string(id.rawValue), "command": .string(command),
            "channel": .string(id.channel), "status": .string(isPending ? "pending" : "running"),
            "stdout": .string(""), "stderr": .string(""), "pty": .bool(false),
        ]
    }

    /// Both outputs, one behind the other.
    static func joined(_ data: [String: JSONValue]) -> JSONValue {
        guard case .string(let stdout)? = data["stdout"], case .string(let stderr)? = data["stderr"] else {
            return .string("")
        }
        return .string(stdout + stderr)
    }

    static func envelope(_ message: String, _ data: [String: JSONValue]) -> JSONValue {
        .object(["status": .string("success"), "message": .string(message), "data": .object(data)])
    }
}
