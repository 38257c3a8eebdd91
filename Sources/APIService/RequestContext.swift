import ComputeCore
import EventSourcing
import Hummingbird
import Logging
import NIOCore

/// What travels with one request of the public API.
struct APIRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The peer's address; nil on a unix socket, where the Gateway tells who it was.
    let peer: String?
    var requestID: ComputeCore.RequestID = .random()
    /// Cuts the connection, with whatever waits to be written to it.
    let close: @Sendable () -> Void
    /// What was said of how often one may ask.
    let allowance = AllowanceNote()
    /// Set once the key was accepted.
    var caller: Caller?
    /// Asks again whether that credential may use this route, for answers that go on for long. Set with the caller.
    var isStillAllowed: (@Sendable () async throws -> Bool)?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peer = source.channel.remoteAddress?.ipAddress
        let channel = source.channel
        close = { channel.close(promise: nil) }
    }

    /// - Throws: 401 on a route that forgot its check, so that forgetting it opens nothing.
    func authenticated() throws(Problem) -> Caller {
        guard let caller else { throw .unauthenticated }
        return caller
    }
}

extension Problem {
    static let unauthenticated = Problem(
        status: 401, code: .unauthenticated,
        message: "a valid API key or session is needed, as X-ComputeSDK-API-Key or Authorization: Bearer")
}
