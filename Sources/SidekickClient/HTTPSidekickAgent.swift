package import AsyncHTTPClient
package import ComputeCore
package import Crypto
import FoundationEssentials
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
package import SidekickProtocol

/// Speaks to the internal listeners of Sidekicks, on Unix sockets or TCP.
package struct HTTPSidekickAgent: SidekickAgent {
    /// A Sidekick answers a claim within milliseconds: it writes one small file. What takes longer is broken, and
    /// the create that waits has other members to try.
    private static let deadline: TimeAmount = .seconds(5)
    /// A state or an error body is far smaller.
    private static let maximumAnswerBytes = 64 << 10

    private let http: HTTPClient
    private let key: Curve25519.Signing.PrivateKey
    private let clock: any WallClock

    /// - Parameters:
    ///   - http: made with `httpConfiguration`; the caller shuts it down.
    ///   - key: the API's claim key, whose public half every member was started with.
    package init(http: HTTPClient, key: Curve25519.Signing.PrivateKey, clock: any WallClock = SystemWallClock()) {
        self.http = http
        self.key = key
        self.clock = clock
    }

    /// A member that is gone must be known as gone at once: by default the client tries to connect again until the
    /// deadline, while a create waits.
    package static var httpConfiguration: HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        // Whoever is asked here answers himself, or does not.
        configuration.redirectConfiguration = .disallow
        return configuration
    }

    package func claim(
        _ member: MemberName, at endpoint: Endpoint, order: ClaimOrder
    ) async throws(SidekickAgentError) {
        var request = request(to: endpoint, path: "/internal/claim")
        do {
            let encoder = JSONEncoder()
            // The same order must be the same bytes when it is repeated: the Sidekick compares them.
            encoder.outputFormatting = [.sortedKeys]
            let body = try encoder.encode(order)
            let credential = ClaimCredential(
                member: member, computeID: order.computeId, generation: order.generation,
                expiresAt: clock.now() + ClaimCredential.lifetime, body: body)
            request.method = .POST
            request.headers.add(name: "content-type", value: "application/json")
            if let trace = TraceContext.current { request.headers.add(name: TraceContext.header, value: trace.text) }
            request.headers.add(name: ClaimCredential.header, value: try credential.signed(with: key))
            request.body = .bytes(ByteBuffer(data: body))
        } catch {
            throw SidekickAgentError(.refused, "the claim cannot be encoded: \(error)")
        }
        let (status, body) = try await answer(to: request)
        if let failure = Self.failure(status: status, body: body) { throw failure }
    }

    package func state(at endpoint: Endpoint) async throws(SidekickAgentError) -> SidekickState {
        let (status, body) = try await answer(to: request(to: endpoint, path: "/internal/state"))
        if let failure = Self.failure(status: status, body: body) { throw failure }
        do {
            return try JSONDecoder().decode(SidekickState.self, from: Data(buffer: body))
        } catch {
            throw SidekickAgentError(.noAnswer, "the Sidekick's state cannot be read: \(error)")
        }
    }

    /// Has a Sidekick that nobody has claimed rehearse a claim and a command. It fails where they would.
    package func warmUp(at endpoint: Endpoint) async throws(SidekickAgentError) {
        var request = request(to: endpoint, path: "/internal/warm-up")
        request.method = .POST
        let (status, body) = try await answer(to: request)
        if let failure = Self.failure(status: status, body: body) { throw failure }
    }

    /// What an answer means to whoever claims; nil for a success.
    static func failure(status: UInt, body: ByteBuffer) -> SidekickAgentError? {
        let problem = try? JSONDecoder().decode(Problem.Body.self, from: Data(buffer: body))
        let said = problem?.message ?? "status \(status)"
        return switch status {
        case 200..<300: nil
        case 409: SidekickAgentError(.alreadyClaimed, said)
        case 400, 403: SidekickAgentError(.refused, said, field: problem?.field)
        default: SidekickAgentError(.noAnswer, said)
        }
    }

    private func request(to endpoint: Endpoint, path: String) -> HTTPClientRequest {
        switch endpoint {
        case .tcp:
            return HTTPClientRequest(url: "http://\(endpoint)\(path)")
        case .unix(let socket):
            var request = HTTPClientRequest(url: "http+unix://\(Self.percentEncoded(socket))\(path)")
            // Otherwise the socket's path stands there, which is no host and a 400.
            request.headers.add(name: "host", value: "sidekick")
            return request
        }
    }

    private func answer(
        to request: HTTPClientRequest
    ) async throws(SidekickAgentError) -> (status: UInt, body: ByteBuffer) {
        do {
            let response = try await http.execute(request, timeout: Self.deadline)
            return (response.status.code, try await response.body.collect(upTo: Self.maximumAnswerBytes))
        } catch {
            throw SidekickAgentError(.noAnswer, "the Sidekick does not answer: \(error)")
        }
    }

    /// The socket's path stands where a URL has its host, so everything but letters, digits and `-._~` is escaped.
    package static func percentEncoded(_ path: String) -> String {
        path.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                String(UnicodeScalar(byte))
            default:
                "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
}
