import ComputeCore
import NIOHTTP1

/// `/servers` (contract §1.10).
struct ServerHandler: Sendable {
    let service: ServerService

    var routes: [SidekickRoute] {
        [
            SidekickRoute(.POST, "/servers") { request in try await create(request) },
            SidekickRoute(.GET, "/servers") { _ in
                .success("servers", data: ["servers": .array(service.list().map { .object($0.fields) })])
            },
            SidekickRoute(.GET, "/servers/{slug}") { request in
                .success("server", data: Self.document(try service.get(request.parameters[0])))
            },
            SidekickRoute(.DELETE, "/servers/{slug}") { request in
                try await late(request) { slug in
                    try await service.delete(slug)
                    return ("server deleted", ["slug": .string(slug)])
                }
            },
            SidekickRoute(.POST, "/servers/{slug}/stop") { request in
                try await late(request) { slug in
                    try await service.stop(slug)
                    return ("server stopped", ["slug": .string(slug)])
                }
            },
            SidekickRoute(.POST, "/servers/{slug}/restart") { request in
                try await late(request) { slug in ("server restarted", Self.document(try await service.restart(slug))) }
            },
            SidekickRoute(.GET, "/servers/{slug}/logs") { request in try logs(request) },
            SidekickRoute(.PATCH, "/servers/{slug}/status") { request in try await declare(request) },
        ]
    }

    private func create(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let order = try ServerOrder(fields, directory: request.compute.directory)
        let record = try await service.create(order, in: request.compute)
        return .success("server created", status: 201, data: Self.document(record))
    }

    private func logs(_ request: SidekickRequest) throws(Problem) -> SidekickAnswer {
        let query = QueryReader(request.query)
        let name = try query.string("stream") ?? "combined"
        guard let stream = ServerLog.Stream(rawValue: name.isEmpty ? "combined" : name) else {
            throw .invalid("stream", "stream must be stdout, stderr or combined")
        }
        let slug = request.parameters[0]
        let text = try service.log(
            slug, stream, since: query.integer("since", in: 0...Int.max), tail: query.integer("tail", in: 0...1_000_000)
        )
        var data = text.fields
        data["output"] = nil
        data["encoding"] = nil
        data["slug"] = .string(slug)
        data["stream"] = .string(stream.rawValue)
        data["logs"] = .string(text.text)
        return .success("server logs", data: data)
    }

    private func declare(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let text = try await request.fields().requiredString("status")
        guard let status = ServerMachine.Status(rawValue: text) else {
            let names = ServerMachine.Status.allCases.map(\.rawValue).joined(separator: ", ")
            throw Problem.invalid("status", "status must be one of \(names)")
        }
        return try await late(request) { slug in
            let record = try await service.declare(status, slug)
            return ("server status", ["slug": .string(slug), "status": .string(record.machine.status.rawValue)])
        }
    }

    /// A server may take its time to stop.
    private func late(
        _ request: SidekickRequest,
        _ work: @escaping @Sendable (String) async throws -> (String, [String: JSONValue])
    ) async throws -> SidekickAnswer {
        try await KeptAliveAnswer().answer(request.exchange, requestID: request.requestID) {
            let (message, data) = try await work(request.parameters[0])
            return .object(["status": .string("success"), "message": .string(message), "data": .object(data)])
        }
    }

    /// One client reads `server`, another the fields themselves.
    private static func document(_ record: ServerRecord) -> [String: JSONValue] {
        let fields = record.fields
        return fields.merging(["server": .object(fields)]) { own, _ in own }
    }
}
