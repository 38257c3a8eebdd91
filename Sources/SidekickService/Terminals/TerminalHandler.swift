import ComputeCore
import FoundationEssentials
import LinuxSystem
import NIOHTTP1

/// `/terminals` with `pty: true`, and what is said about them on `/ws` (contract §1.6, §2.4).
package struct TerminalHandler: Sendable {
    private let service: TerminalService
    private let broker: EventBroker
    private let exec: ExecTerminals

    package init(service: TerminalService, broker: EventBroker, exec: ExecTerminals) {
        self.service = service
        self.broker = broker
        self.exec = exec
    }

    package var routes: [SidekickRoute] {
        [
            SidekickRoute(.POST, "/terminals") { request in try await create(request) },
            SidekickRoute(.GET, "/terminals") { _ in list() },
            SidekickRoute(.GET, "/terminals/{id}") { request in try get(request) },
            SidekickRoute(.DELETE, "/terminals/{id}") { request in try delete(request) },
            SidekickRoute(.GET, "/terminals/{id}/output") { request in try output(request) },
            SidekickRoute(.POST, "/terminals/{id}/input") { request in try await input(request) },
            SidekickRoute(.POST, "/terminals/{id}/resize") { request in try await resize(request) },
        ]
    }

    package var messages: [SocketRoute] {
        [
            SocketRoute("terminal:input") { message, sender in
                try act(message, sender) { id throws(Problem) in try write(message.data, to: id) }
            },
            SocketRoute("terminal:resize") { message, sender in
                try act(message, sender) { id throws(Problem) in
                    guard let size = try TerminalSize(message.data) else {
                        throw .invalid("data.cols", "data.cols and data.rows are required")
                    }
                    try service.resize(id, to: size)
                }
            },
        ]
    }

    // MARK: Routes

    private func create(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        guard try fields.bool("pty") == true else {
            return .success("terminal created", status: 201, data: try await exec.create(fields, in: request.compute))
        }
        let order = try TerminalRequest(fields)
        let info = try await service.create(order, in: request.compute)
        return .success("terminal created", status: 201, data: Self.document(info))
    }

    private func list() -> SidekickAnswer {
        .success(
            "terminals", data: ["terminals": .array(service.list().map { .object(Self.document($0)) } + exec.list())])
    }

    private func get(_ request: SidekickRequest) throws(Problem) -> SidekickAnswer {
        if let data = exec.get(Self.id(request)) { return .success("terminal", data: data) }
        return .success("terminal", data: Self.document(try service.get(Self.id(request))))
    }

    private func delete(_ request: SidekickRequest) throws(Problem) -> SidekickAnswer {
        if !exec.delete(Self.id(request)) { try service.delete(Self.id(request)) }
        return .noContent
    }

    /// What is kept from a byte offset on, for who reads without a WebSocket or comes back to one.
    private func output(_ request: SidekickRequest) throws(Problem) -> SidekickAnswer {
        let query = QueryReader(request.query)
        let text = try service.output(
            Self.id(request), since: query.integer("since", in: 0...Int.max) ?? 0,
            upTo: query.integer("limit", in: 4...(1 << 20)) ?? service.keptBytes,
            OutputEncoding.named(query.string("encoding")))
        return .success("terminal output", data: text.fields)
    }

    private func input(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        try refuseWhileTakenOver(Self.id(request))
        try write(fields, to: Self.id(request))
        return .success("input taken", data: [:])
    }

    /// Whoever has taken it over types alone, whichever way the others come. Asked when all of a body is there: who is
    /// refused before that finds his connection closed while he still sends.
    private func refuseWhileTakenOver(_ id: TerminalID) throws(Problem) {
        guard !broker.isTakenOver(id.channel) else { throw Self.takenOver }
    }

    private static let takenOver = Problem(
        status: 409, code: .conflict, message: "another connection has this terminal; subscribe")

    private func resize(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        try refuseWhileTakenOver(Self.id(request))
        guard let size = try TerminalSize(fields) else {
            throw Problem.invalid("cols", "cols and rows are required")
        }
        try service.resize(Self.id(request), to: size)
        return .success("terminal resized", data: ["cols": .int(Int64(size.columns)), "rows": .int(Int64(size.rows))])
    }

    /// Ids hold nothing that needs percent-encoding, so an encoded one is simply unknown.
    private static func id(_ request: SidekickRequest) -> TerminalID { TerminalID(request.parameters[0]) }

    // MARK: Shared by both ways

    private func write(_ fields: FieldReader, to id: TerminalID) throws(Problem) {
        let text = try fields.requiredString("input")
        let bytes: [UInt8]
        switch try OutputEncoding.named(fields.string("encoding")) {
        case .raw: bytes = Array(text.utf8)
        case .base64:
            guard let data = Data(base64Encoded: text) else {
                throw .invalid(fields.path("input"), "\(fields.path("input")) is not valid base64")
            }
            bytes = Array(data)
        }
        guard try service.write(bytes, to: id) else {
            throw Problem(
                status: 409, code: .conflict, message: "input dropped: the program does not read its input",
                field: fields.path("input"))
        }
    }

    /// What goes wrong with a terminal is told on its channel.
    private func act(
        _ message: SocketMessage, _ sender: SocketSender, _ body: (TerminalID) throws(Problem) -> Void
    ) throws(Problem) {
        let id = TerminalID(try message.name("terminal_id"))
        do throws(Problem) {
            guard broker.mayAct(sender.connection, on: id.channel) else { throw Self.takenOver }
            try body(id)
        } catch {
            broker.publish(
                SocketEvent("terminal:error", channel: id.channel, ["error": .string(error.message)]),
                to: .connection(sender.connection))
        }
    }

    private static func document(_ info: TerminalInfo) -> [String: JSONValue] {
        [
            "id": .string(info.id.rawValue), "pty": .bool(true), "status": .string("running"),
            "channel": .string(info.id.channel), "ws_url": .string("/ws"),
            "encoding": .string(info.encoding.rawValue),
        ]
    }
}
