import ComputeCore
import HTTPServing
import NIOCore
import NIOHTTP1
import SidekickService
import Synchronization
import Testing

/// Long answers, with a clock that runs a hundred times faster than the real one.
struct KeptAliveAnswerTests {
    private struct Handler: HTTPHandler {
        let work: @Sendable () async throws -> JSONValue

        func handle(_ exchange: HTTPExchange) async throws {
            var answer = KeptAliveAnswer()
            answer.grace = .milliseconds(10)
            answer.interval = .milliseconds(50)
            _ = try await answer.answer(exchange, requestID: .random(), work: work)
        }
    }

    private static func served(
        _ work: @escaping @Sendable () async throws -> JSONValue,
        _ body: @escaping @Sendable (HTTPClientConnection) async throws -> Void
    ) async throws {
        let server = HTTPServer(listen: .tcp(host: "127.0.0.1", port: 0), handler: Handler(work: work))
        let endpoint = try await server.bind()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            let connection = try await HTTPClientConnection.connect(to: endpoint, timeout: .seconds(30))
            try await connection.sendHead(
                HTTPRequestHead(version: .http1_1, method: .GET, uri: "/", headers: ["Host": "x"]))
            try await connection.finish()
            try await body(connection)
            await connection.close()
            await server.shutdown(deadline: .milliseconds(200))
            try await group.waitForAll()
        }
    }

    @Test func anAnswerOfSevenIntervalsIsASpaceEachAndThenTheDocument() async throws {
        let gate = Mutex(false)
        try await Self.served {
            while !gate.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(5)) }
            return .object(["exit_code": .int(0)])
        } _: { connection in
            let head = try await connection.receiveHead()
            #expect(head.status == .ok)
            #expect(head.headers.first(name: "X-Accel-Buffering") == "no")
            var text = ""
            for try await part in connection.body {
                text += String(buffer: part)
                if text.utf8.count >= 7 { gate.withLock { $0 = true } }
            }
            #expect(text.hasPrefix("       "))
            #expect(text.drop { $0 == " " } == #"{"exit_code":0}"#)
        }
    }

    @Test func aFailureBehindTheHeadersIsToldInTheBody() async throws {
        let gate = Mutex(false)
        try await Self.served {
            while !gate.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(5)) }
            throw Problem.invalid("command", "it was no good")
        } _: { connection in
            #expect(try await connection.receiveHead().status == .ok)
            gate.withLock { $0 = true }
            var text = ""
            for try await part in connection.body { text += String(buffer: part) }
            let body = JSONValue.members(of: text)
            #expect(body["status"] == .string("error"))
            #expect(body["field"] == .string("command"))
            #expect(body["error"] == .string("it was no good"))
        }
    }

    @Test func aClientThatGoesInTheMiddleCancelsTheWork() async throws {
        let cancelled = Mutex(false)
        try await Self.served {
            do {
                try await Task.sleep(for: .seconds(60))
            } catch {
                cancelled.withLock { $0 = true }
                throw error
            }
            return .null
        } _: { connection in
            _ = try await connection.receiveHead()
            await connection.close()
            try await eventually("the work's end") { cancelled.withLock { $0 } }
        }
    }
}
