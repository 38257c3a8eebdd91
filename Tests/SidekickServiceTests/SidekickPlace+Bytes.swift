import Crypto
import FoundationEssentials
import HTTPServing
import NIOCore
import NIOHTTP1
import Testing

/// An answer whose body is bytes.
struct BytesAnswer: Sendable {
    let status: Int
    let headers: HTTPHeaders
    let body: [UInt8]
    var text: String { String(decoding: body, as: UTF8.self) }
    func header(_ name: String) -> String? { headers.first(name: name) }
}

extension SidekickPlace {
    /// A request and its answer as bytes, with the credential.
    func bytes(
        _ method: HTTPMethod, _ target: String, body: [UInt8]? = nil, headers extra: HTTPHeaders = [:]
    ) async throws -> BytesAnswer {
        try await converse(method, target, headers: extra, length: body?.count ?? 0) { connection in
            if let body {
                for start in stride(from: 0, to: body.count, by: 100_000) {
                    let piece = body[start..<min(start + 100_000, body.count)]
                    try await connection.sendBody(ByteBuffer(bytes: piece))
                }
            }
            try await connection.finish()
        }
    }

    /// Hands a body on as it comes, with no more of it in memory than a piece.
    /// - Returns: how many bytes it had.
    @discardableResult
    func download(_ target: String, _ take: (ByteBuffer) async throws -> Void = { _ in }) async throws -> Int {
        let connection = try await HTTPClientConnection.connect(to: listen, timeout: .seconds(30))
        let headers: HTTPHeaders = ["Host": "sidekick", "Connection": "close", "Authorization": "Bearer \(secret)"]
        var count = 0
        do {
            try await connection.sendHead(
                HTTPRequestHead(version: .http1_1, method: .GET, uri: target, headers: headers))
            try await connection.finish()
            #expect(try await connection.receiveHead().status == .ok, "\(target)")
            for try await part in connection.body {
                count += part.readableBytes
                try await take(part)
            }
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
        return count
    }

    /// - Parameter send: the body; without `finish` it may be a part of the announced length.
    func converse(
        _ method: HTTPMethod, _ target: String, headers extra: HTTPHeaders = [:], length: Int,
        _ send: (HTTPClientConnection) async throws -> Void
    ) async throws -> BytesAnswer {
        let connection = try await HTTPClientConnection.connect(to: listen, timeout: .seconds(30))
        var headers: HTTPHeaders = [
            "Host": "sidekick", "Connection": "close", "Authorization": "Bearer \(secret)",
            "Content-Length": "\(length)",
        ]
        headers.add(contentsOf: extra)
        do {
            try await connection.sendHead(
                HTTPRequestHead(version: .http1_1, method: method, uri: target, headers: headers))
            // It may refuse before it has read all of it; its answer is there all the same.
            do { try await send(connection) } catch let error as HTTPServingError where error.code == .connectionClosed
            {}
            let head = try await connection.receiveHead()
            var bytes = ByteBuffer()
            for try await part in connection.body { bytes.writeImmutableBuffer(part) }
            await connection.close()
            return BytesAnswer(
                status: Int(head.status.code), headers: head.headers, body: Array(bytes.readableBytesView))
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Sends a part of an announced body and goes away.
    func breakOff(
        _ method: HTTPMethod, _ target: String, body: [UInt8], of length: Int, headers extra: HTTPHeaders = [:],
        after isReached: () async throws -> Void
    ) async throws {
        let connection = try await HTTPClientConnection.connect(to: listen, timeout: .seconds(30))
        var headers: HTTPHeaders = [
            "Host": "sidekick", "Authorization": "Bearer \(secret)", "Content-Length": "\(length)",
        ]
        headers.add(contentsOf: extra)
        try await connection.sendHead(HTTPRequestHead(version: .http1_1, method: method, uri: target, headers: headers))
        try await connection.sendBody(ByteBuffer(bytes: body))
        do { try await isReached() } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }

    /// The same bytes for the same seed.
    static func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
    }

    static func sha256(_ bytes: [UInt8]) -> String {
        SHA256.hash(data: bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
