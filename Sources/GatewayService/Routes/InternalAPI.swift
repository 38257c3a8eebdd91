import APIContract
import AsyncHTTPClient
import ComputeCore
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// The Gateway's questions to the API's internal listener.
struct InternalAPI: Sendable {
    private let base: String
    private let client: HTTPClient
    /// A feed line is a few hundred bytes; what is longer is not one.
    private static let maxLineBytes = 64 * 1024
    private static let maxAnswerBytes = 256 * 1024

    init(endpoint: Endpoint, client: HTTPClient) {
        self.client = client
        switch endpoint {
        case .tcp: base = "http://\(endpoint)"
        case .unix(let path): base = "http+unix://" + path.percentEncodedHost
        }
    }

    /// - Returns: nil when the API knows no such compute.
    func route(_ id: ComputeID) async throws(GatewayError) -> RouteRecord? {
        try await document("/internal/v1/routes/\(id)", as: RouteRecord.self)
    }

    /// - Returns: nil when the API knows no such session, or its time is over.
    func session(_ id: SessionID) async throws(GatewayError) -> SessionRecord? {
        try await document("/internal/v1/sessions/\(id)", as: SessionRecord.self)
    }

    func tell(_ uses: SessionUses) async throws(GatewayError) {
        do {
            var request = request("/internal/v1/sessions/uses")
            request.method = .POST
            request.body = .bytes(try JSONEncoder().encode(uses))
            let response = try await client.execute(request, timeout: .seconds(5))
            guard response.status == .noContent else {
                throw GatewayError(.internalAPI, "the internal API answered \(response.status.code)")
            }
        } catch let error as GatewayError {
            throw error
        } catch {
            throw GatewayError(.internalAPI, "the internal API did not answer", cause: error)
        }
    }

    func keys() async throws(GatewayError) -> TokenKeys {
        guard let keys = try await document("/internal/v1/keys", as: TokenKeys.self) else {
            throw GatewayError(.internalAPI, "the internal API has no keys")
        }
        return keys
    }

    /// One request of the feed. `handle` gets each line in order; the end of the answer is the return.
    func events(
        after cursor: String?, wait: Duration, handle: (FeedLine) -> Void
    ) async throws(GatewayError) {
        var query = "wait=\(wait.components.seconds)"
        if let cursor { query += "&after=" + cursor.percentEncodedQuery }
        do {
            // No deadline for the whole: a busy feed has no end. Silence is bounded by the client's read timeout,
            // which is above any `wait`.
            let response = try await client.execute(request("/internal/v1/events?" + query), deadline: .distantFuture)
            switch response.status.code {
            case 200: break
            case 400, 410: throw GatewayError(.cursorLost, "the internal API refused the feed's cursor")
            default: throw GatewayError(.internalAPI, "the feed answered \(response.status.code)")
            }
            var lines = LineSplitter(maxLineBytes: Self.maxLineBytes)
            for try await part in response.body {
                for line in try lines.split(part) {
                    handle(try JSONDecoder().decode(FeedLine.self, from: line))
                }
            }
        } catch let error as GatewayError {
            throw error
        } catch {
            throw GatewayError(.internalAPI, "the feed broke", cause: error)
        }
    }

    /// The client names no Host on a unix socket, but HTTP/1.1 servers refuse a request without one.
    private func request(_ path: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: base + path)
        request.headers.replaceOrAdd(name: "Host", value: "localhost")
        return request
    }

    private func document<T: Decodable>(_ path: String, as type: T.Type) async throws(GatewayError) -> T? {
        do {
            let response = try await client.execute(request(path), timeout: .seconds(5))
            if response.status == .notFound { return nil }
            guard response.status == .ok else {
                throw GatewayError(.internalAPI, "the internal API answered \(response.status.code)")
            }
            let body = try await response.body.collect(upTo: Self.maxAnswerBytes)
            return try JSONDecoder().decode(type, from: Data(body.readableBytesView))
        } catch let error as GatewayError {
            throw error
        } catch {
            throw GatewayError(.internalAPI, "the internal API did not answer", cause: error)
        }
    }
}

extension String {
    /// As AsyncHTTPClient wants a socket's path in place of a host.
    fileprivate var percentEncodedHost: String { percentEncoded { $0.isASCIIDigit || $0.isASCIILetter || $0 == 0x2E } }
    fileprivate var percentEncodedQuery: String { percentEncodedHost }

    private func percentEncoded(keeping isPlain: (UInt8) -> Bool) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in utf8 {
            if isPlain(byte) {
                out.append(byte)
            } else {
                out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
