import APIContract
import ComputeCore
import GatewayService
import HTTPServing
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct GatewayStreamingTests {
    @Test func bodiesStreamBothWaysAtOnce() async throws {
        try await GatewayWorld.run(app: { exchange in
            let writer = try await exchange.startResponse(status: .ok, headers: ["Trailer": "X-End"])
            for try await part in exchange.body { try await writer.write(part) }
            try await writer.finish(trailers: ["X-End": exchange.body.trailers?.first(name: "x-start") ?? "none"])
        }) { world in
            let connection = try await world.connect()
            try await connection.sendHead(
                HTTPRequestHead(
                    version: .http1_1, method: .POST, uri: "/echo",
                    headers: ["Host": world.host("\(world.id)-\(world.appPort)"), "Transfer-Encoding": "chunked"]))
            try await connection.sendBody(ByteBuffer(string: "one"))
            #expect(try await connection.receiveHead().status == .ok)
            let body = connection.body
            var parts = body.makeAsyncIterator()
            #expect(try await parts.next().map { String(buffer: $0) } == "one")
            // The second half goes out only after the first came back: nothing waits for the end of a body.
            try await connection.sendBody(ByteBuffer(string: "two"))
            #expect(try await parts.next().map { String(buffer: $0) } == "two")
            try await connection.finish(trailers: ["X-Start": "s"])
            #expect(try await parts.next() == nil)
            #expect(body.trailers?.first(name: "x-end") == "s")
            await connection.close()
        }
    }

    @Test(arguments: [("Content-Length", "10000000"), ("Transfer-Encoding", "chunked")])
    func aRefusalBeforeTheEndOfTheBodySaysThatTheConnectionCloses(framing: (name: String, value: String)) async throws {
        try await GatewayWorld.run(app: { exchange in
            var parts = exchange.body.makeAsyncIterator()
            _ = try await parts.next()
            try await exchange.respond(status: .payloadTooLarge)
        }) { world in
            // By who is behind the Gateway, by what is behind it for good, and by itself.
            for (host, target, status) in [
                (world.host("\(world.id)-\(world.appPort)"), "/", HTTPResponseStatus.payloadTooLarge),
                (world.host("\(world.id)"), "/files", .unauthorized),
                (world.host("\(ComputeID.random())"), "/", .notFound),
            ] {
                let connection = try await world.connect()
                try await connection.sendHead(
                    HTTPRequestHead(
                        version: .http1_1, method: .POST, uri: target,
                        headers: ["Host": host, framing.name: framing.value]))
                // The refusal may be there before it.
                try? await connection.sendBody(ByteBuffer(string: "one"))
                let head = try await connection.receiveHead()
                #expect(head.status == status, "\(host)")
                #expect(head.headers["Connection"] == ["close"], "\(host)")
                await connection.close()
            }
        }
    }

    @Test func slowReaderHoldsTheUpstreamBack() async throws {
        let written = Mutex(0)
        try await GatewayWorld.run(app: { exchange in
            let writer = try await exchange.startResponse(status: .ok)
            let part = ByteBuffer(repeating: 0x61, count: 64 * 1024)
            for _ in 0..<1024 {
                try await writer.write(part)
                written.withLock { $0 += part.readableBytes }
            }
            try await writer.finish()
        }) { world in
            let connection = try await world.connect()
            try await connection.sendHead(
                HTTPRequestHead(
                    version: .http1_1, method: .GET, uri: "/",
                    headers: ["Host": world.host("\(world.id)-\(world.appPort)")]))
            try await connection.finish()
            _ = try await connection.receiveHead()
            // Nobody reads: the writer must come to rest far below the 64 MiB that it wants to send.
            var last = -1
            #expect(
                try await eventually {
                    try await Task.sleep(for: .milliseconds(100))
                    let now = written.withLock { $0 }
                    defer { last = now }
                    return now == last && now > 0
                })
            #expect(written.withLock { $0 } < 48 << 20)
            var total = 0
            for try await part in connection.body { total += part.readableBytes }
            #expect(total == 64 << 20)
            await connection.close()
        }
    }

    @Test func clientThatLeavesCancelsTheUpstream() async throws {
        let cancelled = Mutex(false)
        try await GatewayWorld.run(app: { exchange in
            let writer = try await exchange.startResponse(status: .ok)
            try await writer.write(ByteBuffer(string: "x"))
            try? await Task.sleep(for: .seconds(60))
            cancelled.withLock { $0 = Task.isCancelled }
        }) { world in
            let connection = try await world.connect()
            try await connection.sendHead(
                HTTPRequestHead(
                    version: .http1_1, method: .GET, uri: "/",
                    headers: ["Host": world.host("\(world.id)-\(world.appPort)")]))
            try await connection.finish()
            _ = try await connection.receiveHead()
            await connection.close()
            #expect(try await eventually { cancelled.withLock { $0 } })
        }
    }

    @Test func silentUpstreamIs504() async throws {
        try await GatewayWorld.run(
            headerTimeout: .milliseconds(100), app: { _ in try await Task.sleep(for: .seconds(60)) }
        ) { world in
            let answer = try await world.send(host: world.host("\(world.id)-\(world.appPort)"))
            #expect(answer.status == 504)
        }
    }

    @Test func upgradeIsAByteTunnel() async throws {
        try await GatewayWorld.run(
            sidekick: { exchange in
                #expect(exchange.upgrade == "websocket")
                let tunnel = try await exchange.upgradeToBytes(
                    status: .switchingProtocols,
                    headers: ["Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Accept": "a"])
                for try await part in tunnel.inbound { try await tunnel.write(part) }
                await tunnel.closeOutput()
            }
        ) { world in
            let tunnel = try await world.openTunnel(try await world.token(world.id))
            var inbound = tunnel.inbound.makeAsyncIterator()
            for text in ["\u{0}\u{1}raw", "\r\n\r\n", String(repeating: "x", count: 200_000)] {
                try await tunnel.write(ByteBuffer(string: text))
                var back = ByteBuffer()
                while back.readableBytes < text.utf8.count, var part = try await inbound.next() {
                    back.writeBuffer(&part)
                }
                #expect(String(buffer: back) == text)
            }
            // An end passes through, too.
            await tunnel.closeOutput()
            #expect(try await inbound.next() == nil)
            await tunnel.close()
            let seen = try #require(world.sidekick.last)
            #expect(seen.headers["authorization"] == ["Bearer \(world.secret(world.id))"])
            #expect(seen.uri == "/ws?protocol=json")
            #expect(seen.headers["sec-websocket-key"] == ["dGhlIHNhbXBsZSBub25jZQ=="])
        }
    }

    @Test func endOfAComputeClosesItsTunnels() async throws {
        let ended = Mutex(false)
        try await GatewayWorld.run(
            sidekick: { exchange in
                let tunnel = try await exchange.upgradeToBytes(
                    status: .switchingProtocols, headers: ["Connection": "Upgrade", "Upgrade": "websocket"])
                for try await _ in tunnel.inbound {}
                ended.withLock { $0 = true }
            }
        ) { world in
            let tunnel = try await world.openTunnel(try await world.token(world.id))
            world.internalAPI.tell(world.record(world.id, .ended))
            #expect(try await within { await tunnel.isOver() })
            #expect(try await eventually { ended.withLock { $0 } })
            await tunnel.close()
        }
    }

    @Test func tunnelThatOneSideLeftEndsInSilence() async throws {
        try await GatewayWorld.run(
            headerTimeout: .seconds(2),
            sidekick: { exchange in
                let tunnel = try await exchange.upgradeToBytes(
                    status: .switchingProtocols, headers: ["Connection": "Upgrade", "Upgrade": "websocket"])
                for try await _ in tunnel.inbound {}
                // Does not care for the end, and says nothing more.
                try await Task.sleep(for: .seconds(60))
            }
        ) { world in
            let tunnel = try await world.openTunnel(try await world.token(world.id))
            await tunnel.closeOutput()
            #expect(try await within(.seconds(20)) { await tunnel.isOver() })
            await tunnel.close()
        }
    }

    @Test func openTunnelsDoNotHoldUpAShutdown() async throws {
        try await GatewayWorld.run(
            drainLimit: .milliseconds(200),
            sidekick: { exchange in
                let tunnel = try await exchange.upgradeToBytes(
                    status: .switchingProtocols, headers: ["Connection": "Upgrade", "Upgrade": "websocket"])
                for try await _ in tunnel.inbound {}
            }
        ) { world in
            let tunnel = try await world.openTunnel(try await world.token(world.id))
            await world.stop()
            #expect(try await within { await tunnel.isOver() })
            await #expect(throws: HTTPServingError.self) { _ = try await world.connect() }
            await tunnel.close()
        }
    }

    @Test func answerThatTheEndOfAComputeCutsIsNotWhole() async throws {
        // Without a length, only the connection's end tells the end of the answer.
        try await ScriptedServer.run(script: { _, _ in .answer("HTTP/1.1 200 OK\r\n\r\npart") }) { _, port in
            try await GatewayWorld.run { world in
                let connection = try await world.connect()
                try await connection.sendHead(
                    HTTPRequestHead(
                        version: .http1_1, method: .GET, uri: "/",
                        headers: ["Host": world.host("\(world.id)-\(port)")]))
                try await connection.finish()
                #expect(try await connection.receiveHead().status == .ok)
                var parts = connection.body.makeAsyncIterator()
                #expect(try await parts.next() == ByteBuffer(string: "part"))
                world.internalAPI.tell(world.record(world.id, .ended))
                await #expect(throws: HTTPServingError.self) { _ = try await parts.next() }
                await connection.close()
            }
        }
    }

    // A wait that a busy machine does not use up before the first byte of the body is sent.
    @Test func stalledUploadIs408() async throws {
        try await GatewayWorld.run(headerTimeout: .seconds(2)) { world in
            let connection = try await world.connect()
            try await connection.sendHead(
                HTTPRequestHead(
                    version: .http1_1, method: .POST, uri: "/",
                    headers: ["Host": world.host("\(world.id)-\(world.appPort)"), "Content-Length": "10"]))
            try await connection.sendBody(ByteBuffer(string: "x"))
            #expect(try await connection.receiveHead().status == .requestTimeout)
            await connection.close()
        }
    }

    @Test func refusedUpgradeIsAnOrdinaryAnswer() async throws {
        try await GatewayWorld.run { world in
            let answer = try await world.send(
                host: world.host("\(world.id)"), "/ws?token=\(try await world.token(world.id))",
                ["Connection": "Upgrade", "Upgrade": "websocket"])
            #expect(answer.status == 200 && answer.body == "sidekick")
        }
    }

    @Test func answersWithoutABodyHaveNone() async throws {
        try await GatewayWorld.run(app: { exchange in
            let status: HTTPResponseStatus = exchange.head.uri == "/304" ? .notModified : .ok
            try await exchange.respond(status: status, headers: ["ETag": "x"], body: ByteBuffer(string: "body"))
        }) { world in
            let host = world.host("\(world.id)-\(world.appPort)")
            let head = try await world.send(.HEAD, host: host, "/")
            #expect(head.status == 200 && head.body.isEmpty && head.headers["content-length"] == ["4"])
            let unchanged = try await world.send(host: host, "/304")
            #expect(unchanged.status == 304 && unchanged.body.isEmpty && unchanged.headers["etag"] == ["x"])
        }
    }

    @Test func connectionsAreReusedWithinAComputeOnly() async throws {
        try await ScriptedServer.run(script: { _, _ in .answer(ScriptedServer.ok) }) { server, port in
            try await GatewayWorld.run { world async throws in
                for _ in 0..<3 {
                    #expect(try await world.send(host: world.host("\(world.id)-\(port)")).body == "ok")
                }
                #expect(server.connections == 1)
                let other = ComputeID.random()
                world.internalAPI.tell(world.record(other))
                #expect(try await world.send(host: world.host("\(other)-\(port)")).body == "ok")
                #expect(server.connections == 2)
                // What cannot be repeated takes no connection that a user's server may be closing.
                #expect(try await world.send(.POST, host: world.host("\(world.id)-\(port)")).body == "ok")
                #expect(server.connections == 3)
            }
        }
    }

    @Test func requestOnADeadConnectionIsRepeatedOnANewOne() async throws {
        try await ScriptedServer.run(script: { connection, request in
            connection == 1 && request == 2 ? .hangUp : .answer(ScriptedServer.ok)
        }) { server, port in
            try await GatewayWorld.run { world async throws in
                for _ in 0..<2 { #expect(try await world.send(host: world.host("\(world.id)-\(port)")).status == 200) }
                #expect(server.connections == 2 && server.requests == 3)
            }
        }
    }

    @Test func requestOnANewConnectionIsNeverRepeated() async throws {
        try await ScriptedServer.run(script: { _, _ in .hangUp }) { server, port in
            try await GatewayWorld.run { world async throws in
                for method in [HTTPMethod.GET, .POST] {
                    #expect(try await world.send(method, host: world.host("\(world.id)-\(port)")).status == 502)
                }
                #expect(server.requests == 2)
            }
        }
    }

    @Test func expectationIsMetOnlyAfterTheAccessCheck() async throws {
        try await GatewayWorld.run { world in
            let answer = try await world.send(
                .POST, host: world.host("\(world.id)"), "/files", ["Expect": "100-continue"], body: "x")
            #expect(answer.status == 401)
            var headers = try await world.authorized(world.id)
            headers.add(name: "Expect", value: "100-continue")
            #expect(
                try await world.send(.POST, host: world.host("\(world.id)"), "/files", headers, body: "x").status == 200
            )
            #expect(world.sidekick.last?.headers["expect"] == [])
        }
    }
}

extension GatewayWorld {
    func openTunnel(_ token: String) async throws -> ByteTunnel {
        let connection = try await connect()
        try await connection.sendHead(
            HTTPRequestHead(
                version: .http1_1, method: .GET, uri: "/ws?token=\(token)&protocol=json",
                headers: [
                    "Host": host("\(id)"), "Connection": "Upgrade", "Upgrade": "websocket",
                    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
                ]))
        try await connection.finish()
        let head = try await connection.receiveHead()
        guard head.status == .switchingProtocols, head.headers["upgrade"] == ["websocket"] else {
            throw HTTPServingError(.notUpgradable, "the gateway answered \(head.status.code)")
        }
        return try await connection.becomeTunnel()
    }
}

extension ByteTunnel {
    /// Waits for the end, whichever it is.
    func isOver() async -> Bool {
        do { for try await _ in inbound {} } catch is CancellationError { return false } catch {}
        return true
    }
}

/// - Throws: when `perform` takes longer, which is then cancelled.
func within<T: Sendable>(
    _ limit: Duration = .seconds(20), _ perform: @escaping @Sendable () async throws -> T
) async throws -> T {
    try await withThrowingTaskGroup(of: T.self) { group in
        group.addTask { try await perform() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw CancellationError()
        }
        defer { group.cancelAll() }
        guard let first = try await group.next() else { throw CancellationError() }
        return first
    }
}
