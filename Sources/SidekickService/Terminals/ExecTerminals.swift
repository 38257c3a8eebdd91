package import ComputeCore
import FoundationEssentials
import NIOHTTP1

/// Exec terminals and their commands (contract §1.6). Terminals of both kinds share their paths, so the handler of the
/// others calls `create`, `list`, `get` and `delete` here.
package struct ExecTerminals: Sendable {
    /// A client that asks for less waits itself no longer, and is told by a status of its own that the time is over. Who
    /// asks for more gets headers early.
    private static let longestSilence = 30.0
    /// What a proxy in front lets a request last.
    private static let longestWait = 3600.0

    private let registry: CommandRegistry
    /// Whether an id is that of a terminal with a shell of its own, which runs no single commands.
    private let isInteractive: @Sendable (TerminalID) -> Bool

    package init(registry: CommandRegistry, isInteractive: @escaping @Sendable (TerminalID) -> Bool) {
        self.registry = registry
        self.isInteractive = isInteractive
    }

    // MARK: - For the paths that both kinds share

    /// `POST /terminals` without `pty`.
    /// - Returns: the answer's `data`.
    package func create(_ fields: FieldReader, in compute: ComputeContext) async throws -> [String: JSONValue] {
        var terminal = ExecTerminal(id: .random())
        terminal.shell = try CommandRequest.text("shell", of: fields)
        terminal.directory = try CommandRequest.text("cwd", of: fields)
        terminal.env = try TerminalRequest.env(fields)
        terminal.encoding = try .named(fields.string("encoding"))
        try await registry.createTerminal(terminal, in: compute)
        return Self.document(terminal)
    }

    package func list() -> [JSONValue] { registry.terminals.map { .object(Self.document($0)) } }

    /// - Returns: nil: there is none.
    package func get(_ id: TerminalID) -> [String: JSONValue]? { registry.terminal(id).map(Self.document) }

    /// - Returns: false: there is none.
    package func delete(_ id: TerminalID) -> Bool { registry.deleteTerminal(id) }

    private static func document(_ terminal: ExecTerminal) -> [String: JSONValue] {
        [
            "id": .string(terminal.id.rawValue), "pty": .bool(false), "status": .string("ready"),
            "ws_url": .string("/ws"), "encoding": .string(terminal.encoding.rawValue),
        ]
    }

    // MARK: - Its own paths

    package var routes: [SidekickRoute] {
        [
            SidekickRoute(.POST, "/terminals/{id}/execute") { request in try await execute(request) },
            SidekickRoute(.GET, "/terminals/{id}/commands") { request in try list(request) },
            SidekickRoute(.GET, "/terminals/{id}/commands/{cmd}") { request in try get(request) },
            SidekickRoute(.DELETE, "/terminals/{id}/commands/{cmd}") { request in try delete(request) },
            SidekickRoute(.GET, "/terminals/{id}/commands/{cmd}/wait") { request in try await wait(request) },
            SidekickRoute(.GET, "/terminals/{id}/commands/{cmd}/output") { request in try output(request) },
            SidekickRoute(.POST, "/terminals/{id}/commands/{cmd}/stdin") { request in try await input(request) },
            SidekickRoute(.POST, "/terminals/{id}/commands/{cmd}/signal") { request in try await signal(request) },
        ]
    }

    private func execute(_ request: SidekickRequest) async throws -> SidekickAnswer {
        // First, also for who is refused: an answer before the end of a body costs the connection.
        let fields = try await request.fields()
        let id = try terminal(request)
        guard let terminal = registry.terminal(id) else { throw CommandRegistry.unknown(id) }
        var command = try CommandRequest(fields)
        command.shell = command.shell ?? terminal.shell
        command.directory = Self.directory(command.directory, in: terminal.directory)
        command.env = terminal.env.merging(command.env) { _, call in call }
        switch try CommandMode(fields) {
        case .foreground:
            return try await KeptAliveAnswer().answer(request.exchange, requestID: request.requestID) { [command] in
                let command = try await registry.begin(command, in: request.compute, .existing(id), isAwaited: true)
                defer { registry.waitEnded(command) }
                try await registry.waitForEnd(of: command, in: id)
                var data = try CommandDocument.detail(try registry.command(command, in: id), registry)
                data["output"] = CommandDocument.joined(data)
                return CommandDocument.envelope("the command has ended", data)
            }
        case .background: return try await begin(command, request, in: id, isPending: false)
        case .whenStarted: return try await begin(command, request, in: id, isPending: true)
        }
    }

    private func begin(
        _ command: CommandRequest, _ request: SidekickRequest, in terminal: TerminalID, isPending: Bool
    ) async throws -> SidekickAnswer {
        let id = try await registry.begin(command, in: request.compute, .existing(terminal), isPending: isPending)
        var data = CommandDocument.begun(id, in: terminal, command.command, isPending: isPending)
        data["output"] = .string("")
        return .success(isPending ? "the command waits for command:start" : "the command runs", data: data)
    }

    /// Relative to the terminal's own, if it has one.
    private static func directory(_ path: String?, in base: String?) -> String? {
        guard let base, let path else { return path ?? base }
        return path.hasPrefix("/") ? path : "\(base)/\(path)"
    }

    private func list(_ request: SidekickRequest) throws(Problem) -> SidekickAnswer {
        let commands = try registry.commands(in: terminal(request)).map {
            JSONValue.object(CommandDocument.summary($0))
        }
        return .success("commands", data: ["count": .int(Int64(commands.count)), "commands": .array(commands)])
    }

    private func get(_ request: SidekickRequest) throws(Problem) -> SidekickAnswer {
        let (terminal, id) = try command(request)
        return .success("command", data: try CommandDocument.detail(registry.command(id, in: terminal), registry))
    }

    private func delete(_ request: SidekickRequest) throws(Problem) -> SidekickAnswer {
        let (terminal, id) = try command(request)
        try registry.remove(id, in: terminal)
        return .noContent
    }

    /// The long poll. Without a limit, or with a long one, headers go out early and the time's end is a `running` in the
    /// body; with a short one it is a status.
    private func wait(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let (terminal, id) = try command(request)
        let seconds = try Self.seconds(QueryReader(request.query).string("timeout"))
        let limit = Duration.seconds(seconds > 0 ? min(seconds, Self.longestWait) : Self.longestWait)
        _ = try registry.command(id, in: terminal)
        registry.waitBegan(id)
        defer { registry.waitEnded(id) }
        guard seconds == 0 || seconds >= Self.longestSilence else {
            guard try await registry.wait(for: id, in: terminal, atMost: limit) else {
                throw Problem(
                    status: 408, code: .requestTimeout, message: "the command has not ended yet", field: "timeout")
            }
            return try get(request)
        }
        return try await KeptAliveAnswer().answer(request.exchange, requestID: request.requestID) {
            _ = try await registry.wait(for: id, in: terminal, atMost: limit)
            return CommandDocument.envelope(
                "command", try CommandDocument.detail(registry.command(id, in: terminal), registry))
        }
    }

    private static func seconds(_ text: String?) throws(Problem) -> Double {
        guard let text, !text.isEmpty else { return 0 }
        guard let seconds = Double(text), (0...1e9).contains(seconds) else {
            throw .invalid("timeout", "timeout must be a number of seconds")
        }
        return seconds
    }

    private func output(_ request: SidekickRequest) throws(Problem) -> SidekickAnswer {
        let (terminal, id) = try command(request)
        let entry = try registry.command(id, in: terminal)
        let query = QueryReader(request.query)
        let name = try query.string("stream") ?? "stdout"
        guard let stream = ["stdout", "stderr"].firstIndex(of: name) else {
            throw .invalid("stream", "stream must be stdout or stderr")
        }
        let (text, isLast) = try registry.output(
            of: id, stream: stream, since: try query.integer("since", in: 0...Int.max) ?? 0,
            upTo: try query.integer("limit", in: 4...Int.max) ?? .max, try .named(query.string("encoding")))
        var data = text.fields
        data["stream"] = .string(name)
        // Nothing will follow what this answer has.
        data["is_last"] = .bool(isLast && entry.hasEnded)
        return .success("command output", data: data)
    }

    private func input(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let (terminal, id) = try command(request)
        let isLast = try fields.bool("eof") ?? false
        let text = isLast ? try fields.string("input") ?? "" : try fields.requiredString("input")
        let bytes: [UInt8]
        switch try OutputEncoding.named(fields.string("encoding")) {
        case .raw: bytes = Array(text.utf8)
        case .base64:
            guard let data = Data(base64Encoded: text) else {
                throw Problem.invalid("input", "input is not valid base64")
            }
            bytes = Array(data)
        }
        guard bytes.count <= StartedCommand.maxPendingInput else {
            throw Problem.invalid("input", "input may have \(StartedCommand.maxPendingInput) bytes at once")
        }
        func refuse(_ message: String) -> Problem {
            Problem(status: 409, code: .conflict, message: message, field: "input")
        }
        switch try registry.write(bytes, isLast: isLast, to: id, in: terminal) {
        case .taken: return .success("input taken", data: ["bytes": .int(Int64(bytes.count)), "eof": .bool(isLast)])
        case .full: throw refuse("input dropped: the command does not read its input")
        case .closed: throw refuse("input dropped: the command has ended or closed its input")
        case .notStarted: throw refuse("the command has not started")
        case .noInput: throw refuse("the command takes no input: start it with stdin: true")
        }
    }

    private func signal(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let (terminal, id) = try command(request)
        let number = try SignalNumber(fields)
        guard try registry.signal(number.rawValue, to: id, in: terminal) else {
            throw Problem(status: 409, code: .conflict, message: "the command does not run", field: "signal")
        }
        return .success("signal sent", data: ["signal": .int(Int64(number.rawValue))])
    }

    // MARK: - Who is meant

    /// Ids hold nothing that needs percent-encoding, so an encoded one is simply unknown.
    private func terminal(_ request: SidekickRequest) throws(Problem) -> TerminalID {
        let id = TerminalID(request.parameters[0])
        guard !isInteractive(id) else {
            throw Problem(
                status: 400, code: .invalidRequest,
                message: "terminal \(id) is a pty: type into it over /ws, or create one without pty for commands")
        }
        return id
    }

    private func command(_ request: SidekickRequest) throws(Problem) -> (TerminalID, CommandID) {
        (try terminal(request), CommandID(request.parameters[1]))
    }
}
