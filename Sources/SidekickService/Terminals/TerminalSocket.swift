import ComputeCore
import FoundationEssentials
import HTTPServing
import NIOCore
import WebSockets

/// One connection of `/ws`: its messages in order to the service, its events in order to the client.
package struct TerminalSocket: Sendable {
    /// Clients install their handlers right after the connection is open.
    private static let replayDelay: Duration = .milliseconds(30)

    private let service: TerminalService

    package init(service: TerminalService) { self.service = service }

    package func serve(_ request: SidekickRequest) async throws -> SidekickAnswer {
        guard request.exchange.upgrade == "websocket" else {
            throw Problem(status: 400, code: .invalidRequest, message: "/ws is a WebSocket: an Upgrade is needed")
        }
        guard let id = service.connect() else {
            throw Problem.unavailable("\(TerminalHub.maxConnections) WebSockets are open")
        }
        defer { service.disconnect(id) }
        let connection = try await WebSocketConnection.accept(request.exchange)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await write(connection, id)
                return true
            }
            group.addTask {
                for try await message in connection.messages {
                    switch message {
                    case .text(let text): service.received(ClientMessage(Array(text.utf8), isText: true), from: id)
                    case .binary(let bytes):
                        service.received(ClientMessage(Array(bytes.readableBytesView), isText: false), from: id)
                    }
                }
                return true
            }
            group.addTask {
                try await Task.sleep(for: Self.replayDelay)
                service.announceAll(to: id)
                return false
            }
            // Reader or writer: the first to end ends the connection.
            while let isEnd = try await group.next(), !isEnd {}
            group.cancelAll()
        }
        return .written
    }

    private func write(_ connection: WebSocketConnection, _ id: TerminalHub.ConnectionID) async throws {
        let encoder = JSONEncoder()
        while true {
            switch await service.next(id) {
            case .send(let event):
                try await connection.send(String(decoding: try encoder.encode(event.document), as: UTF8.self))
            case .close(let code, let reason):
                await connection.close(code: code, reason: reason)
                return
            case .wait:
                // `next` waits itself.
                continue
            }
        }
    }
}
