package import AsyncHTTPClient
import Auth
import NIOCore
import NIOHTTP1

/// The public documents of an issuer over HTTP. Follows nobody elsewhere, waits for nobody long, reads no more than keys
/// can need.
package struct HTTPDocumentSource: DocumentSource {
    private let http: HTTPClient
    private static let deadline: Duration = .seconds(5)
    private static let maxBytes = 1 << 20

    /// - Parameter http: one that follows no redirects.
    package init(_ http: HTTPClient) { self.http = http }

    package func document(at url: String) async throws -> [UInt8] {
        guard ExternalKeys.isFetchable(url) else {
            throw AuthError(.badDocument, "an issuer's documents must come over https, or from this machine")
        }
        var request = HTTPClientRequest(url: url)
        request.headers.add(name: "Accept", value: "application/json")
        return try await withThrowingTaskGroup(of: [UInt8].self) { [request] group in
            group.addTask { try await fetch(request) }
            // The client's own deadline is the head's: a body that never ends would hold every sign-in up.
            group.addTask {
                try await Task.sleep(for: Self.deadline)
                throw AuthError(.badDocument, "the issuer took longer than \(Self.deadline)")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? []
        }
    }

    private func fetch(_ request: HTTPClientRequest) async throws -> [UInt8] {
        let response = try await http.execute(request, deadline: .distantFuture)
        guard response.status == .ok else {
            throw AuthError(.badDocument, "the issuer answered \(response.status.code)")
        }
        return Array(try await response.body.collect(upTo: Self.maxBytes).readableBytesView)
    }
}
