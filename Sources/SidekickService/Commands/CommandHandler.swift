import ComputeCore
import NIOHTTP1

/// `POST /run/command`
package struct CommandHandler: Sendable {
    private let service: CommandService

    package init(service: CommandService) { self.service = service }

    package var routes: [SidekickRoute] {
        [SidekickRoute(.POST, "/run/command") { request in try await run(request) }]
    }

    package func run(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let command = try CommandRequest(try await request.fields())
        return try await KeptAliveAnswer().answer(request.exchange, requestID: request.requestID) {
            Self.document(command, try await service.run(command, in: request.compute))
        }
    }

    static func document(_ request: CommandRequest, _ result: CommandResult) -> JSONValue {
        var data: [String: JSONValue] = [
            "command": .string(request.command), "stdout": .string(result.stdout.text),
            "stderr": .string(result.stderr.text), "exit_code": .int(Int64(result.exitCode)),
            "duration_ms": .int(result.duration.wholeMilliseconds),
        ]
        if result.ranOutOfMemory { data["reason"] = .string("out_of_memory") }
        if result.stdout.isTruncated { data["stdout_truncated"] = .bool(true) }
        if result.stderr.isTruncated { data["stderr_truncated"] = .bool(true) }
        return .object([
            "status": .string("success"), "message": .string("the command has ended"), "data": .object(data),
        ])
    }
}
