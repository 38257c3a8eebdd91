/// What can go wrong between the Gateway and the servers behind it. `Problem` is what a client is told.
package struct GatewayError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// The internal API did not answer, or not as it should.
        case internalAPI
        /// The internal API does not know our feed cursor any more.
        case cursorLost
        case upstreamSilent
    }
    package var code: Code
    package var message: String
    package var cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String { "\(code): \(message)\(cause.map { " (\($0))" } ?? "")" }
}
