package import NIOHTTP1

/// What a route of `/auth/*` asks of its caller. The API decides what a token may do there; here it is only checked
/// and handed on.
package enum AuthAccess {
    package enum Need: Equatable, Sendable {
        /// A magic link: `?token=` is its own kind of secret, and nothing else counts.
        case nothing
        /// Answers differ with a token, and none is needed.
        case optional
        case token
    }

    /// - Parameter path: from `/auth/` on.
    package static func need(method: HTTPMethod, path: Substring) -> Need {
        switch (method, path) {
        case (_, "/auth/magic"): .nothing
        case (.GET, "/auth/status"), (.HEAD, "/auth/status"), (.GET, "/auth/info"), (.HEAD, "/auth/info"),
            (.POST, "/auth/token"):
            .optional
        default: .token
        }
    }
}
