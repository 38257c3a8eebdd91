import ComputeCore
import Glibc
import HTTPServing
import NIOCore
import Testing

@Suite struct HostileInputTests {
    @Test(arguments: [
        "GARBAGE\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",  // no Host
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a\u{0}b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a\u{7F}b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\u{0}b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",  // obs-fold
        "GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ])
    func malformedRequestsGet400AndAClose(request: String) async throws {
        try await withServer(ServerTests.echo) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send(request)
            let answer = try await peer.readToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(answer.debugDescription)")
            #expect(answer.contains("Connection: close\r\n"))
            try? await peer.close()
        }
    }

    @Test func undecodableTargetIsRefused() async throws {
        try await withServer(ServerTests.echo) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            var bytes = ByteBuffer(string: "GET /")
            bytes.writeBytes([0xC3, 0x28])
            bytes.writeString(" HTTP/1.1\r\nHost: a\r\n\r\n")
            try await peer.send(bytes)
            #expect(try await peer.readToEnd().hasPrefix("HTTP/1.1 400 "))
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 5000))\r\n\r\n",
        "GET /\(String(repeating: "x", count: 5000)) HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "X: y\r\n", count: 30) + "\r\n",
    ])
    func oversizedHeadsGet431(request: String) async throws {
        try await withServer(limits: HTTPLimits(maxHeaderBytes: 4096, maxHeaderFields: 20), ServerTests.echo) {
            endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send(request)
            #expect(try await peer.readToEnd().hasPrefix("HTTP/1.1 431 "))
            try? await peer.close()
        }
    }

    @Test func slowHeadsGet408() async throws {
        try await withServer(limits: HTTPLimits(headerTimeout: .milliseconds(50)), ServerTests.echo) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.1\r\nHo")
            #expect(try await peer.readToEnd().hasPrefix("HTTP/1.1 408 "))
            try? await peer.close()
        }
    }

    @Test func idleConnectionsAreClosedSilently() async throws {
        try await withServer(limits: HTTPLimits(idleTimeout: .milliseconds(50)), ServerTests.echo) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            #expect(try await peer.readToEnd() == "")
            try? await peer.close()
        }
    }

    @Test func connectionsFromTheMachineItselfCanBeRefused() async throws {
        var limits = HTTPLimits()
        limits.refusesOwnMachine = true
        try await withServer(limits: limits, ServerTests.echo) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            #expect(try await peer.readToEnd() == "")
            try? await peer.close()
        }
    }

    @Test func connectionsAboveTheLimitAreClosed() async throws {
        try await withServer(limits: HTTPLimits(maxConnections: 1), ServerTests.echo) { endpoint, _ in
            let first = try await RawPeer.connect(endpoint)
            try await first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await first.read(through: "GET ")
            let second = try await RawPeer.connect(endpoint)
            #expect(try await second.readToEnd() == "")
            try await first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await first.read(through: "GET ")
            try? await first.close()
            try? await second.close()
        }
    }

    @Test func brokenBodyIsTheClientsFault() async throws {
        try await withServer(ServerTests.echo) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            try await peer.send("nonsense\r\n")
            #expect(try await peer.readToEnd().hasPrefix("HTTP/1.1 400 "))
            try? await peer.close()
        }
    }
}
