import NIOCore
import NIOHTTP1

/// What can go wrong on a connection. `code` is what callers decide by; `message` is for logs.
package struct HTTPServingError: Error, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        package let description: String
        private init(_ description: String) { self.description = description }

        package static let bodyTooLarge = Code("bodyTooLarge")
        package static let connectFailed = Code("connectFailed")
        package static let connectTimeout = Code("connectTimeout")
        /// The peer or our own shutdown closed the connection before the message was whole.
        package static let connectionClosed = Code("connectionClosed")
        /// The peer broke the protocol.
        package static let malformed = Code("malformed")
        package static let headTooLarge = Code("headTooLarge")
        package static let headTimeout = Code("headTimeout")
        package static let idleTimeout = Code("idleTimeout")
        package static let responseAlreadyStarted = Code("responseAlreadyStarted")
        /// We ourselves tried to send what HTTP does not allow (a line break in a header, too much body, …).
        package static let invalidMessage = Code("invalidMessage")
        /// The request does not ask for the upgrade that was attempted.
        package static let notUpgradable = Code("notUpgradable")
        package static let bindFailed = Code("bindFailed")
        package static let invalidState = Code("invalidState")
    }

    package let code: Code
    package let message: String
    package let cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// What the parser and the kernel say about a connection, in this module's words.
    static func translating(_ error: any Error) -> any Error {
        switch error {
        case HTTPParserError.invalidEOFState:
            HTTPServingError(.connectionClosed, "the connection ended within a message", cause: error)
        case is HTTPParserError: HTTPServingError(.malformed, "the peer broke the protocol", cause: error)
        case is IOError, is ChannelError: HTTPServingError(.connectionClosed, "the connection broke", cause: error)
        default: error
        }
    }

    package var description: String {
        cause.map { "\(code): \(message) (\($0))" } ?? "\(code): \(message)"
    }
}
