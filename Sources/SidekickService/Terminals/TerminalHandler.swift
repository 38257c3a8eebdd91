package import ComputeCore
import NIOHTTP1

/// `/terminals` (contract §1.6).
package struct TerminalHandler: Sendable {
    private let service: TerminalService

    package init(service: TerminalService) { self.service = service }

    package var routes: [SidekickRoute] {
        [
            SidekickRoute(.POST, "/terminals") { request in try await create(request) },
            SidekickRoute(.GET, "/terminals") { _ in list() },
            SidekickRoute(.GET, "/terminals/{id}") { request in try get(request) },
            SidekickRoute(.DELETE, "/terminals/{id}") { request in try delete(request) },
            SidekickRoute(.GET, "/ws") { request in try await TerminalSocket(service: service).serve(request) },
        ]
    }

    private func create(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let order = try TerminalRequest(try await request.fields())
        let info = try await service.create(shell: order.shell, encoding: order.encoding, in: request.compute)
        return .success("terminal created", status: 201, data: Self.document(info))
    }

    private func list() -> SidekickAnswer {
        .success("terminals", data: ["terminals": .array(service.list().map { .object(Self.document($0)) })])
    }

    private func get(_ request: SidekickRequest) throws(Problem) -> SidekickAnswer {
        .success("terminal", data: Self.document(try service.get(Self.id(request))))
    }

    private func delete(_ request: SidekickRequest) throws(Problem) -> SidekickAnswer {
        try service.delete(Self.id(request))
        return .noContent
    }

    /// The last segment. Ids hold nothing that needs percent-encoding, so an encoded one is simply unknown.
    private static func id(_ request: SidekickRequest) -> TerminalID {
        TerminalID(String(request.path.split(separator: "/").last ?? ""))
    }

    private static func document(_ info: TerminalInfo) -> [String: JSONValue] {
        [
            "id": .string(info.id.rawValue), "pty": .bool(true), "status": .string("running"),
            "channel": .string(info.id.channel), "ws_url": .string("/ws"),
            "encoding": .string(info.encoding.rawValue),
        ]
    }
}

/// The body of `POST /terminals`.
package struct TerminalRequest: Hashable, Sendable {
    package var shell: String?
    package var encoding: TerminalEncoding

    package init(_ fields: FieldReader) throws(Problem) {
        guard try fields.bool("pty") == true else {
            throw Problem(
                status: 400, code: .unsupportedField,
                message: "only pty: true is supported yet; run single commands with POST /run/command", field: "pty")
        }
        shell = try fields.string("shell")
        if let shell, shell.isEmpty || shell.utf8.contains(0) {
            throw .invalid("shell", "shell must not be empty or contain NUL")
        }
        guard let encoding = TerminalEncoding(rawValue: try fields.string("encoding") ?? "raw") else {
            throw .invalid("encoding", "encoding must be raw or base64")
        }
        self.encoding = encoding
    }
}
