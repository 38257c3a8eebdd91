package import NIOHTTP1

/// One line of the Sidekick's routing table: data, so that the table can be tested and listed.
package struct SidekickRoute: Sendable {
    package let method: HTTPMethod
    package let pattern: RoutePattern
    /// Answered without a credential.
    package let isPublic: Bool
    package let handle: @Sendable (SidekickRequest) async throws -> SidekickAnswer

    /// - Parameter handle: a thrown `Problem` becomes the answer; anything else a 500.
    package init(
        _ method: HTTPMethod, _ pattern: RoutePattern, isPublic: Bool = false,
        handle: @escaping @Sendable (SidekickRequest) async throws -> SidekickAnswer
    ) {
        self.method = method
        self.pattern = pattern
        self.isPublic = isPublic
        self.handle = handle
    }
}

/// Matches a raw path: `/terminals/{id}/execute`, or `/files/{rest...}` where everything after the prefix, with
/// its slashes and percent signs, is one parameter.
package struct RoutePattern: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    package let description: String
    private let segments: [Segment]

    private enum Segment: Hashable, Sendable {
        case literal(String)
        case parameter
        case rest
    }

    package init(stringLiteral text: String) {
        description = text
        segments = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { part in
            switch (part.first, part.hasSuffix("...}")) {
            case ("{", true): .rest
            case ("{", false): .parameter
            default: .literal(String(part))
            }
        }
    }

    /// - Returns: the parameters in order, raw; nil when the path is another one.
    package func match(_ path: String) -> [String]? {
        guard path.first == "/" else { return nil }
        var parameters: [String] = []
        var rest = path.utf8.dropFirst()[...]
        var ended = false
        for segment in segments {
            guard !ended else { return nil }
            if segment == .rest {
                parameters.append(String(Substring(rest)))
                return parameters
            }
            let slash = rest.firstIndex(of: UInt8(ascii: "/"))
            let part = String(Substring(rest[..<(slash ?? rest.endIndex)]))
            switch segment {
            case .literal(let text): guard part == text else { return nil }
            case .parameter:
                guard !part.isEmpty else { return nil }
                parameters.append(part)
            case .rest: return nil
            }
            if let slash { rest = rest[rest.index(after: slash)...] } else { ended = true }
        }
        return ended ? parameters : nil
    }
}

/// The table, and what a request finds in it.
package struct SidekickRoutes: Sendable {
    package let routes: [SidekickRoute]

    package init(_ routes: [SidekickRoute]) { self.routes = routes }

    package enum Match: Sendable {
        case route(SidekickRoute, parameters: [String])
        /// The path is there, but not for this method.
        case methodNotAllowed(allowed: [HTTPMethod])
        case notFound
    }

    package func find(_ method: HTTPMethod, _ path: String) -> Match {
        var allowed: [HTTPMethod] = []
        for route in routes {
            guard let parameters = route.pattern.match(path) else { continue }
            if route.method == method { return .route(route, parameters: parameters) }
            allowed.append(route.method)
        }
        return allowed.isEmpty ? .notFound : .methodNotAllowed(allowed: allowed)
    }
}
