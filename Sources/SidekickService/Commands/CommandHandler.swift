import ComputeCore
import NIOHTTP1

/// `POST /run/command`, `POST /execute`, and what starts a streamed one on `/ws` (contract §1.5, §2.6).
package struct CommandHandler: Sendable {
    private let service: CommandService
    private let registry: CommandRegistry

    package init(service: CommandService, registry: CommandRegistry) {
        self.service = service
        self.registry = registry
    }

    package var routes: [SidekickRoute] {
        [
            SidekickRoute(.POST, "/run/command") { request in try await run(request, withOutput: false) },
            SidekickRoute(.POST, "/execute") { request in try await run(request, withOutput: true) },
            SidekickRoute(.GET, "/commands") { _ in list() },
        ]
    }

    package var messages: [SocketRoute] {
        [
            SocketRoute("command:start") { message, sender in
                await registry.start(CommandID(try message.name("cmd_id")), for: sender.connection)
            }
        ]
    }

    /// - Parameter withOutput: the older route also answers both outputs in one.
    private func run(_ request: SidekickRequest, withOutput: Bool) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let command = try CommandRequest(fields)
        switch try CommandMode(fields) {
        case .foreground:
            guard command.input != .open else {
                throw Problem.invalid(
                    "stdin", "stdin: true needs background or stream: input is sent to a command by its id")
            }
            let output = service.output()
            defer { output.release() }
            return try await KeptAliveAnswer().answer(request.exchange, requestID: request.requestID) {
                var data = CommandDocument.data(try await service.run(command, in: request.compute, into: output))
                data["command"] = .string(command.command)
                if withOutput { data["output"] = CommandDocument.joined(data) }
                return CommandDocument.envelope("the command has ended", data)
            }
        case .background:
            return try await begin(command, request, isPending: false, withOutput)
        case .whenStarted:
            return try await begin(command, request, isPending: true, withOutput)
        }
    }

    private func begin(
        _ command: CommandRequest, _ request: SidekickRequest, isPending: Bool, _ withOutput: Bool
    ) async throws -> SidekickAnswer {
        let terminal = TerminalID.random()
        let id = try await registry.begin(
            command, in: request.compute, .single(terminal), isPending: isPending)
        var data = CommandDocument.begun(id, in: terminal, command.command, isPending: isPending)
        if withOutput { data["output"] = .string("") }
        return .success(isPending ? "the command waits for command:start" : "the command runs", data: data)
    }

    /// What is kept track of, in whatever terminal.
    private func list() -> SidekickAnswer {
        let commands = registry.commands.map { JSONValue.object(CommandDocument.summary($0)) }
        return .success("commands", data: ["count": .int(Int64(commands.count)), "commands": .array(commands)])
    }
}
