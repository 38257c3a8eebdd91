import APIContract
import Auth
import ComputeCore
import GatewayService
import HTTPServing
import NIOCore
import NIOHTTP1
import Testing

/// Ports that are private.
@Suite(.timeLimit(.minutes(1))) struct PortVisibilityTests {
    private func run(
        _ ports: PortAccess? = PortAccess(usual: .private),
        app: @escaping @Sendable (HTTPExchange) async throws -> Void = { try await answerOK($0, "app") },
        _ test: @escaping @Sendable (GatewayWorld) async throws -> Void
    ) async throws {
        try await GatewayWorld.run(
            before: { world in
                var record = world.record(world.id)
                record.ports = ports
                record.version = 2
                world.internalAPI.tell(record)
            }, app: app, test)
    }

    private func say(_ ports: PortAccess, _ version: Int, in world: GatewayWorld) {
        world.internalAPI.tell(PortsRecord(computeId: world.id, ports: ports, version: version))
    }

    private func host(_ world: GatewayWorld) -> String { world.host("\(world.id)-\(world.appPort)") }

    @Test func aPrivatePortWantsTheTokenAndKeepsItToItself() async throws {
        try await run { world async throws in
            let (access, (session, record)) = (try await world.token(world.id), try await world.session())
            world.internalAPI.know(record)
            for host in [host(world), world.host("\(world.appPort)-\(world.id)")] {
                let none = try await world.send(host: host, "/a")
                #expect(none.status == 401 && none.body.contains("private"))
                #expect(try await world.send(host: host, "/a", ["Authorization": "Bearer the-apps-own"]).status == 401)
                #expect(try await world.send(host: host, "/a?token=the-apps-own").status == 401)
            }
            #expect(world.app.all.isEmpty)
            for token in [access, session] {
                let cookie = "computesdk_session=\(token)"
                let navigation: HTTPHeaders = [
                    "Cookie": "own=1; \(cookie)", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
                ]
                let rows: [(String, HTTPHeaders)] = [
                    ("/a?x=1", ["X-ComputeSDK-Token": token, "Authorization": "Bearer the-apps-own"]),
                    ("/a?x=1", ["Authorization": "Bearer \(token)"]), ("/a?token=\(token)&x=1", [:]),
                    ("/a?x=1", navigation), ("/a?x=1", ["Cookie": cookie, "Sec-Fetch-Site": "same-origin"]),
                ]
                for (target, headers) in rows {
                    let answer = try await world.send(host: host(world), target, headers)
                    #expect(answer.status == 200 && answer.body == "app", "\(target) \(headers)")
                    let seen = try #require(world.app.last)
                    #expect(seen.uri == "/a?x=1")
                    #expect(!"\(seen)".contains(token), "nothing of it goes in")
                }
                #expect(world.app.all.contains { $0.headers["authorization"] == ["Bearer the-apps-own"] })
                #expect(world.app.all.contains { $0.headers["cookie"] == ["own=1"] })
            }
            // By its path there are no cookies; the rest is the same.
            let path = "/s/\(world.id)/p/\(world.appPort)/a"
            let gateway = "127.0.0.1:\(world.port)"
            #expect(try await world.send(host: gateway, path).status == 401)
            #expect(try await world.send(host: gateway, path, ["X-ComputeSDK-Token": access]).status == 200)
            #expect(try await world.send(host: gateway, path, ["Cookie": "computesdk_session=\(access)"]).status == 401)
        }
    }

    @Test func whatIsNotGoodIsRefusedForWhatItIs() async throws {
        try await run { world async throws in
            let token = try await world.token(world.id)
            let other = try await world.token(ComputeID.random())
            let late = try await world.token(world.id, life: .seconds(-5))
            let (revoked, record) = try await world.session(isRevoked: true)
            world.internalAPI.know(record)
            world.internalAPI.tell(record)
            #expect(
                try await eventually {
                    try await world.send(host: host(world), "/", ["X-ComputeSDK-Token": revoked]).status == 401
                })
            let rows: [(HTTPHeaders, Int)] = [
                (["X-ComputeSDK-Token": other], 403), (["X-ComputeSDK-Token": late], 401),
                (["X-ComputeSDK-Token": "x"], 401), (["X-ComputeSDK-Token": token, "x-computesdk-token": token], 400),
                // A page of another origin sends the cookie along.
                (["Cookie": "computesdk_session=\(token)", "Origin": "http://evil.example"], 403),
                (["Cookie": "computesdk_session=\(token)"], 403), (["Cookie": "computesdk_session=x"], 403),
            ]
            for (headers, status) in rows {
                #expect(try await world.send(host: host(world), "/", headers).status == status, "\(headers)")
            }
            #expect(world.app.all.isEmpty)
        }
    }

    @Test func onlyThePortsThatAreSaidArePrivate() async throws {
        try await run(PortAccess(ports: [3000: .private])) { world async throws in
            #expect(try await world.send(host: host(world), "/").status == 200)
            #expect(try await world.send(host: world.host("\(world.id)-3000"), "/").status == 401)
            say(PortAccess(usual: .private, ports: [world.appPort: .public]), 3, in: world)
            #expect(
                try await eventually(within: .seconds(1)) {
                    try await world.send(host: world.host("\(world.id)-81"), "/").status == 401
                })
            #expect(try await world.send(host: host(world), "/").status == 200)
        }
    }

    @Test func aBrowserThatComesWithATokenKeepsItAsACookie() async throws {
        try await run { world async throws in
            let token = try await world.token(world.id)
            let navigation: HTTPHeaders = ["Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"]
            let answer = try await world.send(host: host(world), "//x/?token=\(token)&a=b", navigation)
            #expect(answer.status == 303 && answer.headers["location"] == ["/x/?a=b"])
            let cookie = try #require(answer.headers.first(name: "set-cookie"))
            #expect(cookie.hasPrefix("computesdk_session=\(token); ") && cookie.contains("HttpOnly"))
            #expect(world.app.all.isEmpty)
            var headers = navigation
            headers.add(name: "Cookie", value: "computesdk_session=\(token)")
            #expect(try await world.send(host: host(world), "/x/?a=b", headers).status == 200)
        }
    }

    /// What the Gateway says ends at once what is open without a token; what has one goes on.
    @Test func whatIsOpenEndsWhenThePortBecomesPrivateUnlessItHasAToken() async throws {
        try await run(
            nil,
            app: { exchange in
                if exchange.upgrade != nil {
                    let tunnel = try await exchange.upgradeToBytes(
                        headers: ["Connection": "Upgrade", "Upgrade": "websocket"])
                    for try await bytes in tunnel.inbound { try await tunnel.write(bytes) }
                } else {
                    let writer = try await exchange.startResponse(status: .ok)
                    while true {
                        try await writer.write(ByteBuffer(string: "tick"))
                        try await Task.sleep(for: .milliseconds(20))
                    }
                }
            }
        ) { world async throws in
            let token = try await world.token(world.id)
            func open(_ headers: HTTPHeaders, upgrade: Bool) async throws -> HTTPClientConnection {
                let connection = try await world.connect()
                var all: HTTPHeaders = ["Host": host(world)]
                all.add(contentsOf: headers)
                if upgrade { all.add(contentsOf: ["Connection": "Upgrade", "Upgrade": "websocket"]) }
                try await connection.sendHead(
                    HTTPRequestHead(version: .http1_1, method: .GET, uri: "/", headers: all))
                try await connection.finish()
                let head = try await connection.receiveHead()
                #expect(head.status == (upgrade ? .switchingProtocols : .ok))
                return connection
            }
            let visitor = try await open([:], upgrade: false)
            let member = try await open(["X-ComputeSDK-Token": token], upgrade: false)
            let visitorSocket = try await (open([:], upgrade: true)).becomeTunnel()
            let memberSocket = try await (open(["X-ComputeSDK-Token": token], upgrade: true)).becomeTunnel()
            var (visitorSays, memberSays) = (
                visitorSocket.inbound.makeAsyncIterator(), memberSocket.inbound.makeAsyncIterator()
            )
            for socket in [visitorSocket, memberSocket] { try await socket.write(ByteBuffer(string: "one")) }
            #expect(try await visitorSays.next() == ByteBuffer(string: "one"))
            #expect(try await memberSays.next() == ByteBuffer(string: "one"))

            say(PortAccess(ports: [world.appPort: .private]), 3, in: world)
            let body = visitor.body
            await #expect(throws: (any Error).self, "its answer is cut") { for try await _ in body {} }
            #expect((try? await visitorSays.next()) == nil)
            try await memberSocket.write(ByteBuffer(string: "two"))
            #expect(try await memberSays.next() == ByteBuffer(string: "two"))
            var ticks = 0
            for try await _ in member.body {
                ticks += 1
                if ticks == 20 { break }
            }
            #expect(ticks == 20)
            await member.close()
            await memberSocket.close()
        }
    }

    @Test func whatGoesOnWithASessionEndsWithIt() async throws {
        try await run(
            app: { exchange in
                let writer = try await exchange.startResponse(status: .ok)
                while true {
                    try await writer.write(ByteBuffer(string: "tick"))
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
        ) { world async throws in
            let (token, record) = try await world.session()
            world.internalAPI.know(record)
            let connection = try await world.connect()
            try await connection.sendHead(
                HTTPRequestHead(
                    version: .http1_1, method: .GET, uri: "/",
                    headers: ["Host": host(world), "X-ComputeSDK-Token": token]))
            try await connection.finish()
            #expect(try await connection.receiveHead().status == .ok)
            var over = record
            over.isRevoked = true
            world.internalAPI.tell(over)
            let body = connection.body
            await #expect(throws: (any Error).self) { for try await _ in body {} }
        }
    }
}
