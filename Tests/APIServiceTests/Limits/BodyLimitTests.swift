import APIContract
import APIService
import ComputeCore
import Foundation
import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import TestSupport
import Testing

/// Bodies that are too large, too deep or too slow, at every route of the public API.
struct BodyLimitTests {
    /// Those that look at a body say what is wrong with it. Of the others none waits for it.
    @Test func noRouteTakesABodyThatIsTooLargeOrTooDeep() async throws {
        let large = #"{"x":""# + String(repeating: "x", count: 1 << 20) + #""}"#
        let deep = String(repeating: #"{"x":"#, count: 100) + "1" + String(repeating: "}", count: 100)
        try await Scene.run { scene async throws in
            for row in AuthorizationTable.rows where ["POST", "PUT", "PATCH"].contains(row.method) {
                let method = try #require(HTTPRequest.Method(rawValue: row.method))
                let path = AuthorizationTableTests.filled(
                    row.path.replacing("{group}", with: "default"), "abcdefgh12345678")
                for (body, expected) in [(large, 413), (deep, 400)] {
                    let reply = try await scene.owner.send(method, path, body)
                    switch row.access {
                    case .credential, .operators:
                        // What is not there, or takes no body, needs not look into it; but none is too large.
                        let others = expected == 413 ? [] : [200, 404, 409, 501]
                        #expect(
                            reply.status == expected || others.contains(reply.status), "\(row): \(reply.text)")
                    case .open, .computeToken: #expect((400..<500).contains(reply.status), "\(row): \(reply.text)")
                    }
                }
            }
        }
    }

    private func withServer(
        requestDeadline: Duration = .seconds(3), _ run: @escaping @Sendable (Int, String) async throws -> Void
    ) async throws {
        let world = World {
            $0.bodyDeadline = .milliseconds(500)
            $0.requestDeadline = requestDeadline
        }
        try await serve(world, run)
    }

    private func serve(
        _ world: World, _ run: @escaping @Sendable (Int, String) async throws -> Void
    ) async throws {
        let key = try await world.server.keys.bootstrap(preset: nil) ?? ""
        try await world.server.publicApplication.test(.live) { client in
            try await run(client.port ?? 0, key)
        }
    }

    @Test(arguments: ["Content-Length: 1000", "Transfer-Encoding: chunked"])
    func aBodyThatDoesNotComeIsA408AndTheEndOfTheConnection(_ framing: String) async throws {
        // Enough for an answer also on a crowded machine.
        try await withServer(requestDeadline: .seconds(30)) { port, key in
            let peer = try SlowPeer(port: port)
            peer.send("POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\nX-API-Key: \(key)\r\n\(framing)\r\n\r\n1\r\n{\r\n")
            let answer = try await peer.untilItEnds()
            #expect(answer.hasPrefix("HTTP/1.1 408"), "\(answer)")
            #expect(answer.contains("request_timeout"))
        }
    }

    /// Whoever sends a byte now and then is not idle, and is sent away all the same: also where nobody looks at the body.
    @Test(arguments: [
        ("POST /v1/sandboxes", 401), ("GET /health", 200), ("POST /nowhere", 404), ("POST /auth/token", 404),
        ("PUT /v1/sandboxes", 401),
    ]) func aBodyThatNeverEndsEndsTheConnectionAtEveryRoute(_ line: String, _ status: Int) async throws {
        try await withServer { port, _ in
            let peer = try SlowPeer(port: port)
            peer.send("\(line) HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{")
            let answer = try await peer.untilItEnds(sending: " ")
            #expect(answer.hasPrefix("HTTP/1.1 \(status)"), "\(answer)")
        }
    }

    @Test func aConnectionWhoseRequestsEndStaysOpenForLongerThanOneMayTake() async throws {
        try await withServer { port, key in
            let peer = try SlowPeer(port: port)
            let end = ContinuousClock.now + .milliseconds(3600)
            var count = 0
            while ContinuousClock.now < end {
                // In one piece, so that nothing comes between them.
                peer.send(
                    "POST /v1/sandboxes/find HTTP/1.1\r\nHost: x\r\nX-API-Key: \(key)\r\nContent-Length: 12\r\n\r\n"
                        + #"{"name":"x"}"#)
                count += 1
                try await peer.until(count, of: "HTTP/1.1 200")
            }
            #expect(count > 2)
        }
    }

    /// Who asks ahead waits for what is before, which may be an answer without an end: that is not his slowness.
    @Test func whatWasSentAheadCutsNoAnswerThatGoesOn() async throws {
        let world = World(poolSize: 9) { $0.requestDeadline = .milliseconds(500) }
        try await serve(world) { port, key in
            let peer = try SlowPeer(port: port)
            peer.send("GET /v1/events/stream HTTP/1.1\r\nHost: x\r\nX-API-Key: \(key)\r\n\r\n")
            try await peer.until(1, of: "HTTP/1.1 200")
            peer.send("POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\nX-API-Key: \(key)\r\nContent-Length: 9\r\n\r\n{")
            for round in 1...3 {
                try await Task.sleep(for: .milliseconds(500))
                _ = try await world.service.create(CreateSandbox(), for: world.caller)
                try await peer.until(round, of: "event: ComputeStarted")
            }
        }
    }

    @Test func requestsThatWereSentAheadAreAnsweredInTheirOrderAndTheLastOneHasItsTime() async throws {
        try await withServer { port, key in
            let peer = try SlowPeer(port: port)
            let request =
                "POST /v1/sandboxes/find HTTP/1.1\r\nHost: x\r\nX-API-Key: \(key)\r\nContent-Length: 12\r\n\r\n"
            peer.send(String(repeating: request + #"{"name":"x"}"#, count: 20))
            try await peer.until(20, of: "HTTP/1.1 200")
            peer.send(request + #"{"name":"x"}"# + request)
            let answers = try await peer.untilItEnds()
            #expect(answers.ranges(of: "HTTP/1.1 200").count == 21)
            #expect(answers.ranges(of: "HTTP/1.1 408").count == 1, "the body that never came")
        }
    }
}

/// A client on a bare socket.
private final class SlowPeer {
    private let descriptor: Int32
    private var received: [UInt8] = []

    init(port: Int) throws { descriptor = try StreamReader.connect(port, nil) }

    deinit { _ = Glibc.close(descriptor) }

    func send(_ text: String) {
        _ = text.withCString { Glibc.send(descriptor, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
    }

    /// All that came, once the server has ended the connection.
    /// - Parameter more: what is sent meanwhile, again and again.
    func untilItEnds(sending more: String? = nil) async throws -> String {
        try await read { more.map { self.send($0) } ?? () }
        return String(decoding: received, as: UTF8.self)
    }

    func until(_ count: Int, of text: String) async throws {
        try await read(while: { String(decoding: self.received, as: UTF8.self).ranges(of: text).count < count }) {}
    }

    private func read(while isWaiting: () -> Bool = { true }, _ idle: () -> Void) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while isWaiting() {
            guard ContinuousClock.now < deadline else { throw POSIXError(.ETIMEDOUT) }
            var buffer = [UInt8](repeating: 0, count: 65536)
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count > 0 {
                received += buffer[..<count]
            } else if count < 0, errno == EAGAIN {
                idle()
                try await Task.sleep(for: .milliseconds(5))
            } else {
                // An end in order, or a reset by what was sent past it.
                return
            }
        }
    }
}
