import ComputeCore
import NIOHTTP1

/// `/signals` (contract §1.9).
struct SignalHandler: Sendable {
    private static let maxTextBytes = 4096

    let service: SignalService

    var routes: [SidekickRoute] {
        [
            SidekickRoute(.POST, "/signals/start") { request in
                service.start(in: request.compute)
                return status("signals started")
            },
            SidekickRoute(.POST, "/signals/stop") { _ in
                service.stop()
                return status("signals stopped")
            },
            SidekickRoute(.GET, "/signals/status") { _ in status("signal service") },
            SidekickRoute(.POST, "/signals/port") { request in
                let fields = try await request.fields()
                guard let port = try fields.integer("port", in: 1...65535) else {
                    throw Problem.invalid("port", "port is required")
                }
                return emit(
                    Int(port), try Self.change(fields.requiredString("type")), url: try Self.text(fields, "url"),
                    request)
            },
            SidekickRoute(.POST, "/signals/port/{port}/{type}") { request in
                guard let port = Int(request.parameters[0]), (1...65535).contains(port) else {
                    throw Problem.invalid("port", "port must be a whole number from 1 to 65535")
                }
                return emit(port, try Self.change(request.parameters[1]), url: nil, request)
            },
            SidekickRoute(.POST, "/signals/server-ready") { request in try await serverReady(request) },
            SidekickRoute(.POST, "/signals/error") { request in
                let fields = try await request.fields()
                guard let message = try Self.text(fields, "message") else {
                    throw Problem.invalid("message", "message is required")
                }
                service.emitError(message)
                return .success("error signal", data: ["message": .string(message)])
            },
        ]
    }

    private func status(_ message: String) -> SidekickAnswer {
        .success(
            message,
            data: [
                "status": .string(service.isActive ? "active" : "stopped"),
                "channel": .string(SignalService.channel), "ws_url": .string("/ws"),
            ])
    }

    private func emit(
        _ port: Int, _ change: SignalService.PortChange, url: String?, _ request: SidekickRequest
    ) -> SidekickAnswer {
        let url = url ?? request.compute.portURL(port)
        service.emitPort(port, change, url: url)
        return .success("port signal", data: Self.document(port, change.rawValue, url))
    }

    private func serverReady(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        guard let number = try fields.integer("port", in: 1...65535) else {
            throw Problem.invalid("port", "port is required")
        }
        let port = Int(number)
        let url = try Self.text(fields, "url") ?? request.compute.portURL(port)
        service.emitReady(port: port, url: url)
        return .success("server-ready signal", data: Self.document(port, "open", url))
    }

    private static func document(_ port: Int, _ type: String, _ url: String?) -> [String: JSONValue] {
        ["port": .int(Int64(port)), "type": .string(type), "url": .string(url ?? "")]
    }

    private static func change(_ text: String) throws(Problem) -> SignalService.PortChange {
        guard let change = SignalService.PortChange(rawValue: text) else {
            throw .invalid("type", "type must be open or close")
        }
        return change
    }

    private static func text(_ fields: FieldReader, _ name: String) throws(Problem) -> String? {
        guard let text = try fields.string(name) else { return nil }
        guard text.utf8.count <= maxTextBytes else {
            throw .invalid(name, "\(name) is longer than \(maxTextBytes) bytes")
        }
        return text
    }
}
