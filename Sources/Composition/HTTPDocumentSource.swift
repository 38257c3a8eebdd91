package import AsyncHTTPClient
import Auth
import NIOCore
import NIOHTTP1

/// The public documents of an issuer over HTTP. Follows nobody elsewhere, waits for nobody long, reads no more than keys
/// can need.
package struct HTTPDocumentSource: DocumentSource {
    private let http: HTTPClient
    private static let deadline: TimeAmount = .seconds(5)
    private static let maxBytes = 1 << 20

    /// - Parameter http: one that follows no redirects.
    package init(_ http: HTTPClient) { self.http = http }

    package func document(at url: String) async throws -> [UInt8] {
        guard ExternalKeys.isFetchable(url) else {
            throw AuthError(.badDocument, "an issuer's documents must come over https, or from this machine")
        }
        var request = HTTPClientRequest(url: url)
        request.headers.add(name: "Accept", value: "application/json")
        let response = try await http.execute(request, timeout: Self.deadline)
        guard response.status == .ok else {
            throw AuthError(.badDocument, "the issuer answered \(response.status.code)")
        }
        return Array(try await response.body.collect(upTo: Self.maxBytes).readableBytesView)
    }
}
