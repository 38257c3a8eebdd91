import APIContract
import Auth
import ComputeCore
import GatewayService
import HTTPServing
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct SessionTests {
    @Test func aSessionTokenOpensTheSidekickFromEachPlace() async throws {
        try await GatewayWorld.run { world async throws in
            let (token, record) = try await world.session()
            world.internalAPI.know(record)
            let host = world.host("\(world.id)")
            let navigation: HTTPHeaders = [
                "Cookie": "computesdk_session=\(token)", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
            ]
            #expect(try await world.send(host: host, "/files", ["Authorization": "Bearer \(token)"]).status == 200)
            #expect(try await world.send(host: host, "/files?token=\(token)&a=b").status == 200)
            #expect(world.sidekick.last?.uri == "/files?a=b")
            #expect(try await world.send(host: host, "/play/", navigation).status == 200)
            let seen = try #require(world.sidekick.last)
            #expect(seen.headers["cookie"].isEmpty)
            #expect(seen.headers["authorization"] == ["Bearer \(world.secret(world.id))"])
            #expect(try await world.send(.POST, host: host, "/run/command", navigation).status == 403)
        }
    }

    @Test func aRevokedTokenIsRefusedAtOnce() async throws {
        try await GatewayWorld.run { world async throws in
            let (token, record) = try await world.session()
            world.internalAPI.know(record)
            let (host, headers) = (world.host("\(world.id)"), ["Authorization": "Bearer \(token)"] as HTTPHeaders)
            #expect(try await world.send(host: host, "/files", headers).status == 200)
            world.internalAPI.tell(world.revoked(record))
            #expect(
                try await eventually {
                    try await world.send(host: host, "/files", headers).status == 401
                })
            #expect(try await world.send(host: host, "/files", try await world.authorized(world.id)).status == 200)
        }
    }

    @Test func aTokenRevokedBeforeTheGatewayStartedIsRefused() async throws {
        try await GatewayWorld.run(before: { world in world.internalAPI.breakFeed(.broken) }) { world async throws in
            // The feed says nothing yet, so only asking tells.
            let (token, record) = try await world.session(isRevoked: true)
            let (good, goodRecord) = try await world.session()
            world.internalAPI.know(record)
            world.internalAPI.know(goodRecord)
            let host = world.host("\(world.id)")
            #expect(try await world.send(host: host, "/files?token=\(token)").status == 401)
            #expect(try await world.send(host: host, "/files?token=\(good)").status == 200)
            let (unknown, _) = try await world.session()
            #expect(try await world.send(host: host, "/files?token=\(unknown)").status == 401)
            // And nothing has to be asked once the feed has told everything.
            world.internalAPI.tell(record)
            world.internalAPI.breakFeed(nil)
            #expect(
                try await eventually(within: .seconds(40)) {
                    let before = world.internalAPI.sessionLookups
                    let status = try await world.send(host: host, "/files?token=\(good)").status
                    return status == 200 && world.internalAPI.sessionLookups == before
                })
            #expect(try await world.send(host: host, "/files?token=\(token)").status == 401)
        }
    }

    @Test func aLostFeedMakesSessionsAskAndLeavesAccessTokensAlone() async throws {
        try await GatewayWorld.run { world async throws in
            let (token, record) = try await world.session()
            world.internalAPI.know(record)
            let host = world.host("\(world.id)")
            #expect(try await eventually { world.internalAPI.feedRequests >= 2 })
            world.internalAPI.breakFeed(.broken)
            // A revocation that the feed cannot tell.
            world.internalAPI.know(world.revoked(record))
            #expect(
                try await eventually {
                    try await world.send(host: host, "/files?token=\(token)").status == 401
                })
            #expect(try await world.send(host: host, "/files", try await world.authorized(world.id)).status == 200)
        }
    }

    @Test func revocationClosesOpenSockets() async throws {
        let ended = Mutex(false)
        try await GatewayWorld.run(
            sidekick: { exchange in
                let tunnel = try await exchange.upgradeToBytes(
                    status: .switchingProtocols, headers: ["Connection": "Upgrade", "Upgrade": "websocket"])
                // A whole frame: "hi".
                try await tunnel.write(ByteBuffer(bytes: [0x81, 2, 0x68, 0x69]))
                for try await _ in tunnel.inbound {}
                ended.withLock { $0 = true }
            }
        ) { world async throws in
            let (token, record) = try await world.session()
            let (other, otherRecord) = try await world.session()
            for record in [record, otherRecord] { world.internalAPI.know(record) }
            let tunnel = try await world.openTunnel(token)
            let bystander = try await world.openTunnel(other)
            var seen = try await tunnel.read(4)
            #expect(seen == [0x81, 2, 0x68, 0x69])
            world.internalAPI.tell(world.revoked(record))
            seen = try await within { await tunnel.rest() }
            #expect(seen == Array(FrameBoundary.close(1008, "the session is over").readableBytesView))
            #expect(try await eventually { ended.withLock { $0 } })
            // Somebody else's goes on.
            #expect(try await bystander.read(4) == [0x81, 2, 0x68, 0x69])
            try await bystander.write(ByteBuffer(string: "still here"))
            for tunnel in [tunnel, bystander] { await tunnel.close() }
        }
    }

    @Test func whatATokenHasOpenedEndsWithItsTime() async throws {
        try await GatewayWorld.run(
            sidekick: { exchange in
                let tunnel = try await exchange.upgradeToBytes(
                    status: .switchingProtocols, headers: ["Connection": "Upgrade", "Upgrade": "websocket"])
                try await tunnel.write(ByteBuffer(bytes: [0x81, 2, 0x68, 0x69]))
                for try await _ in tunnel.inbound {}
            }
        ) { world async throws in
            let tunnel = try await world.openTunnel(try await world.token(world.id, life: .seconds(6)))
            let bystander = try await world.openTunnel(try await world.token(world.id, life: .seconds(60)))
            #expect(try await tunnel.read(4) == [0x81, 2, 0x68, 0x69])
            #expect(try await bystander.read(4) == [0x81, 2, 0x68, 0x69])
            let last = try await within { await tunnel.rest() }
            #expect(last == Array(FrameBoundary.close(1008, "the session is over").readableBytesView))
            try await bystander.write(ByteBuffer(string: "still here"))
            for tunnel in [tunnel, bystander] { await tunnel.close() }
        }
    }

    @Test func whatCameOfACredentialEndsWithIt() async throws {
        try await GatewayWorld.run(
            sidekick: { exchange in
                guard exchange.head.headers.contains(name: "upgrade") else { return try await answerOK(exchange, "") }
                let tunnel = try await exchange.upgradeToBytes(
                    status: .switchingProtocols, headers: ["Connection": "Upgrade", "Upgrade": "websocket"])
                try await tunnel.write(ByteBuffer(bytes: [0x81, 2, 0x68, 0x69]))
                for try await _ in tunnel.inbound {}
            }
        ) { world async throws in
            let (key, other) = (SessionID.random(), SessionID.random())
            func token(of origins: [SessionID]) async throws -> String {
                let now = SystemWallClock().now()
                return try await world.signer.sign(
                    AccessToken(
                        computeID: world.id, group: .default, kind: .access, tokenID: "t", issuedAt: now,
                        expiresAt: now + .seconds(60), origins: origins.map(\.rawValue)))
            }
            func credential(_ id: SessionID, isRevoked: Bool) -> SessionRecord {
                SessionRecord(
                    sessionId: id, computeId: nil, isRevoked: isRevoked,
                    expiresAt: SystemWallClock().now() + .seconds(60))
            }
            for id in [key, other] { world.internalAPI.know(credential(id, isRevoked: false)) }
            let (lost, kept) = (try await token(of: [other, key]), try await token(of: [other]))
            let tunnel = try await world.openTunnel(lost)
            let bystander = try await world.openTunnel(kept)
            for tunnel in [tunnel, bystander] { #expect(try await tunnel.read(4) == [0x81, 2, 0x68, 0x69]) }
            world.internalAPI.know(credential(key, isRevoked: true))
            world.internalAPI.tell(credential(key, isRevoked: true))
            let last = try await within { await tunnel.rest() }
            #expect(last == Array(FrameBoundary.close(1008, "the session is over").readableBytesView))
            let host = world.host("\(world.id)")
            #expect(try await world.send(host: host, "/files?token=\(lost)").status == 401)
            #expect(try await world.send(host: host, "/files?token=\(kept)").status == 200)
            try await bystander.write(ByteBuffer(string: "still here"))
            for tunnel in [tunnel, bystander] { await tunnel.close() }
            // Nobody can be asked: access tokens go on, but for those that are known to be over.
            world.internalAPI.breakFeed(.broken)
            world.internalAPI.breakSessions()
            #expect(
                try await eventually {
                    let before = world.internalAPI.sessionLookups
                    let status = try await world.send(host: host, "/files?token=\(kept)").status
                    return status == 200 && world.internalAPI.sessionLookups > before
                })
            #expect(try await world.send(host: host, "/files?token=\(lost)").status == 401)
        }
    }

    @Test func aSocketInTheMiddleOfAFrameIsJustClosed() async throws {
        try await GatewayWorld.run(
            sidekick: { exchange in
                let tunnel = try await exchange.upgradeToBytes(
                    status: .switchingProtocols, headers: ["Connection": "Upgrade", "Upgrade": "websocket"])
                try await tunnel.write(ByteBuffer(bytes: [0x81, 5, 0x68]))
                for try await _ in tunnel.inbound {}
            }
        ) { world async throws in
            let (token, record) = try await world.session()
            world.internalAPI.know(record)
            let tunnel = try await world.openTunnel(token)
            #expect(try await tunnel.read(3) == [0x81, 5, 0x68])
            world.internalAPI.tell(world.revoked(record))
            let rest = try await within { await tunnel.rest() }
            #expect(rest == [])
            await tunnel.close()
        }
    }

    @Test func revocationCutsAnAnswerThatIsUnderWay() async throws {
        try await GatewayWorld.run(
            sidekick: { exchange in
                let writer = try await exchange.startResponse(status: .ok)
                while true {
                    try await writer.write(ByteBuffer(string: "more "))
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
        ) { world async throws in
            let (token, record) = try await world.session()
            world.internalAPI.know(record)
            let connection = try await world.connect()
            try await connection.sendHead(
                HTTPRequestHead(
                    version: .http1_1, method: .GET, uri: "/logs?token=\(token)",
                    headers: ["Host": world.host("\(world.id)")]))
            try await connection.finish()
            #expect(try await connection.receiveHead().status == .ok)
            world.internalAPI.tell(world.revoked(record))
            let body = connection.body
            await #expect(throws: HTTPServingError.self) {
                try await within { for try await _ in body {} }
            }
            await connection.close()
        }
    }

    @Test func revocationAnswersARequestThatWasNotAnsweredYet() async throws {
        try await GatewayWorld.run(
            sidekick: { _ in try await Task.sleep(for: .seconds(30)) }
        ) { world async throws in
            let (token, record) = try await world.session()
            world.internalAPI.know(record)
            async let answer = world.send(host: world.host("\(world.id)"), "/slow?token=\(token)")
            #expect(try await eventually { world.sidekick.last != nil })
            world.internalAPI.tell(world.revoked(record))
            let status = try await answer.status
            #expect(status == 401)
        }
    }

    @Test func aSocketEndsWithItsTokensTime() async throws {
        try await GatewayWorld.run(
            sidekick: { exchange in
                let tunnel = try await exchange.upgradeToBytes(
                    status: .switchingProtocols, headers: ["Connection": "Upgrade", "Upgrade": "websocket"])
                for try await _ in tunnel.inbound {}
            }
        ) { world async throws in
            // The first request of all takes longest, and is none of this token's time.
            let headers = try await world.authorized(world.id)
            #expect(try await world.send(host: world.host("\(world.id)"), "/auth/status", headers).status == 200)
            // Whole seconds in the token: between five and six are left.
            let (token, record) = try await world.session(life: .seconds(6))
            world.internalAPI.know(record)
            let tunnel = try await world.openTunnel(token)
            let rest = try await within(.seconds(30)) { await tunnel.rest() }
            #expect(rest.first == 0x88)
            await tunnel.close()
        }
    }

    @Test func anAcknowledgedRevocationNeedsNoFeed() async throws {
        let revoked = Mutex("")
        try await GatewayWorld.run(
            api: { exchange in
                let headers: HTTPHeaders = [AuthHeader.revoked: revoked.withLock { $0 }]
                try await exchange.respond(status: .noContent, headers: headers)
            }
        ) { world async throws in
            let (token, record) = try await world.session()
            world.internalAPI.know(record)
            let host = world.host("\(world.id)")
            #expect(try await world.send(host: host, "/files?token=\(token)").status == 200)
            revoked.withLock { $0 = AuthHeader.revoked(record.sessionId, until: record.expiresAt) }
            let answer = try await world.send(
                .DELETE, host: host, "/auth/session_tokens/\(record.sessionId)", try await world.authorized(world.id))
            #expect(answer.status == 204 && !answer.headers.contains(name: AuthHeader.revoked))
            #expect(try await world.send(host: host, "/files?token=\(token)").status == 401)
        }
    }

    @Test func usesAreToldToTheAPI() async throws {
        try await GatewayWorld.run { world async throws in
            let (token, record) = try await world.session()
            world.internalAPI.know(record)
            _ = try await world.send(host: world.host("\(world.id)"), "/files?token=\(token)")
            #expect(
                try await eventually(within: .seconds(40)) {
                    world.internalAPI.uses.map(\.sessionId) == [record.sessionId]
                })
        }
    }
}

extension GatewayWorld {
    func revoked(_ record: SessionRecord) -> SessionRecord {
        var record = record
        record.isRevoked = true
        return record
    }
}

extension ByteTunnel {
    /// So many bytes, or fewer at the end.
    func read(_ count: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        var parts = inbound.makeAsyncIterator()
        while bytes.count < count, let part = try await parts.next() { bytes += part.readableBytesView }
        return bytes
    }

    /// Everything up to the end, whichever it is.
    func rest() async -> [UInt8] {
        var bytes: [UInt8] = []
        do { for try await part in inbound { bytes += part.readableBytesView } } catch {}
        return bytes
    }
}
