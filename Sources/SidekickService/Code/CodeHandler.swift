import ComputeCore
import NIOHTTP1

/// `POST /run/code` (contract §1.5).
package struct CodeHandler: Sendable {
    private let service: CodeService

    package init(service: CodeService) { self.service = service }

    package var routes: [SidekickRoute] {
        [SidekickRoute(.POST, "/run/code") { request in try await run(request) }]
    }

    private func run(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let code = try CodeRequest(try await request.fields())
        let output = service.output()
        defer { output.release() }
        return try await KeptAliveAnswer().answer(request.exchange, requestID: request.requestID) {
            var data = CommandDocument.data(try await service.run(code, in: request.compute, into: output))
            data["output"] = CommandDocument.joined(data)
            data["language"] = .string(code.language.rawValue)
            if code.isDetected { data["language_detected"] = .bool(true) }
            return CommandDocument.envelope("the code has ended", data)
        }
    }
}
